-- Limits of payloads, private notes, deletions, ids and topics as strangers spell them, several pairs with equal ids.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE authenticated NOLOGIN;
CREATE DATABASE regress_hardening;
\c regress_hardening
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SET chat_realtime.rate_limits = off;
GRANT USAGE ON SCHEMA public TO authenticated;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/read_log.sql'
\i :shared
\set shared :srcdir '/sql/shared/webhook_read.sql'
\i :shared
SELECT count(*) > 0 AS set_up FROM chat.setup() \g /dev/null
\pset format unaligned
\pset tuples_only on
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, :ann, '1@s'), (2, :bob, '2@s');
ALTER TABLE chat_messages ADD extra text[], ADD blob json;
CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    "column" text; message text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS "column" = COLUMN_NAME, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, "column", left(message, 300), hint);
END $$;
-- The newest message event: what is in it, and how large it is.
CREATE FUNCTION newest(VARIADIC keys text[]) RETURNS text LANGUAGE sql AS $$
    SELECT e.event || ' ' || (SELECT jsonb_object_agg(k, CASE WHEN length((p -> k)::text) > 40 THEN to_jsonb(length((p -> k)::text)) ELSE p -> k END)
                                FROM unnest(keys || ARRAY(SELECT jsonb_object_keys(p) WHERE true)) k WHERE p ? k AND (k = ANY (keys) OR k ~ 'Truncated$'))
           || CASE WHEN length(e.payload) <= pg_size_bytes(current_setting('chat_realtime.max_payload_bytes')) THEN '' ELSE ' LARGE' END
      FROM chat.events e, LATERAL (SELECT e.payload::jsonb AS p) q WHERE e.topic ~ '^conversation' ORDER BY e.id DESC LIMIT 1 $$;
CREATE FUNCTION large(bytes int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('x', repeat('y', bytes)) $$;
\set QUIET off
SHOW chat_realtime.max_payload_bytes;
-- An incoming message is stored whole; what does not fit is left out of its event
INSERT INTO chat_messages (conversation_id, direction, content, metadata) VALUES (1, 'incoming', 'small', large(60000));
SELECT newest('content', 'metadata');
INSERT INTO chat_messages (conversation_id, direction, content, metadata) VALUES (1, 'incoming', 'large', large(10000000));
SELECT newest('content', 'metadata', 'messageType');
SELECT length(metadata::text) FROM chat_messages WHERE content = 'large';
SELECT length(chat.list_messages('1') #>> '{data,1,metadata}');
INSERT INTO chat_messages (conversation_id, direction, content, extra, blob, media_url) VALUES
    (1, 'incoming', 'each', ARRAY[repeat('a', 70000)], to_json(repeat('b', 70000)), repeat('c', 70000));
SELECT newest('extra', 'blob', 'mediaUrl');
INSERT INTO chat_messages (conversation_id, direction, content, media_url) VALUES (1, 'incoming', 'escaped', repeat(E'\\', 60000) || repeat(E'\u0001', 3999));
SELECT newest('mediaUrl');
-- Columns that fit one by one, but not together
ALTER TABLE chat_messages ADD a text, ADD b text, ADD c text, ADD d text, ADD e text;
INSERT INTO chat_messages (conversation_id, direction, content, a, b, c, d, e) SELECT 1, 'incoming', 'all', x, x, x, x, x FROM repeat('x', 63000) x;
SELECT newest('a', 'b', 'c', 'd', 'e');
UPDATE chat_messages SET metadata = large(2000000) WHERE content = 'small';
SELECT newest('content', 'metadata');
-- An outgoing one is refused, whatever column it is
SELECT refusal($$INSERT INTO chat_messages (conversation_id, direction, content, metadata) VALUES (1, 'outgoing', 'x', large(64001))$$);
SELECT refusal($$INSERT INTO chat_messages (conversation_id, direction, content, media_url) VALUES (1, 'outgoing', 'x', repeat('x', 64001))$$);
SELECT refusal($$INSERT INTO chat_messages (conversation_id, direction, content, extra) VALUES (1, 'outgoing', 'x', ARRAY[repeat('x', 64001)])$$);
SELECT refusal($$SELECT chat.save_message('1', jsonb_build_object('content', 'x', 'metadata', large(64001)))$$);
SELECT refusal($$INSERT INTO chat_messages (id, conversation_id, direction, content, metadata) VALUES (500, 1, 'outgoing', 'x', large(63000))$$);
SELECT refusal($$UPDATE chat_messages SET metadata = large(64001) WHERE id = 500$$);
SELECT refusal($$UPDATE chat_messages SET status = 'read' WHERE id = 500$$);
SET chat_realtime.max_payload_bytes = '1MB';
SELECT refusal($$UPDATE chat_messages SET metadata = large(64001) WHERE id = 500$$);
RESET chat_realtime.max_payload_bytes;
SELECT refusal($$UPDATE chat_messages SET status = 'failed', content = 'was too large before' WHERE id = 500$$);
SELECT refusal('SET chat_realtime.max_payload_bytes = 1') LIKE '22023 |%outside the valid range%';

-- A private note goes to the agents, and to no webhook; nor does what becomes of it
TRUNCATE chat_messages;
INSERT INTO chat_messages (id, conversation_id, direction, content, is_private_note) VALUES (1, 1, 'outgoing', 'between us', true), (2, 1, 'outgoing', 'for you', false);
UPDATE chat_messages SET content = content || '!', status = 'read';
DELETE FROM chat_messages;
SELECT event, webhook, payload::jsonb ->> 'content' FROM chat.events WHERE topic = 'conversation:1' AND (payload::jsonb ->> 'id')::int < 3
   AND id > (SELECT max(id) - 12 FROM chat.events) ORDER BY id;

-- A message before its conversation: the webhooks of its owner get it
ALTER TABLE chat_messages ALTER CONSTRAINT chat_messages_conversation_id_fkey DEFERRABLE INITIALLY DEFERRED;
SELECT chat.create_webhook(:ann, 'https://example.com/', '{message.received}') ->> 'id' AS hook \gset
SELECT max(id) AS last FROM chat.events \gset
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (77, 'incoming', 'early');
INSERT INTO conversations (id, user_id, contact_jid) VALUES (77, :ann, '77@s');
COMMIT;
SELECT type, conversation, payload::jsonb ->> 'content' FROM webhook_read(:last, pg_current_snapshot()::text, 100, 1000000) WHERE webhook = :'hook';

-- What a user deletes itself leaves its mark, and deliveries go with the webhook
SELECT chat.create_api_key(:ann, 'one') ->> 'id' AS key, chat.create_webhook(:ann, 'https://example.com/', '{*}') ->> 'id' AS other \gset
SELECT chat.test_webhook(:'hook') ->> 'type', chat.test_webhook(:'other') ->> 'type';
SELECT set_config('request.jwt.claims', jsonb_build_object('sub', :ann)::text, false) \g /dev/null
SET ROLE authenticated;
DELETE FROM chat_api_keys WHERE id = :'key';
DELETE FROM chat_external_webhooks WHERE id = :'hook';
RESET ROLE;
SELECT chat.delete_webhook(:'other');
SELECT action, role = 'authenticated' AS by_user, actor, object = :'key', object = :'hook', object = :'other' FROM chat.audit_log WHERE action ~ 'deleted' ORDER BY id;
SELECT count(*) FROM chat.webhook_delivery;
SELECT object FROM chat.setup();

-- A counter that is too small stays at its largest value, and never keeps a message out
SET chat_realtime.import = on;
ALTER TABLE conversations ALTER unread_count TYPE smallint;
SELECT count(*) FROM chat.attach('conversations', 'chat_messages') \g /dev/null
INSERT INTO chat_messages (conversation_id, direction, content) SELECT 1, 'incoming', 'x' FROM generate_series(1, 32770);
SELECT unread_count, chat.recount() FROM conversations WHERE id = 1;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'one more');
DELETE FROM chat_messages WHERE id IN (SELECT id FROM chat_messages WHERE conversation_id = 1 LIMIT 10);
SELECT unread_count, chat.recount() FROM conversations WHERE id = 1;
RESET chat_realtime.import;

-- Claims and topics of strangers
SELECT set_config('request.jwt.claims', c, false) IS NULL, chat.can_join('user:' || :ann || ':inbox') FROM (VALUES ('{'), ('x'), ('"x"'), ('[]'), ('1'), ('{"sub": 1}'),
    ('{"sub": null}'), ('{"sub": "\u0000"}'), (repeat('[', 50000)), (jsonb_build_object('sub', :ann)::text)) v (c);
SELECT t, chat.can_join(t), chat.can_join(t, true) FROM unnest(ARRAY['conversation:1', 'conversation:01', 'conversation: 1', 'conversation:+1', 'conversation:1:2',
    'conversation:2', 'conversation:-1', 'conversation:99999999999999999999', 'conversation:1e0', E'conversation:1\n', 'Conversation:1', 'presence:1', 'user::inbox']) t;
BEGIN;
SET LOCAL ROLE authenticated;
SELECT length(split_part(refusal(format('SELECT * FROM chat.events_since(%L, 0)', repeat('t', 100000))), '"', 2));
ROLLBACK;
-- Ids as PostgreSQL reads them: what it takes is taken, and what it does not is no error of its own
SELECT chat.key_fits('conversations', 'no_such_column', '1') IS NULL AS unknown;
SELECT v, chat.key_fits('conversations', 'id', v) AS bigint, chat.key_fits('conversations', 'unread_count', v) AS smallint, chat.key_fits('conversations', 'user_id', v) AS uuid
  FROM unnest(ARRAY['1', '-1', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '32767', '32768', '', 'x', '1.0',
                    'AAAAAAAA-0000-4000-8000-000000000001', 'aaaaaaaa00004000800000000000001', 'aaaaaaaa000040008000000000000001', 'aaaa-aaaa-0000-4000-8000-000000000001']) v;
SELECT chat.get_conversation('9223372036854775807'), refusal($$SELECT chat.get_conversation('9223372036854775808')$$);

-- Two pairs with integer keys share topics: only who may join in both joins
CREATE SCHEMA second;
CREATE TABLE second.conversations (id integer PRIMARY KEY, user_id uuid);
CREATE TABLE second.chat_messages (id integer PRIMARY KEY, conversation_id integer, direction text, content text, status text, created_at timestamptz DEFAULT now());
SELECT action FROM chat.attach('second.conversations', 'second.chat_messages') WHERE action ~ 'equal';
INSERT INTO second.conversations VALUES (1, :bob), (2, :bob), (3, :bob), (77, :ann);
SELECT id, u, chat.may_join('conversation:' || id, u, false) FROM unnest(ARRAY[1, 2, 3, 77]) id, unnest(ARRAY[:ann, :bob]) u ORDER BY 2, 1;

-- Functions of the extension's own, called with what it never gives them: an error, and the session goes on
SELECT chat.conversation_order('null', 'c');
SELECT chat.conversation_order('[]', 'c');
SELECT chat.write_beside(NULL, '{}');
SELECT chat.write_beside('public.chat_api_keys', NULL);
SELECT chat.write_beside('public.chat_api_keys', '[1]');
SELECT chat.holds_rows(999999::regclass);
SELECT chat.conversation_rows(NULL, '{}', '{}', NULL, NULL, NULL, NULL, 1, 0, NULL);
SELECT chat.conversation_rows(1, NULL, '{}', NULL, NULL, NULL, NULL, 1, 0, NULL);
SELECT chat.conversation_rows(1, '{}', '{}', NULL, NULL, NULL, NULL, 1, NULL, NULL);
SELECT chat.conversation_count(1, '{}', NULL, NULL, NULL, NULL, NULL, 1);
SELECT chat.conversation_count(1, '{}', '{}', NULL, NULL, NULL, NULL, NULL);

-- A mapping whose column or table is gone is a hint like any other
CREATE TABLE second.agents (id uuid PRIMARY KEY, login uuid);
SELECT count(*) FROM chat.attach('public.conversations', 'public.chat_messages',
    '{"agent": {"column": "assigned_agent_id", "table": "second.agents", "key": "id", "user": "login"}}');
SELECT object, hint, statement FROM chat.hints() WHERE hint ~ 'agents';
ALTER TABLE second.agents RENAME login TO account;
SELECT object, hint FROM chat.hints() WHERE hint ~ 'login';
DROP TABLE second.agents;
SELECT object, hint FROM chat.hints() WHERE hint ~ 'agents';
SELECT jsonb_typeof(chat.status());
\set QUIET on
\c :home
DROP DATABASE regress_hardening;
DROP ROLE authenticated;
