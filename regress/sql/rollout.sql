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
SELECT action, details FROM chat.audit_log ORDER BY id DESC LIMIT 3;
-- One user otherwise than the rollout says.
SELECT chat.set_provider('ann', 'supabase'), chat.set_provider('bob', 'socketio'), chat.set_provider('eve', 'both');
SELECT u, chat.realtime_provider(u) FROM unnest('{ann,bob,eve}'::text[]) u;
SELECT chat.set_realtime_health(false);
SELECT u, chat.realtime_provider(u) FROM unnest('{ann,bob,eve}'::text[]) u;
SELECT chat.set_realtime_health(true), chat.set_provider('ann', NULL), chat.set_provider('eve', NULL), chat.set_provider('bob', NULL), chat.set_provider('zoe', NULL);
SELECT u, chat.realtime_provider(u) FROM unnest('{ann,bob,eve}'::text[]) u;
SELECT action, object, details FROM chat.audit_log WHERE action LIKE 'provider.%' ORDER BY id;
SELECT chat.set_provider(NULL, 'both');
SELECT chat.set_provider('', 'both');
SELECT chat.set_provider(repeat('é', 101), 'both');
SELECT chat.set_provider('ann', 'pigeon');

-- Nobody is there to be told yet.
SELECT * FROM chat.provider_change;
SELECT topic, event, payload FROM chat.events ORDER BY id;
TRUNCATE chat.audit_log;

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

-- Whoever is served another way is told: owners and agents, by the user behind their column, each once for each of the two.
\c
SET client_min_messages = warning;
CREATE SCHEMA app;
CREATE TABLE app.accounts (id int PRIMARY KEY, owner_user_id text);
CREATE TABLE app.agents (id int PRIMARY KEY, user_id text);
CREATE TABLE app.conversations (id bigint PRIMARY KEY, account_id int, contact_jid text, assigned_agent_id int, status text, unread_count int);
CREATE TABLE app.messages (id bigint PRIMARY KEY, conversation_id bigint, content text, direction text, status text, created_at timestamptz DEFAULT now());
SELECT count(*) > 0 AS attached FROM chat.attach('app.conversations', 'app.messages', '{"owner": {"column": "account_id", "table": "app.accounts", "key": "id", "user": "owner_user_id"},
    "agent": {"column": "assigned_agent_id", "table": "app.agents", "key": "id", "user": "user_id"}}');
INSERT INTO app.accounts SELECT g, 'owner' || g FROM generate_series(1, 700) g;
INSERT INTO app.accounts VALUES (0, NULL);
INSERT INTO app.agents SELECT g, 'agent' || g FROM generate_series(1, 30) g;
CREATE VIEW told AS SELECT v.id, v.topic, v.payload::jsonb ->> 'provider' AS provider FROM chat.events v WHERE v.event = 'provider.changed';
CREATE TABLE told_up_to AS SELECT COALESCE(max(id), 0) AS id FROM told;
CREATE FUNCTION right_ones(percent int, both_ways bool, healthy bool) RETURNS TABLE (told bigint, wrong bigint, missing bigint) LANGUAGE sql AS
$$
    WITH users AS (SELECT owner_user_id AS u FROM app.accounts WHERE owner_user_id IS NOT NULL UNION ALL SELECT user_id FROM app.agents),
         was AS (SELECT u, 'user:' || u || ':inbox' AS topic, chat.provider_under(u, $1, $2, $3) AS before, chat.realtime_provider(u) AS after FROM users),
         news AS (SELECT * FROM told WHERE id > (SELECT max(id) FROM told_up_to))
    SELECT (SELECT count(*) FROM news), (SELECT count(*) FROM news n LEFT JOIN was w ON w.topic = n.topic AND w.after = n.provider AND w.before <> w.after WHERE w.u IS NULL),
           (SELECT count(*) FROM was w WHERE w.before <> w.after AND NOT EXISTS (SELECT FROM news n WHERE n.topic = w.topic));
$$;
CREATE PROCEDURE tell_all() LANGUAGE plpgsql AS $$
BEGIN
    WHILE EXISTS (SELECT FROM chat.provider_change) LOOP
        PERFORM chat.maintain();
    END LOOP;
END $$;
SELECT chat.set_rollout(0);
CALL tell_all();
INSERT INTO told_up_to SELECT max(id) FROM told;
SELECT chat.set_rollout(20);
CALL tell_all();
SELECT told BETWEEN 90 AND 200 AS some, wrong, missing FROM right_ones(0, false, true);
INSERT INTO told_up_to SELECT max(id) FROM told;
SELECT chat.set_rollout(20);
SELECT * FROM right_ones(20, false, true);
SELECT chat.set_rollout(20, both_ways => true);
CALL tell_all();
SELECT told > 0 AS some, wrong, missing FROM right_ones(20, false, true);
INSERT INTO told_up_to SELECT max(id) FROM told;
-- Both ways they stay when Realtime fails; alone they do not.
SELECT chat.set_realtime_health(false), chat.set_realtime_health(true);
CALL tell_all();
SELECT * FROM right_ones(20, true, true);
SELECT chat.set_rollout(60);
CALL tell_all();
INSERT INTO told_up_to SELECT max(id) FROM told;
SELECT chat.set_realtime_health(false);
CALL tell_all();
SELECT told > 0 AS some, wrong, missing FROM right_ones(60, false, true);
INSERT INTO told_up_to SELECT max(id) FROM told;
-- Only whoever leads says so.
SELECT chat.set_realtime_health(true, c.epoch - 1) AS stale, chat.set_realtime_health(true, c.epoch) AS leads FROM chat.consumer c WHERE name = 'realtime';
CALL tell_all();
SELECT told > 0 AS some, wrong, missing FROM right_ones(60, false, false);
INSERT INTO told_up_to SELECT max(id) FROM told;
-- A walk goes on where it was.
INSERT INTO chat.provider_change (percent, both_ways, healthy, attachment, agents, done_up_to) SELECT 0, false, true, max(id), false, 'owner5' FROM chat.attachment;
CALL tell_all();
SELECT count(*) > 0 AS some, bool_and(topic LIKE 'user:agent%' OR topic > 'user:owner5') AS later FROM told WHERE id > (SELECT max(id) FROM told_up_to);
SELECT action, details FROM chat.audit_log WHERE action LIKE 'r%' ORDER BY id;
SELECT chat.set_provider('owner1', 'both');
SELECT topic, provider FROM told ORDER BY id DESC LIMIT 1;
SELECT name, labels, value FROM chat.sidecar_gauges() WHERE name LIKE '%rollout%';
-- A table that the mapping names and that is gone has no users.
DROP TABLE app.agents;
SELECT chat.set_rollout(100);
CALL tell_all();
SELECT count(*) FROM chat.provider_change;

\set QUIET on
\c :home
DROP DATABASE regress_rollout;
