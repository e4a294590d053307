-- Ingestion of WUZAPI's webhooks.
--
-- Small functions have their body as RETURN: it is read once, when it is made, and is part of the plan of what calls it.

-- Whom an event is about

CREATE FUNCTION chat.event_addresses(event jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.array_remove(ARRAY[event ->> 'chat', NULLIF(event ->> 'lid', event ->> 'chat'), event ->> 'before'], NULL);
REVOKE ALL ON FUNCTION chat.event_addresses(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.event_addresses(jsonb) IS 'The addresses of a parsed event''s contact, the preferred one first.';

CREATE FUNCTION chat.event_inbox(settings jsonb, instance jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE(settings -> 'inboxes' ->> (instance ->> 'name'), settings -> 'inboxes' ->> (instance ->> 'userId'),
                    settings -> 'inboxes' ->> (instance ->> 'token'));
REVOKE ALL ON FUNCTION chat.event_inbox(jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.event_inbox(jsonb, jsonb) IS 'The inbox that the setting "inboxes" of a pair names for an instance, that which a parsed event came by; NULL for none.';

CREATE FUNCTION chat.event_route(event jsonb) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('instance', event #> '{instance,name}', 'inboxId', event -> 'inbox'));
REVOKE ALL ON FUNCTION chat.event_route(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.event_route(jsonb) IS 'By which of the owner''s numbers a parsed event came, as metadata have it: {instance, inboxId}, as far as it is known.';

-- The same message comes under both addresses of a contact whose pair was never told: its id says it. Ids are drawn at random, so
-- that only the contact itself can send the same one again.
CREATE FUNCTION chat.pair_by_message(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    address text := event ->> 'chat';
    other text;
BEGIN
    IF event ->> 'kind' <> 'message' OR (event ->> 'fromMe')::boolean OR address !~ '@(lid|s[.]whatsapp[.]net)$' THEN
        RETURN NULL;
    END IF;
    other := chat.contact_address(chat.run(NULL::text, attachment.id, 'other_address', owner_keys, event ->> 'id',
        CASE WHEN address LIKE '%@lid' THEN '%@s.whatsapp.net' ELSE '%@lid' END));
    RETURN CASE WHEN other LIKE '%@lid' THEN jsonb_build_array(jsonb_build_array(other, address))
                WHEN other IS NOT NULL THEN jsonb_build_array(jsonb_build_array(address, other)) END;
END
$$;
REVOKE ALL ON FUNCTION chat.pair_by_message(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.pair_by_message(chat.attachment, text[], jsonb) IS 'The pair of addresses, as chat.learn_pairs takes it, that an incoming message tells which is stored under the contact''s other address; NULL for none.';

CREATE FUNCTION chat.learn_and_merge(attachment chat.attachment, owner text, owner_keys text[], pairs jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    news jsonb;
    pair jsonb;
BEGIN
    IF pairs IS NULL THEN
        RETURN '[]';
    END IF;
    news := chat.learn_pairs(owner, pairs);
    FOR pair IN SELECT n FROM jsonb_array_elements(news) n ORDER BY n ->> 'phone' COLLATE "C" LOOP
        PERFORM chat.merge_twins(attachment, chat.contact_rows(attachment.id, owner_keys, ARRAY[pair ->> 'phone', pair ->> 'lid'], NULL, false));
    END LOOP;
    RETURN news;
END
$$;
REVOKE ALL ON FUNCTION chat.learn_and_merge(chat.attachment, text, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.learn_and_merge(chat.attachment, text, text[], jsonb) IS 'chat.learn_pairs, and merges conversations that are under both addresses of a pair that is news.';

CREATE FUNCTION chat.with_phone(owner text, event jsonb, field text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN event || COALESCE(CASE WHEN event ->> field LIKE '%@lid' THEN (
        SELECT jsonb_build_object(field, p.phone) FROM chat.contact_pair p WHERE p.owner = $1 AND p.lid = event ->> field) END, '{}');
END
$$;
REVOKE ALL ON FUNCTION chat.with_phone(text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.with_phone(text, jsonb, text) IS 'An object with the phone instead of a hidden address in a field, where it is known.';

CREATE FUNCTION chat.wuzapi_known(attachment chat.attachment, owner text, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    news jsonb := CASE WHEN event ? 'addresses' THEN chat.learn_and_merge(attachment, owner, owner_keys, event -> 'addresses') ELSE '[]' END;
    other text;
BEGIN
    event := event || jsonb_strip_nulls(jsonb_build_object('inbox', chat.event_inbox(attachment.settings, event -> 'instance')));
    IF event ->> 'kind' = 'history' THEN
        RETURN event || jsonb_build_object('conversations', (SELECT COALESCE(jsonb_agg(
            chat.with_phone(owner, CASE WHEN v ->> 'chat' LIKE '%@lid' THEN v || jsonb_build_object('lid', v -> 'chat') ELSE v END, 'chat') ORDER BY n), '[]')
              FROM jsonb_array_elements(event -> 'conversations') WITH ORDINALITY u (v, n)));
    ELSIF NOT event ? 'chat' THEN
        RETURN event;
    END IF;
    IF event ? 'participant' THEN
        event := chat.with_phone(owner, event, 'participant');
        IF event -> 'metadata' ? 'participant' THEN
            event := jsonb_set(event, '{metadata}', chat.with_phone(owner, event -> 'metadata', 'participant'));
        END IF;
    END IF;
    -- With both in it, the body itself tells which number to write to.
    other := CASE WHEN event ->> 'chat' LIKE '%@lid' OR NOT event ? 'lid' THEN chat.paired_address(owner, event ->> 'chat') END;
    IF other IS NULL AND NOT event ? 'addresses' THEN
        news := chat.learn_and_merge(attachment, owner, owner_keys, chat.pair_by_message(attachment, owner_keys, event));
        other := CASE WHEN news <> '[]' THEN chat.paired_address(owner, event ->> 'chat') END;
    END IF;
    IF other LIKE '%@lid' THEN
        event := event || jsonb_build_object('lid', other);
    ELSIF other IS NOT NULL THEN
        event := event || jsonb_build_object('chat', other, 'lid', event -> 'chat', 'hidden', true);
    END IF;
    IF news = '[]' THEN
        RETURN event;
    END IF;
    -- A contact has a new number: its conversation is under the old one.
    RETURN event || COALESCE((SELECT jsonb_build_object('before', n -> 'before') FROM jsonb_array_elements(news) n
                               WHERE n ->> 'lid' = event ->> 'lid' AND n ? 'before'), '{}');
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_known(chat.attachment, text, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_known(chat.attachment, text, text[], jsonb) IS 'Notes the pairs of addresses that a parsed event tells, and completes it by those that are known: chat (the phone''s address where that is known), lid, participant, before (the phone''s address until now), hidden (it came under the hidden address alone), inbox.';

-- Messages

CREATE FUNCTION chat.conversation_route(attachment chat.attachment, conversation jsonb, event jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    route jsonb := chat.event_route(event);
    metadata jsonb := CASE WHEN conversation IS NULL THEN '{}' WHEN jsonb_typeof(conversation -> 'metadata') = 'object' THEN conversation -> 'metadata' END;
    changes jsonb := '{}';
BEGIN
    -- An answer leaves by the number to which the contact wrote last.
    IF attachment.columns ? 'inbox' AND event ? 'inbox' AND conversation ->> 'inbox' IS DISTINCT FROM event ->> 'inbox'
       AND (conversation ->> 'inbox' IS NULL OR NOT (event ->> 'fromMe')::boolean) THEN
        changes := jsonb_build_object('inbox', event -> 'inbox');
    END IF;
    IF attachment.columns ? 'conversation_metadata' AND NOT COALESCE(metadata @> route, true)
       AND (NOT metadata ? 'instance' OR NOT (event ->> 'fromMe')::boolean) THEN
        changes := changes || jsonb_build_object('conversation_metadata', metadata || route);
    END IF;
    RETURN changes;
END
$$;
REVOKE ALL ON FUNCTION chat.conversation_route(chat.attachment, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_route(chat.attachment, jsonb, jsonb) IS 'Values by role that a parsed message changes of where its conversation (NULL: a new one) is answered: inbox, and instance and inboxId in the metadata.';

-- What is sent goes to the address that WhatsApp named last; a number that is known is better than the hidden one.
CREATE FUNCTION chat.new_address(conversation jsonb, event jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN conversation ->> 'jid' <> event ->> 'chat' AND (NOT event ? 'hidden' OR conversation ->> 'jid' LIKE '%@lid')
                     AND (event ->> 'chat' NOT LIKE '%@lid' OR conversation ->> 'jid' NOT LIKE '%@s.whatsapp.net') THEN event ->> 'chat' END;
REVOKE ALL ON FUNCTION chat.new_address(jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.new_address(jsonb, jsonb) IS 'The address of its contact that a conversation gets by a parsed event, or NULL.';

CREATE FUNCTION chat.refresh_contact(attachment chat.attachment, conversation jsonb, event jsonb, changes jsonb DEFAULT '{}') RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    address text := chat.new_address(conversation, event);
    holder text := CASE WHEN address IS NOT NULL AND (conversation -> 'isMerged')::boolean THEN chat.free_address(attachment, conversation ->> 'id', address) END;
BEGIN
    IF address IS NOT NULL THEN
        changes := changes || jsonb_build_object('contact_jid', address);
    END IF;
    IF changes <> '{}' THEN
        PERFORM chat.update_rows(attachment.id, false, changes, ARRAY[conversation ->> 'id']);
        IF holder IS NOT NULL THEN
            PERFORM chat.keep_address(attachment, holder, conversation ->> 'jid');
        END IF;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.refresh_contact(chat.attachment, jsonb, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.refresh_contact(chat.attachment, jsonb, jsonb, jsonb) IS 'Writes the address that a parsed event tells of a conversation, and changes by role; nothing where nothing is new.';

-- Without a name, clients show the number, and some store it.
CREATE FUNCTION chat.new_name(conversation jsonb, event jsonb) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN event ? 'pushName' AND COALESCE(conversation ->> 'name', '') IN ('', pg_catalog.split_part(conversation ->> 'jid', '@', 1))
                     AND conversation ->> 'name' IS DISTINCT FROM event ->> 'pushName'
                THEN pg_catalog.jsonb_build_object('contact_name', event -> 'pushName') ELSE '{}'::jsonb END;
REVOKE ALL ON FUNCTION chat.new_name(jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.new_name(jsonb, jsonb) IS 'The name, by role, that a conversation without one gets by a parsed event.';

CREATE FUNCTION chat.wuzapi_refresh(attachment chat.attachment, conversation jsonb, event jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    changes jsonb := chat.conversation_route(attachment, conversation, event) || chat.new_name(conversation, event);
BEGIN
    -- Where the triggers do not open conversations.
    IF conversation ->> 'status' = 'resolved' AND NOT (event ->> 'fromMe')::boolean AND event ->> 'kind' <> 'edit'
       AND COALESCE(attachment.settings ->> 'reopen', current_setting('chat_realtime.reopen')) = '' THEN
        changes := changes || jsonb_build_object('conversation_status', 'open');
    END IF;
    IF changes <> '{}' OR chat.new_address(conversation, event) IS NOT NULL THEN
        PERFORM chat.refresh_contact(attachment, conversation, event, changes);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_refresh(chat.attachment, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_refresh(chat.attachment, jsonb, jsonb) IS 'What a new message tells of its conversation: a name it had not, the address to write to, the inbox, and that a resolved one is open again.';

CREATE FUNCTION chat.type_is_allowed(attachment chat.attachment, type text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.run(NULL::boolean, attachment.id, 'type_is_allowed', type);
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    RETURN false;
END
$$;
REVOKE ALL ON FUNCTION chat.type_is_allowed(chat.attachment, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.type_is_allowed(chat.attachment, text) IS 'Whether a messages table takes a message type: as an INSERT would find it.';

CREATE FUNCTION chat.wuzapi_storable(attachment chat.attachment, event jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    type text := event ->> 'type';
    place jsonb := event #> '{metadata,location}';
    content text := event ->> 'content';
    metadata jsonb := jsonb_build_object('whatsappType', type) || (event -> 'metadata');
BEGIN
    IF type = 'text' OR NOT attachment.columns ? 'type' OR chat.type_is_allowed(attachment, type) THEN
        RETURN event;
    ELSIF type = 'sticker' AND chat.type_is_allowed(attachment, 'image') THEN
        RETURN event || jsonb_build_object('type', 'image', 'metadata', metadata);
    ELSIF type = 'location' THEN
        content := E'\U0001F4CD ' || COALESCE(place ->> 'name', concat_ws(', ', place ->> 'latitude', place ->> 'longitude'));
    ELSIF type = 'contact' THEN
        metadata := metadata || jsonb_build_object('vcard', content);
        content := E'\U0001F464 ' || COALESCE(metadata ->> 'contactName', '');
    END IF;
    RETURN event || jsonb_build_object('type', 'text', 'metadata', metadata, 'content',
        CASE WHEN COALESCE(content, '') = '' THEN E'\U0001F4E9 ' || initcap(replace(type, '_', ' ')) ELSE content END);
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_storable(chat.attachment, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_storable(chat.attachment, jsonb) IS 'A parsed message in a type that the table takes; its own is kept as whatsappType in the metadata.';

CREATE FUNCTION chat.wuzapi_values(attachment integer, conversation_id text, event jsonb) RETURNS jsonb
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_wuzapi_values';
REVOKE ALL ON FUNCTION chat.wuzapi_values(integer, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_values(integer, text, jsonb) IS 'A parsed message, of a type that the table takes, as values by role.';

CREATE FUNCTION chat.wuzapi_row(attachment chat.attachment, conversation_id text, event jsonb) RETURNS jsonb
    LANGUAGE sql VOLATILE
    RETURN chat.wuzapi_values((attachment).id, conversation_id, CASE WHEN event ->> 'type' = 'text' THEN event ELSE chat.wuzapi_storable(attachment, event) END);
REVOKE ALL ON FUNCTION chat.wuzapi_row(chat.attachment, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_row(chat.attachment, text, jsonb) IS 'A parsed message as values by role.';

CREATE FUNCTION chat.wuzapi_arrives(attachment chat.attachment, key text, event jsonb) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    message jsonb;
    row_values jsonb;
BEGIN
    IF event #> '{metadata,unavailable}' = 'true' THEN
        RETURN false;
    END IF;
    message := chat.lock_message(attachment, key);
    IF message #> '{metadata,unavailable}' IS DISTINCT FROM 'true' THEN
        RETURN false;
    END IF;
    row_values := chat.wuzapi_row(attachment, message ->> 'conversation', event);
    PERFORM chat.mark_message(attachment, message || jsonb_build_object('metadata', row_values -> 'metadata'),
        row_values - '{conversation,external_id,direction,status,sender_type,time,metadata}'::text[], '{}');
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_arrives(chat.attachment, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_arrives(chat.attachment, text, jsonb) IS 'Gives a message that was stored while it could not be had what it holds; false for any other.';

CREATE FUNCTION chat.wuzapi_message(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    addresses text[] := chat.event_addresses(event);
    -- The lock on the conversation, held from here on, makes the look-up of the id safe.
    conversation jsonb := chat.find_contact(attachment, owner_keys, addresses, true, event ->> 'inbox');
    message jsonb;
    answer jsonb;
BEGIN
    IF conversation IS NULL THEN
        conversation := chat.make_contact(attachment, owner_keys, addresses, event ->> 'pushName', event ->> 'inbox', chat.conversation_route(attachment, NULL, event));
    END IF;
    message := chat.run(NULL::jsonb, attachment.id, 'find_external', conversation ->> 'id', event ->> 'id');
    answer := jsonb_build_object('conversationId', conversation -> 'id', 'externalId', event ->> 'id');
    IF message IS NOT NULL THEN
        PERFORM chat.refresh_contact(attachment, conversation, event, chat.new_name(conversation, event));
        RETURN answer || jsonb_build_object('messageId', message, 'action',
            CASE WHEN chat.wuzapi_arrives(attachment, message #>> '{}', event) THEN 'message' ELSE 'duplicate' END);
    END IF;
    PERFORM chat.wuzapi_refresh(attachment, conversation, event);
    message := chat.insert_row(attachment.id, true, chat.wuzapi_row(attachment, conversation ->> 'id', event));
    RETURN answer || jsonb_build_object(
        'action', 'message', 'messageId', message,
        'direction', CASE WHEN (event ->> 'fromMe')::boolean THEN 'outgoing' ELSE 'incoming' END,
        'isNewConversation', COALESCE((conversation ->> 'isNew')::boolean, false));
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_message(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_message(chat.attachment, text[], jsonb) IS 'Stores a parsed message once: {action: message | duplicate, conversationId, messageId, externalId, ...}.';

CREATE FUNCTION chat.wuzapi_scope(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    conversations jsonb;
BEGIN
    IF event ->> 'chat' NOT LIKE '%@lid' THEN
        conversations := chat.find_contact(attachment, owner_keys, chat.event_addresses(event), false, event ->> 'inbox') -> 'id';
    END IF;
    IF conversations IS NOT NULL THEN
        RETURN jsonb_build_array(conversations);
    END IF;
    -- A hidden address that is not resolved: the ids tell the conversation.
    conversations := chat.run(NULL::jsonb, attachment.id, 'conversations_of', owner_keys, ARRAY(SELECT jsonb_array_elements_text(event -> 'ids')));
    RETURN COALESCE(conversations, '[]');
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_scope(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_scope(chat.attachment, text[], jsonb) IS 'Keys of the owner''s conversations that a receipt is about, as a JSON array.';

-- Who has read these messages on another device has read what came before them.
CREATE FUNCTION chat.wuzapi_due_self(attachment chat.attachment, event jsonb, conversation_ids text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    conversation text;
    read_up_to timestamptz;
    due text[] := '{}';
BEGIN
    FOREACH conversation IN ARRAY conversation_ids LOOP
        read_up_to := chat.run(NULL::timestamptz, attachment.id, 'latest_among', conversation, ARRAY(SELECT jsonb_array_elements_text(event -> 'ids')));
        due := due || chat.run(NULL::text[], attachment.id, 'lock_unread', conversation, COALESCE(read_up_to, (event ->> 'timestamp')::timestamptz, now()));
    END LOOP;
    RETURN due;
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_due_self(chat.attachment, jsonb, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_due_self(chat.attachment, jsonb, text[]) IS 'Locks the incoming messages that the owner has read on another device, and returns their keys.';

CREATE FUNCTION chat.wuzapi_receipt(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    scope jsonb := chat.wuzapi_scope(attachment, owner_keys, event);
    conversations text[] := ARRAY(SELECT jsonb_array_elements_text(scope));
    status text := CASE event ->> 'state' WHEN 'read-self' THEN 'read' ELSE event ->> 'state' END;
    changed jsonb;
BEGIN
    PERFORM chat.run(NULL::boolean, attachment.id, 'lock_conversations', conversations);
    changed := COALESCE(chat.update_rows(attachment.id, true,
        jsonb_build_object('status', status, 'status_updated_at', event ->> 'timestamp'),
        CASE event ->> 'state' WHEN 'read-self' THEN chat.wuzapi_due_self(attachment, event, conversations)
            ELSE chat.run(NULL::text[], attachment.id, 'lock_due', conversations, ARRAY(SELECT jsonb_array_elements_text(event -> 'ids')), event ->> 'state') END), '[]');
    RETURN jsonb_build_object('action', 'status', 'status', status, 'conversationId', scope -> 0,
                              'updated', jsonb_array_length(changed), 'messageIds', changed);
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_receipt(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_receipt(chat.attachment, text[], jsonb) IS 'Moves statuses forward as a parsed receipt tells: {action: status, status, conversationId, updated, messageIds}. Ids that are not known are no error.';

CREATE FUNCTION chat.wuzapi_typing(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    contact jsonb := chat.find_contact(attachment, owner_keys, chat.event_addresses(event), false, event ->> 'inbox');
    typing boolean := event ->> 'state' = 'composing';
BEGIN
    IF contact IS NULL THEN
        RETURN jsonb_build_object('action', 'ignored', 'reason', 'no conversation with this contact');
    END IF;
    PERFORM chat.presence_emit(chat.presence_conversation(attachment, contact ->> 'id'), 'typing',
                               COALESCE(event ->> 'participant', event ->> 'chat'),
                               CASE WHEN NOT event ? 'participant' THEN contact ->> 'name' END, typing);
    RETURN jsonb_build_object('action', 'typing', 'conversationId', contact -> 'id', 'isTyping', typing);
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_typing(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_typing(chat.attachment, text[], jsonb) IS 'Passes on that a contact is typing: {action: typing, conversationId, isTyping}.';

CREATE FUNCTION chat.wuzapi_timed(event jsonb) RETURNS jsonb
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_wuzapi_timed';
REVOKE ALL ON FUNCTION chat.wuzapi_timed(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_timed(jsonb) IS 'A parsed event with a time that can be: that of its arrival where it has none, or one before 2009 or more than a day ahead; for reactions and votes the sender''s.';

CREATE FUNCTION chat.ingest_wuzapi(owner text, payload jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET chat_realtime.check_outgoing = off AS -- what the phone sent has been sent
$$
DECLARE
    event jsonb;
    attachment chat.attachment;
    owner_keys text[];
BEGIN
    PERFORM chat.require_owner(owner);
    IF payload IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'payload must not be NULL',
            HINT = 'Pass the body of WUZAPI''s webhook as it was received.';
    END IF;
    event := chat.wuzapi_timed(chat.wuzapi_parse(payload));
    attachment := chat.pair_for(owner);
    IF NOT attachment.columns ?& ARRAY['contact_jid', 'external_id'] THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('tables %s and %s cannot take WUZAPI''s events', attachment.conversations, attachment.messages),
            DETAIL = 'They need a column for the contact''s address (contact_jid) and one for WhatsApp''s id (external_id).',
            HINT = 'Add the columns, or map them, with chat.attach.';
    END IF;
    owner_keys := chat.user_keys(attachment.id, 'owner', owner);
    event := chat.wuzapi_known(attachment, owner, owner_keys, event);
    RETURN CASE event ->> 'kind'
               WHEN 'message' THEN chat.wuzapi_message(attachment, owner_keys, event)
               WHEN 'edit' THEN chat.wuzapi_edit(attachment, owner_keys, event)
               WHEN 'pendingEdit' THEN chat.wuzapi_pending_edit(attachment, owner_keys, event)
               WHEN 'variant' THEN chat.wuzapi_variant(attachment, owner_keys, event)
               WHEN 'revoke' THEN chat.wuzapi_revoke(attachment, owner_keys, event)
               WHEN 'reaction' THEN chat.wuzapi_entry(attachment, owner_keys, event, 'reactions', 'emoji')
               WHEN 'vote' THEN chat.wuzapi_entry(attachment, owner_keys, event, 'votes', 'options')
               WHEN 'group' THEN chat.wuzapi_group(attachment, owner_keys, event)
               WHEN 'history' THEN chat.wuzapi_history(attachment, owner_keys, event)
               WHEN 'receipt' THEN chat.wuzapi_receipt(attachment, owner_keys, event)
               WHEN 'typing' THEN chat.wuzapi_typing(attachment, owner_keys, event)
               ELSE jsonb_build_object('action', 'ignored', 'reason', event ->> 'reason')
           END;
END
$$;
REVOKE ALL ON FUNCTION chat.ingest_wuzapi(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.ingest_wuzapi(text, jsonb) IS 'Takes the body of a WUZAPI webhook for a user: stores a message once, applies edits, revokes, reactions and votes, moves statuses forward, passes typing on, takes over the history. Returns {action: message | duplicate | edit | revoke | reaction | vote | status | typing | group | history | ignored, conversationId, messageId, ...}. Errors: 22004 for a NULL, 42501 when the caller may not act for the owner, 55000 when nothing is attached, class 22 for a payload that is no usable event.';
