-- What a sender takes and reports: leases, ids, order, changes that are passed on. On the design's tables and on others', whose
-- columns have names of their own.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_sending;
\c regress_sending
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
SET chat_realtime.rate_limits = off;
CREATE EXTENSION chat_realtime;
SELECT count(*) > 0 AS set_up FROM chat.setup();
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
CREATE FUNCTION taken(most integer DEFAULT 100, lease interval DEFAULT '60 s') RETURNS TABLE (action text, id text, "to" text, "messageId" text, content text, rest jsonb) LANGUAGE sql AS $$
    SELECT v ->> 'action', v ->> 'id', v ->> 'to', regexp_replace(v ->> 'messageId', '^3EB0[0-9A-F]{18}$', 'drawn'), v ->> 'content',
           jsonb_strip_nulls(v - '{action,id,to,messageId,content,createdAt,conversationId,owner,actionId,metadata}'::text[])
      FROM jsonb_array_elements(chat.pending_messages(most, lease)) WITH ORDINALITY u (v, n) ORDER BY n
$$;
CREATE FUNCTION leases() RETURNS TABLE (conversation text, open text[]) LANGUAGE sql AS $$ SELECT conversation, open FROM chat.sending_lease ORDER BY conversation $$;
CREATE FUNCTION run_out() RETURNS void LANGUAGE sql AS $$ UPDATE chat.sending_lease SET expires_at = now() $$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- In order per conversation, the longest waiting first; no notes, nothing incoming, sent, deleted or of another day
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, :ann, '5511900000001@s.whatsapp.net'), (2, :bob, '120363000000000001@g.us'), (3, :ann, '5511900000003@s.whatsapp.net');
INSERT INTO chat_messages (id, conversation_id, message_id, direction, content, status, is_private_note, created_at) VALUES
    (1, 1, 'A1', 'outgoing', 'one', 'pending', false, now() - interval '3 min'), (2, 2, 'B1', 'outgoing', 'two', 'pending', false, now() - interval '4 min'),
    (3, 1, NULL, 'outgoing', 'three', 'pending', false, now() - interval '2 min'), (4, 1, 'A0', 'outgoing', 'zero', 'pending', false, now() - interval '5 min'),
    (5, 1, 'I1', 'incoming', 'hello', 'delivered', false, now()), (6, 1, 'N1', 'outgoing', 'note', 'pending', true, now()), (7, 1, 'S1', 'outgoing', 'sent', 'sent', false, now()),
    (8, 3, 'OLD', 'outgoing', 'yesterday', 'pending', false, now() - interval '25 h');
ALTER TABLE chat_messages ALTER id RESTART 100;
SELECT * FROM taken();
SELECT * FROM leases();
-- Nobody else gets them; the id that was drawn is stored
SELECT * FROM taken();
SELECT message_id ~ '^3EB0[0-9A-F]{18}$' FROM chat_messages WHERE id = 3;
-- Reported: the lease ends with the last one, and what came meanwhile is given
INSERT INTO chat_messages (id, conversation_id, message_id, direction, content) VALUES (9, 1, 'A2', 'outgoing', 'later');
SELECT chat.message_sent('4') ->> 'status', chat.message_failed('1', 'missing Phone in Payload') #>> '{metadata,sendError}';
SELECT * FROM leases();
SELECT * FROM taken();
SELECT chat.message_sent('3', 'ANOTHER') ->> 'messageId';
SELECT * FROM taken();
SELECT id, message_id, status, metadata FROM chat_messages WHERE direction = 'outgoing' AND NOT is_private_note ORDER BY id;
-- What is not reported is given again, under the same id, when the lease has run out; a late report is one nevertheless
SELECT run_out();
SELECT * FROM taken();
SELECT chat.message_sent('2') ->> 'status', chat.message_failed('2', 'too late') ->> 'status', chat.message_sent('2') ->> 'status';
SELECT chat.message_failed('9', 'a receipt was faster') FROM chat.update_message_status('9', 'delivered') s (s) WHERE s ->> 'status' <> 'delivered';
SELECT chat.message_failed('9', 'a receipt was faster') ->> 'status';
SELECT * FROM leases();
-- At most so many; the rest of a conversation follows when those are reported
INSERT INTO chat_messages (id, conversation_id, message_id, direction, content) SELECT g, 2, 'C' || g, 'outgoing', 'many ' || g FROM generate_series(10, 13) g;
SELECT * FROM taken(3);
SELECT * FROM taken(3);
SELECT count(chat.message_sent(g::text)) FROM generate_series(10, 12) g;
SELECT * FROM taken(3);
SELECT chat.message_sent('13') ->> 'status';

-- By which number: what the message says itself, else its conversation
UPDATE conversations SET metadata = '{"instance": "support", "inboxId": "7"}' WHERE id = 1;
SELECT chat.save_message('1', '{"content": "from support", "messageId": "R1", "status": "pending"}') -> 'metadata';
INSERT INTO chat_messages (id, conversation_id, message_id, direction, content, metadata) VALUES
    (20, 1, 'R2', 'outgoing', 'from sales', '{"instance": "sales"}'), (21, 1, 'R3', 'outgoing', 'as the conversation', '{}');
SELECT content, rest FROM taken();
SELECT chat.recipient('1'), chat.recipient('1', :bob);
SELECT count(chat.message_sent(id::text)) FROM chat_messages WHERE message_id IN ('R1', 'R2', 'R3');
-- What it answers
INSERT INTO chat_messages (id, conversation_id, message_id, direction, content, status, metadata) VALUES
    (30, 2, 'Q1', 'incoming', 'who?', 'delivered', '{"participant": "5511900000009@s.whatsapp.net"}');
INSERT INTO chat_messages (id, conversation_id, message_id, direction, content, reply_to_message_id) VALUES (31, 2, 'R4', 'outgoing', 'me', 'Q1'), (32, 2, 'R5', 'outgoing', 'and me', 'R4');
SELECT content, rest -> 'replyTo' FROM taken();
SELECT count(chat.message_sent(g::text)) FROM generate_series(31, 32) g;

-- Changes of what is sent are passed on, in the order they were made
SELECT chat.send_edit('31', 'me!') -> 'content', chat.send_edit('31', 'me!') -> 'content', chat.send_reaction('30', '👍') #- '{metadata,reactions,0,at}' #> '{metadata,reactions}', chat.send_reaction('31', '🎉') -> 'id';
SELECT chat.send_deletion('32') -> 'id', chat.send_read('2'), chat.send_read('2');
SELECT m #> '{metadata,reactions}', (m #> '{metadata,reactionsRemoved,0}') - 'at'::text FROM chat.send_reaction('30', '') m;
-- Not of incoming ones, notes, failed ones, or what nobody has taken yet
INSERT INTO chat_messages (id, conversation_id, message_id, direction, content) VALUES (40, 2, 'E1', 'outgoing', 'before');
SELECT chat.send_edit('30', 'forged') IS NULL, chat.send_edit('6', 'another note') IS NULL, chat.send_edit('1', 'failed') IS NULL, chat.send_edit('40', 'after') IS NULL, chat.send_deletion('6') IS NULL;
SELECT * FROM taken();
-- What was taken is changed behind it
SELECT chat.send_edit('40', 'once more') -> 'content', chat.send_deletion('40') -> 'content';
SELECT * FROM taken();
SELECT chat.action_done(a.id::text) FROM chat.sending_action a WHERE a.message IS DISTINCT FROM '40' ORDER BY id;
SELECT * FROM leases();
SELECT chat.message_sent('40');
SELECT * FROM leases();
SELECT * FROM taken();
SELECT chat.action_done(a.id::text) FROM chat.sending_action a ORDER BY id;
SELECT chat.action_done('1');
SELECT * FROM leases();
-- A change of what is still to be sent waits for it
INSERT INTO chat_messages (id, conversation_id, message_id, direction, content) VALUES (41, 2, 'W1', 'outgoing', 'not sent');
SELECT chat.send_reaction('41', '👀') -> 'id';
SELECT action, id FROM taken();
SELECT chat.message_sent('41') ->> 'status';
SELECT action, id FROM taken();
SELECT chat.action_done(max(id)::text) FROM chat.sending_action;

-- What waited for a day is dropped
INSERT INTO chat.sending_action (attachment, conversation, action, details, created_at) SELECT a.id, '2', 'read', '{}', now() - interval '25 h' FROM chat.attachment a;
INSERT INTO chat.sending_lease SELECT a.id, 'gone', '{1}', now() - interval '25 h' FROM chat.attachment a;
SELECT * FROM taken();
SELECT * FROM chat.forget_sending();
SELECT * FROM leases();

-- Who may
CREATE ROLE regress_sending_backend; CREATE ROLE regress_sending_user;
SELECT chat.grant_backend('regress_sending_backend');
SELECT chat.grant_functions('regress_sending_user', chat.user_functions() || '{pending_messages,action_done,message_sent,message_failed}');
SET ROLE regress_sending_backend;
SELECT chat.pending_messages(1, interval '5 s');
SET ROLE regress_sending_user;
SELECT set_config('request.jwt.claims', json_build_object('sub', :ann)::text, false) IS NOT NULL;
SELECT chat.pending_messages(1);
SELECT chat.action_done('1');
SELECT chat.message_sent('31'), chat.message_failed('31', 'mine?'), chat.send_edit('31', 'x'), chat.send_deletion('31'), chat.send_reaction('31', 'x'), chat.send_read('2');
SELECT chat.message_sent('31', owner => :bob);
RESET ROLE;
SELECT set_config('request.jwt.claims', '', false) IS NOT NULL;
SELECT has_function_privilege('regress_sending_user', 'chat.send_edit(text,text,text)', 'EXECUTE'), 'pending_messages' = ANY (chat.user_functions());
DROP OWNED BY regress_sending_backend; DROP OWNED BY regress_sending_user; DROP ROLE regress_sending_backend; DROP ROLE regress_sending_user;
-- Bad input
SELECT chat.pending_messages(NULL);
SELECT chat.pending_messages(0);
SELECT chat.pending_messages(1, NULL);
SELECT chat.pending_messages(1, interval '0.5 s');
SELECT chat.pending_messages(1, interval '2 h');
SELECT chat.message_sent(NULL);
SELECT chat.message_sent('x');
SELECT chat.message_failed('31', NULL);
SELECT chat.action_done('x');
SELECT chat.action_done(NULL);
SELECT chat.send_reaction('31', NULL);
SELECT chat.send_reaction('31', repeat('x', 33));
SELECT chat.send_edit('31', '');

-- Tables of others: uuid keys, other names, an account behind which the user is found, replies by key, an enum for the status, no metadata
CREATE SCHEMA other;
SET search_path = other;
CREATE TYPE state AS ENUM ('pending', 'sent', 'delivered', 'read', 'failed');
CREATE TABLE accounts (id uuid PRIMARY KEY, owner_user_id uuid NOT NULL);
CREATE TABLE threads (id uuid PRIMARY KEY, account_id uuid NOT NULL REFERENCES accounts, wa_address text, inbox_id uuid);
CREATE TABLE posts (nr uuid PRIMARY KEY, thread uuid NOT NULL REFERENCES threads ON DELETE CASCADE, wa_id varchar(64), way text NOT NULL, body text, state state NOT NULL DEFAULT 'pending',
    answers uuid, written_at timestamp NOT NULL DEFAULT now());
SELECT count(*) > 0 AS attached FROM chat.attach('threads', 'posts', '{"contact_jid": "wa_address", "external_id": "wa_id", "conversation": "thread", "direction": "way",
    "content": "body", "status": "state", "reply_to": "answers", "created_at": "written_at"}');
INSERT INTO accounts VALUES ('99999999-0000-4000-8000-000000000001', :bob);
INSERT INTO threads VALUES ('00000000-0000-4000-8000-000000000001', '99999999-0000-4000-8000-000000000001', '5511900000001', '77777777-0000-4000-8000-000000000001');
INSERT INTO posts (nr, thread, wa_id, way, body, state) VALUES ('11111111-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001', 'P1', 'incoming', 'hi', 'delivered');
INSERT INTO posts (nr, thread, way, body, answers) VALUES ('11111111-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001', 'outgoing', 'hi there', '11111111-0000-4000-8000-000000000001');
SELECT * FROM public.taken();
SELECT chat.send_edit('11111111-0000-4000-8000-000000000002', 'hi!') ->> 'content', chat.message_sent('11111111-0000-4000-8000-000000000002', 'P2') ->> 'status', chat.send_read('00000000-0000-4000-8000-000000000001');
SELECT * FROM public.taken();
SELECT chat.action_done(a.id::text) FROM chat.sending_action a ORDER BY id;
INSERT INTO posts (nr, thread, way, body) VALUES ('11111111-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000001', 'outgoing', 'lost');
SELECT count(*) FROM public.taken();
SELECT chat.message_failed('11111111-0000-4000-8000-000000000003', 'why?') ->> 'status';
SELECT * FROM public.leases();
\set QUIET on
\c contrib_regression
SET client_min_messages = warning;
DROP DATABASE regress_sending WITH (FORCE);
