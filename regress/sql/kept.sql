-- What a session keeps of attached tables: what is done to tables of others leaves it alone, and what is stale goes with the
-- transaction, also where the tables are gone.
\set QUIET on
SET client_min_messages = warning;
SELECT current_database() AS here \gset
CREATE DATABASE regress_kept;
\c regress_kept
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SELECT count(*) AS done FROM chat.setup() \gset
CREATE TEMP TABLE first (); -- makes the schema of the session's own tables
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, 'aaaaaaaa-0000-4000-8000-000000000001', '1@s.whatsapp.net');
CREATE FUNCTION message(type text DEFAULT 'text') RETURNS void LANGUAGE sql AS
$$ INSERT INTO chat_messages (conversation_id, direction, content, message_type) VALUES (1, 'incoming', 'm', type) $$;
CREATE FUNCTION kept(OUT attachments bigint, OUT layouts bigint, OUT indexes bigint) LANGUAGE sql AS
$$ SELECT count(*) FILTER (WHERE name = 'chat_realtime attachment'), count(*) FILTER (WHERE name = 'chat_realtime layout'),
          count(*) FILTER (WHERE name = 'chat_realtime index set') FROM pg_backend_memory_contexts $$;
\set QUIET off
SELECT message(), message();
SELECT * FROM kept();

-- Nothing is made anew for a table, a type or a function that comes or goes.
BEGIN;
CREATE TEMP TABLE other (id int PRIMARY KEY, word text);
SELECT message();
DROP TABLE other;
SELECT message();
CREATE TYPE mood AS ENUM ('ok');
CREATE TABLE public.other (id int, mood mood);
SELECT message();
DROP TABLE public.other;
SELECT message();
SELECT * FROM kept();
COMMIT;

-- The messages' layout is, where a domain changes that a column has: it rules what may be stored.
\set QUIET on
CREATE DOMAIN word AS text;
CREATE DOMAIN type AS word;
ALTER TABLE chat_messages DROP CONSTRAINT chat_messages_message_type_check;
ALTER TABLE chat_messages ALTER message_type TYPE type;
\set QUIET off
SELECT message('rhyme');
BEGIN;
ALTER DOMAIN word SET NOT NULL;
SELECT message();
SELECT layouts FROM kept();
ROLLBACK;
ALTER DOMAIN word ADD CONSTRAINT rhyme CHECK (VALUE <> 'poem');
SELECT message('rhyme');
SELECT message('poem');
SELECT * FROM kept();

-- Pairs that were attached, used, detached and dropped.
\set QUIET on
CREATE PROCEDURE come_and_go(times int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. times LOOP
        CREATE TABLE other_conversations (LIKE conversations INCLUDING ALL);
        CREATE TABLE other_messages (LIKE chat_messages INCLUDING ALL);
        PERFORM chat.attach('other_conversations', 'other_messages');
        INSERT INTO other_conversations (id, user_id, contact_jid) VALUES (1, 'aaaaaaaa-0000-4000-8000-000000000001', '1@s.whatsapp.net');
        INSERT INTO other_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'm');
        IF i % 2 = 0 THEN
            PERFORM chat.detach('other_messages');
        END IF;
        DROP TABLE other_messages, other_conversations;
        COMMIT;
    END LOOP;
END $$;
\set QUIET off
CALL come_and_go(6);
SELECT message();
SELECT * FROM kept();
-- Of a pair that there is not, nothing is.
DO $$
BEGIN
    FOR i IN 1 .. 50 LOOP
        BEGIN
            PERFORM chat.row_json(100 + i, c.*) FROM conversations c;
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
        END;
    END LOOP;
END $$;
SELECT * FROM kept();
\set QUIET on
\c :here
DROP DATABASE regress_kept;
