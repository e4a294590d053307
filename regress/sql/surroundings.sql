-- What surrounds a message must not change what comes of it: settings of the session, names in its search_path, columns called like
-- an alias, subtransactions, prepared transactions, triggers of the user's, tables that change meanwhile.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE DATABASE regress_surroundings;
\c regress_surroundings
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SET chat_realtime.rate_limits = off;
SELECT count(*) > 0 AS set_up FROM chat.setup() \g /dev/null
\pset format unaligned
\pset tuples_only on
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, :ann, '1@s'), (2, :ann, '2@s');
ALTER TABLE conversations ALTER id RESTART 100, ADD t text DEFAULT 't', ADD c text DEFAULT 'c', ADD u text DEFAULT 'u', ADD p text DEFAULT 'p';
ALTER TABLE chat_messages ADD t text, ADD m integer, ADD r text, ADD f float8, ADD iv interval, ADD d date, ADD tz timetz, ADD span tstzrange, ADD floats float8[],
    ADD times timestamptz[], ADD bytes bytea[], ADD ivs interval[], ADD local timestamp;
CREATE TABLE written (run text, payload jsonb);
CREATE PROCEDURE write_one(run text) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chat_messages (conversation_id, direction, content, f, iv, d, tz, span, floats, times, bytes, ivs, local)
        SELECT 1, 'incoming', 'x', 0.1::float8 + 0.2, '1 mon 2 days 03:04:05'::interval, make_date(2026, 3, 4), timetz '10:00+02', tstzrange(s, s + interval '1 s'),
               ARRAY[0.1::float8 + 0.2], ARRAY[s], ARRAY[decode('01ff', 'hex')], ARRAY[interval '1 mon'], make_timestamp(2026, 3, 4, 5, 6, 7)
          FROM to_timestamp(1772600767) s;
    INSERT INTO written SELECT run, e.payload::jsonb - '{id,createdAt,updatedAt}'::text[] FROM chat.events e WHERE e.event = 'message.new' ORDER BY e.id DESC LIMIT 1;
END $$;
SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';
CALL write_one('plain');
SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'America/Sao_Paulo'; SET extra_float_digits = -10; SET bytea_output = 'escape';
SET standard_conforming_strings = off; SET row_security = off; SET array_nulls = off; SET lc_messages = 'C'; SET quote_all_identifiers = on;
CALL write_one('odd');
\set QUIET off
SELECT key, value FROM written, jsonb_each(payload) WHERE run = 'odd' AND key IN ('f', 'iv', 'd', 'tz', 'span', 'floats', 'times', 'ivs', 'local') ORDER BY 1;
SELECT count(DISTINCT payload) FROM written;
SELECT (chat.list_messages('1') #> '{data,0}') - '{id,createdAt,updatedAt}'::text[] = payload FROM written WHERE run = 'plain';
SELECT chat.get_conversation('1') - '{createdAt,updatedAt,lastMessageAt}'::text[];
SELECT jsonb_array_length(chat.list_conversations(:ann) -> 'data'), jsonb_array_length(chat.search_messages('1', 'x') -> 'data'), chat.search_messages('1', '%_') -> 'data';
SELECT chat.save_message('1', '{"content": "timed", "timestamp": "2026-06-18T13:19:38+02:00", "mediaSizeBytes": 1}') ->> 'content';
SHOW TimeZone;
\set QUIET on
\c -
SET client_min_messages = warning;
SET chat_realtime.rate_limits = off;
\set QUIET off
-- A transaction that may not write, and a standby, can read all
BEGIN READ ONLY;
SELECT chat.list_messages('1') IS NOT NULL, chat.list_conversations(:ann) IS NOT NULL, chat.status() IS NOT NULL, (chat.authenticate('x')).code;
SELECT chat.save_message('1', '{"content": "x"}');
ROLLBACK;
-- More subtransactions than a backend advertises, some rolled back; prepared; a cursor over functions that write
DO $$ BEGIN
    FOR i IN 1 .. 200 LOOP
        BEGIN
            INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'part ' || i);
            IF i % 3 = 0 THEN
                RAISE 'x';
            END IF;
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
    END LOOP;
END $$;
SELECT count(*), (SELECT unread_count FROM conversations WHERE id = 1) FROM chat.events WHERE event = 'message.new' AND payload ~ '"part ';
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'prepared');
PREPARE TRANSACTION 'regress_surroundings';
COMMIT PREPARED 'regress_surroundings';
SELECT count(*) FROM chat.events WHERE payload ~ 'prepared';
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT chat.save_message('1', jsonb_build_object('content', 'held ' || n)) ->> 'content' FROM generate_series(1, 2) n;
COMMIT;
FETCH ALL FROM held;
-- Triggers that write to the same tables, and one that puts a message elsewhere
CREATE FUNCTION reply() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.content = 'ping' THEN
        INSERT INTO chat_messages (conversation_id, direction, content) VALUES (NEW.conversation_id, 'outgoing', 'pong'), (2, 'incoming', 'echo');
        UPDATE chat_messages SET status = 'read' WHERE id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER reply AFTER INSERT ON chat_messages FOR EACH ROW EXECUTE FUNCTION reply();
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'ping'), (1, 'incoming', 'ping');
CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.conversation_id := 3 - NEW.conversation_id; RETURN NEW; END $$;
CREATE TRIGGER zzzz BEFORE INSERT OR UPDATE ON chat_messages FOR EACH ROW EXECUTE FUNCTION elsewhere();
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (9000, 1, 'incoming', 'moved');
UPDATE chat_messages SET content = 'again' WHERE id = 9000;
DROP TRIGGER zzzz ON chat_messages;
DROP TRIGGER reply ON chat_messages;
SELECT id, unread_count, last_message_preview, chat.recount() FROM conversations ORDER BY id;
-- What changes nothing tells nothing
SELECT max(id) AS last FROM chat.events \gset
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (9000, 1, 'incoming', 'again') ON CONFLICT (id) DO NOTHING;
INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (9000, 1, 'incoming', 'again') ON CONFLICT (id) DO UPDATE SET content = EXCLUDED.content;
UPDATE conversations SET status = status;
SELECT count(*) FROM chat.events WHERE id > :last;
-- A flush that runs into a time limit leaves nothing behind
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON conversations FOR EACH ROW EXECUTE FUNCTION slow();
SET statement_timeout = 500;
BEGIN;
SAVEPOINT before;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'slow');
ROLLBACK TO before;
RESET statement_timeout;
COMMIT;
DROP TRIGGER slow ON conversations;
SELECT chat.recount(), count(*) FROM chat.events WHERE id > :last;
-- Tables that change between two statements of a transaction
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'before');
ALTER TABLE chat_messages DROP COLUMN media_url;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (2, 'incoming', 'after');
ALTER TABLE chat_messages RENAME t TO renamed;
UPDATE chat_messages SET content = content || '!', renamed = 'yes' WHERE content IN ('before', 'after');
COMMIT;
SELECT event, payload::jsonb -> 'content', payload::jsonb ? 'mediaUrl', payload::jsonb ->> 'renamed' FROM chat.events WHERE id > :last AND topic = 'conversation:2' ORDER BY id;
BEGIN;
ALTER TABLE conversations DROP CONSTRAINT conversations_pkey CASCADE;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'y');
ROLLBACK;
BEGIN;
ALTER TABLE chat_messages DISABLE TRIGGER zz_chat_realtime_flush;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'y');
COMMIT;
-- Names in front of ours
CREATE FUNCTION public.equal(bigint, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'public.='; END $$;
CREATE OPERATOR public.= (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = public.equal);
CREATE FUNCTION public.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'public.='; END $$;
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.equal);
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'public.now'; END $$;
CREATE FUNCTION public.to_jsonb(anyelement) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE 'public.to_jsonb'; END $$;
SELECT format('CREATE TEMP TABLE %I (x int)', n) FROM unnest('{attachment,event,consumer,pg_class,pg_attribute,pg_roles,pg_proc,pg_trigger,conversations,chat_messages}'::text[]) n \gexec
SET search_path = pg_temp, public, pg_catalog;
INSERT INTO public.chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'hidden');
UPDATE public.chat_messages SET status = 'read' WHERE content OPERATOR(pg_catalog.=) 'hidden';
DELETE FROM public.chat_messages WHERE content OPERATOR(pg_catalog.=) 'hidden';
SELECT chat.save_message('1', '{"content": "q"}') ->> 'content', chat.list_messages('1') IS NOT NULL, chat.list_conversations(:ann) IS NOT NULL, chat.mark_read('1') > 0,
       chat.may_join('presence:1', :ann, true), chat.recount(), chat.status() IS NOT NULL;
SELECT chat.create_api_key(:ann, 'k') ->> 'key' AS key, chat.create_webhook(:ann, 'https://example.com', '{*}') ->> 'id' AS hook \gset
SELECT (chat.authenticate(:'key')).code, chat.list_api_keys(:ann) IS NOT NULL, chat.list_webhooks(:ann) IS NOT NULL, chat.enable_webhook(:'hook'), chat.delete_webhook(:'hook');
SELECT count(*) FROM chat.webhook_terms(ARRAY[:ann, NULL], ARRAY['1', '1'], ARRAY[1]);
SELECT chat.webhook_last();
SELECT count(*) FROM chat.events_since('conversation:1', 0, 5);
SELECT bool_and(action NOT LIKE 'put off%') IS NOT FALSE FROM chat.maintain();
SELECT action FROM chat.setup();
\set QUIET on
\c :home
DROP DATABASE regress_surroundings;
