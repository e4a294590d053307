-- Statements on tables that have the essential columns and no more, and what no statement takes.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_lacking;
\c regress_lacking
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE EXTENSION chat_realtime;
CREATE TABLE accounts (id int PRIMARY KEY, login text);
CREATE TABLE conversations (id bigint PRIMARY KEY, account int, contact_jid text, status text DEFAULT 'open',
    assigned_agent_id text, unread_count int DEFAULT 0, last_message_at timestamptz);
CREATE TABLE chat_messages (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, conversation_id bigint, message_id text, content text,
    direction text, status text, created_at timestamptz DEFAULT now());
SELECT count(*) > 0 AS attached FROM chat.attach('conversations', 'chat_messages', '{"owner": {"column": "account", "table": "public.accounts", "key": "id", "user": "login"}}');
SELECT id AS pair FROM chat.attachment \gset
INSERT INTO accounts VALUES (1, 'ann'), (2, 'ben');
INSERT INTO conversations (id, account, contact_jid) VALUES (1, 1, '5511999990001@s.whatsapp.net');
INSERT INTO chat_messages (conversation_id, message_id, content, direction, status) VALUES (1, 'M1', 'Oi', 'incoming', 'delivered'), (1, 'M2', 'Olá', 'outgoing', 'pending');
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- Columns that there are not
SELECT chat.run(NULL::boolean, :pair, 'type_is_allowed', 'text'::text);
SELECT m - 'createdAt' FROM jsonb_array_elements(chat.run(NULL::jsonb, :pair, 'pending_of', '1'::text, '2000-01-01'::timestamptz, 10)) m;
SELECT chat.wuzapi_values(:pair, '1', '{"id": "M3", "replyTo": "M1", "content": "x", "type": "text"}') - 'time';

-- Who has conversations
SELECT u, chat.user_has_conversations(:pair, 'owner', u), chat.user_has_conversations(:pair, 'agent', u) FROM unnest('{ann,ben,nobody}'::text[]) u;

-- What no statement takes
SELECT chat.run(NULL::boolean, :pair, 'nonsense', '1'::text);
SELECT chat.run(NULL::jsonb, :pair, 'users_of', true);
SELECT chat.run(NULL::jsonb, :pair, 'users_of', '1'::text, '1'::text);
SELECT chat.run(NULL::bigint, :pair, 'users_of', '1'::text);
SELECT chat.insert_rows(:pair, '{"content": "x"}');
SELECT chat.insert_rows(:pair, '["x"]');
SELECT chat.insert_rows(:pair, '[]');
SELECT count(*) FROM chat_messages;

-- Partial indexes that counters reach: what is not in one before may be afterwards
CREATE INDEX read ON conversations (id) WHERE last_message_at IS NULL;
CREATE INDEX waiting ON conversations (unread_count) WHERE assigned_agent_id IS NULL;
CREATE INDEX busy ON conversations (id) WHERE unread_count > 2;
INSERT INTO chat_messages (conversation_id, message_id, content, direction, status) SELECT 1, 'N' || n, 'Oi', 'incoming', 'delivered' FROM generate_series(1, 3) n;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
DROP INDEX read;
SELECT unread_count FROM conversations WHERE assigned_agent_id IS NULL AND unread_count = 4;
SELECT id FROM conversations WHERE unread_count > 2;
\set QUIET on
\c contrib_regression
DROP DATABASE regress_lacking;
