-- Events as the existing Socket.IO server tells them, to those who are served so; and sending them.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE DATABASE regress_socketio;
\c regress_socketio
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/read_log.sql'
\i :shared
SELECT count(*) FROM chat.setup();
\set ann '00000000-0000-4000-8000-00000000000a'
\set bob '00000000-0000-4000-8000-00000000000b'
CREATE TABLE place (last bigint, seen text);
INSERT INTO place SELECT 0, pg_current_snapshot();
CREATE FUNCTION packets() RETURNS TABLE (room text, except_of text, name text, state boolean, payload jsonb) LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT l.* FROM place p, read_log(p.last, p.seen, flags => 8) l LOOP
        IF r.message IS NULL THEN
            UPDATE place SET last = r.id, seen = r.next_snapshot;
            CONTINUE;
        END IF;
        ASSERT r.payload ->> 'eventId' = r.id::text AND r.message #> '{packet,type}' = '2' AND r.message #> '{opts,flags}' = '{}'
           AND r.message #>> '{packet,data,0}' = r.event AND jsonb_array_length(r.message #> '{packet,data}') = 2;
        room := r.message #>> '{opts,rooms}'; except_of := r.message #>> '{opts,except}'; name := r.event; state := r.state; payload := r.payload - 'eventId';
        RETURN NEXT;
    END LOOP;
END $$;
-- A conversation's or message's payload, but for what differs from run to run.
CREATE FUNCTION short(payload jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_object_agg(k, CASE WHEN k IN ('message', 'conversation') THEN jsonb_build_object('id', v -> 'id', 'content', v -> 'content', 'note', v -> 'isPrivateNote', 'unread', v -> 'unreadCount') - ARRAY(SELECT n FROM (VALUES ('content', 'content'), ('note', 'isPrivateNote'), ('unread', 'unreadCount')) c (n, o) WHERE NOT v ? o) ELSE v END)
      FROM jsonb_each($1) e (k, v) WHERE k IN ('message', 'conversation', 'conversationId', 'messageId', 'status', 'isEdited', 'isDeleted', 'mergedInto', 'agent', 'isTyping', 'id', 'provider')
$$;
\set QUIET off

-- Nobody is on Socket.IO where there is no rollout.
INSERT INTO conversations (id, user_id, contact_jid) OVERRIDING SYSTEM VALUE VALUES (7, :'ann', '1@s.whatsapp.net');
SELECT count(*) FROM packets();
-- All are.
SELECT chat.set_rollout(0);
INSERT INTO chat_messages (id, conversation_id, content, direction) OVERRIDING SYSTEM VALUE VALUES (70, 7, E'Olá \U0001F44B "você"', 'incoming');
SELECT room, except_of, name, state, short(payload) FROM packets();
INSERT INTO chat_messages (id, conversation_id, content, direction, status) OVERRIDING SYSTEM VALUE VALUES (71, 7, 'sent', 'outgoing', 'pending');
UPDATE chat_messages SET status = 'sent' WHERE id = 71;
UPDATE chat_messages SET content = 'edited' WHERE id = 71;
DELETE FROM chat_messages WHERE id = 71;
SELECT room, name, state, short(payload) FROM packets() WHERE name <> 'conversation_update';
-- A private note goes to the room as any message.
INSERT INTO chat_messages (id, conversation_id, content, direction, is_private_note) OVERRIDING SYSTEM VALUE VALUES (72, 7, 'for us', 'outgoing', true);
SELECT room, name, short(payload) FROM packets();
-- A new conversation, one that gets an agent, is resolved, is merged, is gone; and typing.
INSERT INTO conversations (id, user_id, contact_jid) OVERRIDING SYSTEM VALUE VALUES (8, :'ann', '2@s.whatsapp.net');
UPDATE conversations SET assigned_agent_id = :'bob' WHERE id = 8;
UPDATE conversations SET status = 'resolved' WHERE id = 8;
SELECT chat.presence('8', 'typing', :'bob', 'Bob') IS NOT NULL AS told, chat.presence('8', 'join', :'bob', 'Bob') IS NOT NULL AS joined;
SELECT chat.merge_conversations('8', '7') IS NOT NULL AS merged;
DELETE FROM conversations WHERE id = 8;
SELECT room, name, state, short(payload) FROM packets() WITH ORDINALITY p (room, except_of, name, state, payload, n) ORDER BY room, n;

-- Users of one conversation who are served in different ways.
UPDATE conversations SET assigned_agent_id = :'bob' WHERE id = 7;
SELECT chat.rollout_bucket(:'ann') < chat.rollout_bucket(:'bob') AS ann_first, LEAST(chat.rollout_bucket(:'ann'), chat.rollout_bucket(:'bob')) + 1 AS percent \gset
SELECT CASE WHEN :'ann_first' THEN :'ann' ELSE :'bob' END AS moved, CASE WHEN :'ann_first' THEN :'bob' ELSE :'ann' END AS stays \gset
SELECT count(*) > 0 AS moved FROM chat.set_rollout(:percent);
SELECT chat.realtime_provider(:'moved') AS moved_to, chat.realtime_provider(:'stays') AS stays_on;
INSERT INTO chat_messages (id, conversation_id, content, direction) OVERRIDING SYSTEM VALUE VALUES (73, 7, 'both of you', 'incoming');
SELECT replace(replace(room, :'moved', 'moved'), :'stays', 'stays') AS room, replace(except_of, :'moved', 'moved') AS except_of, name FROM packets();
-- Both ways; all moved, and only one way.
SELECT chat.set_rollout(100, both_ways => true);
INSERT INTO chat_messages (conversation_id, content, direction) VALUES (7, 'both ways', 'incoming');
SELECT count(*), string_agg(DISTINCT except_of, ' ') AS except_of FROM packets() WHERE name = 'new_message' OR name = 'conversation_update';
-- Who is served another way now is told so here, too.
SELECT chat.set_rollout(100);
INSERT INTO chat_messages (conversation_id, content, direction) VALUES (7, 'moved', 'incoming');
SELECT replace(replace(room, :'moved', 'moved'), :'stays', 'stays') AS room, name, payload FROM packets();
-- The answer says how far it has looked all the same.
SELECT last = (SELECT max(id) FROM chat.events) AS all_of_it FROM place;
SELECT chat.set_rollout(0);
-- A message without a conversation, and one whose tables are gone: the owner that the event names counts.
SELECT chat.emit('conversation:99', 'message.new', :'ann', '99', NULL, '{"id": 5, "conversationId": "99"}') > 0 AS emitted,
       chat.emit('conversation:98', 'message.new', NULL, '98', NULL, '{"id": 5}') > 0 AS of_nobody, chat.emit('presence:7', 'presence.typing', :'ann', '7', NULL, '{}') > 0 AS elsewhere,
       chat.emit('conversation:99', 'unheard.of', :'ann', '99', NULL, '{}') > 0 AS unknown;
SELECT room, name, payload FROM packets() WHERE name <> 'provider.changed';
-- An owner hears of its webhooks.
SELECT chat.emit('user:' || :'ann' || ':inbox', e, :'ann', NULL, NULL, '{"id": "w", "url": "https://example.com/", "reason": "410"}') > 0 AS told FROM unnest(ARRAY['webhook.disabled', 'webhook.recovered']) e;
SELECT replace(room, :'ann', 'ann') AS room, name, state, payload FROM packets();

-- Sending. What is too long for a NOTIFY is told by its attachment.
CREATE ROLE regress_socketio LOGIN;
SELECT chat.grant_sidecar('regress_socketio');
SET ROLE regress_socketio;
SELECT uptime > 0 AS up, missing FROM chat.socketio_listen('socket.io#/chat', 'public.socket_io_attachments');
RESET ROLE;
CREATE TABLE public.socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea);
SET ROLE regress_socketio;
SELECT missing FROM chat.socketio_listen('socket.io#/chat', 'public.socket_io_attachments');
RESET ROLE;
SELECT chat.grant_sidecar('regress_socketio');
SET ROLE regress_socketio;
SELECT missing FROM chat.socketio_listen('socket.io#/chat', 'public.socket_io_attachments');
BEGIN;
SELECT sent, usage < 0.75 AS room FROM chat.socketio_send('socket.io#/other', 'public.socket_io_attachments', ARRAY[repeat('x', 7999), NULL, 'z'], ARRAY[NULL, '\x8101', NULL]::bytea[]);
SHOW synchronous_commit;
COMMIT;
SHOW synchronous_commit;
SELECT chat.socketio_send('socket.io#/chat', 'public.socket_io_attachments', ARRAY[repeat('x', 8000)], ARRAY[NULL]::bytea[]);
SELECT chat.socketio_send('socket.io#/chat', 'public.nowhere', ARRAY[NULL], ARRAY['\x81']::bytea[]);
SELECT * FROM public.socket_io_attachments;
RESET ROLE;
SELECT payload FROM public.socket_io_attachments;
SELECT missing FROM chat.socketio_listen('socket.io#/chat', 'public.conversations');

\set QUIET on
\c :home
DROP DATABASE regress_socketio;
DROP ROLE regress_socketio;
