-- Rate limits and the counters of the API.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE DATABASE regress_limits;
\c regress_limits
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
-- Limits go by a clock that stands still but for where a test moves it; regress.clock has it with all its digits.
CREATE FUNCTION clock(seconds float8) RETURNS void LANGUAGE sql AS
$$ SELECT set_config(s, seconds::text, false) FROM unnest('{chat_realtime.limit_clock,regress.clock}'::text[]) s $$;
CREATE FUNCTION later(seconds float8) RETURNS void LANGUAGE sql AS $$ SELECT clock(current_setting('regress.clock')::float8 + seconds) $$;
SELECT clock(10000000) \gset clock_
SELECT count(*) FROM chat.setup() \gset setup_
CREATE ROLE regress_limits_user;
CREATE ROLE regress_limits_backend;
SELECT chat.grant_backend('regress_limits_backend') \gset grant_
SELECT chat.grant_functions('regress_limits_user', '{presence}') \gset grant_
-- A limit without what the clock changes.
CREATE FUNCTION ask(bucket text, max_requests integer, per interval, OUT allowed boolean, OUT remaining integer, OUT full_in_days numeric, OUT wait_days numeric)
    LANGUAGE sql AS
$$
    SELECT r.allowed, r.remaining, round(extract(epoch FROM r.reset_at - clock_timestamp()) / 86400), round(r.retry_after / 86400)
      FROM chat.check_rate_limit(bucket, max_requests, per) r
$$;
CREATE FUNCTION state(statement text) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN EXECUTE statement; RETURN 'none'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
\set QUIET off

-- Three calls in any 30 days.
SELECT n, a.* FROM generate_series(1, 5) n, LATERAL ask('a', 3 + 0 * n, '30 days') a;
-- Another bucket has its own.
SELECT * FROM ask('b', 3, '30 days');
-- What was counted stays counted when the transaction or a savepoint is rolled back.
BEGIN;
SELECT remaining FROM ask('b', 3, '30 days');
SAVEPOINT s;
SELECT remaining FROM ask('b', 3, '30 days');
ROLLBACK TO s;
ROLLBACK;
SELECT allowed, remaining FROM ask('b', 3, '30 days');
-- They are there again a period after they passed, one by one.
SELECT allowed FROM ask('one by one', 2, '10 s');
SELECT later(4) \gset at_
SELECT allowed FROM ask('one by one', 2, '10 s');
SELECT later(5.9) \gset at_
SELECT allowed FROM ask('one by one', 2, '10 s');
SELECT later(0.2) \gset at_
SELECT a.allowed FROM generate_series(1, 2) n, LATERAL ask('one by one', 2 + 0 * n, '10 s') a;
-- Whoever waits as long as told is let through, and nobody before.
CREATE FUNCTION obedient(bucket text) RETURNS boolean LANGUAGE plpgsql AS
$$
DECLARE
    r chat.rate_limit_result;
BEGIN
    FOR i IN 1 .. 20 LOOP
        r := chat.check_rate_limit(bucket, 5, '50 ms');
        PERFORM later(CASE WHEN r.allowed THEN 0.007 ELSE r.retry_after - 0.001 END);
        IF NOT r.allowed AND (chat.check_rate_limit(bucket, 5, '50 ms')).allowed THEN
            RETURN false;
        ELSIF NOT r.allowed THEN
            PERFORM later(0.001);
            IF NOT (chat.check_rate_limit(bucket, 5, '50 ms')).allowed THEN
                RETURN false;
            END IF;
        END IF;
    END LOOP;
    RETURN true;
END
$$;
SELECT bool_and(obedient('obedient ' || n)) FROM generate_series(1, 5) n;
-- The most that passes within one period, wherever it begins, of calls that never end.
CREATE FUNCTION worst(max_requests integer, period float8, step float8) RETURNS bigint LANGUAGE plpgsql AS
$$
DECLARE
    start float8 := current_setting('regress.clock');
    passed float8[] := '{}';
BEGIN
    FOR i IN 0 .. (4 * period / step)::integer LOOP
        PERFORM clock(start + i * step);
        WHILE (chat.check_rate_limit('worst', max_requests, make_interval(secs => period))).allowed LOOP
            passed := passed || i * step;
        END LOOP;
    END LOOP;
    RETURN (SELECT max(n) FROM (SELECT count(*) OVER (ORDER BY p RANGE BETWEEN (period - step / 2) PRECEDING AND CURRENT ROW) FROM unnest(passed) p) c (n));
END
$$;
SELECT worst(10, 1, 0.01) AS "10 a second", worst(60, 60, 0.5) AS "60 a minute", worst(100, 60, 0.5) AS "100 a minute", worst(1000, 60, 0.5) AS "1,000 a minute";
-- Another limit of the same name counts apart.
SELECT b.allowed, b.remaining FROM ask('b', 4, '30 days') b;
-- In a read-only transaction too.
BEGIN READ ONLY;
SELECT allowed FROM ask('read only', 1, '1 day');
COMMIT;
-- Large numbers
SELECT remaining FROM ask('large', 1000000000, '31 days');
SELECT remaining FROM ask('short', 1000000000, '1 ms');

-- Bad arguments
SELECT arguments, state(format('SELECT chat.check_rate_limit(%s)', arguments))
  FROM (VALUES (1, 'NULL, 1, $$1 s$$'), (2, '$$x$$, NULL, $$1 s$$'), (3, '$$x$$, 1, NULL'), (4, '$$$$, 1, $$1 s$$'),
               (5, 'repeat($$x$$, 256), 1, $$1 s$$'), (6, 'repeat($$x$$, 1000000), 1, $$1 s$$'), (7, '$$x$$, 0, $$1 s$$'),
               (8, '$$x$$, -1, $$1 s$$'), (9, '$$x$$, 1000000001, $$1 s$$'), (10, '$$x$$, 1, $$0 s$$'), (11, '$$x$$, 1, $$-1 s$$'),
               (12, '$$x$$, 1, $$0.5 ms$$'), (13, '$$x$$, 1, $$32 days$$'), (14, '$$x$$, 1, $$178000000 years$$'),
               (15, 'repeat($$x$$, 255), 1, $$1 month$$')) v (n, arguments) ORDER BY n;
SELECT chat.check_rate_limit('x', 0, '1 s');
SELECT chat.check_rate_limit(repeat('x', 256), 1, '1 s');
SELECT chat.check_rate_limit('x', 1, '1 year');
SELECT chat.check_rate_limit('x', NULL, '1 year');

INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, '11111111-1111-1111-1111-111111111111', 'a'), (2, '11111111-1111-1111-1111-111111111111', 'b');
-- Typing: one a second of a user in a conversation; that it stopped is always told.
CREATE TABLE mark AS SELECT COALESCE(max(id), 0) AS id FROM chat.events;
SELECT count(chat.presence('1', 'typing', 'ana')) FROM generate_series(1, 3);
SELECT count(chat.presence('1', 'typing', 'ana', is_typing => false)) FROM generate_series(1, 3);
SELECT count(chat.presence('1', 'typing', 'bia')), count(chat.presence('2', 'typing', 'ana')), count(chat.presence('1', 'join', 'ana')) FROM generate_series(1, 3);
SELECT e.topic, e.event, e.payload::jsonb ->> 'userId' AS "user", e.payload::jsonb -> 'isTyping' AS typing, count(*) > 2 AS all
  FROM chat.events e, mark m WHERE e.id > m.id AND e.event LIKE 'presence.%' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

-- Switched off
SET chat_realtime.rate_limits = off;
SELECT bool_and((chat.check_rate_limit('a', 3, '30 days')).allowed), bool_and(chat.limit_typing('1', 'ana', true)) FROM generate_series(1, 100);
RESET chat_realtime.rate_limits;
SELECT allowed FROM ask('a', 3, '30 days');

-- For backends; nobody else takes calls out of others' buckets, or changes the setting.
SET ROLE regress_limits_user;
SELECT chat.check_rate_limit('a', 3, '30 days');
SELECT * FROM chat.api_stats();
SET chat_realtime.rate_limits = off;
\set VERBOSITY sqlstate
SHOW chat_realtime.key_pepper;
\set VERBOSITY default
SET ROLE regress_limits_backend;
SELECT (chat.check_rate_limit('a', 3, '30 days')).allowed;
SELECT count(*) > 0 AS counted FROM chat.api_stats();
RESET ROLE;

-- Counters: of the whole server, so only how they change.
DO $$ BEGIN CREATE TABLE before AS SELECT * FROM chat.api_stats(); END $$;
SELECT (chat.authenticate(NULL)).code, (chat.authenticate('x')).code, (chat.authenticate(chat.make_api_key())).code;
SELECT chat.presence('1', 'leave', 'ana') IS NULL, state('SELECT chat.presence(NULL, NULL)');
SELECT kind, name, s.calls - COALESCE(b.calls, 0) AS calls, s.seconds > COALESCE(b.seconds, 0) AS took_time, s.within[21] = s.calls AS within,
       s.bounds[1] AS least, s.bounds[21] AS most
  FROM chat.api_stats() s LEFT JOIN before b USING (kind, name) WHERE s.calls <> COALESCE(b.calls, 0) AND s.kind IN ('code', 'function') ORDER BY kind, name;
\c postgres
\set QUIET on
DROP DATABASE regress_limits;
DROP ROLE regress_limits_user;
DROP ROLE regress_limits_backend;
