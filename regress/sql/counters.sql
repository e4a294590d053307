-- Rules R1, R2 and R5: unread_count and last message stay exact, whatever changes the messages.
\set QUIET on
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA counters;
SELECT count(*) > 0 AS set_up FROM chat.setup('counters');
SET search_path = counters;
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set t '''2026-01-01 12:00:00+00''::timestamptz'
INSERT INTO conversations (id, user_id, contact_jid)
    SELECT g, :ann, g || '@s.whatsapp.net' FROM generate_series(1, 4) g;
CREATE VIEW state AS SELECT id, unread_count, last_message_at AT TIME ZONE 'UTC' AS last_at, last_message_preview AS preview
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
     WHERE c.unread_count <> u.unread OR c.last_message_at IS DISTINCT FROM n.at
        OR c.last_message_preview IS DISTINCT FROM left(n.content, 100);
\set QUIET off

-- One by one, then several conversations in one statement, two of them the same.
INSERT INTO chat_messages (conversation_id, direction, content, status, timestamp)
    VALUES (1, 'incoming', 'first', 'delivered', :t);
INSERT INTO chat_messages (conversation_id, direction, content, status, timestamp) VALUES
    (3, 'incoming', 'three', 'delivered', :t + '1 s'), (1, 'outgoing', 'answer', 'sent', :t + '2 s'),
    (2, 'incoming', 'two', 'delivered', :t + '3 s'), (1, 'incoming', 'second', 'delivered', :t + '4 s');
TABLE state;

-- Old history does not change the last message; equal times are decided by created_at and id.
INSERT INTO chat_messages (conversation_id, direction, content, status, timestamp, created_at) VALUES
    (1, 'incoming', 'history', 'read', :t - interval '1 day', :t), (1, 'incoming', 'history', 'delivered', :t - interval '2 days', :t);
INSERT INTO chat_messages (conversation_id, direction, content, status, timestamp, created_at)
    VALUES (1, 'outgoing', 'same second, stored earlier', 'sent', :t + '4 s', :t - interval '1 year');
TABLE state;
INSERT INTO chat_messages (conversation_id, direction, content, status, timestamp)
    VALUES (1, 'outgoing', 'same second, stored later', 'sent', :t + '4 s');
TABLE state;

-- Private notes count for nothing.
INSERT INTO chat_messages (conversation_id, direction, content, status, is_private_note)
    VALUES (2, 'incoming', 'note', 'delivered', true);
TABLE state;

-- Reading, and a status that would go back.
UPDATE chat_messages SET status = 'read' WHERE content IN ('first', 'second');
UPDATE chat_messages SET status = 'delivered' WHERE content = 'first';
SELECT content, status FROM chat_messages WHERE content = 'first';
TABLE state;

-- An edit of the newest message, of an older one, and the deletion of the newest.
UPDATE chat_messages SET content = 'two, edited' WHERE content = 'two';
UPDATE chat_messages SET content = 'first, edited' WHERE content = 'first';
DELETE FROM chat_messages WHERE content LIKE 'same second%';
TABLE state;

-- A message that moves, and one that becomes private.
UPDATE chat_messages SET conversation_id = 4 WHERE content = 'second';
UPDATE chat_messages SET is_private_note = true WHERE content = 'three';
TABLE state;

-- A direct write is put back without an error.
UPDATE conversations SET unread_count = 77, last_message_preview = 'forged', last_message_at = now(), contact_name = 'Ann'
    WHERE id = 2;
TABLE state;
SELECT contact_name FROM conversations WHERE id = 2;

-- Savepoints, failing statements, and statements of other triggers.
BEGIN;
SAVEPOINT a;
INSERT INTO chat_messages (conversation_id, direction, content, status) VALUES (4, 'incoming', 'rolled back', 'delivered');
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO chat_messages (conversation_id, direction, content, status)
    SELECT 4, CASE g WHEN 3 THEN 'sideways' ELSE 'incoming' END, 'fails half way', 'delivered' FROM generate_series(1, 3) g;
ROLLBACK TO b;
SAVEPOINT c;
INSERT INTO chat_messages (conversation_id, direction, content, status, timestamp)
    VALUES (4, 'incoming', 'kept', 'delivered', :t + '1 hour');
RELEASE c;
COMMIT;
TABLE state;

CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.content LIKE 'echo%' THEN
        BEGIN
            INSERT INTO counters.chat_messages (conversation_id, direction, content, status)
                VALUES (NEW.conversation_id, 'incoming', 'inner, kept', 'delivered');
            IF NEW.content = 'echo and fail' THEN
                RAISE EXCEPTION 'inner failure';
            END IF;
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER echo AFTER INSERT ON chat_messages FOR EACH ROW EXECUTE FUNCTION echo();
INSERT INTO chat_messages (conversation_id, direction, content, status)
    VALUES (3, 'incoming', 'echo', 'delivered'), (3, 'incoming', 'echo and fail', 'delivered');
SELECT id, unread_count FROM state WHERE id = 3;
DROP TRIGGER echo ON chat_messages;
DROP FUNCTION echo();

-- COPY, ON CONFLICT, MERGE, and a bulk over many conversations.
COPY chat_messages (conversation_id, direction, content, status) FROM stdin;
1	incoming	copied	delivered
2	incoming	copied	delivered
1	outgoing	copied too	sent
\.
INSERT INTO chat_messages (id, conversation_id, direction, content, status)
    SELECT min(id), 1, 'incoming', 'conflict', 'delivered' FROM chat_messages
    ON CONFLICT (id) DO UPDATE SET content = excluded.content;
MERGE INTO chat_messages m USING (VALUES ('copied', 1), ('new', 2)) v (content, c)
    ON m.content = v.content AND m.conversation_id = v.c
    WHEN MATCHED THEN UPDATE SET status = 'read'
    WHEN NOT MATCHED THEN INSERT (conversation_id, direction, content, status) VALUES (v.c, 'incoming', v.content, 'delivered');
TABLE wrong;
INSERT INTO conversations (id, user_id, contact_jid) SELECT g, :ann, g || '@bulk' FROM generate_series(101, 200) g;
INSERT INTO chat_messages (conversation_id, direction, content, status, timestamp)
    SELECT 101 + g % 100, CASE WHEN g % 3 = 0 THEN 'outgoing' ELSE 'incoming' END, 'bulk ' || g, 'delivered', :t + g * interval '1 s'
      FROM generate_series(1, 2000) g;
TABLE wrong;
SELECT sum(unread_count) FROM conversations WHERE id > 100;
UPDATE chat_messages SET status = 'read' WHERE conversation_id > 150;
DELETE FROM chat_messages WHERE conversation_id BETWEEN 101 AND 120 AND content LIKE '%9';
TABLE wrong;

-- Drift made behind the triggers' back is found and mended.
SET session_replication_role = replica;
UPDATE conversations SET unread_count = 5000 WHERE id IN (101, 102);
SET session_replication_role = origin;
SELECT count(*) FROM wrong;
SELECT chat.recount('counters.chat_messages');
TABLE wrong;

-- A conversation that gets another id: with a cascade, and with messages that follow in a statement of their own.
DO $$ BEGIN
    EXECUTE (SELECT format('ALTER TABLE chat_messages DROP CONSTRAINT %I, ADD FOREIGN KEY (conversation_id) REFERENCES conversations ON DELETE CASCADE ON UPDATE CASCADE', conname)
               FROM pg_constraint WHERE conrelid = 'chat_messages'::regclass AND confrelid = 'conversations'::regclass);
END $$;
INSERT INTO conversations (id, user_id, contact_jid) VALUES (301, :ann, 'x');
INSERT INTO chat_messages (conversation_id, direction, content) SELECT 301, 'incoming', 'm' || g FROM generate_series(1, 3) g;
UPDATE conversations SET id = 302 WHERE id = 301;
SELECT id, unread_count, last_message_preview FROM conversations WHERE id IN (301, 302);
TABLE wrong;
DO $$ BEGIN
    EXECUTE (SELECT format('ALTER TABLE chat_messages DROP CONSTRAINT %I, ADD FOREIGN KEY (conversation_id) REFERENCES conversations ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED', conname)
               FROM pg_constraint WHERE conrelid = 'chat_messages'::regclass AND confrelid = 'conversations'::regclass);
END $$;
BEGIN;
UPDATE conversations SET id = 303 WHERE id = 302;
UPDATE chat_messages SET conversation_id = 303 WHERE conversation_id = 302;
COMMIT;
SELECT id, unread_count, last_message_preview FROM conversations WHERE id IN (302, 303);
TABLE wrong;

-- PREPARE TRANSACTION, cascades, TRUNCATE.
DELETE FROM conversations WHERE id = 200;
TABLE wrong;
TRUNCATE chat_messages;
SELECT count(*) FROM conversations WHERE unread_count <> 0 OR last_message_at IS NOT NULL OR last_message_preview IS NOT NULL;

-- Labels for media without a caption; at most 100 characters, not bytes.
INSERT INTO chat_messages (conversation_id, direction, message_type, content, media_filename) VALUES
    (1, 'incoming', 'image', NULL, NULL), (2, 'incoming', 'document', '', 'a.pdf'), (3, 'incoming', 'image', 'caption', NULL),
    (4, 'incoming', 'text', repeat('é', 150), NULL);
SELECT id, last_message_preview FROM conversations WHERE id <= 4 ORDER BY id;

-- Rows that no statement trigger settled fail the transaction rather than miscount.
DROP TRIGGER zz_chat_realtime_flush ON chat_messages;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'uncounted');
SELECT count(*) FROM chat_messages WHERE content = 'uncounted';

\set QUIET on
DO $$ BEGIN PERFORM chat.detach('counters.chat_messages'); END $$;
DROP SCHEMA counters CASCADE;
