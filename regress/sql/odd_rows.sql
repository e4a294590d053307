-- Rows that have less, or other, than usual: nothing is refused for it, counters stay right, payloads stay JSON.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA odd;
SET search_path = odd;
CREATE TABLE conversations (id bigint PRIMARY KEY, user_id text, contact_jid text, contact_name text, status text DEFAULT 'open',
    assigned_agent_id text, unread_count int DEFAULT 0, last_message_at timestamptz, last_message_preview text,
    CONSTRAINT unread_is_no_debt CHECK (unread_count >= 0));
CREATE TABLE chat_messages (id bigint PRIMARY KEY, conversation_id bigint REFERENCES conversations ON DELETE CASCADE, content text,
    direction text, status text, message_type text DEFAULT 'text', metadata jsonb, created_at timestamptz DEFAULT now(),
    day date, extra json, flags int[]);
SELECT count(*) > 0 AS attached FROM chat.attach('conversations', 'chat_messages');
CREATE TABLE mark AS SELECT COALESCE(max(id), 0) AS id FROM chat.events;
CREATE FUNCTION events() RETURNS SETOF text LANGUAGE sql AS $$
    WITH new AS (SELECT e.* FROM chat.events e WHERE e.id > (SELECT id FROM mark)), moved AS (UPDATE mark SET id = (SELECT max(id) FROM chat.events))
    SELECT concat_ws(' ', topic, event, payload) FROM (SELECT * FROM new ORDER BY id) n
$$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- A conversation that nobody owns has no inbox; its messages have their topic, and it is counted
INSERT INTO conversations (id, contact_jid) VALUES (1, '1@s.whatsapp.net');
INSERT INTO chat_messages (id, conversation_id, content, direction) VALUES (1, 1, 'nobody''s', 'incoming');
UPDATE conversations SET status = 'snoozed' WHERE id = 1;
SELECT split_part(e, ' {', 1) FROM events() e;
SELECT unread_count, last_message_preview FROM conversations WHERE id = 1;
UPDATE conversations SET user_id = 'ann' WHERE id = 1;
UPDATE conversations SET user_id = NULL WHERE id = 1;
DELETE FROM conversations WHERE id = 1;
SELECT split_part(e, ' {', 1) FROM events() e;

-- Dates that JSON has no form for; json that jsonb cannot say
INSERT INTO conversations (id, user_id) VALUES (2, 'ann');
INSERT INTO chat_messages (id, conversation_id, content, direction, created_at, day, extra)
    SELECT n, 2, 'odd', 'outgoing', '2026-01-01', day, extra
      FROM (VALUES (2, 'infinity'::date, '{"a": "\u0000"}'::json), (3, '-infinity', '"\ud800"'), (4, '0044-03-15 BC', '[1e999999]'), (5, '12026-01-01', '{"a": 1, "a": 2}'), (6, '2026-01-31', NULL)) v(n, day, extra);
SELECT p -> 'id', p -> 'day', p -> 'extra' FROM chat.events e, LATERAL (SELECT e.payload::jsonb AS p) x
 WHERE e.event = 'message.new' AND e.id > (SELECT id FROM mark) ORDER BY e.id;

-- A CHECK on a counter, and a trigger of the user's: counters are written by a statement, to the last message that goes
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.contact_name := 'seen'; RETURN NEW; END $$;
CREATE TRIGGER of_the_users BEFORE UPDATE ON conversations FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO chat_messages (id, conversation_id, content, direction, created_at) VALUES (10, 2, 'last', 'incoming', '2026-02-01');
SELECT unread_count, last_message_at IS NOT NULL, last_message_preview, contact_name FROM conversations WHERE id = 2;
INSERT INTO chat_messages (id, conversation_id, content, direction, created_at) VALUES (11, 2, NULL, 'incoming', '2026-03-01');
SELECT unread_count, last_message_at IS NOT NULL, last_message_preview FROM conversations WHERE id = 2;
DELETE FROM chat_messages WHERE conversation_id = 2;
SELECT unread_count, last_message_at, last_message_preview FROM conversations WHERE id = 2;
DROP TRIGGER of_the_users ON conversations;

-- A status that was never given is before all others, and is not taken away again
INSERT INTO chat_messages (id, conversation_id, content, direction, status) VALUES (20, 2, 'a', 'outgoing', NULL), (21, 2, 'b', 'outgoing', 'sent');
SELECT id, status FROM chat_messages ORDER BY id;
UPDATE chat_messages SET status = CASE id WHEN 20 THEN 'sent' END;
SELECT id, status FROM chat_messages ORDER BY id;

\set QUIET on
SELECT count(*) > 0 AS detached FROM chat.detach('chat_messages');
DROP SCHEMA odd CASCADE;
