-- The sanitiser (4.6): inert, idempotent, and plain text stays as it is.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set xss `cat :'srcdir'/fixtures/xss.json`
CREATE SCHEMA sanitize;
SET search_path = sanitize;
CREATE TABLE vector AS SELECT n, given, chat.sanitize(given) AS inert
    FROM jsonb_array_elements_text(:'xss'::jsonb -> 'vectors') WITH ORDINALITY v (given, n);
CREATE TABLE plain AS SELECT n, given, chat.sanitize(given) AS inert
    FROM jsonb_array_elements_text(:'xss'::jsonb -> 'plain') WITH ORDINALITY v (given, n);
\set QUIET off

SELECT count(*) >= 150 AS many FROM vector;
-- None changes nothing, starts markup, keeps a control character, is changed by a second pass, or loses more than it must.
SELECT n, given, inert FROM vector WHERE given = inert ORDER BY n;
SELECT n, inert FROM vector WHERE inert ~ '<[a-zA-Z/!?]' ORDER BY n;
SELECT n, inert FROM vector WHERE inert ~ '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]' ORDER BY n;
SELECT n, inert FROM vector WHERE chat.sanitize(inert) <> inert ORDER BY n;
SELECT n, given, inert FROM vector
 WHERE regexp_replace(given, '[<\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]', '', 'g') <> replace(inert, '<', '') ORDER BY n;
SELECT n, given, inert FROM plain WHERE given <> inert ORDER BY n;
-- What becomes of some.
SELECT given, chat.sanitize(given) FROM (VALUES
    ('<script>alert(1)</script>'), ('<<b>script>'), ('a < b, a<b, a <= b'), ('<3 and </3'), ('x <!-- y --> z'), ('<?xml?>'),
    (E'<\x01<\x02img src=x>'), ('1<2<b>3'), ('&lt;b&gt;')) v (given);
SELECT encode(convert_to(chat.sanitize(E'a\u0085b\u009f<\u0080b\u00a0c\rd\x7fe'), 'UTF8'), 'hex');
-- Any two, three and four of these pieces side by side.
WITH piece (p) AS (VALUES ('<'), ('b'), ('/'), ('!'), ('?'), (' '), ('>'), (E'\x01'), (E'\u0080'), ('é'), ('3')),
     text (t) AS (SELECT a.p || b.p || c.p || d.p FROM piece a, piece b, piece c, piece d)
SELECT count(*) AS texts, count(*) FILTER (WHERE chat.sanitize(t) ~ '<[a-zA-Z/!?]') AS start_markup,
       count(*) FILTER (WHERE chat.sanitize(chat.sanitize(t)) <> chat.sanitize(t)) AS change_again,
       count(*) FILTER (WHERE t !~ '<[\x01\u0080<]*[b/!?]' AND chat.sanitize(t) <> regexp_replace(t, '[\x01\u0080]', '', 'g')) AS lost_too_much
  FROM text;
-- Linear: a megabyte of the worst.
SELECT length(chat.sanitize(repeat('<', 1000000) || 'b')), length(chat.sanitize(repeat(E'<\x01', 500000) || '/')),
       length(chat.sanitize(repeat('<b', 500000)));
SELECT chat.sanitize(NULL) IS NULL AS null_stays;

-- The trigger: content and file name, on INSERT and on a change; not what an update leaves alone.
\set QUIET on
SELECT count(*) > 0 AS set_up FROM chat.setup('sanitize');
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, 'aaaaaaaa-0000-4000-8000-000000000001', '1@s.whatsapp.net');
\set QUIET off
INSERT INTO chat_messages (id, conversation_id, direction, content, media_filename, message_type)
    VALUES (1, 1, 'incoming', '<b>bold</b> <3', NULL, 'text'), (2, 1, 'incoming', NULL, '<img src=x onerror=y>.pdf', 'document');
SELECT id, content, media_filename FROM chat_messages ORDER BY id;
SELECT last_message_preview FROM conversations;
SELECT payload::jsonb ->> 'content', payload::jsonb ->> 'mediaFilename' FROM chat.events WHERE event = 'message.new' ORDER BY id DESC LIMIT 2;
UPDATE chat_messages SET content = 'edited <i>' WHERE id = 1;
UPDATE chat_messages SET content = content || '' WHERE id = 1;
SELECT content FROM chat_messages WHERE id = 1;
SET chat_realtime.sanitize = off;
UPDATE chat_messages SET content = 'raw <i>' WHERE id = 1;
RESET chat_realtime.sanitize;
UPDATE chat_messages SET status = 'read' WHERE id = 1;
SELECT content, status FROM chat_messages WHERE id = 1;
SELECT chat.configure('sanitize.chat_messages', '{"sanitize": "off"}');
UPDATE chat_messages SET content = '<u>' WHERE id = 1 RETURNING content;
SELECT chat.configure('sanitize.chat_messages', '{"sanitize": null}');
UPDATE chat_messages SET content = '<s>' WHERE id = 1 RETURNING content;
SET chat_realtime.sanitize = html;

\set QUIET on
DO $$ BEGIN PERFORM chat.detach('sanitize.chat_messages'); END $$;
DROP SCHEMA sanitize CASCADE;
