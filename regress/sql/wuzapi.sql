-- WUZAPI's webhooks: every generation of bodies, what is stored of them, and presence.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_wuzapi;
\c regress_wuzapi
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
SET chat_realtime.rate_limits = off;
CREATE EXTENSION chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/bodies.sql'
\i :shared
-- What the normaliser answers, an error as its SQLSTATE and message.
CREATE FUNCTION parse(payload text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
    hint text;
BEGIN
    RETURN chat.wuzapi_parse(payload::jsonb);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN state || ' ' || message || CASE WHEN hint = '' THEN ' (no hint)' ELSE '' END;
END $$;
\pset format unaligned
\pset tuples_only on
\pset null (null)
\set QUIET off

-- Messages
SELECT name, chat.wuzapi_parse(body) #- '{metadata,media}' - 'instance' FROM body
 WHERE chat.wuzapi_parse(body) ->> 'kind' = 'message' ORDER BY name COLLATE "C";
-- What is needed to fetch a file again
SELECT name, chat.wuzapi_parse(body) #> '{metadata,media}' FROM body
 WHERE name IN ('audio_ptt', 'form_2025_05_image') ORDER BY name COLLATE "C";
-- Receipts, typing, and what is of no use
SELECT name, chat.wuzapi_parse(body) - 'instance' FROM body
 WHERE chat.wuzapi_parse(body) ->> 'kind' <> 'message' ORDER BY name COLLATE "C";
-- One event in all envelopes
SELECT count(DISTINCT chat.wuzapi_parse(body) - 'instance') FROM body
 WHERE name IN ('text', 'json_2025_07', 'form_now', 'form_object', 'relayed');

-- Which of the owner's numbers it came in by, as the envelope says
SELECT name, chat.wuzapi_parse(body) -> 'instance' FROM body
 WHERE name IN ('text', 'json_2025_07', 'form_2025_05', 'form_now', 'form_object', 'relayed', 'presence') ORDER BY name COLLATE "C";
-- Pairs of addresses, of whatever event
SELECT e, chat.wuzapi_parse(e) -> 'addresses' FROM unnest(ARRAY[
    '{"type": "HistorySync", "event": {"Data": {"phoneNumberToLidMappings": [{"pnJID": "1:3@s.whatsapp.net", "lidJID": "2@lid"}, {"pnJID": "1@s.whatsapp.net"}, 7],
        "inlineContacts": [{"lidJID": "4@lid", "pnJID": "3@s.whatsapp.net"}],
        "conversations": [{"ID": "6@lid", "pnJID": "5@s.whatsapp.net"}, {"ID": "7@s.whatsapp.net", "lidJID": "8@lid"}, {"ID": "1-2@g.us"}]}}}',
    '{"type": "GroupInfo", "event": {"JID": "1@g.us", "Sender": "2@lid", "SenderPN": "1@s.whatsapp.net", "Name": {"Name": "x", "NameSetBy": "4@lid", "NameSetByPN": "3@s.whatsapp.net"}}}',
    '{"type": "JoinedGroup", "event": {"JID": "1@g.us", "OwnerJID": "2@lid", "OwnerPN": "1@s.whatsapp.net", "Name": "x", "Participants": [
        {"JID": "3@lid", "PhoneNumber": "4@s.whatsapp.net", "LID": "3@lid"}, {"JID": "5@s.whatsapp.net", "PhoneNumber": "5@s.whatsapp.net", "LID": "6@lid"}]}}',
    '{"type": "Message", "event": {"Info": {"ID": "A", "Chat": "1@g.us", "Sender": "2@lid", "SenderAlt": "3@s.whatsapp.net", "Timestamp": "2026-06-18T13:19:38Z"}, "Message": {"protocolMessage": {"type": 11}}}}',
    '{"type": "CallOffer", "event": {"From": "1@lid"}}', '{"type": "x"}']::jsonb[]) e;

-- Addresses: device and agent go, old and hosted servers are the phone's; whose alternative address counts
SELECT i, chat.wuzapi_parse(body('text', jsonb_build_object('event.Info', jsonb_build_object('ID', 'A',
           'Timestamp', '2026-06-18T13:19:38Z') || i))) - '{id,kind,type,content,metadata,timestamp,isGroup,instance}'::text[]
  FROM unnest(ARRAY['{"Chat": "5511900000001.0:12@s.whatsapp.net"}', '{"Chat": "5511900000001@C.US"}',
      '{"RemoteJid": "5511900000001:99@hosted", "FromMe": true}', '{"Chat": "1@hosted.lid", "SenderAlt": "2:3@s.whatsapp.net"}',
      '{"Chat": "1@lid", "SenderAlt": "9@s.whatsapp.net", "RecipientAlt": "2@s.whatsapp.net", "IsFromMe": true}',
      '{"Chat": "2@s.whatsapp.net", "SenderAlt": "1:7@lid"}', '{"Chat": "1@lid", "SenderAlt": "not an address"}',
      '{"Chat": "77@broadcast", "Sender": "1:2@lid", "SenderAlt": "2@s.whatsapp.net"}',
      '{"Chat": "1-2@g.us", "Sender": "1:2@lid", "SenderAlt": "2@s.whatsapp.net"}']::jsonb[]) i;
-- Ignored, with the reason
SELECT chat.wuzapi_parse(body('text', i)) ->> 'reason'
  FROM unnest(ARRAY['{"event.Info.Chat": "1@newsletter"}', '{"event.Info.Chat": "7@broadcast", "event.Info.IsFromMe": true}',
      '{"event.Info.Edit": "1"}', '{"event.Info.Edit": "8"}', '{"event.IsEdit": true}', '{"event.Message": null, "event.RawMessage": null}',
      '{"event.Message": {"futureMessage": {}, "messageContextInfo": {}}}', '{"type": "CallOffer"}', '{"type": null}']::jsonb[]) i;

-- Errors name the field
SELECT p, parse(p) FROM unnest(ARRAY['[]', '"text"', '{"type":"Message"}', '{"type":"Message","event":"x"}',
    '{"event":"Message"}', '{"event":"Message","data":5}', '{"jsonData":"{"}', '{"jsonData":"[]"}', '{"jsonData":5}',
    '{"jsonData":"{\"a\":1e9999999}"}', '{"jsonData":"{\"type\":\"Message\",\"event\":{}}"}',
    '{"type":"ReadReceipt","event":{"Chat":"1@s.whatsapp.net"},"state":"Read"}',
    '{"type":"ReadReceipt","event":{"Chat":"1@s.whatsapp.net","MessageIDs":[7]},"state":"Read"}',
    '{"type":"ChatPresence","event":{"Chat":"1@s.whatsapp.net"}}']) p;
SELECT i, parse(body('text', i)::text)
  FROM unnest(ARRAY['{"event.Info": "x"}', '{"event.Info.ID": null}', '{"event.Info.ID": ""}', '{"event.Info.ID": 7}', '{"event.Info.Chat": null}',
      '{"event.Info.Chat": "5511900000001"}', '{"event.Info.Chat": "a b@s.whatsapp.net"}', '{"event.Info.Chat": ":1@s.whatsapp.net"}',
      '{"event.Info.IsFromMe": "yes"}', '{"event.Message": []}', '{"event.Message": {"conversation": {}}}',
      '{"event.Message": {"imageMessage": "x"}}', '{"event.Message": {"imageMessage": {"caption": 7}}}',
      '{"event.Info.Timestamp": null}', '{"event.Info.Timestamp": 1781781578}', '{"event.Info.Timestamp": "yesterday"}',
      '{"event.Info.Timestamp": "2026-02-29T00:00:00Z"}', '{"event.Info.Timestamp": "2026-02-28T00:00:00"}',
      '{"event.Info.Timestamp": "0001-01-01T00:00:00Z"}']::jsonb[]) i;
SELECT chat.wuzapi_parse(NULL);

-- Nothing is attached yet
\set VERBOSITY sqlstate
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
SELECT chat.ingest_wuzapi(:ann, body('text'));
\set QUIET on
CREATE SCHEMA desk;
SELECT count(*) > 0 AS set_up FROM chat.setup('desk');
SET search_path = desk, public;
\set QUIET off
SELECT chat.ingest_wuzapi(NULL, body('text'));
SELECT chat.ingest_wuzapi(:ann, NULL);
SELECT chat.ingest_wuzapi('nobody', body('text'));
SELECT chat.ingest_wuzapi(:ann, '[]');
SELECT count(*) FROM conversations;

-- One after the other, some twice
SELECT n, name, chat.ingest_wuzapi(:ann, body)
  FROM body JOIN unnest('{text,text,form_now,relayed,text_reply,text_from_phone,text_lid,text_lid_from_me,text_lid_unknown,
      group_reply,image_s3,audio_ptt,document_caption,sticker,location,contact,form_2025_05_image,reaction,presence,history_sync}'::text[])
       WITH ORDINALITY o(name, n) USING (name) ORDER BY n;
SELECT id, contact_jid, contact_name, status, unread_count, last_message_at, last_message_preview FROM conversations ORDER BY id;
SELECT id, conversation_id, message_id, direction, message_type, left(content, 20), status, sender_type, timestamp,
       reply_to_message_id, left(media_url, 24), media_mime_type, media_filename, media_size_bytes, media_duration_seconds
  FROM chat_messages ORDER BY id;
-- Another owner has its own conversation with the same contact
SELECT chat.ingest_wuzapi(:bob, body('text'));

-- Receipts: forward only, whatever their order; unknown ids and other owners' are no error
SELECT n, name, chat.ingest_wuzapi(:ann, body)
  FROM body JOIN unnest('{receipt_delivered,receipt_read_lid,receipt_read,receipt_delivered,receipt_group}'::text[])
       WITH ORDINALITY o(name, n) USING (name) ORDER BY n;
SELECT chat.ingest_wuzapi(:bob, body('receipt_read'));
SELECT message_id, status, status_updated_at FROM chat_messages WHERE direction = 'outgoing' ORDER BY id;
-- Read on another device: up to the message named, and not the outgoing ones
SELECT chat.ingest_wuzapi(:ann, body('receipt_read_self'));
SELECT chat.ingest_wuzapi(:ann, body('receipt_read_self'));
SELECT unread_count FROM conversations WHERE id = 1;
SELECT chat.ingest_wuzapi(:ann, body('receipt_read', '{"event.IsFromMe": true, "event.MessageIDs": ["unknown"],
    "event.Timestamp": "2026-06-18T13:26:00+02:00"}'));
SELECT unread_count FROM conversations WHERE id = 1;

-- A resolved conversation: an own message leaves it, and one of the contact that is not of this hour (see reopen); a name that was missing comes
UPDATE conversations SET status = 'resolved', contact_name = '5511900000001' WHERE id = 1;
SELECT chat.ingest_wuzapi(:ann, body('text_from_phone', '{"event.Info.ID": "OWN2"}')) ->> 'action';
SELECT chat.ingest_wuzapi(:ann, body('text')) ->> 'action';
SELECT status, contact_name FROM conversations WHERE id = 1;
SELECT chat.ingest_wuzapi(:ann, body('text', '{"event.Info.ID": "NEW2"}')) ->> 'action';
SELECT status, contact_name FROM conversations WHERE id = 1;
SELECT chat.ingest_wuzapi(:ann, body('text', '{"event.Info.ID": "NEW3", "event.Info.PushName": "Another"}')) ->> 'action';
SELECT contact_name FROM conversations WHERE id = 1;
-- The hidden address becomes the phone's when that is told
SELECT chat.ingest_wuzapi(:ann, body('text_lid_unknown', '{"event.Info.ID": "LID2", "event.Info.SenderAlt": "5511900000077:3@s.whatsapp.net"}')) ->> 'conversationId';
SELECT id, contact_jid, contact_name FROM conversations WHERE contact_name = 'Bia';
-- Sizes that no integer column holds are left out, content is kept whole
SELECT chat.ingest_wuzapi(:ann, body('video', '{"event.Message.videoMessage.fileLength": 5000000000, "event.Message.videoMessage.seconds": -1}')) ->> 'action';
SELECT media_size_bytes, media_duration_seconds, metadata #> '{media,fileLength}' FROM chat_messages WHERE message_type = 'video';
SELECT chat.ingest_wuzapi(:ann, body('text', jsonb_build_object('event.Info.ID', 'LONG', 'event.Message.conversation', repeat('é', 9000)))) ->> 'action';
SELECT length(content) FROM chat_messages WHERE message_id = 'LONG';

-- Typing, and presence as the backend tells it
CREATE TABLE mark AS SELECT max(id) AS id FROM chat.events;
SELECT n, name, chat.ingest_wuzapi(:ann, body)
  FROM body JOIN unnest('{typing,typing_recording,typing_paused}'::text[]) WITH ORDINALITY o(name, n) USING (name) ORDER BY n;
SELECT chat.ingest_wuzapi(:ann, body('typing', '{"event.Chat": "5511955555555@s.whatsapp.net"}'));
SELECT chat.presence('1', 'join', 'u1', 'Ann') - 'lastSeen';
SELECT chat.presence('1', 'typing', 'u1', 'Ann', false) - 'lastSeen';
SELECT chat.presence('1', 'leave', owner => :ann) - 'lastSeen';
SELECT chat.presence('1', 'leave', owner => :bob), chat.presence('999', 'join');
SELECT chat.presence('1', 'dance');
SELECT chat.presence('1', NULL);
SELECT chat.presence(NULL, 'join');
SELECT chat.presence('x', 'join');
SELECT topic, event, owner, conversation, webhook, payload::jsonb - 'lastSeen', expires_at > created_at + interval '4 s' AND expires_at <= created_at + interval '5 s',
       payload::jsonb ->> 'lastSeen' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$'
  FROM chat.events WHERE id > (SELECT id FROM mark) ORDER BY id;

-- Nothing of this changed: no event
UPDATE mark SET id = (SELECT max(id) FROM chat.events);
SELECT chat.ingest_wuzapi(:ann, body('text')) ->> 'action', chat.ingest_wuzapi(:ann, body('receipt_delivered')) ->> 'updated',
       chat.ingest_wuzapi(:ann, body('album')) ->> 'action', chat.ingest_wuzapi(:ann, '{"type":"Unheard","event":{}}') ->> 'action';
SELECT count(*) FROM chat.events WHERE id > (SELECT id FROM mark);

-- Users: only for themselves, and only about themselves
\set QUIET on
CREATE ROLE regress_wuzapi_user;
GRANT EXECUTE ON FUNCTION chat.ingest_wuzapi(text, jsonb), chat.presence(text, text, text, text, boolean, text) TO regress_wuzapi_user;
GRANT USAGE ON SCHEMA desk, public TO regress_wuzapi_user;
GRANT SELECT ON body TO regress_wuzapi_user;
SET ROLE regress_wuzapi_user;
\set QUIET off
SELECT chat.ingest_wuzapi(:ann, body('text'));
SELECT chat.presence('1', 'join');
SET request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
SELECT chat.ingest_wuzapi(:bob, body('text'));
SELECT chat.ingest_wuzapi(:ann, body('text')) ->> 'action', chat.ingest_wuzapi(:ann, body('text', '{"event.Info.ID": "MINE"}')) ->> 'action';
SELECT chat.presence('1', 'typing') - 'lastSeen';
SELECT chat.presence('1', 'typing', user_id => :bob);
SELECT chat.presence('1', 'typing', owner => :bob);
SET request.jwt.claims = '{"sub": "cccccccc-0000-4000-8000-000000000003"}';
SELECT chat.presence('1', 'join');
RESET ROLE;
UPDATE conversations SET assigned_agent_id = 'cccccccc-0000-4000-8000-000000000003' WHERE id = 1;
SET ROLE regress_wuzapi_user;
SELECT chat.presence('1', 'join') - 'lastSeen';
SELECT chat.wuzapi_parse('{}');
RESET ROLE;
RESET request.jwt.claims;

-- Tables that differ: uuid ids, an account between conversation and user, no unique index, an enum, a time
-- without zone, a reply that is a key, names that must be cut, and a trigger that names tables of its schema
\set QUIET on
DELETE FROM chat.attachment;
CREATE SCHEMA live;
CREATE TYPE live.progress AS ENUM ('pending', 'sent', 'delivered', 'read', 'failed');
CREATE TABLE live.accounts (id uuid PRIMARY KEY, owner_user_id uuid NOT NULL, tenant text);
CREATE TABLE live.agents (id uuid PRIMARY KEY, user_id uuid NOT NULL);
CREATE TABLE live.conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id uuid NOT NULL REFERENCES live.accounts,
    contact_jid varchar(100) NOT NULL, contact_name varchar(10), unread_count integer DEFAULT 0, status text DEFAULT 'open',
    assigned_agent_id uuid REFERENCES live.agents, tenant text, created_at timestamptz DEFAULT now());
CREATE TABLE live.chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id uuid NOT NULL REFERENCES live.conversations ON DELETE CASCADE, message_id text NOT NULL,
    direction text NOT NULL, body text NOT NULL, status live.progress DEFAULT 'pending', message_type text NOT NULL,
    "timestamp" timestamp NOT NULL, reply_to_message_id uuid, created_at timestamptz DEFAULT now());
CREATE FUNCTION live.set_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.tenant := (SELECT tenant FROM accounts WHERE id = NEW.account_id);
    RETURN NEW;
END $$;
CREATE TRIGGER set_tenant BEFORE INSERT ON live.conversations FOR EACH ROW EXECUTE FUNCTION live.set_tenant();
INSERT INTO live.accounts VALUES ('11111111-0000-4000-8000-000000000001', :ann, 'first'), ('11111111-0000-4000-8000-000000000002', :bob, 'second');
SELECT count(*) > 0 AS attached FROM chat.attach('live.conversations', 'live.chat_messages', '{"content": "body", "time": "timestamp",
    "owner": {"column": "account_id", "table": "live.accounts", "key": "id", "user": "owner_user_id"},
    "agent": {"column": "assigned_agent_id", "table": "live.agents", "key": "id", "user": "user_id"}}');
SET TIME ZONE 'America/Sao_Paulo'; -- times without zone are UTC in any
SET search_path = public;
\set QUIET off
SELECT n, name, chat.ingest_wuzapi(:ann, body) - '{messageId,messageIds,conversationId}'::text[]
  FROM body JOIN unnest('{text,text,text_from_phone,text_lid,image_base64,receipt_delivered,receipt_read,receipt_read_self,typing}'::text[])
       WITH ORDINALITY o(name, n) USING (name) ORDER BY n;
SELECT chat.ingest_wuzapi(:ann, body('text_reply', '{"event.Message.extendedTextMessage.contextInfo.stanzaID": "3EB0A1B2C3D4E5F60718"}')) ->> 'action';
SELECT chat.ingest_wuzapi(:ann, body('text_lid_unknown', '{"event.Info.PushName": "A name that is too long"}')) ->> 'action';
SELECT contact_jid, contact_name, status, unread_count, tenant FROM live.conversations ORDER BY contact_jid;
SELECT m.message_id, m.direction, m.body, m.status, m."timestamp", r.message_id
  FROM live.chat_messages m LEFT JOIN live.chat_messages r ON r.id = m.reply_to_message_id ORDER BY m."timestamp";
SELECT chat.ingest_wuzapi('cccccccc-0000-4000-8000-000000000003', body('text'));
-- Without a column for WhatsApp's id nothing can be told from its repetition
UPDATE chat.attachment SET columns = columns - 'external_id';
SELECT chat.ingest_wuzapi(:ann, body('text'));

\set QUIET on
\c contrib_regression
DROP DATABASE regress_wuzapi;
DROP ROLE regress_wuzapi_user;
