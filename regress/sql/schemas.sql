-- Tables of other shapes: key types, odd names, missing columns, times without zone, domains, enums, partitions, triggers of the user's.
\set QUIET on
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET TIME ZONE 'America/Sao_Paulo';
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA schemas;
SET search_path = schemas;
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
CREATE TABLE mark AS SELECT COALESCE(max(id), 0) AS id FROM chat.events;
CREATE FUNCTION news() RETURNS TABLE (topic text, event text, payload text) LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := (SELECT max(e.id) FROM chat.events e);
BEGIN
    RETURN QUERY SELECT e.topic, e.event, e.payload FROM chat.events e, schemas.mark m WHERE e.id > m.id ORDER BY e.id;
    UPDATE schemas.mark SET id = upto;
END $$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- Integer and smallint keys, mixed; nothing but what is essential.
CREATE TABLE small_c (id smallint PRIMARY KEY, user_id text NOT NULL);
CREATE TABLE small_m (id integer PRIMARY KEY, conversation_id bigint NOT NULL, direction text, status text, content text, created_at timestamptz);
SELECT count(*) > 0 FROM chat.attach('small_c', 'small_m');
INSERT INTO small_c VALUES (-5, 'ann');
INSERT INTO small_m VALUES (1, -5, 'incoming', 'delivered', 'hi', '2026-01-01 00:00+00'), (2, -5, NULL, NULL, NULL, NULL);
UPDATE small_m SET status = 'read' WHERE id = 1;
DELETE FROM small_c WHERE id = -5;
SELECT topic, event, payload::jsonb - 'timestamp' FROM news();
SELECT chat.recount('small_m');
DO $$ BEGIN PERFORM chat.detach('small_m'); END $$;
CREATE TABLE int_c (id integer PRIMARY KEY, user_id integer NOT NULL, unread_count smallint, last_message_preview varchar(5), updated_at timestamptz);
CREATE TABLE int_m (id smallint PRIMARY KEY, conversation_id smallint NOT NULL REFERENCES int_c, direction varchar(8) NOT NULL,
    status char(9) NOT NULL, content varchar(20), created_at timestamptz DEFAULT now());
SELECT count(*) > 0 FROM chat.attach('int_c', 'int_m');
INSERT INTO int_c VALUES (1, 7, 99, 'forged');
INSERT INTO int_c VALUES (1, 7, 99, 'x');
INSERT INTO int_m VALUES (1, 1, 'incoming', 'sent', 'a longer text'), (2, 1, 'incoming', 'read', 'another');
INSERT INTO int_m VALUES (3, 1, 'incoming', 'sent', '<b>and one', now() + interval '1 min');
SELECT id, unread_count, last_message_preview FROM int_c;
UPDATE int_m SET status = 'pending' WHERE id = 3;
UPDATE int_m SET status = 'read' WHERE id = 3;
SELECT topic, event, payload::jsonb - '{createdAt,timestamp,updatedAt}'::text[] FROM news();
-- A count that the column could not hold was cut, so it is made anew when it goes down.
INSERT INTO int_m VALUES (4, 1, 'incoming', 'sent', 'one more');
ALTER TABLE int_c DISABLE TRIGGER USER;
UPDATE int_c SET unread_count = 32767;
ALTER TABLE int_c ENABLE TRIGGER USER;
INSERT INTO int_m VALUES (5, 1, 'incoming', 'sent', 'and one more');
SELECT unread_count FROM int_c;
UPDATE int_m SET status = 'read' WHERE id = 4;
SELECT unread_count, (SELECT count(*) FROM int_m WHERE status <> 'read') FROM int_c;
SELECT count(*) FROM news();
SELECT chat.recount('int_m');
DO $$ BEGIN PERFORM chat.detach('int_m'); END $$;

-- Times without zone count as UTC, in whatever zone the session is.
CREATE TABLE naive_c (id bigint PRIMARY KEY, user_id uuid, unread_count int, last_message_at timestamp, last_message_preview text, updated_at timestamp);
CREATE TABLE naive_m (id bigint PRIMARY KEY, conversation_id bigint REFERENCES naive_c ON DELETE CASCADE, direction text, status text, content text, sent timestamp,
    created_at timestamptz DEFAULT '2026-01-01 00:00+00', status_updated_at timestamp);
SELECT count(*) > 0 FROM chat.attach('naive_c', 'naive_m', '{"time": "sent"}');
SELECT chat.lacks_zone('naive_m', 'sent'), chat.lacks_zone('naive_m', 'created_at'), chat.message_order('naive_m', columns) FROM chat.attachment WHERE messages = 'naive_m'::regclass;
SELECT pg_get_indexdef('naive_m_chat_newest_idx'::regclass);
SELECT * FROM chat.attach('naive_c', 'naive_m');
INSERT INTO naive_c (id, user_id) VALUES (1, :ann);
INSERT INTO naive_m (id, conversation_id, direction, status, content, sent) VALUES (1, 1, 'incoming', 'delivered', 'at noon', '2026-01-01 12:00');
INSERT INTO naive_m (id, conversation_id, direction, status, content, created_at) VALUES (2, 1, 'incoming', 'delivered', 'at eleven', '2026-01-01 11:00+00');
SELECT last_message_at, last_message_preview, abs(extract(epoch FROM updated_at AT TIME ZONE 'UTC' - now())) < 60 AS touched FROM naive_c;
INSERT INTO naive_m (id, conversation_id, direction, status, content, created_at) VALUES (3, 1, 'incoming', 'delivered', 'at one', '2026-01-01 13:00+00');
SELECT last_message_at, last_message_preview FROM naive_c;
DELETE FROM naive_m WHERE id = 3;
SELECT last_message_at, last_message_preview FROM naive_c;
UPDATE naive_m SET status = 'read' WHERE id = 1;
SELECT abs(extract(epoch FROM status_updated_at AT TIME ZONE 'UTC' - now())) < 60 AS touched FROM naive_m WHERE id = 1;
SELECT payload::jsonb -> 'lastMessageAt', payload::jsonb -> 'sent' FROM news();
SELECT chat.recount('naive_m');
-- A trigger of the user's on conversations: counters are written by UPDATE, which it sees.
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.last_message_preview := upper(NEW.last_message_preview); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE UPDATE ON naive_c FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO naive_m (id, conversation_id, direction, status, content, sent) VALUES (4, 1, 'incoming', 'delivered', 'evening', '2026-01-01 19:00');
SELECT last_message_at, last_message_preview FROM naive_c;
SELECT event, payload::jsonb -> 'lastMessagePreview' FROM news();
DO $$ BEGIN PERFORM chat.detach('naive_m'); END $$;

-- Odd names: upper case, quotes, spaces, dots, unicode, 63 bytes, names of SQL.
CREATE SCHEMA "Odd ""Schema"".x";
CREATE TABLE "Odd ""Schema"".x"."Conversations é 😀" ("the ""ID""" uuid PRIMARY KEY, "Owner.Of" uuid NOT NULL, "select" int DEFAULT 0,
    "LastMessage At" timestamptz, "pré-view" text, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk" text DEFAULT 'long');
CREATE TABLE "Odd ""Schema"".x"."abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk" ("ID" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "from" uuid REFERENCES "Odd ""Schema"".x"."Conversations é 😀" ON DELETE CASCADE, "Direction" text, "STATUS" text, "Body; DROP TABLE" text,
    "When'" timestamptz DEFAULT '2026-02-03 04:05:06+00', "pri vate" bool, "back\slash" text DEFAULT E'\\');
SELECT count(*) > 0 FROM chat.attach('"Odd ""Schema"".x"."Conversations é 😀"', '"Odd ""Schema"".x"."abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"',
    '{"owner": "Owner.Of", "unread_count": "select", "last_message_at": "LastMessage At", "last_message_preview": "pré-view", "conversation": "from",
      "direction": "Direction", "status": "STATUS", "content": "Body; DROP TABLE", "created_at": "When''", "private": "pri vate"}');
SELECT * FROM chat.attach('"Odd ""Schema"".x"."Conversations é 😀"', '"Odd ""Schema"".x"."abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"');
SET search_path = "Odd ""Schema"".x";
INSERT INTO "Conversations é 😀" VALUES ('00000000-0000-4000-8000-000000000001', :ann);
INSERT INTO "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk" ("from", "Direction", "STATUS", "Body; DROP TABLE")
    VALUES ('00000000-0000-4000-8000-000000000001', 'incoming', 'sent', 'hi'), ('00000000-0000-4000-8000-000000000001', 'incoming', 'sent', 'ho');
DELETE FROM "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk" WHERE "ID" = 2;
SELECT "select", "LastMessage At", "pré-view" FROM "Conversations é 😀";
SELECT topic, event, payload::jsonb FROM schemas.news();
SELECT chat.recount('"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"');
TRUNCATE "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk";
SELECT "select", "LastMessage At", "pré-view" FROM "Conversations é 😀";
SELECT count(*) FROM chat.detach('"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"');
SET search_path = schemas;
SELECT count(*) > 0 AS ignored FROM news();

-- Domains, enums, a generated column, NOT NULL last-message columns, a CHECK on the counter.
CREATE DOMAIN key AS uuid;
CREATE DOMAIN words AS varchar(200) CHECK (length(VALUE) < 100);
CREATE DOMAIN moment AS timestamptz;
CREATE TYPE way AS ENUM ('incoming', 'outgoing');
CREATE TYPE progress AS ENUM ('pending', 'sent', 'delivered', 'read', 'failed', 'played');
CREATE TABLE typed_c (id key PRIMARY KEY, user_id key NOT NULL, unread_count int NOT NULL CHECK (unread_count >= 0), last_message_at moment NOT NULL DEFAULT '2020-01-01 00:00+00',
    last_message_preview words NOT NULL DEFAULT 'nothing yet', busy bool GENERATED ALWAYS AS (unread_count > 1) STORED);
CREATE TABLE typed_m (id key PRIMARY KEY, conversation_id key NOT NULL, direction way NOT NULL, status progress NOT NULL, content words,
    metadata json, tags text[], price numeric, deleted_at moment, created_at moment NOT NULL, size int GENERATED ALWAYS AS (length(content)) STORED);
SELECT count(*) > 0 FROM chat.attach('typed_c', 'typed_m');
INSERT INTO typed_c (id, user_id, unread_count) VALUES ('00000000-0000-4000-8000-000000000001', :ann, 5);
SELECT unread_count, last_message_at, last_message_preview, busy FROM typed_c;
INSERT INTO typed_m VALUES ('11111111-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001', 'incoming', 'delivered', 'one', '{"a":1}', '{x,y}', 1.50, NULL, '2019-01-01 00:00+00'),
    ('11111111-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001', 'incoming', 'pending', 'two', NULL, NULL, 'NaN', NULL, '2019-01-02 00:00+00');
SELECT unread_count, last_message_at, last_message_preview, busy FROM typed_c;
UPDATE typed_m SET status = 'played' WHERE status = 'delivered';
-- A soft deletion is one: told once, counted no more, and no message afterwards.
UPDATE typed_m SET deleted_at = now() WHERE content = 'two';
UPDATE typed_m SET content = 'gone' WHERE content = 'two';
DELETE FROM typed_m WHERE content = 'gone';
SELECT unread_count, last_message_at, last_message_preview, busy FROM typed_c;
DELETE FROM typed_m;
SELECT unread_count, last_message_at, last_message_preview, busy FROM typed_c;
SELECT topic, event, payload::jsonb - '{deletedAt,timestamp}'::text[] FROM news();
SELECT chat.recount('typed_m');
DO $$ BEGIN PERFORM chat.detach('typed_m'); END $$;

-- Partitions: rows by way of the parent and of a partition, a new partition, one attached and one detached, one truncated.
CREATE TABLE part_c (id bigint PRIMARY KEY, user_id uuid, unread_count int DEFAULT 0, last_message_at timestamptz, last_message_preview text);
CREATE TABLE part_m (content text, id bigint, conversation_id bigint, direction text, status text, created_at timestamptz, is_deleted bool DEFAULT false,
    PRIMARY KEY (id, created_at, conversation_id)) PARTITION BY RANGE (created_at);
CREATE TABLE part_m_1 PARTITION OF part_m FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00');
SELECT object, action FROM chat.attach('part_c', 'part_m') WHERE action LIKE 'trigger%' ORDER BY 1, 2;
INSERT INTO part_c (id, user_id) VALUES (1, :ann);
INSERT INTO part_m VALUES ('one', 1, 1, 'incoming', 'sent', '2026-01-01 00:00+00');
INSERT INTO part_m_1 VALUES ('two', 2, 1, 'incoming', 'sent', '2026-01-02 00:00+00');
CREATE TABLE part_m_2 PARTITION OF part_m FOR VALUES FROM ('2026-02-01 00:00+00') TO ('2026-03-01 00:00+00') PARTITION BY LIST (conversation_id);
CREATE TABLE part_m_2_1 PARTITION OF part_m_2 FOR VALUES IN (1);
INSERT INTO part_m_2 VALUES ('three', 3, 1, 'incoming', 'sent', '2026-02-01 00:00+00');
INSERT INTO part_m_2_1 VALUES ('four', 4, 1, 'incoming', 'sent', '2026-02-02 00:00+00');
CREATE TABLE part_m_3 (junk int, status text, is_deleted bool, direction text, id bigint NOT NULL, content text, conversation_id bigint NOT NULL, created_at timestamptz NOT NULL);
ALTER TABLE part_m_3 DROP junk;
ALTER TABLE part_m ATTACH PARTITION part_m_3 FOR VALUES FROM ('2026-03-01 00:00+00') TO ('2026-04-01 00:00+00');
INSERT INTO part_m VALUES ('five', 5, 1, 'incoming', 'sent', '2026-03-01 00:00+00');
INSERT INTO part_m_3 (content, id, conversation_id, direction, status, created_at) VALUES ('six', 6, 1, 'incoming', 'sent', '2026-03-02 00:00+00');
UPDATE part_m_3 SET content = 'six, edited' WHERE id = 6;
UPDATE part_m SET status = 'read' WHERE id IN (1, 6);
SELECT unread_count, last_message_preview FROM part_c;
UPDATE part_m SET created_at = '2026-01-15 00:00+00' WHERE id = 5;
UPDATE part_m SET is_deleted = true WHERE id = 6;
SELECT unread_count, last_message_preview FROM part_c;
SELECT event, payload::jsonb -> 'content', payload::jsonb -> 'status', payload::jsonb -> 'unreadCount' FROM news();
TRUNCATE part_m_2;
SELECT unread_count, last_message_preview FROM part_c;
ALTER TABLE part_m DETACH PARTITION part_m_1;
SELECT chat.recount('part_m');
SELECT unread_count, last_message_preview FROM part_c;
INSERT INTO part_m_1 VALUES ('apart', 9, 1, 'incoming', 'sent', '2026-01-02 00:00+00');
SELECT unread_count FROM part_c;
SELECT count(*) FROM chat.detach('part_m');
SELECT count(*) FROM pg_trigger WHERE tgname ~ '^(00|zz)_chat' AND tgrelid IN ('part_m'::regclass, 'part_m_1'::regclass, 'part_c'::regclass);

\set QUIET on
DROP SCHEMA schemas CASCADE;
DROP SCHEMA "Odd ""Schema"".x" CASCADE;
