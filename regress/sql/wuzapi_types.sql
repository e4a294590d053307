-- What becomes of every kind of WhatsApp message, of changes of messages, and of the history.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_wuzapi;
\c regress_wuzapi
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/bodies.sql'
\i :shared
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
SELECT count(*) > 0 AS set_up FROM chat.setup();
-- Here reactions and votes are told apart by the events' times, which the senders' clocks do not contradict.
UPDATE body SET body = body #- '{event,Message,reactionMessage,senderTimestampMS}' #- '{event,Message,pollUpdateMessage,senderTimestampMS}';
-- Ingests bodies of these names, one after the other.
CREATE FUNCTION feed(VARIADIC names text[]) RETURNS TABLE (name text, answer jsonb) LANGUAGE sql AS $$
    SELECT n, chat.ingest_wuzapi('aaaaaaaa-0000-4000-8000-000000000001', body(n)) FROM unnest(names) WITH ORDINALITY u (n, i) ORDER BY i $$;
CREATE TABLE mark AS SELECT 0::bigint AS id;
-- What was recorded since the last look.
CREATE FUNCTION news() RETURNS SETOF text LANGUAGE sql AS $$
    WITH seen AS (UPDATE mark SET id = (SELECT COALESCE(max(id), 0) FROM chat.events) FROM (SELECT id FROM mark) o RETURNING o.id)
    SELECT concat_ws(' ', event, conversation, webhook) FROM chat.events WHERE id > (SELECT id FROM seen) ORDER BY id $$;
\pset format unaligned
\pset tuples_only on
\pset null (null)
\set QUIET off

-- Every kind is stored; WhatsApp's own name for it is in the metadata where the type does not say it
SELECT name, answer - '{conversationId,externalId,isNewConversation,direction}'::text[] FROM feed('text', 'text_from_phone', 'poll', 'group_reply', 'view_once',
    'view_once_empty', 'buttons', 'buttons_response', 'list', 'list_response', 'template', 'template_reply', 'interactive', 'interactive_response', 'order',
    'contacts', 'live_location', 'comment', 'group_invite', 'product', 'ptv', 'older_spelling', 'sticker', 'location', 'contact');
SELECT id, message_type, content, metadata - 'media' FROM chat_messages ORDER BY id;
SELECT name, answer FROM feed('album', 'pin', 'protocol_setting', 'undecryptable', 'poll_vote_encrypted', 'context_only');
-- What is unknown is kept if it is small
SELECT chat.ingest_wuzapi(:ann, body('product', jsonb_build_object('event.Info.ID', 'BIG', 'event.Message', jsonb_build_object('futureThingMessage', repeat('x', 5000))))) ->> 'action';
SELECT content, metadata FROM chat_messages WHERE message_id = 'BIG';

-- Reactions: one of each person, replaced and taken away; older and repeated ones change nothing
SELECT count(*) > 0 FROM news();
SELECT name, answer FROM feed('reaction', 'reaction', 'reaction_own', 'group_reaction');
SELECT news();
SELECT message_id, metadata -> 'reactions' FROM chat_messages WHERE metadata ? 'reactions' ORDER BY id;
SELECT chat.ingest_wuzapi(:ann, body('reaction', '{"event.Message.reactionMessage.text": "🎉", "event.Info.Timestamp": "2026-06-18T11:00:00Z"}')) ->> 'action';
SELECT chat.ingest_wuzapi(:ann, body('reaction', '{"event.Message.reactionMessage.text": "🎉", "event.Info.Timestamp": "2026-06-18T12:00:00Z"}')) ->> 'action';
SELECT metadata -> 'reactions' FROM chat_messages WHERE message_id = '3A5500000000000000B1';
SELECT name, answer FROM feed('reaction_removed', 'reaction_removed');
SELECT metadata -> 'reactions' FROM chat_messages WHERE message_id = '3A5500000000000000B1';
-- An older one that comes after the removal, or again, stays away; a newer one is there again, and is replaced
CREATE FUNCTION react(emoji text, at text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    action text := chat.ingest_wuzapi('aaaaaaaa-0000-4000-8000-000000000001', body('reaction', jsonb_build_object('event.Message.reactionMessage.text', emoji, 'event.Info.Timestamp', at))) ->> 'action';
BEGIN
    RETURN (SELECT concat_ws(' ', action, metadata #>> '{reactions,0,emoji}', '/', left(metadata #>> '{reactionsRemoved,0,at}', 19)) FROM chat_messages WHERE message_id = '3A5500000000000000B1');
END $$;
SELECT react('🎉', '2026-06-18T12:00:00Z');
SELECT react('', '2026-06-18T13:00:00Z'), react('👍', '2026-06-18T12:30:00Z'), react('', '2026-06-18T13:00:00Z'), react('', '2026-06-18T12:45:00Z');
SELECT react('👍', '2026-06-18T14:00:00Z');
SELECT react('❤', '2026-06-18T14:00:01Z'), react('❤', '2026-06-18T14:00:01Z'), react('👍', '2026-06-18T14:00:00Z');
SELECT react('', '2026-06-18T13:30:00Z'), react('', '2026-06-18T14:00:02Z'), react('❤', '2026-06-18T14:00:01Z'), react('👍', '2026-06-18T14:00:03Z');
-- ... and a removal that comes before what it removes
SELECT answer FROM feed('reaction_own');
SELECT chat.ingest_wuzapi(:ann, body('reaction_own', '{"event.Message.reactionMessage.text": "", "event.Info.Timestamp": "2026-06-18T15:00:00Z", "event.Message.reactionMessage.key.ID": "3EB00000000000000027"}')) ->> 'action',
       chat.ingest_wuzapi(:ann, body('reaction_own', '{"event.Info.Timestamp": "2026-06-18T14:59:59Z", "event.Message.reactionMessage.key.ID": "3EB00000000000000027"}')) ->> 'action';
SELECT metadata -> 'reactions', metadata -> 'reactionsRemoved' FROM chat_messages WHERE message_id = '3EB00000000000000027';
SELECT chat.ingest_wuzapi(:ann, body('reaction', '{"event.Message.reactionMessage.key.ID": "UNKNOWN"}'));
-- Votes
SELECT name, answer FROM feed('poll_vote', 'poll_vote');
SELECT metadata -> 'votes' FROM chat_messages WHERE message_id = '3EB00000000000000027';

-- Edits: the newest counts; only one's own messages; an unknown one is stored with the mark, and its original is then a repetition
SELECT count(*) > 0 FROM news();
SELECT name, answer FROM feed('edit_wrapped', 'edit', 'edit_wrapped', 'edit_foreign', 'edit_unknown', 'edit_unknown');
SELECT news();
SELECT id, message_id, content, metadata FROM chat_messages WHERE metadata ? 'isEdited' ORDER BY id;
SELECT chat.ingest_wuzapi(:ann, body('text', '{"event.Info.ID": "3EB0FFFFFFFFFFFFFF01"}')) ->> 'action';
SELECT chat.ingest_wuzapi(:ann, body('edit', '{"event.Info.Timestamp": "2026-06-18T15:00:00Z", "event.Message.protocolMessage.key.ID": "3EB0000000000000001A",
    "event.Message.protocolMessage.editedMessage": {"imageMessage": {"caption": "legenda"}}}')) ->> 'action';
SELECT message_id, message_type, content, metadata FROM chat_messages WHERE message_id = '3EB0000000000000001A';

-- Revokes: the content goes, the mark comes; of an unknown message: ignored. A group's admin takes back what others wrote.
SELECT count(*) > 0 FROM news();
SELECT unread_count FROM conversations WHERE id = 1;
SELECT name, answer FROM feed('revoke', 'revoke', 'revoke_unknown', 'edit_wrapped', 'group_revoke_admin');
SELECT chat.ingest_wuzapi(:ann, body('revoke', '{"event.Message.protocolMessage.key.ID": "3A5500000000000000B1"}'));
SELECT chat.ingest_wuzapi(:ann, body('revoke', '{"event.Message.protocolMessage.key.ID": "3EB0000000000000005C"}'));
SELECT news();
SELECT message_id, message_type, content, media_url, metadata FROM chat_messages WHERE metadata ? 'isDeleted' ORDER BY id;
SELECT chat.ingest_wuzapi(:ann, body('reaction_own')) ->> 'reason';

-- Names of groups
SELECT name, answer FROM feed('joined_group', 'group_info', 'group_info_unnamed');
SELECT n, chat.ingest_wuzapi(:ann, body('joined_group', jsonb_build_object('event.Name', n))) ->> 'action' FROM unnest('{"",123," ",120363000000000001@g.us,Grupo 12036}'::text[]) n;
SELECT chat.ingest_wuzapi(:ann, body('joined_group', '{"event.JID": "120363000000000077@g.us"}'));
SELECT contact_name FROM conversations WHERE contact_jid = '120363000000000001@g.us';

-- A hidden address that is not told apart: ids tell the conversation, also for changes
SELECT chat.ingest_wuzapi(:ann, body('edit', '{"event.Info.Chat": "1000@lid", "event.Info.Timestamp": "2026-06-18T16:00:00Z", "event.Message.protocolMessage.key.ID": "3EB0FFFFFFFFFFFFFF01"}')) ->> 'action';

-- History: once, in the past, unread as WhatsApp counts, no news but of the conversations, and nobody's webhooks
SELECT count(*) > 0 FROM news();
SELECT last_message_at, last_message_preview FROM conversations WHERE id = 1;
SELECT chat.ingest_wuzapi(:ann, body('history'));
SELECT news();
SELECT contact_jid, contact_name, unread_count, last_message_at, last_message_preview FROM conversations WHERE id = 1 OR id > 2 ORDER BY contact_jid COLLATE "C";
SELECT c.contact_jid, m.message_id, m.direction, m.message_type, m.content, m.status, m.timestamp, m.metadata - 'media'
  FROM chat_messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.message_id LIKE 'HIST%' ORDER BY m.message_id;
SELECT chat.ingest_wuzapi(:ann, body('history'));
SELECT news();
-- A message after it is news again
SELECT chat.ingest_wuzapi(:ann, body('text', '{"event.Info.ID": "AFTER"}')) ->> 'action';
SELECT news();
SELECT chat.ingest_wuzapi(:ann, '{"type": "HistorySync", "event": {"Data": {"syncType": 4, "pushnames": []}}}');
SHOW chat_realtime.import;

-- One's own messages are not limited: they have been sent
SET chat_realtime.rate_limits = on;
SELECT count(chat.ingest_wuzapi(:ann, body('text_from_phone', jsonb_build_object('event.Info.ID', 'FAST' || n)))) FROM generate_series(1, 30) n;
-- Tables that allow fewer types, mark deletion in a column, and have no metadata
\set QUIET on
DELETE FROM chat.attachment;
CREATE SCHEMA small;
SET search_path = small, public;
CREATE TABLE conversations (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, user_id uuid NOT NULL, contact_jid text NOT NULL, unread_count integer DEFAULT 0,
    last_message_preview text);
CREATE TABLE chat_messages (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE, message_id text,
    direction text NOT NULL, message_type text NOT NULL CHECK (message_type IN ('text', 'image', 'audio', 'video', 'document')), content text NOT NULL,
    status text DEFAULT 'pending', is_deleted boolean DEFAULT false, is_edited boolean DEFAULT false, metadata jsonb, "timestamp" timestamptz, created_at timestamptz DEFAULT now());
SELECT count(*) FROM chat.attach('conversations', 'chat_messages');
\set QUIET off
SELECT name, answer ->> 'action' FROM feed('text', 'sticker', 'location', 'contact', 'poll', 'list_response', 'order', 'image_s3', 'edit', 'revoke', 'revoke', 'history');
SELECT message_id, message_type, content, is_deleted, is_edited, metadata - 'media' FROM chat_messages WHERE message_id NOT LIKE 'HIST%' ORDER BY id;
SELECT unread_count FROM conversations ORDER BY id LIMIT 1;
SELECT event, payload::jsonb -> 'isDeleted' FROM chat.events WHERE event = 'message.deleted';
ALTER TABLE chat_messages DROP COLUMN metadata, DROP COLUMN is_deleted;
SELECT count(*) FROM chat.attach('conversations', 'chat_messages');
SELECT chat.ingest_wuzapi(:ann, body('text', '{"event.Info.ID": "A"}')) ->> 'action', chat.ingest_wuzapi(:ann, body('reaction', '{"event.Message.reactionMessage.key.ID": "A"}')),
       chat.ingest_wuzapi(:ann, body('edit', '{"event.Message.protocolMessage.key.ID": "A"}')) ->> 'action',
       chat.ingest_wuzapi(:ann, body('revoke', '{"event.Message.protocolMessage.key.ID": "A"}')) ->> 'action';
SELECT content, is_edited FROM chat_messages WHERE message_id = 'A';

-- Signatures: RFC 4231's second case, in every spelling; anything else is false, never an error
\set right '''5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'''
SELECT s, chat.verify_wuzapi('what do ya want for nothing?', s, 'Jefe')
  FROM unnest(ARRAY[:right, upper(:right), 'sha256=' || :right, 'SHA256=' || :right, '', 'sha256=', 'x', left(:right, -1), :right || '0', ' ' || :right, :right || E'\n',
      overlay(:right PLACING 'g' FROM 1), overlay(:right PLACING '6' FROM 1), overlay(:right PLACING '4' FROM 64), 'sha256=sha256=' || left(:right, 57), NULL]) s;
SELECT chat.verify_wuzapi(NULL, :right, 'Jefe'), chat.verify_wuzapi('', :right, 'Jefe'), chat.verify_wuzapi('what do ya want for nothing?', :right, NULL),
       chat.verify_wuzapi('what do ya want for nothing?', :right, ''), chat.verify_wuzapi('what do ya want for nothing?', :right, 'jefe');
SELECT chat.verify_wuzapi('\x00ff00', encode(sha256('\x00'), 'hex'), 'k'), chat.verify_wuzapi(decode(repeat('00', 5000000), 'hex'), repeat('0', 64), 'k'), chat.verify_wuzapi('x', repeat('0', 1000000), 'k');

\set QUIET on
\c contrib_regression
DROP DATABASE regress_wuzapi;
