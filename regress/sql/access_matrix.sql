-- Who may do what: role × object × operation × expected result, run by one loop. In a database of its own, with
-- Supabase's roles and what is needed of its schemas auth and realtime; claims are set as PostgREST sets them.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator;
CREATE ROLE regress_nobody;
CREATE ROLE regress_backend;
CREATE ROLE regress_sidecar;
CREATE DATABASE regress_access;
\c regress_access
SET client_min_messages = warning;
GRANT CREATE ON SCHEMA public TO PUBLIC; -- as careless as it was before PostgreSQL 15
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;

CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
CREATE TABLE auth.users (id uuid PRIMARY KEY);
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT COALESCE(nullif(current_setting('request.jwt.claim.sub', true), ''),
                    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid $$;
CREATE SCHEMA realtime;
GRANT USAGE ON SCHEMA realtime TO anon, authenticated, service_role;
CREATE TABLE realtime.messages (
    topic text NOT NULL, extension text NOT NULL, payload jsonb, event text, private boolean DEFAULT false,
    updated_at timestamp NOT NULL DEFAULT now(), inserted_at timestamp NOT NULL DEFAULT now(),
    id uuid NOT NULL DEFAULT gen_random_uuid(), PRIMARY KEY (id, inserted_at)
) PARTITION BY RANGE (inserted_at);
CREATE TABLE realtime.messages_now PARTITION OF realtime.messages DEFAULT;
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON realtime.messages TO anon, authenticated, service_role;
CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
SET client_min_messages = error; -- a warning about wal_level
CREATE PUBLICATION supabase_realtime;
SET client_min_messages = warning;
CREATE TABLE before AS SELECT p.oid, 'realtime'::regnamespace AS n FROM pg_class p WHERE p.relnamespace = 'realtime'::regnamespace
    UNION SELECT p.oid, 'realtime'::regnamespace FROM pg_proc p WHERE p.pronamespace = 'realtime'::regnamespace;

-- A second schema where conversations were there before, owned by accounts and assigned to agents.
CREATE SCHEMA legacy;
GRANT USAGE ON SCHEMA legacy TO anon, authenticated, service_role;
CREATE TABLE legacy.accounts (id uuid PRIMARY KEY, owner_user_id uuid NOT NULL REFERENCES auth.users);
CREATE TABLE legacy.agents (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users);
CREATE TABLE legacy.conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id uuid NOT NULL REFERENCES legacy.accounts,
    assigned_agent_id uuid REFERENCES legacy.agents, contact_jid text NOT NULL, conversation_id text);
CREATE TABLE legacy.chat_api_keys (id uuid PRIMARY KEY, user_id uuid, name text, key_hash text, key_prefix text);
GRANT ALL ON legacy.chat_api_keys TO anon, authenticated, service_role;
GRANT SELECT ON legacy.accounts, legacy.agents, legacy.conversations TO authenticated, service_role;
CREATE EXTENSION chat_realtime;
\set QUIET off
SELECT * FROM chat.setup() WHERE action !~ 'index|trigger';
SELECT * FROM chat.setup();
SELECT object, action FROM chat.setup('legacy') WHERE object ~ 'keys|conversations|messages' AND action !~ 'index|trigger' ORDER BY 1, 2;
SELECT * FROM chat.setup('legacy');
\set QUIET on
SELECT chat.grant_backend('regress_backend'), chat.grant_sidecar('regress_sidecar') \g /dev/null
\set QUIET off
-- Nothing was made in schema realtime but policies; and in no table's policy is anything of the extension, but there.
SELECT count(*) AS made_in_realtime FROM (SELECT oid FROM pg_class WHERE relnamespace = 'realtime'::regnamespace
    UNION SELECT oid FROM pg_proc WHERE pronamespace = 'realtime'::regnamespace) o WHERE o.oid NOT IN (SELECT b.oid FROM before b);
SELECT polrelid::regclass AS "table", polname, polcmd, polroles::regrole[] AS roles, pg_get_expr(polqual, polrelid) AS using
  FROM pg_policy WHERE polrelid::regclass::text !~ '^realtime' ORDER BY 1, 2;
SELECT polname, polcmd, polroles::regrole[] AS roles, COALESCE(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) AS condition
  FROM pg_policy WHERE polrelid = 'realtime.messages'::regclass ORDER BY 1;
SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime' ORDER BY 1, 2;

\set QUIET on
-- Ann owns conversations 1 (assigned to Zoe) and 2, Bob owns 3.
INSERT INTO auth.users SELECT format('%s0000000-0000-4000-8000-000000000000', u)::uuid FROM unnest('{a,b,c}'::text[]) u;
INSERT INTO conversations (id, user_id, contact_jid, assigned_agent_id) VALUES
    (1, 'a0000000-0000-4000-8000-000000000000', '1@s.whatsapp.net', 'c0000000-0000-4000-8000-000000000000'),
    (2, 'a0000000-0000-4000-8000-000000000000', '2@s.whatsapp.net', NULL),
    (3, 'b0000000-0000-4000-8000-000000000000', '3@s.whatsapp.net', NULL);
ALTER TABLE conversations ALTER id RESTART 100;
INSERT INTO chat_messages (conversation_id, direction, content) SELECT c, 'incoming', 'hi' FROM generate_series(1, 3) c;
INSERT INTO chat_api_keys (user_id, name, key_hash, key_prefix)
    SELECT id, 'key', 'hash of ' || id, 'csk_' FROM auth.users WHERE id < 'c0000000-0000-4000-8000-000000000000';
INSERT INTO chat_external_webhooks (user_id, url, events, secret)
    SELECT id, 'https://example.com/', '{*}', 'secret' FROM auth.users WHERE id < 'c0000000-0000-4000-8000-000000000000';
INSERT INTO legacy.accounts VALUES ('aaaaaaaa-0000-4000-8000-00000000000a', 'a0000000-0000-4000-8000-000000000000'),
    ('aaaaaaaa-0000-4000-8000-00000000000b', 'b0000000-0000-4000-8000-000000000000');
INSERT INTO legacy.agents VALUES ('eeeeeeee-0000-4000-8000-00000000000c', 'c0000000-0000-4000-8000-000000000000');
INSERT INTO legacy.conversations (id, account_id, assigned_agent_id, contact_jid) VALUES
    ('11111111-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-00000000000a', 'eeeeeeee-0000-4000-8000-00000000000c', '1'),
    ('11111111-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-00000000000a', NULL, '2'),
    ('11111111-0000-4000-8000-000000000003', 'aaaaaaaa-0000-4000-8000-00000000000b', NULL, '3');
INSERT INTO legacy.chat_messages (conversation_id, direction, content) SELECT id, 'incoming', 'hi' FROM legacy.conversations;

CREATE TABLE actor (name text PRIMARY KEY, role name, sub text);
INSERT INTO actor VALUES ('anon', 'anon', NULL), ('ann', 'authenticated', 'a0000000-0000-4000-8000-000000000000'),
    ('bob', 'authenticated', 'b0000000-0000-4000-8000-000000000000'), ('zoe', 'authenticated', 'c0000000-0000-4000-8000-000000000000'),
    ('service', 'service_role', NULL), ('nobody', 'regress_nobody', 'a0000000-0000-4000-8000-000000000000');

-- What comes of a statement as an actor, undone afterwards: the number of rows (of a query that returns one number,
-- that number), "denied" (no privilege), "policy" (row-level security), or an SQLSTATE.
CREATE FUNCTION attempt(actor actor, sql text, topic text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    n bigint;
BEGIN
    PERFORM set_config('request.jwt.claims', jsonb_strip_nulls(jsonb_build_object('sub', actor.sub, 'role', actor.role))::text, true),
            set_config('request.jwt.claim.sub', '', true), set_config('realtime.topic', topic, true),
            set_config('role', actor.role, true);
    IF sql ~ '^SELECT (count|chat)' THEN
        EXECUTE sql INTO result;
    ELSE
        EXECUTE sql;
        GET DIAGNOSTICS n = ROW_COUNT;
        result := n;
    END IF;
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(result, 'NULL');
EXCEPTION
    WHEN SQLSTATE 'UNDO1' THEN RETURN SQLERRM;
    WHEN insufficient_privilege THEN
        RETURN CASE WHEN SQLERRM ~ 'row-level security' THEN 'policy' ELSE 'denied' END;
    WHEN others THEN RETURN SQLSTATE;
END $$;

CREATE TABLE expected (n int GENERATED ALWAYS AS IDENTITY, object text, operation text, sql text, topic text DEFAULT '',
                       anon text, ann text, bob text, zoe text, service text, nobody text);
INSERT INTO expected (object, operation, sql, anon, ann, bob, zoe, service, nobody) VALUES
('conversations', 'SELECT',         'SELECT count(*) FROM conversations',                                    'denied', '2', '1', '1', '3', 'denied'),
('conversations', 'INSERT own',     'INSERT INTO conversations (user_id, contact_jid) VALUES (COALESCE(auth.uid(), ''a0000000-0000-4000-8000-000000000000''), ''x'')', 'denied', '1', '1', '1', '1', 'denied'),
('conversations', 'INSERT foreign', 'INSERT INTO conversations (user_id, contact_jid) VALUES (''b0000000-0000-4000-8000-000000000000'', ''x'')', 'denied', 'policy', '1', 'policy', '1', 'denied'),
('conversations', 'UPDATE',         'UPDATE conversations SET contact_name = ''x''',                          'denied', '2', '1', '0', '3', 'denied'),
('conversations', 'give away',      'UPDATE conversations SET user_id = ''b0000000-0000-4000-8000-000000000000'' WHERE id = 1', 'denied', 'policy', '0', '0', '1', 'denied'),
('conversations', 'DELETE',         'DELETE FROM conversations',                                             'denied', '2', '1', '0', '3', 'denied'),
('conversations', 'TRUNCATE',       'TRUNCATE conversations CASCADE',                                        'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_messages', 'SELECT',         'SELECT count(*) FROM chat_messages',                                    'denied', '2', '1', '1', '3', 'denied'),
('chat_messages', 'INSERT 1',       'INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, ''outgoing'', ''x'')', 'denied', '1', 'policy', '1', '1', 'denied'),
('chat_messages', 'INSERT 1 as another agent', 'INSERT INTO chat_messages (conversation_id, direction, content, sender_agent_id) VALUES (1, ''outgoing'', ''x'', ''a0000000-0000-4000-8000-000000000000'')', 'denied', '1', 'policy', 'policy', '1', 'denied'),
('chat_messages', 'INSERT 1 as agent Zoe', 'INSERT INTO chat_messages (conversation_id, direction, content, sender_agent_id) VALUES (1, ''outgoing'', ''x'', ''c0000000-0000-4000-8000-000000000000'')', 'denied', '1', 'policy', '1', '1', 'denied'),
('chat_messages', 'INSERT 3',       'INSERT INTO chat_messages (conversation_id, direction, content) VALUES (3, ''outgoing'', ''x'')', 'denied', 'policy', '1', 'policy', '1', 'denied'),
('chat_messages', 'UPDATE',         'UPDATE chat_messages SET content = ''x''',                               'denied', '2', '1', '0', '3', 'denied'),
('chat_messages', 'move to 3',      'UPDATE chat_messages SET conversation_id = 3 WHERE conversation_id = 1', 'denied', 'policy', '0', '0', '1', 'denied'),
('chat_messages', 'DELETE',         'DELETE FROM chat_messages',                                             'denied', '2', '1', '0', '3', 'denied'),
('chat_messages', 'TRUNCATE',       'TRUNCATE chat_messages',                                                'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_api_keys', 'SELECT',         'SELECT count(id) FROM chat_api_keys',                                   'denied', '1', '1', '0', '2', 'denied'),
('chat_api_keys', 'SELECT key_hash', 'SELECT count(key_hash) FROM chat_api_keys',                            'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_api_keys', 'WHERE key_hash', 'SELECT count(id) FROM chat_api_keys WHERE key_hash > ''a''',            'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_api_keys', 'INSERT',         'INSERT INTO chat_api_keys (user_id, name, key_hash, key_prefix) VALUES (auth.uid(), ''x'', ''x'', ''x'')', 'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_api_keys', 'UPDATE',         'UPDATE chat_api_keys SET name = ''x''',                                 'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_api_keys', 'DELETE',         'DELETE FROM chat_api_keys',                                            'denied', '1', '1', '0', '2', 'denied'),
('chat_api_keys', 'DELETE … RETURNING', 'DELETE FROM chat_api_keys RETURNING key_hash',                     'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_external_webhooks', 'SELECT', 'SELECT count(url) FROM chat_external_webhooks',                        'denied', '1', '1', '0', '2', 'denied'),
('chat_external_webhooks', 'SELECT secret', 'SELECT count(secret) FROM chat_external_webhooks',              'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_external_webhooks', 'SELECT old_secret', 'SELECT count(old_secret) FROM chat_external_webhooks',      'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_external_webhooks', 'INSERT', 'INSERT INTO chat_external_webhooks (user_id, url, events, secret) VALUES (auth.uid(), ''x'', ''{*}'', ''x'')', 'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_external_webhooks', 'UPDATE', 'UPDATE chat_external_webhooks SET url = ''x''',                       'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat_external_webhooks', 'DELETE', 'DELETE FROM chat_external_webhooks',                                  'denied', '1', '1', '0', '2', 'denied'),
('legacy.chat_messages', 'SELECT',  'SELECT count(*) FROM legacy.chat_messages',                             'denied', '2', '1', '1', '3', 'denied'),
('legacy.chat_messages', 'INSERT 1', 'INSERT INTO legacy.chat_messages (conversation_id, direction, content) VALUES (''11111111-0000-4000-8000-000000000001'', ''outgoing'', ''x'')', 'denied', '1', 'policy', '1', '1', 'denied'),
('legacy.chat_messages', 'UPDATE',  'UPDATE legacy.chat_messages SET content = ''x''',                       'denied', '2', '1', '0', '3', 'denied'),
('legacy.chat_messages', 'DELETE',  'DELETE FROM legacy.chat_messages',                                      'denied', '2', '1', '0', '3', 'denied'),
('legacy.chat_api_keys', 'SELECT, no row-level security', 'SELECT count(id) FROM legacy.chat_api_keys',      'denied', 'denied', 'denied', 'denied', '0', 'denied'),
('legacy.chat_api_keys', 'SELECT key_hash', 'SELECT count(key_hash) FROM legacy.chat_api_keys',              'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
-- Functions.
('chat.events_since', 'conversation:1', 'SELECT count(*) FROM chat.events_since(''conversation:1'', 0)',     'denied', '1', 'denied', '1', '1', 'denied'),
('chat.events_since', 'inbox of ann',   'SELECT count(*) > 0 FROM chat.events_since(''user:a0000000-0000-4000-8000-000000000000:inbox'', 0)', 'denied', 'true', 'denied', 'denied', 'true', 'denied'),
('chat.events_since', 'presence:1',     'SELECT count(*) FROM chat.events_since(''presence:1'', 0)',         'denied', '0', 'denied', '0', '0', 'denied'),
('chat.events_since', 'other topic',    'SELECT count(*) FROM chat.events_since(''x'', 0)',                  'denied', 'denied', 'denied', 'denied', '0', 'denied'),
('chat.can_join', 'conversation:1', 'SELECT chat.can_join(''conversation:1'')',                              'false', 'true', 'false', 'true', 'false', 'true'),
('chat.can_join', 'foreign claims', 'SELECT chat.can_join(''conversation:1'', ''{"role": "service_role"}''::jsonb)', 'denied', 'denied', 'denied', 'denied', 'true', 'denied'),
('chat.current_user_id', 'EXECUTE', 'SELECT chat.current_user_id() IS NOT NULL',                             'false', 'true', 'true', 'true', 'false', 'true'),
('chat.realtime_provider', 'EXECUTE', 'SELECT chat.realtime_provider()',                                     'supabase', 'supabase', 'supabase', 'supabase', 'supabase', 'supabase'),
('chat.status', 'EXECUTE',          'SELECT chat.status() IS NULL',                                          'denied', 'denied', 'denied', 'denied', 'false', 'denied'),
('chat.emit', 'EXECUTE',            'SELECT chat.emit(''t'', ''e'', NULL, NULL, NULL, ''{}'')',              'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat.set_rollout', 'EXECUTE',     'SELECT chat.set_rollout(1)',                                            'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat.maintain', 'EXECUTE',        'SELECT count(*) FROM chat.maintain()',                                  'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat.setup', 'EXECUTE',           'SELECT count(*) FROM chat.setup()',                                     'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat.grant_backend', 'EXECUTE',   'SELECT chat.grant_backend(''anon'')',                                   'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('chat.message_after', 'as trigger', 'CREATE TEMP TABLE t (); CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION chat.message_after(''1'')', 'denied', 'denied', 'denied', 'denied', 'denied', 'denied'),
('schema chat', 'CREATE',           'CREATE TABLE chat.x ()',                                                'denied', 'denied', 'denied', 'denied', 'denied', 'denied');
-- Joining a private channel as Realtime checks it: read = a row of the topic is visible, write = one may be inserted;
-- clients broadcast on presence:* alone, and track wherever they may read but in an inbox.
CREATE TABLE topic (topic text PRIMARY KEY, reads text[], broadcasts text[], tracks text[]);
INSERT INTO topic VALUES
    ('conversation:1', '{1,0,1}', '{policy,policy,policy}', '{1,policy,1}'),
    ('conversation:2', '{1,0,0}', '{policy,policy,policy}', '{1,policy,policy}'),
    ('conversation:3', '{0,1,0}', '{policy,policy,policy}', '{policy,1,policy}'),
    ('presence:1', '{1,0,1}', '{1,policy,1}', '{1,policy,1}'),
    ('presence:3', '{0,1,0}', '{policy,1,policy}', '{policy,1,policy}'),
    ('conversation:11111111-0000-4000-8000-000000000001', '{1,0,1}', '{policy,policy,policy}', '{1,policy,1}'),
    ('presence:11111111-0000-4000-8000-000000000001', '{1,0,1}', '{1,policy,1}', '{1,policy,1}'),
    ('conversation:11111111-0000-4000-8000-000000000003', '{0,1,0}', '{policy,policy,policy}', '{policy,1,policy}'),
    ('user:a0000000-0000-4000-8000-000000000000:inbox', '{1,0,0}', '{policy,policy,policy}', '{policy,policy,policy}'),
    ('user:c0000000-0000-4000-8000-000000000000:inbox', '{0,0,1}', '{policy,policy,policy}', '{policy,policy,policy}');
INSERT INTO topic SELECT t, '{0,0,0}', '{policy,policy,policy}', '{policy,policy,policy}'
  FROM unnest(ARRAY['conversation:4', 'conversation:1 ', 'presence:01', 'conversation:01:x', 'conversation:1; DROP TABLE x',
    'conversation:99999999999999999999999', 'presence:', 'canary:1', '', 'x']) t;
INSERT INTO expected (object, operation, sql, topic, anon, ann, bob, zoe, service, nobody)
SELECT 'topic ' || t.topic, o.operation, o.sql, t.topic, o.anon, a[1], a[2], a[3], o.service, 'denied'
  FROM topic t
 CROSS JOIN LATERAL (VALUES
    ('read', 'SELECT count(*) FROM realtime.messages', '0', (SELECT 2 * count(*) FROM topic)::text, ARRAY(SELECT (2 * r::int)::text FROM unnest(t.reads) r)),
    ('broadcast', format('INSERT INTO realtime.messages (topic, extension) VALUES (%L, ''broadcast'')', t.topic), 'policy', '1', t.broadcasts),
    ('track', format('INSERT INTO realtime.messages (topic, extension) VALUES (%L, ''presence'')', t.topic), 'policy', '1', t.tracks)) o (operation, sql, anon, service, a);
-- Who may join one topic can do nothing with the rows of the others, its own included.
INSERT INTO expected (object, operation, sql, topic, anon, ann, bob, zoe, service, nobody)
SELECT 'topic ' || j || ' joined', format('INSERT %s for %s', e, t.topic),
       format('INSERT INTO realtime.messages (topic, extension) VALUES (%L, %L)', t.topic, e), j, 'policy', 'policy', 'policy', 'policy', '1', 'denied'
  FROM topic t, unnest(ARRAY['presence:1', 'conversation:1', '']) j, unnest(ARRAY['broadcast', 'presence']) e WHERE t.topic <> j;
INSERT INTO expected (object, operation, sql, topic, anon, ann, bob, zoe, service, nobody)
SELECT 'topic ' || j, 'write, other extension', format('INSERT INTO realtime.messages (topic, extension) VALUES (%L, ''postgres_changes'')', j),
       j, 'policy', 'policy', 'policy', 'policy', '1', 'denied' FROM unnest(ARRAY['conversation:1', 'presence:1']) j;
INSERT INTO realtime.messages (topic, extension) SELECT t.topic, e FROM topic t, unnest(ARRAY['broadcast', 'presence']) e;
\set QUIET off

-- One loop over all of it; only what is not as expected shows.
SELECT e.object, e.operation, a.name AS actor, to_jsonb(e) ->> a.name AS expected, r.got
  FROM expected e CROSS JOIN actor a
 CROSS JOIN LATERAL (SELECT attempt(a, e.sql, e.topic) AS got) r
 WHERE r.got IS DISTINCT FROM to_jsonb(e) ->> a.name
 ORDER BY e.n, a.name;
SELECT count(*) * (SELECT count(*) FROM actor) AS tried FROM expected;

-- The extension's own tables and sequences are closed to everybody, also to the backend and the sidecar.
INSERT INTO actor VALUES ('backend', 'regress_backend', NULL), ('sidecar', 'regress_sidecar', NULL);
SELECT r.got, count(*) > 500 AS often
  FROM pg_class c
 CROSS JOIN unnest(CASE WHEN c.relkind = 'S' THEN ARRAY['SELECT last_value FROM %s', 'SELECT nextval(%2$L)', 'SELECT setval(%2$L, 1)']
                        ELSE ARRAY['SELECT 1 FROM %s', 'INSERT INTO %s DEFAULT VALUES', 'DELETE FROM %s', 'TRUNCATE %s', 'LOCK TABLE %s'] END) s
 CROSS JOIN actor a
 CROSS JOIN LATERAL (SELECT attempt(a, format(s, c.oid::regclass, c.oid::regclass)) AS got) r
 WHERE c.relnamespace = 'chat'::regnamespace AND c.relkind IN ('r', 'p', 'S')
 GROUP BY 1;

-- Every function that somebody but its owner may execute, and who: a new one shows here.
\pset format unaligned
SELECT p.oid::regprocedure AS function,
       string_agg(CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, ', ' ORDER BY x.grantee::regrole::text) AS roles
  FROM pg_proc p CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) x
 WHERE p.pronamespace = 'chat'::regnamespace AND x.grantee <> p.proowner
 GROUP BY p.oid ORDER BY p.oid::regprocedure::text COLLATE "C";
\pset format aligned
-- Those that run with their owner's rights have a safe search_path.
SELECT p.oid::regprocedure AS unsafe FROM pg_proc p
 WHERE p.pronamespace = 'chat'::regnamespace AND p.prosecdef
   AND NOT COALESCE(p.proconfig @> '{"search_path=pg_catalog, pg_temp"}', false);

-- Where an index is meant whatever statistics say, costs say nothing, and what costs much would be compiled.
SELECT p.oid::regprocedure AS compiled FROM pg_proc p
 WHERE p.pronamespace = 'chat'::regnamespace AND p.proconfig @> '{enable_seqscan=off}' AND NOT p.proconfig @> '{jit=off}';

-- Who may insert a message needs no right on counters or log.
REVOKE ALL ON conversations, chat_messages FROM authenticated;
GRANT SELECT (id, user_id, assigned_agent_id) ON conversations TO authenticated; -- what the policies look at
GRANT INSERT (conversation_id, direction, content) ON chat_messages TO authenticated;
SELECT unread_count, (SELECT max(id) FROM chat.events) AS last FROM conversations WHERE id = 1 \gset
SET request.jwt.claims = '{"sub": "a0000000-0000-4000-8000-000000000000"}';
SET ROLE authenticated;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'counted');
UPDATE conversations SET unread_count = 7;
RESET ROLE;
RESET request.jwt.claims;
SELECT unread_count - :unread_count AS counted, last_message_preview FROM conversations WHERE id = 1;
SELECT event FROM chat.events WHERE id > :last ORDER BY id;

-- Policies of an earlier version are named, and replaced by setup; one that somebody changed is left.
ALTER POLICY chat_realtime_read ON realtime.messages
    USING (extension IN ('broadcast', 'presence') AND (SELECT chat.can_join((SELECT realtime.topic()))));
ALTER POLICY chat_realtime_write ON realtime.messages
    WITH CHECK (extension IN ('broadcast', 'presence') AND (SELECT chat.can_join((SELECT realtime.topic()), true)));
SELECT h FROM jsonb_array_elements_text(chat.status() -> 'hints') h WHERE h ~ 'policy';
SELECT * FROM chat.setup();
SELECT name, state FROM chat.channel_policy_states() ORDER BY name;
SELECT attempt(a, 'SELECT count(*) FROM realtime.messages', 'presence:1') AS read,
       attempt(a, $$INSERT INTO realtime.messages (topic, extension) VALUES ('conversation:1', 'broadcast')$$, 'conversation:1') AS forged
  FROM actor a WHERE name = 'ann';
SELECT count(*) AS hints FROM jsonb_array_elements_text(chat.status() -> 'hints') h WHERE h ~ 'policy';
ALTER POLICY chat_realtime_write ON realtime.messages WITH CHECK (topic = (SELECT realtime.topic()) AND extension = 'presence' AND chat.can_join(topic));
SELECT * FROM chat.setup();
ALTER POLICY chat_realtime_read ON realtime.messages TO authenticated, anon;
SELECT name, state FROM chat.channel_policy_states() ORDER BY name;
DROP POLICY chat_realtime_write ON realtime.messages;
ALTER POLICY chat_realtime_read ON realtime.messages TO authenticated;
SELECT * FROM chat.setup();

-- Whatever is wrong with a table, can_join answers.
ALTER TABLE legacy.agents RENAME user_id TO agent_user_id;
SELECT attempt(a, 'SELECT chat.can_join(''conversation:11111111-0000-4000-8000-000000000001'')') AS own,
       attempt(a, 'SELECT count(*) FROM realtime.messages', 'presence:11111111-0000-4000-8000-000000000001') AS policy,
       chat.can_join('conversation:11111111-0000-4000-8000-000000000001', jsonb_build_object('sub', a.sub)) AS endpoint
  FROM actor a WHERE name = 'ann';
ALTER TABLE legacy.agents RENAME agent_user_id TO user_id;
SELECT chat.can_join('conversation:11111111-0000-4000-8000-000000000001', jsonb_build_object('sub', a.sub)) AS mended FROM actor a WHERE name = 'ann';

-- The policies on realtime.messages go with the extension, those of the tables stay, and so does all data.
\set VERBOSITY terse
DROP EXTENSION chat_realtime;
\set VERBOSITY default
DROP EXTENSION chat_realtime CASCADE;
SELECT count(*) AS left_in_realtime FROM pg_policy WHERE polrelid = 'realtime.messages'::regclass;
SELECT count(*) AS policies FROM pg_policy WHERE polrelid IN ('conversations'::regclass, 'chat_messages'::regclass);
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid IN ('conversations'::regclass, 'chat_messages'::regclass) AND NOT tgisinternal;
GRANT SELECT ON conversations, chat_messages TO authenticated;
SELECT a.name, attempt(a, 'SELECT count(*) FROM conversations') AS conversations, attempt(a, 'SELECT count(*) FROM chat_messages') AS messages,
       attempt(a, 'INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, ''incoming'', ''x'')') AS insert,
       attempt(a, 'SELECT count(key_hash) FROM chat_api_keys') AS hashes
  FROM actor a WHERE a.role = 'authenticated' ORDER BY 1;

\set QUIET on
\c :home
DROP DATABASE regress_access;
DROP ROLE anon, authenticated, service_role, authenticator, regress_nobody, regress_backend, regress_sidecar;
