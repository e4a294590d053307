-- Webhooks in trouble, for the sidecar's console: of all owners, so that it is for the sidecar's role alone.

-- By the index on webhook and time, from its end.
CREATE FUNCTION chat.newest_attempts(webhook uuid, "limit" integer) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET max_parallel_workers_per_gather = 0 SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
    SELECT COALESCE(jsonb_agg(jsonb_build_object('id', a.id::text, 'messageId', a.message_id, 'type', a.type, 'attempt', a.attempt, 'status', a.status,
                        'error', left(a.error, 500), 'response', left(a.response, 500), 'durationMs', a.duration_ms, 'at', a.at) ORDER BY a.at DESC, a.id DESC), '[]')
      FROM (SELECT t.* FROM chat.webhook_attempt t WHERE t.webhook = $1 ORDER BY t.at DESC, t.id DESC LIMIT $2) a
$$;
REVOKE ALL ON FUNCTION chat.newest_attempts(uuid, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.newest_attempts(uuid, integer) IS 'Part of chat.webhook_failing: attempts of a webhook, the newest first, with 500 characters of error and answer.';

CREATE FUNCTION chat.webhook_failing(max_rows integer, max_attempts integer) RETURNS TABLE (total bigint, webhooks jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    source regclass;
    found jsonb := '[]';
    failing uuid[];
BEGIN
    SELECT count(*) INTO total FROM chat.webhook_state s WHERE s.failure_count > 0 OR s.last_error IS NOT NULL OR s.disabled_at IS NOT NULL;
    failing := ARRAY(SELECT s.webhook FROM chat.webhook_state s WHERE s.failure_count > 0 OR s.last_error IS NOT NULL OR s.disabled_at IS NOT NULL
                      ORDER BY s.disabled_at IS NOT NULL, s.first_failure_at, s.webhook LIMIT max_rows);
    FOR source IN SELECT s.source FROM chat.external_webhook_tables() s LOOP
        found := found || COALESCE(chat.run_beside(NULL::jsonb, source, 'show_webhooks', failing), '[]');
    END LOOP;
    SELECT COALESCE(jsonb_agg(f.v || jsonb_build_object(
               'failures', s.failure_count, 'failingSince', s.first_failure_at, 'lastError', left(s.last_error, 500),
               'pausedUntil', CASE WHEN s.paused_until > clock_timestamp() THEN s.paused_until END,
               'disabledAt', s.disabled_at, 'disabledReason', left(s.disabled_reason, 500),
               'pending', (SELECT count(*) FROM (SELECT FROM chat.webhook_delivery d WHERE d.webhook = s.webhook LIMIT 1000) d),
               'attempts', chat.newest_attempts(s.webhook, max_attempts)) ORDER BY array_position(failing, s.webhook)), '[]') INTO webhooks
      FROM jsonb_array_elements(found) f (v) JOIN chat.webhook_state s ON s.webhook = (f.v ->> 'id')::uuid;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_failing(integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_failing(integer, integer) IS 'For the sidecar''s console: how many webhooks fail or were disabled, of all owners, and max_rows of them, each as {id, owner, url, isActive, failures, failingSince, lastError, pausedUntil, disabledAt, disabledReason, pending: stored deliveries, up to 1000, attempts: the newest max_attempts}; those that fail longest first, disabled ones last. Error and answer are cut at 500 characters.';

CREATE FUNCTION chat.webhook_again(attempt_id bigint) RETURNS TABLE (message_id text, type text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_column
DECLARE
    attempt chat.webhook_attempt;
BEGIN
    SELECT * INTO attempt FROM chat.webhook_attempt a WHERE a.id = attempt_id;
    IF NOT EXISTS (SELECT FROM chat.external_webhooks(ARRAY[attempt.webhook], NULL)) OR NOT chat.queue_again(attempt) THEN
        RETURN;
    END IF;
    PERFORM chat.audit_as('console', 'webhook.redelivered', attempt.webhook::text, jsonb_build_object('messageId', attempt.message_id));
    RETURN QUERY SELECT attempt.message_id, attempt.type;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_again(bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_again(bigint) IS 'For the sidecar''s console: sends the message of an attempt again as chat.redeliver does, to an active webhook of any owner, with console as the actor in chat.audit_log, and returns what it is. No row: no such attempt, its webhook is gone or off, its event is no longer in the log, or it waits behind another delivery of its conversation.';
