-- API keys: making, using, rotating and revoking them; who may; tables that were there before.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE DATABASE regress_keys;
\c regress_keys
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM chat.setup() \gset setup_
\set u1 '''11111111-1111-1111-1111-111111111111'''
\set u2 '''22222222-2222-2222-2222-222222222222'''
CREATE ROLE regress_keys_user;
CREATE ROLE regress_keys_backend;
GRANT USAGE ON SCHEMA public TO regress_keys_user, regress_keys_backend;
SELECT chat.grant_backend('regress_keys_backend') \gset grant_
SELECT chat.grant_functions('regress_keys_user', '{create_api_key,rotate_api_key,revoke_api_key,list_api_keys,update_api_key}') \gset grant_
-- What an answer tells, without what differs from run to run: a large limit fills up while the test runs.
CREATE FUNCTION auth(key text, scope text DEFAULT NULL, OUT allowed boolean, OUT status integer, OUT code text, OUT user_id text,
                     OUT known boolean, OUT scopes text[], OUT rate_limit integer, OUT remaining integer, OUT wait boolean)
    LANGUAGE sql AS
$$
    SELECT r.allowed, r.status, r.code, r.user_id, r.key_id IS NOT NULL, r.scopes, r.rate_limit,
           CASE WHEN r.rate_limit < 10 THEN r.remaining END, r.retry_after > 0
      FROM chat.authenticate(key, scope) r
$$;
-- The SQLSTATE of a statement that fails.
CREATE FUNCTION state(statement text) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN EXECUTE statement; RETURN 'none'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
\set QUIET off

-- A key is shown once; stored is its hash.
SELECT chat.create_api_key(:u1, ' Help desk ') AS made \gset
SELECT :'made'::jsonb ->> 'key' AS key, :'made'::jsonb ->> 'id' AS id \gset
SELECT :'key' ~ '^csk_[0-9A-Za-z]{55}$' AS form, :'made'::jsonb ->> 'keyPrefix' = left(:'key', 10) AS prefix,
       jsonb_pretty(:'made'::jsonb - '{id,key,keyPrefix,createdAt}'::text[]) AS rest;
SELECT k.key_hash = encode(sha256(:'key'::bytea), 'hex') AS hashed, k.id::text = :'id' AS same_id, k.name, k.user_id FROM chat_api_keys k;
SELECT count(DISTINCT chat.make_api_key()) FROM generate_series(1, 1000);
SELECT count(*) FILTER (WHERE (chat.authenticate(chat.make_api_key())).code = 'API_KEY_INVALID') FROM generate_series(1, 100);
-- Every character is used, and about equally often.
SELECT count(*) AS characters, min(n) > 300 AS none_rare, max(n) < 600 AS none_frequent
  FROM (SELECT c, count(*) AS n FROM generate_series(1, 540) g, LATERAL (SELECT chat.make_api_key() WHERE g > 0) k (key),
               regexp_split_to_table(substr(k.key, 5, 49), '') c GROUP BY c) s;
-- The checksum is CRC-32, as zlib has it.
SELECT (chat.authenticate('csk_AAAAAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBCCCCCC')).code;
SELECT (chat.authenticate('csk_000000' || repeat('0', 43) || crc)).code FROM (VALUES ('2lb8KW'), ('2lb8KA')) v (crc);

-- What is no key is answered, never an error.
SELECT what, a.*
  FROM (VALUES (1, 'null', NULL), (2, 'empty', ''), (3, 'short', 'csk_x'), (4, '1 MB', repeat('x', 1000000)),
               (5, 'other prefix', overlay(:'key' placing 'sk_c' from 1)), (6, 'bad character', overlay(:'key' placing '-' from 20)),
               (7, 'not ASCII', overlay(:'key' placing 'é' from 20)), (8, 'typing error', translate(:'key', 'abc012', 'bca120')),
               (9, 'with a blank', :'key' || ' '), (10, 'unknown', chat.make_api_key()), (11, 'good', :'key')) v (n, what, key), LATERAL auth(key) a
 ORDER BY n;

-- Scopes: chat:admin implies the two others, and nothing else.
SELECT chat.create_api_key(:u1, 'admin', '{chat:admin}') ->> 'key' AS admin \gset
SELECT left(scope, 12) AS scope, (auth(:'key', scope)).code AS key, (auth(:'admin', scope)).code AS admin
  FROM (VALUES ('chat:read'), ('chat:write'), ('chat:admin'), ('chat:other'), (''), (repeat('x', 1000000)), (NULL)) v (scope)
 ORDER BY length(scope), scope;
SELECT * FROM auth(:'key', 'chat:admin');

-- The rate limit of a key.
SELECT chat.create_api_key(:u1, 'slow', rate_limit => 3) ->> 'key' AS slow \gset
SELECT n, a.* FROM generate_series(1, 4) n, LATERAL auth(left(:'slow', 100 + n)) a;
-- A request that is rolled back counts; one that lacks a scope does not.
BEGIN;
SELECT chat.create_api_key(:u1, 'rolled back', rate_limit => 2) ->> 'key' AS temporary \gset
COMMIT;
SELECT (auth(:'temporary', 'chat:admin')).code;
BEGIN;
SELECT (auth(:'temporary')).remaining;
ROLLBACK;
SELECT (auth(:'temporary')).remaining;
SELECT (auth(:'temporary')).code;

-- last_used_at: at most once a minute, in transactions that may write.
CREATE FUNCTION used(key text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN last_used_at > clock_timestamp() - interval '1 min' THEN 'now' ELSE last_used_at::date::text END
     FROM chat_api_keys WHERE key_prefix = left(key, 10) $$;
CREATE FUNCTION long_ago(key text) RETURNS void LANGUAGE sql AS
$$ UPDATE chat_api_keys SET last_used_at = '2001-01-01' WHERE key_prefix = left(key, 10) $$;
SELECT used(:'key');
SELECT xmin::text AS version, last_used_at AS before FROM chat_api_keys WHERE id = :'id' \gset
SELECT (auth(:'key')).code;
SELECT xmin::text = :'version' AS unchanged FROM chat_api_keys WHERE id = :'id';
SELECT long_ago(:'key');
BEGIN READ ONLY;
SELECT (auth(:'key')).code;
COMMIT;
SELECT used(:'key');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT (auth(:'key')).code;
COMMIT;
SELECT used(:'key');
SELECT (auth(:'key')).code;
SELECT used(:'key');

-- Expiry and revocation
UPDATE chat_api_keys SET expires_at = clock_timestamp() - interval '1 s' WHERE name = 'admin';
SELECT * FROM auth(:'admin');
SELECT chat.revoke_api_key(id) AS first, chat.revoke_api_key(id) AS again FROM chat_api_keys WHERE name = 'slow';
SELECT * FROM auth(:'slow');
SELECT chat.revoke_api_key('00000000-0000-0000-0000-000000000000'), chat.revoke_api_key(NULL);

-- Rotation with overlap
SELECT chat.create_api_key(:u1, 'rotated', '{chat:read}', 50, '2100-01-01') AS made \gset
SELECT :'made'::jsonb ->> 'key' AS old, :'made'::jsonb ->> 'id' AS old_id \gset
SELECT chat.rotate_api_key(:'old_id', '1 h') AS made \gset
SELECT :'made'::jsonb ->> 'key' AS new, :'made'::jsonb ->> 'id' AS new_id \gset
SELECT :'made'::jsonb - '{id,key,keyPrefix,createdAt,oldKeyExpiresAt,replaces}'::text[] AS rest, :'made'::jsonb ->> 'replaces' = :'old_id' AS replaces,
       (:'made'::jsonb ->> 'oldKeyExpiresAt')::timestamptz - clock_timestamp() BETWEEN '59 min' AND '60 min' AS grace;
SELECT (auth(:'old', 'chat:read')).code AS old, (auth(:'new', 'chat:read')).code AS new, (auth(:'new', 'chat:write')).code AS write;
-- When the grace is over
UPDATE chat_api_keys SET expires_at = clock_timestamp() - interval '1 ms' WHERE id = :'old_id';
SELECT (auth(:'old')).code AS old, (auth(:'new')).code AS new;
SELECT chat.rotate_api_key(:'old_id');
UPDATE chat_api_keys SET expires_at = NULL WHERE id = :'old_id';
SELECT state(format('SELECT chat.rotate_api_key(%L)', :'old_id'));
SELECT chat.rotate_api_key(:'new_id', '0') ->> 'name' AS name;
SELECT (auth(:'new')).code;
SELECT chat.rotate_api_key('00000000-0000-0000-0000-000000000000'), chat.rotate_api_key(NULL);
SELECT chat.rotate_api_key(:'new_id', '-1 s');
SELECT chat.rotate_api_key(:'new_id', NULL);
SELECT chat.rotate_api_key(:'new_id', '1 year');
SELECT chat.rotate_api_key(id) FROM chat_api_keys WHERE name = 'slow';

-- Changes
SELECT chat.update_api_key(:'id', '{"name": "Desk", "scopes": ["chat:write", "chat:read", "chat:write"], "rateLimit": 7, "expiresAt": "2100-01-01T00:00:00Z"}')
       - '{id,keyPrefix,createdAt,lastUsedAt}'::text[] AS changed;
SELECT chat.update_api_key(:'id', '{"isActive": false}') -> 'isActive' AS active, (auth(:'key')).code;
SELECT chat.update_api_key(:'id', '{"isActive": true, "expiresAt": null, "rateLimit": 1000}') -> 'expiresAt' AS expires, (auth(:'key')).code;
SELECT chat.update_api_key('00000000-0000-0000-0000-000000000000', '{"name": "x"}'), chat.update_api_key(NULL, '{"name": "x"}');
SELECT chat.update_api_key(:'id', NULL);
SELECT chat.update_api_key(:'id', '[]');
SELECT chat.update_api_key(:'id', '{}');
SELECT chat.update_api_key(:'id', '{"keyHash": "x"}');
SELECT chat.update_api_key(:'id', '{"name": 1}');
SELECT chat.update_api_key(:'id', '{"name": null}');
SELECT chat.update_api_key(:'id', '{"name": " "}');
SELECT chat.update_api_key(:'id', '{"scopes": []}');
SELECT chat.update_api_key(:'id', '{"scopes": ["chat:read", null]}');
SELECT chat.update_api_key(:'id', '{"scopes": [1]}');
SELECT chat.update_api_key(:'id', '{"rateLimit": 0}');
SELECT chat.update_api_key(:'id', '{"rateLimit": 1.5}');
SELECT chat.update_api_key(:'id', '{"rateLimit": 1e30}');
SELECT chat.update_api_key(:'id', '{"expiresAt": "soon"}');
SELECT chat.update_api_key(:'id', '{"expiresAt": "2001-01-01T00:00:00Z"}');
SELECT chat.list_api_keys(:u1) -> 'pagination' AS page, k ->> 'name' AS name, k -> 'isActive' AS active, k -> 'rateLimit' AS rate, k ? 'key' OR k ? 'keyHash' AS secret
  FROM jsonb_array_elements(chat.list_api_keys(:u1) -> 'data') k;
SELECT chat.list_api_keys(:u2), chat.list_api_keys('nobody') -> 'data' AS nobody;
SELECT chat.list_api_keys(NULL);

-- What cannot be a key
SELECT chat.create_api_key(NULL, 'x');
SELECT chat.create_api_key('no uuid', 'x');
SELECT chat.create_api_key(:u1, NULL);
SELECT chat.create_api_key(:u1, '');
SELECT chat.create_api_key(:u1, repeat('x', 256));
SELECT chat.create_api_key(:u1, 'x', NULL);
SELECT chat.create_api_key(:u1, 'x', '{}');
SELECT chat.create_api_key(:u1, 'x', '{chat:read,root}');
SELECT chat.create_api_key(:u1, 'x', '{NULL}');
SELECT chat.create_api_key(:u1, 'x', rate_limit => NULL);
SELECT chat.create_api_key(:u1, 'x', rate_limit => 0);
SELECT chat.create_api_key(:u1, 'x', rate_limit => -1);
SELECT chat.create_api_key(:u1, 'x', rate_limit => 1000000000);
SELECT chat.create_api_key(:u1, 'x', expires_at => '2001-01-01');
SELECT chat.create_api_key(:u1, 'x', expires_at => '-infinity');

SELECT arguments, state(format('SELECT chat.create_api_key(%s)', arguments))
  FROM (VALUES ('NULL, $$x$$'), ('$$1$$, $$x$$'), ('gen_random_uuid()::text, repeat($$x$$, 1000000)'),
               ('gen_random_uuid()::text, $$x$$, $${x}$$'), ('gen_random_uuid()::text, $$x$$, rate_limit => 0')) v (arguments);

-- Who may: a user its own, a backend everybody's; authenticate is for backends.
SET ROLE regress_keys_user;
SELECT chat.authenticate('x');
SELECT chat.create_api_key(:u1, 'x');
SELECT chat.revoke_api_key(:'id');
SET request.jwt.claims = '{"sub": "22222222-2222-2222-2222-222222222222"}';
SELECT chat.create_api_key(:u1, 'x');
SELECT chat.create_api_key(:u2, 'mine') ->> 'name' AS name;
SELECT chat.revoke_api_key(:'id'), chat.rotate_api_key(:'id'), chat.update_api_key(:'id', '{"name": "x"}');
SELECT chat.revoke_api_key(:'id', :u1);
SELECT chat.list_api_keys(:u1);
SELECT jsonb_array_length(chat.list_api_keys(:u2) -> 'data') AS mine;
-- A request that came with a key makes keys only with chat:admin.
SET request.jwt.claims = '{"sub": "22222222-2222-2222-2222-222222222222", "api_key_id": "x", "scopes": ["chat:write"]}';
SELECT chat.create_api_key(:u2, 'escalation', '{chat:admin}');
SELECT chat.list_api_keys(:u2);
SET request.jwt.claims = '{"sub": "22222222-2222-2222-2222-222222222222", "api_key_id": "x", "scopes": ["chat:admin"]}';
SELECT chat.create_api_key(:u2, 'by an admin key') ->> 'name' AS name;
SET ROLE regress_keys_backend;
SET request.jwt.claims = '';
SELECT (chat.authenticate(:'key')).code;
SELECT chat.create_api_key(:u1, 'by the backend') ->> 'name' AS name;
SELECT key_hash FROM chat_api_keys;
RESET ROLE;
RESET request.jwt.claims;

-- A session that has seen more keys than it has places for them
CREATE TEMP TABLE many AS SELECT gen_random_uuid() AS id, chat.make_api_key() AS key FROM generate_series(1, 600);
INSERT INTO chat_api_keys (id, user_id, name, key_hash, key_prefix) SELECT id, :u2, 'many', chat.api_key_hash(key), left(key, 10) FROM many;
SELECT round, count(*) FILTER (WHERE r.key_id = m.id AND r.code = 'OK') AS right_one
  FROM generate_series(1, 3) round, many m, LATERAL chat.authenticate(m.key) r GROUP BY round ORDER BY round;
BEGIN;
DELETE FROM chat_api_keys USING many m WHERE m.id = chat_api_keys.id;
SELECT r.code, count(*) FROM many m, LATERAL chat.authenticate(m.key) r GROUP BY r.code;
ROLLBACK;

-- Names in the caller's search_path change nothing.
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.equal(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.equal);
CREATE FUNCTION hostile.equal_varchar(varchar, text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE OPERATOR hostile.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = hostile.equal_varchar);
SET search_path = hostile, pg_catalog, public;
SELECT (chat.authenticate(chat.make_api_key())).code, (chat.authenticate(:'key')).code;
RESET search_path;

-- The table may change under a session that has used it.
ALTER TABLE chat_api_keys ALTER COLUMN expires_at TYPE text;
SELECT chat.authenticate(:'key');
SELECT state(format('SELECT chat.authenticate(%L)', :'key'));
SELECT chat.list_api_keys(:u1);
ALTER TABLE chat_api_keys ALTER COLUMN expires_at TYPE timestamptz USING expires_at::timestamptz;
SELECT (chat.authenticate(:'key')).code;
SELECT long_ago(:'key');
ALTER SCHEMA public RENAME TO renamed;
SELECT (chat.authenticate(:'key')).code;
ALTER SCHEMA renamed RENAME TO public;
SELECT used(:'key');
BEGIN;
ALTER TYPE chat.auth_result ADD ATTRIBUTE more integer;
SELECT chat.authenticate('x');
ROLLBACK;
ALTER TABLE chat_api_keys ADD COLUMN note text DEFAULT 'x', DROP COLUMN updated_at, ALTER COLUMN key_hash TYPE text;
SELECT (chat.authenticate(:'key')).code;
ALTER TABLE chat_api_keys DROP COLUMN last_used_at, DROP COLUMN is_active, DROP COLUMN replaced_by;
SELECT (chat.authenticate(:'key')).code;
SELECT chat.revoke_api_key(:'id');
SELECT (chat.authenticate(:'key')).code;
UPDATE chat.attachment SET api_keys = NULL;
SELECT (chat.authenticate(:'key')).code;
SELECT chat.create_api_key(:u1, 'x');

-- A table that was there before, whose owners are accounts.
CREATE SCHEMA live;
CREATE TABLE live.accounts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), owner_user_id uuid);
CREATE TABLE live."API keys" (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id uuid NOT NULL, name varchar(255) NOT NULL, key_hash varchar(255) NOT NULL UNIQUE,
    key_prefix varchar(12) NOT NULL, scopes text[] NOT NULL DEFAULT '{conversations:read}', rate_limit_per_minute integer DEFAULT 60,
    is_active boolean DEFAULT true, last_used_at timestamptz, expires_at timestamptz, created_at timestamptz DEFAULT now());
INSERT INTO live.accounts (owner_user_id) VALUES (:u1);
UPDATE chat.attachment SET api_keys = 'live."API keys"',
       columns = columns || '{"owner": {"column": "account_id", "table": "live.accounts", "key": "id", "user": "owner_user_id"}}';
SELECT chat.create_api_key(:u1, 'account', rate_limit => 5) AS made \gset
SELECT :'made'::jsonb ->> 'key' AS key, :'made'::jsonb ->> 'id' AS id \gset
SELECT * FROM auth(:'key', 'chat:write');
SELECT k.account_id = a.id AS owned, k.last_used_at IS NOT NULL AS used FROM live."API keys" k, live.accounts a;
SELECT k ->> 'name' AS name, k -> 'rateLimit' AS rate, k -> 'replacedBy' AS replaced FROM jsonb_array_elements(chat.list_api_keys(:u1) -> 'data') k;
BEGIN; -- a user of two accounts, and one of none
INSERT INTO live.accounts (owner_user_id) VALUES (:u1), (:u2);
INSERT INTO live."API keys" (account_id, name, key_hash, key_prefix) SELECT id, 'another account', id::text, 'csk_' FROM live.accounts;
SELECT jsonb_path_query_array(chat.list_api_keys(:u1), '$.data.name') AS two, jsonb_path_query_array(chat.list_api_keys(:u2), '$.data.name') AS one,
       chat.list_api_keys(gen_random_uuid()::text) -> 'data' AS none, chat.list_api_keys('nobody') -> 'data' AS nobody;
ROLLBACK;
SELECT chat.rotate_api_key(:'id', '0') ->> 'name' AS rotated, (auth(:'key')).code;
UPDATE live."API keys" SET expires_at = NULL, rate_limit_per_minute = NULL, scopes = '{conversations:read}' WHERE id = :'id';
SELECT * FROM auth(:'key', 'conversations:read');
UPDATE live."API keys" SET rate_limit_per_minute = 0 WHERE id = :'id';
SELECT * FROM auth(:'key');
UPDATE live.accounts SET owner_user_id = NULL;
SELECT (auth(:'key')).code;
SELECT chat.create_api_key(:u2, 'x');

-- Every change left its row, without a secret.
SELECT action, details - '{createdAt,expiresAt,keyPrefix,replacedBy}'::text[] AS details FROM chat.audit_log WHERE action LIKE 'api_key.%' ORDER BY id;
SELECT count(*) FROM chat.audit_log WHERE details::text ~ 'csk_[0-9A-Za-z]{7}' OR object ~ 'csk_';
\c postgres
\set QUIET on
DROP DATABASE regress_keys;
DROP ROLE regress_keys_user;
DROP ROLE regress_keys_backend;
