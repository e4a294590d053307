-- One contact, one conversation: however an address is spelled, under the hidden address and the phone's, and by which of the
-- owner's numbers it came.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_contacts;
\c regress_contacts
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
SELECT count(*) > 0 AS set_up FROM chat.setup();
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
\set bob '''bbbbbbbb-0000-4000-8000-000000000002'''
\pset format unaligned
\pset tuples_only on
-- A body as WUZAPI sends it: who it is about, and what it tells beside.
CREATE FUNCTION said(chat text, id text, more jsonb DEFAULT '{}', instance text DEFAULT 'vendas') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('type', 'Message', 'instanceName', instance, 'userID', 'u-' || instance, 'event', jsonb_build_object(
        'Info', jsonb_build_object('Chat', chat, 'Sender', chat, 'ID', id, 'IsFromMe', false, 'Timestamp', '2026-09-01T10:00:00-03:00') || more,
        'Message', jsonb_build_object('conversation', id)))
$$;
CREATE FUNCTION take(owner text, body jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', a ->> 'action', a ->> 'conversationId') FROM chat.ingest_wuzapi(owner, body) a
$$;
\set QUIET off

-- The one form of an address
SELECT a, chat.contact_address(a), chat.contact_variant(chat.contact_address(a)) FROM unnest(ARRAY['5531988880001@s.whatsapp.net', '+55 31 98888-0001',
    '553188880001', '553188880001:12@s.whatsapp.net', '5531988880001@c.us', '(55) 31 9.8888-0001', ' 55 31 8888-0001@s.whatsapp.net ', '551151234567',
    '5511951234567', '550198880001', '551098880001', '55319888800011', '5411988880001', '120363222222222222@g.us', '5511999-1234@g.us', '140000000000777@lid',
    '140000000000777:3@hosted.lid', '123456', '1234567', '1234567890123456', '55+31988880001', 'web-visitor-7', '@s.whatsapp.net', '', ' ', '+', 'a@b', '55@31@c.us']) a;
SELECT chat.contact_spellings('5531988880001@s.whatsapp.net', false), chat.contact_spellings('140000000000777@lid', true), cardinality(chat.contact_spellings('5531988880001@s.whatsapp.net', true));
SET chat_realtime.phone_rules = none;
SELECT chat.contact_variant('553188880001@s.whatsapp.net');
RESET chat_realtime.phone_rules;

-- create_conversation: whatever is typed finds the same
SELECT a, c ->> 'id', c ->> 'contactJid' FROM unnest(ARRAY['+55 31 8888-0001', '5531988880001', '553188880001@c.us', '5531988880001:12@s.whatsapp.net', '55 (31) 98888-0001']) WITH ORDINALITY u (a, n),
    LATERAL (SELECT chat.create_conversation(:ann, a)) l (c) ORDER BY n;
-- What WhatsApp sent last is stored, and sent to
SELECT take(:ann, said('5531988880001@s.whatsapp.net', 'BODY0001'));
SELECT contact_jid FROM conversations;
SELECT take(:ann, said('553188880001@s.whatsapp.net', 'BODY0002'));
SELECT contact_jid, unread_count FROM conversations;
-- As rows were stored before
CREATE FUNCTION stored_as(owner text, spelling text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    taken text;
BEGIN
    UPDATE conversations SET contact_jid = spelling WHERE id = 1;
    taken := take(owner, said('5531988880001@s.whatsapp.net', 'AS ' || spelling));
    RETURN concat_ws(', ', taken, (SELECT contact_jid FROM conversations WHERE id = 1));
END $$;
SELECT v, stored_as(:ann, v) FROM unnest(ARRAY['+5531988880001', '5531988880001', '553188880001', '+553188880001', '5531988880001@c.us', '5531988880001:7@s.whatsapp.net',
    '553188880001:99@s.whatsapp.net']) v;
-- Two that exist are not merged by the rule: the exact one first, else the one with the newest message
INSERT INTO conversations (id, user_id, contact_jid) VALUES (90, :ann, '5521977770001@s.whatsapp.net'), (91, :ann, '552177770001@s.whatsapp.net'), (92, :ann, '552177770001@c.us');
SELECT take(:ann, said('5521977770001@s.whatsapp.net', 'RULE0001')), take(:ann, said('552177770001@s.whatsapp.net', 'RULE0002')), take(:ann, said('5521977770001@s.whatsapp.net', 'RULE0003'));
DELETE FROM conversations WHERE id = 90;
UPDATE conversations SET contact_jid = '+552177770001' WHERE id = 91;
INSERT INTO chat_messages (conversation_id, direction, content) VALUES (92, 'incoming', 'newer');
SELECT take(:ann, said('5521977770001@s.whatsapp.net', 'RULE0004'));
SELECT id, contact_jid FROM conversations WHERE id > 89 ORDER BY id;
SELECT count(*) FROM chat.merged_conversation;

-- Pairs: told once, known afterwards, by their owner alone
SELECT take(:bob, said('5531988880001@s.whatsapp.net', 'PAIR0001', '{"SenderAlt": "140000000000777@lid"}')), take(:bob, said('140000000000777@lid', 'PAIR0002')),
       take(:bob, said('140000000000777:4@lid', 'PAIR0003', '{"IsFromMe": true, "Sender": "140000000000001:5@lid"}')),
       take(:bob, said('1786711188@broadcast', 'PAIR0004', '{"Sender": "140000000000777@lid", "IsGroup": true}')),
       take(:bob, said('140000000000777@lid', 'PAIR0001'));
SELECT take(:ann, said('140000000000777@lid', 'PAIR0005'));
SELECT left(user_id::text, 8), contact_jid, unread_count FROM conversations WHERE contact_jid ~ '777@lid|31988880001' ORDER BY 1, 2;
SELECT chat.create_conversation(:bob, '140000000000777@lid') ->> 'contactJid';
-- A receipt, typing and an edit under the hidden address
SELECT chat.ingest_wuzapi(:bob, '{"type": "ReadReceipt", "state": "Read", "event": {"Chat": "140000000000777@lid", "Sender": "140000000000777@lid", "MessageIDs": ["PAIR0003"]}}') ->> 'updated';
SELECT chat.ingest_wuzapi(:bob, '{"type": "ChatPresence", "event": {"Chat": "140000000000777@lid", "Sender": "140000000000777@lid", "State": "composing"}}') ->> 'action';
-- In a group: whoever is known by now
SELECT take(:bob, said('120363222222222222@g.us', 'GROUP001', '{"Sender": "140000000000777@lid", "IsGroup": true}'));
SELECT metadata FROM chat_messages WHERE message_id = 'GROUP001';
-- A new number: the contact stays the same
SELECT take(:bob, said('140000000000777@lid', 'MOVED001', '{"SenderAlt": "5541900000002@s.whatsapp.net"}'));
SELECT contact_jid FROM conversations c JOIN chat_messages m ON m.conversation_id = c.id WHERE m.message_id = 'MOVED001';
SELECT phone FROM chat.contact_pair WHERE owner = :bob AND lid = '140000000000777@lid';
-- The same id under both addresses tells the pair; of one's own messages it does not, since callers choose their ids
SELECT take(:bob, said('140000000000888@lid', 'SAMEID01')), take(:bob, said('5551988880008@s.whatsapp.net', 'SAMEID01')), take(:bob, said('140000000000888@lid', 'SAMEID02'));
SELECT contact_jid, unread_count FROM conversations WHERE contact_jid ~ '8888' AND user_id = :bob;
SELECT take(:bob, said('140000000000999@lid', 'OWNID001', '{"IsFromMe": true}')), take(:bob, said('5551988880009@s.whatsapp.net', 'OWNID001', '{"IsFromMe": true}'));
-- Of a history, and of a group's participants
SELECT chat.ingest_wuzapi(:bob, '{"type": "HistorySync", "event": {"Data": {"conversations": [], "phoneNumberToLidMappings": [{"pnJID": "5531900000011@s.whatsapp.net", "lidJID": "140000000000011@lid"}]}}}') ->> 'action';
SELECT chat.ingest_wuzapi(:bob, '{"type": "GroupInfo", "event": {"JID": "120363222222222222@g.us", "Participants": [{"JID": "140000000000012@lid", "PhoneNumber": "5531900000012@s.whatsapp.net"}]}}') ->> 'action';
SELECT lid, phone FROM chat.contact_pair WHERE owner = :bob ORDER BY lid;
-- A user's pairs make room for new ones, and are forgotten with the user's conversations
INSERT INTO chat.contact_pair (owner, lid, phone, told_at) SELECT :ann, g || '@lid', g || '@s.whatsapp.net', '2026-01-01' FROM generate_series(1000001, 1100000) g;
SELECT take(:ann, said('5531900000013@s.whatsapp.net', 'ROOM0001', '{"SenderAlt": "140000000000013@lid"}'));
SELECT count(*), count(*) FILTER (WHERE told_at > '2026-01-02') FROM chat.contact_pair WHERE owner = :ann;
DELETE FROM conversations WHERE user_id = :ann;
SELECT * FROM chat.maintain() WHERE object = 'chat.contact_pair';
SELECT owner, count(*) FROM chat.contact_pair GROUP BY owner;

-- By which number it came: kept with message and conversation, and answers leave by it
SELECT chat.configure('chat_messages', '{"inboxes": {"vendas": "i1", "u-suporte": "i2", "secret-token": "i3"}}');
SELECT details FROM chat.audit_log WHERE action = 'attachment.configured';
SELECT take(:bob, said('5561900000001@s.whatsapp.net', 'ROUTE001')), take(:bob, said('5561900000001@s.whatsapp.net', 'ROUTE002', '{}', 'suporte'));
SELECT take(:bob, said('5561900000001@s.whatsapp.net', 'ROUTE003', '{"IsFromMe": true}'));
SELECT message_id, metadata FROM chat_messages WHERE message_id ~ 'ROUTE' ORDER BY message_id;
SELECT id AS routed, metadata FROM conversations WHERE contact_jid ~ '5561' \gset
SELECT :'metadata';
SELECT chat.save_message(:'routed', m, :bob) -> 'metadata' FROM unnest(ARRAY['{"content": "answer"}', '{"content": "by the other", "metadata": {"instance": "vendas", "inboxId": "i1"}}',
    '{"content": "note", "isPrivateNote": true}']::jsonb[]) m;
\set VERBOSITY sqlstate
SELECT chat.configure('chat_messages', '{"inboxes": []}');
SELECT chat.configure('chat_messages', '{"inboxes": {"vendas": 1}}');
SELECT chat.configure('chat_messages', '{"inboxes": {"": "i1"}}');
SELECT chat.configure('chat_messages', '{"inboxes": "i1"}');
\set VERBOSITY default
SELECT chat.configure('chat_messages', '{"inboxes": null}');

-- A table that lets a contact have a conversation in each inbox
\set QUIET on
SELECT count(*) > 0 AS detached FROM chat.detach('chat_messages');
CREATE SCHEMA live;
SET search_path = live, public;
\getenv srcdir PG_ABS_SRCDIR
\set tables :srcdir '/sql/shared/live_tables.sql'
\i :tables
ALTER TABLE live.conversations DROP CONSTRAINT conversations_account_id_contact_jid_key, ADD UNIQUE (account_id, contact_jid, inbox_id);
INSERT INTO accounts VALUES ('99999999-0000-4000-8000-000000000001', 'An account', :bob, 'token');
INSERT INTO inboxes VALUES ('11111111-0000-4000-8000-000000000001', '99999999-0000-4000-8000-000000000001', 'vendas'), ('22222222-0000-4000-8000-000000000002', '99999999-0000-4000-8000-000000000001', 'suporte');
SELECT count(*) > 0 AS attached FROM chat.attach('live.conversations', 'live.chat_messages');
\set QUIET off
SELECT count(*) FROM chat.configure('live.chat_messages', '{"inboxes": {"vendas": "11111111-0000-4000-8000-000000000001", "suporte": "22222222-0000-4000-8000-000000000002"}}');
INSERT INTO conversations (id, account_id, contact_jid) VALUES ('00000000-0000-4000-8000-000000000001', '99999999-0000-4000-8000-000000000001', '5571988880001@s.whatsapp.net');
SELECT take(:bob, said('5571988880001@s.whatsapp.net', 'INBOX001')) = take(:bob, said('557188880001@s.whatsapp.net', 'INBOX002')),
       take(:bob, said('5571988880001@s.whatsapp.net', 'INBOX003', '{}', 'suporte')) = take(:bob, said('5571988880001@s.whatsapp.net', 'INBOX001', '{}', 'suporte')),
       take(:bob, said('5571988880001@s.whatsapp.net', 'INBOX004'));
SELECT contact_jid, i.name, unread_count FROM conversations c JOIN inboxes i ON i.id = c.inbox_id ORDER BY i.name;
SELECT message_id, metadata FROM chat_messages ORDER BY message_id, metadata ->> 'instance';
SELECT chat.save_message(id::text, '{"content": "answer"}') -> 'metadata' FROM conversations ORDER BY inbox_id;
-- Pairs merge within an inbox alone
SELECT count(take(:bob, b)) FROM unnest(ARRAY[said('140000000000021@lid', 'WITHIN01'), said('5571900000021@s.whatsapp.net', 'WITHIN02'), said('140000000000021@lid', 'WITHIN03', '{}', 'suporte'),
    said('140000000000021@lid', 'WITHIN04', '{"SenderAlt": "5571900000021@s.whatsapp.net"}')]) b;
SELECT contact_jid, i.name, status, unread_count FROM conversations c JOIN inboxes i ON i.id = c.inbox_id WHERE contact_jid ~ '21@' ORDER BY i.name, status;

\set QUIET on
\c contrib_regression
SET client_min_messages = warning;
DROP DATABASE regress_contacts WITH (FORCE);
