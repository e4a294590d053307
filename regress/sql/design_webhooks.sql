-- The design's table of webhooks: secret may be NULL, and there is no old_secret, last_error, disabled_at or disabled_reason.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE DATABASE regress_design_webhooks;
\c regress_design_webhooks
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
CREATE TABLE chat_external_webhooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, url varchar(2048) NOT NULL, events text[] NOT NULL, secret varchar(255),
    is_active boolean DEFAULT true, failure_count integer DEFAULT 0, last_triggered_at timestamptz,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
\set u '''11111111-1111-1111-1111-111111111111'''
\set a '''aaaaaaaa-0000-0000-0000-000000000000'''
\set b '''bbbbbbbb-0000-0000-0000-000000000000'''
\set c '''cccccccc-0000-0000-0000-000000000000'''
INSERT INTO chat_external_webhooks (id, user_id, url, events, secret) VALUES
    (:a, :u, 'https://a.example/', '{*}', NULL), (:b, :u, 'https://b.example/', '{*}', ''), (:c, :u, 'https://c.example/', '{*}', 'the secret it had');
CREATE FUNCTION secrets() RETURNS TABLE (url text, secret text) LANGUAGE sql AS
$$ SELECT url, CASE WHEN secret ~ '^whsec_' THEN 'a new one' ELSE COALESCE(secret, 'none') END FROM chat_external_webhooks ORDER BY url $$;
CREATE FUNCTION noted(id text) RETURNS SETOF text LANGUAGE sql AS
$$ SELECT concat_ws(' ', action, details) FROM chat.audit_log l WHERE l.object = noted.id ORDER BY l.id $$;
CREATE VIEW listed AS
    SELECT w ->> 'url' AS url, w -> 'isActive' AS active, w -> 'failureCount' AS failures, w ->> 'lastError' AS error,
           w ->> 'disabledAt' IS NOT NULL AS disabled, w ->> 'disabledReason' AS reason
      FROM jsonb_array_elements(chat.list_webhooks('11111111-1111-1111-1111-111111111111') -> 'data') w ORDER BY 1;
-- What became of one attempt, as the sidecar tells it.
SELECT epoch FROM chat.consumer_acquire('webhooks', 'test', 60000) \gset
CREATE FUNCTION attempt(epoch bigint, webhook uuid, error text, disable text DEFAULT NULL) RETURNS boolean LANGUAGE sql AS
$$
    SELECT saved FROM chat.webhook_save(epoch, ARRAY[ROW(webhook, 1, 'evt_1', 'message.sent', 'done', false, 1,
        CASE WHEN error IS NULL THEN 200 ELSE 500 END, error, NULL, 5, 0, true, disable, NULL)::chat.webhook_outcome])
$$;
\set QUIET off
-- Attached, all have a secret, and it is said; the second time there is nothing to do.
SELECT action FROM chat.setup() WHERE object = 'public.chat_external_webhooks' AND action ~ 'secret and';
SELECT * FROM secrets();
SELECT noted(:a);
SELECT count(*) FROM chat.setup() WHERE object = 'public.chat_external_webhooks' AND action ~ 'secret and|trigger';
-- So have those that others make or change later.
INSERT INTO chat_external_webhooks (user_id, url, events) VALUES (:u, 'https://d.example/', '{*}');
UPDATE chat_external_webhooks SET secret = NULL WHERE id = :c;
SELECT * FROM secrets();
SELECT count(*) FROM chat.hints() WHERE hint ~ 'signed';

-- Rotating: there is no place for the old secret, so no grace, which is said.
SELECT r ->> 'secret' AS secret, r - 'secret' AS rotated FROM chat.rotate_webhook_secret(:a, '1 h') r \gset
SELECT :'rotated' AS rotated, w.secret = :'secret' AS stored FROM chat_external_webhooks w WHERE w.id = :a;
SELECT noted(:a);
-- With one there is, for a secret that was there.
BEGIN;
ALTER TABLE chat_external_webhooks ADD COLUMN old_secret text, ADD COLUMN old_secret_expires_at timestamptz;
SELECT (chat.rotate_webhook_secret(:a) ->> 'oldSecretExpiresAt')::timestamptz > now() + interval '23 h' AS grace;
ROLLBACK;

-- Why it failed, and why it is off, is known without columns for it.
SELECT attempt(:epoch, :a, 'HTTP 500'), attempt(:epoch, :b, 'HTTP 404');
SELECT * FROM listed;
SELECT attempt(:epoch, :b, NULL), attempt(:epoch, :a, 'HTTP 410', 'the endpoint answered 410 Gone');
SELECT * FROM listed;
SELECT event, payload::jsonb ->> 'reason' AS reason FROM chat.events ORDER BY id;
SELECT count(*) FROM chat.forget_deliveries();
SELECT reason FROM listed WHERE disabled;
-- On again, by the API or by hand, that is over.
UPDATE chat_external_webhooks SET is_active = true WHERE id = :a;
SELECT * FROM listed WHERE url ~ 'a.example';
SELECT attempt(:epoch, :a, NULL);
UPDATE chat_external_webhooks SET is_active = false WHERE id = :a;
SELECT * FROM listed WHERE url ~ 'a.example';
SELECT chat.update_webhook(:a, '{"isActive": true}') ->> 'disabledReason' AS reason;
SELECT * FROM listed WHERE url ~ 'a.example';
SELECT count(*) FROM chat.webhook_state WHERE webhook = :a;
SELECT attempt(:epoch, :c, 'HTTP 410', 'the endpoint answered 410 Gone'), chat.enable_webhook(:c);
SELECT chat.delete_webhook(:b);
-- That one was disabled is remembered until a delivery succeeds.
SELECT count(*) FROM chat.webhook_state WHERE disabled_at IS NOT NULL OR webhook = :b;

-- Unsigned by choice: no secret is made, and status says so.
SELECT chat.configure('chat_messages', '{"unsigned": "yes"}');
SELECT chat.configure('chat_messages', '{"unsigned": true}');
UPDATE chat_external_webhooks SET secret = NULL WHERE id = :a;
SELECT * FROM secrets();
SELECT count(*) FROM chat.setup() WHERE action ~ 'secret and';
SELECT severity, hint, statement FROM chat.hints() WHERE hint ~ 'signed';
SELECT h ->> 'hint' AS hint FROM jsonb_array_elements(chat.status() -> 'hints') h WHERE h ->> 'hint' ~ 'signed';
SELECT chat.rotate_webhook_secret(:a) -> 'oldSecretExpiresAt' AS expires;
UPDATE chat_external_webhooks SET secret = NULL WHERE id = :a;
SELECT chat.configure('chat_messages', '{"unsigned": null}');
SELECT severity, hint, statement FROM chat.hints() WHERE hint ~ 'signed';
UPDATE public.chat_external_webhooks SET secret = NULL WHERE secret IS NULL OR secret = '';
SELECT * FROM secrets();
SELECT count(*) FROM chat.hints() WHERE hint ~ 'signed';

-- A trigger of the table that keeps a webhook as it is: an error, and nothing is noted.
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE INSERT OR UPDATE OR DELETE ON chat_external_webhooks FOR EACH ROW EXECUTE FUNCTION keep();
SELECT count(*) AS notes FROM chat.audit_log \gset before_
SELECT chat.update_webhook(:a, '{"isActive": false}');
SELECT chat.rotate_webhook_secret(:a);
SELECT chat.enable_webhook(:a);
SELECT chat.delete_webhook(:a);
SELECT chat.create_webhook(:u, 'https://e.example/', '{*}');
CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.is_active := true; RETURN NEW; END $$;
SELECT chat.update_webhook(:a, '{"isActive": false}');
SELECT count(*) - :before_notes AS notes FROM chat.audit_log;
DROP TRIGGER keep ON chat_external_webhooks;

-- Without updated_at, too
ALTER TABLE chat_external_webhooks DROP COLUMN updated_at;
SELECT chat.update_webhook(:a, '{"isActive": false}') -> 'isActive' AS active, chat.enable_webhook(:a) AS enabled;
SELECT chat.rotate_webhook_secret(:a) ? 'secret' AS rotated;
-- A secret column whose type is of the table's owner is left alone.
CREATE FUNCTION spy(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'checked as %', current_user; RETURN true; END $$;
CREATE DOMAIN spied AS text CHECK (spy(VALUE));
CREATE ROLE regress_design_owner;
ALTER TABLE chat_external_webhooks OWNER TO regress_design_owner;
ALTER TABLE chat_external_webhooks ALTER COLUMN secret TYPE text;
SET client_min_messages = error;
ALTER TABLE chat_external_webhooks ALTER COLUMN secret TYPE spied;
INSERT INTO chat_external_webhooks (user_id, url, events) VALUES (:u, 'https://f.example/', '{*}');
SELECT * FROM secrets() WHERE url ~ 'f.example';

\set QUIET on
\c postgres
DROP DATABASE regress_design_webhooks;
DROP ROLE regress_design_owner;
