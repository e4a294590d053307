-- What becomes of merged conversations: what is written to them all the same, what is deleted, ids that are used again, pairs of
-- addresses that are forgotten. On the design's tables and on the existing project's.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_merged;
\c regress_merged
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
SET chat_realtime.rate_limits = off;
CREATE EXTENSION chat_realtime;
SELECT count(*) > 0 AS set_up FROM chat.setup();
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
CREATE TABLE mark AS SELECT 0::bigint AS id;
-- What was told since the last call.
CREATE FUNCTION news() RETURNS TABLE (event text, topic text, webhook text, changes jsonb) LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := (SELECT max(e.id) FROM chat.events e);
BEGIN
    RETURN QUERY SELECT e.event, regexp_replace(e.topic, '-.*[-:]', ':'), e.webhook, e.changes FROM chat.events e, mark m WHERE e.id > m.id ORDER BY e.id;
    UPDATE mark SET id = upto;
END $$;
CREATE FUNCTION said(chat text, id text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT a ->> 'conversationId' FROM chat.ingest_wuzapi('aaaaaaaa-0000-4000-8000-000000000001', jsonb_build_object('type', 'Message', 'event', jsonb_build_object(
        'Info', jsonb_build_object('Chat', chat, 'Sender', chat, 'ID', id, 'IsFromMe', false, 'Timestamp', to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) || more,
        'Message', jsonb_build_object('conversation', id)))) a
$$;
CREATE FUNCTION merges() RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(string_agg(format('%s into %s, %s moved, %s', right(from_id, 3), right(into_id, 3), moved, CASE WHEN finished_at IS NULL THEN 'goes on' ELSE 'done' END), '; ' ORDER BY from_id), 'none') FROM chat.merged_conversation
$$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- Who knows of no merge writes to the merged one: chat.maintain moves it, quietly, and what is unread is not hidden
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, :ann, '5511900000001@s.whatsapp.net'), (2, :ann, '140000000000001@lid');
SELECT chat.merge_conversations('2', '1') ->> 'finished';
UPDATE conversations SET status = 'resolved' WHERE id = 1;
INSERT INTO chat_messages (conversation_id, message_id, direction, content) VALUES (2, 'STRAY1', 'incoming', 'by hand'), (1, 'BOTH', 'outgoing', 'sent'), (2, 'BOTH', 'outgoing', 'sent');
SELECT count(*) > 0 FROM news();
SELECT id, status, unread_count FROM conversations ORDER BY id;
SELECT action FROM chat.maintain() WHERE action ~ 'merged into';
SELECT * FROM news();
SELECT id, status, unread_count, last_message_preview FROM conversations ORDER BY id;
SELECT conversation_id, message_id FROM chat_messages ORDER BY id;
SELECT merges();
SELECT count(*) FROM chat.maintain() WHERE action ~ 'merged into';
-- What is not unread opens nothing; a second call of the merge moves strays, too
UPDATE conversations SET status = 'resolved' WHERE id = 1;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'outgoing', 'from the old page');
SELECT count(*) > 0 FROM news();
SELECT chat.merge_conversations('2', '1');
SELECT * FROM news();
SELECT id, status FROM conversations ORDER BY id;

-- One into which others were merged is deleted: they stand for themselves
SELECT chat.delete_conversation('1') ->> 'id';
SELECT merges();
SELECT said('140000000000001@lid', 'SELF0001'), chat.save_message('2', '{"content": "x", "direction": "incoming"}') ->> 'conversationId';
INSERT INTO conversations (id, user_id, contact_jid) VALUES (3, :ann, '5511900000003@s.whatsapp.net');
SELECT chat.merge_conversations('2', '3');
-- and also in the same transaction, or when it is taken back
BEGIN;
DELETE FROM conversations WHERE id = 3;
SELECT merges(), chat.save_message('2', '{"content": "y", "direction": "incoming"}') ->> 'conversationId';
ROLLBACK;
SELECT merges(), chat.save_message('2', '{"content": "z", "direction": "incoming"}') ->> 'conversationId';
-- The merged one is deleted: its contact's other one is known all the same
DELETE FROM conversations WHERE id = 2;
SELECT merges(), said('140000000000001@lid', 'GONE0001');

-- An id that comes again is somebody else's
TRUNCATE conversations, chat_messages RESTART IDENTITY;
INSERT INTO conversations (user_id, contact_jid) VALUES (:ann, '5511900000011@s.whatsapp.net'), (:ann, '5511900000012@s.whatsapp.net'), (:ann, '5511900000013@s.whatsapp.net');
SELECT merges();
SELECT chat.save_message('2', '{"content": "x", "direction": "incoming"}') ->> 'conversationId', said('140000000000001@lid', 'AGAIN001'), said('5511900000012@s.whatsapp.net', 'AGAIN002');
SELECT chat.merge_conversations('2', '1') ->> 'finished';
TRUNCATE chat_messages, conversations RESTART IDENTITY;
INSERT INTO conversations (user_id, contact_jid) VALUES (:ann, '5511900000021@s.whatsapp.net');
SELECT merges(), said('5511900000012@s.whatsapp.net', 'AGAIN003');

-- Gone for good, and known by the other form of its number
SET chat_realtime.merged_conversations = remove;
INSERT INTO conversations (id, user_id, contact_jid) VALUES (31, :ann, '5511900000031@s.whatsapp.net'), (32, :ann, '553188880032@s.whatsapp.net');
SELECT chat.merge_conversations('32', '31') ->> 'finished', said('5531988880032@s.whatsapp.net', 'NINTH001'), said('553188880032@s.whatsapp.net', 'NINTH002');
RESET chat_realtime.merged_conversations;

-- A pair of addresses goes with the last conversation of its contact
DELETE FROM conversations;
SELECT said('140000000000041@lid', 'PAIR0001', '{"SenderAlt": "5511900000041@s.whatsapp.net"}') AS first, said('140000000000042@lid', 'PAIR0002', '{"SenderAlt": "5511900000042@s.whatsapp.net"}') AS second \gset
SELECT contact_jid FROM conversations ORDER BY id;
SELECT lid, phone FROM chat.contact_pair ORDER BY lid;
INSERT INTO conversations (id, user_id, contact_jid) VALUES (99, :ann, '140000000000041@lid');
DELETE FROM conversations WHERE id = :first;
SELECT lid FROM chat.contact_pair ORDER BY lid;
DELETE FROM conversations WHERE id = 99;
SELECT lid FROM chat.contact_pair ORDER BY lid;
UPDATE conversations SET contact_jid = '+5511900000042' WHERE id = :second;
SELECT chat.delete_conversation(:'second') ->> 'contactJid';
SELECT count(*) FROM chat.contact_pair;
-- but not with one that was merged
SELECT said('140000000000051@lid', 'MERGE001') AS lid, said('5511900000051@s.whatsapp.net', 'MERGE002') AS phone \gset
SET chat_realtime.merged_conversations = remove;
SELECT said('140000000000051@lid', 'MERGE003', '{"SenderAlt": "5511900000051@s.whatsapp.net"}') = :'lid';
RESET chat_realtime.merged_conversations;
SELECT contact_jid FROM conversations;
SELECT lid FROM chat.contact_pair;

-- The existing project's tables
\set QUIET on
SELECT count(*) > 0 AS detached FROM chat.detach('chat_messages');
CREATE SCHEMA live;
SET search_path = live, public;
\getenv srcdir PG_ABS_SRCDIR
\set tables :srcdir '/sql/shared/live_tables.sql'
\i :tables
CREATE FUNCTION cid(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO accounts VALUES ('99999999-0000-4000-8000-000000000001', 'An account', :ann, 'token');
SELECT count(*) > 0 AS attached FROM chat.attach('live.conversations', 'live.chat_messages');
\set QUIET off
INSERT INTO conversations (id, account_id, contact_jid) VALUES (cid(1), '99999999-0000-4000-8000-000000000001', '5511900000001@s.whatsapp.net'), (cid(2), '99999999-0000-4000-8000-000000000001', '140000000000001@lid'),
    (cid(3), '99999999-0000-4000-8000-000000000001', '5511900000003@s.whatsapp.net');
SELECT chat.merge_conversations(cid(2)::text, cid(1)::text) ->> 'finished';
UPDATE conversations SET status = 'snoozed' WHERE id = cid(1);
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (cid(2), 'incoming', 'by hand');
SELECT count(*) > 0 FROM news();
SELECT count(*) FROM chat.maintain() WHERE action ~ 'merged into';
SELECT * FROM news();
SELECT right(id::text, 1), status, unread_count FROM conversations ORDER BY id;
DELETE FROM chat.contact_pair;
INSERT INTO chat.contact_pair (owner, lid, phone) VALUES (:ann, '140000000000001@lid', '5511900000001@s.whatsapp.net'), (:ann, '140000000000003@lid', '5511900000003@s.whatsapp.net');
DELETE FROM conversations WHERE id = cid(3);
SELECT merges(), (SELECT string_agg(lid, ' ') FROM chat.contact_pair);
DELETE FROM accounts;
SELECT count(*) FROM chat.merged_conversation;

\set QUIET on
\c contrib_regression
SET client_min_messages = warning;
DROP DATABASE regress_merged WITH (FORCE);
