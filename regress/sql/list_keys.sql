-- The key by which lists of conversations are found: messages leave every index alone, and lists are in the order of the last
-- message whatever kind of key a conversation has.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_keys;
\c regress_keys
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
SET chat_realtime.reopen = ''; -- statuses stay what they are made
CREATE EXTENSION chat_realtime;
\set SHOW_CONTEXT never
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000001'''
\set agent '''eeeeeeee-0000-4000-8000-000000000001'''
\pset format unaligned
\pset tuples_only on
\pset null (null)
-- How many of the new versions of conversations were heap-only since the transaction began.
CREATE FUNCTION versions(relation regclass, OUT written bigint, OUT heap_only bigint) LANGUAGE sql AS
    'SELECT pg_stat_get_xact_tuples_updated(relation), pg_stat_get_xact_tuples_hot_updated(relation)';
CREATE FUNCTION kind(key bigint) RETURNS text LANGUAGE sql AS
    $$ SELECT CASE WHEN key IS NULL THEN 'none' WHEN key = chat.list_key(NULL) THEN 'never' WHEN key > chat.list_key(NULL) THEN 'exact' ELSE 'bucket' END $$;
-- Ids of a list, page after page by cursor.
CREATE FUNCTION walk(call text, size int) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    list jsonb;
    result text[] := '{}';
BEGIN
    LOOP
        EXECUTE format('SELECT chat.list_conversations(%s, "limit" => %s, cursor => %L)', call, size, list #>> '{pagination,cursor}') INTO list;
        result := result || ARRAY(SELECT d ->> 'id' FROM jsonb_array_elements(list -> 'data') WITH ORDINALITY u (d, n) ORDER BY n);
        EXIT WHEN (list #>> '{pagination,hasMore}')::boolean IS NOT TRUE OR cardinality(result) > 5000;
    END LOOP;
    RETURN result;
END $$;
-- Whether a list, in pages of several sizes, is what a plain query gives.
CREATE FUNCTION same(call text, condition text, OUT rows int, OUT alike boolean) LANGUAGE plpgsql AS $$
DECLARE
    plain text[];
BEGIN
    EXECUTE format('SELECT array_agg(id::text ORDER BY last_message_at DESC NULLS LAST, id DESC) FROM conversations WHERE %s', condition) INTO plain;
    rows := cardinality(plain);
    alike := (SELECT bool_and(walk(call, size) = plain) FROM unnest('{7,40,100}'::int[]) size);
END $$;
CREATE FUNCTION lists(OUT what text, OUT rows int, OUT alike boolean) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT w.what, s.* FROM (VALUES
        ('all', '''aaaaaaaa-0000-4000-8000-000000000001''', 'user_id = ''aaaaaaaa-0000-4000-8000-000000000001'''),
        ('open', '''aaaaaaaa-0000-4000-8000-000000000001'', status => ''open''', 'user_id = ''aaaaaaaa-0000-4000-8000-000000000001'' AND status = ''open'''),
        ('unread', '''aaaaaaaa-0000-4000-8000-000000000001'', unread => true', 'user_id = ''aaaaaaaa-0000-4000-8000-000000000001'' AND unread_count > 0'),
        ('agent', '''eeeeeeee-0000-4000-8000-000000000001''', 'assigned_agent_id = ''eeeeeeee-0000-4000-8000-000000000001'''),
        ('search', '''aaaaaaaa-0000-4000-8000-000000000001'', search => ''7''', 'user_id = ''aaaaaaaa-0000-4000-8000-000000000001'' AND contact_jid LIKE ''%7%''')) w (what, call, condition),
        same(w.call, w.condition) s $$;
SELECT count(*) > 0 AS set_up FROM chat.setup() \gset
\set QUIET off

-- No index holds what a message changes, and pages have room
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'conversations'::regclass ORDER BY indexrelid;
SELECT reloptions FROM pg_class WHERE oid = 'conversations'::regclass;
SELECT chat.list_key('2000-01-01T00:00:01Z'), chat.list_key(NULL), chat.list_key('-infinity'), chat.list_key('infinity');
SELECT chat.list_bucket('2000-01-01T00:09:59Z') - chat.list_bucket('2000-01-01Z'), chat.list_bucket('2000-01-01T00:10:00Z') - chat.list_bucket('2000-01-01Z'),
       chat.list_bucket('1999-12-31T23:59:59Z') - chat.list_bucket('2000-01-01Z'), chat.list_bucket('infinity') < chat.list_key(NULL);

-- Of what happens now the first message changes the key, those after it do not, nor does reading; history has exact keys
INSERT INTO conversations (id, user_id, contact_jid, chat_list_key) VALUES (1, :ann, '1', 5), (2, :ann, '2', DEFAULT);
SELECT id, kind(chat_list_key) FROM conversations ORDER BY id;
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'first');
SELECT versions('conversations');
INSERT INTO chat_messages (conversation_id, direction, content) SELECT 1, 'incoming', n FROM generate_series(1, 10) n;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, 'incoming', 'last');
SELECT chat.mark_read('1');
SELECT versions('conversations');
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") VALUES (2, 'incoming', 'old', '2020-01-01Z'), (2, 'incoming', 'older', '2019-01-01Z');
SELECT id, kind(chat_list_key), chat.list_key_matches(chat_list_key, last_message_at) FROM conversations ORDER BY id;
COMMIT;
-- The newest goes: back to the one before, or to none
DELETE FROM chat_messages WHERE content = 'old';
SELECT chat_list_key = chat.list_key('2019-01-01Z') FROM conversations WHERE id = 2;
DELETE FROM chat_messages WHERE conversation_id = 2;
SELECT kind(chat_list_key) FROM conversations WHERE id = 2;
-- A direct write is put back, and is no event; neither payloads nor answers have the key
SELECT max(id) AS seen FROM chat.events \gset
UPDATE conversations SET chat_list_key = 5;
SELECT id, kind(chat_list_key) FROM conversations ORDER BY id;
SELECT count(*) FROM chat.events WHERE id > :seen;
SELECT count(*) FROM chat.events WHERE payload ~* 'list_?key';
SELECT chat.get_conversation('1')::text ~* 'list_?key', chat.list_conversations(:ann)::text ~* 'list_?key';
SELECT count(*) FROM chat.hints() WHERE object ~ 'conversations$' AND severity = 'info';
-- What came past the triggers is drift, which is mended without an event
SET session_replication_role = replica;
UPDATE conversations SET chat_list_key = 5 WHERE id = 1;
RESET session_replication_role;
SELECT * FROM lists() LIMIT 1;
SELECT chat.recount(), chat.recount();
SELECT count(*) FROM chat.events WHERE id > :seen;
SELECT * FROM lists() LIMIT 1;

-- Keys of all kinds, ties, and no messages, in one list
INSERT INTO conversations (id, user_id, contact_jid, status, assigned_agent_id) SELECT n, CASE WHEN n % 9 = 0 THEN gen_random_uuid() ELSE :ann::uuid END, n,
    (ARRAY['open', 'pending', 'resolved'])[1 + n % 3], CASE WHEN n % 4 = 0 THEN :agent::uuid END FROM generate_series(10, 400) n;
INSERT INTO chat_messages (conversation_id, direction, content, status, "timestamp")
    SELECT 10 + n * 7 % 390, CASE WHEN n % 3 = 0 THEN 'incoming' ELSE 'outgoing' END, 'm', CASE WHEN n % 2 = 0 THEN 'read' ELSE 'delivered' END,
           CASE n % 5 WHEN 0 THEN now() - n % 7 * interval '1 s' WHEN 1 THEN now() + n % 30 * interval '1 min' WHEN 2 THEN '2020-01-01Z'::timestamptz + n % 5 * interval '5 min'
                      WHEN 3 THEN '1990-01-01Z' ELSE 'infinity' END FROM generate_series(1, 300) n;
SELECT kind(chat_list_key), count(*) > 10 AS many FROM conversations GROUP BY 1 ORDER BY 1;
SELECT * FROM lists();
SELECT count(*) FROM conversations WHERE chat.list_key_matches(chat_list_key, last_message_at) IS NOT TRUE;

-- A bucket takes no more than it may, so that no page has to sort more: what comes then has exact keys
BEGIN;
INSERT INTO conversations (id, user_id, contact_jid) SELECT 1000 + n, :bob, 'x' || n FROM generate_series(1, 1500) n;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") SELECT 1000 + n, 'outgoing', 'm', date_bin('10 min', now(), '2000-01-01Z') + n * 7919 % 1500 * interval '1 us' FROM generate_series(1, 1500) n;
SELECT kind(chat_list_key), count(*) FROM conversations WHERE id > 1000 GROUP BY 1 ORDER BY 1;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") SELECT 1000 + n, 'incoming', 'm', date_bin('10 min', now(), '2000-01-01Z') + n * 7907 % 1500 * interval '1 us' FROM generate_series(1, 1500) n;
SELECT kind(chat_list_key), count(*) FROM conversations WHERE id > 1000 GROUP BY 1 ORDER BY 1;
COMMIT;
SELECT * FROM same(format('%L, search => %L', :bob, 'x'), 'id > 1000');
SELECT count(*) FROM conversations WHERE chat.list_key_matches(chat_list_key, last_message_at) IS NOT TRUE;

-- Tables that were there keep their indexes, and are told what they cost
\set QUIET on
DELETE FROM chat.attachment;
CREATE SCHEMA live;
SET search_path = live, public;
CREATE TABLE conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, contact_jid text, status text DEFAULT 'open', assigned_agent_id uuid,
    last_message_at timestamp, last_message_preview text, unread_count int DEFAULT 0, updated_at timestamptz DEFAULT now());
CREATE TABLE chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id uuid NOT NULL REFERENCES conversations, message_id text, direction text NOT NULL,
    content text, status text DEFAULT 'delivered', "timestamp" timestamptz NOT NULL, created_at timestamptz DEFAULT now());
CREATE INDEX by_update ON conversations (user_id) WHERE updated_at > '2020-01-01Z';
CREATE UNIQUE INDEX no_two ON conversations (user_id, last_message_preview);
CREATE INDEX harmless ON conversations (user_id, contact_jid);
\set QUIET off
SELECT * FROM chat.attach('conversations', 'chat_messages') WHERE object = 'conversations' AND action !~ '^trigger';
INSERT INTO conversations (id, user_id, contact_jid, status, assigned_agent_id) SELECT md5(n::text)::uuid, :ann, n, (ARRAY['open', 'resolved'])[1 + n % 2], CASE WHEN n % 4 = 0 THEN :agent::uuid END
    FROM generate_series(1, 100) n;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") SELECT md5(n::text)::uuid, 'incoming', n, now() - n % 30 * interval '1 min' FROM generate_series(1, 80) n;
SELECT * FROM lists();
SELECT h.statement FROM chat.hints() h WHERE h.hint ~ 'each message writes';
-- The column is there, but no keys yet: lists are as they should be
ALTER TABLE live.conversations ADD COLUMN chat_list_key bigint;
SELECT * FROM chat.attach('conversations', 'chat_messages');
SELECT kind(chat_list_key), count(*) FROM conversations GROUP BY 1 ORDER BY 1;
SELECT * FROM lists();
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") SELECT md5(n::text)::uuid, 'incoming', n || 'x', now() - n % 3 * interval '1 min' FROM generate_series(60, 85) n;
INSERT INTO conversations (user_id, contact_jid) VALUES (:ann, 'new');
SELECT kind(chat_list_key) IN ('exact', 'bucket') AS has, kind(chat_list_key) = 'never' AS never, count(*) FROM conversations GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM lists();
SELECT chat.recount('chat_messages'), chat.recount('chat_messages');
SELECT count(*) FROM conversations WHERE chat.list_key_matches(chat_list_key, last_message_at AT TIME ZONE 'UTC') IS NOT TRUE;
SELECT * FROM lists();
SELECT h.statement FROM chat.hints() h WHERE h.hint ~ 'each message writes' \gexec
SELECT count(*) FROM chat.hints() h WHERE h.hint ~ 'each message writes'; -- one that is unique is not for us to judge
SELECT * FROM chat.attach('conversations', 'chat_messages');
DROP INDEX no_two;
BEGIN;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") VALUES (md5('1')::uuid, 'incoming', 'a', now());
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") VALUES (md5('1')::uuid, 'incoming', 'b', now());
SELECT heap_only > 0 FROM versions('conversations');
COMMIT;
-- A trigger of the owner's, so that counters are written by a statement
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER own BEFORE UPDATE ON conversations FOR EACH ROW EXECUTE FUNCTION nothing();
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") SELECT md5(n::text)::uuid, 'incoming', n || 'y', now() - n % 4 * interval '5 min' FROM generate_series(1, 100) n;
SELECT count(*) FROM conversations WHERE chat.list_key_matches(chat_list_key, last_message_at AT TIME ZONE 'UTC') IS NOT TRUE;
SELECT * FROM lists();
-- A table whose conversations always have a last message's time: they have its key at once; and an index of those that nobody has
BEGIN;
DELETE FROM conversations WHERE last_message_at IS NULL;
ALTER TABLE conversations ALTER last_message_at SET DEFAULT '2000-01-01T00:00:01', ALTER last_message_at SET NOT NULL;
CREATE INDEX nobodys ON conversations (user_id) WHERE assigned_agent_id IS NULL;
INSERT INTO conversations (user_id, contact_jid) VALUES (:bob, 'at once') RETURNING kind(chat_list_key), chat.list_key_matches(chat_list_key, last_message_at AT TIME ZONE 'UTC') AS fits;
SELECT * FROM lists() WHERE what = 'all';
ROLLBACK;
-- The column goes again; what is of another type is refused; without a last message there are no keys
ALTER TABLE conversations DROP COLUMN chat_list_key;
SELECT * FROM chat.attach('conversations', 'chat_messages') WHERE action ~ 'index|columns';
SELECT * FROM lists();
ALTER TABLE conversations ADD COLUMN chat_list_key text;
SELECT * FROM chat.attach('conversations', 'chat_messages');
ALTER TABLE conversations DROP COLUMN chat_list_key, ADD COLUMN chat_list_key bigint, DROP COLUMN last_message_at;
SELECT action FROM chat.attach('conversations', 'chat_messages') WHERE action ~ 'index|columns';
SELECT columns ? 'list_key' FROM chat.attachment WHERE messages = 'chat_messages'::regclass;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") VALUES (md5('1')::uuid, 'incoming', 'z', now());

\set QUIET on
\c contrib_regression
DROP DATABASE regress_keys;
