-- Words that a table's CHECK or the rules refuse: the error names column and allowed values, and shows nothing else of the row.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE DATABASE regress_words;
\c regress_words
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM chat.setup() \gset setup_
\set u '''11111111-1111-1111-1111-111111111111'''
-- What a statement's error tells.
CREATE FUNCTION told(statement text, OUT state text, OUT col text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS
$$
BEGIN
    EXECUTE statement;
    message := 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, col = COLUMN_NAME, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    hint := regexp_replace(hint, '^(Constraint "[^"]*" allows: [(]*[a-z_]+).*(''(snoozed|outgoing|failed|button_response|system)'').*', '\1 … \2');
END
$$;
\pset null (null)
\pset format unaligned
\pset tuples_only on
\set QUIET off
-- Tables of chat.setup()
INSERT INTO conversations (id, user_id, contact_jid) OVERRIDING SYSTEM VALUE VALUES (100, :u, 'a@s.whatsapp.net');
SELECT * FROM told($$INSERT INTO conversations (user_id, contact_jid, status) VALUES (gen_random_uuid(), 'secret contact', 'closed')$$);
SELECT * FROM told($$UPDATE conversations SET status = 'closed'$$);
SELECT * FROM told($$INSERT INTO chat_messages (conversation_id, direction, content) VALUES (100, 'sideways', 'secret text')$$);
SELECT * FROM told($$INSERT INTO chat_messages (conversation_id, direction, content, status) VALUES (100, 'incoming', 'secret text', 'seen')$$);
SELECT * FROM told($$INSERT INTO chat_messages (conversation_id, direction, content, message_type) VALUES (100, 'incoming', 'secret text', 'hologram')$$);
SELECT * FROM told($$INSERT INTO chat_messages (conversation_id, direction, content, sender_type) VALUES (100, 'incoming', 'secret text', 'robot')$$);
SELECT * FROM told($$INSERT INTO chat_messages (conversation_id, direction, content, sender_type) VALUES (100, 'incoming', 'fine', 'contact')$$);
-- A CHECK with other words than the rule's
ALTER TABLE conversations DROP CONSTRAINT conversations_status_check, ADD CONSTRAINT known CHECK (status IN ('open', 'parked'));
SELECT * FROM told($$UPDATE conversations SET status = 'parked'$$);
SELECT * FROM told($$UPDATE conversations SET status = 'closed'$$);
ALTER TABLE conversations DROP CONSTRAINT known;
-- Without a CHECK the rule holds, for conversations as for messages; what is there already can still be changed
ALTER TABLE conversations DISABLE TRIGGER zz_chat_realtime_before;
UPDATE conversations SET status = 'archived';
ALTER TABLE conversations ENABLE TRIGGER zz_chat_realtime_before;
SELECT * FROM told($$UPDATE conversations SET contact_name = 'of before'$$);
SELECT * FROM told($$UPDATE conversations SET status = 'closed'$$);
SELECT * FROM told($$INSERT INTO conversations (user_id, contact_jid, status) VALUES (gen_random_uuid(), 'x', 'closed')$$);
SELECT * FROM told($$UPDATE conversations SET status = 'snoozed'$$);
-- Ids as bare integers
SELECT chat.save_message(100, '{"content": "hello"}') ->> 'content' AS content, chat.save_message('100', '{"content": "again"}') ->> 'content' AS text;
SELECT chat.save_message(100, '{"content": "not mine"}', '22222222-2222-2222-2222-222222222222') IS NULL AS foreign_one;
-- A key without a column: the column is named
ALTER TABLE conversations DROP COLUMN is_muted;
SELECT count(*) FROM chat.attach('conversations', 'chat_messages') WHERE action ~ 'looked up';
SELECT * FROM told($$SELECT chat.update_conversation('100', '{"isMuted": true}')$$);
-- No hint where there is none
SELECT * FROM told($$SELECT chat.save_message('100', NULL)$$);
SELECT chat.save_message('100', NULL);

\set QUIET on
\c postgres
DROP DATABASE regress_words;
