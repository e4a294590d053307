-- Lists page by page where times are equal or missing: no row is lost and none comes twice, in each kind of table.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_ties;
\c regress_ties
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\pset format unaligned
\pset tuples_only on
\pset null (null)
-- Ids of a list, page after page by cursor; call has %1$s for the page's size and %2$L for the cursor. Messages come oldest first.
CREATE FUNCTION walk(call text, size int, newest_last boolean) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    list jsonb;
    result text[] := '{}';
BEGIN
    LOOP
        EXECUTE format(call, size, list #>> '{pagination,cursor}') INTO list;
        result := result || ARRAY(SELECT d ->> 'id' FROM jsonb_array_elements(list -> 'data') WITH ORDINALITY u (d, n) ORDER BY CASE WHEN newest_last THEN -n ELSE n END);
        EXIT WHEN (list #>> '{pagination,hasMore}')::boolean IS NOT TRUE OR cardinality(result) > 1000;
    END LOOP;
    RETURN result;
END $$;
-- Whether pages of each size give the same as one page, and how many rows there are.
CREATE FUNCTION judge(call text, newest_last boolean, OUT rows int, OUT alike boolean, OUT once boolean) LANGUAGE sql AS $$
    SELECT cardinality(w.whole), bool_and(walk(call, size, newest_last) = w.whole), cardinality(w.whole) = (SELECT count(DISTINCT x) FROM unnest(w.whole) x)
      FROM (SELECT walk(call, 100, newest_last) AS whole) w, generate_series(1, 12) size GROUP BY w.whole $$;
-- A time, of few, or none.
CREATE FUNCTION moment(n int, of int) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT CASE WHEN n % of > 0 THEN '2026-06-18T12:00:00Z'::timestamptz + n % of * interval '1 us' END $$;
\set QUIET off

-- The tables that setup makes: a message may have no time of its own, and then has that of its arrival
\set QUIET on
SELECT count(*) > 0 AS set_up FROM chat.setup() \gset
\set QUIET off
INSERT INTO conversations (id, user_id, contact_jid) SELECT n, :ann, n FROM generate_series(1, 40) n;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp", created_at)
    SELECT 1, 'incoming', n, moment(n, 4), COALESCE(moment(n / 4, 3), 'epoch') FROM generate_series(0, 71) n;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") SELECT n, 'incoming', 'm', moment(n, 5) FROM generate_series(2, 30) n WHERE n % 5 > 0;
SELECT * FROM judge('SELECT chat.list_messages(''1'', %1$s, %2$L)', true);
SELECT * FROM judge(format('SELECT chat.list_conversations(%L, "limit" => %%1$s, cursor => %%2$L)', :ann), false);
-- ... and with infinite times
UPDATE chat_messages SET "timestamp" = CASE WHEN id % 2 = 0 THEN 'infinity' ELSE '-infinity' END::timestamptz WHERE id % 7 = 0;
SELECT * FROM judge('SELECT chat.list_messages(''1'', %1$s, %2$L)', true);
SELECT * FROM judge(format('SELECT chat.list_conversations(%L, "limit" => %%1$s, cursor => %%2$L)', :ann), false);
SELECT chat.recount();

-- The existing system's: the time is required, that of the arrival may be missing; ids are in no order
\set QUIET on
DELETE FROM chat.attachment;
CREATE SCHEMA live;
SET search_path = live, public;
CREATE TABLE accounts (id uuid PRIMARY KEY, owner_user_id uuid NOT NULL);
CREATE TABLE conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id uuid NOT NULL REFERENCES accounts, contact_jid text NOT NULL,
    last_message_at timestamptz, last_message_preview text, unread_count int DEFAULT 0);
CREATE TABLE chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id uuid NOT NULL REFERENCES conversations,
    message_id text NOT NULL DEFAULT 'x', direction text NOT NULL, content text, status text DEFAULT 'delivered', "timestamp" timestamptz NOT NULL, created_at timestamptz DEFAULT now());
INSERT INTO accounts VALUES ('11111111-0000-4000-8000-000000000001', :ann), ('11111111-0000-4000-8000-000000000002', :ann);
SELECT count(*) AS attached FROM chat.attach('conversations', 'chat_messages') \gset
\set QUIET off
INSERT INTO conversations (id, account_id, contact_jid) SELECT md5(n::text)::uuid, format('11111111-0000-4000-8000-00000000000%s', 1 + n % 2)::uuid, n FROM generate_series(1, 40) n;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp", created_at)
    SELECT md5('1')::uuid, 'incoming', n, moment(1 + n % 3, 4), moment(n, 5) FROM generate_series(0, 71) n;
INSERT INTO chat_messages (conversation_id, direction, content, "timestamp") SELECT md5(n::text)::uuid, 'incoming', 'm', moment(n, 5) FROM generate_series(2, 30) n WHERE n % 5 > 0;
SELECT * FROM judge(format('SELECT chat.list_messages(%L, %%1$s, %%2$L)', md5('1')::uuid), true);
SELECT * FROM judge(format('SELECT chat.list_conversations(%L, "limit" => %%1$s, cursor => %%2$L)', :ann), false);
SELECT chat.recount();

-- The first design's: a message has one time, which may be missing. One without is no last message, and comes before all others
\set QUIET on
DELETE FROM chat.attachment;
CREATE SCHEMA first;
SET search_path = first, public;
CREATE TABLE conversations (id int PRIMARY KEY, user_id uuid NOT NULL, last_message_at timestamptz, last_message_preview text, unread_count int DEFAULT 0);
CREATE TABLE chat_messages (id int PRIMARY KEY, conversation_id int NOT NULL REFERENCES conversations ON DELETE CASCADE, direction text NOT NULL, content text,
    status text DEFAULT 'delivered', created_at timestamptz DEFAULT now());
INSERT INTO conversations (id, user_id) VALUES (1, :ann), (2, :ann);
SELECT count(*) AS attached FROM chat.attach('conversations', 'chat_messages') \gset
\set QUIET off
INSERT INTO chat_messages (id, conversation_id, direction, content, created_at) SELECT n, 1, 'incoming', n, moment(n, 4) FROM generate_series(1, 72) n;
SELECT * FROM judge('SELECT chat.list_messages(''1'', %1$s, %2$L)', true);
SELECT (walk('SELECT chat.list_messages(''1'', %1$s, %2$L)', 7, true))[50:];
INSERT INTO chat_messages (id, conversation_id, direction, content, created_at) VALUES (101, 2, 'incoming', 'no time', NULL);
SELECT last_message_at, last_message_preview, unread_count FROM conversations WHERE id = 2;
INSERT INTO chat_messages (id, conversation_id, direction, content, created_at) VALUES (102, 2, 'incoming', 'long ago', '1970-01-01Z'), (103, 2, 'incoming', 'no time', NULL);
SELECT last_message_at, last_message_preview, unread_count FROM conversations WHERE id = 2;
UPDATE chat_messages SET created_at = NULL WHERE id = 102;
SELECT last_message_at, last_message_preview, unread_count FROM conversations WHERE id = 2;
UPDATE chat_messages SET created_at = '1980-01-01Z' WHERE id = 103;
SELECT last_message_at, last_message_preview, unread_count FROM conversations WHERE id = 2;
SELECT chat.recount();
SELECT chat.mark_read('2', '1990-01-01Z'), chat.mark_read('2');
SELECT pg_get_indexdef('chat_messages_chat_newest_idx'::regclass);

\set QUIET on
\c contrib_regression
DROP DATABASE regress_ties;
