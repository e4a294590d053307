-- Plans of the API's statements are kept by each session: what they rest on may change, and they must not pile up.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
CREATE DATABASE regress_kept_plans;
\c regress_kept_plans
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SET chat_realtime.rate_limits = off;
SELECT count(*) > 0 AS set_up FROM chat.setup();
\pset format unaligned
\pset tuples_only on
\pset null (null)
SELECT chat.create_conversation('aaaaaaaa-0000-4000-8000-000000000001', '5511900000001@s.whatsapp.net', 'Ana') -> 'id' AS one,
       chat.create_conversation('aaaaaaaa-0000-4000-8000-000000000001', '5511900000002@s.whatsapp.net', 'Bia') -> 'id' AS two \gset
-- More often than PostgreSQL makes a plan for the values given.
CREATE FUNCTION save(text, text, times integer DEFAULT 7) RETURNS text LANGUAGE sql AS
    $$ SELECT max(chat.save_message($1, jsonb_build_object('content', $2)) ->> 'content') FROM generate_series(1, times) $$;
CREATE FUNCTION kept(pattern text) RETURNS bigint LANGUAGE sql AS
    $$ SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' AND ident LIKE pattern $$;
\set QUIET off

-- One plan for the same statement, whatever its values
SELECT save(:'one', 'first'), save(:'two', 'other');
SELECT kept('INSERT INTO%chat_messages%');

-- A column more, one of another type, another owner: the next call follows
ALTER TABLE chat_messages ADD COLUMN note text DEFAULT 'noted';
ALTER TABLE chat_messages ALTER COLUMN message_id TYPE varchar(22);
SELECT save(:'one', 'second');
CREATE ROLE regress_plans_owner;
GRANT USAGE ON SCHEMA public TO regress_plans_owner;
ALTER TABLE chat_messages ALTER COLUMN note SET DEFAULT session_user || ' ' || current_user;
SELECT save(:'one', 'fourth');
ALTER TABLE conversations OWNER TO regress_plans_owner;
ALTER TABLE chat_messages OWNER TO regress_plans_owner;
SELECT save(:'one', 'fifth');
SELECT note = session_user || ' regress_plans_owner' FROM chat_messages WHERE content = 'fifth' GROUP BY 1;
ALTER TABLE chat_messages OWNER TO CURRENT_USER;
ALTER TABLE conversations OWNER TO CURRENT_USER;

-- A trigger of the table's that calls the API while a statement of the API runs, and one that fails
CREATE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.save_message(NEW.conversation_id::text, jsonb_build_object('content', 'answer to ' || NEW.content));
    RETURN NEW;
END $$;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refused: %', NEW.content;
END $$;
CREATE TRIGGER answer AFTER INSERT ON chat_messages FOR EACH ROW WHEN (NEW.content LIKE 'ask%') EXECUTE FUNCTION answer();
CREATE TRIGGER refuse BEFORE INSERT ON chat_messages FOR EACH ROW WHEN (NEW.content LIKE '%refuse%') EXECUTE FUNCTION refuse();
SELECT save(:'one', 'ask');
SELECT content, count(*) FROM chat_messages WHERE content LIKE '%ask%' GROUP BY content ORDER BY content;
\set VERBOSITY terse
SELECT save(:'one', 'ask and be refused');
SELECT save(:'one', 'refuse');
\set VERBOSITY default
SELECT save(:'one', 'after an error'), kept('INSERT INTO%chat_messages%');

-- 128 statements, one after the other and from within a trigger: no more than 64 of all kinds are kept
CREATE FUNCTION forms(prefix text) RETURNS SETOF jsonb LANGUAGE sql AS $$
    SELECT jsonb_object_agg(k, v) FROM generate_series(0, 127) n,
           LATERAL (SELECT 'content' AS k, to_jsonb(prefix || n) AS v UNION ALL
                    SELECT key, value FROM jsonb_each('{"mediaUrl": "https://media.example.com/1", "mediaFilename": "1", "mediaSizeBytes": 1,
                        "mediaDurationSeconds": 2, "senderAgentId": "aaaaaaaa-0000-4000-8000-000000000003", "senderBotId": 4, "metadata": {}}')
                        WITH ORDINALITY e (key, value, place) WHERE n & (1 << (place - 1)::integer) > 0) f
     GROUP BY n $$;
SELECT count(chat.save_message(:'one', f)) FROM forms('form ') f;
SELECT count(DISTINCT content) FROM chat_messages WHERE content LIKE 'form %';
SELECT kept('INSERT INTO%chat_messages%') BETWEEN 32 AND 64;
CREATE FUNCTION many() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chat.save_message(NEW.conversation_id::text, f) FROM forms('within ') f;
    RETURN NEW;
END $$;
CREATE TRIGGER many AFTER INSERT ON chat_messages FOR EACH ROW WHEN (NEW.content = 'many') EXECUTE FUNCTION many();
SELECT save(:'two', 'many', 2);
SELECT count(*) FROM chat_messages WHERE content LIKE 'within %';
SELECT kept('INSERT INTO%chat_messages%') <= 64;

-- Tables that are gone
DROP TABLE chat_messages CASCADE;
\set SHOW_CONTEXT never
SELECT save(:'one', 'nowhere', 1);
\set QUIET on
\c :home
DROP DATABASE regress_kept_plans;
DROP ROLE regress_plans_owner;
