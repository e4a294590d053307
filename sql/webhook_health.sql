-- How webhooks do.

-- The newest attempts alone: a webhook may have a million a day.
CREATE FUNCTION chat.attempts_told(webhook uuid) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET max_parallel_workers_per_gather = 0 SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
    SELECT jsonb_build_object(
        'attempts', count(*), 'succeeded', count(*) FILTER (WHERE a.error IS NULL),
        'successRate', round(avg((a.error IS NULL)::integer), 4),
        'p95Ms', percentile_disc(0.95) WITHIN GROUP (ORDER BY a.duration_ms),
        'lastAttemptAt', max(a.at), 'lastSuccessAt', max(a.at) FILTER (WHERE a.error IS NULL),
        'lastFailure', (array_agg(jsonb_build_object('at', a.at, 'status', a.status, 'error', a.error) ORDER BY a.at DESC, a.id DESC)
                        FILTER (WHERE a.error IS NOT NULL))[1])
      FROM (SELECT t.* FROM chat.webhook_attempt t WHERE t.webhook = $1 AND t.at > now() - interval '24 h'
             ORDER BY t.at DESC LIMIT 1000) a
$$;
REVOKE ALL ON FUNCTION chat.attempts_told(uuid) FROM PUBLIC;
COMMENT ON FUNCTION chat.attempts_told(uuid) IS 'What the attempts of the last 24 hours, the newest 1000 at most, say of a webhook: {attempts, succeeded, successRate (0 to 1; null: there were none), p95Ms, lastAttemptAt, lastSuccessAt, lastFailure: {at, status, error}}.';

CREATE FUNCTION chat.webhook_health(owner text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off SET enable_seqscan = off AS
$$
DECLARE
    listed jsonb := chat.list_webhooks(owner);
BEGIN
    RETURN jsonb_set(listed, '{data}', (
        SELECT COALESCE(jsonb_agg(jsonb_build_object(
                   'id', w.v -> 'id', 'url', w.v -> 'url', 'isActive', w.v -> 'isActive', 'lastError', w.v -> 'lastError',
                   'disabledAt', w.v -> 'disabledAt', 'disabledReason', w.v -> 'disabledReason',
                   'failingSince', s.first_failure_at, 'pausedUntil', CASE WHEN s.paused_until > clock_timestamp() THEN s.paused_until END,
                   'pending', (SELECT count(*) FROM (SELECT FROM chat.webhook_delivery d WHERE d.webhook = w.id LIMIT 10000) d))
                   || chat.attempts_told(w.id) ORDER BY w.n), '[]')
          FROM (SELECT e.v, e.n, (e.v ->> 'id')::uuid AS id FROM jsonb_array_elements(listed -> 'data') WITH ORDINALITY e (v, n)) w
          LEFT JOIN chat.webhook_state s ON s.webhook = w.id));
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_health(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_health(text) IS 'How all webhooks of owner do, as {success, data, pagination}; each is {id, url, isActive, lastError, disabledAt, disabledReason, failingSince: since when every attempt failed, pausedUntil: the endpoint asked for it, pending: deliveries that are stored, up to 10000} with what chat.attempts_told says of the last 24 hours. Errors: 22004, 42501, 22P02 for an owner of the wrong form.';
