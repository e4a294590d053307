-- What chat.attach would do, and doing what takes long beside writers; what it names when it attaches.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
CREATE DATABASE regress_attach_plan;
\c regress_attach_plan
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
\pset format unaligned
\pset tuples_only on
CREATE TABLE c (id bigint PRIMARY KEY, user_id uuid NOT NULL, unread_count int DEFAULT 0);
CREATE TABLE m (id bigint NOT NULL, conversation_id bigint NOT NULL, direction text NOT NULL, status text NOT NULL, content text, created_at timestamptz NOT NULL,
    PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE m_old PARTITION OF m FOR VALUES FROM ('2020-01-01') TO ('2026-01-01') PARTITION BY HASH (id);
CREATE TABLE m_old_1 PARTITION OF m_old FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE m_old_2 PARTITION OF m_old FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE m_new PARTITION OF m FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO c SELECT n, gen_random_uuid() FROM generate_series(1, 10) n;
INSERT INTO m SELECT n, 1 + n % 10, 'outgoing', 'sent', repeat(md5(n::text), 50), '2025-12-31'::timestamptz + n * interval '10 s' FROM generate_series(1, 15000) n;
\set QUIET off

SELECT object, action, regexp_replace(statement, '_[0-9]{4,}', '_N', 'g') FROM chat.attach_plan('c', 'm') WHERE action ~ 'index|attached';
-- One that was interrupted
\set QUIET on
CREATE INDEX m_new_part ON m_new (conversation_id, created_at DESC NULLS LAST, id DESC);
\set ECHO none
SELECT statement FROM chat.attach_plan('c', 'm') WHERE object = 'public.m' AND statement IS NOT NULL \gexec
\set ECHO all
\set QUIET off
SELECT action, statement FROM chat.attach_plan('c', 'm') WHERE action ~ 'index';
SELECT i.indisvalid, count(*) FROM pg_index i WHERE pg_get_indexdef(i.indexrelid) ~ 'NULLS LAST' GROUP BY 1;
SELECT action FROM chat.attach('c', 'm') WHERE action ~ 'index|attached|drift';
SELECT count(*) FROM chat.attach_plan('c', 'm');

-- A large table's index is left to the plan, and hinted at until it is there
DROP INDEX m_chat_newest_idx;
SELECT action FROM chat.attach('c', 'm');
SELECT severity, object, hint, statement FROM chat.hints() WHERE hint ~ 'index';
\set QUIET on
\set ECHO none
SELECT statement FROM chat.attach_plan('c', 'm') WHERE statement IS NOT NULL \gexec
\set ECHO all
\set QUIET off
SELECT action FROM chat.attach('c', 'm');
SELECT hint FROM chat.hints() WHERE hint ~ 'index';

-- Columns that no payload can carry
ALTER TABLE m ADD "createdAt" timestamptz, ADD content_truncated boolean DEFAULT false;
SELECT action FROM chat.detach('m') WHERE action = 'detached';
SELECT action FROM chat.attach('c', 'm') WHERE action ~ 'column';
SELECT severity, object, hint FROM chat.hints() WHERE hint ~ 'column';
INSERT INTO m VALUES (100001, 1, 'incoming', 'delivered', repeat('x', 5000), '2026-06-01 12:00+00', '2000-01-01', false);
SELECT payload::jsonb ->> 'createdAt', payload::jsonb ->> 'contentTruncated', length(payload::jsonb ->> 'content'),
       (length(payload) - length(replace(payload, 'contentTruncated', ''))) / length('contentTruncated') AS times
  FROM chat.events WHERE event = 'message.new';
SELECT j - 'content' FROM (SELECT chat.row_json(a.id, m) AS j FROM chat.attachment a, m WHERE m.id = 100001) r;

-- Triggers that a subscription would fire
ALTER TABLE m ENABLE ALWAYS TRIGGER "00_chat_realtime_after";
ALTER TABLE c DISABLE TRIGGER zz_chat_realtime_flush;
SELECT severity, hint, statement FROM chat.hints() WHERE hint ~ 'trigger' ORDER BY hint;
SELECT statement FROM chat.hints() WHERE hint ~ 'trigger' ORDER BY hint \gexec
SELECT count(*) FROM chat.hints() WHERE hint ~ 'trigger';
\set QUIET on
\c :home
DROP DATABASE regress_attach_plan;
