-- Conversations and lists through the API functions.
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
\set agent '''eeeeeeee-0000-4000-8000-000000000003'''
CREATE FUNCTION brief(object jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_strip_nulls(object - '{createdAt,updatedAt,userId}'::text[]) $$;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/answer.sql'
\i :shared
-- Ids of a list's rows, and its pagination without the cursor, which is opaque.
CREATE FUNCTION ids(list jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE((SELECT string_agg(d ->> 'id', ',' ORDER BY n) FROM jsonb_array_elements(list -> 'data') WITH ORDINALITY u (d, n)), '')
           || ' ' || ((list -> 'pagination') - 'cursor')::text || CASE WHEN list #>> '{pagination,cursor}' IS NULL THEN '' ELSE ' +' END $$;
-- A cursor with one character changed.
CREATE FUNCTION tamper(cursor text, at integer) RETURNS text LANGUAGE sql AS $$
    SELECT overlay(cursor PLACING CASE substr(cursor, at, 1) WHEN 'x' THEN 'y' ELSE 'x' END FROM at) $$;
-- All rows of a list, page after page by cursor; after the first page, statement happens.
CREATE FUNCTION walk(call text, meanwhile text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    list jsonb;
    result text := '';
BEGIN
    LOOP
        EXECUTE format(call, COALESCE(list #>> '{pagination,cursor}', NULL)) INTO list;
        result := result || '[' || COALESCE((SELECT string_agg(d ->> 'id', ',' ORDER BY n) FROM jsonb_array_elements(list -> 'data') WITH ORDINALITY u (d, n)), '') || ']';
        IF meanwhile IS NOT NULL THEN
            EXECUTE meanwhile;
            meanwhile := NULL;
        END IF;
        EXIT WHEN NOT (list #>> '{pagination,hasMore}')::boolean;
    END LOOP;
    RETURN result;
END $$;
SELECT count(*) > 0 AS set_up FROM chat.setup();
\pset format unaligned
\pset tuples_only on
\pset null (null)
\set QUIET off

-- New, and there already; the device goes
SELECT brief(chat.create_conversation(:ann, '5511900000001:12@s.whatsapp.net', 'Ana'));
SELECT brief(chat.create_conversation(:ann, '5511900000001@c.us', 'another name'));
SELECT brief(chat.create_conversation(:ann, 'web-visitor-7'));
SELECT brief(chat.create_conversation(:bob, '5511900000001@s.whatsapp.net', 'Bia'));
SELECT c, answer(c) FROM unnest(ARRAY['chat.create_conversation(NULL, ''x'')', format('chat.create_conversation(%L, NULL)', :ann),
    format('chat.create_conversation(%L, '''')', :ann), format('chat.create_conversation(%L, ''a b'')', :ann),
    format('chat.create_conversation(%L, repeat(''x'', 256))', :ann), format('chat.create_conversation(%L, ''x'', repeat(''x'', 1025))', :ann),
    'chat.create_conversation(''x'', ''x'')']) c;

-- Changes
CREATE TABLE mark AS SELECT max(id) AS id FROM chat.events;
SELECT brief(chat.update_conversation('1', jsonb_build_object('status', 'pending', 'isMuted', true, 'contactName', 'Ana Maria',
    'contactAvatarUrl', 'https://media.example.com/ana.jpg', 'assignedAgentId', :agent, 'assignedBotId', 7)));
SELECT brief(chat.update_conversation('1', '{"assignedAgentId": null, "assignedBotId": null, "contactAvatarUrl": null, "isMuted": false, "status": "open"}'));
SELECT topic, event, changes FROM chat.events WHERE id > (SELECT id FROM mark) ORDER BY id;
UPDATE mark SET id = (SELECT max(id) FROM chat.events);
SELECT chat.update_conversation('1', '{"status": "open"}') ->> 'status';
SELECT count(*) FROM chat.events WHERE id > (SELECT id FROM mark);
SELECT chat.archive_conversation('1') ->> 'status', chat.archive_conversation('1') ->> 'status';
SELECT m, answer(format('chat.update_conversation(''1'', %L)', m)) FROM unnest(ARRAY[NULL, '[]', '{}', '{"id": 7}', '{"unreadCount": 0}', '{"userId": "x"}',
    '{"status": "closed"}', '{"status": null}', '{"status": 1}', '{"isMuted": "yes"}', '{"isMuted": null}', '{"assignedAgentId": "x"}', '{"assignedBotId": "x"}',
    '{"assignedAgentId": ""}', '{"contactName": 7}']) m;
SELECT answer(format('chat.update_conversation(''1'', %L)', jsonb_build_object('contactName', repeat('x', 1000000))));
SELECT chat.get_conversation('99'), chat.get_conversation('3', :ann), chat.update_conversation('3', '{"status": "open"}', :ann), chat.archive_conversation('3', :ann);
SELECT answer('chat.get_conversation(''x'')'), answer('chat.get_conversation(NULL)'), answer('chat.archive_conversation(''x'')');
DELETE FROM conversations;

-- Lists: equal times and none, in several pages; rows that arrive meanwhile make none be lost or repeated,
-- and a conversation in which somebody writes meanwhile moves to the top, as its event tells
INSERT INTO conversations (id, user_id, contact_jid, contact_name)
    SELECT n, :ann, n || '@s.whatsapp.net', CASE n WHEN 1 THEN '50% off' WHEN 2 THEN 'a_b' WHEN 3 THEN 'a\b' WHEN 4 THEN 'Ação' ELSE 'n' || n END FROM generate_series(1, 12) n;
INSERT INTO conversations (id, user_id, contact_jid) VALUES (50, :bob, '1@s.whatsapp.net');
INSERT INTO chat_messages (id, conversation_id, direction, content, "timestamp")
    SELECT n, n, 'incoming', 'm', '2026-06-18T12:00:00Z'::timestamptz - n / 4 * interval '1 s' FROM generate_series(1, 9) n;
INSERT INTO chat_messages (id, conversation_id, direction, content, "timestamp", created_at)
    SELECT n, 1, 'outgoing', 'm', '2026-06-18T11:00:00Z', '2026-06-18T11:00:00Z'::timestamptz + n / 2 * interval '1 us' FROM generate_series(11, 19) n;
SELECT ids(chat.list_conversations(:ann)), ids(chat.list_conversations(:bob));
SELECT page, ids(chat.list_conversations(:ann, page, 5)) FROM generate_series(1, 4) page;
SELECT size, walk(format('SELECT chat.list_conversations(%L, "limit" => %s, cursor => %%L)', :ann, size)) FROM unnest('{1,2,3,5,7,100}'::int[]) size;
SELECT ids(chat.list_conversations(:ann, 2, 5, cursor => chat.list_conversations(:ann, 1, 5) #>> '{pagination,cursor}'));
SELECT walk(format('SELECT chat.list_conversations(%L, "limit" => 3, cursor => %%L)', :ann),
    format($$INSERT INTO chat_messages (id, conversation_id, direction, content) SELECT 100, 11, 'incoming', 'm';
             INSERT INTO conversations (id, user_id, contact_jid) VALUES (13, %L, '13')$$, :ann));
DELETE FROM chat_messages WHERE id = 100;
DELETE FROM conversations WHERE id = 13;
-- Messages: the newest page first, the oldest of a page first
SELECT size, walk('SELECT chat.list_messages(''1'', ' || size || ', %L)') FROM unnest('{1,3,4,100}'::int[]) size;
SELECT walk('SELECT chat.list_messages(''1'', 3, %L)', 'INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (30, 1, ''incoming'', ''m'')');
SELECT ids(chat.list_messages('1', 3)), ids(chat.list_messages('12')), chat.list_messages('99'), chat.list_messages('1', owner => :bob);

-- Filters
UPDATE conversations SET status = 'resolved' WHERE id IN (2, 11);
UPDATE conversations SET assigned_agent_id = :agent WHERE id IN (3, 4, 12);
UPDATE chat_messages SET status = 'read' WHERE id IN (1, 3, 5, 7, 9, 30);
SELECT ids(chat.list_conversations(:ann, status => 'resolved')), ids(chat.list_conversations(:ann, status => 'open', "limit" => 3));
SELECT ids(chat.list_conversations(:ann, assigned_to => :agent)), ids(chat.list_conversations(:ann, assigned_to => 'unassigned', "limit" => 100));
SELECT ids(chat.list_conversations(:ann, unread => true)), ids(chat.list_conversations(:ann, unread => false));
SELECT ids(chat.list_conversations(:ann, assigned_to => :agent, unread => true, status => 'open'));
SELECT walk(format('SELECT chat.list_conversations(%L, "limit" => 2, unread => false, assigned_to => ''unassigned'', cursor => %%L)', :ann));
-- Wildcards in the search text are literals
SELECT s, ids(chat.list_conversations(:ann, search => s)) FROM unnest(ARRAY['%', '_', '\', '50%', 'A_B', 'açÃo', '12@', '', 'nobody', '(', '''']) s;

-- Bad limits, pages, cursors and filters
SELECT n, answer(format('ids(chat.list_conversations(%L, "limit" => %s))', :ann, n)), answer(format('ids(chat.list_messages(''1'', %s))', n))
  FROM unnest('{0,-1}'::int[]) n;
-- More than 100 is 100.
SELECT n, chat.list_conversations(:ann, "limit" => n) -> 'pagination' -> 'limit', chat.list_messages('1', n) -> 'pagination' -> 'limit',
       chat.search_messages('1', 'a', n) -> 'pagination' -> 'limit' FROM unnest('{100,101,500,1000000000}'::int[]) n;
SELECT n, answer(format('ids(chat.list_conversations(%L, %s))', :ann, n)) FROM unnest('{0,-1,1000000000}'::int[]) n;
SELECT ids(chat.list_conversations(:ann, NULL, NULL, cursor => NULL)), ids(chat.list_messages('1', NULL));
SELECT chat.list_conversations(:ann, 1, 2) #>> '{pagination,cursor}' AS c, chat.list_messages('1', 2) #>> '{pagination,cursor}' AS m \gset
SELECT n, answer(format('ids(chat.list_conversations(%L, cursor => %L))', :ann, t)), answer(format('ids(chat.list_messages(''1'', cursor => %L))', u))
  FROM (SELECT *, row_number() OVER () AS n FROM unnest(
    ARRAY['', 'x', '!', repeat('A', 1000000), :'m', tamper(:'c', 3), tamper(:'c', length(:'c') - 4), tamper(:'c', length(:'c')), left(:'c', -1), :'c' || 'A', ' ' || :'c'],
    ARRAY['', 'x', '!', repeat('A', 1000000), :'c', tamper(:'m', 3), tamper(:'m', length(:'m') - 4), tamper(:'m', length(:'m')), left(:'m', -1), :'m' || 'A', ' ' || :'m']) v (t, u)) w;
-- Forged with a right checksum: still only the owner's own rows, and no worse error
SELECT f, answer(format('ids(chat.list_conversations(%L, cursor => chat.encode_cursor(''c'', %L)))', :ann, f))
  FROM unnest(ARRAY['{2026-06-18T12:00:00Z,5}', '{2026-06-18T12:00:00Z,x}', '{x,5}', '{x}', '{1,2,3}', '{infinity,1}', '{NULL,NULL}']) f;
SELECT answer(format('chat.list_conversations(%L, status => ''closed'')', :ann)), answer(format('chat.list_conversations(%L, assigned_to => ''x'')', :ann)),
       answer(format('chat.list_conversations(%L, search => repeat(''x'', 1000000))', :ann)), answer('chat.list_conversations(NULL)'), answer('chat.list_conversations(''x'')');

-- Who may: an assigned agent does what the owner may, but reassign and delete the conversation
\set QUIET on
CREATE ROLE regress_api_user;
ALTER TABLE chat_messages ALTER id RESTART 1000;
SELECT chat.grant_functions('regress_api_user', '{get_conversation,create_conversation,update_conversation,archive_conversation,list_conversations,list_messages,save_message,edit_message,
    delete_message,update_message_status,mark_read,search_messages,delete_conversation,presence,can_join}');
\set QUIET off
SET ROLE regress_api_user;
SELECT answer('chat.get_conversation(''3'')'), answer('chat.list_messages(''3'')'), answer(format('chat.list_conversations(%L)', :ann)), answer(format('chat.create_conversation(%L, ''x'')', :ann));
SET request.jwt.claims = '{"sub": "eeeeeeee-0000-4000-8000-000000000003"}';
SELECT chat.get_conversation('3') -> 'id', ids(chat.list_messages('3')), chat.get_conversation('1'), chat.list_messages('1');
SELECT chat.update_conversation('3', '{"status": "pending", "contactName": "Eve"}') ->> 'status', chat.archive_conversation('3') ->> 'status',
       chat.update_conversation('3', '{"status": "open"}') ->> 'status', chat.mark_read('3') >= 0, chat.presence('3', 'typing') ->> 'isTyping';
SELECT m ->> 'senderAgentId', m ->> 'senderType' FROM chat.save_message('3', '{"content": "from an agent", "messageId": "agent-1"}') m;
SELECT m ->> 'senderAgentId' FROM chat.save_message('3', '{"content": "what the contact wrote", "direction": "incoming", "messageId": "contact-1"}') m;
SELECT answer('chat.save_message(''3'', ''{"content": "x", "senderAgentId": "aaaaaaaa-0000-4000-8000-000000000001"}'')');
SELECT chat.edit_message(m, 'edited') ->> 'content', chat.update_message_status(m, 'read') ->> 'status', chat.delete_message(m) ->> 'content'
  FROM (SELECT chat.save_message('3', '{"content": "again", "messageId": "agent-2"}') ->> 'id' AS m) s;
SELECT answer(format('chat.update_conversation(''3'', ''{"assignedAgentId": %s}'')', a)) FROM unnest('{"null","\"aaaaaaaa-0000-4000-8000-000000000001\""}'::text[]) a;
SELECT answer('chat.update_conversation(''3'', ''{"assignedBotId": 1, "status": "resolved"}'')'), answer('chat.delete_conversation(''3'')');
SELECT chat.update_conversation('1', '{"status": "open"}'), chat.save_message('1', '{"content": "x"}'), chat.delete_conversation('1'), chat.mark_read('1');
SELECT ids(chat.list_conversations(:agent, assigned_to => 'me')), ids(chat.list_conversations(:agent, 2, 2)), ids(chat.list_conversations(:agent, assigned_to => 'unassigned'));
SELECT walk(format('SELECT chat.list_conversations(%L, "limit" => 1, cursor => %%L)', :agent));
-- Writing is turned off: it reads, and the owner writes on
RESET ROLE;
SELECT chat.configure('chat_messages', '{"agents_write": false}');
SELECT polname FROM pg_policy WHERE polrelid = 'chat_messages'::regclass ORDER BY 1;
SET ROLE regress_api_user;
SELECT answer('chat.save_message(''3'', ''{"content": "x"}'')'), answer('chat.archive_conversation(''3'')'), answer('chat.mark_read(''3'')'), chat.get_conversation('3') -> 'id';
SET request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
SELECT chat.save_message('3', '{"content": "from the owner", "messageId": "owner-1"}') ->> 'senderAgentId' IS NULL AS no_agent;
RESET ROLE;
SELECT chat.configure('chat_messages', '{"agents_write": 1}');
SELECT chat.configure('chat_messages', '{"agents_write": null}');
SELECT polname FROM pg_policy WHERE polrelid = 'chat_messages'::regclass ORDER BY 1;
-- Who owns some and is assigned to others has all of them, each once; and what it writes as an agent is the agent's
UPDATE conversations SET assigned_agent_id = :ann WHERE id IN (1, 50);
SET ROLE regress_api_user;
SELECT ids(chat.list_conversations(:ann, "limit" => 100)), ids(chat.list_conversations(:ann, assigned_to => 'me')), ids(chat.list_conversations(:ann, assigned_to => :ann));
SELECT walk(format('SELECT chat.list_conversations(%L, "limit" => 5, cursor => %%L)', :ann));
SELECT m ->> 'senderAgentId' FROM chat.save_message('1', '{"content": "owner and agent", "messageId": "both-1"}') m;
SELECT m ->> 'senderAgentId' FROM chat.save_message('50', '{"content": "agent", "messageId": "both-2"}') m;
RESET ROLE;
UPDATE conversations SET assigned_agent_id = NULL WHERE id IN (1, 50);
-- Rights end with the assignment
SET request.jwt.claims = '{"sub": "eeeeeeee-0000-4000-8000-000000000003"}';
SET ROLE regress_api_user;
SELECT chat.can_join('conversation:12'), chat.get_conversation('12') -> 'id';
RESET ROLE;
UPDATE conversations SET assigned_agent_id = NULL WHERE id = 12;
SET ROLE regress_api_user;
SELECT chat.can_join('conversation:12'), chat.get_conversation('12'), chat.save_message('12', '{"content": "x"}'), chat.presence('12', 'typing'), ids(chat.list_conversations(:agent));
SELECT answer(format('chat.list_conversations(%L)', :ann)), ids(chat.list_conversations(:agent));
SET request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
SELECT chat.get_conversation('3') -> 'id', chat.get_conversation('50'), chat.create_conversation(:ann, '1@s.whatsapp.net') -> 'id', ids(chat.list_conversations(:ann, "limit" => 1));
RESET ROLE;
RESET request.jwt.claims;

-- Several accounts of one user are one list; a user without an account has an empty one
\set QUIET on
DELETE FROM chat.attachment;
CREATE SCHEMA live;
SET search_path = live, public;
CREATE TABLE accounts (id uuid PRIMARY KEY, owner_user_id uuid NOT NULL);
CREATE TABLE conversations (id uuid PRIMARY KEY, account_id uuid NOT NULL REFERENCES accounts, contact_jid text NOT NULL,
    last_message_at timestamptz, status text DEFAULT 'open');
CREATE TABLE chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    direction text NOT NULL, content text NOT NULL, status text DEFAULT 'pending', created_at timestamptz DEFAULT now());
INSERT INTO accounts VALUES ('11111111-0000-4000-8000-000000000001', :ann), ('11111111-0000-4000-8000-000000000002', :ann), ('11111111-0000-4000-8000-000000000003', :bob);
SELECT count(*) FROM chat.attach('conversations', 'chat_messages');
INSERT INTO conversations (id, account_id, contact_jid) SELECT format('cccccccc-0000-4000-8000-00000000000%s', n)::uuid, format('11111111-0000-4000-8000-00000000000%s', 1 + n % 3)::uuid, n
  FROM generate_series(1, 9) n;
INSERT INTO chat_messages (conversation_id, direction, content, created_at) SELECT id, 'incoming', 'x', '2026-06-18T12:00:00Z' FROM conversations WHERE contact_jid < '5';
\set QUIET off
SELECT replace(walk(format('SELECT chat.list_conversations(%L, "limit" => 2, cursor => %%L)', :ann)), 'cccccccc-0000-4000-8000-00000000000', '');
SELECT page, replace(ids(chat.list_conversations(:ann, page, 4)), 'cccccccc-0000-4000-8000-00000000000', '') FROM generate_series(1, 2) page;
SELECT chat.list_conversations(:agent);
SELECT answer(format('chat.list_conversations(%L, unread => true)', :ann)), answer(format('chat.list_conversations(%L, assigned_to => ''unassigned'')', :ann));
SELECT answer('chat.update_conversation(''cccccccc-0000-4000-8000-000000000001'', ''{"isMuted": true}'')');
SELECT ids(chat.list_messages('cccccccc-0000-4000-8000-000000000001')) LIKE '________-%';
-- Without last_message_at the order is that of ids
ALTER TABLE conversations DROP COLUMN last_message_at;
SELECT count(*) FROM chat.attach('conversations', 'chat_messages');
SELECT replace(walk(format('SELECT chat.list_conversations(%L, "limit" => 4, cursor => %%L)', :ann)), 'cccccccc-0000-4000-8000-00000000000', '');
-- To who is no agent nothing is assigned; of many accounts a statement is not kept
CREATE TABLE agents (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL);
ALTER TABLE conversations ADD COLUMN assigned_agent_id uuid REFERENCES agents;
SELECT count(*) > 0 AS attached FROM chat.attach('conversations', 'chat_messages');
SELECT chat.list_conversations(:ann, assigned_to => 'me'), ids(chat.list_conversations(:ann, 2, assigned_to => 'me'));
INSERT INTO accounts SELECT gen_random_uuid(), :ann FROM generate_series(1, 30);
SELECT replace(walk(format('SELECT chat.list_conversations(%L, "limit" => 4, cursor => %%L)', :ann)), 'cccccccc-0000-4000-8000-00000000000', '');
SELECT replace(ids(chat.list_conversations(:ann, 1, 5)), 'cccccccc-0000-4000-8000-00000000000', '');
DELETE FROM chat.attachment;
SELECT answer(format('chat.list_conversations(%L)', :ann));

\set QUIET on
\c contrib_regression
DROP DATABASE regress_api;
DROP ROLE regress_api_user;
