-- Events as rows of realtime.messages, as far as it goes without a slot, and the hints at it: regress/e2e/realtime-database.test.mjs
-- has one. In a database of its own.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE ROLE regress_weak;
CREATE DATABASE regress_realtime;
\c regress_realtime
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
\set QUIET off
SELECT slots, confirmed, flushed > 0 AS written FROM chat.realtime_slots();
SELECT * FROM chat.realtime_insert('{"messages":[{"topic":"user:1:inbox","event":"e","payload":{},"private":true,"id":"1"}]}', '');
SELECT * FROM chat.realtime_insert('{"messages":[]}', 'some slot');
SELECT has_function_privilege('public', 'chat.realtime_insert(jsonb, text)', 'EXECUTE') AS insert,
       has_function_privilege('public', 'chat.realtime_slots()', 'EXECUTE') AS slots;
-- Without Realtime there is nothing to be said.
SELECT * FROM chat.realtime_hints();
\set QUIET on
CREATE SCHEMA realtime;
CREATE TABLE realtime.messages (topic text);
\set QUIET off
-- An owner that may do everything.
SELECT * FROM chat.realtime_hints();
\set QUIET on
ALTER FUNCTION chat.realtime_insert(jsonb, text) OWNER TO regress_weak;
\set QUIET off
SELECT * FROM chat.realtime_hints();
\set QUIET on
GRANT USAGE ON SCHEMA realtime TO regress_weak;
GRANT INSERT ON realtime.messages TO regress_weak;
\set QUIET off
-- Granted, and no rules by row.
SELECT * FROM chat.realtime_hints();
\set QUIET on
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
\set QUIET off
SELECT * FROM chat.realtime_hints();
\set QUIET on
CREATE POLICY chat_realtime_sidecar ON realtime.messages FOR INSERT TO regress_weak WITH CHECK (true);
\set QUIET off
SELECT * FROM chat.realtime_hints();
\set QUIET on
DROP POLICY chat_realtime_sidecar ON realtime.messages;
ALTER TABLE realtime.messages OWNER TO regress_weak;
\set QUIET off
-- The table's owner is not asked, unless the rules are forced.
SELECT * FROM chat.realtime_hints();
\set QUIET on
ALTER TABLE realtime.messages FORCE ROW LEVEL SECURITY;
\set QUIET off
SELECT count(*) FROM chat.realtime_hints();
\set QUIET on
ALTER ROLE regress_weak BYPASSRLS;
\set QUIET off
SELECT count(*) FROM chat.realtime_hints();
\set QUIET on
\set QUIET off
-- The canary's event goes to its own topic, where nobody but the service may be, and to no webhook.
SELECT chat.send_canary('canary:0123456789abcdef', 7) > 1e9 AS sent;
SELECT topic, event, webhook, owner, payload::jsonb AS payload, expires_at - created_at <= '30 s' AS expires FROM chat.events ORDER BY id DESC LIMIT 1;
SELECT chat.can_join('canary:0123456789abcdef', '{"sub": "1", "role": "authenticated"}'::jsonb) AS "user", chat.can_join('canary:0123456789abcdef', '{"role": "service_role"}'::jsonb) AS service;
SELECT chat.send_canary('conversation:1', 7);
SELECT chat.send_canary(NULL, 7);
\set QUIET on
\c :home
DROP DATABASE regress_realtime;
DROP ROLE regress_weak;
