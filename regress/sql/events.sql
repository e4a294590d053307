-- Rule R4: each committed change is exactly its events; payloads are safe JSON.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA events;
SELECT count(*) > 0 AS set_up FROM chat.setup('events');
SET search_path = events;
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
CREATE TABLE mark (id bigint);
INSERT INTO mark SELECT COALESCE(max(id), 0) FROM chat.events;
CREATE TABLE start AS TABLE mark;
-- Events since the mark, which moves.
CREATE FUNCTION news() RETURNS TABLE (topic text, event text, webhook text, changes jsonb, summary jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := (SELECT max(e.id) FROM chat.events e);
BEGIN
    RETURN QUERY
    SELECT e.topic, e.event, e.webhook, e.changes,
           (SELECT jsonb_object_agg(k, e.payload::jsonb -> k)
              FROM unnest(ARRAY['id', 'conversationId', 'content', 'status', 'unreadCount', 'assignedAgentId']) k
             WHERE e.payload::jsonb ? k)
      FROM chat.events e, events.mark m WHERE e.id > m.id ORDER BY e.id;
    UPDATE events.mark SET id = upto;
END $$;
\set QUIET off

INSERT INTO conversations (id, user_id, contact_jid, contact_name) VALUES (1, :ann, '1@s.whatsapp.net', 'Ann');
SELECT * FROM news();
INSERT INTO chat_messages (id, conversation_id, direction, content, status) VALUES (10, 1, 'incoming', 'hi', 'delivered');
SELECT * FROM news();
INSERT INTO chat_messages (id, conversation_id, direction, content, status) VALUES (11, 1, 'outgoing', 'hello', 'pending');
SELECT * FROM news();
-- Status forward, backward, the same, both at once with an edit.
UPDATE chat_messages SET status = 'sent' WHERE id = 11;
UPDATE chat_messages SET status = 'failed' WHERE id = 11;
UPDATE chat_messages SET status = 'pending' WHERE id = 11;
UPDATE chat_messages SET status = 'delivered' WHERE id = 11;
UPDATE chat_messages SET status = 'sent' WHERE id = 11;
UPDATE chat_messages SET status = 'delivered' WHERE id = 11;
SELECT * FROM news();
UPDATE chat_messages SET status = 'read', content = 'hello there' WHERE id = 11;
SELECT * FROM news();
-- Nothing that clients see.
UPDATE chat_messages SET updated_at = now() WHERE id = 11;
UPDATE conversations SET updated_at = now() WHERE id = 1;
UPDATE conversations SET unread_count = 50 WHERE id = 1;
SELECT * FROM news();
-- Conversations: a field, the status, the agent.
UPDATE conversations SET contact_name = 'Ann B.' WHERE id = 1;
UPDATE conversations SET status = 'resolved' WHERE id = 1;
UPDATE conversations SET status = 'open', assigned_agent_id = :bob WHERE id = 1;
SELECT * FROM news();
-- Rolled back: nothing.
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'never');
ROLLBACK;
BEGIN;
SAVEPOINT a;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'never');
ROLLBACK TO a;
COMMIT;
SELECT * FROM news();
-- Moving, deleting, and a conversation that takes its messages along.
INSERT INTO conversations (id, user_id, contact_jid) VALUES (2, :bob, '2@s.whatsapp.net');
UPDATE chat_messages SET conversation_id = 2 WHERE id = 10;
SELECT * FROM news();
DELETE FROM chat_messages WHERE id = 11;
DELETE FROM conversations WHERE id = 2;
SELECT * FROM news();
SELECT owner FROM chat.events ORDER BY id DESC LIMIT 1;

-- Agents: created assigned, given from one to the other, worked on, given back to its owner, which is told once, and deleted
-- with a message. Webhooks are told once, and each change of rights is noted once.
\set cid '''cccccccc-0000-4000-8000-000000000003'''
CREATE FUNCTION told() RETURNS TABLE (who text, event text, webhook text, changes jsonb, rights text, payload jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := (SELECT max(e.id) FROM chat.events e);
BEGIN
    RETURN QUERY
    SELECT CASE WHEN e.topic ~ '^user:' THEN CASE substr(e.topic, 6, 1) WHEN 'a' THEN 'Ann' WHEN 'b' THEN 'Bob' ELSE 'Cid' END ELSE e.topic END,
           e.event, e.webhook, e.changes, e.rights, CASE WHEN e.event = 'conversation.deleted' OR e.topic !~ '^user:' THEN e.payload::jsonb - 'createdAt' - 'updatedAt' END
      FROM chat.events e, events.mark m WHERE e.id > m.id ORDER BY e.id;
    UPDATE events.mark SET id = upto;
END $$;
INSERT INTO conversations (id, user_id, contact_jid, assigned_agent_id) VALUES (3, :ann, '3@s.whatsapp.net', :bob);
SELECT * FROM told();
UPDATE conversations SET contact_name = 'Eve' WHERE id = 3;
SELECT * FROM told();
UPDATE conversations SET assigned_agent_id = :cid WHERE id = 3;
SELECT * FROM told();
UPDATE conversations SET assigned_bot_id = 1 WHERE id = 3;
SELECT * FROM told();
UPDATE conversations SET assigned_agent_id = :ann WHERE id = 3;
SELECT * FROM told();
UPDATE conversations SET assigned_agent_id = :bob, assigned_bot_id = NULL WHERE id = 3;
UPDATE conversations SET assigned_agent_id = NULL WHERE id = 3;
SELECT * FROM told();
-- To another owner, who is told; whose rights ended is noted.
UPDATE conversations SET user_id = :cid, assigned_agent_id = :bob WHERE id = 3;
UPDATE conversations SET user_id = :ann WHERE id = 3;
SELECT * FROM told();
INSERT INTO chat_messages (id, conversation_id, direction, content, status, metadata) VALUES (15, 3, 'incoming', 'hi', 'delivered', '{}');
SELECT who, event, webhook, rights FROM told();
DELETE FROM conversations WHERE id = 3;
SELECT who, event, webhook, rights, payload -> 'id' AS id FROM told();
-- An empty one, in a statement and a transaction that deletes more, and one that is rolled back.
INSERT INTO conversations (id, user_id, contact_jid, assigned_agent_id) VALUES (4, :ann, '4@s.whatsapp.net', :ann), (5, :ann, '5@s.whatsapp.net', :bob);
SELECT who, event, webhook, rights FROM told();
BEGIN;
SAVEPOINT s;
DELETE FROM conversations WHERE id IN (4, 5);
ROLLBACK TO s;
DELETE FROM conversations WHERE id = 4;
INSERT INTO conversations (id, user_id, contact_jid) VALUES (4, :bob, '4@s.whatsapp.net');
COMMIT;
SELECT * FROM told();
DELETE FROM conversations WHERE id IN (4, 5);
SELECT who, event, webhook, rights FROM told();
-- Nobody's: the row is where nobody may listen.
ALTER TABLE conversations ALTER user_id DROP NOT NULL;
INSERT INTO conversations (id, contact_jid) VALUES (6, '6@s.whatsapp.net');
UPDATE conversations SET contact_name = 'Nobody' WHERE id = 6;
UPDATE conversations SET assigned_agent_id = :bob WHERE id = 6;
INSERT INTO chat_messages (id, conversation_id, direction, content, status, metadata) VALUES (16, 6, 'outgoing', 'hi', 'sent', '{}');
UPDATE conversations SET assigned_agent_id = NULL WHERE id = 6;
DELETE FROM chat_messages WHERE id = 16;
DELETE FROM conversations WHERE id = 6;
SELECT who, event, webhook, rights FROM told();
ALTER TABLE conversations ALTER user_id SET NOT NULL;

-- The whole payload.
INSERT INTO chat_messages (id, conversation_id, direction, content, status, message_id, metadata, timestamp, created_at, updated_at)
    VALUES (20, 1, 'incoming', E'quote " backslash \\ line\nbell \x07 emoji 😀', 'delivered', '3EB0', '{"snake_key": [1, 1e400, null]}',
            '2026-06-18T13:19:38+02:00', '2026-06-18 11:19:40+00', '2026-06-18 11:19:40+00');
SELECT jsonb_pretty(jsonb_set(payload::jsonb, '{metadata,snake_key,1}', '"huge"')) FROM chat.events WHERE event = 'message.new' ORDER BY id DESC LIMIT 1;
SELECT jsonb_pretty(payload::jsonb - 'createdAt' - 'updatedAt') FROM chat.events WHERE event = 'conversation.updated' ORDER BY id DESC LIMIT 1;

-- A long incoming message is stored whole; its event carries what fits, whole characters.
INSERT INTO chat_messages (id, conversation_id, direction, content, status) VALUES (30, 1, 'incoming', 'x' || repeat('é', 4000), 'delivered');
SELECT length(content) FROM chat_messages WHERE id = 30;
SELECT octet_length(payload::jsonb ->> 'content'), payload::jsonb -> 'contentTruncated' FROM chat.events
    WHERE event = 'message.new' ORDER BY id DESC LIMIT 1;

-- Catch-up for clients.
SELECT event, payload -> 'id' AS id FROM chat.events_since('conversation:1', (SELECT id FROM start), 3);
SELECT count(*) FROM chat.events_since('conversation:1', (SELECT max(id) FROM chat.events));
SELECT chat.events_since(NULL, 0);
SELECT chat.events_since('conversation:1', 0, 0);

-- chat.emit checks what it is given.
SELECT chat.emit('t', 'e', NULL, NULL, NULL, '[]');
SELECT chat.emit(repeat('t', 247), 'e', NULL, NULL, NULL, '{}');
SELECT chat.emit('t', NULL, NULL, NULL, NULL, '{}');
SELECT chat.emit('t', 'e', NULL, NULL, NULL, NULL);
SELECT chat.random_bytes(0);

-- The events and settings that there are, and telling one by its name.
SELECT * FROM chat.event_kinds();
SELECT * FROM chat.setting_kinds();
SELECT chat.tell('conversation.nonsense', '1', NULL, NULL, '{}');
SELECT chat.tell('webhook.disabled', 'u', 'u', NULL, '{"id": 1}') > 0 AS told;
SELECT topic, event, webhook, owner, expires_at FROM chat.events ORDER BY id DESC LIMIT 1;

-- Trigger functions refuse other uses.
SELECT chat.flush();
CREATE TABLE other (a int);
CREATE TRIGGER t AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION chat.flush('1');
INSERT INTO other VALUES (1);
DROP TRIGGER t ON other;
CREATE TRIGGER t AFTER INSERT ON other FOR EACH STATEMENT EXECUTE FUNCTION chat.flush('999999');
INSERT INTO other VALUES (1);

\set QUIET on
DO $$ BEGIN PERFORM chat.detach('events.chat_messages'); END $$;
DROP SCHEMA events CASCADE;
