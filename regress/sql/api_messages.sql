-- Messages through the API functions, in the design's tables and in those of the existing system.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_api;
\c regress_api
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
SET chat_realtime.rate_limits = off;
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
-- A message or conversation without what differs from run to run.
CREATE FUNCTION brief(object jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_strip_nulls(object - '{createdAt,updatedAt,statusUpdatedAt,userId,isMuted,isPrivateNote,conversationId}'::text[]
           #- '{metadata,editedAt}') $$;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/answer.sql'
\i :shared
SELECT count(*) > 0 AS set_up FROM chat.setup();
\pset format unaligned
\pset tuples_only on
\pset null (null)
SELECT chat.create_conversation(:ann, '5511900000001@s.whatsapp.net', 'Ana') -> 'id' AS one,
       chat.create_conversation(:bob, '5511900000001@s.whatsapp.net', 'Bia') -> 'id' AS two \gset
\set QUIET off

-- Defaults: outgoing text of the user, sent, with an id of WhatsApp's form; incoming from the contact, delivered
SELECT brief(m) - 'messageId', m ->> 'messageId' ~ '^3EB0[0-9A-F]{18}$' FROM chat.save_message('1', '{"content": "olá"}') m;
SELECT brief(chat.save_message('1', '{"content": "oi", "direction": "incoming", "messageId": "IN1", "timestamp": "2026-06-18T13:19:38+02:00"}'));
SELECT brief(chat.save_message('1', '{"messageType": "image", "mediaUrl": "https://media.example.com/1.jpg", "mediaMimeType": "image/jpeg",
    "mediaFilename": "1.jpg", "mediaSizeBytes": 84213, "senderBotId": 7, "replyToMessageId": "IN1", "messageId": "OUT1",
    "metadata": {"a_key": {"b_c": null}}, "status": "pending"}'));
SELECT m ->> 'isPrivateNote', brief(m) - 'messageId' FROM chat.save_message('1', '{"content": "note", "isPrivateNote": true}') m;
-- Once: the stored one is returned, whatever the second holds
SELECT brief(chat.save_message('1', '{"content": "again", "direction": "incoming", "messageId": "IN1"}'));
SELECT chat.save_message('2', '{"content": "another conversation", "messageId": "IN1"}') -> 'id';
SELECT status, unread_count, last_message_preview FROM conversations ORDER BY id;

-- Missing and foreign are the same; bad ids are not
SELECT chat.save_message('99', '{"content": "x"}'), chat.save_message('2', '{"content": "x"}', :ann), chat.update_message_status('99', 'read'),
       chat.edit_message('6', 'x', :ann), chat.delete_message('6', :ann), chat.mark_read('2', owner => :ann);
SELECT c, answer(c) FROM unnest(ARRAY['chat.save_message(NULL, ''{}'')', 'chat.save_message(''x'', ''{}'')', 'chat.save_message(''-1e3'', ''{}'')',
    'chat.save_message('''', ''{}'')', 'chat.save_message(repeat(''9'', 1000000), ''{}'')', 'chat.save_message(''1'', NULL)',
    'chat.edit_message(NULL, ''x'')', 'chat.edit_message(''x'', ''x'')', 'chat.edit_message(''1'', NULL)', 'chat.edit_message(''1'', '''')',
    'chat.delete_message(''x'')', 'chat.mark_read(''x'')', 'chat.mark_read(NULL)', 'chat.update_message_status(''1'', NULL)',
    'chat.update_message_status(''1'', ''seen'')', 'chat.update_message_status(NULL, ''read'')']) c;
-- JSON of the wrong shape
SELECT m, answer(format('chat.save_message(''1'', %L)', m)) FROM unnest(ARRAY['[]', '"x"', '{}', '{"content": ""}', '{"content": 7}',
    '{"content": "x", "conversationId": 2}', '{"content": "x", "unreadCount": 9}', '{"content": "x", "direction": "sideways"}',
    '{"content": "x", "status": "seen"}', '{"content": "x", "status": 3}', '{"content": "x", "senderType": "ghost"}',
    '{"content": "x", "metadata": []}', '{"content": "x", "metadata": "x"}', '{"content": "x", "timestamp": "yesterday"}',
    '{"content": "x", "timestamp": "2026-06-18T13:19:38"}', '{"content": "x", "timestamp": "2026-02-30T00:00:00Z"}',
    '{"content": "x", "timestamp": "infinity"}', '{"content": "x", "messageId": ""}', '{"content": "x", "isPrivateNote": "yes"}',
    '{"content": "x", "isPrivateNote": true, "direction": "incoming"}', '{"messageType": "image", "mediaSizeBytes": -1}',
    '{"messageType": "image", "mediaSizeBytes": 1.5}', '{"content": "x", "senderAgentId": "x"}', '{"content": "x", "senderAgentId": {}}',
    '{"content": "x", "isPrivateNote": 1}']) m;
SELECT chat.save_message('1', '{"content": "x", "type": null, "metadata": null, "timestamp": null, "direction": null, "messageId": null}') ->> 'direction';
SELECT answer(format('chat.save_message(''1'', %L)', jsonb_build_object('content', 'x', 'messageId', repeat('x', 256))));

-- Status: forward only
SELECT s, chat.update_message_status('3', s) ->> 'status' FROM unnest('{sent,pending,delivered,sent,failed,read,read}'::text[]) s;
SELECT chat.update_message_status('4', 'delivered', '2026-06-18T13:19:38Z') ->> 'statusUpdatedAt';
SELECT chat.update_message_status('4', 'delivered', '2027-06-18T13:19:38Z') ->> 'statusUpdatedAt';

-- Edit: marked, and nothing happens when nothing changes
CREATE TABLE mark AS SELECT max(id) AS id FROM chat.events;
SELECT brief(chat.edit_message('3', 'legenda'));
SELECT brief(chat.edit_message('3', 'legenda'));
SELECT event, payload::jsonb ->> 'content', payload::jsonb -> 'metadata' ->> 'isEdited' FROM chat.events WHERE id > (SELECT id FROM mark) ORDER BY id;

-- Read: up to a time, then the rest; the answer is how many
SELECT chat.save_message('1', jsonb_build_object('content', 'n' || n, 'direction', 'incoming', 'messageId', 'N' || n,
           'timestamp', format('2026-06-18T12:00:0%sZ', n))) -> 'id' FROM generate_series(1, 4) n;
SELECT unread_count FROM conversations WHERE id = 1;
SELECT chat.mark_read('1', '2026-06-18T12:00:02Z');
SELECT unread_count FROM conversations WHERE id = 1;
SELECT chat.mark_read('1', '2026-06-18T12:00:02Z'), chat.mark_read('1'), chat.mark_read('1');
SELECT unread_count FROM conversations WHERE id = 1;
SELECT message_id, status FROM chat_messages WHERE conversation_id = 1 AND direction = 'incoming' ORDER BY id;

-- Delete: the row goes, an audit row stays
SELECT brief(chat.delete_message('3'));
SELECT chat.delete_message('3'), chat.edit_message('3', 'x');
SELECT action, object, details FROM chat.audit_log;
-- … or is marked, where the table marks
ALTER TABLE chat_messages ADD deleted_at timestamptz, ADD is_edited boolean;
SELECT count(*) FROM chat.attach('conversations', 'chat_messages');
SELECT m ->> 'deletedAt' IS NOT NULL FROM chat.delete_message('4') m;
SELECT chat.delete_message('4'), chat.edit_message('4', 'x');
SELECT event FROM chat.events WHERE id = (SELECT max(id) FROM chat.events);
SELECT m -> 'isEdited' FROM chat.edit_message('1', 'olá!') m;

-- A new message of the contact opens a resolved conversation, an own one does not, a repeated one neither
SELECT chat.archive_conversation('1') ->> 'status';
SELECT chat.save_message('1', '{"content": "own"}') -> 'id' IS NULL, chat.save_message('1', '{"content": "x", "direction": "incoming", "messageId": "N1"}') -> 'id' IS NULL;
SELECT status FROM conversations WHERE id = 1;
SELECT chat.save_message('1', '{"content": "new", "direction": "incoming", "messageId": "N9"}') -> 'id' IS NULL;
SELECT status FROM conversations WHERE id = 1;

-- A time without seconds; a message that a trigger of the table's keeps out
SELECT chat.save_message('1', '{"content": "x", "messageId": "MINUTE", "timestamp": "2026-06-18T13:19+02:00"}') -> 'timestamp';
BEGIN;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing BEFORE INSERT ON chat_messages FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT chat.save_message('1', '{"content": "x"}');
ROLLBACK;

-- Content is whole for readers, however long
SELECT length(chat.save_message('1', jsonb_build_object('content', repeat('é', 9000), 'direction', 'incoming', 'messageId', 'LONG')) ->> 'content');

-- Who may: users their own, nobody without claims, roles given to chat.grant_backend everything
\set QUIET on
CREATE ROLE regress_api_user;
SELECT chat.grant_functions('regress_api_user', '{save_message,update_message_status,edit_message,delete_message,mark_read,list_messages}');
CREATE ROLE regress_api_backend;
SELECT chat.grant_backend('regress_api_backend');
\set QUIET off
SET ROLE regress_api_user;
SELECT c, answer(c) FROM unnest(ARRAY['chat.save_message(''1'', ''{"content": "x"}'')', 'chat.update_message_status(''1'', ''read'')',
    'chat.edit_message(''1'', ''x'')', 'chat.delete_message(''1'')', 'chat.mark_read(''1'')', 'chat.list_messages(''1'')']) c;
SET request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000002", "role": "service_role"}';
SELECT chat.save_message('1', '{"content": "x"}'), chat.update_message_status('1', 'read'), chat.edit_message('1', 'x'), chat.delete_message('1'),
       chat.mark_read('1'), chat.list_messages('1');
SELECT answer(format('chat.save_message(''1'', ''{"content": "x"}'', %L)', :ann));
SELECT chat.save_message('2', '{"content": "mine", "messageId": "MINE"}', :bob) ->> 'content', chat.save_message('2', '{"content": "mine", "messageId": "MINE"}') ->> 'content';
RESET request.jwt.claims;
SET ROLE regress_api_backend;
SELECT chat.save_message('2', '{"content": "x", "messageId": "MINE"}') ->> 'content', chat.save_message('2', '{"content": "x"}', :ann);
RESET ROLE;

-- The existing system's tables: uuid ids, an account between conversation and user, required columns, no updated_at, enum status, json metadata
\set QUIET on
DELETE FROM chat.attachment;
CREATE SCHEMA live;
SET search_path = live, public;
CREATE TYPE progress AS ENUM ('pending', 'sent', 'delivered', 'read', 'failed');
CREATE TABLE accounts (id uuid PRIMARY KEY, owner_user_id uuid NOT NULL);
CREATE TABLE agents (id uuid PRIMARY KEY, user_id uuid NOT NULL);
CREATE TABLE conversations (id uuid PRIMARY KEY, account_id uuid NOT NULL REFERENCES accounts, contact_jid text NOT NULL,
    contact_name text, last_message_at timestamptz, last_message_preview text, unread_count integer DEFAULT 0,
    assigned_agent_id uuid REFERENCES agents, status text DEFAULT 'open', created_at timestamptz DEFAULT now(), UNIQUE (account_id, contact_jid));
CREATE TABLE chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    message_id text NOT NULL, direction text NOT NULL, message_type text NOT NULL, content text NOT NULL, status progress DEFAULT 'pending',
    is_private_note boolean DEFAULT false, sender_type text, sender_agent_id uuid REFERENCES agents, metadata json DEFAULT '{}',
    reply_to_message_id uuid, "timestamp" timestamptz NOT NULL, created_at timestamptz DEFAULT now());
INSERT INTO accounts VALUES ('11111111-0000-4000-8000-000000000001', :ann), ('11111111-0000-4000-8000-000000000002', :ann), ('11111111-0000-4000-8000-000000000003', :bob);
SELECT count(*) FROM chat.attach('conversations', 'chat_messages');
INSERT INTO conversations (id, account_id, contact_jid) VALUES ('cccccccc-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000002', '1@s.whatsapp.net'),
    ('cccccccc-0000-4000-8000-000000000002', '11111111-0000-4000-8000-000000000003', '1@s.whatsapp.net');
\set QUIET off
SELECT brief(m) - '{id,timestamp,messageId}'::text[] FROM chat.save_message('cccccccc-0000-4000-8000-000000000001', '{"messageType": "image"}', :ann) m;
SELECT answer('chat.save_message(''cccccccc-0000-4000-8000-000000000001'', ''{"content": "x", "direction": "incoming"}'')');
SELECT answer('chat.save_message(''cccccccc-0000-4000-8000-000000000001'', ''{"content": "x", "mediaUrl": "x"}'')');
SELECT answer('chat.save_message(''cccccccc-0000-4000-8000-000000000001'', ''{"content": "x", "senderAgentId": "dddddddd-0000-4000-8000-000000000001"}'')');
SELECT m ->> 'content', m -> 'metadata', m ->> 'replyToMessageId' IS NULL FROM chat.save_message('cccccccc-0000-4000-8000-000000000001', '{"content": "oi", "direction": "incoming", "messageId": "A", "replyToMessageId": "unknown", "metadata": {"x": 1}}') m;
SELECT r.id::text = m ->> 'replyToMessageId' FROM chat.save_message('cccccccc-0000-4000-8000-000000000001', '{"content": "re", "messageId": "B", "replyToMessageId": "A"}') m,
       chat_messages r WHERE r.message_id = 'A';
SELECT chat.edit_message(id::text, 'oi!') -> 'metadata' -> 'isEdited', chat.update_message_status(id::text, 'read', owner => :ann) ->> 'status',
       chat.update_message_status(id::text, 'read', owner => :bob) FROM chat_messages WHERE message_id = 'A';
SELECT chat.save_message('cccccccc-0000-4000-8000-000000000002', '{"content": "x"}', :ann), chat.mark_read('cccccccc-0000-4000-8000-000000000001', owner => :bob),
       chat.mark_read('cccccccc-0000-4000-8000-000000000001', owner => :ann);
SELECT answer('chat.save_message(''1'', ''{"content": "x"}'')');
-- Nothing attached
DELETE FROM chat.attachment;
SELECT answer('chat.save_message(''1'', ''{"content": "x"}'')');

\set QUIET on
\c contrib_regression
DROP DATABASE regress_api;
DROP ROLE regress_api_user, regress_api_backend;
