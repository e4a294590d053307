-- Presence.

CREATE FUNCTION chat.presence_conversation(attachment chat.attachment, conversation_id text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.run(NULL::jsonb, attachment.id, 'users_of', conversation_id);
END
$$;
REVOKE ALL ON FUNCTION chat.presence_conversation(chat.attachment, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.presence_conversation(chat.attachment, text) IS 'A conversation and the users behind it: {id, owner, agent}, or NULL.';

CREATE FUNCTION chat.presence_emit(conversation jsonb, state text, user_id text, username text, is_typing boolean)
    RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    id text := conversation ->> 'id';
    payload jsonb := jsonb_build_object(
        'conversationId', conversation -> 'id', 'userId', user_id, 'username', username,
        'isTyping', state = 'typing' AND COALESCE(is_typing, true),
        'lastSeen', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'));
BEGIN
    IF state <> 'typing' OR chat.limit_typing(id, user_id, COALESCE(is_typing, true)) THEN
        PERFORM chat.tell('presence.' || state, id, conversation ->> 'owner', id, payload);
    END IF;
    RETURN payload;
END
$$;
REVOKE ALL ON FUNCTION chat.presence_emit(jsonb, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.presence_emit(jsonb, text, text, text, boolean) IS 'Writes a presence event, which soon expires, and returns its payload. Typing beyond one event a second is not written.';

CREATE FUNCTION chat.presence(conversation_id text, state text, user_id text DEFAULT NULL, username text DEFAULT NULL,
                              is_typing boolean DEFAULT NULL, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    service boolean := chat.is_service_caller();
    caller text := COALESCE(owner, chat.current_user_id());
    candidate chat.attachment;
    conversation jsonb;
    valid boolean := false;
BEGIN
    IF conversation_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', COLUMN = 'conversation_id', MESSAGE = 'conversation_id must not be NULL';
    END IF;
    IF NOT EXISTS (SELECT FROM chat.event_kinds() k WHERE k.event = 'presence.' || state) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'state',
            MESSAGE = format('state "%s" is not known', state), HINT = 'Use join, leave or typing.';
    END IF;
    IF NOT service AND (chat.current_user_id() IS NULL OR caller <> chat.current_user_id()
                        OR user_id <> chat.current_user_id()) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'only a user itself or a service caller may tell a user''s presence',
            HINT = 'A backend''s role becomes a service caller with chat.grant_backend.';
    END IF;
    FOR candidate IN SELECT a.* FROM chat.attachment a ORDER BY a.id LOOP
        CONTINUE WHEN chat.key_fits(candidate.conversations, candidate.columns ->> 'conversation_id',
                                    conversation_id) IS NOT TRUE;
        valid := true;
        conversation := chat.presence_conversation(candidate, conversation_id);
        EXIT WHEN conversation IS NOT NULL AND (service AND owner IS NULL
                  OR caller IN (conversation ->> 'owner', conversation ->> 'agent'));
        conversation := NULL;
    END LOOP;
    IF NOT valid THEN
        PERFORM chat.require_attached();
        RAISE EXCEPTION USING ERRCODE = 'invalid_text_representation', COLUMN = 'conversation_id',
            MESSAGE = format('conversation_id "%s" is not valid', conversation_id),
            HINT = 'Ids are those of the attached conversations, as text.';
    END IF;
    IF conversation IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN chat.presence_emit(conversation, state, COALESCE(user_id, caller), username, is_typing);
END
$$;
REVOKE ALL ON FUNCTION chat.presence(text, text, text, text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.presence(text, text, text, text, boolean, text) IS 'Tells a conversation that a user joined, left or is typing (is_typing false: stopped; more often than once a second it is not sent); the event is dropped after 5 seconds. state: join, leave, typing. Returns the payload; NULL for a conversation that is missing or of which the user is neither owner nor agent. Errors: 22023 for another state, 22004, 22P02 for an id of the wrong form, 42501 for a user that is not the caller.';

-- The endpoint has verified the user's token. Of a user who leaves because the conversation is somebody else's now it is told, too.
CREATE FUNCTION chat.presence_was_told(conversation_id text, user_id text, state text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    told text := 'presence:' || conversation_id;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(format('chat_realtime presence %s %s', conversation_id, user_id), 0));
    RETURN COALESCE((
        SELECT e.event = 'presence.' || state AND e.created_at > clock_timestamp() - interval '30 s'
          FROM (SELECT e.id, e.event, e.created_at, e.payload FROM chat.event e
                 WHERE hashtextextended(e.topic, 0) >= hashtextextended(told, 0)
                   AND hashtextextended(e.topic, 0) <= hashtextextended(told, 0) AND e.topic = told
                 ORDER BY hashtextextended(e.topic, 0) DESC, e.id DESC LIMIT 20) e
         WHERE e.payload::jsonb ->> 'userId' = user_id ORDER BY e.id DESC LIMIT 1), false);
END
$$;
REVOKE ALL ON FUNCTION chat.presence_was_told(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.presence_was_told(text, text, text) IS 'Whether the newest thing that was told of a user at a conversation (join or leave) is this one, and of the last 30 s: the user''s tabs may be at several endpoints, and each of them tells. Until the transaction ends nobody else tells anything of that user there.';

CREATE FUNCTION chat.endpoint_presence(conversation_id text, user_id text, state text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    conversation jsonb;
BEGIN
    IF NOT current_setting('chat_realtime.presence_events')::boolean THEN
        RETURN false;
    END IF;
    IF state IS NULL OR state NOT IN ('join', 'leave') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'state',
            MESSAGE = format('state "%s" is not known', state), HINT = 'Use join or leave.';
    END IF;
    FOR pair IN SELECT a.* FROM chat.attachment a ORDER BY a.id LOOP
        CONTINUE WHEN chat.key_fits(pair.conversations, pair.columns ->> 'conversation_id', conversation_id) IS NOT TRUE;
        conversation := chat.presence_conversation(pair, conversation_id);
        EXIT WHEN conversation IS NOT NULL
              AND (state = 'leave' OR user_id IN (conversation ->> 'owner', conversation ->> 'agent'));
        conversation := NULL;
    END LOOP;
    IF conversation IS NOT NULL AND NOT chat.presence_was_told(conversation ->> 'id', user_id, state) THEN
        PERFORM chat.presence_emit(conversation, state, user_id, NULL, NULL);
    END IF;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.endpoint_presence(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.endpoint_presence(text, text, text) IS 'For the embedded endpoint: a user (the sub of a verified token) came to a conversation (state join) or went (leave). An event as of chat.presence, where chat_realtime.presence_events is on; false: it is off. Of a conversation that is missing, or not the user''s, nothing is told, nor what another endpoint told within 30 s. Errors: 22023 for another state.';
