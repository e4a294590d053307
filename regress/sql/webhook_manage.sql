-- Webhooks as their owners manage them: attempts, sending again, tests, health, recovery.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_webhook_manage;
\c regress_webhook_manage
SET client_min_messages = warning;
SET TIME ZONE 'America/Sao_Paulo';
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM chat.setup() \gset setup_
\set SHOW_CONTEXT never
\set owner '''00000000-0000-4000-8000-000000000001'''
\set other '''00000000-0000-4000-8000-000000000002'''
SELECT chat.create_webhook(:owner, 'https://example.com/a', '{*}') ->> 'id' AS a \gset
SELECT chat.create_webhook(:other, 'https://example.com/b', '{*}') ->> 'id' AS b \gset
INSERT INTO public.conversations (id, user_id, contact_jid) VALUES (1, :owner, 'a@s.whatsapp.net'), (2, :owner, 'b@s.whatsapp.net');
INSERT INTO public.chat_messages (conversation_id, content, direction) VALUES (1, 'one', 'incoming'), (2, 'two', 'incoming'), (1, 'three', 'incoming');
SELECT epoch FROM chat.consumer_acquire('webhooks', 'test', 600000) \gset
-- The nth received message, as a sidecar tells what became of it.
CREATE FUNCTION attempt(epoch bigint, webhook uuid, n integer, error text DEFAULT NULL, action text DEFAULT 'done', stored boolean DEFAULT false,
                        status integer DEFAULT NULL, duration integer DEFAULT 10, disable text DEFAULT NULL) RETURNS boolean LANGUAGE sql AS
$$
    SELECT s.saved FROM (SELECT v.id FROM chat.events v WHERE v.webhook = 'message.received' ORDER BY v.id OFFSET n - 1 LIMIT 1) e,
        chat.webhook_save(epoch, ARRAY[ROW(webhook, e.id, 'evt_' || e.id, 'message.received', action, stored, 1,
            COALESCE(status, CASE WHEN error IS NULL THEN 200 ELSE 500 END), error, 'answer', duration, 60000, true, disable, NULL)::chat.webhook_outcome]) s
$$;

-- Nothing yet.
SELECT chat.list_webhook_attempts(:'a');
SELECT w - '{id,url}'::text[] AS health FROM jsonb_array_elements(chat.webhook_health(:owner) -> 'data') w;

SELECT attempt(:epoch, :'a', 1, duration => 40), attempt(:epoch, :'a', 2, duration => 20);
SELECT attempt(:epoch, :'a', 3, 'HTTP 500', 'retry', duration => 30), attempt(:epoch, :'b', 1);

-- The newest first, page by page; nobody else's.
SELECT w - '{id,webhookId,messageId,at}'::text[] AS attempt, w ->> 'webhookId' = :'a' AS of_a, w ->> 'messageId' ~ '^evt_\d+$' AS message, w ->> 'at' ~ '\+00:00$' AS utc
  FROM jsonb_array_elements(chat.list_webhook_attempts(:'a') -> 'data') w;
SELECT chat.list_webhook_attempts(:'a', 2) #- '{data}' #- '{pagination,cursor}' AS first_page, chat.list_webhook_attempts(:'a', 2) #>> '{pagination,cursor}' AS cursor \gset page_
SELECT :'page_first_page';
SELECT w -> 'durationMs' AS duration, p #> '{pagination,hasMore}' AS more FROM chat.list_webhook_attempts(:'a', 2, :'page_cursor') p, jsonb_array_elements(p -> 'data') w;
-- What has the same time as the last one of a page comes on the next.
UPDATE chat.webhook_attempt SET at = '2026-01-01' WHERE webhook = :'a';
SELECT chat.list_webhook_attempts(:'a', 1) #>> '{pagination,cursor}' AS cursor \gset page_
SELECT w -> 'durationMs' AS duration FROM jsonb_array_elements(chat.list_webhook_attempts(:'a', 5, :'page_cursor') -> 'data') w;
UPDATE chat.webhook_attempt SET at = now() WHERE webhook = :'a';
SELECT chat.list_webhook_attempts(:'a', 0);
SELECT chat.list_webhook_attempts(:'a', 5, 'nonsense');
SELECT chat.list_webhook_attempts(:'b', owner => :owner) AS of_another, chat.list_webhook_attempts(gen_random_uuid()) AS nobodys, chat.list_webhook_attempts(NULL) AS nothing;
SELECT chat.list_webhook_attempts(:'a', 1000) #> '{pagination,limit}' AS at_most;

-- One with what was sent.
SELECT id AS one FROM chat.webhook_attempt WHERE webhook = :'a' ORDER BY id LIMIT 1 \gset
SELECT id AS failed FROM chat.webhook_attempt WHERE webhook = :'a' AND error IS NOT NULL \gset
SELECT g #>> '{body,data,content}' AS content, g #> '{body,type}' AS type, g #>> '{body,id}' = g ->> 'messageId' AS same_id, g #> '{body,event}' AS event,
       g #>> '{body,timestamp}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$' AS iso, g -> 'error' AS error
  FROM unnest(ARRAY[:one, :failed]) i, chat.get_webhook_attempt(i) g;
SELECT chat.get_webhook_attempt(:one, :other) AS of_another, chat.get_webhook_attempt(-1) AS no_such, chat.get_webhook_attempt(NULL) AS nothing;

-- How they do.
SELECT w - '{id,url,lastAttemptAt,lastSuccessAt,failingSince}'::text[] #- '{lastFailure,at}' AS health, w ->> 'failingSince' ~ '\+00:00$' AS failing, w ->> 'lastSuccessAt' ~ '\+00:00$' AS succeeded
  FROM jsonb_array_elements(chat.webhook_health(:owner) -> 'data') w;
SELECT chat.webhook_health(:owner) - 'data' AS envelope;
SELECT chat.webhook_health(NULL);
SELECT chat.webhook_health('nobody');

-- Again: one.
SELECT chat.redeliver(:failed) ->> 'type' AS due_now, chat.redeliver(:one) ->> 'type' AS again, chat.redeliver(:one, :other) AS of_another;
DELETE FROM chat.webhook_delivery;
-- All since a time: those of a conversation in their order, the conversations side by side, whatever became of them.
SELECT chat.redeliver(:'a', now() - interval '1 h') AS messages;
CREATE VIEW waiting AS
    SELECT e.payload::jsonb ->> 'content' AS content, regexp_replace(d.conversation, '^again:[0-9a-f]{18}:', 'again:') AS conversation, d.next_attempt_at <= clock_timestamp() AS due
      FROM chat.webhook_delivery d JOIN chat.events e ON e.id = d.event_id ORDER BY d.event_id;
SELECT * FROM waiting;
-- Each that is done makes the next one due.
SELECT attempt(:epoch, :'a', 1, stored => true);
SELECT * FROM waiting;
-- What is stored already becomes due where it does not wait behind another one.
UPDATE chat.webhook_delivery SET next_attempt_at = next_attempt_at + interval '1 h';
SELECT chat.redeliver(:'a', now() - interval '1 h', clock_timestamp()) AS messages;
SELECT * FROM waiting;
SELECT chat.redeliver(:'a', '2020-01-01', '2020-01-02') AS nothing_then, chat.redeliver(:'b', '2020-01-01', owner => :owner) AS of_another;
SELECT chat.redeliver(:'a', NULL::timestamptz);
SELECT chat.redeliver(:'a', now(), NULL::timestamptz);
SELECT chat.redeliver(:'a', now() + interval '1 s');
INSERT INTO chat.webhook_attempt (webhook, event_id, message_id, type, attempt, status, duration_ms, at)
SELECT :'a', 0, 'evt_' || n, 'message.received', 1, 200, 1, '2026-01-01' FROM generate_series(1, 10001) n;
SELECT chat.redeliver(:'a', '2026-01-01', '2026-01-02');
DELETE FROM chat.webhook_attempt WHERE at = '2026-01-01';
DELETE FROM chat.webhook_delivery;
-- What is no longer in the log cannot be sent again.
BEGIN;
TRUNCATE chat.event;
SELECT chat.redeliver(:'a', now() - interval '1 h') AS messages, chat.redeliver(:one) AS one, chat.get_webhook_attempt(:one) -> 'body' AS body;
ROLLBACK;

-- Tests, of any event.
SELECT chat.test_webhook(:'a') ->> 'type' AS plain, chat.test_webhook(:'a', event => NULL) ->> 'type' AS null_event, chat.test_webhook(:'a', owner => :other) AS of_another;
CREATE TEMP TABLE tested AS SELECT chat.test_webhook(:'a', :owner, k.webhook) AS answer FROM (SELECT DISTINCT webhook FROM chat.event_kinds() WHERE webhook IS NOT NULL) k;
SELECT d.type, t.answer ->> 'type' = d.type AS same, d.message_id ~ '^evt_test_[0-9a-f]{18}$' AS id, regexp_replace(d.payload, '\d{4}-\d\d-\d\dT[0-9:.]+\+00:00', 'TIME', 'g') AS payload
  FROM tested t JOIN chat.webhook_delivery d ON d.message_id = t.answer ->> 'messageId' ORDER BY 1;
SELECT type, payload::jsonb - 'webhookId' AS payload FROM chat.webhook_delivery WHERE type = 'webhook.test';
SELECT chat.test_webhook(:'a', event => 'message.new');
SELECT chat.test_webhook(:'a', event => '*');
SELECT count(chat.test_webhook(:'a')) FROM generate_series(1, 101);
DELETE FROM chat.webhook_delivery;

-- One that failed for a moment is no news when it works again; one that failed for ten minutes is.
CREATE VIEW told AS SELECT event, topic, webhook, payload::jsonb - 'id' #- '{reason}' AS payload, regexp_replace(payload::jsonb ->> 'reason', '\d{4}-\d\d-\d\dT[0-9:.]+\+00:00', 'TIME') AS reason
  FROM chat.events WHERE event LIKE 'webhook.%' ORDER BY id;
SELECT attempt(:epoch, :'a', 1), (SELECT count(*) FROM told) AS told;
SELECT attempt(:epoch, :'a', 1, 'HTTP 500');
UPDATE chat.webhook_state SET first_failure_at = now() - interval '11 minutes' WHERE webhook = :'a';
SELECT attempt(:epoch, :'a', 1);
SELECT * FROM told;
SELECT attempt(:epoch, :'a', 1), (SELECT count(*) FROM told) AS told_once;
-- So is one that was disabled, when it is on again and the first delivery succeeds.
SELECT attempt(:epoch, :'a', 1, 'HTTP 410', status => 410, disable => 'the endpoint answered 410 Gone');
SELECT w -> 'isActive' AS active, w ->> 'disabledAt' IS NOT NULL AS disabled, w -> 'disabledReason' AS reason FROM jsonb_array_elements(chat.webhook_health(:owner) -> 'data') w;
-- An answer that was under way meanwhile changes nothing of that.
SELECT attempt(:epoch, :'a', 2), (SELECT disabled_at IS NOT NULL FROM chat.webhook_state WHERE webhook = :'a') AS disabled, (SELECT count(*) FROM told) AS told;
SELECT chat.enable_webhook(:'a');
SELECT w -> 'isActive' AS active, w -> 'disabledAt' AS disabled, w -> 'disabledReason' AS reason, w -> 'failingSince' AS failing FROM jsonb_array_elements(chat.webhook_health(:owner) -> 'data') w;
SELECT attempt(:epoch, :'a', 1), attempt(:epoch, :'a', 1);
SELECT * FROM told OFFSET 1;
SELECT count(*) AS states FROM chat.webhook_state WHERE disabled_at IS NOT NULL;

-- Who did it.
SELECT action, details - '{since,until,messageId}'::text[] AS details, count(*) FROM chat.audit_log WHERE object = :'a' AND action IN ('webhook.redelivered', 'webhook.tested') GROUP BY 1, 2 ORDER BY 1, 2;

-- Only one's own, and with the scope for it.
CREATE ROLE webhook_manage_user;
GRANT USAGE ON SCHEMA chat TO webhook_manage_user;
SELECT chat.grant_functions('webhook_manage_user', '{list_webhook_attempts,get_webhook_attempt,redeliver,test_webhook,webhook_health}');
SET ROLE webhook_manage_user;
SELECT chat.list_webhook_attempts(:'a');
SELECT chat.redeliver(:'a', now());
SELECT chat.webhook_health(:owner);
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002"}';
SELECT chat.list_webhook_attempts(:'a') AS attempts, chat.get_webhook_attempt(:one) AS attempt, chat.redeliver(:'a', now()) AS again, chat.redeliver(:one) AS one, chat.test_webhook(:'a', event => 'message.sent') AS test;
SELECT chat.list_webhook_attempts(:'a', owner => :owner);
SELECT chat.webhook_health(:owner);
SELECT jsonb_array_length(chat.list_webhook_attempts(:'b') -> 'data') AS attempts, chat.webhook_health(:other) #> '{data,0,successRate}' AS rate, chat.test_webhook(:'b', event => 'message.sent') ->> 'type' AS test;
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002", "api_key_id": "1", "scopes": ["chat:write"]}';
SELECT chat.list_webhook_attempts(:'b');
SELECT chat.webhook_health(:other);
SELECT chat.redeliver(:'b', now());
RESET request.jwt.claims;
RESET ROLE;

-- The sidecar's console: those in trouble of all owners, and sending again as nobody's user.
SELECT attempt(:epoch, :'a', 2, 'HTTP 503', 'retry', status => 503), attempt(:epoch, :'b', 1, 'HTTP 410', status => 410, disable => 'the endpoint answered 410 Gone');
CREATE ROLE webhook_manage_sidecar;
SELECT chat.grant_sidecar('webhook_manage_sidecar');
SET ROLE webhook_manage_sidecar;
SELECT f.total, w ->> 'id' = :'a' AS of_a, w ->> 'owner' AS owner, w ->> 'url' AS url, w -> 'isActive' AS active, w -> 'failures' AS failures, w ->> 'lastError' AS error, w -> 'disabledReason' AS disabled,
       w -> 'pending' AS pending, jsonb_array_length(w -> 'attempts') AS attempts, (w #> '{attempts,0}') - '{id,messageId,at}'::text[] AS newest
  FROM chat.webhook_failing(20, 2) f, jsonb_array_elements(f.webhooks) w;
SELECT total, jsonb_array_length(webhooks) AS shown FROM chat.webhook_failing(1, 0);
SELECT w #>> '{attempts,0,id}' AS failed FROM chat.webhook_failing(1, 1) f, jsonb_array_elements(f.webhooks) w \gset
SELECT w #>> '{attempts,0,id}' AS off FROM chat.webhook_failing(2, 1) f, jsonb_array_elements(f.webhooks) w WHERE NOT (w -> 'isActive')::boolean \gset
SELECT message_id ~ '^evt_\d+$' AS message, type FROM chat.webhook_again(:failed);
SELECT count(*) AS of_none_or_off FROM unnest(ARRAY[-1, NULL, :off]) i, chat.webhook_again(i);
-- Where webhooks point to, for its doctor: neither paths nor credentials.
RESET ROLE;
UPDATE public.chat_external_webhooks SET is_active = true, url = 'https://me:word@EXAMPLE.test:8443/secret?token=1' WHERE id = :'b';
SET ROLE webhook_manage_sidecar;
SELECT * FROM chat.webhook_origins(50);
SELECT count(*) FROM chat.webhook_origins(1);
-- Only what it was given.
SELECT chat.redeliver(:failed);
SELECT chat.audit_as('somebody', 'a', 'b', NULL);
SELECT count(*) FROM chat.audit_log;
RESET ROLE;
SELECT due FROM waiting;
SELECT actor, role, action, details ->> 'messageId' ~ '^evt_\d+$' AS message FROM chat.audit_log WHERE actor = 'console';
-- A text is cut.
UPDATE chat.webhook_attempt SET response = repeat('é', 1000), error = repeat('x', 1000) WHERE id = :failed;
SELECT length(w #>> '{attempts,0,response}') AS response, length(w #>> '{attempts,0,error}') AS error FROM chat.webhook_failing(1, 1) f, jsonb_array_elements(f.webhooks) w;
DROP OWNED BY webhook_manage_sidecar;

\c contrib_regression
DROP DATABASE regress_webhook_manage;
DROP ROLE webhook_manage_user;
DROP ROLE webhook_manage_sidecar;
