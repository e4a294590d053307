-- Rule R7: what opens a conversation that is resolved or snoozed again, and what does not; in triggers, API and ingestion.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_reopen;
\c regress_reopen
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
SELECT count(*) > 0 AS set_up FROM chat.setup();
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/bodies.sql'
\i :shared
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
-- Conversation 1 with this status and one read message of an hour and a half ago.
CREATE FUNCTION again(status text DEFAULT 'resolved') RETURNS void LANGUAGE sql AS $$
    DELETE FROM conversations;
    INSERT INTO conversations (id, user_id, contact_jid, status) VALUES (1, 'aaaaaaaa-0000-4000-8000-000000000001', '5511900000001@s.whatsapp.net', 'open');
    INSERT INTO chat_messages (conversation_id, message_id, direction, content, status, "timestamp") VALUES (1, 'OLD', 'incoming', 'old', 'read', now() - interval '90 min');
    UPDATE conversations SET status = again.status $$;
CREATE FUNCTION say(direction text DEFAULT 'incoming', age interval DEFAULT '1 min', private boolean DEFAULT false, status text DEFAULT 'delivered') RETURNS void LANGUAGE sql AS $$
    INSERT INTO chat_messages (conversation_id, direction, content, is_private_note, status, "timestamp") VALUES (1, direction, 'x', private, status, now() - age) $$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- A new message of the contact, of this hour, that is the last one
\set QUIET on
SELECT again('resolved'); SELECT say(); SELECT status FROM conversations;
SELECT again('snoozed'); SELECT say(); SELECT status FROM conversations;
SELECT again('pending'); SELECT say(); SELECT status FROM conversations;
SELECT again(); SELECT say(age => '59 min'); SELECT status FROM conversations;
SELECT again(); SELECT say(status => 'read'); SELECT status FROM conversations;
\set QUIET off
-- Not: an older one, an own one, a note, one that is not the last, a copy of history, a change of one that is there
\set QUIET on
SELECT again(); SELECT say(age => '61 min'); SELECT status FROM conversations;
SELECT again(); SELECT say('outgoing'); SELECT status FROM conversations;
SELECT again(); SELECT say(private => true); SELECT status FROM conversations;
SELECT again(); SELECT say('outgoing', '1 min'); SELECT say(age => '2 min'); SELECT status FROM conversations;
SELECT again(); SET chat_realtime.import = on; SELECT say(); RESET chat_realtime.import; SELECT status FROM conversations;
SELECT again(); UPDATE chat_messages SET content = 'new', status = 'delivered', "timestamp" = now(); SELECT status FROM conversations;
SELECT again(); INSERT INTO conversations (id, user_id, contact_jid) VALUES (2, :ann, 'other'); INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'moved');
UPDATE chat_messages SET conversation_id = 1 WHERE conversation_id = 2; SELECT status FROM conversations WHERE id = 1;
\set QUIET off
-- One that a trigger of the table's deletes when it is opened is gone
\set QUIET on
SELECT again();
CREATE FUNCTION remove() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM conversations WHERE id = NEW.id; RETURN NULL; END';
CREATE TRIGGER remove AFTER UPDATE OF status ON conversations FOR EACH ROW WHEN (NEW.status = 'open') EXECUTE FUNCTION remove();
SELECT say();
DROP TRIGGER remove ON conversations;
SELECT (SELECT count(*) FROM conversations WHERE id = 1), (SELECT count(*) FROM chat_messages WHERE conversation_id = 1);
\set QUIET off
-- In one statement: the last one counts
\set QUIET on
SELECT again(); INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") VALUES (1, 'incoming', 'a', now() - interval '2 min'), (1, 'outgoing', 'b', now() - interval '1 min'); SELECT status FROM conversations;
SELECT again(); INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") VALUES (1, 'outgoing', 'b', now() - interval '2 min'), (1, 'incoming', 'a', now() - interval '1 min'); SELECT status FROM conversations;
SELECT again(); INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") SELECT 1, d, 'tie', now() FROM unnest('{outgoing,incoming}'::text[]) d; SELECT status FROM conversations;
\set QUIET off
-- A status that the same transaction writes stays, before and after; also that of a conversation it makes
\set QUIET on
SELECT again('open'); BEGIN; UPDATE conversations SET status = 'resolved'; SELECT say(); COMMIT; SELECT status FROM conversations;
SELECT again('open'); BEGIN; SELECT say(); UPDATE conversations SET status = 'snoozed'; COMMIT; SELECT status FROM conversations;
SELECT again(); BEGIN; SELECT say(); UPDATE conversations SET status = 'resolved'; SELECT say(age => '0'); COMMIT; SELECT status FROM conversations;
DELETE FROM conversations; BEGIN; INSERT INTO conversations (id, user_id, contact_jid, status) VALUES (1, :ann, 'x', 'snoozed'); SELECT say(); COMMIT; SELECT status FROM conversations;
SELECT again(); BEGIN; SAVEPOINT s; SELECT say(); ROLLBACK TO s; COMMIT; SELECT status FROM conversations;
SELECT again(); BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM conversations; SELECT say(); COMMIT; SELECT status FROM conversations;
\set QUIET off
-- What is told: the status, and the counters
\set QUIET on
SELECT again('snoozed');
CREATE TABLE mark AS SELECT max(id) AS id FROM chat.events;
SELECT say();
\set QUIET off
SELECT event, webhook, payload::jsonb -> 'status', payload::jsonb -> 'unreadCount' FROM chat.events WHERE id > (SELECT id FROM mark) ORDER BY id;
-- Other statuses, for all pairs or one; none: what the functions did before there was a setting
SET chat_realtime.reopen = 'Pending';
SET chat_realtime.reopen = 'pending, resolved';
\set QUIET on
SELECT again('pending'); SELECT say(); SELECT status FROM conversations;
SELECT again('snoozed'); SELECT say(); SELECT status FROM conversations;
RESET chat_realtime.reopen;
SELECT chat.configure('chat_messages', '{"reopen": "resolved"}');
SELECT again('snoozed'); SELECT say(); SELECT status FROM conversations;
SELECT again(); SELECT say(); SELECT status FROM conversations;
SELECT chat.configure('chat_messages', '{"reopen": ""}');
SELECT again(); SELECT say(); SELECT status FROM conversations;
SELECT again(); SELECT count(*) FROM chat.save_message('1', '{"direction": "incoming", "content": "x"}'); SELECT status FROM conversations;
SELECT again(); SELECT chat.ingest_wuzapi(:ann, body('text')) ->> 'action'; SELECT status FROM conversations;
SELECT chat.configure('chat_messages', '{"reopen": null}');
\set QUIET off
-- The API and ingestion do as the triggers do
\set QUIET on
CREATE FUNCTION recent(name text, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT chat.ingest_wuzapi('aaaaaaaa-0000-4000-8000-000000000001', body(name, jsonb_build_object('event.Info.Timestamp', now() - interval '1 min') || changes)) ->> 'action' $$;
SELECT again('snoozed'); SELECT count(*) FROM chat.save_message('1', '{"direction": "incoming", "content": "x"}'); SELECT status FROM conversations;
SELECT again(); SELECT count(*) FROM chat.save_message('1', jsonb_build_object('direction', 'incoming', 'content', 'x', 'timestamp', now() - interval '2 h')); SELECT status FROM conversations;
SELECT again(); SELECT count(*) FROM chat.save_message('1', '{"direction": "outgoing", "content": "x"}'); SELECT status FROM conversations;
SELECT again('snoozed'); SELECT recent('text'); SELECT status FROM conversations;
SELECT again(); SELECT chat.ingest_wuzapi(:ann, body('text')) ->> 'action' AS of_june; SELECT status FROM conversations;
\set QUIET off
-- Never: receipts, reactions, votes, edits (also of what is not here), revokes, protocol, own messages, history, typing, what is here already
\set QUIET on
SELECT again(); SELECT recent('text', '{"event.Info.ID": "OLD"}'); SELECT status FROM conversations;
SELECT again(); SELECT recent('reaction', '{"event.Message.reactionMessage.key.ID": "OLD", "event.Message.reactionMessage.senderTimestampMS": null}'); SELECT status FROM conversations;
SELECT again(); SELECT recent('edit', '{"event.Message.protocolMessage.key.ID": "OLD"}'); SELECT status, last_message_preview FROM conversations;
SELECT again(); SELECT recent('edit', '{"event.Message.protocolMessage.key.ID": "NEVER"}'); SELECT status, last_message_preview FROM conversations;
SELECT again(); SELECT recent('edit', '{"event.Message": {"secretEncryptedMessage": {"secretEncType": 2, "targetMessageKey": {"ID": "OLD"}}}}'); SELECT status, last_message_preview FROM conversations;
SELECT again(); SELECT recent('revoke', '{"event.Message.protocolMessage.key.ID": "OLD"}'); SELECT status FROM conversations;
SELECT again(); SELECT recent('text', '{"event.Message": {"protocolMessage": {"type": 3}}}'); SELECT status FROM conversations;
SELECT again(); SELECT recent('text_from_phone', '{"event.Info.Chat": "5511900000001@s.whatsapp.net"}'); SELECT status FROM conversations;
SELECT again(); SELECT chat.ingest_wuzapi(:ann, jsonb_build_object('type', 'HistorySync', 'event', jsonb_build_object('Data', jsonb_build_object('conversations', jsonb_build_array(jsonb_build_object('ID', '5511900000001@s.whatsapp.net', 'unreadCount', 1,
    'messages', jsonb_build_array(jsonb_build_object('key', '{"ID": "HIST"}'::jsonb, 'messageTimestamp', extract(epoch FROM now())::bigint, 'message', '{"conversation": "x"}'::jsonb)))))))) ->> 'messages'; SELECT status, unread_count FROM conversations;
SELECT again(); SELECT chat.ingest_wuzapi(:ann, body('typing')) ->> 'action'; SELECT status FROM conversations;
\set QUIET off
-- Tables without a last message, or without a status
\set QUIET on
ALTER TABLE conversations DROP COLUMN last_message_at;
SELECT again('snoozed'); SELECT say(); SELECT status FROM conversations;
SELECT again('snoozed'); SELECT say('outgoing', '1 min'); SELECT say(age => '2 min'); SELECT status FROM conversations;
ALTER TABLE conversations DROP COLUMN status;
SELECT say(); SELECT unread_count FROM conversations;
\set QUIET off

\set QUIET on
\c contrib_regression
DROP DATABASE regress_reopen;
