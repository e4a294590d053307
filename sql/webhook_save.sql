-- What became of deliveries: attempts, retries, the state of endpoints, and clearing up.

CREATE FUNCTION chat.webhook_save(epoch bigint, outcomes chat.webhook_outcome[]) RETURNS TABLE (saved boolean, due boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_variable
BEGIN
    saved := false;
    due := false;
    PERFORM FROM chat.consumer c WHERE c.name = 'webhooks' AND c.epoch = $1 FOR SHARE;
    IF FOUND THEN
        -- What is lost with an unflushed commit is delivered again: positions come later in the same log.
        PERFORM set_config('synchronous_commit', 'off', true);
        INSERT INTO chat.webhook_attempt (webhook, event_id, message_id, type, attempt, status, error, response, duration_ms)
        SELECT u.webhook, u.event_id, u.message_id, u.type, u.attempt, u.status, u.error, u.response, u.duration_ms
          FROM unnest(outcomes) u WHERE u.attempt > 0;
        IF EXISTS (SELECT FROM unnest(outcomes) u WHERE u.stored OR u.action <> 'done') THEN
            due := chat.settle_webhooks(outcomes);
        END IF;
        PERFORM chat.judge_webhooks(outcomes);
        saved := true;
    END IF;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_save(bigint, chat.webhook_outcome[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_save(bigint, chat.webhook_outcome[]) IS 'Takes over what became of deliveries. saved is false when the lease was lost and nothing is saved; due tells that another delivery became due at once.';

CREATE FUNCTION chat.settle_webhooks(outcomes chat.webhook_outcome[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = on AS
$$
#variable_conflict use_column
DECLARE
    hooks uuid[];
    conversations text[];
    more_hooks uuid[];
    more_conversations text[];
    promoted bigint;
BEGIN
    WITH gone AS (
        DELETE FROM chat.webhook_delivery d
         USING unnest($1) u
         WHERE u.stored AND u.action = 'done'
           AND d.event_id = u.event_id AND d.message_id = u.message_id AND d.webhook IS NOT DISTINCT FROM u.webhook
        RETURNING d.webhook, d.conversation)
    SELECT array_agg(g.webhook), array_agg(g.conversation) INTO hooks, conversations FROM gone g;

    UPDATE chat.webhook_delivery d
       SET attempts = u.attempt - (NOT u.counted)::integer, last_error = u.error,
           next_attempt_at = clock_timestamp() + u.delay_ms * interval '1 ms'
      FROM unnest($1) u
     WHERE u.stored AND u.action = 'retry'
       AND d.event_id = u.event_id AND d.message_id = u.message_id AND d.webhook IS NOT DISTINCT FROM u.webhook;

    -- The log still has these events: no position past them has been saved.
    WITH kept AS (
        INSERT INTO chat.webhook_delivery AS d (webhook, event_id, message_id, type, conversation, created_at,
                                                payload, attempts, next_attempt_at, last_error)
        SELECT u.webhook, u.event_id, u.message_id, u.type, COALESCE(e.conversation, ''), e.created_at, e.payload,
               GREATEST(u.attempt - (NOT u.counted)::integer, 0),
               CASE WHEN u.action <> 'store' THEN clock_timestamp() + u.delay_ms * interval '1 ms' END,
               u.error
          FROM unnest($1) u
         CROSS JOIN LATERAL chat.event_at(u.event_id) e
         WHERE NOT u.stored AND u.action <> 'done'
         ORDER BY u.event_id, u.message_id
        ON CONFLICT (webhook, event_id, message_id) DO UPDATE
           SET attempts = GREATEST(d.attempts, EXCLUDED.attempts),
               next_attempt_at = COALESCE(EXCLUDED.next_attempt_at, d.next_attempt_at),
               last_error = COALESCE(EXCLUDED.last_error, d.last_error)
        RETURNING d.webhook, d.conversation)
    SELECT array_agg(k.webhook), array_agg(k.conversation) INTO more_hooks, more_conversations FROM kept k;

    WITH pair AS (
        SELECT DISTINCT p.webhook, p.conversation
          FROM unnest(hooks || more_hooks, conversations || more_conversations) AS p (webhook, conversation)
         WHERE NOT EXISTS (SELECT FROM chat.webhook_delivery h
                            WHERE h.webhook = p.webhook AND h.conversation = p.conversation
                              AND h.next_attempt_at IS NOT NULL)
    ), head AS (
        SELECT (SELECT d.id FROM chat.webhook_delivery d
                 WHERE d.webhook = p.webhook AND d.conversation = p.conversation
                 ORDER BY d.event_id, d.message_id LIMIT 1) AS id
          FROM pair p
    )
    UPDATE chat.webhook_delivery d SET next_attempt_at = clock_timestamp() FROM head h WHERE d.id = h.id;
    GET DIAGNOSTICS promoted = ROW_COUNT;
    RETURN promoted > 0;
END
$$;
REVOKE ALL ON FUNCTION chat.settle_webhooks(chat.webhook_outcome[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.settle_webhooks(chat.webhook_outcome[]) IS 'Part of chat.webhook_save: removes finished deliveries, stores the others, and makes the next of each webhook and conversation due. True when one became due.';

CREATE FUNCTION chat.judge_webhooks(outcomes chat.webhook_outcome[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_column
DECLARE
    hooks uuid[];
    succeeded boolean[];
    failures integer[];
    reasons text[];
    last_errors text[];
    pause bigint[];
    judged jsonb;
BEGIN
    SELECT array_agg(a.webhook), array_agg(a.ok), array_agg(a.failures), array_agg(a.reason),
           array_agg(a.error), array_agg(a.pause)
      INTO hooks, succeeded, failures, reasons, last_errors, pause
      FROM (SELECT u.webhook, bool_or(u.error IS NULL) AS ok,
                   count(*) FILTER (WHERE u.error IS NOT NULL AND u.counted AND u.n > u.last_ok)::integer AS failures,
                   max(u.disable) AS reason, max(u.pause_ms) AS pause,
                   (array_agg(u.error ORDER BY u.n DESC) FILTER (WHERE u.n > u.last_ok))[1] AS error
              FROM (SELECT r.*, COALESCE(max(r.n) FILTER (WHERE r.error IS NULL)
                                         OVER (PARTITION BY r.webhook), 0) AS last_ok
                      FROM unnest($1) WITH ORDINALITY
                           AS r (webhook, event_id, message_id, type, action, stored, attempt, status, error, response, duration_ms, delay_ms, counted, disable, pause_ms, n)
                     WHERE r.attempt > 0) u
             GROUP BY u.webhook) a;
    IF hooks IS NULL THEN
        RETURN;
    END IF;

    PERFORM chat.recover_webhooks(hooks, succeeded);
    INSERT INTO chat.webhook_state AS s (webhook, failure_count, first_failure_at, paused_until, last_error)
    SELECT a.webhook, a.failures, CASE WHEN a.failures > 0 THEN clock_timestamp() END,
           clock_timestamp() + a.pause * interval '1 ms', a.error
      FROM unnest(hooks, failures, pause, last_errors) AS a (webhook, failures, pause, error)
     WHERE a.failures > 0 OR a.pause IS NOT NULL OR a.error IS NOT NULL
    ON CONFLICT (webhook) DO UPDATE
       SET failure_count = s.failure_count + EXCLUDED.failure_count,
           first_failure_at = COALESCE(s.first_failure_at, EXCLUDED.first_failure_at),
           paused_until = GREATEST(s.paused_until, EXCLUDED.paused_until),
           last_error = COALESCE(EXCLUDED.last_error, s.last_error);

    SELECT jsonb_agg(jsonb_build_object('webhook', a.webhook, 'error', a.error, 'failures', COALESCE(s.failure_count, 0),
                                        'since', s.first_failure_at)) INTO judged
      FROM unnest(hooks, last_errors) AS a (webhook, error) LEFT JOIN chat.webhook_state s ON s.webhook = a.webhook;
    PERFORM chat.run_beside(NULL::jsonb, t.source, 'note_webhooks', judged, clock_timestamp() - interval '1 second')
       FROM chat.external_webhook_tables() t;

    SELECT array_agg(a.webhook), array_agg(a.reason) INTO hooks, reasons
      FROM (SELECT u.webhook,
                   COALESCE(u.reason, CASE WHEN u.failures > 0 AND s.first_failure_at < clock_timestamp() - interval '5 days'
                                           THEN 'every attempt has failed for 5 days' END) AS reason
              FROM unnest(hooks, failures, reasons) AS u (webhook, failures, reason)
              LEFT JOIN chat.webhook_state s ON s.webhook = u.webhook) a
     WHERE a.reason IS NOT NULL;
    IF hooks IS NOT NULL THEN
        PERFORM chat.disable_webhooks(hooks, reasons);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.judge_webhooks(chat.webhook_outcome[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.judge_webhooks(chat.webhook_outcome[]) IS 'Part of chat.webhook_save: counts failures, pauses endpoints, and disables those that asked for it or have failed for 5 days.';

CREATE FUNCTION chat.disable_webhooks(webhooks uuid[], reasons text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    source regclass;
    disabled record;
BEGIN
    UPDATE chat.webhook_state s SET failure_count = 0, first_failure_at = NULL, paused_until = NULL WHERE s.webhook = ANY (webhooks);
    FOR source IN SELECT s.source FROM chat.external_webhook_tables() s LOOP
        FOR disabled IN SELECT * FROM jsonb_array_elements(chat.run_beside(NULL::jsonb, source, 'disable_webhooks', webhooks, reasons)) AS d (hook)
        LOOP
            INSERT INTO chat.webhook_state AS s (webhook, disabled_at, disabled_reason)
            VALUES ((disabled.hook ->> 'id')::uuid, clock_timestamp(), disabled.hook ->> 'reason')
            ON CONFLICT (webhook) DO UPDATE SET disabled_at = EXCLUDED.disabled_at, disabled_reason = EXCLUDED.disabled_reason;
            PERFORM chat.tell('webhook.disabled', disabled.hook ->> 'owner', disabled.hook ->> 'owner', NULL, disabled.hook - 'owner');
        END LOOP;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.disable_webhooks(uuid[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.disable_webhooks(uuid[], text[]) IS 'Part of chat.webhook_save: turns webhooks off, with the reason on the row, in chat.webhook_state and in an event webhook.disabled {id, url, reason} to the owner''s inbox.';

CREATE FUNCTION chat.forget_webhooks(webhooks uuid[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    source regclass;
    gone uuid[] := webhooks;
BEGIN
    FOR source IN SELECT s.source FROM chat.external_webhook_tables() s LOOP
        gone := ARRAY(SELECT unnest(gone) EXCEPT SELECT unnest(chat.run_beside(NULL::uuid[], source, 'webhooks_there', webhooks)));
    END LOOP;
    IF FOUND THEN
        DELETE FROM chat.webhook_delivery d WHERE d.webhook = ANY (gone);
        DELETE FROM chat.webhook_state s WHERE s.webhook = ANY (gone);
        DELETE FROM chat.webhook_options o WHERE o.webhook = ANY (gone);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.forget_webhooks(uuid[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.forget_webhooks(uuid[]) IS 'Drops what was still to be delivered to those of the webhooks that no table has any more, and what else is kept of them.';

-- Clearing up, as parts of chat.maintain: what one of them cannot lock it leaves to the next time.

-- An attempt on its way into the default partition while one is attached would be refused there, or refuse it: the
-- table is locked against writing first. ATTACH locks the default partition all the same.
CREATE FUNCTION chat.make_attempt_partitions() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    day date;
    partition text;
BEGIN
    FOR i IN 0 .. 2 LOOP
        day := today + i;
        partition := 'webhook_attempt_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('chat.' || partition) IS NOT NULL;
        LOCK TABLE ONLY chat.webhook_attempt IN SHARE ROW EXCLUSIVE MODE;
        CONTINUE WHEN EXISTS (SELECT FROM chat.webhook_attempt_default d
                               WHERE d.at >= day::timestamp AT TIME ZONE 'UTC'
                                 AND d.at < (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXECUTE format('CREATE TABLE chat.%I (LIKE chat.webhook_attempt_default INCLUDING ALL EXCLUDING IDENTITY)', partition);
        EXECUTE format('REVOKE ALL ON chat.%I FROM PUBLIC', partition);
        EXECUTE format('ALTER TABLE chat.webhook_attempt ATTACH PARTITION chat.%I FOR VALUES FROM (%L) TO (%L)',
                       partition, day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.make_attempt_partitions() FROM PUBLIC;
COMMENT ON FUNCTION chat.make_attempt_partitions() IS 'Part of chat.maintain: makes the partitions of chat.webhook_attempt for today and the next two days; a day of which the default partition has rows stays there.';

CREATE FUNCTION chat.drop_attempt_partitions() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    oldest date := (clock_timestamp() AT TIME ZONE 'UTC')::date - 7;
    partition text;
BEGIN
    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'chat.webhook_attempt'::regclass AND c.relname ~ '^webhook_attempt_[0-9]{8}$'
           AND right(c.relname, 8) < to_char(oldest, 'YYYYMMDD') LOOP
        EXECUTE format('DROP TABLE chat.%I', partition);
    END LOOP;
    DELETE FROM chat.webhook_attempt_default d WHERE d.at < clock_timestamp() - interval '7 days';
END
$$;
REVOKE ALL ON FUNCTION chat.drop_attempt_partitions() FROM PUBLIC;
COMMENT ON FUNCTION chat.drop_attempt_partitions() IS 'Part of chat.maintain: drops the partitions of chat.webhook_attempt that are older than 7 days.';

CREATE FUNCTION chat.forget_deliveries() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.forget_webhooks(ARRAY(SELECT d.webhook FROM chat.webhook_delivery d UNION SELECT s.webhook FROM chat.webhook_state s
                                       UNION SELECT o.webhook FROM chat.webhook_options o));
    DELETE FROM chat.webhook_state s
     WHERE s.failure_count = 0 AND COALESCE(s.paused_until, '-infinity') < clock_timestamp() AND s.last_error IS NULL AND s.disabled_at IS NULL;
    -- Nobody waits any more for what a webhook missed that has been off this long.
    DELETE FROM chat.webhook_delivery d WHERE d.created_at < clock_timestamp() - interval '30 days';
END
$$;
REVOKE ALL ON FUNCTION chat.forget_deliveries() FROM PUBLIC;
COMMENT ON FUNCTION chat.forget_deliveries() IS 'Part of chat.maintain: forgets deliveries of webhooks that are gone, and those older than 30 days.';

CREATE FUNCTION chat.webhook_pending() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ SELECT count(*) FROM (SELECT FROM chat.webhook_delivery LIMIT 100000) d $$;
REVOKE ALL ON FUNCTION chat.webhook_pending() FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_pending() IS 'How many deliveries are stored and not done; counted up to 100000.';
