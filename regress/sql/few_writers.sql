-- Statements on the log and on deliveries read what they need, whatever statistics say: a log that four transactions
-- wrote, of which all but a few events have one topic; one webhook with nearly all deliveries. In a database of its own;
-- the server counts what was touched.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE DATABASE regress_few_writers;
\c regress_few_writers
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/read_log.sql'
\i :shared
SELECT count(*) > 0 AS set_up FROM chat.setup() \g /dev/null
CREATE FUNCTION fill(topic text, events int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.emit(topic, 'e', 'aaaaaaaa-0000-4000-8000-000000000001', '1', 'message.sent', '{}') FROM generate_series(1, events) g;
END $$;
\o /dev/null
SELECT fill('quiet', 3);
SELECT fill('quiet', 1);
SELECT fill('busy', 50000);
SELECT fill('busy', 50000);
SELECT fill('busy', 50000);
SELECT fill('busy', 50000);
SELECT fill('last', 1);
\o
SELECT min(id) AS first, max(id) AS last FROM chat.events \gset
SELECT id AS middle FROM chat.events ORDER BY id OFFSET 75000 LIMIT 1 \gset
SELECT xid AS quiet FROM chat.events WHERE id = :first \gset
-- Transactions that wrote nothing, running now and before: nothing is late.
SELECT format('%1$s:%2$s:%1$s,%3$s', x, x + 2, x + 1) AS seen
  FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 10 AS x) s \gset
SELECT format('%1$s:%2$s:%1$s', :quiet, pg_snapshot_xmax(pg_current_snapshot())) AS seen_late \gset
-- Deliveries: one webhook has one that is due and 20,000 that wait behind it, another has one that is due.
CREATE FUNCTION deliveries() RETURNS void LANGUAGE sql AS $$
    INSERT INTO chat.webhook_delivery (webhook, event_id, message_id, type, conversation, created_at, payload, next_attempt_at)
    SELECT 'aaaaaaaa-0000-4000-8000-000000000001', n, 'evt_' || n, 'message.sent', '1', now(), '{}', CASE WHEN n = 1 THEN now() END
      FROM generate_series(1, 20000) n;
    INSERT INTO chat.webhook_attempt (webhook, event_id, message_id, type, attempt, status, error, duration_ms)
    SELECT 'aaaaaaaa-0000-4000-8000-000000000001', n, 'evt_' || n, 'message.sent', 1, 200, NULL, 1 FROM generate_series(1, 20000) n;
$$;
INSERT INTO public.chat_external_webhooks (id, user_id, url, events, secret, is_active)
    SELECT h, h, 'https://example.org/', '{message.sent}', repeat('s', 32), true
      FROM unnest('{aaaaaaaa-0000-4000-8000-000000000001,bbbbbbbb-0000-4000-8000-000000000002}'::uuid[]) h;
INSERT INTO chat.webhook_delivery (webhook, event_id, message_id, type, conversation, created_at, payload, next_attempt_at)
    VALUES ('bbbbbbbb-0000-4000-8000-000000000002', 1, 'evt_1', 'message.sent', '2', now(), '{}', now());
SELECT deliveries() \g /dev/null
-- Rows of tables, and entries of their indexes.
CREATE FUNCTION rows_read(tables oid[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_tuples_returned(r))::bigint
      FROM (SELECT unnest(tables) AS r UNION ALL SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = ANY (tables)) s $$;
-- Runs a statement: its result, whether a table was read as a whole, whether few rows were read, and the indexes of the log used. A plan
-- that is made anew meanwhile looks at the ends of indexes, so that nothing read may be a few rows.
CREATE FUNCTION cost(statement text, most int, OUT answer text, OUT whole bigint, OUT few boolean, OUT indexes text) LANGUAGE plpgsql AS $$
DECLARE
    tables oid[] := ARRAY(SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'chat'::regnamespace AND c.relname ~ '^(event_[0-9]|webhook_delivery|webhook_attempt)');
    scanned bigint := (SELECT sum(pg_stat_get_xact_numscans(t)) FROM unnest(tables) t);
    read bigint := rows_read(tables);
    used jsonb := (SELECT jsonb_object_agg(i.indexrelid::text, pg_stat_get_xact_numscans(i.indexrelid)) FROM pg_index i WHERE i.indrelid = ANY (tables));
BEGIN
    EXECUTE statement INTO answer;
    whole := (SELECT sum(pg_stat_get_xact_numscans(t)) FROM unnest(tables) t) - scanned;
    read := rows_read(tables) - read;
    few := read <= most;
    IF NOT few THEN
        RAISE WARNING '% read % rows', statement, read;
    END IF;
    SELECT string_agg(DISTINCT regexp_replace(c.relname, '^event_[0-9]+_|_idx$', '', 'g'), ', ') INTO indexes
      FROM jsonb_each_text(used) u JOIN pg_class c ON c.oid = u.key::oid
     WHERE c.relname ~ '^event_[0-9]' AND pg_stat_get_xact_numscans(c.oid) > u.value::bigint;
END $$;
CREATE FUNCTION costs(first bigint, middle bigint, last bigint, seen text, seen_late text)
    RETURNS TABLE (what text, answer text, whole bigint, few boolean, indexes text) LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    most int;
BEGIN
    FOR what, most, statement IN SELECT * FROM (VALUES
        ('nothing new', 10, format('SELECT count(*) - 1 FROM read_log(%s, %L, 500)', last, seen)),
        ('late rows', 10, format('SELECT count(*) - 1 FROM read_log(%s, %L, 500)', last, seen_late)),
        ('from the middle', 1000, format('SELECT count(*) - 1 FROM read_log(%s, %L, 500)', middle, seen)),
        ('webhooks: what may come again', 10, format('SELECT chat.webhook_last()')),
        ('webhooks: who gets it, and what is blocked', 20, format('SELECT string_agg(t.kind || t.conversation, '' '') FROM chat.webhook_terms(ARRAY[''aaaaaaaa-0000-4000-8000-000000000001''], ARRAY[''1''], ''{}'') t')),
        ('webhooks: what is known', 30, format('SELECT string_agg(t.message_id, '' '' ORDER BY t.message_id) FROM chat.webhook_terms(ARRAY[''aaaaaaaa-0000-4000-8000-000000000001''], ARRAY[''7''], ''{3,4,900000}'') t')),
        ('client of a quiet topic, all', 10, format('SELECT count(*) FROM chat.events_since(''quiet'', %s, 100)', first)),
        ('client of a quiet topic, nothing', 10, format('SELECT count(*) FROM chat.events_since(''quiet'', %s, 100)', first + 3)),
        ('client of a quiet topic, from far back', 10, format('SELECT count(*) FROM chat.events_since(''last'', %s, 100)', first)),
        ('client of the busy topic', 250, format('SELECT count(*) FROM chat.events_since(''busy'', %s, 100)', first + 10)),
        ('newest of a quiet topic', 5, format('SELECT (chat.topic_events(''quiet'') -> ''position'')::bigint - %s', first)),
        ('newest of no topic', 5, format('SELECT chat.topic_events(''none'') -> ''position''')),
        ('statistics', 30, format('SELECT count(*) FROM chat.sidecar_stats()')),
        ('retention: done', 30, format('SELECT chat.event_partition_is_done(''chat.event_0'')')),
        ('deliveries due', 90, format('SELECT count(*) || string_agg(DISTINCT left(d.webhook::text, 8), '' '') FROM chat.webhook_due(100, 1000000, ''{}'', ''{}'') d')),
        ('deliveries due, the first busy', 60, format('SELECT count(*) FROM chat.webhook_due(100, 1000000, ''{}'', ARRAY[''aaaaaaaa-0000-4000-8000-000000000001''::uuid])'))) v
    LOOP
        SELECT c.* INTO answer, whole, few, indexes FROM cost(statement, most) c;
        RETURN NEXT;
    END LOOP;
END $$;
-- All positions are at the end.
INSERT INTO chat.consumer (name, last_id, snapshot) SELECT n, :last, :'seen'::pg_snapshot FROM unnest('{realtime,webhooks,socketio}'::text[]) n;
\set QUIET off
SELECT count(*) AS events, count(DISTINCT xid) AS transactions FROM chat.events;
-- Without statistics …
SELECT * FROM costs(:first, :middle, :last, :'seen', :'seen_late');
-- … and with them, plans made anew.
ANALYZE chat.event;
ANALYZE chat.webhook_delivery;
ANALYZE chat.webhook_attempt;
SELECT * FROM costs(:first, :middle, :last, :'seen', :'seen_late');
-- A session with settings that would keep every index from being used.
SET enable_indexscan = off;
SET enable_nestloop = off;
SET random_page_cost = 1000;
SELECT what FROM costs(:first, :middle, :last, :'seen', :'seen_late') WHERE NOT few OR whole > 0;
RESET ALL;
SET client_min_messages = warning;
-- Statistics of a time when every webhook had one delivery, and every event its own transaction.
TRUNCATE chat.webhook_delivery, chat.webhook_attempt;
INSERT INTO chat.webhook_delivery (webhook, event_id, message_id, type, conversation, created_at, payload, next_attempt_at)
    SELECT gen_random_uuid(), n, 'evt_' || n, 'message.sent', '2', now(), '{}', now() + interval '1 h' FROM generate_series(1, 30) n;
ANALYZE chat.webhook_delivery;
DELETE FROM chat.webhook_delivery;
INSERT INTO chat.webhook_delivery (webhook, event_id, message_id, type, conversation, created_at, payload, next_attempt_at)
    VALUES ('bbbbbbbb-0000-4000-8000-000000000002', 1, 'evt_1', 'message.sent', '2', now(), '{}', now());
SELECT deliveries();
SELECT what FROM costs(:first, :middle, :last, :'seen', :'seen_late') WHERE NOT few OR whole > 0;
-- What became of a delivery is written without a look at the others.
SELECT c.answer, c.whole, c.few FROM cost(format('SELECT chat.settle_webhooks(%L)',
    ARRAY[ROW('aaaaaaaa-0000-4000-8000-000000000001', 1, 'evt_1', 'message.sent', 'done', true, 1, 200, 'x', NULL, 1, 1, true, NULL, NULL),
          ROW('aaaaaaaa-0000-4000-8000-000000000001', :last, 'evt_' || :last, 'message.sent', 'retry', false, 1, 200, 'x', NULL, 1, 1, true, NULL, NULL)]::chat.webhook_outcome[]), 100) c;
\set QUIET on
\c :home
DROP DATABASE regress_few_writers;
