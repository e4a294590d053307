-- Bodies of WUZAPI's webhooks that lack something, or have it in another shape: each is refused by the name of the field, or
-- ignored with the reason, or the rest of it is taken.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA wuzapi_broken;
SET search_path = wuzapi_broken;
SET TIME ZONE 'UTC';
\getenv srcdir PG_ABS_SRCDIR
\set shared :srcdir '/sql/shared/bodies.sql'
\i :shared
-- What the normaliser answers, an error as its SQLSTATE and message.
CREATE FUNCTION parse(payload jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN chat.wuzapi_parse(payload);
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
-- Of a body with changes, those fields of the answer.
CREATE FUNCTION got(name text, changes jsonb, VARIADIC fields text[]) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN p LIKE '{%' THEN (SELECT string_agg(COALESCE(p::jsonb #>> string_to_array(f, '.'), '-'), ' | ' ORDER BY n)
                                         FROM unnest(fields) WITH ORDINALITY u(f, n)) ELSE p END
      FROM parse(body(name, changes)) p
$$;
\pset format unaligned
\pset tuples_only on
\set QUIET off

-- Who wrote: to a group by an older name, or nobody; to a broadcast list nobody
SELECT got('group_reply', i, 'chat', 'participant')
  FROM unnest(ARRAY['{"event.Info.Sender": "", "event.Info.Participant": "5511900000009@s.whatsapp.net"}',
                    '{"event.Info.Sender": ""}']::jsonb[]) i;
SELECT got('text', '{"event.Info.Chat": "77@broadcast", "event.Info.Sender": ""}', 'chat');
-- Addresses
SELECT a, got('text', jsonb_build_object('event.Info.Chat', a), 'chat')
  FROM unnest('{5511900000001@example.org,.1@s.whatsapp.net,@s.whatsapp.net,"5511900000001@S.WhatsApp.Net"}'::text[]) a;
-- Times
SELECT t, got('text', jsonb_build_object('event.Info.Timestamp', t), 'timestamp')
  FROM unnest('{2026-06-18T13:19:38.5Z,2026-06-18T13:19:38.Z,2026-06-18T13:19:38.1234567890Z,2026/06/18T13:19:38Z,2026-13-18T13:19:38Z,0000-06-18T13:19:38Z,2o26-06-18T13:19:38Z,2026-06-18T13:19:3xZ,2026-06-18t13:19:38z,2026-06-18T13:19:38-16:00}'::text[]) t;

-- Receipts: without a state, of another kind, of where there is no conversation, without a time
SELECT got('receipt_read', i, 'kind', 'reason', 'state', 'timestamp')
  FROM unnest(ARRAY['{"state": null, "event.Type": null}', '{"state": "Played"}', '{"state": "Server-Error"}', '{"event.Chat": "1@newsletter"}',
                    '{"event.Chat": "status@broadcast"}', '{"state": "Delivered", "event.IsFromMe": true}', '{"event.Timestamp": null}',
                    '{"event.MessageIDs": "3A5500000000000000B1"}', '{"event.MessageIDs": null}']::jsonb[]) i;
-- Typing
SELECT got('typing', i, 'kind', 'reason', 'state')
  FROM unnest(ARRAY['{"event.Chat": "1@newsletter"}', '{"event.State": "recording"}', '{"event.State": "paused"}']::jsonb[]) i;

-- Edits that say neither of what nor to what
SELECT i, got('edit', i, 'kind', 'reason', 'content')
  FROM unnest(ARRAY['{"event.Message.protocolMessage.key": {}}', '{"event.Message.protocolMessage.key.ID": ""}',
                    '{"event.Message.protocolMessage.editedMessage": null}',
                    '{"event.Message.protocolMessage.editedMessage": {"protocolMessage": {"type": 14}}}']::jsonb[]) i;
-- Votes by their hashes, or of nothing
SELECT v, got('poll_vote', jsonb_build_object('pollVote', v), 'kind', 'reason', 'target', 'options')
  FROM unnest(ARRAY['{"pollCreationMsgID": "A", "selectedHashesB64": ["aGFzaA=="]}', '{"pollCreationMsgID": "A", "selectedOptions": [7, "Pizza"]}',
                    '{"pollCreationMsgID": "A"}', '{"selectedOptions": ["Pizza"]}']::jsonb[]) v;
-- Texts in other places, and none at all
SELECT m, got('text', jsonb_build_object('event.RawMessage', NULL, 'event.Message', m), 'kind', 'type', 'content')
  FROM unnest(ARRAY['{"templateMessage": {"hydratedFourRowTemplate": {"hydratedTitleText": "title"}}}', '{"templateMessage": {}}',
                    '{"templateMessage": {"hydratedTemplate": {"hydratedContentText": ""}}}',
                    '{"interactiveMessage": {"header": {"title": "head"}}}', '{"interactiveMessage": {}}']::jsonb[]) m;

-- History: what cannot be stored is counted, the rest is taken
SELECT jsonb_pretty(chat.wuzapi_parse(body('history_sync', jsonb_build_object('event.Data.conversations', c))))
  FROM (SELECT jsonb_build_array(
      jsonb_build_object('ID', '5511900000001@s.whatsapp.net'),
      jsonb_build_object('ID', '1@newsletter', 'messages', '[{}, {}]'::jsonb),
      jsonb_build_object('ID', '5511900000002@s.whatsapp.net', 'messages', jsonb_build_array(
          7, '{}'::jsonb,
          '{"key": {"ID": "NO TIME"}, "message": {"conversation": "a"}}'::jsonb,
          '{"key": {"ID": "ZERO"}, "messageTimestamp": 0, "message": {"conversation": "b"}}'::jsonb,
          '{"key": {"ID": "LATE"}, "messageTimestamp": 1e20, "message": {"conversation": "c"}}'::jsonb,
          '{"key": {}, "messageTimestamp": 1781781578, "message": {"conversation": "d"}}'::jsonb,
          jsonb_build_object('key', jsonb_build_object('ID', repeat('x', 256)), 'messageTimestamp', 1781781578, 'message', '{"conversation": "e"}'::jsonb),
          '{"key": {"ID": "BARE"}, "messageTimestamp": 1781781578, "message": {"conversation": "taken"}}'::jsonb,
          '{"message": {"key": {"ID": "WRAPPED"}, "messageTimestamp": 1781781579, "message": {"conversation": "taken too"}}, "msgOrderID": 7}'::jsonb,
          '{"key": {"ID": "EDITED"}, "IsEdit": true, "messageTimestamp": 1781781580, "message": {"conversation": "now"}}'::jsonb))) AS c) x;

\set QUIET on
DROP SCHEMA wuzapi_broken CASCADE;
