-- What the embedded endpoint asks of the database and tells it, as its own role.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_endpoint;
\c regress_endpoint
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
SELECT count(*) > 0 AS set_up FROM chat.setup();
CREATE ROLE regress_endpoint;
SELECT chat.grant_endpoint('regress_endpoint') \gset grant_
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
\set cid '''cccccccc-0000-4000-8000-000000000003'''
INSERT INTO conversations (id, user_id, assigned_agent_id, contact_jid) VALUES (1, :ann, :bob, '1@s.whatsapp.net'), (2, :ann, NULL, '2@s.whatsapp.net');
CREATE VIEW told AS
    SELECT topic, event, payload::jsonb ->> 'userId' AS who, payload::jsonb ->> 'isTyping' AS typing, expires_at > now() AS soon_over
      FROM chat.events WHERE event LIKE 'presence.%' ORDER BY id;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- Presence: nothing unless it is asked for
SET ROLE regress_endpoint;
SELECT chat.endpoint_presence('1', :ann, 'join');
RESET ROLE;
SELECT count(*) FROM told;
-- then who owns a conversation or is its agent; one that leaves may be neither any more
SET chat_realtime.presence_events = on;
SET ROLE regress_endpoint;
SELECT chat.endpoint_presence('1', :ann, 'join'), chat.endpoint_presence('1', :bob, 'join'), chat.endpoint_presence('2', :bob, 'join'),
       chat.endpoint_presence('1', :cid, 'join'), chat.endpoint_presence('1', :bob, 'leave'), chat.endpoint_presence('2', :bob, 'leave');
-- what is told already, by another endpoint, is no event
SELECT chat.endpoint_presence('1', :ann, 'join'), chat.endpoint_presence('1', :bob, 'leave');
SELECT chat.endpoint_presence('9', :ann, 'join'), chat.endpoint_presence('x', :ann, 'leave'), chat.endpoint_presence(NULL, NULL, 'leave');
RESET ROLE;
SELECT * FROM told;
SET ROLE regress_endpoint;
SELECT chat.endpoint_presence('1', :ann, 'typing');
SELECT chat.endpoint_presence('1', :ann, NULL);
-- and nothing else of it
SELECT chat.presence('1', 'join');
SELECT count(*) FROM chat.event;
RESET ROLE;

-- Replay: in the order of ids, however many one transaction wrote; the newest since a time, or the first after an id
\set QUIET on
SET chat_realtime.presence_events = off;
INSERT INTO chat_messages (conversation_id, direction, content) SELECT 1, 'incoming', 'm' || g FROM generate_series(1, 5) g;
SELECT chat.presence('1', 'typing', :ann) IS NULL AS typed \gset
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'm6'), (2, 'incoming', 'of another');
SELECT id AS third FROM chat.events WHERE event = 'message.new' AND payload::jsonb ->> 'content' = 'm3' \gset
SELECT (extract(epoch FROM now()) * 1000)::bigint + 60000 AS later \gset
CREATE FUNCTION replayed(topic text, sub text, since_ms bigint, since_id bigint, max_rows integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(COALESCE(r.payload::jsonb ->> 'content', r.event || ' ' || COALESCE(r.payload::jsonb ->> 'lastMessagePreview', '')), ' ' ORDER BY n)
      FROM chat.replay(topic, jsonb_build_object('sub', sub), since_ms, since_id, max_rows) WITH ORDINALITY r (id, event, payload, n) $$;
\set QUIET off
SET ROLE regress_endpoint;
SELECT replayed('conversation:1', :ann, 0, NULL, 100);
SELECT replayed('conversation:1', :ann, 0, NULL, 3);
SELECT replayed('conversation:1', :bob, -1, NULL, 0);
SELECT replayed('conversation:1', :ann, :later, NULL, 100), replayed('conversation:1', :ann, 9223372036854775807, NULL, 100);
SELECT replayed('conversation:1', :bob, NULL, :third, 100);
SELECT replayed('conversation:1', :bob, 0, :third, 2);
SELECT replayed('conversation:1', :bob, NULL, 9223372036854775807, 100), replayed('conversation:1', :bob, NULL, 0, 2);
SELECT replayed('user:aaaaaaaa-0000-4000-8000-000000000001:inbox', :ann, 0, NULL, 2);
SELECT replayed('presence:1', :ann, 0, NULL, 100);
-- for those who may read the topic
SELECT replayed('conversation:1', :cid, 0, NULL, 100);
SELECT replayed('conversation:2', :bob, NULL, 0, 100);
SELECT replayed('room', :ann, 0, NULL, 100);
SELECT count(*) FROM chat.replay('conversation:1', '{"role": "service_role"}', 0, NULL, 100);
SELECT count(*) FROM chat.replay('conversation:1', NULL, 0, NULL, 100);
RESET ROLE;
-- of about a megabyte, from the end that the client needs first
\set QUIET on
SET chat_realtime.check_outgoing = off;
INSERT INTO chat_messages (conversation_id, direction, content, metadata) SELECT 2, 'incoming', 'large' || g, jsonb_build_object('x', repeat('x', 60000)) FROM generate_series(1, 30) g;
\set QUIET off
SELECT replayed('conversation:2', :ann, 0, NULL, 100);
SELECT replayed('conversation:2', :ann, NULL, 0, 100);
RESET ROLE;

-- The relay: alone, nothing comes back to who sent it, what is old goes, and so much may wait
SET ROLE regress_endpoint;
SELECT endpoint AS me, peers, last_id, last_version FROM chat.relay_join(NULL) \gset
SELECT :'peers', :last_id, :last_version;
SELECT endpoint = :'me' AS again, peers FROM chat.relay_join(:'me');
SELECT chat.relay_send('\x0102'), chat.relay_send('\x03');
SELECT count(*) FROM chat.relay_read(0);
RESET ROLE;
UPDATE chat.relay SET pid = 0, sent_at = sent_at + interval '1 h';
SET ROLE regress_endpoint;
SELECT id, messages FROM chat.relay_read(0);
SELECT id, messages FROM chat.relay_read(1);
RESET ROLE;
UPDATE chat.relay SET sent_at = clock_timestamp() - interval '11 s' WHERE id = 1;
SET ROLE regress_endpoint;
SELECT chat.relay_send(decode(repeat('00', 1048576), 'hex'));
SELECT chat.relay_send(decode(repeat('00', 1048577), 'hex'));
SELECT chat.relay_send(NULL);
RESET ROLE;
SELECT id, octet_length(messages) FROM chat.relay ORDER BY id;
INSERT INTO chat.relay (pid, sent_at, messages) SELECT 0, now() + interval '1 h', decode(repeat('00', 1048576), 'hex') FROM generate_series(1, 16);
SET ROLE regress_endpoint;
SELECT chat.relay_send('\x04');
SELECT count(*) FROM chat.relay_read(0);
SELECT * FROM chat.relay;
RESET ROLE;

-- Who is there: what the caller wrote itself is not given to it
\set other '''99999999-0000-4000-8000-000000000009'''
SET ROLE regress_endpoint;
SELECT chat.relay_presence_put(:'me', '{a.1,a.2}', ARRAY['one', NULL]::bytea[]);
SELECT version, id, presence FROM chat.relay_presence_read(0);
RESET ROLE;
INSERT INTO chat.relay_endpoint VALUES (:other, 0, clock_timestamp());
INSERT INTO chat.relay_presence (id, endpoint, changed_at, presence) VALUES ('b.1', :other, clock_timestamp(), 'two'), ('b.2', :other, clock_timestamp(), NULL);
SET ROLE regress_endpoint;
SELECT peers FROM chat.relay_join(:'me');
SELECT version, endpoint, id, convert_from(presence, 'UTF8') FROM chat.relay_presence_read(0) WHERE id IS NOT NULL;
-- a change is a newer version, and may bring it to another endpoint
SELECT chat.relay_presence_put(:'me', '{a.1,b.1}', ARRAY['one again', 'mine']::bytea[]);
SELECT count(*), count(id) FROM chat.relay_presence_read(4);
-- who is not there any more cannot write, and takes nobody's place
SELECT chat.relay_presence_put(:other, '{c.1}', ARRAY['x']::bytea[]);
SELECT endpoint IN (:other, :'me') AS taken, peers @> ARRAY[:other, :'me']::uuid[] AS others FROM chat.relay_join(:other);
SELECT chat.relay_leave(:other), chat.relay_leave(NULL);
-- bounds
SELECT chat.relay_presence_put(:'me', '{c.1}', ARRAY[convert_to(repeat('x', 32769), 'UTF8')]);
SELECT chat.relay_presence_put(:'me', ARRAY[repeat('x', 65)], ARRAY['x']::bytea[]);
SELECT chat.relay_presence_put(:'me', '{c.1}', '{}');
SELECT chat.relay_presence_put(:'me', NULL, '{}');
SELECT chat.relay_presence_put(:'me', '{NULL}', ARRAY['x']::bytea[]);
SELECT chat.relay_presence_put(:'me', array_agg('c.' || g), array_agg('x'::bytea)) FROM generate_series(1, 129) g;
SELECT * FROM chat.relay_presence;
RESET ROLE;
INSERT INTO chat.relay_presence (id, endpoint, changed_at, presence) SELECT 'd.' || g, :other, clock_timestamp(), decode(repeat('00', 1048576), 'hex') FROM generate_series(1, 65) g;
SET ROLE regress_endpoint;
SELECT chat.relay_presence_put(:'me', '{c.1}', ARRAY['x']::bytea[]);
-- one that nobody has heard of for 6 s is gone, with its presences; so is what left a minute ago
RESET ROLE;
UPDATE chat.relay_endpoint SET seen_at = seen_at - interval '7 s' WHERE id = :other;
UPDATE chat.relay_presence SET changed_at = changed_at - interval '61 s' WHERE id = 'a.2';
SET ROLE regress_endpoint;
SELECT endpoint = :'me' AS me FROM chat.relay_join(:'me');
RESET ROLE;
SELECT id, convert_from(presence, 'UTF8') FROM chat.relay_presence ORDER BY id;
INSERT INTO chat.relay_endpoint SELECT gen_random_uuid(), 0, clock_timestamp() FROM generate_series(1, 64);
SET ROLE regress_endpoint;
SELECT chat.relay_join(NULL);
-- one that ends says so
SELECT chat.relay_leave(:'me');
RESET ROLE;
SELECT id, presence FROM chat.relay_presence ORDER BY id;
SELECT count(*) FROM chat.relay_endpoint WHERE id = :'me';

\set QUIET on
DROP OWNED BY regress_endpoint;
DROP ROLE regress_endpoint;
\c contrib_regression
DROP DATABASE regress_endpoint;
