-- Merging conversations: what moves, what is told and to whom, and what comes for the one that is gone. On the design's tables and
-- on the existing project's.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_merge;
\c regress_merge
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
SET chat_realtime.rate_limits = off;
CREATE EXTENSION chat_realtime;
SELECT count(*) > 0 AS set_up FROM chat.setup();
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
\set agent '''cccccccc-0000-4000-8000-000000000003'''
\set other '''dddddddd-0000-4000-8000-000000000004'''
\getenv srcdir PG_ABS_SRCDIR
\set answers :srcdir '/sql/shared/answer.sql'
\i :answers
CREATE TABLE mark AS SELECT 0::bigint AS id;
-- What was told since the last call, users by the first letters of their ids.
CREATE FUNCTION news() RETURNS TABLE (event text, topic text, conversation text, webhook text, changes jsonb, rights text, payload jsonb) LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := (SELECT max(e.id) FROM chat.events e);
BEGIN
    RETURN QUERY SELECT e.event, regexp_replace(e.topic, '-.*:', ':'), right(e.conversation, 3), e.webhook, e.changes, right(e.rights, 3),
        (SELECT jsonb_object_agg(k.key, k.value) FROM jsonb_each(e.payload::jsonb) k WHERE k.key IN ('from', 'into', 'unreadCount', 'lastMessagePreview', 'status', 'content', 'assignedBotId'))
      FROM chat.events e, mark m WHERE e.id > m.id ORDER BY e.id;
    UPDATE mark SET id = upto;
END $$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- Messages move, a copy is dropped, agent, bot and name go along, counters are right; exactly one event each
INSERT INTO conversations (id, user_id, contact_jid, contact_name, assigned_bot_id) VALUES (1, :ann, '5511900000001@s.whatsapp.net', '5511900000001', 7);
INSERT INTO conversations (id, user_id, contact_jid, contact_name, assigned_agent_id, assigned_bot_id) VALUES (2, :ann, '140000000000001@lid', 'Ana', :agent, 8);
INSERT INTO chat_messages (conversation_id, message_id, direction, content, status, "timestamp", updated_at) VALUES
    (1, 'M1', 'incoming', 'one', 'read', '2026-01-01 10:00', '2026-01-01'), (1, 'M2', 'outgoing', 'two', 'sent', '2026-01-01 10:01', '2026-01-01'),
    (2, 'M1', 'incoming', 'one', 'delivered', '2026-01-01 10:00', '2026-01-01'), (2, 'M3', 'incoming', 'three', 'delivered', '2026-01-01 10:02', '2026-01-01'),
    (2, NULL, 'outgoing', 'four', 'failed', '2026-01-01 10:03', '2026-01-01'), (2, 'M2', 'incoming', 'another two', 'delivered', '2026-01-01 09:00', '2026-01-01');
INSERT INTO chat_messages (conversation_id, direction, content, is_private_note) VALUES (2, 'outgoing', 'a note', true);
SELECT count(*) FROM news();
SELECT chat.merge_conversations('2', '1');
SELECT * FROM news();
SELECT id, contact_jid, contact_name, status, unread_count, last_message_preview, assigned_agent_id, assigned_bot_id, metadata FROM conversations ORDER BY id;
SELECT conversation_id, message_id, content, status, updated_at = '2026-01-01' AS untouched FROM chat_messages ORDER BY id;
SELECT action, object, details, actor FROM chat.audit_log ORDER BY id;
SELECT * FROM chat.drifted((SELECT a FROM chat.attachment a));
-- Again: nothing; the other way round: it is done
SELECT chat.merge_conversations('2', '1'), chat.merge_conversations('1', '2');
SELECT * FROM news();

-- What comes for the one that is gone goes to the other, which is written to where the contact wrote last; it is never reopened
CREATE FUNCTION said(chat text, id text, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('type', 'Message', 'event', jsonb_build_object(
        'Info', jsonb_build_object('Chat', chat, 'Sender', chat, 'ID', id, 'IsFromMe', false, 'Timestamp', to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) || more,
        'Message', jsonb_build_object('conversation', id)))
$$;
SELECT chat.ingest_wuzapi(:ann, said('140000000000001@lid', 'FIVE0001')) -> 'conversationId';
SELECT chat.save_message('2', '{"content": "six", "direction": "incoming", "messageId": "SIX"}') -> 'conversationId';
SELECT chat.create_conversation(:ann, '140000000000001@lid') -> 'id';
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'by hand');
SELECT status, unread_count FROM conversations WHERE id = 2;
INSERT INTO conversations (id, user_id, contact_jid) VALUES (3, :ann, '5511900000003@s.whatsapp.net'), (4, :ann, '5511900000004@s.whatsapp.net');
SELECT chat.merge_conversations('3', '4') - '{moved,dropped}'::text[];
SELECT chat.ingest_wuzapi(:ann, said('5511900000003@s.whatsapp.net', 'SEVEN001')) -> 'conversationId';
SELECT id, contact_jid, status FROM conversations ORDER BY id;
SELECT chat.ingest_wuzapi(:ann, said('5511900000004@s.whatsapp.net', 'EIGHT001')) -> 'conversationId';
SELECT id, contact_jid, status FROM conversations ORDER BY id;
-- Merged on and on: all the way to the last one, and back to itself when that is deleted
SELECT chat.merge_conversations('4', '1') - '{moved,dropped}'::text[];
SELECT from_id, into_id FROM chat.merged_conversation ORDER BY from_id;
SELECT chat.ingest_wuzapi(:ann, said('5511900000003@s.whatsapp.net', 'NINE0001')) -> 'conversationId';
DELETE FROM conversations WHERE id = 1;
SELECT chat.ingest_wuzapi(:ann, said('140000000000001@lid', 'TEN00001')) -> 'conversationId';
SELECT count(*) FROM chat.merged_conversation;

-- Told by WhatsApp: into the older one, with the phone's address, whichever of the two had it
DELETE FROM conversations;
SELECT chat.ingest_wuzapi(:ann, said('140000000000011@lid', 'LID00001')) -> 'conversationId' AS lid, chat.ingest_wuzapi(:ann, said('5511900000011@s.whatsapp.net', 'PHONE001')) -> 'conversationId' AS phone \gset
UPDATE conversations SET created_at = '2026-01-01' WHERE id = :lid;
UPDATE conversations SET status = 'resolved' WHERE id = :lid;
SELECT count(*) > 0 FROM news();
SELECT chat.ingest_wuzapi(:ann, said('140000000000011@lid', 'BOTH0001', '{"SenderAlt": "5511900000011@s.whatsapp.net", "IsFromMe": true, "RecipientAlt": "5511900000011@s.whatsapp.net"}')) -> 'conversationId' = to_jsonb(:lid);
SELECT event, topic ~ '^user', changes, payload FROM news();
SELECT id = :lid, contact_jid, status, unread_count FROM conversations ORDER BY id;
-- Also with the list of a history, for each pair that it tells
SELECT count(chat.ingest_wuzapi(:ann, said(v || '0000000000000' || g || CASE v WHEN '14' THEN '@lid' ELSE '@s.whatsapp.net' END, 'LIST' || v || g))) FROM unnest('{14,55}'::text[]) v, generate_series(1, 3) g;
SELECT count(*) > 0 FROM news();
SELECT chat.ingest_wuzapi(:ann, '{"type": "HistorySync", "event": {"Data": {"conversations": [], "phoneNumberToLidMappings": [{"lidJID": "1400000000000001@lid", "pnJID": "5500000000000001@s.whatsapp.net"},
    {"lidJID": "1400000000000002@lid", "pnJID": "5500000000000002@s.whatsapp.net"}]}}}') ->> 'action';
SELECT event, count(*) FROM news() GROUP BY event ORDER BY event;

-- Who may, and what is refused
\set VERBOSITY sqlstate
INSERT INTO conversations (id, user_id, contact_jid, assigned_agent_id) VALUES (101, :ann, 'a101', :agent), (102, :ann, 'a102', :agent), (103, :bob, 'a103', NULL);
SELECT answer(c) FROM unnest(ARRAY['chat.merge_conversations(''101'', ''101'')', 'chat.merge_conversations(''101'', ''103'')', 'chat.merge_conversations(''x'', ''101'')',
    'chat.merge_conversations(NULL, ''101'')', 'chat.merge_conversations(''101'', NULL)', 'chat.merge_conversations(''101'', ''999'')', 'chat.merge_conversations(''999'', ''101'')',
    format('chat.merge_conversations(''101'', ''102'', %L)', :bob)]) c;
CREATE ROLE regress_merge_user;
GRANT EXECUTE ON FUNCTION chat.merge_conversations(text, text, text) TO regress_merge_user;
SET ROLE regress_merge_user;
SET request.jwt.claims = '{"sub": "cccccccc-0000-4000-8000-000000000003"}';
SELECT chat.merge_conversations('101', '102');
SET request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000002"}';
SELECT chat.merge_conversations('101', '102');
SET request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
SELECT chat.merge_conversations('101', '102');
SELECT chat.write_quietly(1, '{}', '101');
TABLE chat.merged_conversation;
RESET ROLE;
RESET request.jwt.claims;
\set VERBOSITY default
SELECT actor FROM chat.audit_log ORDER BY id DESC LIMIT 1;

-- More than 1,000: in portions, one event each all the same; what is written meanwhile is told as ever
SELECT count(*) > 0 FROM news();
INSERT INTO conversations (id, user_id, contact_jid, assigned_agent_id) VALUES (201, :ann, '5511900000201@s.whatsapp.net', :other), (202, :ann, '140000000000201@lid', :agent);
INSERT INTO chat_messages (conversation_id, message_id, direction, content, status, "timestamp")
    SELECT 202, 'P' || g, CASE WHEN g % 2 = 0 THEN 'incoming' ELSE 'outgoing' END, 'm' || g, 'delivered', '2026-01-01'::timestamptz + g * interval '1 s' FROM generate_series(1, 2500) g;
SELECT count(*) FROM news();
SELECT chat.merge_conversations('202', '201');
SELECT * FROM news();
SELECT id, unread_count, last_message_preview FROM conversations WHERE id > 200 ORDER BY id;
SELECT chat.ingest_wuzapi(:ann, said('140000000000201@lid', 'MEANWHILE')) ->> 'conversationId';
SELECT event, topic, payload FROM news();
DO $$ BEGIN
    FOR i IN 1 .. 100 LOOP
        EXIT WHEN (SELECT finished_at IS NOT NULL FROM chat.merged_conversation WHERE from_id = '202');
        PERFORM FROM chat.maintain();
    END LOOP;
END $$;
SELECT event, topic, webhook, payload FROM news();
SELECT id, unread_count, last_message_preview FROM conversations WHERE id > 200 ORDER BY id;
SELECT moved, dropped, finished_at IS NOT NULL FROM chat.merged_conversation WHERE from_id = '202';
SELECT * FROM chat.drifted((SELECT a FROM chat.attachment a));

-- Other triggers of the table's are heard; theirs are no merged rows
\set QUIET on
CREATE FUNCTION notes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chat_messages (conversation_id, direction, content) VALUES (NEW.conversation_id, 'outgoing', 'moved ' || NEW.content);
    RETURN NULL;
END $$;
CREATE TRIGGER notes AFTER UPDATE OF conversation_id ON chat_messages FOR EACH ROW EXECUTE FUNCTION notes();
\set QUIET off
INSERT INTO conversations (id, user_id, contact_jid) VALUES (301, :ann, 'a301'), (302, :ann, 'a302');
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (302, 'incoming', 'x');
SELECT count(*) FROM news();
SELECT chat.merge_conversations('302', '301') -> 'moved';
SELECT event, topic, payload FROM news();
DROP TRIGGER notes ON chat_messages;
-- A statement that fails leaves nothing quiet behind
BEGIN;
SAVEPOINT s;
SELECT chat.write_quietly((SELECT a.id FROM chat.attachment a), '{"conversation_status": "nonsense"}', '301');
ROLLBACK TO s;
UPDATE conversations SET contact_name = 'told' WHERE id = 301;
COMMIT;
SELECT event FROM news();

-- Not to be kept
SET chat_realtime.merged_conversations = remove;
INSERT INTO conversations (id, user_id, contact_jid) VALUES (401, :ann, '5511900000401@s.whatsapp.net'), (402, :ann, '5511900000402@s.whatsapp.net'), (403, :ann, '5511900000403@s.whatsapp.net');
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (402, 'incoming', 'x'), (403, 'incoming', 'y');
CREATE TABLE refers (conversation bigint REFERENCES conversations);
INSERT INTO refers VALUES (403);
SELECT count(*) FROM news();
SELECT chat.merge_conversations('402', '401') - 'dropped', chat.merge_conversations('403', '401') - 'dropped';
SELECT event, topic, rights, payload FROM news();
SELECT id, status, unread_count FROM conversations WHERE id > 400 ORDER BY id;
SELECT chat.ingest_wuzapi(:ann, said('5511900000402@s.whatsapp.net', 'GONE0001')) -> 'conversationId', chat.ingest_wuzapi(:ann, said('5511900000403@s.whatsapp.net', 'GONE0002')) -> 'conversationId';
RESET chat_realtime.merged_conversations;

-- The existing project's tables: uuid keys, accounts and agents, no metadata of conversations
\set QUIET on
SELECT count(*) > 0 AS detached FROM chat.detach('chat_messages');
SELECT count(*) AS forgotten FROM chat.merged_conversation;
CREATE SCHEMA live;
SET search_path = live, public;
\set tables :srcdir '/sql/shared/live_tables.sql'
\i :tables
CREATE FUNCTION cid(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO accounts VALUES ('99999999-0000-4000-8000-000000000001', 'An account', :ann, 'token'), ('99999999-0000-4000-8000-000000000002', 'Another of hers', :ann, 'token');
INSERT INTO agents VALUES ('cccccccc-0000-4000-8000-000000000013', '99999999-0000-4000-8000-000000000001', :agent, 'An agent'), ('dddddddd-0000-4000-8000-000000000014', '99999999-0000-4000-8000-000000000001', :other, 'Another');
SELECT count(*) > 0 AS attached FROM chat.attach('live.conversations', 'live.chat_messages');
\set QUIET off
INSERT INTO conversations (id, account_id, contact_jid, assigned_agent_id, status) VALUES (cid(1), '99999999-0000-4000-8000-000000000001', '5511900000001@s.whatsapp.net', 'dddddddd-0000-4000-8000-000000000014', 'snoozed'),
    (cid(2), '99999999-0000-4000-8000-000000000001', '140000000000001@lid', 'cccccccc-0000-4000-8000-000000000013', 'pending'), (cid(3), '99999999-0000-4000-8000-000000000002', 'x', NULL, 'open');
INSERT INTO chat_messages (conversation_id, message_id, direction, content, status, "timestamp") VALUES (cid(1), 'M1', 'incoming', 'one', 'delivered', '2026-01-01'),
    (cid(2), 'M1', 'incoming', 'one', 'delivered', '2026-01-01'), (cid(2), 'M2', 'incoming', 'two', 'delivered', '2026-01-02');
SELECT count(*) FROM news();
SELECT chat.merge_conversations(cid(2)::text, cid(1)::text);
SELECT event, topic, webhook, changes, rights, payload FROM news();
SELECT right(id::text, 1), status, unread_count, last_message_preview, left(assigned_agent_id::text, 1) FROM conversations ORDER BY id;
SELECT answer(format('chat.merge_conversations(%L, %L)', cid(3), cid(1)));

\set QUIET on
\c contrib_regression
SET client_min_messages = warning;
DROP DATABASE regress_merge WITH (FORCE);
DROP ROLE regress_merge_user;
