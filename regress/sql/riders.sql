-- A message's event and the conversation.updated that it caused are one row of the log, and two or three events to whoever
-- reads it, from every position, also from one between them. In a database of its own.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE DATABASE regress_riders;
\c regress_riders
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/read_log.sql'
\i :shared
\set shared :srcdir '/sql/shared/webhook_read.sql'
\i :shared
SELECT count(*) > 0 AS set_up FROM chat.setup() \g /dev/null
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
INSERT INTO conversations (id, user_id, contact_jid, assigned_agent_id) VALUES (1, :ann, '1@s', NULL), (2, :ann, '2@s', :bob);
SELECT chat.create_webhook(:ann, 'https://example.com/', '{*}') ->> 'id' AS hook \gset
SELECT max(id) AS mark FROM chat.events \gset
-- Rows and events since the mark: ids from the mark on.
CREATE FUNCTION news(mark bigint) RETURNS TABLE ("row" bigint, id bigint, topic text, event text, webhook text, changes jsonb) LANGUAGE sql AS $$
    SELECT e.row_id - mark, e.id - mark, e.topic, e.event, e.webhook, e.changes FROM chat.events e WHERE e.row_id > mark ORDER BY e.id $$;
\set QUIET off

-- Nobody beside the owner; an agent, too; a status change, an edit, a deletion.
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (1001, 1, 'incoming', 'one');
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (1002, 2, 'incoming', 'two');
UPDATE chat_messages SET status = 'read', content = 'two!' WHERE id = 1002;
UPDATE chat_messages SET content = 'two?' WHERE id = 1002;
DELETE FROM chat_messages WHERE id = 1002;
SELECT * FROM news(:mark);
SELECT count(*) FROM chat.event WHERE id > :mark;
-- One that is its own event, one that changes no counter, an agent that is the owner, and a private note.
UPDATE conversations SET contact_name = 'Eva' WHERE id = 1;
INSERT INTO chat_messages (id, conversation_id, direction, content, status, created_at) VALUES (1003, 1, 'outgoing', 'old', 'sent', '2020-01-01');
UPDATE conversations SET assigned_agent_id = :ann WHERE id = 1;
SELECT max(id) AS mark2 FROM chat.events \gset
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (1004, 1, 'incoming', 'four');
INSERT INTO chat_messages (id, conversation_id, direction, content, is_private_note) VALUES (1005, 1, 'outgoing', 'note', true);
SELECT * FROM news(:mark2);
-- A bulk statement: with the last message of each conversation. A row of the conversation itself after them: by itself.
SELECT max(id) AS mark3 FROM chat.events \gset
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'a'), (2, 'incoming', 'b'), (1, 'incoming', 'c');
WITH m AS (INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'd') RETURNING *)
UPDATE conversations SET contact_name = 'Bea' FROM m WHERE conversations.id = m.conversation_id;
SELECT * FROM news(:mark3);

-- Every reader sees the same events from every position, one by one and all at once.
CREATE FUNCTION by_readers(mark bigint) RETURNS TABLE (what text, events bigint, missed bigint, again bigint) LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint[] := ARRAY(SELECT e.id FROM chat.events e WHERE e.id > mark ORDER BY e.id);
    seen text := pg_current_snapshot()::text;
    got bigint[];
    place bigint;
    told text;
BEGIN
    FOREACH what IN ARRAY ARRAY['read_log', 'webhook_read'] LOOP
        FOR most IN 1 .. 4 LOOP
            got := '{}';
            place := mark;
            LOOP
                EXECUTE format('SELECT max(id) FILTER (WHERE n = 1), %L::bigint[] || array_agg(id ORDER BY n) FILTER (WHERE n > 1) FROM (SELECT r.id, row_number() OVER () AS n FROM %I(%s, %L, %s) r) r',
                               got, what, place, seen, most) INTO events, got;
                EXIT WHEN events = place;
                place := events;
            END LOOP;
            events := cardinality(ARRAY(SELECT DISTINCT unnest(got)));
            IF what = 'webhook_read' THEN
                wanted := ARRAY(SELECT e.id FROM chat.events e WHERE e.id > mark AND e.webhook IS NOT NULL ORDER BY e.id);
            END IF;
            missed := cardinality(ARRAY(SELECT unnest(wanted) EXCEPT SELECT unnest(got)));
            again := cardinality(got) - cardinality(ARRAY(SELECT DISTINCT unnest(got)));
            RETURN NEXT;
        END LOOP;
    END LOOP;
    FOR told IN SELECT DISTINCT e.topic FROM chat.events e WHERE e.id > mark ORDER BY 1 LOOP
        what := told;
        wanted := ARRAY(SELECT e.id FROM chat.events e WHERE e.id > mark AND e.topic = told);
        events := cardinality(wanted);
        missed := 0;
        -- From each id, in portions of one and of all: what comes after it.
        FOR i IN 0 .. (SELECT max(e.id) - mark FROM chat.events e) LOOP
            missed := missed + (SELECT count(*) FROM (SELECT unnest(wanted) AS id) w
                                 WHERE w.id > mark + i AND w.id NOT IN (SELECT s.id FROM chat.events_since(told, mark + i, 1000) s));
            missed := missed + (SELECT count(*) FROM (SELECT min(w) AS id FROM unnest(wanted) w WHERE w > mark + i HAVING count(*) > 0) w
                                 WHERE w.id NOT IN (SELECT s.id FROM chat.events_since(told, mark + i, 1) s));
        END LOOP;
        again := (SELECT count(*) FROM chat.events_since(told, mark, 1000)) - events;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM by_readers(:mark);
SELECT e.id - :mark AS id, a.id = e.id AS found FROM chat.events e LEFT JOIN chat.event_at(e.id) a ON true WHERE e.id > :mark AND a.id IS DISTINCT FROM e.id;
SELECT count(*) FROM chat.event_at(:mark + 1000);
-- The newest of each topic, of all, and lags.
SELECT t.topic, chat.newest_event(t.topic) = t.id AS newest FROM (SELECT topic, max(id) AS id FROM chat.events GROUP BY 1) t ORDER BY 1;
SELECT chat.last_event_id() = max(id) AS last, chat.ids_after(:mark) = max(id) - :mark AS lag, chat.ids_after(max(id) - 1) AS lag_within, chat.ids_after(max(id)) AS none,
       (chat.status() -> 'log' ->> 'lastId')::bigint = max(id) AS status FROM chat.events;

-- The last row's events are id, id + 1 and id + 2: a consumer is behind until it is past the last, and retention waits for it.
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'last');
SELECT chat.last_event_id() AS last \gset
INSERT INTO chat.consumer (name, last_id, snapshot) VALUES ('realtime', :last - 1, pg_current_snapshot());
SELECT consumer, lag, oldest_seconds > 0 AS waits, chat.event_partition_is_done('chat.event_0') AS done FROM chat.sidecar_stats();
UPDATE chat.consumer SET last_id = :last;
SELECT consumer, lag, oldest_seconds > 0 AS waits, chat.event_partition_is_done('chat.event_0') AS done FROM chat.sidecar_stats();
SELECT chat.set_consumer('realtime', false), chat.set_consumer('realtime', true);
SELECT last_id = :last AS at_the_end FROM chat.consumer;

-- A row that was late for a position within it: its events up to there are late, those beyond are fresh.
SELECT r.id - :last AS id, r.event FROM read_log(:last - 1, (SELECT format('%1$s:%1$s:', e.xid) FROM chat.events e WHERE e.id = :last), 100) r OFFSET 1;

-- Late rows of an inbox: written by a transaction that began before the one of after_id.
SELECT s.id - :last AS id, s.event FROM chat.events_since('user:aaaaaaaa-0000-4000-8000-000000000001:inbox', :last - 1, 100) s;

-- A webhook's delivery that is stored, and one that is sent again by hand.
SELECT chat.settle_webhooks(ARRAY[ROW(:'hook', :last - 1, 'evt_' || (:last - 1), 'conversation.updated', 'retry', false, 1, 500, 'x', NULL, 1, 1, true, NULL, NULL)]::chat.webhook_outcome[]) IS NOT NULL AS settled;
SELECT event_id - :last AS id, type, conversation, payload::jsonb -> 'unreadCount' AS unread FROM chat.webhook_delivery;

-- Ids are of one partition: those that would not be are left out.
SELECT chat.make_event_partition(1);
SELECT setval('chat.event_seq', (1::bigint << 32) - 2) > 0 AS moved;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'across');
SELECT tableoid::regclass AS partition, id - (1::bigint << 32) AS id FROM chat.event ORDER BY chat.event.id DESC LIMIT 1;
\set QUIET on
\c :home
DROP DATABASE regress_riders;
