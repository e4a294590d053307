-- Conversations: one, a new one, and changes.

CREATE FUNCTION chat.require_conversation_status(status text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF status IS NULL OR status NOT IN ('open', 'pending', 'resolved', 'snoozed') THEN
        PERFORM chat.bad_input(COALESCE('status "' || left(status, 64) || '" is not known', 'status must not be null'),
                               'Use open, pending, resolved or snoozed.', field => 'status');
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_conversation_status(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_conversation_status(text) IS 'Errors: 22023 for what is no status of a conversation.';

CREATE FUNCTION chat.get_conversation(conversation_id text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_conversation(conversation_id, owner, 'read');
BEGIN
    RETURN CASE WHEN place.key IS NOT NULL THEN chat.object_json(place.pair, false, place.key) END;
END
$$;
REVOKE ALL ON FUNCTION chat.get_conversation(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.get_conversation(text, text) IS 'A conversation, for its owner or assigned agent. NULL: there is none. Errors: 22004, 22P02, 42501.';

CREATE FUNCTION chat.create_conversation(owner text, contact_jid text, contact_name text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    jid text := COALESCE(chat.contact_address(contact_jid), contact_jid);
    other text;
    pair chat.attachment;
    conversation jsonb;
BEGIN
    PERFORM chat.require_owner(owner);
    IF contact_jid IS NULL THEN
        PERFORM chat.bad_input('contact_jid must not be NULL', code => '22004', field => 'contact_jid');
    ELSIF octet_length(jid) NOT BETWEEN 1 AND 255 OR jid ~ '[[:space:][:cntrl:]]' THEN
        PERFORM chat.bad_input('contact_jid must be an address of 1 to 255 bytes without spaces', 'Such as 5511900000001@s.whatsapp.net.', field => 'contact_jid');
    ELSIF octet_length(contact_name) > 1024 THEN
        PERFORM chat.bad_input('contact_name is longer than 1024 bytes', field => 'contact_name');
    END IF;
    pair := chat.pair_for(owner);
    IF NOT pair.columns ? 'contact_jid' THEN
        PERFORM chat.bad_input(format('table %s has no column for contacts'' addresses', pair.conversations),
                               'Map one as "contact_jid" with chat.attach.', '55000');
    END IF;
    other := chat.paired_address(owner, jid);
    conversation := chat.ensure_contact(pair, chat.user_keys(pair.id, 'owner', owner),
        CASE WHEN other IS NULL THEN ARRAY[jid] WHEN jid LIKE '%@lid' THEN ARRAY[other, jid] ELSE ARRAY[jid, other] END, contact_name, NULL, '{}');
    RETURN chat.object_json(pair, false, conversation ->> 'id');
END
$$;
REVOKE ALL ON FUNCTION chat.create_conversation(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.create_conversation(text, text, text) IS 'The owner''s conversation with a contact: the one that is there, under whatever of the contact''s addresses and however that is spelled, else a new one, open. contact_jid is an address of WhatsApp''s, or a phone number with its country''s code, which becomes one. Errors: 22004, 22023, 42501, 55000.';

CREATE FUNCTION chat.update_conversation(conversation_id text, changes jsonb, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'chat_update_conversation';
REVOKE ALL ON FUNCTION chat.update_conversation(text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.update_conversation(text, jsonb, text) IS 'Changes a conversation and returns it. Keys: status, assignedAgentId, assignedBotId, isMuted, contactName, contactAvatarUrl; null takes agent, bot, name and avatar away. An assigned agent may change all but agent and bot. NULL: no such conversation of the owner''s or agent''s. Errors: 22004, 22023, 22P02, 23503 for an agent or bot that does not exist, 42501.';

CREATE FUNCTION chat.archive_conversation(conversation_id text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.update_conversation(conversation_id, '{"status": "resolved"}', owner);
END
$$;
REVOKE ALL ON FUNCTION chat.archive_conversation(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.archive_conversation(text, text) IS 'Sets a conversation''s status to resolved and returns it; a new message of the contact opens it again. NULL and errors as for chat.update_conversation.';

-- Conversation and messages are locked together, or nothing is: whoever holds a message (a plain UPDATE, say) will want the
-- conversation, and must get it. So that message is waited for while nothing is held.
CREATE FUNCTION chat.lock_whole_conversation(pair chat.attachment, key text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    busy text;
BEGIN
    LOOP
        BEGIN
            IF chat.run(NULL::boolean, pair.id, 'lock_all', key) IS NULL THEN
                RETURN false;
            END IF;
            busy := chat.run(NULL::text, pair.id, 'lock_all_messages', key);
            IF busy IS NULL THEN
                RETURN true;
            END IF;
            RAISE EXCEPTION USING ERRCODE = 'CHLET', MESSAGE = 'locks are let go';
        EXCEPTION WHEN SQLSTATE 'CHLET' THEN NULL;
        END;
        BEGIN
            PERFORM chat.run(NULL::boolean, pair.id, 'lock_one_message', busy);
            RAISE EXCEPTION USING ERRCODE = 'CHLET', MESSAGE = 'locks are let go';
        EXCEPTION WHEN SQLSTATE 'CHLET' THEN NULL;
        END;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.lock_whole_conversation(chat.attachment, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_whole_conversation(chat.attachment, text) IS 'Locks a conversation and all its messages FOR UPDATE; while it waits for a message it holds none of them. False: the conversation is gone.';

CREATE FUNCTION chat.delete_conversation(conversation_id text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_conversation(conversation_id, owner, 'own');
    pair chat.attachment := place.pair;
    result jsonb;
BEGIN
    IF place.key IS NULL OR NOT chat.lock_whole_conversation(pair, place.key) THEN
        RETURN NULL;
    END IF;
    result := chat.object_json(pair, false, place.key);
    PERFORM chat.audit('conversation.deleted', place.key);
    PERFORM chat.run(NULL::boolean, pair.id, 'delete_messages_of', place.key);
    PERFORM chat.run(NULL::boolean, pair.id, 'delete_conversation', place.key);
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION chat.delete_conversation(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.delete_conversation(text, text) IS 'Deletes a conversation with its messages and returns it as it was. Locks the conversation first, so that it meets no deadlock with functions or statements that write its messages; a plain DELETE may. NULL: no such conversation of the owner''s. Leaves a row in chat.audit_log. Errors: 22004, 22P02, 23503 when another table refers to it, 42501, also for its agent.';
