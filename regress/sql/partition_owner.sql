-- Partitions of messages whose owner is no superuser, and means harm: what hangs on them runs as that owner, and writing to the
-- tables while they are being looked at does no harm.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_carol;
CREATE ROLE regress_dan;
CREATE DATABASE regress_partition_owner;
\c regress_partition_owner
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
CREATE SCHEMA desk AUTHORIZATION regress_carol;
CREATE SCHEMA other AUTHORIZATION regress_dan;
\pset format unaligned
\pset tuples_only on
SET SESSION AUTHORIZATION regress_carol;
CREATE TABLE desk.seen (who text, what text);
CREATE FUNCTION desk.strike(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        ALTER ROLE regress_carol SUPERUSER;
    EXCEPTION WHEN others THEN NULL;
    END;
    INSERT INTO desk.seen VALUES (current_user, what);
    IF current_setting('desk.writes', true) = 'yes' THEN
        PERFORM set_config('desk.writes', '', false);
        INSERT INTO desk.conversations (id, user_id, contact_jid) VALUES (2, 'aaaaaaaa-0000-4000-8000-000000000001', '5511900000002@s.whatsapp.net') ON CONFLICT DO NOTHING;
    END IF;
END $$;
CREATE FUNCTION desk.constant(what text) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM desk.strike(what); RETURN 1; END $$;
CREATE TABLE desk.conversations (id bigint PRIMARY KEY, user_id uuid NOT NULL, contact_jid text NOT NULL, unread_count integer NOT NULL DEFAULT 0);
CREATE TABLE desk.chat_messages (id bigint NOT NULL, conversation_id bigint NOT NULL, direction text NOT NULL DEFAULT 'incoming',
    status text NOT NULL DEFAULT 'sent', content text, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE desk.first PARTITION OF desk.chat_messages FOR VALUES FROM (0) TO (1000);
SELECT count(*) > 0 AS attached FROM chat.attach('desk.conversations', 'desk.chat_messages') \g /dev/null
INSERT INTO desk.conversations VALUES (1, 'aaaaaaaa-0000-4000-8000-000000000001', '5511900000001@s.whatsapp.net');
\set QUIET off

-- Its owner makes partitions, and attaches and detaches them
CREATE TABLE desk.second PARTITION OF desk.chat_messages FOR VALUES FROM (1000) TO (2000);
CREATE TABLE desk.third (LIKE desk.chat_messages INCLUDING ALL);
INSERT INTO desk.third (id, conversation_id) VALUES (2000, 1);
ALTER TABLE desk.chat_messages ATTACH PARTITION desk.third FOR VALUES FROM (2000) TO (3000);
INSERT INTO desk.second (id, conversation_id) VALUES (1000, 1);
SELECT object, action FROM chat.maintain() WHERE object ~ 'desk';
SELECT unread_count FROM desk.conversations;
ALTER TABLE desk.chat_messages DETACH PARTITION desk.third;

-- What the planner evaluates in a partition that came with rows
\set QUIET on
CREATE TABLE desk.fourth (LIKE desk.chat_messages INCLUDING DEFAULTS INCLUDING INDEXES) PARTITION BY RANGE (id);
CREATE TABLE desk.leaf PARTITION OF desk.fourth FOR VALUES FROM (3000) TO (4000);
INSERT INTO desk.leaf (id, conversation_id) VALUES (3000, 1);
CREATE INDEX ON desk.leaf ((id + desk.constant('index of a partition')));
DELETE FROM desk.seen;
\c -
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_carol;
\set QUIET off
ALTER TABLE desk.chat_messages ATTACH PARTITION desk.fourth FOR VALUES FROM (3000) TO (4000);
SELECT DISTINCT who FROM desk.seen;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_carol';

-- Code of an index that writes to the table of which the layout is being built
\set QUIET on
CREATE INDEX ON desk.conversations ((id + desk.constant('index of conversations')));
\c -
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_carol;
SET desk.writes = 'yes';
\set QUIET off
INSERT INTO desk.first (id, conversation_id) VALUES (1, 1);
SELECT id, unread_count FROM desk.conversations ORDER BY id;
RESET SESSION AUTHORIZATION;

-- Triggers of others that look like ours are not touched, nor their tables waited for
\set QUIET on
SELECT id FROM chat.attachment \gset
SET SESSION AUTHORIZATION regress_dan;
CREATE TABLE other.alike (id integer);
CREATE FUNCTION other.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER zz_chat_realtime_flush AFTER INSERT ON other.alike EXECUTE FUNCTION other.nothing(:id);
RESET SESSION AUTHORIZATION;
CREATE TABLE looks_again (id integer);
\set QUIET off
SELECT tgname FROM pg_trigger WHERE tgrelid = 'other.alike'::regclass;
SELECT count(*) FROM chat.recount_due;
\set QUIET on
\c :home
DROP DATABASE regress_partition_owner;
DROP ROLE regress_carol;
DROP ROLE regress_dan;
