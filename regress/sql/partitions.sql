-- Partitions of messages that are dropped, detached and attached with rows: counters are recounted, in portions. In a database
-- of its own.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
\set SHOW_CONTEXT never
CREATE DATABASE regress_partitions;
\c regress_partitions
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
CREATE TABLE chats (id bigint PRIMARY KEY, user_id uuid NOT NULL, contact_jid text, unread_count int NOT NULL DEFAULT 0,
                    last_message_at timestamptz, last_message_preview text);
CREATE TABLE msgs (id bigserial, conversation_id bigint NOT NULL REFERENCES chats, content text, direction text NOT NULL,
                   status text NOT NULL DEFAULT 'delivered', created_at timestamptz NOT NULL, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE msgs_1 PARTITION OF msgs FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE msgs_2 PARTITION OF msgs FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY RANGE (created_at);
CREATE TABLE msgs_2a PARTITION OF msgs_2 FOR VALUES FROM ('2026-02-01') TO ('2026-02-15');
CREATE TABLE msgs_2b PARTITION OF msgs_2 FOR VALUES FROM ('2026-02-15') TO ('2026-03-01');
CREATE TABLE msgs_3 PARTITION OF msgs FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
-- A second pair, not partitioned: it is left alone.
CREATE TABLE other_chats (LIKE chats INCLUDING ALL);
CREATE TABLE other_msgs (LIKE msgs INCLUDING DEFAULTS, PRIMARY KEY (id));
SELECT count(*) > 0 AS attached FROM chat.attach('chats', 'msgs') a, chat.attach('other_chats', 'other_msgs') b \g /dev/null
INSERT INTO chats (id, user_id) SELECT n, gen_random_uuid() FROM generate_series(1, 500) n;
INSERT INTO msgs (conversation_id, content, direction, created_at)
    SELECT n, 'in ' || d, 'incoming', d::timestamptz FROM generate_series(1, 500) n, unnest('{2026-01-05,2026-02-03,2026-02-20,2026-03-04}'::text[]) d;
CREATE FUNCTION drift() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM chat.attachment a, chat.drifted(a) $$;
CREATE VIEW due AS SELECT (SELECT a.messages FROM chat.attachment a WHERE a.id = d.attachment), reason, done_up_to FROM chat.recount_due d;
CREATE VIEW hint AS SELECT h.severity, h.object, regexp_replace(h.hint, 'since \S+', 'since then') AS hint, h.statement
    FROM chat.hints() h WHERE h.object ~ '^public' AND h.hint !~ 'index';
CREATE VIEW ours AS SELECT g.tgrelid::regclass AS relation, count(*) FROM pg_trigger g WHERE g.tgname ~ 'chat_realtime' GROUP BY 1 ORDER BY 1;
\set QUIET off
SELECT drift(), (SELECT count(*) FROM due) AS due;

-- Dropped: noted, said, recounted in portions.
DROP TABLE msgs_3;
SELECT drift();
SELECT * FROM due ORDER BY 2;
SELECT * FROM hint ORDER BY 2, 3;
SELECT object, action FROM chat.maintain() WHERE object !~ '^chat\.';
SELECT drift(), done_up_to FROM due;
SELECT hint FROM hint;
SELECT object, action FROM chat.maintain() WHERE object !~ '^chat\.';
SELECT object, action FROM chat.maintain() WHERE object !~ '^chat\.';
SELECT drift(), (SELECT count(*) FROM due) AS due, (SELECT count(*) FROM hint) AS hints;
SELECT DISTINCT unread_count, last_message_preview FROM chats;
SELECT object, action FROM chat.maintain() WHERE object !~ '^chat\.';

-- Detached: triggers of ours go with it, so that it is a table like any other. Rolled back it was nothing.
BEGIN;
ALTER TABLE msgs DETACH PARTITION msgs_1;
SELECT * FROM due ORDER BY 2;
ROLLBACK;
SELECT * FROM due ORDER BY 2;
ALTER TABLE msgs DETACH PARTITION msgs_1;
SELECT * FROM due ORDER BY 2;
SELECT * FROM ours;
DELETE FROM msgs_1 WHERE conversation_id > 490;
INSERT INTO msgs_1 (id, conversation_id, content, direction, created_at) VALUES (9999, 500, 'archived', 'incoming', '2026-01-06');
-- One call of chat.recount does all of it.
SELECT drift(), chat.recount('msgs') AS mended, drift();
SELECT count(*) FROM due;
-- Of partitions below a partition, and without keeping others out.
ALTER TABLE msgs DETACH PARTITION msgs_2 CONCURRENTLY;
SELECT * FROM due ORDER BY 2;
SELECT relation FROM ours;
TRUNCATE msgs_2a;

-- Attached with rows.
ALTER TABLE msgs ATTACH PARTITION msgs_1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
SELECT * FROM due ORDER BY 2;
SELECT * FROM ours;
SELECT chat.recount() > 0 AS mended;
SELECT drift(), (SELECT count(*) FROM due) AS due;
SELECT unread_count, last_message_preview, count(*) FROM chats GROUP BY 1, 2 ORDER BY 3;
-- An empty one, and one that is changed in another way, note nothing.
CREATE TABLE msgs_3 PARTITION OF msgs FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
ALTER TABLE msgs_3 SET (fillfactor = 90);
ALTER TABLE msgs ALTER content SET STATISTICS 50;
SELECT * FROM due ORDER BY 2;
-- Noted anew after a portion was done: from the first conversation on.
ALTER TABLE msgs ATTACH PARTITION msgs_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
SELECT object, action FROM chat.maintain() WHERE object !~ '^chat\.';
DROP TABLE msgs_1;
SELECT * FROM due ORDER BY 2;
SELECT chat.recount() > 0 AS mended, drift();

-- While event triggers are off nothing is noted; what a partition lacks is said, trigger by trigger, and made by chat.attach.
ALTER EVENT TRIGGER chat_realtime_changed DISABLE;
CREATE TABLE msgs_4 PARTITION OF msgs FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
ALTER TABLE msgs DETACH PARTITION msgs_2;
ALTER EVENT TRIGGER chat_realtime_changed ENABLE;
SELECT severity, object, hint FROM hint ORDER BY 2, 3;
SELECT * FROM chat.attach('chats', 'msgs') WHERE action !~ 'index';
SELECT * FROM due ORDER BY 2;
SELECT severity, object, hint FROM hint ORDER BY 2, 3;
SELECT * FROM ours;
-- A pair that is detached, or dropped, is due for nothing.
DROP TABLE msgs_4;
SELECT count(*) FROM due;
SELECT count(*) > 0 AS detached FROM chat.detach('msgs');
SELECT count(*) FROM chat.recount_due;
\set QUIET on
\c :home
DROP DATABASE regress_partitions;
