-- Attaching: what it refuses, and that nothing is left half done; who may; what follows when tables change.
\set QUIET on
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA attach;
SET search_path = attach;
CREATE TABLE c (id bigint PRIMARY KEY, user_id uuid NOT NULL, unread_count int DEFAULT 0, last_message_at timestamptz,
    last_message_preview text, updated_at timestamptz);
CREATE TABLE m (id bigint PRIMARY KEY, conversation_id bigint REFERENCES c ON DELETE CASCADE, direction text, status text,
    content text, created_at timestamptz DEFAULT now());
CREATE VIEW traces AS
    SELECT 'attachment' AS kind, messages::text AS object FROM chat.attachment
    UNION ALL SELECT 'trigger', tgrelid::regclass || '.' || tgname FROM pg_trigger g JOIN pg_class k ON k.oid = g.tgrelid
        WHERE k.relnamespace = 'attach'::regnamespace AND g.tgname ~ '^(00|zz)_chat'
    UNION ALL SELECT 'index', indexname FROM pg_indexes WHERE schemaname = 'attach' AND indexname LIKE '%\_chat\_%';
-- The error of attaching: SQLSTATE, message, detail, hint; and what is left of the attempt.
CREATE FUNCTION refusal(conversations text, messages text, columns jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    PERFORM chat.attach(conversations::regclass, messages::regclass, columns);
    RETURN 'attached';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', state, message, nullif(detail, ''), left(nullif(hint, ''), 150)) || (SELECT COALESCE(' | LEFT: ' || string_agg(object, ', '), '') FROM attach.traces);
END $$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- What is no table, or one that cannot be attached.
CREATE VIEW view AS SELECT * FROM m;
CREATE MATERIALIZED VIEW matview AS SELECT * FROM m;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE far (id bigint, conversation_id bigint) SERVER nowhere;
CREATE SEQUENCE seq;
CREATE TEMP TABLE passing (LIKE m, PRIMARY KEY (id));
CREATE TABLE parent (LIKE m, PRIMARY KEY (id));
CREATE TABLE child () INHERITS (parent);
CREATE TABLE parts (LIKE m INCLUDING DEFAULTS, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE c_parts (LIKE c, PRIMARY KEY (id)) PARTITION BY HASH (id);
SELECT refusal('c', 'view'), refusal('view', 'm'), refusal('c', 'matview'), refusal('c', 'far'), refusal('c', 'seq') \gx
SELECT refusal('c', 'passing') LIKE '0A000 | %passing is a temporary table | Its events would outlive it: attach a permanent table.';
SELECT refusal('c', 'parent'), refusal('c', 'child'), refusal('c', 'part_1'), refusal('c_parts', 'm') \gx
SELECT refusal('c', 'pg_class'), refusal('c', 'chat.event'), refusal('c', 'm_pkey'), refusal('c', 'c') \gx
SELECT chat.attach(NULL, 'm');
SELECT chat.attach('c', 'm', '[]');
SELECT chat.attach('c', 4000000000::oid::regclass);
SELECT refusal('c', 'nowhere.m') IN ('3F000 | schema "nowhere" does not exist', '42P01 | relation "nowhere.m" does not exist'); -- from 16 on

DROP VIEW view;
DROP MATERIALIZED VIEW matview;

-- Keys.
CREATE TABLE no_key (LIKE m);
CREATE TABLE two_keys (LIKE m, PRIMARY KEY (id, conversation_id));
CREATE TABLE text_key (LIKE m, PRIMARY KEY (content));
CREATE TABLE uuid_reference (LIKE m, PRIMARY KEY (id));
ALTER TABLE uuid_reference ALTER conversation_id TYPE uuid USING NULL;
SELECT refusal('c', 'no_key'), refusal('c', 'two_keys'), refusal('c', 'text_key'), refusal('c', 'uuid_reference') \gx

-- Columns: missing, of a wrong type, generated, badly mapped.
CREATE TABLE poor (id bigint PRIMARY KEY, conversation_id bigint);
CREATE TABLE odd (LIKE m, is_private_note int, message_type jsonb, deleted_at date, media_size_bytes text, PRIMARY KEY (id));
CREATE TABLE stamped (id bigint PRIMARY KEY, conversation_id bigint, direction text, status text, content text, created_at date);
CREATE TABLE computed (id bigint PRIMARY KEY, conversation_id bigint, direction text, status text,
    body text, content text GENERATED ALWAYS AS (upper(body)) STORED, created_at timestamptz);
CREATE TABLE c_odd (id bigint PRIMARY KEY, user_id uuid, unread_count numeric, last_message_at date, last_message_preview jsonb);
CREATE TABLE c_account (id bigint PRIMARY KEY, account_id uuid);
SELECT refusal('c', 'poor'), refusal('c', 'poor', '{"direction": "way"}'), refusal('c', 'stamped'), refusal('c', 'computed') \gx
SELECT refusal('c', 'odd'), refusal('c', 'odd', '{"type": null}'), refusal('c', 'odd', '{"type": null, "deleted": null}'),
       refusal('c', 'odd', '{"type": null, "deleted": null, "private": null}') \gx
SELECT refusal('c_odd', 'm'), refusal('c_odd', 'm', '{"unread_count": null}'), refusal('c_odd', 'm', '{"unread_count": null, "last_message_at": null}') \gx
SELECT refusal('c_account', 'm'), refusal('c_account', 'm', '{"owner": 5}'), refusal('c_account', 'm', '{"owner": null}'),
       refusal('c_account', 'm', '{"owner": {"column": "account_id", "table": "attach.accounts"}}'),
       refusal('c_account', 'm', '{"owner": {"column": "account_id", "table": "attach.c"}}'),
       refusal('c_account', 'm', '{"owner": {"column": "account_id", "table": "attach.c", "key": "id", "user": "nobody"}}') \gx
SELECT refusal('c', 'm', '{"contents": "content"}'), refusal('c', 'm', '{"content": 5}'), refusal('c', 'm', '{"content": null}'),
       refusal('c', 'm', '{"content": "body"}'), refusal('c', 'm', '{"agent": {"table": "x"}}') \gx
SELECT * FROM traces ORDER BY kind, object;

-- Attached, twice, with somebody else.
SELECT * FROM chat.attach('c', 'm');
SELECT * FROM chat.attach('c', 'm');
CREATE TABLE c2 (LIKE c, PRIMARY KEY (id));
CREATE TABLE m2 (LIKE m, PRIMARY KEY (id));
SELECT COALESCE(nullif(split_part(refusal('c', 'm2'), ' | LEFT', 1), ''), '') UNION ALL SELECT split_part(refusal('c2', 'm'), ' | LEFT', 1)
    UNION ALL SELECT split_part(refusal('m', 'm2'), ' | LEFT', 1) UNION ALL SELECT split_part(refusal('c2', 'c'), ' | LEFT', 1);
SELECT * FROM chat.attach('c2', 'm2');
SELECT * FROM chat.detach('m2');
SELECT chat.detach('m2');
SELECT chat.detach(NULL);
SELECT * FROM traces ORDER BY kind, object;
SELECT action, object, details FROM chat.audit_log WHERE object LIKE 'attach.%' ORDER BY id;

-- Only the owner of both tables.
CREATE ROLE regress_attach;
GRANT USAGE ON SCHEMA attach TO regress_attach;
SET ROLE regress_attach;
SELECT chat.attach('c2', 'm2');
SELECT chat.attach_plan('c2', 'm2');
SELECT chat.detach('m');
SELECT chat.configure('m', '{}');
SELECT chat.attach_for('postgres', 'c2', 'm2', '{}');
RESET ROLE;

-- Columns that come, go, and get other names and types.
\set VERBOSITY terse
INSERT INTO c (id, user_id) VALUES (1, 'aaaaaaaa-0000-4000-8000-000000000001');
INSERT INTO m (id, conversation_id, direction, status, content) VALUES (1, 1, 'incoming', 'delivered', 'one');
ALTER TABLE m ADD message_type text DEFAULT 'text', ADD is_private_note bool, ADD updated_at timestamptz, ADD reference text DEFAULT 'r';
INSERT INTO m (id, conversation_id, direction, status, content) VALUES (2, 1, 'incoming', 'delivered', 'two');
SELECT jsonb_object_keys(payload::jsonb) FROM chat.events WHERE event = 'message.new' ORDER BY id DESC LIMIT 10;
INSERT INTO m (id, conversation_id, direction, status, content, is_private_note) VALUES (3, 1, 'incoming', 'delivered', 'counted: not yet looked up', true);
SELECT unread_count FROM c;
SELECT * FROM chat.attach('c', 'm');
SELECT chat.recount('m');
INSERT INTO m (id, conversation_id, direction, status, content, is_private_note) VALUES (4, 1, 'incoming', 'delivered', 'note', true);
SELECT unread_count, last_message_preview FROM c;
ALTER TABLE c DROP unread_count;
INSERT INTO m (id, conversation_id, direction, status, content) VALUES (5, 1, 'incoming', 'delivered', 'five');
SELECT last_message_preview FROM c;
ALTER TABLE c ADD unread_count smallint;
SELECT * FROM chat.attach('c', 'm');
SELECT chat.recount('m');
ALTER TABLE c ALTER unread_count TYPE bigint;
ALTER TABLE m ALTER content TYPE varchar(100), ALTER created_at TYPE timestamp USING created_at AT TIME ZONE 'UTC';
INSERT INTO m (id, conversation_id, direction, status, content) VALUES (6, 1, 'incoming', 'delivered', 'six');
SELECT unread_count FROM c;
SELECT * FROM chat.attach('c', 'm');
ALTER TABLE m RENAME content TO body;
INSERT INTO m (id, conversation_id, direction, status, body) VALUES (7, 1, 'incoming', 'delivered', 'seven');
SELECT chat.attach('c', 'm');
SELECT * FROM chat.attach('c', 'm', '{"content": "body"}');
INSERT INTO m (id, conversation_id, direction, status, body) VALUES (7, 1, 'incoming', 'delivered', 'seven');
SELECT unread_count, last_message_preview FROM c;
SELECT * FROM chat.attach('c', 'm');
ALTER TABLE m RENAME id TO number;
ALTER TABLE m DROP updated_at;
INSERT INTO m (number, conversation_id, direction, status, body) VALUES (8, 1, 'incoming', 'delivered', 'eight');
SELECT * FROM chat.attach('c', 'm');
INSERT INTO m (number, conversation_id, direction, status, body) VALUES (8, 1, 'incoming', 'delivered', 'eight');
SELECT unread_count, last_message_preview FROM c;
-- Tables and schemas that get other names.
ALTER TABLE m RENAME TO notes;
ALTER SCHEMA attach RENAME TO attached;
SET search_path = attached;
INSERT INTO notes (number, conversation_id, direction, status, body) VALUES (9, 1, 'incoming', 'delivered', 'nine');
DELETE FROM notes WHERE number = 9;
SELECT unread_count, last_message_preview FROM c;
ALTER SCHEMA attached RENAME TO attach;
SET search_path = attach;

-- Dropped tables are forgotten, and their partners left alone.
DROP TABLE notes;
SELECT * FROM traces ORDER BY kind, object;
SELECT * FROM chat.detach('notes'::text::regclass);
INSERT INTO c (id, user_id) VALUES (2, 'aaaaaaaa-0000-4000-8000-000000000001');

\set QUIET on
DROP OWNED BY regress_attach;
DROP ROLE regress_attach;
DROP SCHEMA attach CASCADE;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
