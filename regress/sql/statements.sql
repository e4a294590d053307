-- Every kind of statement keeps the rules, in surroundings that are not friendly.
\set QUIET on
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA statements;
SELECT count(*) > 0 AS set_up FROM chat.setup('statements');
SET search_path = statements;
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
INSERT INTO conversations (id, user_id, contact_jid) SELECT g, :ann, g || '@s.whatsapp.net' FROM generate_series(1, 200) g;
CREATE VIEW wrong AS SELECT * FROM chat.drifted((SELECT a FROM chat.attachment a WHERE messages = 'statements.chat_messages'::regclass)) d;
CREATE VIEW state AS SELECT id, unread_count AS unread, last_message_preview AS preview FROM conversations WHERE id <= 4 ORDER BY id;
CREATE TABLE mark AS SELECT COALESCE(max(id), 0) AS id FROM chat.events;
CREATE FUNCTION news() RETURNS TABLE (topic text, event text, content text, unread int) LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := (SELECT max(e.id) FROM chat.events e);
BEGIN
    RETURN QUERY SELECT e.topic, e.event, e.payload::jsonb ->> 'content', (e.payload::jsonb ->> 'unreadCount')::int
      FROM chat.events e, statements.mark m WHERE e.id > m.id ORDER BY e.id;
    UPDATE statements.mark SET id = upto;
END $$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- 1, 10 and 10,000 messages per statement, in each kind of it.
INSERT INTO chat_messages (conversation_id, direction, content, status) VALUES (1, 'incoming', 'one', 'delivered');
INSERT INTO chat_messages (conversation_id, direction, content, status) SELECT 1 + g % 3, 'incoming', 'ten ' || g, 'delivered' FROM generate_series(1, 10) g;
INSERT INTO chat_messages (conversation_id, direction, content, status) SELECT 1 + g % 200, 'incoming', 'many ' || g, 'delivered' FROM generate_series(1, 10000) g;
TABLE wrong;
SELECT event, count(*) FROM news() GROUP BY 1 ORDER BY 1;
UPDATE chat_messages SET content = content || '!' WHERE content LIKE 'many%';
UPDATE chat_messages SET status = 'read' WHERE content LIKE 'many%';
TABLE wrong;
SELECT event, count(*) FROM news() GROUP BY 1 ORDER BY 1;
UPDATE chat_messages SET conversation_id = 1 + conversation_id % 200 WHERE content LIKE 'many%';
TABLE wrong;
SELECT event, count(*) FROM news() GROUP BY 1 ORDER BY 1;
DELETE FROM chat_messages WHERE content LIKE 'many%';
TABLE wrong;
SELECT event, count(*) FROM news() GROUP BY 1 ORDER BY 1;
TRUNCATE chat_messages;
TABLE wrong;
SELECT event, unread, count(*) FROM news() GROUP BY 1, 2 ORDER BY 1, 2;
TRUNCATE chat_messages;
SELECT count(*) FROM news();
COPY chat_messages (conversation_id, direction, content, status) FROM stdin;
1	incoming	copied	delivered
2	incoming	copied	read
1	sideways	refused	read
\.
COPY chat_messages (conversation_id, direction, content, status) FROM stdin;
1	incoming	copied	delivered
2	incoming	<b>copied	read
\.
SELECT * FROM news();
-- Data-modifying CTEs, updates that change a row twice, statements that touch nothing.
WITH moved AS (UPDATE chat_messages SET conversation_id = 3 WHERE conversation_id = 1 RETURNING *),
     added AS (INSERT INTO chat_messages (conversation_id, direction, content) SELECT 4, 'incoming', 'beside ' || content FROM moved RETURNING *)
SELECT count(*) FROM moved, added;
UPDATE chat_messages SET content = content WHERE conversation_id = 3;
UPDATE chat_messages SET status = 'read' WHERE false;
DELETE FROM chat_messages WHERE false;
MERGE INTO chat_messages m USING (SELECT 3 AS c) v ON m.conversation_id = v.c WHEN MATCHED THEN DELETE;
TABLE state;
SELECT * FROM news();
MERGE INTO chat_messages m USING generate_series(1, 3) g ON false WHEN NOT MATCHED THEN INSERT (conversation_id, direction, content) VALUES (g, 'incoming', 'merged ' || g);
INSERT INTO chat_messages (id, conversation_id, direction, content) SELECT id, 4, 'incoming', 'conflict' FROM chat_messages WHERE content = 'merged 2'
    ON CONFLICT (id) DO UPDATE SET conversation_id = excluded.conversation_id, content = excluded.content;
TABLE state;
TABLE wrong;
SELECT * FROM news();
-- One transaction: insert, edit, status, delete; savepoints inside savepoints; an exception in a function.
BEGIN;
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (9001, 1, 'incoming', 'short life');
UPDATE chat_messages SET content = 'short life, edited', status = 'read' WHERE id = 9001;
DELETE FROM chat_messages WHERE id = 9001;
COMMIT;
SELECT event, content, unread FROM news();
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'a');
SAVEPOINT one;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'b, lost');
SAVEPOINT two;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'c, lost');
RELEASE two;
ROLLBACK TO one;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'd');
SAVEPOINT three;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (3, 'incoming', 'e');
COMMIT;
TABLE state;
TABLE wrong;
SELECT * FROM news();
DO $$
BEGIN
    INSERT INTO statements.chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'f');
    BEGIN
        INSERT INTO statements.chat_messages (conversation_id, direction, content) SELECT 1, 'incoming', 'g, lost' FROM generate_series(1, 3);
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
        INSERT INTO statements.chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'h');
    END;
END $$;
SELECT * FROM news();
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'prepared');
PREPARE TRANSACTION 'statements';
SELECT count(*) FROM news();
COMMIT PREPARED 'statements';
SELECT * FROM news();
-- Deferred constraints: a message before its conversation; checked at the end, and refused there.
ALTER TABLE chat_messages ALTER CONSTRAINT chat_messages_conversation_id_fkey DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (9002, 300, 'incoming', 'early');
INSERT INTO conversations (id, user_id, contact_jid) VALUES (300, :ann, '300@s.whatsapp.net');
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (9003, 300, 'incoming', 'in time');
COMMIT;
SELECT unread_count, last_message_preview FROM conversations WHERE id = 300;
TABLE wrong;
SELECT topic, event, content, unread FROM news();
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (301, 'incoming', 'orphan');
COMMIT;
SELECT count(*) FROM news();
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO statements.chat_messages (conversation_id, direction, content) VALUES (NEW.conversation_id, 'outgoing', 'echo of ' || NEW.content);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER echo AFTER INSERT ON chat_messages DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.direction = 'incoming') EXECUTE FUNCTION echo();
INSERT INTO chat_messages (conversation_id, direction, content, created_at) VALUES (1, 'incoming', 'call', now() - interval '1 s');
TABLE state;
SELECT event, content, unread FROM news();
DROP TRIGGER echo ON chat_messages;
DROP FUNCTION echo();
-- Triggers of the user's: one that rewrites a row, one that skips rows, one that deletes what it sees.
CREATE FUNCTION rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.content = 'skip me' THEN RETURN NULL; END IF;
    NEW.content := '<i>' || NEW.content;
    RETURN NEW;
END $$;
CREATE TRIGGER rewrite BEFORE INSERT ON chat_messages FOR EACH ROW EXECUTE FUNCTION rewrite();
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'rewritten'), (1, 'incoming', 'skip me');
CREATE FUNCTION no_spam() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM statements.chat_messages WHERE id = NEW.id AND content LIKE '%spam%';
    RETURN NULL;
END $$;
CREATE TRIGGER no_spam AFTER INSERT ON chat_messages FOR EACH ROW EXECUTE FUNCTION no_spam();
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'spam'), (1, 'incoming', 'ham');
TABLE state;
TABLE wrong;
SELECT event, content, unread FROM news();
DROP TRIGGER rewrite ON chat_messages;
DROP TRIGGER no_spam ON chat_messages;
CREATE FUNCTION welcome() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO statements.chat_messages (conversation_id, direction, content) VALUES (NEW.id, 'outgoing', 'welcome');
    RETURN NULL;
END $$;
CREATE TRIGGER welcome AFTER INSERT ON conversations FOR EACH ROW EXECUTE FUNCTION welcome();
INSERT INTO conversations (id, user_id, contact_jid) VALUES (302, :ann, '302@s.whatsapp.net');
SELECT event, content, unread FROM news();
DROP TRIGGER welcome ON conversations;
-- Replica role: nothing fires, as for a subscription.
SET session_replication_role = replica;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'sideways?', 'x');
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'replicated <b>');
RESET session_replication_role;
SELECT count(*) FROM news();
SELECT count(*) FROM wrong;
SELECT chat.recount('chat_messages');
SELECT count(*) FROM news();
-- A trigger of ours that always fires, without the statement trigger to follow: an error, no miscount.
ALTER TABLE chat_messages ENABLE ALWAYS TRIGGER "00_chat_realtime_after";
SET session_replication_role = replica;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'half');
RESET session_replication_role;
ALTER TABLE chat_messages ENABLE TRIGGER "00_chat_realtime_after";
-- Deleting conversations takes their messages, also many at once; the owner is still known.
DELETE FROM conversations WHERE id IN (2, 300, 302);
SELECT topic, event, content FROM news() ORDER BY 1, 3;
INSERT INTO chat_messages (conversation_id, direction, content) SELECT g, 'incoming', 'bulk' FROM generate_series(5, 200) g;
SELECT count(*) > 0 FROM news();
DELETE FROM conversations WHERE id BETWEEN 5 AND 200;
SELECT event, count(*) FROM news() GROUP BY 1;
TRUNCATE conversations CASCADE;
SELECT count(*) FROM news();
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, :ann, '1');
CREATE TABLE copied AS TABLE chat_messages;
INSERT INTO copied (conversation_id, direction) VALUES (1, 'anything');

-- A hostile schema in front: none of its functions, operators, casts and tables is used.
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.boom() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile code was called'; END $$;
CREATE FUNCTION hostile.eq(a bigint, b bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.boom() IS NULL $$;
CREATE FUNCTION hostile.eq(a text, b text) RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.boom() IS NULL $$;
CREATE FUNCTION hostile.eq(a uuid, b uuid) RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.boom() IS NULL $$;
CREATE OPERATOR hostile.= (FUNCTION = hostile.eq, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR hostile.= (FUNCTION = hostile.eq, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR hostile.= (FUNCTION = hostile.eq, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR hostile.<> (FUNCTION = hostile.eq, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT hostile.boom()::timestamptz $$;
CREATE FUNCTION hostile.count(anyelement) RETURNS bigint LANGUAGE sql AS $$ SELECT hostile.boom()::bigint $$;
CREATE FUNCTION hostile.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE TABLE hostile.attachment (id int, conversations regclass, messages regclass, columns jsonb, settings jsonb);
CREATE TABLE hostile.pg_class (oid oid, relowner oid, relkind "char");
CREATE TABLE hostile.chat_messages (LIKE chat_messages);
CREATE TYPE hostile.text AS ENUM ('x');
SET search_path = hostile, pg_catalog, statements;
INSERT INTO statements.chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'first <b>'), (1, 'incoming', 'second');
UPDATE statements.chat_messages SET content = 'edited', status = 'read' WHERE content OPERATOR(pg_catalog.=) 'second';
DELETE FROM statements.chat_messages WHERE content OPERATOR(pg_catalog.=) 'edited';
SELECT * FROM chat.attach('statements.conversations', 'statements.chat_messages');
SELECT chat.recount('statements.chat_messages');
SELECT chat.configure('statements.chat_messages', '{"max_content_bytes": 100}'::jsonb);
TRUNCATE statements.chat_messages;
SELECT unread_count, last_message_preview FROM statements.conversations;
SET search_path = statements;
CREATE ROLE regress_statements;
GRANT USAGE ON SCHEMA statements TO regress_statements;
GRANT INSERT, UPDATE, SELECT ON chat_messages TO regress_statements;
ALTER TABLE chat_messages DISABLE ROW LEVEL SECURITY;
SET ROLE regress_statements;
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (9100, 1, 'incoming', 'no right on counters or log is needed');
UPDATE chat_messages SET status = 'read' WHERE id = 9100;
SELECT count(*) FROM conversations;
SELECT count(*) FROM chat.events;
CREATE TEMP TABLE mine (id int);
CREATE TRIGGER t AFTER INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION chat.flush('1');
RESET ROLE;
SELECT unread_count, last_message_preview FROM conversations;
-- Our trigger functions serve only the tables that chat.attach gave them.
CREATE TABLE elsewhere (LIKE chat_messages INCLUDING DEFAULTS);
DO $$ BEGIN
    EXECUTE format('CREATE TRIGGER t AFTER INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION chat.message_after(%L)',
                   (SELECT id FROM chat.attachment WHERE messages = 'chat_messages'::regclass));
END $$;
INSERT INTO elsewhere (id, conversation_id, direction, content) VALUES (1, 1, 'incoming', 'not a message');

\set QUIET on
DO $$ BEGIN PERFORM chat.detach('statements.chat_messages'); END $$;
DROP OWNED BY regress_statements;
DROP ROLE regress_statements;
DROP SCHEMA hostile CASCADE;
DROP SCHEMA statements CASCADE;
