-- The way out: what a sender has to send, under a lease, and what became of it. Sending is the sender's business; that each
-- message is tried under one WhatsApp id alone, by one sender at a time and in the order of its conversation, is ours.
--
-- Locks: a conversation, then its messages, then its lease. Who takes a conversation does not wait for it.

CREATE FUNCTION chat.new_message_id() RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_new_message_id';
REVOKE ALL ON FUNCTION chat.new_message_id() FROM PUBLIC;
COMMENT ON FUNCTION chat.new_message_id() IS 'A new id of WhatsApp''s form, which whoever sends a message chooses.';

-- What waits for longer is not sent any more: nobody wants yesterday's answer, nor what piled up before there was a sender.
CREATE FUNCTION chat.sending_horizon() RETURNS interval
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT interval '1 day' $$;
REVOKE ALL ON FUNCTION chat.sending_horizon() FROM PUBLIC;
COMMENT ON FUNCTION chat.sending_horizon() IS 'For how long a message or change that waits is given to senders.';

CREATE FUNCTION chat.conversations_to_send(pair chat.attachment, most integer) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    taken text[] := ARRAY(SELECT l.conversation FROM chat.sending_lease l WHERE l.attachment = pair.id AND l.expires_at > clock_timestamp());
    changed text[] := ARRAY(SELECT a.conversation FROM chat.sending_action a
                             WHERE a.attachment = pair.id AND a.conversation <> ALL (taken) AND a.created_at > clock_timestamp() - chat.sending_horizon()
                             GROUP BY a.conversation ORDER BY min(a.id) LIMIT most);
BEGIN
    RETURN changed || chat.run(NULL::text[], pair.id, 'pending_conversations', taken || changed, clock_timestamp() - chat.sending_horizon(), most);
END
$$;
REVOKE ALL ON FUNCTION chat.conversations_to_send(chat.attachment, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversations_to_send(chat.attachment, integer) IS 'Conversations of a pair that nobody has taken and of which there is something to be sent, those that wait longest first.';

-- A change of a message that is itself still to be sent waits for that; of one that is gone it does not.
CREATE FUNCTION chat.actions_to_send(pair chat.attachment, conversation text, most integer) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT COALESCE(jsonb_agg(jsonb_build_object('action', a.action, 'actionId', a.id::text, 'id', a.message) || a.details
                                      || CASE WHEN a.target ? 'messageId' THEN jsonb_build_object('messageId', a.target -> 'messageId') ELSE '{}' END ORDER BY a.id), '[]')
              FROM (SELECT s.*, t.target
                      FROM chat.sending_action s
                     CROSS JOIN LATERAL (SELECT CASE WHEN s.message IS NOT NULL THEN chat.run(NULL::jsonb, pair.id, 'sending_target', s.message) END AS target OFFSET 0) t
                     WHERE s.attachment = pair.id AND s.conversation = $2 AND s.created_at > clock_timestamp() - chat.sending_horizon()
                       AND t.target ->> 'status' IS DISTINCT FROM 'pending'
                     ORDER BY s.id LIMIT most) a);
END
$$;
REVOKE ALL ON FUNCTION chat.actions_to_send(chat.attachment, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.actions_to_send(chat.attachment, text, integer) IS 'Changes of a conversation''s messages that are to be passed on, in the order they were made.';

-- A message that was stored without a WhatsApp id gets one now: a second try is then the same message.
CREATE FUNCTION chat.messages_to_send(pair chat.attachment, conversation text, most integer) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    message jsonb;
    drawn text;
    result jsonb := '[]';
BEGIN
    FOR message IN SELECT v FROM jsonb_array_elements(chat.run(NULL::jsonb, pair.id, 'pending_of', conversation, clock_timestamp() - chat.sending_horizon(), most)) v LOOP
        IF COALESCE(message ->> 'messageId', '') = '' THEN
            drawn := chat.new_message_id();
            PERFORM chat.update_rows(pair.id, true, jsonb_build_object('external_id', drawn), ARRAY[message ->> 'id']);
            message := message || jsonb_build_object('messageId', drawn);
        END IF;
        result := result || message;
    END LOOP;
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION chat.messages_to_send(chat.attachment, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.messages_to_send(chat.attachment, text, integer) IS 'A conversation''s pending messages, in its order, each with a WhatsApp id that is stored.';

CREATE FUNCTION chat.take_conversation(pair chat.attachment, conversation text, most integer, lease interval) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    items jsonb;
    recipient jsonb;
BEGIN
    IF chat.run(NULL::boolean, pair.id, 'lock_if_free', conversation) IS NULL
       OR EXISTS (SELECT FROM chat.sending_lease l WHERE l.attachment = pair.id AND l.conversation = $2 AND l.expires_at > clock_timestamp()) THEN
        RETURN '[]'; -- somebody was faster
    END IF;
    items := chat.messages_to_send(pair, conversation, most);
    items := items || chat.actions_to_send(pair, conversation, most - jsonb_array_length(items));
    IF items = '[]' THEN
        RETURN items;
    END IF;
    INSERT INTO chat.sending_lease AS l (attachment, conversation, open, expires_at)
    VALUES (pair.id, conversation, ARRAY(SELECT COALESCE('action:' || (v ->> 'actionId'), v ->> 'id') FROM jsonb_array_elements(items) v), clock_timestamp() + lease)
        ON CONFLICT ON CONSTRAINT sending_lease_pkey DO UPDATE SET open = EXCLUDED.open, expires_at = EXCLUDED.expires_at;
    recipient := chat.run(NULL::jsonb, pair.id, 'recipient', conversation);
    -- A message leaves by the number that it names itself, else by its conversation's.
    RETURN (SELECT jsonb_agg(recipient || v ORDER BY n) FROM jsonb_array_elements(items) WITH ORDINALITY u (v, n));
END
$$;
REVOKE ALL ON FUNCTION chat.take_conversation(chat.attachment, text, integer, interval) FROM PUBLIC;
COMMENT ON FUNCTION chat.take_conversation(chat.attachment, text, integer, interval) IS 'Takes what is to be sent of a conversation, unless somebody holds it: at most so much, for so long.';

CREATE FUNCTION chat.pending_messages("limit" integer, lease interval DEFAULT interval '60 s') RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    most CONSTANT integer := LEAST("limit", 1000);
    pair chat.attachment;
    conversation text;
    items jsonb := '[]';
BEGIN
    IF NOT chat.is_service_caller() THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only a service caller takes what is to be sent',
            HINT = 'SELECT chat.grant_backend(...) makes a role one.';
    ELSIF "limit" IS NULL OR lease IS NULL THEN
        PERFORM chat.bad_input('limit and lease must not be NULL', code => '22004', field => CASE WHEN "limit" IS NULL THEN 'limit' ELSE 'lease' END);
    ELSIF "limit" < 1 THEN
        PERFORM chat.bad_input('limit must be at least 1', field => 'limit');
    ELSIF lease NOT BETWEEN interval '1 s' AND interval '1 h' THEN
        PERFORM chat.bad_input('lease must be between one second and one hour', field => 'lease');
    END IF;
    PERFORM chat.require_attached();
    FOR pair IN SELECT a.* FROM chat.attachment a WHERE a.columns ?& '{external_id,contact_jid}' ORDER BY a.id LOOP
        FOREACH conversation IN ARRAY chat.conversations_to_send(pair, most) LOOP
            -- Media may be in them: some 8 MB of each conversation, until there are 16.
            EXIT WHEN jsonb_array_length(items) >= most OR pg_column_size(items) > 16777216;
            items := items || chat.take_conversation(pair, conversation, most - jsonb_array_length(items), lease);
        END LOOP;
    END LOOP;
    RETURN items;
END
$$;
REVOKE ALL ON FUNCTION chat.pending_messages(integer, interval) FROM PUBLIC;
COMMENT ON FUNCTION chat.pending_messages(integer, interval) IS 'Takes for a sender what is to be sent, at most limit (1000) things, and gives them to nobody else for as long as lease says (60 s; 1 s to 1 h): outgoing messages that are pending, no notes, and changes of such as were sent, of the last day, in order per conversation; a conversation is given to one sender at a time. [{action: send | edit | delete | react | read, id of the message, actionId (of a change), conversationId, to (the contact''s address), owner, instance, inboxId (by which of the owner''s numbers it must leave), messageId (WhatsApp''s, to be given at each try), type, content, mediaUrl, mediaMimeType, mediaFilename, metadata, replyTo {messageId, fromMe, participant}, fromMe, participant, emoji, messages}]. Report each by chat.message_sent, chat.message_failed or chat.action_done; what is not reported is given again when the lease has run out. For service callers. Errors: 22004, 22023, 42501, 55000.';

CREATE FUNCTION chat.recipient(conversation_id text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_conversation(conversation_id, owner, 'write');
    pair chat.attachment := place.pair;
BEGIN
    RETURN CASE WHEN place.key IS NOT NULL THEN chat.run(NULL::jsonb, pair.id, 'recipient', place.key) END;
END
$$;
REVOKE ALL ON FUNCTION chat.recipient(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.recipient(text, text) IS 'Where what is sent of a conversation goes, for what is sent without being stored, such as typing: {conversationId, to, owner, instance, inboxId}, as chat.pending_messages has them. NULL: no such conversation of the owner''s or agent''s. Errors: 22004, 22P02, 42501.';

-- What became of it.

CREATE FUNCTION chat.close_sending(pair integer, item text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    UPDATE chat.sending_lease l SET open = array_remove(l.open, item) WHERE l.attachment = pair AND item = ANY (l.open) AND cardinality(l.open) > 1;
    IF NOT FOUND THEN
        DELETE FROM chat.sending_lease l WHERE l.attachment = pair AND l.open = ARRAY[item];
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.close_sending(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.close_sending(integer, text) IS 'Notes that what was taken is reported; the last one ends the conversation''s lease.';

CREATE FUNCTION chat.message_sent(message_id text, whatsapp_id text DEFAULT NULL, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_message(message_id, owner);
    pair chat.attachment := place.pair;
    result jsonb;
BEGIN
    IF place.key IS NULL THEN -- deleted meanwhile
        PERFORM chat.close_sending(a.id, message_id) FROM chat.attachment a WHERE chat.caller_scope(owner) IS NULL;
        RETURN NULL;
    END IF;
    result := chat.update_message_status(message_id, 'sent', now(), owner);
    IF pair.columns ? 'external_id' AND whatsapp_id <> ''
       AND chat.run(NULL::jsonb, pair.id, 'sending_target', place.key) ->> 'messageId' IS DISTINCT FROM whatsapp_id THEN
        PERFORM chat.update_rows(pair.id, true, jsonb_build_object('external_id', whatsapp_id), ARRAY[place.key]);
        result := chat.object_json(pair, true, place.key);
    END IF;
    PERFORM chat.close_sending(pair.id, place.key);
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION chat.message_sent(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_sent(text, text, text) IS 'Notes that WhatsApp has taken a message of chat.pending_messages, and under which id where that is another than was given; its status becomes sent, unless a receipt was faster. Returns the message. NULL: no such message of the owner''s or agent''s. Errors: 22004, 22P02, 42501.';

CREATE FUNCTION chat.message_failed(message_id text, reason text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.take_message(message_id, owner);
    pair chat.attachment := place.pair;
    message jsonb := place.message;
BEGIN
    IF reason IS NULL THEN
        PERFORM chat.bad_input('reason must not be NULL', code => '22004', field => 'reason');
    ELSIF message IS NULL THEN
        PERFORM chat.close_sending(a.id, message_id) FROM chat.attachment a WHERE chat.caller_scope(owner) IS NULL;
        RETURN NULL;
    END IF;
    -- A receipt that came meanwhile knows better.
    IF chat.run(NULL::jsonb, pair.id, 'sending_target', place.key) ->> 'status' = 'pending' THEN
        PERFORM chat.mark_message(pair, message, jsonb_build_object('status', 'failed', 'status_updated_at', now()),
                                  jsonb_build_object('sendError', left(reason, 1000)));
    END IF;
    PERFORM chat.close_sending(pair.id, place.key);
    RETURN chat.object_json(pair, true, place.key);
END
$$;
REVOKE ALL ON FUNCTION chat.message_failed(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_failed(text, text, text) IS 'Notes that a message cannot be sent: its status becomes failed, its metadata.sendError the reason (1,000 characters of it), and what waits behind it goes on. Returns the message. NULL: no such message of the owner''s or agent''s. Errors: 22004, 22P02, 42501.';

CREATE FUNCTION chat.action_done(action_id text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    done chat.sending_action;
BEGIN
    IF NOT chat.is_service_caller() THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only a service caller reports what it passed on',
            HINT = 'SELECT chat.grant_backend(...) makes a role one.';
    ELSIF action_id IS NULL OR action_id !~ '^[0-9]{1,18}$' THEN
        PERFORM chat.bad_input('action_id must be a number', 'It is the actionId of what chat.pending_messages returned.',
                               CASE WHEN action_id IS NULL THEN '22004' ELSE '22023' END, 'action_id');
    END IF;
    PERFORM chat.require_attached();
    DELETE FROM chat.sending_action a WHERE a.id = action_id::bigint RETURNING * INTO done;
    PERFORM chat.close_sending(done.attachment, 'action:' || done.id);
    RETURN done.id IS NOT NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.action_done(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.action_done(text) IS 'Notes that a change that chat.pending_messages gave out (actionId) was passed on, or cannot be. False: it is not waiting. For service callers. Errors: 22004, 22023, 42501, 55000.';

-- What is done to messages that are there, and passed on. Where nobody sends, use the functions without "send".

CREATE FUNCTION chat.add_action(pair chat.attachment, key text, action text, details jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    target jsonb := chat.run(NULL::jsonb, pair.id, 'sending_target', key);
    changes boolean := action IN ('edit', 'delete');
BEGIN
    IF COALESCE(target ->> 'messageId', '') = '' OR target ->> 'status' = 'failed' OR (target -> 'private')::boolean
       OR (changes AND NOT (target -> 'fromMe')::boolean)
       -- What no sender has seen yet is sent as it is now, or not at all.
       OR (changes AND target ->> 'status' = 'pending' AND NOT EXISTS (
             SELECT FROM chat.sending_lease l WHERE l.attachment = pair.id AND l.conversation = target ->> 'conversation' AND key = ANY (l.open))) THEN
        RETURN;
    END IF;
    -- A later one takes the place of an earlier one that nobody has taken.
    DELETE FROM chat.sending_action a
     WHERE a.attachment = pair.id AND a.conversation = target ->> 'conversation' AND a.message = key AND a.action = $3
       AND NOT EXISTS (SELECT FROM chat.sending_lease l WHERE l.attachment = a.attachment AND l.conversation = a.conversation AND 'action:' || a.id = ANY (l.open));
    INSERT INTO chat.sending_action (attachment, conversation, message, action, details)
    VALUES (pair.id, target ->> 'conversation', key, action,
            (SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each(target) t WHERE t.key IN ('messageId', 'fromMe', 'participant')) || details);
END
$$;
REVOKE ALL ON FUNCTION chat.add_action(chat.attachment, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.add_action(chat.attachment, text, text, jsonb) IS 'Has a change of a locked message passed on, if WhatsApp knows that message or is about to.';

CREATE FUNCTION chat.send_edit(message_id text, content text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.take_message(message_id, owner);
    pair chat.attachment := place.pair;
    message jsonb := place.message;
    result jsonb := chat.edit_message(message_id, content, owner);
BEGIN
    IF result IS NOT NULL AND message ->> 'content' IS DISTINCT FROM content THEN
        PERFORM chat.add_action(pair, place.key, 'edit', jsonb_build_object('content', content));
    END IF;
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION chat.send_edit(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.send_edit(text, text, text) IS 'chat.edit_message, and the sender passes it on to the contact.';

CREATE FUNCTION chat.send_deletion(message_id text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.take_message(message_id, owner);
    pair chat.attachment := place.pair;
    message jsonb := place.message;
BEGIN
    IF message IS NOT NULL THEN
        PERFORM chat.add_action(pair, place.key, 'delete', '{}');
    END IF;
    RETURN chat.delete_message(message_id, owner);
END
$$;
REVOKE ALL ON FUNCTION chat.send_deletion(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.send_deletion(text, text) IS 'chat.delete_message, and the sender revokes it at the contact''s if it was the owner''s own.';

CREATE FUNCTION chat.send_reaction(message_id text, emoji text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.take_message(message_id, owner);
    pair chat.attachment := place.pair;
    message jsonb := place.message;
    mine CONSTANT jsonb := jsonb_strip_nulls(jsonb_build_object('from', 'self', 'emoji', NULLIF(emoji, ''), 'at', chat.iso_time(now())));
BEGIN
    IF emoji IS NULL OR length(emoji) > 32 THEN
        PERFORM chat.bad_input('emoji must be one, or empty to take the reaction away', code => CASE WHEN emoji IS NULL THEN '22004' ELSE '22023' END, field => 'emoji');
    ELSIF message IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM chat.mark_message(pair, message, '{}', chat.entry_marks(message, 'reactions', mine, emoji <> ''));
    PERFORM chat.add_action(pair, place.key, 'react', jsonb_build_object('emoji', emoji));
    RETURN chat.object_json(pair, true, place.key);
END
$$;
REVOKE ALL ON FUNCTION chat.send_reaction(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.send_reaction(text, text, text) IS 'Notes the owner''s reaction to a message in its metadata.reactions ({from: self, emoji, at}; an empty one takes it away), and the sender passes it on. Returns the message. NULL: no such message of the owner''s or agent''s. Errors: 22004, 22023, 22P02, 42501.';

CREATE FUNCTION chat.send_read(conversation_id text, up_to timestamptz DEFAULT NULL, owner text DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_conversation(conversation_id, owner, 'write');
    pair chat.attachment := place.pair;
    keys text[];
    messages jsonb;
BEGIN
    IF place.key IS NOT NULL AND pair.columns ? 'external_id' THEN
        PERFORM chat.run(NULL::text, pair.id, 'lock_conversation', place.key, chat.caller_scope(owner));
        keys := chat.run(NULL::text[], pair.id, 'lock_unread', place.key, up_to);
        -- The newest of very many will do.
        messages := chat.run(NULL::jsonb, pair.id, 'external_ids', keys[GREATEST(cardinality(keys) - 999, 1) : ]);
    END IF;
    IF messages IS NOT NULL THEN
        INSERT INTO chat.sending_action (attachment, conversation, action, details)
        VALUES (pair.id, place.key, 'read', jsonb_build_object('messages', messages));
    END IF;
    RETURN chat.mark_read(conversation_id, up_to, owner);
END
$$;
REVOKE ALL ON FUNCTION chat.send_read(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.send_read(text, timestamptz, text) IS 'chat.mark_read, and the sender tells the contact (of the newest 1,000 messages).';

CREATE FUNCTION chat.forget_sending() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM chat.sending_lease l WHERE l.expires_at < clock_timestamp() - chat.sending_horizon();
    DELETE FROM chat.sending_action a WHERE a.created_at < clock_timestamp() - chat.sending_horizon();
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN
        RETURN QUERY SELECT 'chat.sending_action'::text, format('%s changes deleted that nobody passed on in time', gone);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.forget_sending() FROM PUBLIC;
COMMENT ON FUNCTION chat.forget_sending() IS 'Part of chat.maintain: drops changes that no sender passed on within a day, and leases of conversations that are gone.';
