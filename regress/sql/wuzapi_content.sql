-- What a WhatsApp message holds: one-ofs in both spellings, wrappers, what shows nothing, context, calls, encrypted edits.
\set QUIET on
SET client_min_messages = warning;
CREATE DATABASE regress_wuzapi;
\c regress_wuzapi
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/bodies.sql'
\i :shared
\set ann '''aaaaaaaa-0000-4000-8000-000000000001'''
-- What a message of this content becomes; or why it is left out.
CREATE FUNCTION holds(message jsonb, info jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT COALESCE(p -> 'reason', p - '{id,kind,chat,fromMe,isGroup,pushName,timestamp,instance}'::text[])
      FROM chat.wuzapi_parse(body('text', jsonb_build_object('event.Message', message) || info)) p $$;
-- The same JSON with the first letter of every key in the other case.
CREATE FUNCTION other_case(value jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE jsonb_typeof(value)
           WHEN 'object' THEN (SELECT COALESCE(jsonb_object_agg(CASE WHEN left(key, 1) = lower(left(key, 1)) THEN upper(left(key, 1)) ELSE lower(left(key, 1)) END
                                                                || substr(key, 2), other_case(e.value)), '{}') FROM jsonb_each(value) e)
           WHEN 'array' THEN (SELECT COALESCE(jsonb_agg(other_case(e.value) ORDER BY n), '[]') FROM jsonb_array_elements(value) WITH ORDINALITY e (value, n))
           ELSE value END $$;
\pset format unaligned
\pset tuples_only on
\pset null (null)
\set QUIET off

-- One-ofs as Go writes them, and flat; both in either case of the first letter
CREATE TABLE spelling (name text, go jsonb, flat jsonb);
INSERT INTO spelling VALUES
    ('buttons response', '{"buttonsResponseMessage": {"Response": {"SelectedDisplayText": "Suporte"}, "selectedButtonID": "b2", "type": 1}}',
        '{"buttonsResponseMessage": {"selectedDisplayText": "Suporte", "selectedButtonID": "b2", "type": 1}}'),
    ('buttons', '{"buttonsMessage": {"Header": {"Text": "Loja"}, "contentText": "Como?", "buttons": [{"buttonID": "b1", "buttonText": {"displayText": "Vendas"}}]}}',
        '{"buttonsMessage": {"text": "Loja", "contentText": "Como?", "buttons": [{"buttonID": "b1", "buttonText": {"displayText": "Vendas"}}]}}'),
    ('buttons with a picture', '{"buttonsMessage": {"Header": {"ImageMessage": {"URL": "u", "mimetype": "image/png"}}, "contentText": "Como?"}}',
        '{"buttonsMessage": {"imageMessage": {"URL": "u", "mimetype": "image/png"}, "contentText": "Como?"}}'),
    ('interactive response', '{"interactiveResponseMessage": {"InteractiveResponseMessage": {"NativeFlowResponseMessage": {"name": "menu", "paramsJSON": "{\"id\": \"op_2\"}"}}, "body": {"text": "Dois"}}}',
        '{"interactiveResponseMessage": {"nativeFlowResponseMessage": {"name": "menu", "paramsJSON": "{\"id\": \"op_2\"}"}, "body": {"text": "Dois"}}}'),
    ('native flow', '{"interactiveMessage": {"InteractiveMessage": {"NativeFlowMessage": {"buttons": [{"name": "quick_reply", "buttonParamsJSON": "{\"display_text\": \"Sim\", \"id\": \"s\"}"}]}}, "header": {"Media": {"VideoMessage": {"URL": "v"}}, "title": "T"}, "body": {"text": "Escolha"}}}',
        '{"interactiveMessage": {"nativeFlowMessage": {"buttons": [{"name": "quick_reply", "buttonParamsJSON": "{\"display_text\": \"Sim\", \"id\": \"s\"}"}]}, "header": {"videoMessage": {"URL": "v"}, "title": "T"}, "body": {"text": "Escolha"}}}'),
    ('carousel', '{"interactiveMessage": {"InteractiveMessage": {"CarouselMessage": {"cards": [{"header": {"title": "A"}, "body": {"text": "um"}, "InteractiveMessage": {"NativeFlowMessage": {"buttons": [{"name": "cta_url", "buttonParamsJSON": "{\"display_text\": \"Ver\", \"url\": \"https://x.test\"}"}]}}}]}}, "body": {"text": "Veja"}}}',
        '{"interactiveMessage": {"carouselMessage": {"cards": [{"header": {"title": "A"}, "body": {"text": "um"}, "nativeFlowMessage": {"buttons": [{"name": "cta_url", "buttonParamsJSON": "{\"display_text\": \"Ver\", \"url\": \"https://x.test\"}"}]}}]}, "body": {"text": "Veja"}}}'),
    ('shop', '{"interactiveMessage": {"InteractiveMessage": {"ShopStorefrontMessage": {"ID": "1"}}, "body": {"text": "Loja"}}}',
        '{"interactiveMessage": {"shopStorefrontMessage": {"ID": "1"}, "body": {"text": "Loja"}}}'),
    ('template', '{"templateMessage": {"Format": {"HydratedFourRowTemplate": {"Title": {"HydratedTitleText": "Pedido"}, "hydratedContentText": "Saiu.", "hydratedFooterText": "Loja", "hydratedButtons": [{"HydratedButton": {"QuickReplyButton": {"displayText": "Ok", "ID": "q1"}}}, {"HydratedButton": {"UrlButton": {"displayText": "Ver", "URL": "https://x.test"}}}, {"HydratedButton": {"CallButton": {"displayText": "Ligar", "phoneNumber": "+551190000"}}}]}}}}',
        '{"templateMessage": {"hydratedFourRowTemplate": {"hydratedTitleText": "Pedido", "hydratedContentText": "Saiu.", "hydratedFooterText": "Loja", "hydratedButtons": [{"quickReplyButton": {"displayText": "Ok", "ID": "q1"}}, {"urlButton": {"displayText": "Ver", "URL": "https://x.test"}}, {"callButton": {"displayText": "Ligar", "phoneNumber": "+551190000"}}]}}}'),
    ('template with a document', '{"templateMessage": {"Format": {"HydratedFourRowTemplate": {"Title": {"DocumentMessage": {"URL": "d", "mimetype": "application/pdf"}}, "hydratedContentText": "Boleto"}}}}',
        '{"templateMessage": {"hydratedFourRowTemplate": {"documentMessage": {"URL": "d", "mimetype": "application/pdf"}, "hydratedContentText": "Boleto"}}}'),
    ('interactive template', '{"templateMessage": {"Format": {"InteractiveMessageTemplate": {"InteractiveMessage": {"NativeFlowMessage": {"buttons": [{"name": "quick_reply", "buttonParamsJSON": "{\"display_text\": \"Sim\"}"}]}}, "body": {"text": "Confirma?"}, "header": {"title": "Visita"}}}}}',
        '{"templateMessage": {"interactiveMessageTemplate": {"nativeFlowMessage": {"buttons": [{"name": "quick_reply", "buttonParamsJSON": "{\"display_text\": \"Sim\"}"}]}, "body": {"text": "Confirma?"}, "header": {"title": "Visita"}}}}'),
    ('template of old', '{"highlyStructuredMessage": {"hydratedHsm": {"Format": {"HydratedFourRowTemplate": {"hydratedContentText": "Antigo"}}}}}',
        '{"highlyStructuredMessage": {"hydratedHsm": {"hydratedFourRowTemplate": {"hydratedContentText": "Antigo"}}}}');
SELECT name, holds(go) FROM spelling;
SELECT name FROM spelling WHERE holds(go) <> holds(flat) OR holds(other_case(go)) <> holds(go) OR holds(other_case(flat)) <> holds(flat);

-- A call that is arranged, a payment of another currency, a template of old that only its sender has
SELECT holds('{"scheduledCallCreationMessage": {"scheduledTimestampMS": 1788280006000, "callType": 1, "title": "Visita"}}');
SELECT holds('{"requestPaymentMessage": {"amount": {"value": 1500, "offset": 100, "currencyCode": "USD"}}}');
SELECT holds('{"highlyStructuredMessage": {"namespace": "ns", "elementName": "order", "params": ["1"]}}');
-- An association of a kind that is not known
SELECT holds('{"conversation": "x", "messageContextInfo": {"messageAssociation": {"associationType": 99, "parentMessageKey": {"ID": "P1"}}}}');

-- What was chosen
SELECT holds(m) #> '{metadata,interactive}', holds(m) ->> 'content' FROM unnest(ARRAY[
    '{"listResponseMessage": {"title": "10h", "description": "manhã", "singleSelectReply": {"selectedRowID": "r2"}}}',
    '{"templateButtonReplyMessage": {"selectedID": "q1", "selectedDisplayText": "Ok", "selectedIndex": 0}}',
    '{"interactiveResponseMessage": {"InteractiveResponseMessage": {"NativeFlowResponseMessage": {"name": "flow", "paramsJSON": "{\"title\": \"Enviado\", \"nome\": \"Ana\", \"flow_token\": \"t\"}"}}, "body": null}}',
    '{"interactiveResponseMessage": {"InteractiveResponseMessage": null}}']::jsonb[]) m;
-- Parameters that are no JSON, or none that may be read here, are left out, and are no error
SELECT p, holds(jsonb_build_object('interactiveResponseMessage', jsonb_build_object('nativeFlowResponseMessage', jsonb_build_object('paramsJSON', p)))) #> '{metadata,interactive}'
  FROM unnest(ARRAY['', '{', '[1]', '"x"', '{"id": 7}', '{"id": "a", "n": 1e999999}', '{"id": "\u0000"}', '{"id": "\ud800"}', '{"id": "é\u00e9"}', '{"a": 12.50, "id": "x"}', '{"id": "1"} x', '{"a\']) p;
SELECT holds(jsonb_build_object('interactiveResponseMessage', jsonb_build_object('nativeFlowResponseMessage', jsonb_build_object('paramsJSON', p)))) #> '{metadata,interactive,params}' IS NULL
  FROM (VALUES (repeat('{"a":', 32) || '1' || repeat('}', 32)), (repeat('{"a":', 33) || '1' || repeat('}', 33)), (repeat('[', 4000)), ('{"a": "' || repeat('x', 4096) || '"}')) v (p);

-- Wrappers, at a depth of up to eight, also such as are not known by name
SELECT d, holds((SELECT (repeat('{"ephemeralMessage": {"message": ', d) || '{"conversation": "oi"}' || repeat('}}', d))::jsonb)) - 'metadata' FROM unnest(ARRAY[1, 8, 9, 500]) d;
SELECT holds(m) FROM unnest(ARRAY['{"viewOnceMessageV2Extension": {"message": {"audioMessage": {"PTT": true}}}}', '{"EphemeralMessage": {"message": {"SpoilerMessage": {"message": {"conversation": "x"}}}}}',
    '{"someNewerMessage": {"message": {"extendedTextMessage": {"text": "novo"}}}}', '{"commentMessage": {"message": {"conversation": "legal"}}}',
    '{"commentMessage": {"message": {"commentMessage": {"message": {"conversation": "fundo"}}}}}', '{"sendPaymentMessage": {"noteMessage": {"sendPaymentMessage": {"noteMessage": {"conversation": "x"}}}}}',
    '{"limitSharingMessage": {"message": {"protocolMessage": {"type": 27}}}}', '{"viewOnceMessage": {"message": null}}']::jsonb[]) m;

-- What shows nothing
SELECT holds(m) FROM unnest(ARRAY['{"conversation": ""}', '{"extendedTextMessage": {"text": ""}}', '{"extendedTextMessage": {"title": "Título"}}', '{"messageContextInfo": {}, "senderKeyDistributionMessage": {}}',
    '{"secretEncryptedMessage": {"secretEncType": 3, "targetMessageKey": {"ID": "A"}}}', '{"secretEncryptedMessage": {"secretEncType": 2}}', '{"secretEncryptedMessage": {"secretEncType": 2, "targetMessageKey": {"ID": "A"}}}',
    '{"secretEncryptedMessage": 7}', '{"protocolMessage": {"type": 11}}', '{"conditionalRevealMessage": {}}', '{"statusLinkPreviewMetadata": {"style": 1}, "conversation": "oi"}']::jsonb[]) m;
-- Calls: missed ones of the contact
SELECT o, holds(jsonb_build_object('callLogMesssage', jsonb_build_object('callOutcome', o, 'isVideo', o = 6))) FROM generate_series(0, 7) o;
SELECT holds('{"callLogMesssage": {"callOutcome": 1}}', '{"event.Info.IsFromMe": true}'), holds('{"callLogMesssage": {}}');

-- Context: quotes of any kind, without an error for what is wrong in them
SELECT holds(jsonb_build_object('extendedTextMessage', jsonb_build_object('text', 'sim', 'contextInfo', c))) #- '{type}'
  FROM unnest(ARRAY['{"stanzaID": "A", "participant": "1:2@s.whatsapp.net", "quotedMessage": {"imageMessage": {"caption": "foto"}}}',
    '{"stanzaID": "A", "quotedMessage": {"viewOnceMessageV2": {"message": {"pollCreationMessageV3": {"name": "P", "options": [{"optionName": "a"}]}}}}}',
    '{"stanzaID": "A", "quotedMessage": {"conversation": 7}}', '{"stanzaID": "A", "quotedMessage": {"imageMessage": "x"}}', '{"stanzaID": "A", "quotedMessage": {"imageMessage": {"caption": {}}}}',
    '{"stanzaID": "A", "quotedMessage": {"locationMessage": []}}', '{"stanzaID": "A", "quotedMessage": {"protocolMessage": {"key": {"ID": "B"}}}}', '{"stanzaID": "", "quotedMessage": {"conversation": "x"}}',
    '{"stanzaID": "S", "remoteJID": "status@broadcast", "participant": "1@lid", "quotedMessage": {"conversation": "novidade"}}',
    '{"isForwarded": true, "forwardingScore": 5, "mentionedJID": ["1@lid", "x", 7], "nonJIDMentions": 1}', '{"forwardingScore": 0, "conversionSource": 7, "externalAdReply": {}}']::jsonb[]) c;
SELECT length(holds(jsonb_build_object('extendedTextMessage', jsonb_build_object('text', 'x', 'contextInfo', jsonb_build_object('stanzaID', 'A',
    'quotedMessage', jsonb_build_object('conversation', repeat('é', 9000)))))) #>> '{metadata,quoted,text}');
-- Bounds: what can be chosen, polls, mentions
SELECT pg_column_size(holds(m) -> 'metadata') < 40000 FROM unnest(ARRAY[
    jsonb_build_object('buttonsMessage', jsonb_build_object('buttons', (SELECT jsonb_agg(jsonb_build_object('buttonID', g, 'buttonText', jsonb_build_object('displayText', md5(g::text) || repeat(md5(g::text), 100)))) FROM generate_series(1, 2000) g))),
    jsonb_build_object('pollCreationMessage', jsonb_build_object('options', (SELECT jsonb_agg(jsonb_build_object('optionName', repeat(md5(g::text), 8))) FROM generate_series(1, 2000) g))),
    jsonb_build_object('interactiveMessage', jsonb_build_object('carouselMessage', jsonb_build_object('cards', (SELECT jsonb_agg(jsonb_build_object('body', jsonb_build_object('text', repeat(md5(g::text), 100)))) FROM generate_series(1, 2000) g)))),
    jsonb_build_object('extendedTextMessage', jsonb_build_object('text', 'x', 'contextInfo', jsonb_build_object('mentionedJID', (SELECT jsonb_agg(md5(g::text) || md5(g::text) || '@lid') FROM generate_series(1, 2000) g))))]) m;
-- Receipts: WUZAPI's word, else WhatsApp's
SELECT s, t, chat.wuzapi_parse(body('receipt_read', jsonb_build_object('state', s, 'event.Type', t))) ->> 'state'
  FROM (VALUES ('Read', ''), ('', 'played'), ('', 'played-self'), ('', ''), ('', 'sender'), ('Delivered', 'x'), ('ReadSelf', '')) v (s, t);

\set QUIET on
SELECT count(*) > 0 AS set_up FROM chat.setup();
CREATE FUNCTION feed(name text, changes jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT a ->> 'action' || COALESCE(': ' || (a ->> 'reason'), '') FROM chat.ingest_wuzapi('aaaaaaaa-0000-4000-8000-000000000001', body(name, changes)) a $$;
CREATE FUNCTION secret(target text, info jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT feed('text', jsonb_build_object('event.Info.ID', 'SECRET', 'event.Info.Edit', '1', 'event.Info.Timestamp', '2026-06-18T14:00:00Z', 'event.Message',
        jsonb_build_object('secretEncryptedMessage', jsonb_build_object('secretEncType', 2, 'targetMessageKey', jsonb_build_object('ID', target, 'fromMe', true)))) || info) $$;
\set QUIET off
-- An encrypted edit marks the original, once; a readable one that is later takes the mark away, an earlier encrypted one does not bring it back
SELECT feed('text', '{"event.Info.ID": "E1"}'), secret('E1'), secret('E1'), secret('E2'), secret('E1', '{"event.Info.IsFromMe": true}');
SELECT content, metadata, (SELECT unread_count FROM conversations) FROM chat_messages;
SELECT feed('edit', '{"event.Message.protocolMessage.key.ID": "E1", "event.Info.Timestamp": "2026-06-18T15:00:00Z"}'), secret('E1');
SELECT content, metadata FROM chat_messages;
SELECT feed('revoke', '{"event.Message.protocolMessage.key.ID": "E1", "event.Info.Timestamp": "2026-06-18T16:00:00Z"}'), secret('E1');
-- A picture once more in another form: noted in its message, whatever repeats; shown by itself where that is not there
SELECT feed('image_base64', '{"event.Info.ID": "P1"}'), feed('image_base64', '{"event.Info.ID": "P2", "event.Message.messageContextInfo": {"messageAssociation": {"associationType": 10, "parentMessageKey": {"ID": "P1"}}}}'),
       feed('image_base64', '{"event.Info.ID": "P2", "event.Message.messageContextInfo": {"messageAssociation": {"associationType": 10, "parentMessageKey": {"ID": "P1"}}}}'),
       feed('image_base64', '{"event.Info.ID": "P3", "event.Message.messageContextInfo": {"messageAssociation": {"associationType": 12, "parentMessageKey": {"ID": "P0"}}}}'),
       feed('text', '{"event.Info.ID": "P4", "event.Message.messageContextInfo": {"messageAssociation": {"associationType": 10, "parentMessageKey": {"ID": "P1"}}}}');
SELECT message_id, message_type, metadata #> '{variants,hd,id}', metadata -> 'association' FROM chat_messages WHERE message_id LIKE 'P%' ORDER BY id;
-- What could be seen on the phone alone comes after all
SELECT feed('undecryptable', '{}'), feed('undecryptable', '{}'), feed('undecryptable', '{"event.Info.ID": "U2", "event.UnavailableType": ""}');
SELECT feed('image_base64', '{"event.Info.ID": "3EB000000000000000F0", "event.Message.imageMessage.caption": "agora"}'), feed('text', '{"event.Info.ID": "3EB000000000000000F0"}');
SELECT message_type, content, media_mime_type, metadata - 'media' FROM chat_messages WHERE message_id = '3EB000000000000000F0';
-- What is quoted is kept where it is not here
SELECT feed('text_reply', '{"event.Info.ID": "Q1", "event.Message.extendedTextMessage.contextInfo.stanzaID": "P1"}'), feed('text_reply', '{"event.Info.ID": "Q2", "event.Message.extendedTextMessage.contextInfo.stanzaID": "NEVER"}');
SELECT message_id, reply_to_message_id, metadata FROM chat_messages WHERE message_id LIKE 'Q%' ORDER BY id;
-- Times that cannot be are those of the arrival; reactions go by the clock of who reacts
SELECT feed('text', jsonb_build_object('event.Info.ID', 'T' || n, 'event.Info.Timestamp', t)) FROM unnest(ARRAY['0001-01-01T00:00:00Z', '1969-12-31T21:00:00-03:00', '9999-01-01T00:00:00Z', '2026-02-28T10:00:00']) WITH ORDINALITY v (t, n);
SELECT message_id, timestamp > now() - interval '1 h' AS arrival FROM chat_messages WHERE message_id LIKE 'T%' ORDER BY id;
CREATE FUNCTION react(emoji text, ms bigint) RETURNS text LANGUAGE sql AS $$
    SELECT feed('reaction', jsonb_build_object('event.Message.reactionMessage', jsonb_build_object('key', '{"ID": "T1"}'::jsonb, 'text', emoji, 'senderTimestampMS', ms))) $$;
SELECT react('👍', 1781000002000), react('❤️', 1781000001000), react('', 1781000003000), react('👍', 1781000002000), react('😂', 4000000000000), react('😂', 0);
SELECT metadata FROM chat_messages WHERE message_id = 'T1';

-- A history: missed calls, deleted messages, names, reactions, encrypted edits
CREATE FUNCTION past(conversation jsonb, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('type', 'HistorySync', 'event', jsonb_build_object('Data', jsonb_build_object('conversations', jsonb_build_array(conversation)) || more)) $$;
SELECT chat.ingest_wuzapi(:ann, past('{"ID": "5511900000055@s.whatsapp.net", "unreadCount": 4294967295, "messages": [
    {"key": {"ID": "K1"}, "messageTimestamp": "1788280000", "messageStubType": 40}, {"key": {"ID": "K2"}, "messageTimestamp": 1788280001, "messageStubType": 41},
    {"key": {"ID": "K3", "fromMe": true}, "messageTimestamp": 1788280002, "messageStubType": 40}, {"key": {"ID": "K4"}, "messageTimestamp": 1788280003, "messageStubType": 132, "message": {"conversation": "x"}},
    {"key": {"ID": "K5"}, "messageTimestamp": 1788280004, "pushName": "Davi", "message": {"conversation": "oi"}, "reactions": [{"key": {}, "text": "👍", "senderTimestampMS": "1788280001500"}, {"key": {"fromMe": true}, "text": ""}]},
    {"key": {"ID": "K6"}, "messageTimestamp": 1788280005, "message": {"secretEncryptedMessage": {"secretEncType": 2, "targetMessageKey": {"ID": "K5"}}}},
    {"key": {"ID": "K7"}, "messageTimestamp": "soon", "message": {"conversation": "x"}}, {"key": {"ID": "K8"}, "messageTimestamp": 1788280006, "message": {"imageMessage": {}, "messageContextInfo": {"messageAssociation": {"associationType": 5, "parentMessageKey": {"ID": "K5"}}}}}]}'));
SELECT message_id, direction, status, content, metadata FROM chat_messages WHERE message_id LIKE 'K%' ORDER BY timestamp;
SELECT contact_name, status, unread_count FROM conversations WHERE contact_jid LIKE '5511900000055%';
-- Marked as unread, without a number; names for those who have none
SELECT chat.ingest_wuzapi(:ann, past('{"ID": "5511900000056@s.whatsapp.net", "unreadCount": 4294967295, "markedAsUnread": true, "messages": [{"key": {"ID": "L1"}, "messageTimestamp": 1788280000, "message": {"conversation": "um"}},
    {"key": {"ID": "L2"}, "messageTimestamp": 1788280001, "message": {"conversation": "dois"}}]}', '{"pushnames": [{"ID": "5511900000056:3@s.whatsapp.net", "pushname": "Eva"}, {"ID": "5511900000055@s.whatsapp.net", "pushname": "Outro"}, {"ID": "x", "pushname": "y"}, 7, {"ID": "5511900000057@s.whatsapp.net", "pushname": ""}]}'));
SELECT contact_name, unread_count FROM conversations WHERE contact_jid LIKE '551190000005%' ORDER BY contact_jid;
SELECT chat.ingest_wuzapi(:ann, '{"type": "HistorySync", "event": {"Data": {"pushnames": []}}}'), chat.ingest_wuzapi(:ann, '{"type": "HistorySync", "event": {"Data": {}}}');

\set QUIET on
\c contrib_regression
DROP DATABASE regress_wuzapi;
