-- A signed-in user writes at most ten messages a second, of either direction and in whatever way; one statement never more.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE DATABASE regress_message_limit;
\c regress_message_limit
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM chat.setup() \gset setup_
CREATE ROLE regress_message_user;
CREATE ROLE regress_message_backend;
CREATE ROLE regress_message_server BYPASSRLS;
SELECT chat.grant_backend('regress_message_backend'), chat.grant_functions('regress_message_user', chat.user_functions()) \gset grant_
GRANT SELECT, INSERT, UPDATE ON conversations, chat_messages TO regress_message_user, regress_message_server;
-- Each conversation's owner is a user of the same number.
CREATE FUNCTION person(n integer) RETURNS uuid LANGUAGE sql AS $$ SELECT format('%s0000000-0000-4000-8000-000000000000', n)::uuid $$;
INSERT INTO conversations (id, user_id, contact_jid) SELECT g, person(g), 'c' || g FROM generate_series(1, 9) g;
CREATE FUNCTION sign_in(n integer) RETURNS void LANGUAGE sql AS $$ SELECT set_config('request.jwt.claims', jsonb_build_object('sub', person(n))::text, false) $$;
-- The clock of limits stands still until it is moved.
SET chat_realtime.limit_clock = 20000000;
CREATE FUNCTION state(statement text) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN EXECUTE statement; RETURN 'none'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
CREATE FUNCTION write(conversation integer, count integer) RETURNS text LANGUAGE sql AS
$$ SELECT state(format('INSERT INTO chat_messages (conversation_id, direction, content) SELECT %s, CASE g %% 2 WHEN 0 THEN %L ELSE %L END, %L FROM generate_series(1, %s) g',
                       conversation, 'incoming', 'outgoing', 'x', count)) $$;
\set QUIET off

SET ROLE regress_message_user;
-- Eleven in one statement: none of them, whatever was written before.
SELECT sign_in(1);
INSERT INTO chat_messages (conversation_id, direction, content) SELECT 1, 'outgoing', 'x' FROM generate_series(1, 11);
SELECT count(*) FROM chat_messages;
-- Ten, and no eleventh; both directions count. To change messages is free.
SELECT sign_in(2);
SELECT write(2, 10) AS ten, write(2, 1) AS eleventh;
UPDATE chat_messages SET status = 'read';
SELECT direction, count(*) FROM chat_messages GROUP BY 1 ORDER BY 1;
-- A second later there are ten more.
RESET ROLE;
SET chat_realtime.limit_clock = 20000001.001;
SET ROLE regress_message_user;
SELECT write(2, 10) AS ten, write(2, 1) AS eleventh;
-- What is rolled back has counted.
SELECT sign_in(3);
BEGIN;
SELECT write(3, 10);
ROLLBACK;
SELECT write(3, 5);
-- By the API: the role that calls is what counts, not the tables' owner who writes.
SELECT sign_in(4);
SELECT state('SELECT count(chat.save_message($$4$$, jsonb_build_object($$content$$, $$m$$ || n))) FROM generate_series(1, 200) n');
-- Others have their own.
SELECT sign_in(5);
SELECT write(5, 10), write(5, 10);

-- Service callers are not limited, whatever claims they hand on; nor is who has none.
SET ROLE regress_message_backend;
SELECT count(chat.save_message('5', '{"content": "x"}')) FROM generate_series(1, 30);
SET ROLE regress_message_server;
SELECT write(5, 30);
RESET ROLE;
SELECT write(5, 30);
SET request.jwt.claims = 'no JSON';
SELECT write(5, 30);
RESET request.jwt.claims;
ALTER TABLE chat_messages DISABLE ROW LEVEL SECURITY;
SET ROLE regress_message_user;
SELECT write(5, 30);
RESET ROLE;
-- Claims in the form of older versions of PostgREST
SET request.jwt.claim.sub = 'somebody';
SET ROLE regress_message_user;
SELECT write(5, 11);
SET request.jwt.claim.sub = 'another';
COPY chat_messages (conversation_id, direction, content) FROM stdin;
5	incoming	a
5	incoming	b
5	incoming	c
5	incoming	d
5	incoming	e
5	incoming	f
5	incoming	g
5	incoming	h
5	incoming	i
5	incoming	j
5	incoming	k
\.
SELECT content FROM chat_messages WHERE content ~ '^[a-k]$' AND content <> 'x';
-- Switched off
RESET ROLE;
SET chat_realtime.rate_limits = off;
SET ROLE regress_message_user;
SELECT write(5, 30);
RESET ROLE;

-- Who calls, as the claims say.
RESET request.jwt.claim.sub;
CREATE FUNCTION caller(claims text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', claims, false);
    RETURN COALESCE(chat.current_user_id(), 'nobody');
END $$;
SELECT claims, caller(claims)
  FROM (VALUES (1, '{"sub": "a"}'), (2, '{"sub": ""}'), (3, '{"sub": null}'), (4, '{}'), (5, '[]'), (6, '"sub"'), (7, '{"sub": 7}'), (8, '{"sub": true}'),
               (9, '{"sub": {"a": 1}}'), (10, '')) v (n, claims) ORDER BY n;
SELECT state('SELECT caller($${$$)');
RESET request.jwt.claims;
CREATE ROLE regress_message_member IN ROLE regress_message_backend;
GRANT EXECUTE ON FUNCTION chat.is_service_caller() TO PUBLIC;
SELECT chat.is_service_caller() AS superuser;
SET ROLE regress_message_server; SELECT chat.is_service_caller() AS bypassrls; RESET ROLE;
SET ROLE regress_message_backend; SELECT chat.is_service_caller() AS backend; RESET ROLE;
SET ROLE regress_message_member; SELECT chat.is_service_caller() AS member; RESET ROLE;
SET ROLE regress_message_user; SELECT chat.is_service_caller() AS "user"; RESET ROLE;
ALTER ROLE regress_message_member NOINHERIT;
SET ROLE regress_message_member; SELECT chat.is_service_caller() = (current_setting('server_version_num')::int >= 160000) AS "since 16 the membership says"; RESET ROLE;
\c postgres
\set QUIET on
DROP DATABASE regress_message_limit;
DROP ROLE regress_message_member, regress_message_user, regress_message_backend, regress_message_server;
