-- Reading the log: positions, leases and the doorbell, for the sidecar.

CREATE FUNCTION chat.log_start("from" text) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
BEGIN
    RETURN COALESCE(CASE WHEN "from" = 'beginning' THEN (SELECT min(e.id) - 1 FROM chat.event e) ELSE chat.last_event_id() END, 0);
END
$$;
REVOKE ALL ON FUNCTION chat.log_start(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.log_start(text) IS 'The id of a position, with the present snapshot, from which all that is kept is read (''beginning''), or only what commits from now on (''now'').';

-- Those that a sidecar runs as from the first time on begin together, each at its own time, with what is there.
CREATE FUNCTION chat.add_consumer(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF NOT EXISTS (SELECT FROM chat.consumer c WHERE c.name = $1) THEN
        INSERT INTO chat.consumer AS c (name, last_id, snapshot)
        SELECT $1, chat.log_start(CASE WHEN EXISTS (SELECT FROM chat.consumer o WHERE COALESCE(o.created_at, '-infinity') < clock_timestamp() - interval '1 min')
                                       THEN 'now' ELSE 'beginning' END), pg_current_snapshot()
            ON CONFLICT ON CONSTRAINT consumer_pkey DO NOTHING;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.add_consumer(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.add_consumer(text) IS 'Makes a consumer of the log where there is none of this name: at the start of what is kept, but at the present where another one was made more than a minute ago. Errors: 23514 for a name that is none.';

CREATE FUNCTION chat.consumer_acquire(consumer text, owner text, lease_ms integer)
    RETURNS TABLE (epoch bigint, last_id bigint, snapshot text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_column
DECLARE
    held chat.consumer;
BEGIN
    PERFORM chat.adopt_log();
    PERFORM chat.add_consumer(consumer);
    SELECT * INTO held FROM chat.consumer c WHERE c.name = $1 FOR NO KEY UPDATE;
    IF NOT held.enabled THEN
        RETURN;
    END IF;
    -- A holder whose session has ended has stopped, or is dead: nobody need wait for the lease to run out.
    IF held.expires_at > clock_timestamp() AND held.owner IS DISTINCT FROM $2
       AND EXISTS (SELECT FROM pg_stat_activity a
                    WHERE a.pid = held.pid AND a.backend_start = held.backend_start) THEN
        RETURN;
    END IF;
    -- A frozen holder's connection is kept alive by its kernel, and its locks with it: end it.
    PERFORM pg_terminate_backend(a.pid)
       FROM pg_stat_activity a
      WHERE a.pid = held.pid AND a.backend_start = held.backend_start
        AND a.pid <> pg_backend_pid() AND a.usename = session_user;
    RETURN QUERY
    UPDATE chat.consumer c
       SET owner = $2, pid = pg_backend_pid(), epoch = c.epoch + 1,
           backend_start = (SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()),
           expires_at = clock_timestamp() + lease_ms * interval '1 ms',
           updated_at = clock_timestamp(), rests_since = NULL, begins_anew = NULL,
           -- What sidecars delivered to their own endpoints for long is not delivered again.
           last_id = CASE WHEN c.rests_since < clock_timestamp() - interval '1 h' THEN GREATEST(c.last_id, chat.last_event_id()) ELSE c.last_id END,
           snapshot = CASE WHEN c.rests_since < clock_timestamp() - interval '1 h' THEN pg_current_snapshot() ELSE c.snapshot END
     WHERE c.name = $1
    RETURNING c.epoch, c.last_id, c.snapshot::text;
END
$$;
REVOKE ALL ON FUNCTION chat.consumer_acquire(text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.consumer_acquire(text, text, integer) IS 'Takes the lease of a consumer for lease_ms milliseconds and ends the session of the one that held it before. owner: unique text of the process. No row: another one leads, which is so until its lease runs out or its session ends, or the consumer is disabled. Each lease has a new epoch. After a restore or a fail-over it first mends the positions (chat.adopt_log). One that rested for more than an hour goes on at the present.';

CREATE FUNCTION chat.consumer_renew(consumer text, epoch bigint, lease_ms integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    UPDATE chat.consumer c
       SET expires_at = clock_timestamp() + $3 * interval '1 ms', updated_at = clock_timestamp()
     WHERE c.name = $1 AND c.epoch = $2;
    RETURN FOUND;
END
$$;
REVOKE ALL ON FUNCTION chat.consumer_renew(text, bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.consumer_renew(text, bigint, integer) IS 'Extends a lease to lease_ms milliseconds from now; false: it was lost.';

CREATE FUNCTION chat.consumer_release(consumer text, epoch bigint) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    UPDATE chat.consumer c SET expires_at = '-infinity', owner = NULL, pid = NULL, backend_start = NULL
     WHERE c.name = $1 AND c.epoch = $2
$$;
REVOKE ALL ON FUNCTION chat.consumer_release(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.consumer_release(text, bigint) IS 'Gives a lease back, so that another process can take it at once.';

CREATE FUNCTION chat.consumer_save(consumer text, epoch bigint, last_id bigint, snapshot text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    UPDATE chat.consumer c
       SET last_id = $3, snapshot = $4::pg_snapshot, updated_at = clock_timestamp()
     WHERE c.name = $1 AND c.epoch = $2;
    RETURN FOUND;
END
$$;
REVOKE ALL ON FUNCTION chat.consumer_save(text, bigint, bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.consumer_save(text, bigint, bigint, text) IS 'Saves a position under the lease''s epoch; false: the lease was lost and nothing is saved.';

-- Beside an endpoint of its own every sidecar reads the whole log. A leader that dies is replaced within 6 s.
CREATE FUNCTION chat.consumer_rest(consumer text) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    UPDATE chat.consumer c SET rests_since = clock_timestamp()
     WHERE c.name = $1 AND c.rests_since IS NULL AND c.begins_anew IS NOT TRUE AND c.expires_at < clock_timestamp() - interval '10 s'
$$;
REVOKE ALL ON FUNCTION chat.consumer_rest(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.consumer_rest(text) IS 'Said now and then by a sidecar that reads without a lease: if nobody has led the consumer for 10 s it rests, and neither retention nor an alarm waits for it until somebody takes the lease; but not one that chat.set_consumer has sent back to the beginning.';

CREATE FUNCTION chat.consumer_follow(consumer text, known_log text, known_id bigint, known_snapshot text)
    RETURNS TABLE (log text, last_id bigint, snapshot text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.adopt_log();
    INSERT INTO chat.consumer AS c (name, last_id, snapshot, rests_since)
        VALUES (consumer, COALESCE(chat.last_event_id(), 0), pg_current_snapshot(), clock_timestamp()) ON CONFLICT (name) DO NOTHING;
    PERFORM chat.consumer_rest(consumer);
    RETURN QUERY
    SELECT o.installation::text,
           CASE WHEN o.installation::text = known_log THEN known_id ELSE COALESCE(chat.last_event_id(), 0) END,
           CASE WHEN o.installation::text = known_log THEN known_snapshot ELSE pg_current_snapshot()::text END
      FROM chat.origin o;
END
$$;
REVOKE ALL ON FUNCTION chat.consumer_follow(text, text, bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.consumer_follow(text, text, bigint, text) IS 'Where a sidecar reads on that has no lease, and which log that is a place in: the present, or, where it knows a place in this same log (known_log, as an earlier call named it, known_id and known_snapshot), there. The first one makes the consumer, which rests then. After a restore or a fail-over it first mends the positions (chat.adopt_log).';

-- Statements on the log leave the planner nothing to choose: statistics of a log that few transactions wrote, or that
-- has few topics, make it read all of the log otherwise. Each condition fits one index, the one that is meant; a column
-- of another index stands in an expression ("id + 0", a row of topic and id); "OFFSET 0" keeps outer conditions, joins
-- and orders outside; and the functions have sequential and bitmap scans turned off.

-- A position may lie within a row's events. Inlined into its callers, whose settings it needs.
CREATE FUNCTION chat.fresh_events(last_id bigint, max_rows integer) RETURNS SETOF chat.told_event
    LANGUAGE sql STABLE AS
$$ SELECT v.* FROM chat.events v WHERE v.row_id > $1 - 2 AND v.id > $1 ORDER BY v.row_id LIMIT $2 $$;
REVOKE ALL ON FUNCTION chat.fresh_events(bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.fresh_events(bigint, integer) IS 'At most max_rows events with ids above last_id, in the order of their ids.';

-- Inlined likewise.
CREATE FUNCTION chat.event_at(id bigint) RETURNS SETOF chat.told_event
    LANGUAGE sql STABLE ROWS 1 AS
$$ SELECT v.* FROM chat.events v WHERE v.row_id BETWEEN $1 - 2 AND $1 AND v.id = $1 $$;
REVOKE ALL ON FUNCTION chat.event_at(bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.event_at(bigint) IS 'The event with this id, if it is in the log.';

CREATE FUNCTION chat.last_event_id() RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT max(v.id) FROM chat.events v WHERE v.row_id >= (SELECT max(e.id) FROM chat.event e) $$;
REVOKE ALL ON FUNCTION chat.last_event_id() FROM PUBLIC;
COMMENT ON FUNCTION chat.last_event_id() IS 'Id of the newest event; NULL: the log is empty.';

CREATE FUNCTION chat.has_late_events(last_id bigint, seen pg_snapshot, first_id bigint) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_has_late_events';
REVOKE ALL ON FUNCTION chat.has_late_events(bigint, pg_snapshot, bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.has_late_events(bigint, pg_snapshot, bigint) IS 'Whether a position has late events with ids from first_id to last_id: written by a transaction that seen did not see (in progress then, or at or above its xmax), and visible now.';

CREATE FUNCTION chat.read_log(last_id bigint, snapshot text, target text, late_id bigint, max_rows integer, max_bytes integer, flags integer)
    RETURNS SETOF bytea LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_read_log';
REVOKE ALL ON FUNCTION chat.read_log(bigint, text, text, bigint, integer, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.read_log(bigint, text, text, bigint, integer, integer, integer) IS 'What came since a position, ready to be sent, in pieces whose form extension/log_answer.h describes: about max_rows events or max_bytes bytes, or fewer with more to come. target and late_id: where an answer before had them, else NULL. flags: 1 arms the doorbell where nothing came, 2 makes messages private, 4 gives what webhooks get, as their bodies, 8 what goes to Socket.IO. A call lets go of the doorbell first. Errors: 22004, 22023, 22P02.';

CREATE FUNCTION chat.sidecar_protocol() RETURNS integer LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_sidecar_protocol';
REVOKE ALL ON FUNCTION chat.sidecar_protocol() FROM PUBLIC;
COMMENT ON FUNCTION chat.sidecar_protocol() IS 'The version of the agreement between extension and sidecar: of the functions that the sidecar calls, and of what they answer.';

CREATE FUNCTION chat.arm() RETURNS boolean LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_arm';
REVOKE ALL ON FUNCTION chat.arm() FROM PUBLIC;
COMMENT ON FUNCTION chat.arm() IS 'Tries to arm the doorbell: while this session holds it, transactions that write events send NOTIFY chat_realtime. False: writers are committing, read again.';

CREATE FUNCTION chat.disarm() RETURNS void LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_disarm';
REVOKE ALL ON FUNCTION chat.disarm() FROM PUBLIC;
COMMENT ON FUNCTION chat.disarm() IS 'Disarms the doorbell of this session.';

CREATE FUNCTION chat.sidecar_stats() RETURNS TABLE (consumer text, lag bigint, oldest_seconds double precision)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
    SELECT c.name, chat.ids_after(c.last_id),
           COALESCE(EXTRACT(epoch FROM clock_timestamp() -
               (SELECT e.created_at FROM chat.fresh_events(c.last_id, 1) e)), 0)::float8
      FROM chat.consumer c
     WHERE c.enabled AND c.rests_since IS NULL
     ORDER BY c.name
$$;
REVOKE ALL ON FUNCTION chat.sidecar_stats() FROM PUBLIC;
COMMENT ON FUNCTION chat.sidecar_stats() IS 'Per consumer that is enabled and does not rest: how many ids it is behind, and the age in seconds of the oldest event it has not done.';

-- A topic's rows by the three indexes that begin with a topic's hash. An inbox is told with the rows of messages too: two ids of
-- theirs may lie before after_id, which then has to be seen past. Inlined likewise.
CREATE FUNCTION chat.rows_of_topic(topic text, after_id bigint, max_rows integer) RETURNS SETOF bigint
    LANGUAGE sql STABLE AS
$$
    (SELECT e.id FROM chat.event e
      WHERE (pg_catalog.hashtextextended(e.topic, 0), e.id) > (pg_catalog.hashtextextended($1, 0), $2)
        AND pg_catalog.hashtextextended(e.topic, 0) <= pg_catalog.hashtextextended($1, 0) AND e.topic = $1 AND e.expires_at IS NULL
      ORDER BY pg_catalog.hashtextextended(e.topic, 0), e.id LIMIT $3)
    UNION ALL
    (SELECT e.id FROM chat.event e
      WHERE (pg_catalog.hashtextextended(e.inbox, 0), e.id) > (pg_catalog.hashtextextended($1, 0), $2 - 2)
        AND pg_catalog.hashtextextended(e.inbox, 0) <= pg_catalog.hashtextextended($1, 0) AND e.inbox = $1
      ORDER BY pg_catalog.hashtextextended(e.inbox, 0), e.id LIMIT $3 + 2)
    UNION ALL
    (SELECT e.id FROM chat.event e
      WHERE (pg_catalog.hashtextextended(e.agent_inbox, 0), e.id) > (pg_catalog.hashtextextended($1, 0), $2 - 2)
        AND pg_catalog.hashtextextended(e.agent_inbox, 0) <= pg_catalog.hashtextextended($1, 0) AND e.agent_inbox = $1
      ORDER BY pg_catalog.hashtextextended(e.agent_inbox, 0), e.id LIMIT $3 + 2)
$$;
REVOKE ALL ON FUNCTION chat.rows_of_topic(text, bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.rows_of_topic(text, bigint, integer) IS 'Part of chat.events_since: rows of the log that have events of a topic above after_id, all that max_rows of these can be in; presence left out.';

-- Catch-up for clients. On inbox topics ids of different conversations can commit out of order: rows below
-- after_id whose writer may still have been running when row after_id was written are returned again. Their
-- xids lie between the two kept in that row, so they are found by the index on xid, however long the topic is.
-- Those of its own transaction committed with it, and came before it.
CREATE FUNCTION chat.events_after(topic text, after_id bigint, max_rows integer)
    RETURNS TABLE (id bigint, event text, payload text, created_at timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0 SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
#variable_conflict use_column
DECLARE
    anchor record;
    restored bigint := chat.committed_up_to();
BEGIN
    SELECT e.xid, e.snapshot_xmin, e.next_xid INTO anchor FROM chat.event_at($2) e;
    RETURN QUERY
    WITH late AS MATERIALIZED (
        SELECT e.id, e.event, e.payload, e.created_at, e.topic, e.expires_at
          FROM chat.events e
         WHERE e.xid >= anchor.snapshot_xmin AND e.xid < anchor.xid AND e.id < $2
           AND ($2 <= restored OR e.id > restored)
        UNION ALL
        SELECT e.id, e.event, e.payload, e.created_at, e.topic, e.expires_at
          FROM chat.events e
         WHERE e.xid > anchor.xid AND e.xid < anchor.next_xid AND e.id < $2
           AND ($2 <= restored OR e.id > restored)
    ), fresh AS (
        SELECT e.id, e.event, e.payload, e.created_at
          FROM chat.rows_of_topic($1, $2, $3) found
         CROSS JOIN LATERAL (SELECT * FROM chat.events v WHERE v.row_id = found AND v.topic = $1 AND v.id > $2 OFFSET 0) e
         ORDER BY e.id LIMIT $3
    )
    SELECT r.id, r.event, r.payload, r.created_at
      FROM (SELECT l.id, l.event, l.payload, l.created_at FROM late l WHERE l.topic = $1 AND l.expires_at IS NULL
            UNION ALL SELECT * FROM fresh) r
     ORDER BY r.id;
END
$$;
REVOKE ALL ON FUNCTION chat.events_after(text, bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.events_after(text, bigint, integer) IS 'Part of chat.events_since and chat.replay: the events, whoever asks.';

CREATE FUNCTION chat.events_since(topic text, after_id bigint, max_rows integer DEFAULT 100)
    RETURNS TABLE (id bigint, event text, payload jsonb, created_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_column
BEGIN
    IF topic IS NULL OR after_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'topic and after_id must not be NULL',
            HINT = 'Pass 0 as after_id to read from the start of what is kept.';
    END IF;
    IF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'max_rows must be from 1 to 1000';
    END IF;
    PERFORM chat.require_attached();
    IF NOT chat.is_service_caller() AND NOT chat.can_join($1) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('topic "%s" may not be read by this user', left($1, 246));
    END IF;
    RETURN QUERY SELECT e.id, e.event, e.payload::jsonb, e.created_at FROM chat.events_after($1, $2, $3) e ORDER BY e.id;
END
$$;
REVOKE ALL ON FUNCTION chat.events_since(text, bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.events_since(text, bigint, integer) IS 'Events of a topic after an id, for a client that was away: at most max_rows (1 to 1000), and beyond that, rows below after_id that may have committed after it; clients drop ids they know. Presence is left out. Errors: 42501 for a topic the caller may not join, 22004, 22023.';

-- The end of a topic's range of the index: "=" would make its order that of ids, which the index on id has, too.
CREATE FUNCTION chat.newest_event(topic text) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
BEGIN
    RETURN (SELECT max(v.id)
              FROM ((SELECT e.id FROM chat.event e
                      WHERE hashtextextended(e.topic, 0) >= hashtextextended($1, 0)
                        AND hashtextextended(e.topic, 0) <= hashtextextended($1, 0) AND e.topic = $1
                      ORDER BY hashtextextended(e.topic, 0) DESC, e.id DESC LIMIT 1)
                    UNION ALL
                    (SELECT e.id FROM chat.event e
                      WHERE hashtextextended(e.inbox, 0) >= hashtextextended($1, 0)
                        AND hashtextextended(e.inbox, 0) <= hashtextextended($1, 0) AND e.inbox = $1
                      ORDER BY hashtextextended(e.inbox, 0) DESC, e.id DESC LIMIT 1)
                    UNION ALL
                    (SELECT e.id FROM chat.event e
                      WHERE hashtextextended(e.agent_inbox, 0) >= hashtextextended($1, 0)
                        AND hashtextextended(e.agent_inbox, 0) <= hashtextextended($1, 0) AND e.agent_inbox = $1
                      ORDER BY hashtextextended(e.agent_inbox, 0) DESC, e.id DESC LIMIT 1)) newest
             CROSS JOIN LATERAL (SELECT * FROM chat.events v WHERE v.row_id = newest.id AND v.topic = $1 OFFSET 0) v);
END
$$;
REVOKE ALL ON FUNCTION chat.newest_event(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.newest_event(text) IS 'Id of a topic''s newest event; NULL: there is none.';

-- The same, of several.
CREATE FUNCTION chat.newest_events(topic text, since timestamptz, max_rows integer)
    RETURNS TABLE (id bigint, event text, payload text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
    SET max_parallel_workers_per_gather = 0 SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT r.id, r.event, r.payload
      FROM (SELECT v.id, v.event, v.payload, v.created_at
              FROM ((SELECT e.id FROM chat.event e
                      WHERE hashtextextended(e.topic, 0) >= hashtextextended($1, 0)
                        AND hashtextextended(e.topic, 0) <= hashtextextended($1, 0) AND e.topic = $1 AND e.expires_at IS NULL
                      ORDER BY hashtextextended(e.topic, 0) DESC, e.id DESC LIMIT $3)
                    UNION ALL
                    (SELECT e.id FROM chat.event e
                      WHERE hashtextextended(e.inbox, 0) >= hashtextextended($1, 0)
                        AND hashtextextended(e.inbox, 0) <= hashtextextended($1, 0) AND e.inbox = $1
                      ORDER BY hashtextextended(e.inbox, 0) DESC, e.id DESC LIMIT $3)
                    UNION ALL
                    (SELECT e.id FROM chat.event e
                      WHERE hashtextextended(e.agent_inbox, 0) >= hashtextextended($1, 0)
                        AND hashtextextended(e.agent_inbox, 0) <= hashtextextended($1, 0) AND e.agent_inbox = $1
                      ORDER BY hashtextextended(e.agent_inbox, 0) DESC, e.id DESC LIMIT $3)) newest
             CROSS JOIN LATERAL (SELECT * FROM chat.events v WHERE v.row_id = newest.id AND v.topic = $1 OFFSET 0) v
             ORDER BY v.id DESC LIMIT $3) r
     WHERE r.created_at >= $2
     ORDER BY r.id;
END
$$;
REVOKE ALL ON FUNCTION chat.newest_events(text, timestamptz, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.newest_events(text, timestamptz, integer) IS 'Part of chat.replay: the newest max_rows events of a topic, those of since and later, in the order of their ids; presence left out.';
