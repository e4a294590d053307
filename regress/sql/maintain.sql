-- chat.maintain: partitions ahead, retention, and who holds what back. In a database of its own.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE DATABASE regress_maintain;
\c regress_maintain
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM chat.setup() \g /dev/null
SET extra_float_digits = 1;
CREATE FUNCTION emit(topic text) RETURNS bigint LANGUAGE sql AS
    $$ SELECT chat.emit(topic, 'e', NULL, NULL, NULL, '{}') $$;
-- What has been written until now was written so long ago.
CREATE FUNCTION age_log(by interval) RETURNS void LANGUAGE sql AS
    $$ UPDATE chat.event SET created_at = created_at - by $$;
CREATE FUNCTION partitions() RETURNS TABLE (name text, events bigint, current boolean) LANGUAGE plpgsql AS $$
BEGIN
    FOR name, current IN SELECT p.relation::text, p.number = s.last_value >> 32 FROM chat.event_partitions() p, chat.event_seq s LOOP
        EXECUTE 'SELECT count(*) FROM ' || name INTO events;
        RETURN NEXT;
    END LOOP;
END $$;
\set QUIET off

-- A partition ahead; a second call has nothing to do.
SELECT emit('a');
SELECT * FROM chat.maintain();
SELECT * FROM chat.maintain();
SELECT * FROM partitions();
-- It has the indexes of the first one, and nobody's rights.
SELECT c.relname, i.indisunique FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = 'chat.event_1'::regclass ORDER BY 1;
SELECT count(*) AS granted FROM pg_class c, aclexplode(c.relacl) a
 WHERE c.oid = 'chat.event_1'::regclass AND a.grantee <> c.relowner;

-- The first event is older than a quarter of the retention: ids go on in the next partition.
SELECT age_log('7 h');
SELECT * FROM chat.maintain();
SELECT emit('b') - (1::bigint << 32) AS id_in_partition_1;
SELECT * FROM partitions();
SELECT array_agg(topic ORDER BY id) AS log FROM chat.events;
-- A lag counts the ids that were drawn, not those left unused.
SELECT epoch AS realtime FROM chat.consumer_acquire('realtime', 'a', 600000) \gset
SELECT consumer, lag FROM chat.sidecar_stats();
-- A second partition in one transaction waits for the commit of its own.
SELECT age_log('7 h');
BEGIN;
SELECT * FROM chat.maintain();
SELECT * FROM chat.maintain();
ROLLBACK;
SELECT emit('c') - (2::bigint << 32) AS id_in_partition_2;
-- That call was rolled back, the ids have moved all the same; what is missing ahead is made now.
SELECT * FROM chat.maintain();
SELECT * FROM partitions();

-- Beyond the retention nothing goes while an enabled consumer is not past it, be it by an id …
SELECT age_log('2 days');
SELECT emit('d') > 0 AS emitted;
SELECT * FROM chat.maintain();
SELECT jsonb_array_elements_text(chat.status() -> 'hints') LIKE '%past its retention%' AS hint ORDER BY 1;
-- … or by a late row: written by a transaction that the position's snapshot does not see.
SELECT max(id) AS last FROM chat.events \gset
SELECT chat.consumer_save('realtime', :realtime, :last, format('%1$s:%1$s:', e.xid)) FROM chat.events e WHERE e.topic = 'b';
SELECT * FROM chat.maintain();
SELECT * FROM partitions();
-- A consumer that is off holds nothing back; on again, it goes on from the present.
SELECT chat.consumer_acquire('webhooks', 'a', 600000) IS NOT NULL AS acquired;
SELECT chat.consumer_save('realtime', :realtime, :last, pg_current_snapshot()::text);
SELECT * FROM chat.maintain();
SELECT chat.set_consumer('webhooks', false);
SELECT * FROM chat.maintain();
SELECT * FROM partitions();
SELECT count(*) AS leased FROM chat.consumer_acquire('webhooks', 'a', 600000);
SELECT chat.set_consumer('webhooks', true);
SELECT consumer, lag FROM chat.sidecar_stats();
SELECT chat.set_consumer('socketio', false);
SELECT chat.set_consumer('webhooks', NULL);
SELECT action, object, details FROM chat.audit_log ORDER BY id;

-- Partitions whose retention is over when they are left go in the same call.
SELECT emit('e') > 0 AS emitted;
SELECT age_log('2 days');
SELECT * FROM chat.maintain();
SELECT chat.consumer_save('realtime', :realtime, (SELECT max(id) FROM chat.events), pg_current_snapshot()::text);
SELECT chat.set_consumer('webhooks', false);
SELECT * FROM chat.maintain();
SELECT * FROM partitions();

-- The clock was ten years ahead, and is set back: ids go on in the next partition, and what was written then is as old
-- as what came after it.
SELECT emit('future') > 0 AS emitted;
UPDATE chat.event SET created_at = created_at + interval '10 years' WHERE topic = 'future';
SELECT * FROM chat.maintain();
SELECT chat.consumer_save('realtime', :realtime, (SELECT max(id) FROM chat.events), pg_current_snapshot()::text);
SELECT * FROM chat.maintain();
SELECT emit('after') > 0 AS emitted;
SELECT * FROM chat.maintain();
SELECT age_log('2 days');
SELECT chat.consumer_save('realtime', :realtime, (SELECT max(id) FROM chat.events), pg_current_snapshot()::text);
SELECT * FROM chat.maintain();
SELECT * FROM partitions();
-- It jumps ahead: whoever has not read keeps what there is.
SELECT emit('kept') > 0 AS emitted;
SELECT age_log('10 years');
SELECT * FROM chat.maintain();
SELECT chat.consumer_save('realtime', :realtime, (SELECT max(id) FROM chat.events), pg_current_snapshot()::text);
SELECT * FROM chat.maintain();

-- The audit log, oldest first.
UPDATE chat.audit_log SET at = at - interval '400 days' WHERE id = 1;
SELECT * FROM chat.maintain();
SET chat_realtime.audit_retention = 0;
UPDATE chat.audit_log SET at = at - interval '400 days';
SELECT * FROM chat.maintain();
SELECT count(*) > 0 AS kept FROM chat.audit_log;
\set VERBOSITY sqlstate
SET chat_realtime.retention = 0;
\set VERBOSITY default
SELECT min_val, max_val, unit FROM pg_settings WHERE name = 'chat_realtime.retention';
SET chat_realtime.retention = '1h';
SHOW chat_realtime.retention;
-- Every function of the log still works without any event.
SELECT chat.ids_after(0), chat.ids_after(:last);
SELECT count(*) FROM chat.events_since('a', 0);

-- A sequence that was moved where no partition is.
SELECT setval('chat.event_seq', 99::bigint << 32) > 0 AS moved;
SELECT emit('lost');
SELECT * FROM chat.maintain();
SELECT emit('found') >> 32 AS partition;

\set QUIET on
\c :home
DROP DATABASE regress_maintain;
