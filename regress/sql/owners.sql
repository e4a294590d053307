-- A role that owns the tables and is no superuser: what it may do, what only an administrator may, and what its own code
-- cannot reach through functions that have the extension's rights.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_owner;
CREATE ROLE regress_other;
CREATE ROLE regress_sidecar2;
CREATE DATABASE regress_owners;
\c regress_owners
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
CREATE SCHEMA desk AUTHORIZATION regress_owner;
CREATE SCHEMA theirs AUTHORIZATION regress_other;
GRANT USAGE ON SCHEMA desk TO regress_other;
\pset format unaligned
\pset tuples_only on
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set QUIET off

-- Everything about its own tables
SET SESSION AUTHORIZATION regress_owner;
SELECT object, action, statement FROM chat.setup_plan('desk');
SELECT DISTINCT object FROM chat.setup('desk') ORDER BY 1;
SELECT * FROM chat.setup('desk');
SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace = 'desk'::regnamespace AND relkind = 'r' ORDER BY 1;
INSERT INTO desk.conversations (user_id, contact_jid) VALUES (:ann, '5511900000001@s.whatsapp.net');
INSERT INTO desk.chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'one'), (1, 'incoming', 'two');
SELECT unread_count, last_message_preview FROM desk.conversations;
SELECT a ->> 'messages' FROM jsonb_array_elements(chat.status() -> 'attachments') a;
SELECT hint FROM chat.hints();
SELECT chat.recount(), chat.recount('desk.chat_messages');
SELECT chat.configure('desk.chat_messages', '{"max_content_bytes": 100}');
SELECT count(*) FROM chat.maintain() \g /dev/null
SELECT count(*) FROM chat.detach('desk.chat_messages');
SELECT count(*) FROM chat.attach('desk.conversations', 'desk.chat_messages');
SELECT action FROM chat.setup('desk'); -- keys and webhooks again
SELECT api_keys, webhooks FROM chat.attachment;
RESET SESSION AUTHORIZATION;
SELECT api_keys, webhooks FROM chat.attachment;
SET SESSION AUTHORIZATION regress_owner;
DROP TABLE desk.chat_external_webhooks; -- a new one takes its place
SELECT count(*) > 0 AS made FROM chat.setup('desk');
RESET SESSION AUTHORIZATION;
SELECT api_keys, webhooks FROM chat.attachment;

-- What is not about them alone
SET SESSION AUTHORIZATION regress_owner;
SELECT chat.grant_sidecar('regress_sidecar2');
SELECT chat.grant_backend('regress_owner');
SELECT chat.grant_admin('regress_owner');
SELECT chat.set_rollout(100);
SELECT chat.execute_as('regress_owner', 'SELECT 1');
SELECT chat.setup('theirs');
SELECT chat.setup('pg_catalog');
SELECT chat.setup('desk', 'nobody');
RESET SESSION AUTHORIZATION;

-- Beside tables of somebody else only an administrator attaches, and nobody sees the other's
SET SESSION AUTHORIZATION regress_other;
SELECT chat.status();
SELECT * FROM chat.hints();
SELECT chat.recount();
SELECT count(*) FROM chat.maintain();
SELECT chat.attach('desk.conversations', 'desk.chat_messages');
SELECT chat.detach('desk.chat_messages');
SELECT chat.setup('theirs');
SELECT to_regclass('theirs.conversations');
RESET SESSION AUTHORIZATION;
SELECT chat.grant_admin('regress_other');
SET SESSION AUTHORIZATION regress_other;
GRANT USAGE ON SCHEMA theirs TO regress_owner;
SELECT action FROM chat.setup('theirs') WHERE action ~ 'attached|equal';
SELECT chat.grant_sidecar('regress_sidecar2');
SELECT chat.recount();
SELECT a ->> 'messages' FROM jsonb_array_elements(chat.status() -> 'attachments') a;
SELECT chat.detach('desk.chat_messages');
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_owner;
SELECT a ->> 'messages' FROM jsonb_array_elements(chat.status() -> 'attachments') a;
SELECT chat.recount('theirs.chat_messages');
SELECT chat.attach('desk.conversations', 'desk.chat_messages'); -- its own, again
RESET SESSION AUTHORIZATION;
SELECT action, object, role FROM chat.audit_log WHERE action ~ 'admin|attachment' ORDER BY id;

-- Who calls is who runs the code: not who called that
SET SESSION AUTHORIZATION regress_owner;
CREATE FUNCTION desk.take() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM chat.detach('theirs.chat_messages');
    RETURN 'taken';
EXCEPTION WHEN insufficient_privilege THEN
    RETURN SQLERRM;
END $$;
CREATE FUNCTION desk.slip(n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM chat.detach('theirs.chat_messages');
    RETURN n;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING '%', SQLERRM;
    RETURN n;
END $$;
CREATE TABLE desk.bait (n bigint);
INSERT INTO desk.bait VALUES (1);
RESET SESSION AUTHORIZATION;
SELECT desk.take();
SET SESSION AUTHORIZATION regress_owner;
CREATE INDEX bait_idx ON desk.bait (desk.slip(n));
RESET SESSION AUTHORIZATION;
REINDEX INDEX desk.bait_idx;
SELECT count(*) FROM chat.attachment;

-- Tables of keys and webhooks that are another's, or none, are not taken
CREATE SCHEMA shared;
GRANT CREATE, USAGE ON SCHEMA shared TO regress_other, regress_owner;
SET SESSION AUTHORIZATION regress_owner;
CREATE TABLE shared.chat_api_keys (LIKE desk.chat_api_keys);
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_other;
SELECT chat.setup('shared');
SELECT to_regclass('shared.conversations');
RESET SESSION AUTHORIZATION;
DROP TABLE shared.chat_api_keys;
SET SESSION AUTHORIZATION regress_other;
CREATE VIEW shared.chat_api_keys AS SELECT * FROM theirs.chat_api_keys;
SELECT chat.setup('shared');
RESET SESSION AUTHORIZATION;

-- Made by a superuser for its owner
CREATE SCHEMA made;
SELECT DISTINCT action FROM chat.setup('made', 'regress_owner') WHERE action ~ 'table';
SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace = 'made'::regnamespace AND relkind = 'r' ORDER BY 1;
SET SESSION AUTHORIZATION regress_owner;
SELECT * FROM chat.setup('made');
INSERT INTO made.conversations (id, user_id, contact_jid) VALUES (1000, :ann, 'x');
SELECT unread_count FROM made.conversations;
SELECT count(*) FROM chat.detach('made.chat_messages');
RESET SESSION AUTHORIZATION;
\set QUIET on
\c :home
DROP DATABASE regress_owners;
DROP ROLE regress_owner;
DROP ROLE regress_other;
DROP ROLE regress_sidecar2;
