-- Listing, changing and deleting webhooks; a topic's events for a backend; searching messages.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_webhook_list;
\c regress_webhook_list
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM chat.setup() \gset setup_
\set SHOW_CONTEXT never
\set owner '''00000000-0000-4000-8000-000000000001'''
\set other '''00000000-0000-4000-8000-000000000002'''

SELECT chat.create_webhook(:owner, 'https://example.com/a', '{message.sent,message.received}') ->> 'id' AS a \gset
SELECT chat.create_webhook(:other, 'https://example.com/b', '{*}') ->> 'id' AS b \gset

-- Listing
SELECT w - '{id,createdAt,updatedAt}'::text[] AS webhook
  FROM jsonb_array_elements(chat.list_webhooks(:owner) -> 'data') w;
SELECT chat.list_webhooks(:owner) -> 'pagination' AS pagination;
SELECT chat.list_webhooks(:owner)::text LIKE '%whsec%' AS shows_secret;
SELECT chat.list_webhooks(NULL);
SELECT chat.list_webhooks('nobody');

-- Changing
SELECT chat.update_webhook(:'a', '{"url": "https://example.com/c", "events": ["*", "*"], "isActive": false}', :owner)
       - '{id,createdAt,updatedAt}'::text[] AS webhook;
UPDATE public.chat_external_webhooks SET failure_count = 7, last_error = 'refused', disabled_at = now() WHERE id = :'a';
SELECT chat.update_webhook(:'a', '{"isActive": true}') - '{id,createdAt,updatedAt}'::text[] AS webhook;
SELECT chat.update_webhook(:'b', '{"isActive": true}', :owner) AS of_another;
SELECT chat.update_webhook(:'a', NULL);
SELECT chat.update_webhook(:'a', '{}');
SELECT chat.update_webhook(:'a', '[]');
SELECT chat.update_webhook(:'a', '{"secret": "x"}');
SELECT chat.update_webhook(:'a', '{"isActive": "yes"}');
SELECT chat.update_webhook(:'a', '{"url": null}');
SELECT chat.update_webhook(:'a', '{"events": []}');
SELECT chat.update_webhook(:'a', '{"events": [1]}');
SELECT chat.update_webhook(:'a', '{"url": "ftp://example.com"}');

-- Deleting
SELECT chat.test_webhook(:'a') ->> 'type' AS queued;
SELECT chat.delete_webhook(:'b', :owner) AS of_another;
SELECT chat.delete_webhook(:'a', :owner) AS deleted;
SELECT chat.delete_webhook(:'a', :owner) AS again;
SELECT count(*) FROM chat.webhook_delivery;
SELECT action, details FROM chat.audit_log WHERE object = :'a' AND action IN ('webhook.changed', 'webhook.deleted') ORDER BY id;

-- Only one's own
CREATE ROLE webhook_list_user;
GRANT USAGE ON SCHEMA chat TO webhook_list_user;
SELECT chat.grant_functions('webhook_list_user', '{list_webhooks,update_webhook,delete_webhook,topic_events,search_messages}');
SET ROLE webhook_list_user;
SELECT chat.list_webhooks(:other);
SELECT chat.delete_webhook(:'b');
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001"}';
SELECT chat.list_webhooks(:other);
SELECT chat.delete_webhook(:'b') AS of_another;
SELECT chat.delete_webhook(:'b', :other);
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002", "api_key_id": "1", "scopes": ["chat:write"]}';
SELECT chat.list_webhooks(:other);
SELECT chat.delete_webhook(:'b');
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002", "api_key_id": "1", "scopes": ["chat:admin"]}';
SELECT jsonb_array_length(chat.list_webhooks(:other) -> 'data') AS own;
RESET request.jwt.claims;
RESET ROLE;

-- A topic's events
INSERT INTO public.conversations (id, user_id, contact_jid) VALUES (1, :owner, 'a@s.whatsapp.net'), (2, :other, 'b@s.whatsapp.net');
SELECT (chat.topic_events('conversation:1', owner => :owner) ->> 'position')::bigint AS position \gset
INSERT INTO public.chat_messages (conversation_id, content, direction, is_private_note) VALUES (1, 'Olá, 100% certo', 'incoming', false),
    (1, 'Nota: 100% certo', 'outgoing', true), (1, 'Até logo', 'outgoing', false), (2, 'Olá', 'incoming', false);
CREATE FUNCTION pg_temp.shown(answer jsonb) RETURNS TABLE (event jsonb, content jsonb, more jsonb, known boolean) LANGUAGE sql AS
$$ SELECT e -> 'event', e -> 'payload' -> 'content', answer -> 'hasMore', (answer ->> 'position')::bigint >= (e ->> 'id')::bigint
     FROM jsonb_array_elements(answer -> 'data') e $$;
SELECT * FROM pg_temp.shown(chat.topic_events('conversation:1', :position, owner => :owner));
SELECT * FROM pg_temp.shown(chat.topic_events('conversation:1', :position, 2, :owner));
SELECT chat.topic_events('conversation:1', 1000000, owner => :owner) AS nothing_new;
SELECT chat.topic_events('conversation:1', 0, owner => :other) AS of_another;
SELECT chat.topic_events('anything', 0, owner => :owner) AS no_topic;
SELECT chat.topic_events(NULL);
SELECT chat.topic_events('conversation:1', 0, 0, :owner);

-- Searching
SELECT m -> 'content' AS found FROM jsonb_array_elements(chat.search_messages('1', '0% c', owner => :owner) -> 'data') m;
SELECT m -> 'content' AS found FROM jsonb_array_elements(chat.search_messages('1', 'O', owner => :owner) -> 'data') m;
SELECT chat.search_messages('1', 'o', 1, :owner) -> 'pagination' AS pagination;
SELECT chat.search_messages('1', '_', owner => :owner) -> 'data' AS literally;
SELECT chat.search_messages('1', 'o', owner => :other) AS of_another;
SELECT chat.search_messages('1', NULL);
SELECT chat.search_messages('1', '');
SELECT chat.search_messages('1', repeat('x', 257));
SELECT chat.search_messages('1', 'o', 0);
SELECT chat.search_messages('x', 'o');
SET ROLE webhook_list_user;
SELECT chat.topic_events('conversation:1', 0);
SELECT chat.topic_events('conversation:1', 0, owner => :owner);
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001"}';
SELECT count(*) > 0 AS own FROM pg_temp.shown(chat.topic_events('conversation:1', 0));
SELECT chat.topic_events('conversation:2', 0) AS of_another;
SELECT jsonb_array_length(chat.search_messages('1', 'o') -> 'data') AS own;
RESET ROLE;

\c contrib_regression
DROP DATABASE regress_webhook_list;
DROP ROLE webhook_list_user;
