-- chat.read_log: what it answers, limits, late events in portions, the doorbell, what it refuses.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/read_log.sql'
\i :shared
\set QUIET off
SELECT chat.sidecar_protocol();
SELECT pg_current_snapshot() AS seen \gset
SELECT count(chat.emit('read:' || g, CASE WHEN g = 3 THEN 'conversation.updated' ELSE 'e' END, NULL, 'c' || g, NULL, jsonb_build_object('n', g))) FROM generate_series(1, 5) g;
SELECT min(id) - 1 AS start FROM chat.event WHERE topic LIKE 'read:%' \gset

-- A header and events, as the sidecar sends them.
SELECT armed, more, events, id - :start AS last, next_snapshot = pg_current_snapshot()::text AS present, next_target, next_late_id, abs(extract(epoch FROM clock_timestamp() - created_at)) < 60 AS its_time
  FROM read_log(:start, pg_current_snapshot()::text) LIMIT 1;
SELECT r.id - :start AS id, r.topic, r.event, r.conversation, r.state, r.expires_at, r.payload, r.message - 'id' AS message, (r.message ->> 'id')::bigint = r.id AS its_id, r.created_at = e.created_at AS its_time
  FROM read_log(:start, pg_current_snapshot()::text) r JOIN chat.event e ON e.id = r.id WHERE r.topic IS NOT NULL ORDER BY r.id;
SELECT DISTINCT message -> 'private' FROM read_log(:start, pg_current_snapshot()::text, flags => 0) OFFSET 1;

-- Limits: of rows, of bytes (always at least one event), and the end.
SELECT more, events, id - :start AS last FROM read_log(:start, pg_current_snapshot()::text, 3) LIMIT 1;
SELECT more, events, id - :start AS last FROM read_log(:start + 3, pg_current_snapshot()::text, 3) LIMIT 1;
SELECT more, events, id - :start AS last FROM read_log(:start, pg_current_snapshot()::text, max_bytes => 1) LIMIT 1;
SELECT armed, more, events, id - :start AS last FROM read_log(:start + 5, pg_current_snapshot()::text, 3);

-- What the snapshot did not see comes first, in portions; what is fresh waits, and so does the position.
SELECT count(chat.emit('read:late', 'e', NULL, NULL, NULL, '{}')) FROM generate_series(1, 1);
SELECT armed, more, events, id - :start AS last, next_snapshot = :'seen' AS still, next_target IS NOT NULL AS late, next_late_id - :start AS late_id, next_target AS target
  FROM read_log(:start + 5, :'seen', 2) LIMIT 1 \gset
\echo :armed :more :events :last :still :late :late_id
SELECT id - :start AS id FROM read_log(:start + 5, :'seen', 2) OFFSET 1;
SELECT id - :start AS id, more, events, next_late_id - :start AS late_id FROM read_log(:start + 5, :'seen', 2, target => :'target', late_id => :start + 2);
-- A session that does not have the places finds the same.
\c -
SELECT id - :start AS id, more, events, next_late_id - :start AS late_id FROM read_log(:start + 5, :'seen', 2, target => :'target', late_id => :start + 2);
-- Those were all, though the portion was full.
SELECT id - :start AS last, more, events, next_snapshot = :'target' AS moved, next_target FROM read_log(:start + 5, :'seen', 2, target => :'target', late_id => :start + 5);
SELECT id - :start AS id, more, events FROM read_log(:start + 5, :'target', 2);
-- In one answer, where there is room.
SELECT id - :start AS id, more, events FROM read_log(:start + 5, :'seen');
-- None of them is late where they came with a restore.
BEGIN;
UPDATE chat.origin SET committed_up_to = :start + 4;
SELECT id - :start AS id, more, events FROM read_log(:start + 5, :'seen');
ROLLBACK;

-- Presence says until when it is of use.
SELECT chat.emit('read:x', 'presence.typing', NULL, NULL, NULL, '{}', '5 s') > 0 AS emitted;
SELECT topic, state, expires_at - created_at BETWEEN '4 s' AND '5 s' AS its_time FROM read_log(:start + 6, pg_current_snapshot()::text) OFFSET 1;

-- A topic and a name that must be escaped, and a payload longer than a piece.
SELECT chat.emit(E'read:"\\\n', 'e', NULL, NULL, NULL, jsonb_build_object('long', repeat('x', 100000))) > 0 AS emitted;
SELECT chat.emit('read:y', E'"e"\\\t', NULL, NULL, NULL, '{"after": true}') > 0 AS emitted;
SELECT topic, message ->> 'topic' = E'read:"\\\n' AS meant, event, message ->> 'event' = E'"e"\\\t' AS named, length(payload::text) FROM read_log(:start + 7, pg_current_snapshot()::text) OFFSET 1;
-- Positions that no reader has: below all ids, and the last there can be. Late events are told in portions there, too.
SELECT id > 0 AS moved, events > 0 AS told FROM read_log((-9223372036854775808)::bigint, pg_current_snapshot()::text) LIMIT 1;
SELECT next_late_id > 0 AS moved, events FROM read_log(9223372036854775807, '1:1:', 1) LIMIT 1;
-- What never ends has no time at which it does.
BEGIN;
UPDATE chat.event SET expires_at = 'infinity' WHERE topic = 'read:y';
SELECT expires_at IS NULL AS never FROM read_log(:start + 8, pg_current_snapshot()::text) WHERE topic = 'read:y';
ROLLBACK;

-- Late is what the target has and the position had not: not what runs in it too, nor what begins after it.
\set QUIET on
SELECT chat.emit('read:late', 'e', NULL, NULL, NULL, '{}') AS e \gset
SELECT chat.emit('read:late', 'e', NULL, NULL, NULL, '{}') AS e \gset
SELECT chat.emit('read:late', 'e', NULL, NULL, NULL, '{}') AS e \gset
\set QUIET off
SELECT max(id) AS last, array_agg(xid::text ORDER BY id) AS x FROM chat.event WHERE topic = 'read:late' \gset
CREATE FUNCTION late(last bigint, seen text, target text, start bigint) RETURNS bigint[] LANGUAGE sql AS
$$ SELECT array_agg(id - start ORDER BY id) FROM read_log(last, seen, target => target, late_id => start + 5) WHERE topic IS NOT NULL $$;
SELECT late(:last, :'seen', format('%s:%s:%s', x[2], x[4], x[2]), :start) AS second_runs, late(:last, :'seen', format('%s:%s:%s,%s', x[1], x[4], x[1], x[3]), :start) AS first_and_third,
       late(:last, :'seen', format('%s:%s:%s,%s', x[2], x[4], x[2], x[3]), :start) AS second_and_third FROM (SELECT :'x'::xid8[] AS x) t;
DROP FUNCTION late;

-- A damaged row: what cannot be told is left out, the others come.
BEGIN;
UPDATE chat.event SET inbox = 'user:x:inbox' WHERE id = :start + 5;
SELECT id - :start AS id, topic FROM read_log(:start + 4, pg_current_snapshot()::text) WHERE topic IS NOT NULL ORDER BY id;
ROLLBACK;

-- For webhooks: bodies of what they get, with the owner; a conversation that is closed is one event more.
SELECT max(id) AS last FROM chat.events \gset
SELECT count(chat.emit_change('conversation:7', e.name, e.owner, '7', e.webhook, jsonb_build_object('n', e.n), NULL, e.changes, NULL)) FROM (VALUES
    (1, 'message.new', 'ann', 'message.received', NULL::jsonb), (2, 'message.new', 'ann', NULL, NULL), (3, 'message.new', NULL, 'message.sent', NULL),
    (4, 'conversation.updated', 'bob', 'conversation.updated', '{"status": {"old": "open", "new": "resolved"}}'),
    (5, 'conversation.updated', 'bob', 'conversation.updated', '{"status": {"old": "resolved", "new": "open"}}'),
    (6, 'conversation.updated', 'bob', 'conversation.updated', '{"status": "resolved"}'), (7, 'message.status', 'bob', 'message.status', '{"status": {"new": "resolved"}}')) e (n, name, owner, webhook, changes);
SELECT armed, more, events, id - :last AS last FROM read_log(:last, pg_current_snapshot()::text, flags => 4) LIMIT 1;
SELECT r.id - :last AS id, r.owner, r.conversation, r.event, r.closed, r.state, r.payload, replace(r.message ->> 'id', r.id::text, 'N') AS message_id, r.message ->> 'event' = r.event AS same,
       r.message ->> 'timestamp' = to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS its_time, (SELECT count(*) FROM jsonb_object_keys(r.message)) AS keys
  FROM read_log(:last, pg_current_snapshot()::text, flags => 4) r JOIN chat.events e ON e.id = r.id WHERE r.event IS NOT NULL ORDER BY r.id, r.closed;
SELECT armed, more, events, id - :last AS last FROM read_log(:last + 7, pg_current_snapshot()::text, flags => 5);

-- The doorbell: armed where nothing came, and let go of by the next call; not where something came.
SELECT max(id) AS last FROM chat.event \gset
CREATE FUNCTION armed() RETURNS bigint LANGUAGE sql AS
$$ SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND pid = pg_backend_pid() $$;
SELECT r.armed, r.events FROM read_log(:last, pg_current_snapshot()::text, flags => 1) r;
SELECT armed();
SELECT chat.arm(), armed();
SELECT r.armed, r.events FROM read_log(:last, pg_current_snapshot()::text, flags => 0) r;
SELECT armed();
SELECT r.armed, r.events FROM read_log(:last - 1, pg_current_snapshot()::text, flags => 1) r LIMIT 1;
SELECT armed();

-- Calls within a call, and one that is not read to its end.
SELECT count(*) FROM read_log(:start, pg_current_snapshot()::text) a CROSS JOIN LATERAL read_log(a.id - 1, pg_current_snapshot()::text, 1) b;
SELECT count(*) >= 1 AS same FROM chat.read_log(:start, pg_current_snapshot()::text, NULL, NULL, 1000, 1000000, 2) a, chat.read_log(:start, pg_current_snapshot()::text, NULL, NULL, 1000, 1000000, 2) b WHERE a = b;
BEGIN;
DECLARE half CURSOR FOR SELECT length(chat.read_log(:start, pg_current_snapshot()::text, NULL, NULL, 1000, 1000000, 2)) > 0;
FETCH 1 FROM half;
SELECT count(*) > 1 FROM chat.read_log(:start, pg_current_snapshot()::text, NULL, NULL, 1000, 1000000, 2);
CLOSE half;
COMMIT;

-- Refused.
\set VERBOSITY sqlstate
SELECT chat.read_log(0, 'x', NULL, NULL, 10, 10, 0);
SELECT chat.read_log(0, '1:1:', 'y', 0, 10, 10, 0);
SELECT chat.read_log(0, NULL, NULL, NULL, 10, 10, 0);
SELECT chat.read_log(0, '1:1:', NULL, NULL, 0, 10, 0);
SELECT chat.read_log(0, '1:1:', NULL, NULL, 10, 100000000, 0);
\set VERBOSITY terse
BEGIN;
DROP INDEX chat.event_0_xid_idx;
SELECT chat.read_log(5, '1:1:', NULL, NULL, 10, 10, 0);
ROLLBACK;
DROP FUNCTION read_log, armed, number_of, words_of;

-- Rows of several events, from every position between them, fresh and late: the same as chat.events has.
\set QUIET on
CREATE DATABASE regress_read_log;
\c regress_read_log
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SELECT count(*) AS done FROM chat.setup() \gset
\i :shared
\set QUIET off
SELECT pg_current_snapshot() AS seen \gset
INSERT INTO conversations (id, user_id, assigned_agent_id, contact_jid) VALUES
    (1, 'aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000002', '1@s.whatsapp.net'), (2, 'aaaaaaaa-0000-4000-8000-000000000001', NULL, '2@s.whatsapp.net');
INSERT INTO chat_messages (conversation_id, direction, content) SELECT 1 + g % 2, 'incoming', 'm' || g FROM generate_series(1, 6) g;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'one');
SELECT count(*) AS events, count(DISTINCT row_id) AS rows FROM chat.events;
CREATE FUNCTION differs(last bigint, seen text, max_rows integer) RETURNS TABLE (id bigint, told boolean) LANGUAGE sql AS $$
    SELECT COALESCE(r.id, e.id), r.id IS NOT NULL
      FROM (SELECT r.* FROM read_log(last, seen, max_rows) r WHERE r.topic IS NOT NULL) r
      FULL JOIN (SELECT * FROM chat.events e WHERE (e.id > last OR NOT pg_visible_in_snapshot(e.xid, seen::pg_snapshot))
                  AND e.id <= (SELECT max(r.id) FROM read_log(last, seen, max_rows) r)) e
        ON e.id = r.id AND e.topic = r.topic AND e.event = r.event AND e.payload::jsonb = r.payload AND e.conversation = r.conversation
     WHERE r.id IS NULL OR e.id IS NULL $$;
-- What webhooks get of them.
SELECT array_agg(r.id ORDER BY r.id) = (SELECT array_agg(e.id ORDER BY e.id) FROM chat.events e WHERE e.webhook IS NOT NULL) AS ids, bool_and(r.event = e.webhook AND r.owner = e.owner AND r.payload = e.payload::jsonb) AS same
  FROM read_log(0, pg_current_snapshot()::text, flags => 4) r JOIN chat.events e ON e.id = r.id WHERE r.event IS NOT NULL;
SELECT last, rows, d.* FROM generate_series(0, (SELECT max(id) FROM chat.events)) last, unnest(ARRAY[1, 2, 3, 1000]) rows, differs(last, pg_current_snapshot()::text, rows) d;
SELECT last, d.* FROM generate_series(0, (SELECT max(id) FROM chat.events)) last, differs(last, :'seen', 1000) d;
-- In portions of one row, from the first to the last: each once, late ones in order.
CREATE FUNCTION walk(last bigint, seen text) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
    target text;
    late bigint;
    r record;
    go_on boolean := true;
BEGIN
    WHILE go_on LOOP
        FOR r IN SELECT * FROM read_log(last, seen, 1, target => target, late_id => late) LOOP
            IF r.topic IS NULL THEN
                last := r.id; seen := r.next_snapshot; target := r.next_target; late := r.next_late_id; go_on := r.more;
            ELSE
                RETURN NEXT r.id;
            END IF;
        END LOOP;
    END LOOP;
END $$;
SELECT last, array_agg(w) = (SELECT array_agg(e.id ORDER BY e.id) FROM chat.events e WHERE e.id > last) AS fresh FROM generate_series(0, 4) last, walk(last, pg_current_snapshot()::text) w GROUP BY last ORDER BY last;
SELECT last, array_agg(w) = (SELECT array_agg(e.id ORDER BY e.id) FROM chat.events e) AS all FROM generate_series(0, (SELECT max(id) FROM chat.events)) last, walk(last, :'seen') w GROUP BY last ORDER BY last;
-- A time that no calendar has
BEGIN;
INSERT INTO chat.event (id, xid, snapshot_xmin, next_xid, created_at, topic, event, webhook, payload)
    VALUES (1000000, pg_current_xact_id(), '1', '1', '-infinity', 'read:never', 'e', 'e', '{}');
SELECT * FROM read_log(0, pg_current_snapshot()::text, flags => 4);
ROLLBACK;
-- A partition that is gone before its late rows were asked for
SELECT chat.make_event_partition(1);
INSERT INTO chat.event (id, xid, snapshot_xmin, next_xid, created_at, topic, event, payload)
    SELECT 4294967296 + n, pg_current_xact_id(), '1', '1', now(), 'read:gone', 'e', '{}' FROM generate_series(0, 4) n;
SELECT count(*) - 3 AS others FROM read_log(4294967300, :'seen') WHERE topic IS NOT NULL \gset
SELECT next_target AS target, next_late_id AS late FROM read_log(4294967300, :'seen', 3) WHERE next_target IS NOT NULL \gset
DROP TABLE chat.event_1;
SELECT :others - count(topic) AS missing, max(next_snapshot) = :'target' AS moved FROM read_log(4294967300, :'seen', target => :'target', late_id => :late) r;
\set QUIET on
\c contrib_regression
DROP DATABASE regress_read_log;
