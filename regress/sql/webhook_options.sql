-- Options of webhooks: headers, filters, rate limit, Ed25519 keys.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_webhook_options;
\c regress_webhook_options
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM chat.setup() \gset setup_
\set SHOW_CONTEXT never
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/read_log.sql'
\i :shared
\set shared :srcdir '/sql/shared/webhook_read.sql'
\i :shared
\set owner '''00000000-0000-4000-8000-000000000001'''
\set other '''00000000-0000-4000-8000-000000000002'''

-- Public keys: the examples of RFC 8032, the ends of what a key can be, and what is no key.
SELECT name, encode(chat.ed25519_public_key(decode(key, 'hex')), 'hex') = public AS same FROM (VALUES
    ('1', '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'),
    ('2', '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'),
    ('3', 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7', 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025'),
    ('1024', 'f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5', '278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e')) v (name, key, public);
SELECT encode(chat.ed25519_public_key(decode(repeat(b, 32), 'hex')), 'hex') AS public FROM unnest('{00,ff}'::text[]) b;
SELECT chat.ed25519_public_key('\x00');
SELECT chat.ed25519_public_key(NULL) IS NULL AS strict;

-- Making and changing them. Of headers only the names are shown, of a key its public half.
ALTER TABLE public.conversations ADD COLUMN inbox_id uuid;
SELECT count(*) FROM chat.attach('public.conversations', 'public.chat_messages') \gset attach_
SELECT made - '{id,createdAt,secret}'::text[] #- '{publicKey}' AS webhook, made ->> 'publicKey' ~ '^whpk_[A-Za-z0-9+/]{43}=$' AS key, made ->> 'id' AS a
  FROM chat.create_webhook(:owner, 'https://example.com/a', '{*}', options => '{"headers": {"Authorization": "Bearer t0p-secret", "X-Tenant": "4 2"}, "conversations": [1, "2", 1], "inboxes": ["AAAAAAAA-0000-4000-8000-000000000000"], "rateLimit": 60, "ed25519": true}') made \gset
SELECT :'webhook' AS webhook, :'key' AS key;
SELECT chat.create_webhook(:owner, 'https://example.com/b', '{*}') ->> 'id' AS b \gset
SELECT chat.create_webhook(:other, 'https://example.com/c', '{*}', options => '{}') ->> 'id' AS c \gset
SELECT w ->> 'url' AS url, w - '{id,createdAt,updatedAt,publicKey,url,events,isActive,failureCount,lastTriggeredAt,lastError,disabledAt,disabledReason}'::text[] AS options, w ->> 'publicKey' IS NOT NULL AS key
  FROM jsonb_array_elements(chat.list_webhooks(:owner) -> 'data') w;
SELECT chat.list_webhooks(:owner)::text ~ 't0p' OR chat.webhook_health(:owner)::text ~ 't0p' AS shows_secret;
SELECT headers, octet_length(signing_key) AS key, public_key = chat.ed25519_public_key(signing_key) AS a_pair FROM chat.webhook_options WHERE webhook = :'a';
-- What is not given stays; a key that is there, too.
SELECT chat.update_webhook(:'a', '{"rateLimit": null, "ed25519": true, "url": "https://example.com/a2"}') ->> 'publicKey' = 'whpk_' || encode(public_key, 'base64') AS same_key, headers <> '{}' AS headers, conversations
  FROM chat.webhook_options WHERE webhook = :'a';
SELECT chat.update_webhook(:'a', '{"headers": null, "conversations": null, "inboxes": null, "ed25519": false}') - '{id,createdAt,updatedAt,events}'::text[] AS without;
SELECT chat.update_webhook(:'a', '{"ed25519": true}') ->> 'publicKey' IS NOT NULL AS another_key;
SELECT chat.update_webhook(:'a', '{"rateLimit": 5}', :other) AS of_another;
SELECT action, details FROM chat.audit_log WHERE object = :'a' ORDER BY id;

-- What cannot be. Nothing of it is kept.
CREATE FUNCTION refusal(options text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
    code text; field text; text text; hint text;
BEGIN
    PERFORM chat.create_webhook('00000000-0000-4000-8000-000000000001', 'https://example.com/', '{*}', options => options::jsonb);
    RETURN 'taken';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, field = COLUMN_NAME, text = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN format('%s | %s | %s | %s', code, field, text, hint);
END
$$;
SELECT o AS options, refusal(o) FROM unnest(ARRAY['[]', '{"headres": {}}', '{"headers": []}', '{"headers": {"X": 1}}', '{"headers": {"X": null}}', '{"headers": {"X": ""}}', '{"headers": {"X": " y"}}',
    '{"headers": {"X": "a\r\nY: b"}}', '{"headers": {"X": "a\nb"}}', '{"headers": {"X": "\u0000"}}', '{"headers": {"X": "é"}}', '{"headers": {"X Y": "a"}}', '{"headers": {"X:": "a"}}', '{"headers": {"": "a"}}',
    '{"headers": {"Host": "a"}}', '{"headers": {"content-length": "5"}}', '{"headers": {"Content-Type": "text/plain"}}', '{"headers": {"TRANSFER-ENCODING": "chunked"}}', '{"headers": {"connection": "close"}}',
    '{"headers": {"webhook-signature": "v1,x"}}', '{"headers": {"X-Webhook-Event": "x"}}', '{"headers": {"Proxy-Authorization": "x"}}', '{"headers": {"User-Agent": "x"}}', '{"headers": {"X-Forwarded-For": "1.2.3.4"}}',
    '{"headers": {"Expect": "100-continue"}}', '{"headers": {"X-A": "1", "x-a": "2"}}',
    '{"conversations": []}', '{"conversations": "1"}', '{"conversations": ["x"]}', '{"conversations": [null]}', '{"conversations": [{}]}', '{"inboxes": [5]}',
    '{"rateLimit": 0}', '{"rateLimit": 60001}', '{"rateLimit": 1.5}', '{"rateLimit": "5"}', '{"rateLimit": 100000000000000}', '{"ed25519": "yes"}']) o;
SELECT refusal(jsonb_build_object('headers', jsonb_build_object('X', repeat('y', n)))::text) AS long_value FROM unnest('{1024,1025}'::int[]) n;
SELECT refusal(jsonb_build_object('headers', jsonb_build_object(repeat('y', n), 'x'))::text) AS long_name FROM unnest('{64,65}'::int[]) n;
SELECT refusal(jsonb_build_object('headers', (SELECT jsonb_object_agg('X-' || i, 'y') FROM generate_series(1, n) i))::text) AS many FROM unnest('{10,11}'::int[]) n;
SELECT refusal(jsonb_build_object('headers', (SELECT jsonb_object_agg('X-' || i, repeat('y', 1000)) FROM generate_series(1, n) i))::text) AS bytes FROM unnest('{4,5}'::int[]) n;
SELECT refusal(jsonb_build_object('conversations', (SELECT jsonb_agg(i) FROM generate_series(1, n) i))::text) AS ids FROM unnest('{100,101}'::int[]) n;
SELECT count(*) AS webhooks FROM public.chat_external_webhooks WHERE user_id = :owner AND url = 'https://example.com/';
DELETE FROM public.chat_external_webhooks WHERE user_id = :owner AND url = 'https://example.com/';
SELECT chat.update_webhook(:'a', '{"rateLimit": 0}');
SELECT chat.update_webhook(:'a', '{"secret": "x"}');

-- Filters: events of these conversations, or of conversations in these inboxes; of both, where both are given.
INSERT INTO public.conversations (id, user_id, contact_jid, inbox_id) VALUES (1, :owner, 'a@s.whatsapp.net', 'aaaaaaaa-0000-4000-8000-000000000000'), (2, :owner, 'b@s.whatsapp.net', 'bbbbbbbb-0000-4000-8000-000000000000'),
    (3, :owner, 'c@s.whatsapp.net', NULL), (4, :other, 'd@s.whatsapp.net', 'aaaaaaaa-0000-4000-8000-000000000000');
SELECT pg_current_snapshot() AS snapshot, chat.last_event_id() AS position \gset start_
INSERT INTO public.chat_messages (conversation_id, content, direction) SELECT id, 'in ' || id, 'incoming' FROM generate_series(1, 4) id;
CREATE FUNCTION gets(start bigint, snapshot text) RETURNS TABLE (webhook text, messages text) LANGUAGE sql AS
$$ SELECT r.url, string_agg(r.payload::jsonb ->> 'content', ', ' ORDER BY r.id) FROM webhook_read(start, snapshot, 100) r WHERE r.type = 'message.received' GROUP BY 1 ORDER BY 1 $$;
SELECT * FROM gets(:start_position, :'start_snapshot');
SELECT chat.update_webhook(:'a', '{"conversations": [1, 3, 4]}') -> 'conversations' AS conversations;
SELECT * FROM gets(:start_position, :'start_snapshot');
SELECT chat.update_webhook(:'a', '{"conversations": null, "inboxes": ["AAAAAAAA-0000-4000-8000-000000000000"]}') -> 'inboxes' AS inboxes;
SELECT * FROM gets(:start_position, :'start_snapshot');
SELECT chat.update_webhook(:'a', '{"conversations": [2, 3]}') -> 'conversations' AS conversations;
SELECT * FROM gets(:start_position, :'start_snapshot');
UPDATE public.conversations SET inbox_id = 'aaaaaaaa-0000-4000-8000-000000000000' WHERE id = 2;
SELECT * FROM gets(:start_position, :'start_snapshot');

-- What the sidecar is told of headers, key and limit, with what is new and with what was stored.
SELECT chat.update_webhook(:'a', '{"headers": {"X-B": "2", "X-A": "1: one"}, "rateLimit": 7}') -> 'headers' AS headers;
SELECT t.headers, t.signing_key = encode(o.signing_key, 'base64') AS key, t.rate_limit, t.chosen FROM chat.webhook_terms(ARRAY[:owner], '{2}', '{}') t JOIN chat.webhook_options o ON o.webhook = t.webhook;
SELECT t.headers, t.signing_key, t.rate_limit, t.chosen FROM chat.webhook_terms(ARRAY[:owner], '{2}', '{}') t WHERE t.webhook = :'b';
SELECT chat.test_webhook(:'a') ->> 'type' AS test;
SELECT d.headers, d.signing_key = encode(o.signing_key, 'base64') AS key, d.rate_limit FROM chat.webhook_due(10, 1000000, '{}', '{}') d JOIN chat.webhook_options o ON o.webhook = d.webhook;

-- They go with their webhook, however that goes.
SELECT chat.update_webhook(:'b', '{"rateLimit": 1}') -> 'rateLimit' AS limit;
SELECT chat.delete_webhook(:'a');
DELETE FROM public.chat_external_webhooks WHERE id = :'b';
SELECT count(*) AS options FROM chat.webhook_options;

-- Without a column for inboxes.
ALTER TABLE public.conversations DROP COLUMN inbox_id;
SELECT count(*) FROM chat.attach('public.conversations', 'public.chat_messages') \gset attach_
SELECT refusal('{"inboxes": ["aaaaaaaa-0000-4000-8000-000000000000"]}');
SELECT refusal('{"inboxes": null}');

\c contrib_regression
DROP DATABASE regress_webhook_options;
