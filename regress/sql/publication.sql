-- A publication of all tables: what is updated and deleted here needs a replica identity. And parts of chat.maintain that
-- fail, each by itself. In a database of its own.
\set QUIET on
SET client_min_messages = error;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE DATABASE regress_publication;
\c regress_publication
SET client_min_messages = error;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE EXTENSION chat_realtime;
SELECT count(*) > 0 AS set_up FROM chat.setup() \g /dev/null
CREATE VIEW without_identity AS
    SELECT c.oid::regclass AS relation FROM pg_class c
     WHERE c.relnamespace = 'chat'::regnamespace AND c.relkind IN ('r', 'p') AND c.relreplident <> 'f'
       AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary);
CREATE FUNCTION done(part text) RETURNS boolean LANGUAGE sql AS
    $$ SELECT m.succeeded_at >= pg_catalog.statement_timestamp() - interval '1 h' AND m.error IS NULL FROM chat.maintenance m WHERE m.part = $1 $$;
\set QUIET off
SELECT * FROM chat.maintain();
SELECT count(*) >= 4 AS partitions FROM pg_inherits i WHERE i.inhparent IN ('chat.event'::regclass, 'chat.webhook_attempt'::regclass);
SELECT * FROM without_identity;
-- Retention of the log, of attempts and of deliveries.
SELECT chat.emit('a', 'e', NULL, NULL, NULL, '{}') > 0 AS emitted;
SELECT chat.make_event_partition(2);
SELECT setval('chat.event_seq', 1::bigint << 32, false) > 0 AS moved;
UPDATE chat.event SET created_at = created_at - interval '2 days';
INSERT INTO chat.webhook_attempt (webhook, event_id, message_id, type, attempt, status, duration_ms, at)
    VALUES (gen_random_uuid(), 1, 'evt_1', 't', 1, 200, 1, now() - interval '9 days'), (gen_random_uuid(), 2, 'evt_2', 't', 1, 200, 1, now());
INSERT INTO chat.webhook_delivery (webhook, event_id, message_id, type, created_at, payload) VALUES (gen_random_uuid(), 1, 'evt_1', 't', now(), '{}');
INSERT INTO chat.webhook_state (webhook) VALUES (gen_random_uuid());
UPDATE chat.audit_log SET at = at - interval '400 days';
SELECT * FROM chat.maintain();
SELECT (SELECT count(*) FROM chat.events) AS events, (SELECT count(*) FROM chat.webhook_attempt) AS attempts,
       (SELECT count(*) FROM chat.webhook_delivery) AS deliveries, (SELECT count(*) FROM chat.webhook_state) AS states;
-- A copy, restored.
UPDATE chat.origin SET written_by = '1';
SELECT chat.adopt_log();
SELECT chat.adopt_log();

-- Somebody's event trigger lets no partition be made or dropped: the rest is done, each part says why, and when it was last done.
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'no tables on Fridays' USING HINT = 'Wait for Monday.'; END $$;
CREATE EVENT TRIGGER forbid ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION forbid();
SELECT setval('chat.event_seq', 2::bigint << 32, false) > 0 AS moved;
INSERT INTO chat.webhook_attempt (webhook, event_id, message_id, type, attempt, status, duration_ms, at)
    VALUES (gen_random_uuid(), 1, 'evt_1', 't', 1, 200, 1, now() - interval '9 days');
SELECT object, action FROM chat.maintain();
SELECT count(*) AS old_attempts FROM chat.webhook_attempt WHERE at < now() - interval '8 days';
SELECT part, done(part), error FROM chat.maintenance ORDER BY place;
SELECT regexp_replace(h, '\d{4}-.*Z', 'then') FROM jsonb_array_elements_text(chat.status() -> 'hints') h WHERE h ~ 'maintain';
SELECT name, labels, value > 1e9 AS known FROM chat.sidecar_gauges() WHERE name ~ 'maintenance' ORDER BY labels;
DROP EVENT TRIGGER forbid;
SELECT object, action FROM chat.maintain();
SELECT count(*) FROM chat.maintenance WHERE error IS NOT NULL;
-- A trigger of one's own on a table of ours, and one that lets nobody drop.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON chat.audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse();
CREATE TRIGGER refuse BEFORE DELETE ON chat.webhook_state FOR EACH STATEMENT EXECUTE FUNCTION refuse();
SELECT object, action FROM chat.maintain();
\set QUIET on
\c :home
DROP DATABASE regress_publication;
