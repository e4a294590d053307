-- chat.pre_request(): what PostgREST does around a request, with the settings that it makes.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE DATABASE regress_pre_request;
\c regress_pre_request
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
-- Roles as PostgREST and Supabase have them
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE regress_anon;
CREATE ROLE regress_stranger LOGIN;
CREATE ROLE regress_postgrest LOGIN NOINHERIT;
GRANT regress_anon, authenticated TO regress_postgrest;
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM chat.setup() \gset setup_
\set u1 '''11111111-1111-1111-1111-111111111111'''
\set u2 '''22222222-2222-2222-2222-222222222222'''
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, :u1, 'mine'), (2, :u2, 'other');
SELECT chat.create_api_key(:u1, 'read', '{chat:read}') ->> 'key' AS read, chat.create_api_key(:u1, 'write', '{chat:read,chat:write}') ->> 'key' AS write,
       chat.create_api_key(:u1, 'admin', '{chat:admin}') ->> 'key' AS admin, chat.create_api_key(:u1, 'slow', rate_limit => 1) ->> 'key' AS slow,
       chat.create_api_key(:u1, 'revoked') ->> 'key' AS revoked \gset
SELECT chat.revoke_api_key(id) FROM chat_api_keys WHERE name = 'revoked' \gset revoke_
-- A request: the settings, the role, the pre-request, then a look at who it is.
CREATE FUNCTION request(key text, method text DEFAULT 'GET', path text DEFAULT '/conversations', role text DEFAULT 'regress_anon', claims text DEFAULT '{}',
                        OUT "user" text, OUT role_after text, OUT sees text, OUT error text) LANGUAGE plpgsql AS
$$
DECLARE
    message text;
    detail text;
BEGIN
    PERFORM set_config('request.headers', jsonb_strip_nulls(jsonb_build_object('x-api-key', key, 'accept', '*/*'))::text, true), set_config('request.method', method, true),
            set_config('request.path', path, true), set_config('request.jwt.claims', claims, true), set_config('role', role, true);
    BEGIN
        PERFORM chat.pre_request();
        role_after := current_user;
        "user" := chat.current_user_id();
        SELECT string_agg(c.contact_jid, ',') INTO sees FROM conversations c;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        error := concat_ws(' ', SQLSTATE, CASE WHEN SQLSTATE = 'PGRST' THEN (detail::jsonb ->> 'status') || ' ' || (message::jsonb ->> 'code') ELSE message END);
    END;
END
$$;
CREATE FUNCTION refusal(OUT body jsonb, OUT status text, OUT headers text, OUT wait boolean) LANGUAGE plpgsql AS
$$
DECLARE
    message text;
    detail text;
BEGIN
    PERFORM chat.pre_request();
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    body := message;
    status := SQLSTATE || ' ' || (detail::jsonb ->> 'status');
    headers := (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(detail::jsonb -> 'headers') k);
    wait := (detail::jsonb #>> '{headers,Retry-After}')::int BETWEEN 1 AND 61; -- a minute and a millisecond, in whole seconds
END
$$;
GRANT USAGE ON SCHEMA public TO regress_anon, authenticated, regress_stranger;
GRANT SELECT ON conversations TO regress_anon;
\set QUIET off
SET SESSION AUTHORIZATION regress_postgrest;

-- Without a key nothing changes.
SELECT * FROM request(NULL);
SELECT * FROM request(NULL, role => 'authenticated', claims => '{"sub": "22222222-2222-2222-2222-222222222222", "role": "authenticated"}');
-- With one, the request acts as its user, also beside a JWT, and only in its transaction.
SELECT * FROM request(:'read');
SELECT * FROM request(:'read', role => 'authenticated', claims => '{"sub": "22222222-2222-2222-2222-222222222222", "role": "authenticated"}');
SELECT current_user, chat.current_user_id();
BEGIN READ ONLY;
SELECT * FROM request(:'read');
SELECT current_user, chat.current_user_id(), current_setting('request.jwt.claims')::jsonb - 'api_key_id' AS claims;
SELECT jsonb_object_agg(h.key, regexp_replace(h.value, 't=\d+', 't=…')) - '{X-RateLimit-Reset,X-RateLimit-Remaining,RateLimit}'::text[] AS headers,
       bool_or(h.key = 'RateLimit' AND h.value ~ '^"default";r=\d+;t=\d+$') AS rate_limit,
       bool_or(h.key = 'X-RateLimit-Reset' AND h.value ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$') AS reset
  FROM jsonb_array_elements(current_setting('response.headers')::jsonb) a, jsonb_each_text(a) h;
COMMIT;
SELECT current_user, chat.current_user_id();

-- Bad keys: 401
SELECT what, r.error, r.sees FROM (VALUES (1, 'empty', ''), (2, 'no key', 'x'), (3, '1 MB', repeat('x', 1000000)), (4, 'revoked', :'revoked'),
    (5, 'checksum', translate(:'read', 'abc012', 'bca120'))) v (n, what, key), LATERAL request(key) r ORDER BY n;
-- Scopes: 403
SELECT method, path, (request(:'read', method, path)).error AS read, (request(:'write', method, path)).error AS write, (request(:'admin', method, path)).error AS admin
  FROM (VALUES (1, 'GET', '/conversations'), (2, 'HEAD', '/conversations'), (3, 'PATCH', '/conversations'), (4, 'DELETE', '/chat_messages'), (5, 'POST', '/rpc/list_messages'),
               (6, 'GET', '/rpc/list_messages'), (7, 'POST', '/rpc/save_message'), (8, 'POST', '/rpc/get_conversation'), (9, 'POST', '/rpc/events_since'),
               (10, 'POST', '/rpc/create_api_key'), (11, 'POST', '/rpc/create%5Fapi_key'), (12, 'GET', '/rpc/list_api_keys'), (13, 'POST', '/rpc/create_webhook'),
               (14, 'DELETE', '/chat_api_keys'), (15, 'GET', '/chat_external_webhooks'), (16, NULL, NULL)) v (n, method, path) ORDER BY n;
-- The rate limit: 429, with what the client is told.
SELECT error FROM request(:'slow');
SELECT error FROM request(:'slow');
BEGIN;
SELECT set_config('request.headers', jsonb_build_object('x-api-key', :'slow')::text, true) <> '' AS a, set_config('request.path', '/conversations', true) <> '' AS b, set_config('request.method', 'GET', true) <> '' AS c;
SELECT * FROM refusal();
ROLLBACK;
-- A role that may not become authenticated gets nothing by a key.
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_stranger;
SELECT error FROM request(:'read', role => 'regress_stranger');
-- What a request with a key may do: its user's, by the functions and the tables.
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_postgrest;
BEGIN;
SELECT "user", role_after FROM request(:'write', 'POST', '/rpc/list_conversations');
SELECT d ->> 'contactJid' AS jid FROM jsonb_array_elements(chat.list_conversations('11111111-1111-1111-1111-111111111111') -> 'data') d;
SELECT chat.get_conversation('2') AS foreign_one;
SAVEPOINT s;
SELECT chat.create_api_key('11111111-1111-1111-1111-111111111111', 'escalation', '{chat:admin}');
ROLLBACK TO s;
SELECT chat.authenticate('x');
ROLLBACK;
BEGIN;
SELECT "user" FROM request(:'admin', 'POST', '/rpc/create_api_key');
SELECT chat.create_api_key('11111111-1111-1111-1111-111111111111', 'by a key') ->> 'name' AS name;
ROLLBACK;
RESET SESSION AUTHORIZATION;
\c postgres
\set QUIET on
DROP DATABASE regress_pre_request;
DROP ROLE regress_postgrest;
DROP ROLE regress_anon;
DROP ROLE authenticated;
DROP ROLE regress_stranger;
