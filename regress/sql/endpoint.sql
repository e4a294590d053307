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

\set QUIET on
DROP OWNED BY regress_endpoint;
DROP ROLE regress_endpoint;
\c contrib_regression
DROP DATABASE regress_endpoint;
