-- Shared by the suites of each model, which made schema model with the tables, four conversations cid(1) … cid(4), and
-- functions cid and mid that turn numbers into keys.
\set t '''2026-01-01 12:00:00+00''::timestamptz'
CREATE VIEW state AS SELECT right(id::text, 1) AS c, unread_count, last_message_at AT TIME ZONE 'UTC' AS last_at, last_message_preview AS preview
    FROM conversations ORDER BY id;
-- What the rules ask for, worked out from the messages.
CREATE VIEW wrong AS
    SELECT c.id, c.unread_count, c.last_message_at, c.last_message_preview
      FROM conversations c
      LEFT JOIN LATERAL (SELECT count(*) AS unread FROM chat_messages m WHERE m.conversation_id = c.id
                AND m.direction = 'incoming' AND m.status <> 'read' AND NOT m.is_private_note) u ON true
      LEFT JOIN LATERAL (SELECT COALESCE(m.timestamp, m.created_at) AS at, m.content FROM chat_messages m
                WHERE m.conversation_id = c.id AND NOT m.is_private_note
                ORDER BY COALESCE(m.timestamp, m.created_at) DESC, m.created_at DESC, m.id DESC LIMIT 1) n ON true
     WHERE c.unread_count <> u.unread OR c.last_message_at IS DISTINCT FROM n.at OR c.last_message_preview IS DISTINCT FROM left(n.content, 100);
CREATE TABLE mark AS SELECT COALESCE(max(id), 0) AS id FROM chat.events;
CREATE FUNCTION news() RETURNS TABLE (topic text, event text, webhook text, owner text, summary jsonb) LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := (SELECT max(e.id) FROM chat.events e);
BEGIN
    RETURN QUERY
    SELECT e.topic, e.event, e.webhook, left(e.owner, 8),
           (SELECT jsonb_object_agg(k, e.payload::jsonb -> k) FROM unnest(ARRAY['content', 'status', 'unreadCount']) k WHERE e.payload::jsonb ? k)
      FROM chat.events e, mark m WHERE e.id > m.id ORDER BY e.id;
    UPDATE mark SET id = upto;
END $$;
CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN others THEN
    RETURN SQLSTATE;
END $$;
CREATE PROCEDURE say(n int, c int, direction text, content text, status text DEFAULT 'delivered', at timestamptz DEFAULT now(), note boolean DEFAULT false)
LANGUAGE sql AS $$
    INSERT INTO chat_messages (id, conversation_id, direction, content, status, timestamp, created_at, is_private_note)
        VALUES (mid(n), cid(c), direction, content, status, at, '2026-01-01 11:00+00', note)
$$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

SELECT * FROM chat.attach('conversations', 'chat_messages');
-- R1, R2: one by one and several at once; history; equal times; notes.
CALL say(1, 1, 'incoming', 'first', 'delivered', :t);
CALL say(2, 1, 'outgoing', 'answer', 'pending', :t + '1 s');
TABLE state;
SELECT * FROM news();
INSERT INTO chat_messages (id, conversation_id, direction, content, status, timestamp, created_at) VALUES
    (mid(3), cid(3), 'incoming', 'three', 'delivered', :t + '2 s', :t), (mid(4), cid(1), 'incoming', 'second', 'delivered', :t + '4 s', :t),
    (mid(5), cid(2), 'incoming', 'two', 'delivered', :t + '3 s', :t);
CALL say(6, 1, 'incoming', 'history', 'read', :t - interval '1 day');
CALL say(7, 1, 'outgoing', 'same second', 'sent', :t + '4 s');
CALL say(8, 2, 'outgoing', 'note', 'delivered', :t + '1 h', true);
TABLE state;
TABLE wrong;
-- R3: forward only.
UPDATE chat_messages SET status = 'sent' WHERE id = mid(2);
UPDATE chat_messages SET status = 'pending' WHERE id = mid(2) RETURNING status;
UPDATE chat_messages SET status = 'failed' WHERE id = mid(2) RETURNING status;
UPDATE chat_messages SET status = 'pending' WHERE id = mid(2) RETURNING status;
UPDATE chat_messages SET status = 'delivered' WHERE id = mid(2) RETURNING status;
UPDATE chat_messages SET status = 'failed' WHERE id = mid(2) RETURNING status;
UPDATE chat_messages SET status = 'read' WHERE conversation_id = cid(1) AND direction = 'incoming';
UPDATE chat_messages SET status = 'sent' WHERE conversation_id = cid(1);
SELECT id = mid(2) AS answer, status FROM chat_messages WHERE conversation_id = cid(1) ORDER BY id;
TABLE state;
SELECT * FROM news();
-- Edits, a note that becomes visible, a move, deletions.
UPDATE chat_messages SET content = 'two, edited' WHERE id = mid(5);
UPDATE chat_messages SET is_private_note = false WHERE id = mid(8);
UPDATE chat_messages SET conversation_id = cid(4) WHERE id = mid(4);
DELETE FROM chat_messages WHERE id = mid(7);
TABLE state;
TABLE wrong;
SELECT * FROM news();
-- Direct writes are put back; visible changes of a conversation and an assignment are told.
UPDATE conversations SET unread_count = 50, last_message_at = now(), last_message_preview = 'forged', contact_name = 'Ann' WHERE id = cid(1);
UPDATE conversations SET assigned_agent_id = 'cccccccc-0000-4000-8000-000000000003', status = 'pending' WHERE id = cid(1);
SELECT unread_count, last_message_preview, contact_name FROM conversations WHERE id = cid(1);
SELECT topic, event, webhook, owner FROM news();
-- ON CONFLICT, MERGE, a bulk, savepoints.
INSERT INTO chat_messages (id, conversation_id, direction, content, status, timestamp) VALUES
    (mid(1), cid(1), 'incoming', 'again', 'delivered', :t), (mid(10), cid(1), 'incoming', 'ten', 'delivered', :t + '10 s')
    ON CONFLICT (id) DO UPDATE SET content = excluded.content, status = excluded.status;
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (mid(1), cid(1), 'incoming', 'not at all') ON CONFLICT DO NOTHING;
MERGE INTO chat_messages m USING (VALUES (10, 1), (11, 2)) v (n, c) ON m.id = mid(v.n)
    WHEN MATCHED THEN UPDATE SET status = 'read'
    WHEN NOT MATCHED THEN INSERT (id, conversation_id, direction, content, status, timestamp)
        VALUES (mid(v.n), cid(v.c), 'incoming', 'merged', 'delivered', :t + '5 s');
SELECT content, status FROM chat_messages WHERE id IN (mid(1), mid(10), mid(11)) ORDER BY id;
SELECT event, summary FROM news();
INSERT INTO chat_messages (id, conversation_id, direction, content, status, timestamp)
    SELECT mid(100 + g), cid(1 + g % 4), CASE WHEN g % 3 = 0 THEN 'outgoing' ELSE 'incoming' END, 'bulk ' || g, 'delivered', :t + g * interval '1 min'
      FROM generate_series(1, 400) g;
SELECT count(*), count(*) FILTER (WHERE event = 'conversation.updated') AS of_conversations FROM news();
TABLE state;
BEGIN;
SAVEPOINT a;
CALL say(20, 4, 'incoming', 'rolled back');
ROLLBACK TO a;
SAVEPOINT b;
CALL say(20, 4, 'incoming', 'kept', 'delivered', :t + '1 day');
RELEASE b;
COMMIT;
SELECT topic, event, summary FROM news();
-- Refused and sanitised.
SELECT refusal('CALL say(30, 1, ''sideways'', ''x'')'), refusal('CALL say(30, 1, ''outgoing'', repeat(''x'', 4097))'),
       refusal('UPDATE chat_messages SET message_type = ''hologram'' WHERE id = mid(1)');
CALL say(30, 1, 'incoming', '<script>alert(1)</script> 1 < 2', 'delivered', :t + '2 days');
SELECT event, summary FROM news();
-- The payloads.
SELECT jsonb_pretty(payload::jsonb - '{createdAt,updatedAt}'::text[]) FROM chat.events WHERE event = 'message.new' ORDER BY id DESC LIMIT 1;
SELECT jsonb_pretty(payload::jsonb - '{createdAt,updatedAt}'::text[]) FROM chat.events WHERE event = 'conversation.updated' ORDER BY id DESC LIMIT 1;
-- Drift is found and mended; a conversation goes with its messages; TRUNCATE resets.
SET session_replication_role = replica;
UPDATE conversations SET unread_count = 5000 WHERE id = cid(2);
INSERT INTO chat_messages (id, conversation_id, direction, content, status, timestamp) VALUES (mid(40), cid(3), 'incoming', 'unseen', 'delivered', now());
RESET session_replication_role;
SELECT * FROM chat.attach('conversations', 'chat_messages');
SELECT chat.recount();
TABLE wrong;
SELECT count(*) FROM news();
DELETE FROM conversations WHERE id = cid(4);
SELECT event, owner, count(*) FROM news() GROUP BY 1, 2;
TRUNCATE chat_messages;
TABLE state;
SELECT topic, event, summary FROM news();
SELECT chat.recount();

\set QUIET on
DO $$ BEGIN PERFORM chat.detach('chat_messages'); END $$;
DROP SCHEMA model CASCADE;
