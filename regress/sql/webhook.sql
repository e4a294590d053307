-- Webhooks: who gets what, order and retries, disabling, and the functions for the backend.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
SET TIME ZONE 'UTC';
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/read_log.sql'
\i :shared
\set shared :srcdir '/sql/shared/webhook_read.sql'
\i :shared
UPDATE chat.attachment SET webhooks = NULL;
CREATE SCHEMA hook;
CREATE TABLE hook.conversations (id bigint PRIMARY KEY);
CREATE TABLE hook.messages (id bigint PRIMARY KEY);
CREATE TABLE hook.webhooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, url varchar(2048) NOT NULL,
    events text[] NOT NULL, secret text, is_active boolean NOT NULL DEFAULT true,
    failure_count integer NOT NULL DEFAULT 0, last_triggered_at timestamptz, last_error text,
    first_failure_at timestamptz, disabled_at timestamptz, disabled_reason text,
    old_secret text, old_secret_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
INSERT INTO chat.attachment (conversations, messages, webhooks, columns)
VALUES ('hook.conversations', 'hook.messages', 'hook.webhooks', '{}');

\set u1 '''11111111-1111-1111-1111-111111111111'''
\set u2 '''22222222-2222-2222-2222-222222222222'''
\set a '''aaaaaaaa-0000-0000-0000-000000000000'''
\set b '''bbbbbbbb-0000-0000-0000-000000000000'''
\set c '''cccccccc-0000-0000-0000-000000000000'''
INSERT INTO hook.webhooks (id, user_id, url, events, secret) VALUES
    (:a, :u1, 'https://a.example/', '{message.received,conversation.closed}', 's1'),
    (:b, :u1, 'https://b.example/', '{*}', 's2'),
    (:c, :u2, 'https://c.example/', '{message.received}', NULL);

\set QUIET off
-- One test's position: what was there before does not matter.
SELECT pg_current_snapshot() AS snapshot \gset start_
SELECT COALESCE(max(id), 0) AS position FROM chat.events \gset start_

CREATE FUNCTION hook.emit(owner text, conversation text, webhook text, body text) RETURNS void LANGUAGE sql AS
$$ SELECT chat.emit('conversation:' || conversation, 'x', owner, conversation, webhook, jsonb_build_object('n', body)) $$;
-- The read with ids made relative.
CREATE FUNCTION hook.reading(start bigint, snapshot text, max_rows integer DEFAULT 100)
    RETURNS TABLE (id bigint, message text, type text, url text, conversation text, blocked boolean, payload text)
    LANGUAGE sql AS
$$
    SELECT r.id - start, replace(r.message_id, r.id::text, (r.id - start)::text), r.type, r.url, r.conversation,
           r.blocked, CASE WHEN r.webhook IS NULL THEN '(header)' ELSE r.payload END
      FROM webhook_read(start, snapshot, max_rows, 1000000) r
$$;

SELECT hook.emit(:u1, '1', 'message.received', 'one');
SELECT hook.emit(:u1, '1', NULL, 'not for webhooks');
SELECT hook.emit(:u2, '2', 'message.received', 'two');
SELECT hook.emit(:u2, '2', 'message.sent', 'nobody wants it');
SELECT hook.emit('no uuid', '3', 'message.received', 'foreign owner');
SELECT * FROM hook.reading(:start_position, :'start_snapshot');
-- Of the bytes at least one event, and then as many as fit.
SELECT b AS bytes, max(r.id) - :start_position AS position FROM unnest('{1,400,500,1000}'::int[]) b, webhook_read(:start_position, pg_current_snapshot()::text, 100, b) r GROUP BY 1 ORDER BY 1;
-- The position advances past what no webhook wants.
SELECT * FROM hook.reading(:start_position + 3, pg_current_snapshot()::text);
-- Rows below the position that its snapshot did not see are late, and come first, in portions.
SELECT * FROM hook.reading(:start_position + 3, :'start_snapshot', 1);
SELECT * FROM hook.reading(:start_position, :'start_snapshot', 1);
SELECT created_at ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$' AS iso, secret, old_secret
  FROM webhook_read(:start_position, :'start_snapshot', 1, 1000000) WHERE webhook = :a;

-- The old secret is handed out while it is valid.
UPDATE hook.webhooks SET old_secret = 'before', old_secret_expires_at = now() + interval '1 h' WHERE id = :a;
SELECT secret, old_secret FROM webhook_read(:start_position, :'start_snapshot', 1, 1000000) WHERE webhook = :a;
UPDATE hook.webhooks SET old_secret_expires_at = now() - interval '1 s' WHERE id = :a;
SELECT secret, old_secret FROM webhook_read(:start_position, :'start_snapshot', 1, 1000000) WHERE webhook = :a;

-- Under a lease: failed ones are stored, later ones of the conversation wait behind them.
SELECT epoch FROM chat.consumer_acquire('webhooks', 'test', 60000) \gset
CREATE FUNCTION hook.save(epoch bigint, webhook uuid, event_id bigint, action text, stored boolean DEFAULT false,
                          attempt integer DEFAULT 1, status integer DEFAULT 200, error text DEFAULT NULL,
                          delay bigint DEFAULT NULL, counted boolean DEFAULT true, disable text DEFAULT NULL,
                          pause bigint DEFAULT NULL, message text DEFAULT NULL)
    RETURNS TABLE (saved boolean, due boolean) LANGUAGE sql AS
$$
    SELECT * FROM chat.webhook_save(epoch, ARRAY[ROW(webhook, event_id, COALESCE(message, 'evt_' || event_id), 'message.received', action, stored,
        attempt, status, error, 'answer', 12, delay, counted, disable, pause)::chat.webhook_outcome])
$$;
CREATE VIEW hook.pending AS
    SELECT w.url, d.event_id - (SELECT min(event_id) FROM chat.webhook_attempt WHERE webhook IN (SELECT id FROM hook.webhooks)) AS event,
           d.conversation, d.attempts,
           CASE WHEN d.next_attempt_at IS NULL THEN 'waits' WHEN d.next_attempt_at <= clock_timestamp() THEN 'due'
                ELSE 'later' END AS next, d.last_error
      FROM chat.webhook_delivery d JOIN hook.webhooks w ON w.id = d.webhook ORDER BY w.url, d.event_id, d.message_id;

SELECT hook.emit(:u1, '1', 'message.received', 'three');
SELECT hook.emit(:u1, '1', 'message.received', 'four');
SELECT hook.emit(:u1, '9', 'message.received', 'other conversation');
SELECT * FROM hook.save(:epoch - 1, :a, :start_position + 1, 'done');
SELECT * FROM hook.save(:epoch, :a, :start_position + 1, 'retry', false, 1, 500, 'HTTP 500', 60000);
SELECT * FROM hook.save(:epoch, :a, :start_position + 6, 'store', false, 0, 0);
SELECT * FROM hook.save(:epoch, :a, :start_position + 7, 'store', false, 0, 0);
SELECT * FROM hook.save(:epoch, :a, :start_position + 7, 'store', false, 0, 0);
SELECT * FROM hook.save(:epoch, :b, :start_position + 1, 'done');
SELECT * FROM hook.pending;
SELECT url, failure_count, first_failure_at IS NOT NULL AS failing, last_error, last_triggered_at IS NOT NULL AS triggered
  FROM hook.webhooks ORDER BY url;
-- What is stored is not read again; what comes later in the conversation is blocked, elsewhere not.
SELECT * FROM hook.reading(:start_position, :'start_snapshot');
SELECT hook.emit(:u1, '1', 'message.received', 'five');
SELECT * FROM hook.reading(:start_position + 8, pg_current_snapshot()::text);

-- Nothing is due before its time, and then only the head of each pair.
SELECT count(*) FROM chat.webhook_due(10, 1000000, '{}', '{}');
UPDATE chat.webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL;
SELECT id - :start_position AS event, url, secret, conversation, body::jsonb -> 'data' AS payload, attempts FROM chat.webhook_due(10, 1000000, '{}', '{}');
-- It is sent as the reader would have it, byte for byte.
SELECT d.type, position(convert_to(d.body, 'UTF8') IN p.piece) > 0 AS same_body, to_timestamp(d.created_at / 1000000.0) = e.created_at AS its_time
  FROM chat.webhook_due(10, 1000000, '{}', '{}') d JOIN chat.events e ON e.id = d.id, chat.read_log(d.id - 1, pg_current_snapshot()::text, NULL, NULL, 1, 1000000, 4) p (piece);
SET TIME ZONE 'America/Sao_Paulo';
SELECT chat.hook_body('evt_1', 'message.received', '2026-01-31 12:34:56.7899+00', '{"a":  "ü"}') AS body, chat.hook_body('evt_"', E'\\\n', '0099-01-31 12:34:56+00', '1') AS escaped, chat.hook_body('evt_1', 'x', now(), NULL) IS NULL AS nothing;
SELECT chat.hook_body('evt_1', 'x', 'infinity', '{}');
SELECT chat.hook_body('evt_1', 'x', '10000-01-02', '{}');
SET TIME ZONE 'UTC';
SELECT count(*) FROM chat.webhook_due(10, 1000000, (SELECT array_agg(id) FROM chat.webhook_delivery), '{}');
SELECT count(*) FROM chat.webhook_due(10, 1000000, '{}', ARRAY[:a]::uuid[]);
SELECT * FROM hook.save(:epoch, :a, :start_position + 1, 'retry', true, 2, 503, 'HTTP 503', 60000, false, NULL, 60000);
SELECT * FROM hook.pending;
SELECT failure_count FROM hook.webhooks WHERE id = :a;
UPDATE chat.webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL;
SELECT count(*) AS paused FROM chat.webhook_due(10, 1000000, '{}', '{}');
UPDATE chat.webhook_state SET paused_until = now();
-- The head is done: the next of the conversation is due at once.
SELECT * FROM hook.save(:epoch, :a, :start_position + 1, 'done', true, 3);
SELECT * FROM hook.pending;
SELECT failure_count, first_failure_at, last_error FROM hook.webhooks WHERE id = :a;
SELECT id - :start_position AS event, body::jsonb -> 'data' AS payload FROM chat.webhook_due(10, 1000000, '{}', '{}');
SELECT * FROM hook.save(:epoch, :a, :start_position + 6, 'done', true);
SELECT * FROM hook.save(:epoch, :a, :start_position + 7, 'done', true);
-- Blocked when it was read, free by now: due at once.
SELECT * FROM hook.save(:epoch, :a, :start_position + 9, 'store', false, 0, 0);
SELECT * FROM hook.save(:epoch, :a, :start_position + 9, 'done', true);
-- An attempt that is under way.
SELECT * FROM hook.save(:epoch, :a, :start_position + 8, 'hold', false, 0, 0, NULL, 25000);
SELECT * FROM hook.pending;
SELECT * FROM hook.save(:epoch, :a, :start_position + 8, 'done', true);
SELECT count(*) FROM hook.pending;
SELECT event_id - :start_position AS event, attempt, status, error, response, duration_ms
  FROM chat.webhook_attempt WHERE webhook = :a ORDER BY id;

-- A conversation that was resolved is also closed.
UPDATE chat.event SET webhook = 'conversation.updated', changes = '{"status": {"old": "open", "new": "resolved"}}'
 WHERE id = :start_position + 9;
SELECT * FROM hook.reading(:start_position + 8, pg_current_snapshot()::text);

-- What was delivered before a crash lost the position is not handed out again.
SELECT message, url FROM hook.reading(:start_position, pg_current_snapshot()::text) WHERE id <= 6 AND url IS NOT NULL;

-- 410, or five days of failure: off, with the reason, and the owner is told.
SELECT * FROM hook.save(:epoch, :a, :start_position + 1, 'done', false, 1, 410, 'HTTP 410', NULL, true, 'the endpoint answered 410 Gone');
SELECT is_active, disabled_at IS NOT NULL AS disabled, disabled_reason FROM hook.webhooks WHERE id = :a;
SELECT * FROM hook.save(:epoch, :b, :start_position + 1, 'retry', false, 1, 500, 'HTTP 500', 60000);
UPDATE chat.webhook_state SET first_failure_at = now() - interval '4 days 23 h';
SELECT * FROM hook.save(:epoch, :b, :start_position + 1, 'retry', true, 2, 500, 'HTTP 500', 60000);
SELECT is_active, failure_count FROM hook.webhooks WHERE id = :b;
UPDATE chat.webhook_state SET first_failure_at = now() - interval '5 days 1 s';
SELECT * FROM hook.save(:epoch, :b, :start_position + 1, 'retry', true, 3, 500, 'HTTP 500', 60000);
SELECT is_active, failure_count, disabled_reason FROM hook.webhooks WHERE id = :b;
SELECT topic, owner, webhook, payload FROM chat.events WHERE event = 'webhook.disabled' AND id > :start_position ORDER BY id;
SELECT chat.enable_webhook(:b), chat.enable_webhook(:b, :u1), chat.enable_webhook(:b, :u2);
SELECT is_active, failure_count, first_failure_at, disabled_at, disabled_reason, last_error FROM hook.webhooks WHERE id = :b;

-- Making one.
SELECT made - 'id' - 'secret' - 'createdAt' AS webhook, made ? 'id' AS has_id,
       made ->> 'secret' ~ '^whsec_[A-Za-z0-9+/]{32}$' AS generated, made ->> 'createdAt' ~ 'T' AS has_time
  FROM chat.create_webhook(:u1, 'http://10.0.0.1:8080/hook?x=1', '{message.sent,message.received,message.sent}') AS made;
SELECT chat.create_webhook(:u1, 'https://example.com', '{*}', 'my own secret, of 16') ->> 'secret' AS secret;
SELECT s AS secret, chat.create_webhook(:u1, 'https://example.com', '{*}', s) ->> 'secret' = s AS taken
  FROM unnest(ARRAY['whsec_' || encode(sha256('x'), 'base64'), 'whsec_' || encode(substr(sha256('x'), 1, 24), 'base64'), repeat('s', 255), 'whsec-is-no-prefix']) s;
\set QUIET on
CREATE FUNCTION hook.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    col text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS col = COLUMN_NAME, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, col, SQLERRM, hint);
END $$;
\set QUIET off
SELECT length(s) AS chars, left(s, 16) AS secret, hook.refusal(format('SELECT chat.create_webhook(%L, ''https://example.com'', ''{*}'', %L)', :u1, s)) AS refused
  FROM unnest(ARRAY['', 'fifteen letters', repeat('s', 256), 'whsec_not base64!', 'whsec_', 'whsec_' || encode(substr(sha256('x'), 1, 23), 'base64'),
    'whsec_' || rtrim(encode(sha256('x'), 'base64'), '='), 'whsec_' || translate(encode(sha256('x') || sha256('y') || 'z', 'base64'), E'\n', ''),
    'whsec_' || repeat('A', 42) || 'B=', 'whsec_' || repeat('A', 40) || E'\n' || 'AAA', 'WHSEC_' || repeat('A', 40) || '!!!!']) s;
SELECT chat.create_webhook(NULL, 'https://example.com/', '{*}');
SELECT chat.create_webhook(:u1, 'ftp://example.com/', '{*}');
SELECT chat.create_webhook(:u1, 'https:///path', '{*}');
SELECT chat.create_webhook(:u1, NULL, '{*}');
SELECT chat.create_webhook(:u1, E'https://example.com/\nx', '{*}');
SELECT chat.create_webhook(:u1, 'https://me:word@example.com/', '{*}');
SELECT chat.create_webhook(:u1, 'https://example.com/' || repeat('x', 2048), '{*}');
SELECT chat.create_webhook(:u1, 'https://example.com/', '{message.received,nonsense}');
SELECT chat.create_webhook(:u1, 'https://example.com/', '{}');
SELECT chat.create_webhook(:u1, 'https://example.com/a@b', '{message.received}') ->> 'url' AS url;

-- Rotating keeps the old secret for a while.
SELECT chat.rotate_webhook_secret(:c, '1 h') ->> 'secret' ~ '^whsec_' AS rotated;
UPDATE hook.webhooks SET secret = 'first' WHERE id = :c;
SELECT chat.rotate_webhook_secret(:c, '1 h') ? 'oldSecretExpiresAt' AS rotated;
SELECT old_secret, old_secret_expires_at > now() + interval '59 min' AS valid FROM hook.webhooks WHERE id = :c;
SELECT chat.rotate_webhook_secret('dddddddd-0000-0000-0000-000000000000');
SELECT chat.rotate_webhook_secret(:c, '-1 s');

-- By hand.
SELECT chat.test_webhook(:c) ->> 'type' AS type, chat.test_webhook(:c, :u1) AS foreign_owner;
SELECT type, url, body::jsonb -> 'data' AS payload FROM chat.webhook_due(10, 1000000, '{}', ARRAY[:b]::uuid[]);
SELECT chat.redeliver((SELECT min(id) FROM chat.webhook_attempt WHERE webhook = :a)) ->> 'type' AS again;
SELECT chat.redeliver(-1);

-- A user has its own webhooks only.
CREATE ROLE regress_hook_user;
GRANT EXECUTE ON FUNCTION chat.create_webhook(text, text, text[], text, jsonb), chat.enable_webhook(uuid, text)
   TO regress_hook_user;
SET ROLE regress_hook_user;
SELECT chat.create_webhook(:u1, 'https://example.com/', '{*}');
SELECT chat.enable_webhook(:a);
SELECT set_config('request.jwt.claims', format('{"sub": "%s"}', :u1), false) <> '' AS signed_in;
SELECT chat.create_webhook(:u1, 'https://example.com/', '{*}') ? 'secret' AS made;
SELECT chat.create_webhook(:u2, 'https://example.com/', '{*}');
SELECT chat.enable_webhook(:b) AS own, chat.enable_webhook(:c) AS of_another;
SELECT chat.enable_webhook(:c, :u2);
RESET ROLE;
RESET request.jwt.claims;
DROP OWNED BY regress_hook_user;
DROP ROLE regress_hook_user;

-- An owner has so many, of whatever kind, and what exists stays.
BEGIN;
SELECT count(*) - 1 AS most FROM hook.webhooks WHERE user_id = :u1 \gset
SELECT set_config('chat_realtime.max_webhooks', (:most + 2)::text, true) <> '' AS limited;
SELECT chat.create_webhook(:u1, 'https://example.com/', '{*}') ? 'secret' AS made;
SELECT hook.refusal(format('SELECT chat.create_webhook(%L, ''https://example.com'', ''{*}'')', :u1)) ~ '^54000 \|  \| an owner may have \d+ webhooks, and has \d+' AS refused;
SET LOCAL chat_realtime.max_webhooks = 1;
SELECT hook.refusal(format('SELECT chat.create_webhook(%L, ''https://example.com'', ''{*}'')', :u1)) ~ '^54000 \|  \| an owner may have 1 webhooks' AS refused;
SELECT hook.refusal(format('SELECT chat.create_webhook(%L, ''https://example.com'', ''{*}'')', '99999999-9999-9999-9999-999999999999')) AS another_owner;
ROLLBACK;

-- Owners take turns with what is due, and of the bytes there is at least one delivery.
BEGIN;
DELETE FROM chat.webhook_delivery;
DELETE FROM chat.webhook_state;
UPDATE hook.webhooks SET is_active = true;
INSERT INTO chat.webhook_delivery (webhook, event_id, message_id, type, conversation, created_at, payload, next_attempt_at)
SELECT w.id, n, 'evt_' || n, 'message.received', n, now(), '{"n": 123456}', now() - interval '1 h' + n * interval '1 s'
  FROM (VALUES (:a::uuid, 1, 5), (:c::uuid, 11, 12)) w (id, low, high), generate_series(w.low, w.high) n;
SELECT id, owner FROM chat.webhook_due(10, 1000000, '{}', '{}');
SELECT count(*) FROM chat.webhook_due(10, 20, '{}', '{}');
ROLLBACK;

-- Clearing up: partitions of today and two days more, none twice; what belongs to no webhook goes.
SELECT * FROM chat.make_attempt_partitions();
SELECT * FROM chat.make_attempt_partitions();
SELECT count(*) >= 2 AS made FROM pg_inherits WHERE inhparent = 'chat.webhook_attempt'::regclass
   AND inhrelid::regclass::text ~ '_\d{8}$';
CREATE TABLE chat.webhook_attempt_20200101 PARTITION OF chat.webhook_attempt
    FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2020-01-02 00:00:00+00');
INSERT INTO chat.webhook_delivery (webhook, event_id, message_id, type, created_at, payload)
VALUES ('dddddddd-0000-0000-0000-000000000000', 1, 'evt_1', 'message.received', now(), '{}');
SELECT * FROM chat.drop_attempt_partitions();
SELECT * FROM chat.forget_deliveries();
SELECT to_regclass('chat.webhook_attempt_20200101') AS dropped, count(*) AS orphans
  FROM chat.webhook_delivery WHERE webhook = 'dddddddd-0000-0000-0000-000000000000';

-- A table without the newer columns works too.
ALTER TABLE hook.webhooks DROP COLUMN old_secret, DROP COLUMN first_failure_at, DROP COLUMN disabled_at,
    DROP COLUMN disabled_reason, DROP COLUMN last_error;
SELECT chat.enable_webhook(:a);
SELECT count(*) FROM hook.reading(:start_position, :'start_snapshot') WHERE url = 'https://a.example/';
SELECT * FROM hook.save(:epoch, :a, :start_position + 1, 'done', true, 1, 410, 'HTTP 410', NULL, true, 'the endpoint answered 410 Gone');
SELECT is_active, failure_count FROM hook.webhooks WHERE id = :a;
-- Without a table of webhooks the position still advances.
DELETE FROM chat.attachment WHERE messages = 'hook.messages'::regclass;
SELECT id > :start_position AS advanced, message_id FROM webhook_read(:start_position, :'start_snapshot', 100, 1000000);
SELECT count(*) FROM chat.webhook_due(10, 1000000, '{}', '{}');
SELECT chat.create_webhook(:u1, 'https://example.com/', '{*}');

\set QUIET on
DELETE FROM chat.webhook_delivery;
DELETE FROM chat.webhook_attempt;
DELETE FROM chat.webhook_state;
SELECT chat.consumer_release('webhooks', :epoch);
DROP SCHEMA hook CASCADE;
DROP FUNCTION webhook_read, read_log, number_of, words_of;
