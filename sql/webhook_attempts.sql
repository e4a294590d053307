-- What was attempted, for a webhook's owner to look at.

CREATE FUNCTION chat.shown_attempt(attempt chat.webhook_attempt) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT jsonb_build_object('id', attempt.id, 'webhookId', attempt.webhook, 'messageId', attempt.message_id, 'type', attempt.type,
        'attempt', attempt.attempt, 'status', attempt.status, 'error', attempt.error, 'response', attempt.response,
        'durationMs', attempt.duration_ms, 'at', attempt.at)
$$;
REVOKE ALL ON FUNCTION chat.shown_attempt(chat.webhook_attempt) FROM PUBLIC;
COMMENT ON FUNCTION chat.shown_attempt(chat.webhook_attempt) IS 'A row of chat.webhook_attempt in camelCase.';

-- By the index on webhook and time, from its end: a webhook may have a million attempts.
CREATE FUNCTION chat.list_webhook_attempts(webhook uuid, "limit" integer DEFAULT 50, cursor text DEFAULT NULL, owner text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0 SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
DECLARE
    size integer := chat.page_limit("limit", 50);
    place text[] := chat.decode_cursor(cursor, 'w', 2);
    before timestamptz := COALESCE(place[1]::timestamptz, 'infinity');
    before_id bigint := COALESCE(place[2]::bigint, 0);
    rows jsonb;
BEGIN
    IF chat.find_webhook(webhook, owner) IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_agg(jsonb_build_object('data', chat.shown_attempt(a), 'place', jsonb_build_array(a.at, a.id::text)) ORDER BY a.at DESC, a.id DESC) INTO rows
      FROM (SELECT t.* FROM chat.webhook_attempt t
             WHERE t.webhook = list_webhook_attempts.webhook AND t.at <= before AND (t.at, t.id) < (before, before_id)
             ORDER BY t.at DESC, t.id DESC LIMIT size + 1) a;
    RETURN chat.page(COALESCE(rows, '[]'), 'w', NULL, size, NULL, false);
END
$$;
REVOKE ALL ON FUNCTION chat.list_webhook_attempts(uuid, integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.list_webhook_attempts(uuid, integer, text, text) IS 'Attempts to deliver to a webhook, kept for 7 days, the newest first, as {success, data, pagination}; each is {id, webhookId, messageId, type, attempt, status, error, response, durationMs, at}: status 0 for no answer, error null for success, response the first KiB of the answer. NULL: no such webhook of owner. Errors: 22023 for limit and cursor, 42501.';

CREATE FUNCTION chat.get_webhook_attempt(attempt_id bigint, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
DECLARE
    attempt chat.webhook_attempt;
    sent record;
BEGIN
    SELECT * INTO attempt FROM chat.webhook_attempt a WHERE a.id = attempt_id;
    IF chat.find_webhook(attempt.webhook, owner) IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT d.created_at, d.payload INTO sent FROM chat.webhook_delivery d
     WHERE d.event_id = attempt.event_id AND d.message_id = attempt.message_id AND d.webhook = attempt.webhook;
    IF NOT FOUND THEN
        SELECT e.created_at, e.payload INTO sent FROM chat.event_at(attempt.event_id) e;
    END IF;
    RETURN chat.shown_attempt(attempt) || jsonb_build_object('body', chat.hook_body(attempt.message_id, attempt.type, sent.created_at, sent.payload)::jsonb);
END
$$;
REVOKE ALL ON FUNCTION chat.get_webhook_attempt(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.get_webhook_attempt(bigint, text) IS 'An attempt as chat.list_webhook_attempts has it, with body: what was sent, as JSON; null where it is kept no more, neither for another attempt nor in the log of events. NULL: no such attempt of a webhook of owner. Errors: 42501.';
