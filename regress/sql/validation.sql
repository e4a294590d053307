-- Rule R6: what a message may be; settings, and what one pair of tables overrides.
\set QUIET on
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA validation;
SELECT count(*) > 0 AS set_up FROM chat.setup('validation');
SET search_path = validation;
CREATE TABLE loose (LIKE chat_messages INCLUDING DEFAULTS INCLUDING IDENTITY, PRIMARY KEY (id));
CREATE TABLE threads (LIKE conversations INCLUDING DEFAULTS, PRIMARY KEY (id));
SELECT count(*) > 0 AS attached FROM chat.attach('validation.threads', 'validation.loose');
INSERT INTO conversations (id, user_id, contact_jid) VALUES (1, 'aaaaaaaa-0000-4000-8000-000000000001', '1@s.whatsapp.net');
INSERT INTO threads (id, user_id, contact_jid) VALUES (1, 'aaaaaaaa-0000-4000-8000-000000000001', '1@s.whatsapp.net');
ALTER TABLE loose ALTER id RESTART 1000;
ALTER TABLE chat_messages ALTER id RESTART 1000;
-- The error of a statement: SQLSTATE, column, message, hint.
CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; col text; message text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, col = COLUMN_NAME, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', state, col, message, hint);
END $$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- Where the table has no rule of its own.
SELECT refusal('INSERT INTO loose (conversation_id, direction) VALUES (1, ''sideways'')');
SELECT refusal('INSERT INTO loose (conversation_id, direction, status) VALUES (1, ''incoming'', ''seen'')');
SELECT refusal('INSERT INTO loose (conversation_id, direction, message_type) VALUES (1, ''incoming'', ''hologram'')');
SELECT refusal(format('INSERT INTO loose (conversation_id, direction) VALUES (1, %L)', repeat('é', 100)));
INSERT INTO loose (id, conversation_id, direction, status, message_type)
    SELECT row_number() OVER (), 1, d, s, t FROM unnest('{incoming,outgoing}'::text[]) d, unnest('{pending,sent,delivered,read,failed}'::text[]) s,
        unnest('{text,image,video,audio,document,location,contact,sticker,poll,order,list_response,button_response}'::text[]) t;
SELECT refusal('UPDATE loose SET message_type = ''hologram'' WHERE id = 1');
SELECT refusal('UPDATE loose SET direction = ''up'' WHERE id = 1');
SELECT refusal('UPDATE loose SET status = ''seen'' WHERE id = 1');
SELECT refusal('MERGE INTO loose USING (VALUES (1)) v (i) ON id = i WHEN MATCHED THEN UPDATE SET status = ''seen''');
-- A CHECK constraint, an enum or a domain on the column is the table's own rule.
ALTER TABLE loose ADD CHECK (message_type IN ('text', 'hologram')) NOT VALID;
SELECT refusal('INSERT INTO loose (conversation_id, direction, message_type) VALUES (1, ''incoming'', ''hologram'')');
SELECT refusal('INSERT INTO loose (conversation_id, direction, message_type) VALUES (1, ''incoming'', ''video'')') LIKE '23514 |%loose_message_type_check%';
CREATE DOMAIN way AS text CHECK (VALUE IN ('incoming', 'outgoing', 'sideways'));
CREATE TYPE progress AS ENUM ('pending', 'sent', 'delivered', 'read', 'failed', 'played');
ALTER TABLE loose ALTER direction TYPE way, ALTER status DROP DEFAULT, ALTER status TYPE progress USING status::progress;
SELECT refusal('INSERT INTO loose (conversation_id, direction, message_type, status) VALUES (1, ''sideways'', ''text'', ''played'')');
SELECT refusal('INSERT INTO loose (conversation_id, direction, message_type, status) VALUES (1, ''down'', ''text'', ''sent'')') LIKE '23514 |%way%';
-- A CHECK over several columns says nothing about the words.
ALTER TABLE loose DROP CONSTRAINT loose_message_type_check, ADD CHECK (message_type <> 'image' OR content IS NULL) NOT VALID;
SELECT refusal('INSERT INTO loose (conversation_id, direction, message_type, status) VALUES (1, ''incoming'', ''hologram'', ''sent'')') LIKE '23514 | message_type |%';

-- Content: 4096 bytes of an outgoing message, any size of an incoming one.
SELECT refusal(format('INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, ''outgoing'', %L)', repeat('é', 2049)));
SELECT refusal(format('INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (1, 1, ''outgoing'', %L)', repeat('é', 2048)));
SELECT refusal(format('INSERT INTO chat_messages (id, conversation_id, direction, content) VALUES (2, 1, ''incoming'', %L)', repeat('é', 50000)));
SELECT refusal('UPDATE chat_messages SET content = content || ''x'' WHERE id = 1') LIKE '22001 | content |%';
SELECT refusal('UPDATE chat_messages SET direction = ''outgoing'' WHERE id = 2') LIKE '22001 | content |%';
SELECT refusal('UPDATE chat_messages SET status = ''read'' WHERE id = 2');
SET chat_realtime.max_content_bytes = '8kB';
SELECT refusal(format('UPDATE chat_messages SET content = %L WHERE id = 1', repeat('x', 8192)));
SELECT refusal(format('UPDATE chat_messages SET content = %L WHERE id = 1', repeat('x', 8193))) LIKE '22001 | content |%';
RESET chat_realtime.max_content_bytes;
SELECT refusal('UPDATE chat_messages SET status = ''sent'' WHERE id = 1'); -- what an update leaves alone is not looked at
SET chat_realtime.check_outgoing = off;
SELECT refusal(format('INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, ''outgoing'', %L)', repeat('x', 5000)));
RESET chat_realtime.check_outgoing;

-- Media types and sizes of outgoing messages; of an incoming one nothing is lost.
SELECT t, refusal(format('INSERT INTO chat_messages (conversation_id, direction, message_type, media_mime_type) VALUES (1, ''outgoing'', ''document'', %L)', t))
  FROM unnest(ARRAY['image/jpeg', 'image/webp', 'IMAGE/PNG', 'audio/ogg; codecs=opus', ' video/mp4 ', 'application/pdf', 'text/x-vcard', '',
                    'application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'application/vnd.ms-excel.sheet.macroEnabled.12',
                    'image/svg+xml', 'text/html', 'application/x-msdownload', 'image', 'image/', 'x']) t;
SELECT refusal('INSERT INTO chat_messages (id, conversation_id, direction, message_type, media_mime_type, media_size_bytes) VALUES (3, 1, ''incoming'', ''document'', ''text/html'', 9000000000000000)');
SELECT refusal('UPDATE chat_messages SET direction = ''outgoing'' WHERE id = 3') LIKE '23514 | media_mime_type |%';
SELECT refusal('INSERT INTO chat_messages (conversation_id, direction, message_type, media_size_bytes) VALUES (1, ''outgoing'', ''video'', 104857601)');
SELECT refusal('INSERT INTO chat_messages (conversation_id, direction, message_type, media_size_bytes) VALUES (1, ''outgoing'', ''video'', 104857600)');
SET chat_realtime.allowed_media_types = 'image/*, application/pdf';
SELECT refusal('INSERT INTO chat_messages (conversation_id, direction, message_type, media_mime_type) VALUES (1, ''outgoing'', ''image'', ''image/svg+xml'')');
SELECT refusal('INSERT INTO chat_messages (conversation_id, direction, message_type, media_mime_type) VALUES (1, ''outgoing'', ''audio'', ''audio/ogg'')') LIKE '23514 | media_mime_type |%';
SET chat_realtime.allowed_media_types = '';
SELECT refusal('INSERT INTO chat_messages (conversation_id, direction, message_type, media_mime_type) VALUES (1, ''outgoing'', ''image'', ''image/png'')') LIKE '23514 | media_mime_type |%';
RESET chat_realtime.allowed_media_types;

-- Settings check their values.
SET chat_realtime.allowed_media_types = 'image/png, what?';
SET chat_realtime.allowed_media_types = 'image/png,,audio/*';
SET chat_realtime.allowed_media_types = '*/*';
SET chat_realtime.allowed_media_types = 'image/*x';
SET chat_realtime.preview_labels = 'image=[Image];video';
SET chat_realtime.preview_labels = '=x';
SELECT refusal('SET chat_realtime.max_content_bytes = 1') LIKE '22023 |  | 1 B is outside the valid range for parameter "chat_realtime.max_content_bytes" (64% .. 1048576%)%';
SELECT refusal('SET chat_realtime.max_media_bytes = -1') LIKE '22023 |  | -1 B is outside the valid range for parameter "chat_realtime.max_media_bytes" (0% .. 2147483647%)%';
SET chat_realtime.nonsense = 1;

-- One pair's own settings.
SELECT chat.configure('validation.chat_messages', '{"max_content_bytes": "1kB", "allowed_media_types": "application/x-msdownload", "max_media_bytes": 10, "preview_labels": "image=[Image];document=[File %]"}');
SELECT refusal(format('INSERT INTO chat_messages (conversation_id, direction, content) VALUES (1, ''outgoing'', %L)', repeat('x', 1025))) LIKE '22001 | content |%more than 1024%';
SELECT refusal('INSERT INTO chat_messages (conversation_id, direction, message_type, media_mime_type) VALUES (1, ''outgoing'', ''document'', ''application/x-msdownload'')');
SELECT refusal('INSERT INTO chat_messages (conversation_id, direction, message_type, media_mime_type) VALUES (1, ''outgoing'', ''document'', ''image/png'')') LIKE '23514 | media_mime_type |%';
SELECT refusal('INSERT INTO chat_messages (conversation_id, direction, message_type, media_size_bytes) VALUES (1, ''outgoing'', ''image'', 11)') LIKE '23514 | media_size_bytes |%more than 10 |%';
INSERT INTO chat_messages (id, conversation_id, direction, content, created_at) VALUES (4, 1, 'incoming', repeat('y', 2000), now() + interval '1 s');
SELECT length(payload::jsonb ->> 'content'), payload::jsonb -> 'contentTruncated' FROM chat.events WHERE event = 'message.new' ORDER BY id DESC LIMIT 1;
INSERT INTO chat_messages (id, conversation_id, direction, message_type, media_filename, created_at) VALUES (5, 1, 'incoming', 'document', 'a.pdf', now() + interval '2 s');
SELECT last_message_preview FROM conversations;
SELECT count(*) FROM chat.drifted((SELECT a FROM chat.attachment a WHERE messages = 'validation.chat_messages'::regclass));
SELECT refusal('INSERT INTO loose (conversation_id, direction, status, message_type, content) SELECT 1, ''outgoing'', ''sent'', ''text'', repeat(''x'', 4096)');
SELECT chat.configure('validation.chat_messages', '{"max_content_bytes": 2048, "max_media_bytes": null}');
SELECT refusal('SELECT chat.configure(''validation.chat_messages'', ''{"max_content_bytes": 1}'')') LIKE '22023 |  | 1 B is outside the valid range for parameter "chat_realtime.max_content_bytes" (64% .. 1048576%)%';
SELECT chat.configure('validation.chat_messages', '{"allowed_media_types": "x"}');
SELECT chat.configure('validation.chat_messages', '{"sanitize": "maybe"}');
SELECT chat.configure('validation.chat_messages', '{"sanitize": ["off"]}');
SELECT chat.configure('validation.chat_messages', '{"notify": "off"}');
SELECT chat.configure('validation.chat_messages', '{"nonsense": null}');
SELECT chat.configure('validation.chat_messages', '[]');
SELECT chat.configure('validation.chat_messages', NULL);
SELECT chat.configure('pg_class', '{}');
SELECT settings FROM chat.attachment WHERE messages = 'validation.chat_messages'::regclass;
SELECT action, object, details FROM chat.audit_log WHERE object = 'validation.chat_messages' AND action = 'attachment.configured' ORDER BY id;

\set QUIET on
DO $$ BEGIN PERFORM chat.detach('validation.chat_messages'); PERFORM chat.detach('validation.loose'); END $$;
DROP SCHEMA validation CASCADE;
