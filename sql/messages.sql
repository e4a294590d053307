-- Saving, changing and deleting messages.

CREATE FUNCTION chat.save_message(conversation_id text, message jsonb, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'chat_save_message';
REVOKE ALL ON FUNCTION chat.save_message(text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.save_message(text, jsonb, text) IS 'Saves a message and returns it; one with a messageId that the conversation has is returned as it is stored. In a conversation that was merged it goes to the other one. An outgoing one carries in its metadata by which of the owner''s numbers it must leave, where that is known ({instance, inboxId}). Keys: content, messageType (or type), direction, status, messageId, replyToMessageId, metadata, timestamp, isPrivateNote, senderType, senderAgentId, senderBotId, mediaUrl, mediaMimeType, mediaFilename, mediaSizeBytes, mediaDurationSeconds. Without status an outgoing message is sent, an incoming one delivered; a backend that sends afterwards gives pending. senderAgentId of what an assigned agent writes is that agent. NULL: no such conversation of the owner''s or agent''s. Errors: 22004, 22023, 22P02, 42501, PT429 for more than 10 messages of a user in a second (a service caller is not limited), and those of the table and rules.';

CREATE FUNCTION chat.update_message_status(message_id text, status text, at timestamptz DEFAULT now(), owner text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'chat_update_message_status';
REVOKE ALL ON FUNCTION chat.update_message_status(text, text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.update_message_status(text, text, timestamptz, text) IS 'Moves a message''s status forward (a step backwards is ignored) and returns the message as it is then. at: when the status was reached. NULL: no such message of the owner''s or agent''s. Errors: 22004, 22023 for an unknown status, 22P02, 42501.';

-- Locks a message that is not marked as deleted, and returns it by role.
CREATE FUNCTION chat.lock_message(pair chat.attachment, key text, user_id text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF chat.run(NULL::boolean, pair.id, 'lock_conversation_of', key, user_id) IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN chat.run(NULL::jsonb, pair.id, 'lock_message', key);
END
$$;
REVOKE ALL ON FUNCTION chat.lock_message(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_message(chat.attachment, text, text) IS 'Locks a message, after its conversation: {key, conversation, content, metadata, direction}; NULL when it is gone, marked as deleted, or in no conversation of the user''s.';

CREATE FUNCTION chat.take_message(message_id text, owner text, OUT pair chat.attachment, OUT key text, OUT message jsonb)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_message(message_id, owner);
BEGIN
    pair := place.pair;
    key := place.key;
    IF key IS NOT NULL THEN
        message := chat.lock_message(pair, key, chat.caller_scope(owner));
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.take_message(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.take_message(text, text) IS 'chat.find_message, and locks it: what chat.lock_message tells of it. Errors: those of chat.find_message.';

-- What the table has no column for is kept in the metadata, where that is an object.
CREATE FUNCTION chat.mark_message(pair chat.attachment, message jsonb, changes jsonb, marks jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    metadata jsonb := CASE jsonb_typeof(message -> 'metadata') WHEN 'object' THEN message -> 'metadata' WHEN 'null' THEN '{}' END;
BEGIN
    PERFORM chat.update_rows(pair.id, true, changes || COALESCE(jsonb_build_object('metadata', metadata || marks), '{}'),
                             ARRAY[message ->> 'key'], true);
END
$$;
REVOKE ALL ON FUNCTION chat.mark_message(chat.attachment, jsonb, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.mark_message(chat.attachment, jsonb, jsonb, jsonb) IS 'Writes values by role to a locked message, and marks into its metadata.';

CREATE FUNCTION chat.iso_time(at timestamptz) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"');
END
$$;
REVOKE ALL ON FUNCTION chat.iso_time(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION chat.iso_time(timestamptz) IS 'A time as payloads write it.';

CREATE FUNCTION chat.edit_message(message_id text, content text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.take_message(message_id, owner);
BEGIN
    IF COALESCE(content, '') = '' THEN
        PERFORM chat.bad_input('content must not be empty', code => CASE WHEN content IS NULL THEN '22004' ELSE '22023' END, field => 'content');
    ELSIF place.message IS NULL THEN
        RETURN NULL;
    ELSIF place.message ->> 'content' IS DISTINCT FROM content THEN
        PERFORM chat.mark_message(place.pair, place.message, jsonb_build_object('content', content, 'edited', true),
            jsonb_build_object('isEdited', true, 'editedAt', chat.iso_time(now())));
    END IF;
    RETURN chat.object_json(place.pair, true, place.key);
END
$$;
REVOKE ALL ON FUNCTION chat.edit_message(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.edit_message(text, text, text) IS 'Changes a message''s content, marks it as edited (is_edited, and isEdited and editedAt in its metadata) and returns it. NULL: no such message of the owner''s or agent''s, or it is deleted. Errors: 22004, 22023, 22P02, 42501, and those of the rules.';

CREATE FUNCTION chat.delete_message(message_id text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.take_message(message_id, owner);
    pair chat.attachment := place.pair;
    result jsonb;
BEGIN
    IF place.message IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM chat.audit('message.deleted', place.key, jsonb_build_object('conversationId', place.message -> 'conversation'));
    IF pair.columns ? 'deleted' THEN
        PERFORM chat.update_rows(pair.id, true, jsonb_build_object('deleted', chat.deletion_mark(pair)), ARRAY[place.key]);
        RETURN chat.object_json(pair, true, place.key);
    END IF;
    result := chat.object_json(pair, true, place.key);
    PERFORM chat.run(NULL::boolean, pair.id, 'delete_message', place.key);
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION chat.delete_message(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.delete_message(text, text) IS 'Deletes a message, or marks it where its table has is_deleted or deleted_at, and returns it as it was then. NULL: no such message of the owner''s or agent''s, or it is deleted. Leaves a row in chat.audit_log. Errors: 22004, 22P02, 42501.';

CREATE FUNCTION chat.deletion_mark(pair chat.attachment) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN CASE WHEN chat.deletion_is_flag(pair.messages, pair.columns)
                THEN to_jsonb(true) ELSE to_jsonb(now()) END;
END
$$;
REVOKE ALL ON FUNCTION chat.deletion_mark(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.deletion_mark(chat.attachment) IS 'What the column that marks a deleted message is set to: true, or now().';

CREATE FUNCTION chat.mark_read(conversation_id text, up_to timestamptz DEFAULT NULL, owner text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'chat_mark_read';
REVOKE ALL ON FUNCTION chat.mark_read(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.mark_read(text, timestamptz, text) IS 'Marks the incoming messages of a conversation as read (up_to: those of that time and before), and returns how many there were. NULL: no such conversation of the owner''s or agent''s. Errors: 22004, 22P02, 42501.';
