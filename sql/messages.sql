-- Saving, changing and deleting messages.

CREATE FUNCTION chat.message_fields() RETURNS chat.api_field[]
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT array_agg(v::chat.api_field) FROM (VALUES
        ('content', 'content', 'string', 1073741823), ('messageType', 'type', 'string', 64), ('type', 'type', 'string', 64),
        ('direction', 'direction', 'string', 64), ('status', 'status', 'string', 64), ('messageId', 'external_id', 'string', 255),
        ('replyToMessageId', 'reply_to', 'id', NULL), ('metadata', 'metadata', 'object', NULL), ('timestamp', 'time', 'time', NULL),
        ('isPrivateNote', 'private', 'boolean', NULL), ('senderType', 'sender_type', 'string', 64),
        ('senderAgentId', 'sender_agent', 'id', NULL), ('senderBotId', 'sender_bot', 'id', NULL),
        ('mediaUrl', 'media_url', 'string', 1073741823), ('mediaMimeType', 'media_mime_type', 'string', 255),
        ('mediaFilename', 'media_filename', 'string', 255), ('mediaSizeBytes', 'media_size_bytes', 'integer', NULL),
        ('mediaDurationSeconds', 'media_duration_seconds', 'integer', NULL)) v);
END
$$;
REVOKE ALL ON FUNCTION chat.message_fields() FROM PUBLIC;
COMMENT ON FUNCTION chat.message_fields() IS 'Keys of a message that callers may give.';

CREATE FUNCTION chat.column_is_required(relation regclass, name text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT a.attnotnull AND NOT a.atthasdef FROM pg_attribute a
     WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped);
END
$$;
REVOKE ALL ON FUNCTION chat.column_is_required(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.column_is_required(regclass, text) IS 'Whether a column must be given a value; NULL: no such column.';

-- The id is the caller's to choose with WhatsApp, so that the id stored is the id sent.
CREATE FUNCTION chat.new_external_id() RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN '3EB0' || upper(encode(chat.random_bytes(9), 'hex'));
END
$$;
REVOKE ALL ON FUNCTION chat.new_external_id() FROM PUBLIC;
COMMENT ON FUNCTION chat.new_external_id() IS 'A new message id of WhatsApp''s form.';

CREATE FUNCTION chat.message_defaults(pair chat.attachment, given jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    outgoing boolean;
    defaults jsonb;
BEGIN
    given := jsonb_strip_nulls(given - 'metadata') || CASE WHEN jsonb_typeof(given -> 'metadata') = 'object'
        THEN jsonb_build_object('metadata', given -> 'metadata') ELSE '{}' END;
    outgoing := COALESCE(given ->> 'direction', 'outgoing') <> 'incoming';
    defaults := jsonb_build_object('direction', 'outgoing', 'type', 'text',
        'status', CASE WHEN outgoing THEN 'sent' ELSE 'delivered' END,
        'sender_type', CASE WHEN NOT outgoing THEN 'contact' WHEN given ? 'sender_bot' THEN 'bot' ELSE 'user' END);
    IF outgoing AND c ? 'external_id' AND NOT given ? 'external_id' THEN
        defaults := defaults || jsonb_build_object('external_id', chat.new_external_id());
    END IF;
    IF chat.column_is_required(pair.messages, c ->> 'content') THEN
        defaults := defaults || jsonb_build_object('content', '');
    END IF;
    IF chat.column_is_required(pair.messages, c ->> 'time') THEN
        defaults := defaults || jsonb_build_object('time', clock_timestamp());
    END IF;
    RETURN defaults || given;
END
$$;
REVOKE ALL ON FUNCTION chat.message_defaults(chat.attachment, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_defaults(chat.attachment, jsonb) IS 'Values of a message by role, completed: outgoing text, sent (incoming: delivered), from the user, a bot or the contact, with a message id.';

CREATE FUNCTION chat.check_message(pair chat.attachment, message jsonb) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF message ->> 'direction' = 'incoming' AND (message ->> 'private')::boolean THEN
        PERFORM chat.bad_input('a private note cannot be incoming', field => 'isPrivateNote');
    ELSIF message ->> 'type' = 'text' AND COALESCE(message ->> 'content', '') = '' THEN
        PERFORM chat.bad_input('"content" of message is required', 'A text needs one; media may do without.', field => 'content');
    ELSIF message ->> 'external_id' = '' THEN
        PERFORM chat.bad_input('"messageId" of message must not be empty', field => 'messageId');
    ELSIF NOT message ? 'external_id' AND chat.column_is_required(pair.messages, pair.columns ->> 'external_id') THEN
        PERFORM chat.bad_input('"messageId" of message is required', 'An incoming message is known by the id that WhatsApp gave it.', field => 'messageId');
    ELSIF chat.status_is_known(message ->> 'status') IS NOT TRUE THEN
        PERFORM chat.bad_input(format('status "%s" is not known', message ->> 'status'), 'Use pending, sent, delivered, read or failed.', field => 'status');
    ELSIF message ->> 'direction' NOT IN ('incoming', 'outgoing') THEN
        PERFORM chat.bad_input(format('direction "%s" is not known', message ->> 'direction'), 'Use incoming or outgoing.', field => 'direction');
    ELSIF message ->> 'sender_type' NOT IN ('user', 'contact', 'bot', 'system') THEN
        PERFORM chat.bad_input(format('senderType "%s" is not known', message ->> 'sender_type'), 'Use user, contact, bot or system.', field => 'sender_type');
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_message(chat.attachment, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_message(chat.attachment, jsonb) IS 'Errors: 22023 for a message, by role, that is not to be saved.';

-- Who may is asked for again under the lock: while it was waited for, the conversation may have been given to somebody else.
CREATE FUNCTION chat.lock_conversation(pair chat.attachment, key text, user_id text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
BEGIN
    RETURN chat.lock_on(NULL::jsonb, pair.conversations, format(
        'SELECT jsonb_build_object(''id'', c.%1$I, ''owner'', %5$s, ''status'', %2$s, ''agent'', %7$s, ''asAgent'', %8$s) '
        '  FROM %3$s AS c WHERE c.%1$I = $1::%4$s AND %6$s FOR NO KEY UPDATE OF c',
        c ->> 'conversation_id', COALESCE('c.' || quote_ident(c ->> 'conversation_status'), 'NULL::text'), pair.conversations,
        chat.cast_type(pair.conversations, c ->> 'conversation_id'), chat.user_expression(c -> 'owner', 'c'), chat.ownership(c),
        CASE WHEN c ? 'agent' THEN format('CASE WHEN %s = $2 THEN c.%I::text END', chat.user_expression(c -> 'agent', 'c'), c -> 'agent' ->> 'column')
             ELSE 'NULL::text' END, chat.agency(c)), key, user_id);
END
$$;
REVOKE ALL ON FUNCTION chat.lock_conversation(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_conversation(chat.attachment, text, text) IS 'Locks a conversation FOR NO KEY UPDATE: {id, owner, status, agent: what its column holds when that is the user, asAgent: the user does not own it}; NULL when it is gone, or is neither the user''s nor assigned to it. user_id NULL: everybody''s.';

CREATE FUNCTION chat.sent_by(pair chat.attachment, conversation jsonb, message jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    agent text := conversation ->> 'agent';
BEGIN
    IF agent IS NULL OR message ->> 'direction' = 'incoming' OR chat.key_fits(pair.messages, pair.columns ->> 'sender_agent', agent) IS NOT TRUE THEN
        RETURN message;
    ELSIF (conversation -> 'asAgent')::boolean AND lower(message ->> 'sender_agent') <> agent THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = '"senderAgentId" of message is another agent''s', HINT = 'Leave it out: it is set to the agent who calls.';
    ELSIF (conversation -> 'asAgent')::boolean OR NOT message ?| '{sender_agent,sender_bot}' THEN
        RETURN message || jsonb_build_object('sender_agent', agent);
    END IF;
    RETURN message;
END
$$;
REVOKE ALL ON FUNCTION chat.sent_by(chat.attachment, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.sent_by(chat.attachment, jsonb, jsonb) IS 'A message by role as the agent''s who calls, if it is the agent of the locked conversation. Errors: 42501 for one in another''s name.';

CREATE FUNCTION chat.reopen(pair chat.attachment, conversation jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF conversation ->> 'status' = 'resolved' THEN
        PERFORM chat.update_roles(pair.conversations, pair.columns, '{"conversation_status": "open"}',
                                  pair.columns ->> 'conversation_id', ARRAY[conversation ->> 'id']);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.reopen(chat.attachment, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.reopen(chat.attachment, jsonb) IS 'A resolved conversation in which the contact writes is open again.';

CREATE FUNCTION chat.reply_key(pair chat.attachment, conversation text, message jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    external text := message ->> 'reply_to';
    type text := chat.cast_type(pair.messages, pair.columns ->> 'reply_to', true);
    found_one jsonb;
BEGIN
    -- Where the column is a key of this table instead of WhatsApp's id, the message it names is looked up.
    IF external IS NULL OR type IN ('text', 'character varying') OR NOT pair.columns ? 'external_id' THEN
        RETURN message;
    END IF;
    found_one := chat.find_external(pair, conversation, external);
    IF found_one IS NULL AND chat.key_fits(pair.messages, pair.columns ->> 'reply_to', external) THEN
        RETURN message;
    END IF;
    RETURN message || jsonb_build_object('reply_to', found_one);
END
$$;
REVOKE ALL ON FUNCTION chat.reply_key(chat.attachment, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.reply_key(chat.attachment, text, jsonb) IS 'A message by role with its reply_to in the form that its column has.';

CREATE FUNCTION chat.save_message(conversation_id text, message jsonb, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_conversation(conversation_id, owner, 'write');
    pair chat.attachment := place.pair;
    row_values jsonb;
    conversation jsonb;
    stored jsonb;
BEGIN
    IF place.key IS NULL THEN
        RETURN NULL;
    END IF;
    row_values := chat.message_defaults(pair, chat.values_by_role('message', message, chat.message_fields(), pair.columns));
    PERFORM chat.check_message(pair, row_values);
    conversation := chat.lock_conversation(pair, place.key, chat.caller_scope(owner));
    IF conversation IS NULL THEN
        RETURN NULL;
    END IF;
    IF row_values ? 'external_id' THEN
        stored := chat.find_external(pair, place.key, row_values ->> 'external_id');
    END IF;
    IF stored IS NULL THEN
        IF row_values ->> 'direction' = 'incoming' THEN
            PERFORM chat.reopen(pair, conversation);
        END IF;
        row_values := chat.reply_key(pair, place.key, chat.sent_by(pair, conversation, row_values)) || jsonb_build_object('conversation', place.key);
        stored := chat.insert_roles(pair.messages, pair.columns, row_values, pair.columns ->> 'message_id');
    END IF;
    RETURN chat.object_json(pair, true, stored #>> '{}');
END
$$;
REVOKE ALL ON FUNCTION chat.save_message(text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.save_message(text, jsonb, text) IS 'Saves a message and returns it; one with a messageId that the conversation has is returned as it is stored. Keys: see chat.message_fields. Without status an outgoing message is sent, an incoming one delivered; a backend that sends afterwards gives pending. senderAgentId of what an assigned agent writes is that agent. NULL: no such conversation of the owner''s or agent''s. Errors: 22004, 22023, 22P02, 42501, PT429 for more than 10 messages of a user in a second (a service caller is not limited), and those of the table and rules.';

CREATE FUNCTION chat.update_message_status(message_id text, status text, at timestamptz DEFAULT now(), owner text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_message(message_id, owner);
    pair chat.attachment := place.pair;
    due boolean;
BEGIN
    IF chat.status_is_known(status) IS NOT TRUE THEN
        PERFORM chat.bad_input(COALESCE('status "' || left(status, 64) || '" is not known', 'status must not be NULL'),
            'Use pending, sent, delivered, read or failed.', CASE WHEN status IS NULL THEN '22004' ELSE '22023' END, 'status');
    ELSIF place.key IS NULL THEN
        RETURN NULL;
    END IF;
    IF chat.lock_conversation_of(pair, place.key, chat.caller_scope(owner)) IS NULL THEN
        RETURN NULL;
    END IF;
    due := chat.lock_on(NULL::boolean, pair.messages, format(
        'SELECT m.%I::text IS DISTINCT FROM $2 FROM %s AS m WHERE m.%I = $1::%s FOR NO KEY UPDATE', pair.columns ->> 'status',
        pair.messages, pair.columns ->> 'message_id', chat.cast_type(pair.messages, pair.columns ->> 'message_id')), place.key, status);
    IF due THEN
        PERFORM chat.update_roles(pair.messages, pair.columns,
            jsonb_build_object('status', status, 'status_updated_at', COALESCE(at, now())), pair.columns ->> 'message_id', ARRAY[place.key]);
    END IF;
    RETURN chat.object_json(pair, true, place.key);
END
$$;
REVOKE ALL ON FUNCTION chat.update_message_status(text, text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.update_message_status(text, text, timestamptz, text) IS 'Moves a message''s status forward (a step backwards is ignored) and returns the message as it is then. at: when the status was reached. NULL: no such message of the owner''s or agent''s. Errors: 22004, 22023 for an unknown status, 22P02, 42501.';

-- The conversation is locked before its messages, as by whoever deletes it: the triggers would lock it after them.
CREATE FUNCTION chat.lock_conversation_of(pair chat.attachment, message text, user_id text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
BEGIN
    RETURN chat.lock_on(NULL::boolean, pair.conversations, format(
        'SELECT true FROM %1$s AS c WHERE c.%2$I = (SELECT m.%3$I FROM %4$s AS m WHERE m.%5$I = $1::%6$s) AND %7$s FOR NO KEY UPDATE OF c',
        pair.conversations, c ->> 'conversation_id', c ->> 'conversation', pair.messages, c ->> 'message_id',
        chat.cast_type(pair.messages, c ->> 'message_id'), chat.ownership(c)), message, user_id);
END
$$;
REVOKE ALL ON FUNCTION chat.lock_conversation_of(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_conversation_of(chat.attachment, text, text) IS 'Locks the conversation of a message FOR NO KEY UPDATE, before the message itself is locked. NULL: it is gone, or neither the user''s nor assigned to it. user_id NULL: everybody''s.';

-- Locks a message that is not marked as deleted, and returns it by role.
CREATE FUNCTION chat.lock_message(pair chat.attachment, key text, user_id text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
BEGIN
    IF chat.lock_conversation_of(pair, key, user_id) IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN chat.lock_on(NULL::jsonb, pair.messages, format('SELECT jsonb_build_object(''key'', m.%1$I, ''conversation'', m.%2$I, ''content'', m.%3$I, ''metadata'', %4$s, ''direction'', m.%8$I) '
                   '  FROM %5$s AS m WHERE m.%1$I = $1::%6$s%7$s FOR NO KEY UPDATE',
                   c ->> 'message_id', c ->> 'conversation', c ->> 'content',
                   COALESCE('m.' || quote_ident(c ->> 'metadata'), 'NULL::text'), pair.messages,
                   chat.cast_type(pair.messages, c ->> 'message_id'), chat.message_kept(pair.messages, c, 'm'), c ->> 'direction'), key);
END
$$;
REVOKE ALL ON FUNCTION chat.lock_message(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_message(chat.attachment, text, text) IS 'Locks a message, after its conversation: {key, conversation, content, metadata, direction}; NULL when it is gone, marked as deleted, or in no conversation of the user''s.';

-- What the table has no column for is kept in the metadata, where that is an object.
CREATE FUNCTION chat.mark_message(pair chat.attachment, message jsonb, changes jsonb, marks jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    metadata jsonb := CASE jsonb_typeof(message -> 'metadata') WHEN 'object' THEN message -> 'metadata' WHEN 'null' THEN '{}' END;
BEGIN
    PERFORM chat.update_roles(pair.messages, pair.columns,
        changes || COALESCE(jsonb_build_object('metadata', metadata || marks), '{}'),
        pair.columns ->> 'message_id', ARRAY[message ->> 'key'], true);
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
    place record := chat.find_message(message_id, owner);
    pair chat.attachment := place.pair;
    message jsonb;
BEGIN
    IF COALESCE(content, '') = '' THEN
        PERFORM chat.bad_input('content must not be empty', code => CASE WHEN content IS NULL THEN '22004' ELSE '22023' END, field => 'content');
    ELSIF place.key IS NULL THEN
        RETURN NULL;
    END IF;
    message := chat.lock_message(pair, place.key, chat.caller_scope(owner));
    IF message IS NULL THEN
        RETURN NULL;
    END IF;
    IF message ->> 'content' IS DISTINCT FROM content THEN
        PERFORM chat.mark_message(pair, message, jsonb_build_object('content', content, 'edited', true),
            jsonb_build_object('isEdited', true, 'editedAt', chat.iso_time(now())));
    END IF;
    RETURN chat.object_json(pair, true, place.key);
END
$$;
REVOKE ALL ON FUNCTION chat.edit_message(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.edit_message(text, text, text) IS 'Changes a message''s content, marks it as edited (is_edited, and isEdited and editedAt in its metadata) and returns it. NULL: no such message of the owner''s or agent''s, or it is deleted. Errors: 22004, 22023, 22P02, 42501, and those of the rules.';

CREATE FUNCTION chat.delete_rows(relation regclass, name text, key text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.run_on(relation, format('DELETE FROM %s AS t WHERE t.%I OPERATOR(pg_catalog.=) $2::%s RETURNING NULL::pg_catalog.jsonb',
                                         relation, name, chat.cast_type(relation, name)), NULL, key);
END
$$;
REVOKE ALL ON FUNCTION chat.delete_rows(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.delete_rows(regclass, text, text) IS 'Deletes the rows that have a value in a column.';

CREATE FUNCTION chat.delete_message(message_id text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_message(message_id, owner);
    pair chat.attachment := place.pair;
    message jsonb := CASE WHEN place.key IS NOT NULL THEN chat.lock_message(pair, place.key, chat.caller_scope(owner)) END;
    result jsonb;
BEGIN
    IF message IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM chat.audit('message.deleted', place.key, jsonb_build_object('conversationId', message -> 'conversation'));
    IF pair.columns ? 'deleted' THEN
        PERFORM chat.update_roles(pair.messages, pair.columns, jsonb_build_object('deleted', chat.deletion_mark(pair)),
                                  pair.columns ->> 'message_id', ARRAY[place.key]);
        RETURN chat.object_json(pair, true, place.key);
    END IF;
    result := chat.object_json(pair, true, place.key);
    PERFORM chat.delete_rows(pair.messages, pair.columns ->> 'message_id', place.key);
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

-- The unread ones are found from the newest backwards, as many as the conversation counts: what was read long ago is not looked at.
CREATE FUNCTION chat.unread_keys(pair chat.attachment, key text, up_to timestamptz) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    counted text := CASE WHEN c ? 'unread_count' THEN format(' LIMIT (SELECT c.%I FROM %s AS c WHERE c.%I = $1::%s)', c ->> 'unread_count',
        pair.conversations, c ->> 'conversation_id', chat.cast_type(pair.conversations, c ->> 'conversation_id')) ELSE '' END;
BEGIN
    RETURN chat.lock_on(NULL::text[], pair.messages, format($f$
        SELECT array_agg(l.key) FROM (
            SELECT m.%1$I::text AS key FROM %2$s AS m
             WHERE m.%1$I = ANY (ARRAY(SELECT n.id FROM (
                       SELECT m.%1$I AS id, %3$s AS at FROM %2$s AS m
                        WHERE m.%4$I = $1::%5$s AND m.%6$I = 'incoming' AND m.%7$I IS DISTINCT FROM 'read'%8$s
                        ORDER BY %9$s%10$s) n WHERE $2 IS NULL OR n.at <= $2))
               AND m.%7$I::text IS DISTINCT FROM 'read'
             ORDER BY m.%1$I FOR NO KEY UPDATE OF m) l$f$,
        c ->> 'message_id', pair.messages, chat.message_time(pair.messages, c, 'm'), c ->> 'conversation', chat.cast_type(pair.messages, c ->> 'conversation'),
        c ->> 'direction', c ->> 'status', chat.message_visible(pair.messages, c, 'm'), chat.message_order(pair.messages, c, 'm'), counted), key, up_to);
END
$$;
REVOKE ALL ON FUNCTION chat.unread_keys(chat.attachment, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION chat.unread_keys(chat.attachment, text, timestamptz) IS 'Locks, in key order, the unread messages of a conversation (up to a time), and returns their keys.';

CREATE FUNCTION chat.mark_read(conversation_id text, up_to timestamptz DEFAULT NULL, owner text DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_conversation(conversation_id, owner, 'write');
    pair chat.attachment := place.pair;
BEGIN
    IF place.key IS NULL OR chat.lock_conversation(pair, place.key, chat.caller_scope(owner)) IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN COALESCE(jsonb_array_length(chat.update_roles(pair.messages, pair.columns,
        jsonb_build_object('status', 'read', 'status_updated_at', now()), pair.columns ->> 'message_id',
        chat.unread_keys(pair, place.key, up_to))), 0);
END
$$;
REVOKE ALL ON FUNCTION chat.mark_read(text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.mark_read(text, timestamptz, text) IS 'Marks the incoming messages of a conversation as read (up_to: those of that time and before), and returns how many there were. NULL: no such conversation of the owner''s or agent''s. Errors: 22004, 22P02, 42501.';
