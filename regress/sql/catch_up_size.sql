-- chat.events_since and the consumers' reads at size: rows are found by index, in partitions old and new, with and
-- without statistics. In a database of its own; what was touched is counted by the server.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE DATABASE regress_catch_up;
\c regress_catch_up
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/read_log.sql'
\i :shared
\set shared :srcdir '/sql/shared/webhook_read.sql'
\i :shared
SELECT count(*) FROM chat.setup() \g /dev/null
CREATE FUNCTION fill(transactions int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.emit('topic:' || g % 10, 'e', NULL, NULL, NULL, '{}') FROM generate_series(1, 1000) g;
END $$;
\o /dev/null
SELECT format('SELECT fill(%s)', g) FROM generate_series(1, 40) g \gexec
SELECT chat.make_event_partition(1);
SELECT setval('chat.event_seq', 1::bigint << 32, false);
SELECT format('SELECT fill(%s)', g) FROM generate_series(1, 20) g \gexec
\o
SELECT min(id) AS first, max(id) AS last FROM chat.events WHERE topic = 'topic:7' \gset
SELECT id AS middle FROM chat.events WHERE topic = 'topic:7' ORDER BY id OFFSET 2500 LIMIT 1 \gset
-- How often a partition was scanned as a whole, and how many rows were read.
CREATE FUNCTION counted(OUT scans bigint, OUT rows bigint) LANGUAGE sql AS $$
    SELECT sum(s.seq_scan), sum(s.seq_tup_read + s.idx_tup_fetch) FROM pg_stat_xact_all_tables s WHERE s.relname ~ '^event_[0-9]' $$;
\set QUIET off
SELECT count(*) AS events FROM chat.events;
BEGIN;
SELECT scans, rows FROM counted() \gset
SELECT count(*), min(id) > :middle AS after FROM chat.events_since('topic:7', :middle);
SELECT count(*) FROM chat.events_since('topic:7', 0, 1000);
SELECT count(*) FROM chat.events_since('topic:7', :last, 1000);
SELECT count(*) FROM chat.events_since('topic:x', 0, 1000);
SELECT scans > :scans AS sequential, rows - :rows < 2500 AS few FROM counted();
ROLLBACK;
BEGIN;
SELECT scans, rows FROM counted() \gset
SELECT count(*) FROM read_log(:last, pg_current_snapshot()::text, 100);
SELECT count(*) FROM read_log(:middle, pg_current_snapshot()::text, 100);
SELECT count(*) FROM webhook_read(:last, pg_current_snapshot()::text, 100, 1000000);
SELECT scans > :scans AS sequential, rows - :rows < 2500 AS few FROM counted();
ROLLBACK;
-- The same with statistics.
ANALYZE chat.event;
BEGIN;
SELECT scans, rows FROM counted() \gset
SELECT count(*), min(id) > :middle AS after FROM chat.events_since('topic:7', :middle);
SELECT count(*) FROM chat.events_since('topic:7', :last, 1000);
SELECT count(*) FROM read_log(:last, pg_current_snapshot()::text, 100);
SELECT count(*) FROM webhook_read(:last, pg_current_snapshot()::text, 100, 1000000);
SELECT chat.event_partition_is_done('chat.event_0');
SELECT scans > :scans AS sequential, rows - :rows < 2500 AS few FROM counted();
ROLLBACK;
-- Page by page everything comes once, over the partitions' border.
DO $$
DECLARE
    at bigint := 0;
    ids bigint[] := '{}';
    page bigint[];
BEGIN
    LOOP
        SELECT array_agg(s.id ORDER BY s.id) INTO page FROM chat.events_since('topic:3', at, 700) s;
        EXIT WHEN page IS NULL;
        ids := ids || page;
        at := page[cardinality(page)];
    END LOOP;
    IF ids <> ARRAY(SELECT e.id FROM chat.events e WHERE e.topic = 'topic:3' ORDER BY e.id) THEN
        RAISE EXCEPTION 'pages differ from the log';
    END IF;
END $$;
\set QUIET on
\c :home
DROP DATABASE regress_catch_up;
