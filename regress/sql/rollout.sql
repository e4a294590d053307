-- Moving users between Socket.IO and Realtime, and chat.status. In a database of its own.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE DATABASE regress_rollout;
\c regress_rollout
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
CREATE TABLE seen (percent int, users text[]);
\set QUIET off

-- Without a rollout there is only Realtime, and its health moves nobody.
SELECT chat.realtime_provider('ann'), chat.set_realtime_health(false), chat.realtime_provider('ann'), chat.realtime_provider();
SELECT chat.set_rollout(0);
SELECT chat.realtime_provider('u' || g), count(*) FROM generate_series(1, 1000) g GROUP BY 1;
SELECT chat.set_rollout(100);
SELECT chat.realtime_provider('u' || g), count(*) FROM generate_series(1, 1000) g GROUP BY 1;
-- Raising the percentage never moves anybody back, and moves about as many as it says.
DO $$
BEGIN
    FOR percent IN 0 .. 100 BY 10 LOOP
        PERFORM chat.set_rollout(percent);
        INSERT INTO seen SELECT percent, array_agg('u' || g) FROM generate_series(1, 1000) g
         WHERE chat.realtime_provider('u' || g) = 'supabase';
    END LOOP;
END $$;
SELECT bool_and(b.users @> a.users) AS monotone, bool_and(abs(cardinality(b.users) - 10 * b.percent) < 80) AS fair
  FROM seen a JOIN seen b ON b.percent = a.percent + 10 WHERE a.users IS NOT NULL;
-- The same users on every server.
SELECT g AS "user", chat.rollout_bucket(g) FROM unnest('{ann,bob,00000000-0000-4000-8000-000000000001}'::text[]) g;
-- Both ways; and back to Socket.IO while Realtime fails.
SELECT chat.set_rollout(50, both_ways => true);
SELECT chat.realtime_provider('ann'), chat.realtime_provider('bob');
SELECT chat.set_realtime_health(false) AS news, chat.set_realtime_health(false) AS again;
SELECT chat.realtime_provider('ann'), chat.realtime_provider('bob');
SELECT chat.set_rollout(50);
SELECT chat.realtime_provider('ann'), chat.realtime_provider('bob');
SELECT chat.set_realtime_health(true);
SELECT chat.realtime_provider('ann'), chat.realtime_provider('bob');
-- The caller's own.
SET request.jwt.claims = '{"sub": "ann"}';
SELECT chat.realtime_provider() = chat.realtime_provider('ann') AS own;
RESET request.jwt.claims;
SELECT chat.realtime_provider();
SELECT chat.set_rollout(101);
SELECT chat.set_rollout(NULL);
SELECT chat.set_rollout(1, NULL);
SELECT action, details FROM chat.audit_log ORDER BY id DESC LIMIT 1;

-- Status of an empty installation, and of one that is attached.
SELECT chat.status() -> 'hints';
SELECT count(*) > 10 AS set_up FROM chat.setup();
SELECT jsonb_object_keys(chat.status()) ORDER BY 1;
SELECT chat.status() - '{log,server,settings,attachments,version}'::text[];
SELECT a ->> 'conversations' AS conversations, a ->> 'messages' AS messages, a ->> 'apiKeys' AS keys, a #>> '{columns,owner,column}' AS owner
  FROM jsonb_array_elements(chat.status() -> 'attachments') a;
SELECT chat.consumer_acquire('realtime', 'a', 600000) IS NOT NULL AS leads;
INSERT INTO conversations (user_id, contact_jid) VALUES (gen_random_uuid(), '1@s.whatsapp.net');
SELECT c ->> 'name' AS name, c -> 'lag' AS lag, c -> 'led' AS led, (c ->> 'oldestUndeliveredSeconds')::float > 0 AS waiting
  FROM jsonb_array_elements(chat.status() -> 'consumers') c;
SELECT chat.consumer_acquire('webhooks', 'a', 0) IS NOT NULL AS leads, chat.arm();
SELECT chat.status() -> 'doorbell', chat.status() -> 'hints';
SELECT chat.disarm();
-- What is no longer as it was attached.
ALTER TABLE chat_messages DISABLE TRIGGER zz_chat_realtime_before;
ALTER TABLE chat_messages DROP COLUMN metadata;
GRANT SELECT ON chat_messages TO PUBLIC;
ALTER TABLE chat_messages DISABLE ROW LEVEL SECURITY;
SELECT jsonb_array_elements_text(chat.status() -> 'hints');
ALTER TABLE chat_messages DROP COLUMN direction;
SELECT jsonb_array_elements_text(chat.status() -> 'hints');

\set QUIET on
\c :home
DROP DATABASE regress_rollout;
