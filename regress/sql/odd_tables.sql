-- Tables that lose a column after chat.attach, columns that no payload carries, and tables of keys that are not what they were.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_odd_tables;
\c regress_odd_tables
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION chat_realtime;
CREATE TABLE conversations (id bigint PRIMARY KEY, user_id text, contact_jid text, contact_name text, status text DEFAULT 'open',
    assigned_agent_id text, unread_count int DEFAULT 0, last_message_at timestamptz, last_message_preview text, updated_at timestamptz);
CREATE TABLE chat_messages (id bigint PRIMARY KEY, conversation_id bigint, content text, direction text, status text,
    message_type text DEFAULT 'text', created_at timestamptz DEFAULT now(), raw bytea, words tsvector, writer xid, file oid);
SELECT count(*) > 0 AS attached FROM chat.attach('conversations', 'chat_messages');
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- What no payload can say, or nobody is to know, is left out
INSERT INTO conversations (id, user_id, assigned_agent_id) VALUES (1, 'ann', 'bob');
INSERT INTO chat_messages (id, conversation_id, content, direction, raw, words, writer, file)
    VALUES (1, 1, 'carried', 'incoming', '\x00', 'a b', '7', 8);
SELECT payload::jsonb - 'createdAt' FROM chat.events WHERE event = 'message.new' ORDER BY id;

-- A column that is gone turns off what needs it
ALTER TABLE conversations DROP COLUMN assigned_agent_id;
ALTER TABLE chat_messages DROP COLUMN message_type;
\c
\set VERBOSITY terse
SET client_min_messages = warning;
INSERT INTO chat_messages (id, conversation_id, content, direction) VALUES (2, 1, 'no agent', 'incoming');
SELECT unread_count, last_message_preview FROM conversations;
SELECT topic, event FROM chat.events WHERE id > (SELECT max(id) - 2 FROM chat.events) ORDER BY id;
-- One that nothing can be done without is an error
ALTER TABLE chat_messages DROP COLUMN direction;
\c
\set VERBOSITY terse
SET client_min_messages = warning;
INSERT INTO chat_messages (id, conversation_id, content) VALUES (3, 1, 'no direction');
SELECT chat.update_message_status('2', 'read');
SELECT chat.drifted_keys(a, NULL) FROM chat.attachment a;
ALTER TABLE chat_messages ADD COLUMN direction text;

-- A conversation that is not there: its messages are saved, and counted nowhere
INSERT INTO chat_messages (id, conversation_id, content, direction) VALUES (4, 77, 'lost', 'incoming');
SELECT count(*) FROM chat_messages WHERE id = 4;

-- Questions about columns and tables that are not there
SELECT chat.attribute_type('conversations', 'nothing') IS NULL, chat.attribute_base_type('conversations', 'nothing') IS NULL;
SELECT chat.deletion_is_flag(a.messages, a.columns) IS NULL FROM chat.attachment a;
BEGIN;
DROP TABLE conversations CASCADE;
INSERT INTO chat_messages (id, conversation_id, content, direction) VALUES (5, 1, 'no conversations', 'incoming');
ROLLBACK;

-- Keys: rows without a hash or without scopes, in a table without an index; a table that is none of keys
CREATE TABLE some_keys (id uuid DEFAULT gen_random_uuid(), user_id uuid, name text, key_hash text, key_prefix text, scopes text[]);
UPDATE chat.attachment SET api_keys = 'some_keys';
INSERT INTO some_keys (name) VALUES ('without a hash');
INSERT INTO some_keys (name, key_hash) VALUES ('of something else', 'x');
SELECT chat.create_api_key('aaaaaaaa-0000-4000-8000-000000000001', 'a key') ->> 'key' AS key \gset
SELECT code FROM chat.authenticate(:'key', 'chat:read');
UPDATE some_keys SET scopes = NULL;
SELECT code FROM chat.authenticate(:'key', 'chat:read');
SELECT code FROM chat.authenticate(:'key');
ALTER TABLE some_keys DROP COLUMN scopes;
SELECT code FROM chat.authenticate(:'key');
DROP TABLE some_keys;
SELECT code FROM chat.authenticate(:'key');

\set QUIET on
\c postgres
DROP DATABASE regress_odd_tables;
