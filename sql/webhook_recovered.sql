-- Webhooks that work again.

-- One that failed now and then is no news; in an inbox it would be noise.
CREATE FUNCTION chat.recover_webhooks(webhooks uuid[], succeeded boolean[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    before record;
BEGIN
    -- An answer that was under way when the webhook was disabled does not make it work; of one that was switched on by hand it does.
    FOR before IN
        WITH better AS (
            SELECT s.*, w.owner, w.url
              FROM unnest(webhooks, succeeded) AS a (webhook, ok)
              JOIN chat.webhook_state s ON s.webhook = a.webhook AND (s.failure_count > 0 OR s.last_error IS NOT NULL OR s.disabled_at IS NOT NULL)
              LEFT JOIN LATERAL chat.external_webhooks(ARRAY[a.webhook], NULL) w ON true
             WHERE a.ok AND (w.id IS NOT NULL OR s.disabled_at IS NULL)
        )
        UPDATE chat.webhook_state s SET failure_count = 0, first_failure_at = NULL, last_error = NULL, disabled_at = NULL, disabled_reason = NULL
          FROM better b WHERE s.webhook = b.webhook
        RETURNING b.*
    LOOP
        CONTINUE WHEN before.owner IS NULL
            OR before.disabled_at IS NULL AND (before.first_failure_at > clock_timestamp() - interval '10 minutes') IS NOT FALSE;
        PERFORM chat.tell('webhook.recovered', before.owner, before.owner, NULL, jsonb_build_object('id', before.webhook, 'url', before.url, 'reason',
            CASE WHEN before.disabled_at IS NULL
                 THEN format('a delivery succeeded: all of them had failed since %s', chat.iso_time(before.first_failure_at))
                 ELSE format('a delivery succeeded: the webhook was disabled at %s', chat.iso_time(before.disabled_at)) END));
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.recover_webhooks(uuid[], boolean[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.recover_webhooks(uuid[], boolean[]) IS 'Part of chat.webhook_save: forgets the failures of webhooks that a delivery to succeeded. Where that was disabled before, or had failed for ten minutes, its owner''s inbox gets an event webhook.recovered {id, url, reason}.';
