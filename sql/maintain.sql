-- Retention and maintenance. Nothing here waits for a lock that others would then queue behind: what cannot be
-- locked at once is done the next time.

-- Writers open a partition by its name, once they have drawn an id of it. So a partition is made, and committed,
-- before the sequence is moved into it.
CREATE FUNCTION chat.make_event_partition(number bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    name text := 'event_' || number;
BEGIN
    IF to_regclass('chat.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- ATTACH lets others read and write chat.event meanwhile, CREATE TABLE ... PARTITION OF does not.
    EXECUTE format('CREATE TABLE chat.%I (LIKE chat.event_0 INCLUDING ALL)', name);
    EXECUTE format('REVOKE ALL ON chat.%I FROM PUBLIC', name);
    EXECUTE format('COMMENT ON TABLE chat.%I IS %L', name, 'Partition of the event log, made by chat.maintain.');
    EXECUTE format('ALTER TABLE chat.event ATTACH PARTITION chat.%I FOR VALUES FROM (%s) TO (%s)',
                   name, number << 32, (number + 1) << 32);
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.make_event_partition(bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_event_partition(bigint) IS 'Makes partition event_<number> of the log, for the ids from number * 2^32 on; false: it is there.';

CREATE FUNCTION chat.event_partitions() RETURNS TABLE (number bigint, relation regclass, oldest timestamptz, newest timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    FOR number, relation IN
        SELECT substr(c.relname, 7)::bigint, c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'chat.event'::regclass AND c.relname ~ '^event_[0-9]+$' ORDER BY 1
    LOOP
        EXECUTE format('SELECT (SELECT e.created_at FROM %1$s e ORDER BY e.id LIMIT 1), '
                       '(SELECT e.created_at FROM %1$s e ORDER BY e.id DESC LIMIT 1)', relation) INTO oldest, newest;
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.event_partitions() FROM PUBLIC;
COMMENT ON FUNCTION chat.event_partitions() IS 'The partitions of the log in order of ids, and the times of their first and last event; NULL for an empty one.';

CREATE FUNCTION chat.advance_event_partition() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    retention interval := chat.retention('retention');
    current bigint := (SELECT s.last_value >> 32 FROM chat.event_seq s);
    oldest timestamptz;
    next regclass;
BEGIN
    SELECT e.created_at INTO oldest FROM chat.event e WHERE e.id >= current << 32 ORDER BY e.id LIMIT 1;
    next := to_regclass('chat.event_' || current + 1);
    -- Not into one that this transaction made: nobody else could write there before it commits.
    IF next IS NOT NULL
       AND (oldest < clock_timestamp() - retention / 4 OR chat.committed_up_to() > current << 32
            OR oldest > clock_timestamp() + retention / 4) -- the clock was set back
       AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
                       AND l.relation = next AND l.mode = 'AccessExclusiveLock') THEN
        PERFORM setval('chat.event_seq', (current + 1) << 32, false);
        current := current + 1;
        RETURN QUERY SELECT 'chat.event_' || current, 'now written to'::text;
    END IF;
    FOR number IN current .. current + 1 LOOP
        IF chat.make_event_partition(number) THEN
            RETURN QUERY SELECT 'chat.event_' || number, 'partition created'::text;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.advance_event_partition() FROM PUBLIC;
COMMENT ON FUNCTION chat.advance_event_partition() IS 'Part of chat.maintain: moves the event ids into the next partition when the first event of the current one is a quarter of the retention away from now, or came with a restore, and makes the one after it.';

CREATE FUNCTION chat.event_partition_is_done(relation regclass) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
    SET max_parallel_workers_per_gather = 0 SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
DECLARE
    number bigint := (SELECT substr(c.relname, 7)::bigint FROM pg_class c WHERE c.oid = relation);
    last bigint := (SELECT max(v.id) FROM chat.events v
                     WHERE v.row_id = (SELECT e.id FROM chat.event e WHERE e.id >= number << 32 AND e.id < (number + 1) << 32 ORDER BY e.id DESC LIMIT 1));
BEGIN
    RETURN NOT EXISTS (SELECT FROM chat.consumer c
                        WHERE c.enabled AND c.rests_since IS NULL
                          AND (c.last_id < last OR chat.has_late_events(LEAST(c.last_id, last), c.snapshot, number << 32)));
END
$$;
REVOKE ALL ON FUNCTION chat.event_partition_is_done(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.event_partition_is_done(regclass) IS 'Whether every enabled consumer that does not rest is past all committed events of a partition, late ones included.';

-- The lock is only tried: readers of chat.event, and writers that have not committed, hold one that conflicts. Under
-- it nobody can add an event any more, so what every consumer has done then stays done.
CREATE FUNCTION chat.drop_event_partition(number bigint, relation regclass) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF NOT chat.event_partition_is_done(relation) THEN
        RETURN 'kept: a consumer is not past it';
    END IF;
    FOR attempt IN 1 .. 10 LOOP
        BEGIN
            IF number > 0 THEN
                LOCK TABLE ONLY chat.event IN ACCESS EXCLUSIVE MODE NOWAIT;
            END IF;
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', relation);
            IF NOT chat.event_partition_is_done(relation) THEN
                RETURN 'kept: a consumer is not past it';
            ELSIF number > 0 THEN
                EXECUTE format('DROP TABLE %s', relation);
                RETURN 'dropped';
            END IF;
            TRUNCATE chat.event_0;
            RETURN 'emptied';
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.02);
        END;
    END LOOP;
    RETURN 'kept: in use';
END
$$;
REVOKE ALL ON FUNCTION chat.drop_event_partition(bigint, regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.drop_event_partition(bigint, regclass) IS 'Part of chat.maintain: drops a partition whose retention is over, or empties event_0, which belongs to the extension; says what it did.';

CREATE FUNCTION chat.expire_events() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    current bigint := (SELECT s.last_value >> 32 FROM chat.event_seq s);
    over timestamptz := clock_timestamp() - chat.retention('retention');
    p record;
BEGIN
    -- A time that is yet to come was written before the clock was set back: the partition is as old as the ones after it.
    FOR p IN SELECT v.number, v.relation,
                    CASE WHEN v.newest > clock_timestamp() + interval '1 min'
                         THEN LEAST(v.newest, min(v.oldest) OVER (ORDER BY v.number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING))
                         ELSE v.newest END AS newest
               FROM chat.event_partitions() v ORDER BY v.number LOOP
        CONTINUE WHEN p.number >= current OR p.newest >= over OR (p.newest IS NULL AND p.number = 0);
        object := p.relation::text;
        action := chat.drop_event_partition(p.number, p.relation);
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.expire_events() FROM PUBLIC;
COMMENT ON FUNCTION chat.expire_events() IS 'Part of chat.maintain: drops partitions whose events are all older than chat_realtime.retention and done by every enabled consumer.';

CREATE FUNCTION chat.expire_audit_log() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    kept interval := chat.retention('audit_retention');
    gone bigint;
BEGIN
    IF kept = interval '0' THEN
        RETURN;
    END IF;
    DELETE FROM chat.audit_log a
     WHERE a.id IN (SELECT o.id FROM chat.audit_log o ORDER BY o.id LIMIT 10000)
       AND a.at < clock_timestamp() - kept;
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN
        RETURN QUERY SELECT 'chat.audit_log'::text, format('%s rows deleted', gone);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.expire_audit_log() FROM PUBLIC;
COMMENT ON FUNCTION chat.expire_audit_log() IS 'Part of chat.maintain: deletes rows of the audit log that are older than chat_realtime.audit_retention, 10,000 at a time.';

CREATE FUNCTION chat.retention(setting text) RETURNS interval
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.outer_role(); -- loads the library, which defines the settings
    RETURN current_setting('chat_realtime.' || setting)::interval;
END
$$;
REVOKE ALL ON FUNCTION chat.retention(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.retention(text) IS 'A setting of type time as an interval.';

CREATE FUNCTION chat.lock_event_ids(wait boolean) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF NOT wait THEN
        RETURN pg_try_advisory_xact_lock(7163378422610750314);
    END IF;
    PERFORM pg_advisory_xact_lock(7163378422610750314);
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.lock_event_ids(boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_event_ids(boolean) IS 'Until the end of the transaction nobody else moves the event ids on; false: somebody is doing it.';

-- Each part by itself: what one cannot do, whatever the error, is no reason to leave the others undone.
CREATE FUNCTION chat.maintain_for(caller regrole) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS
$$
DECLARE
    name text;
    reason text;
    hint text;
BEGIN
    PERFORM chat.require_operator(caller, 'consumer_save');
    IF NOT chat.lock_event_ids(false) THEN
        RETURN;
    END IF;
    FOR name IN SELECT m.part FROM chat.maintenance m ORDER BY m.place LOOP
        BEGIN
            RETURN QUERY EXECUTE format('SELECT p.object, p.action FROM chat.%I() p', name);
            reason := NULL;
        EXCEPTION
            WHEN lock_not_available THEN
                reason := format('put off: %s', SQLERRM);
            WHEN others THEN
                GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
                reason := format('failed: %s (%s)%s', SQLERRM, SQLSTATE, COALESCE('; ' || NULLIF(hint, ''), ''));
        END;
        IF reason IS NOT NULL THEN
            RETURN QUERY SELECT name, reason;
        END IF;
        UPDATE chat.maintenance m
           SET succeeded_at = CASE WHEN reason IS NULL THEN clock_timestamp() ELSE m.succeeded_at END,
               failed_at = CASE WHEN reason IS NULL THEN m.failed_at ELSE clock_timestamp() END, error = reason
         WHERE m.part = name;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.maintain_for(regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.maintain_for(regrole) IS 'chat.maintain for a caller.';

CREATE FUNCTION chat.maintain() RETURNS TABLE (object text, action text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: checks who asks
COMMENT ON FUNCTION chat.maintain() IS 'To be called now and then (the sidecar does): makes partitions of the event log and of webhook attempts ahead, drops those whose retention is over, clears up webhook deliveries and the audit log, recounts conversations whose messages'' partitions came or went; says what it did of the log, what it put off because it could not lock something within a second, and what failed and why; the others are done all the same, and chat.maintenance keeps when each was last done. Call it in a transaction of its own. Never waits for a writer.';

CREATE FUNCTION chat.set_consumer(name text, enabled boolean, "from" text DEFAULT 'now') RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF enabled IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'enabled must be true or false';
    END IF;
    IF "from" IS NULL OR "from" NOT IN ('now', 'beginning') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'from must be now or beginning',
            HINT = 'now: what commits from now on; beginning: all events that are kept, which are delivered again where they were, but to webhooks that have had them.';
    END IF;
    BEGIN
        PERFORM chat.add_consumer(name);
    EXCEPTION WHEN check_violation OR not_null_violation THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('there is no consumer "%s"', COALESCE(name, 'NULL')), HINT = 'Use realtime, webhooks or socketio.';
    END;
    -- What came while it was off is not delivered afterwards, unless asked for. With a new epoch whoever leads reads anew.
    UPDATE chat.consumer c
       SET enabled = $2, updated_at = clock_timestamp(),
           last_id = CASE WHEN $2 AND $3 = 'now' THEN GREATEST(c.last_id, chat.log_start($3)) WHEN $2 THEN chat.log_start($3) ELSE c.last_id END,
           snapshot = CASE WHEN $2 THEN pg_current_snapshot() ELSE c.snapshot END,
           epoch = c.epoch + 1, expires_at = '-infinity', owner = NULL, pid = NULL, backend_start = NULL,
           -- Its place is the one that was asked for, however long it has rested, or will not be led.
           rests_since = NULL, begins_anew = NULLIF($2 AND $3 = 'beginning', false)
     WHERE c.name = $1 AND (c.enabled <> $2 OR ($2 AND $3 = 'beginning'));
    IF FOUND THEN
        PERFORM chat.audit('consumer.changed', $1, jsonb_build_object('enabled', $2) || CASE WHEN $2 THEN jsonb_build_object('from', $3) ELSE '{}' END);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.set_consumer(text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.set_consumer(text, boolean, text) IS 'Turns a consumer of the log (realtime, webhooks, socketio) off, so that retention does not wait for it, or on: from the present on (now; where it is on nothing changes), or from the start of what is kept (beginning; also where it is on), which a webhook gets without what it has had. It may be called before a sidecar has run as it. Errors: 42704 for another name, 22004, 22023.';
