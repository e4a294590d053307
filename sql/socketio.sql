-- Socket.IO, for users who are still served by the existing server: who gets what, and sending it. The server's adapter
-- (@socket.io/postgres-adapter) hears it as NOTIFY on a channel of its own, and takes what is too long for that from a table.

CREATE FUNCTION chat.conversation_users(conversation_id text) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    conversation jsonb;
    users text[] := '{}';
BEGIN
    FOR pair IN SELECT a.* FROM chat.attachment a ORDER BY a.id LOOP
        CONTINUE WHEN chat.key_fits(pair.conversations, pair.columns ->> 'conversation_id', conversation_id) IS NOT TRUE;
        conversation := chat.presence_conversation(pair, conversation_id);
        users := users || ARRAY[conversation ->> 'owner', conversation ->> 'agent'];
    END LOOP;
    RETURN ARRAY(SELECT DISTINCT u FROM unnest(users) u WHERE u IS NOT NULL ORDER BY u);
END
$$;
REVOKE ALL ON FUNCTION chat.conversation_users(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_users(text) IS 'The users behind a conversation, its owner and its agent, in every attached pair of tables that has one of this id.';

-- Rooms can be joined by anybody whom the existing server lets in, so a conversation's goes out if one of its users is served so,
-- and past those who are not: the others of a room may not read the conversation elsewhere.
CREATE FUNCTION chat.socketio_options(topic text, owner text, everybody boolean) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    inbox text := substring(topic FROM '^user:(.+):inbox$');
    users text[];
    others text[];
BEGIN
    IF inbox IS NOT NULL THEN
        users := ARRAY[inbox];
    ELSIF topic ~ '^conversation:.' THEN
        users := array_remove(chat.conversation_users(substr(topic, 14)) || owner, NULL);
    ELSE
        RETURN NULL;
    END IF;
    others := CASE WHEN everybody THEN '{}' ELSE ARRAY(SELECT DISTINCT u FROM unnest(users) u WHERE chat.realtime_provider(u) = 'supabase' ORDER BY u) END;
    IF users <@ others THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('rooms', ARRAY[COALESCE('user:' || inbox, topic)], 'flags', '{}'::jsonb,
                              'except', ARRAY(SELECT 'user:' || u FROM unnest(others) u));
END
$$;
REVOKE ALL ON FUNCTION chat.socketio_options(text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.socketio_options(text, text, boolean) IS 'Where an event of a topic goes on the existing Socket.IO server, as its adapter has it: {rooms, except, flags}; NULL: none of its users is served so. owner: of the conversation, where the event says so; everybody: also to those who are served another way.';

CREATE FUNCTION chat.socketio_listen(channel text, attachments text) RETURNS TABLE (uptime double precision, missing text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    relation regclass := to_regclass(attachments);
    sequence text;
BEGIN
    EXECUTE format('LISTEN %I', channel);
    uptime := EXTRACT(epoch FROM clock_timestamp() - pg_postmaster_start_time());
    IF relation IS NULL THEN
        missing := format('there is no table %s: CREATE TABLE %1$s (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)', attachments);
    ELSE
        sequence := pg_get_serial_sequence(attachments, 'id');
        IF NOT has_column_privilege(relation, 'id', 'SELECT') OR NOT has_column_privilege(relation, 'payload', 'INSERT')
           OR (sequence IS NOT NULL AND NOT has_sequence_privilege(sequence, 'USAGE')) THEN
            missing := format('role %I may not write to table %s: GRANT SELECT (id), INSERT (payload) ON %2$s TO %1$I%3$s', current_user, attachments,
                              COALESCE(format('; GRANT USAGE ON SEQUENCE %s TO %I', sequence, current_user), ''));
        END IF;
    END IF;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION chat.socketio_listen(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.socketio_listen(text, text) IS 'For the sidecar: listens to the channel of a Socket.IO adapter, and says for how many seconds the server has been up and what is missing of the adapter''s table of attachments (NULL: nothing), and how to mend that. Errors: 42703 where the table is another one''s.';

-- The queue of NOTIFY is everybody's. Where it is filling nothing is added; what is sent need not be on disk, since the queue is not.
CREATE FUNCTION chat.socketio_send(channel text, attachments text, messages text[], bodies bytea[]) RETURNS TABLE (sent boolean, usage double precision)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    attachment bigint;
BEGIN
    usage := pg_notification_queue_usage();
    sent := usage < 0.75;
    IF sent THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        FOR n IN 1 .. cardinality(messages) LOOP
            IF bodies[n] IS NULL THEN
                PERFORM pg_notify(channel, messages[n]);
            ELSE
                EXECUTE format('INSERT INTO %s (payload) VALUES ($1) RETURNING id', attachments::regclass) INTO attachment USING bodies[n];
                PERFORM pg_notify(channel, format('{"uid":"emitter","type":3,"attachmentId":"%s"}', attachment));
            END IF;
        END LOOP;
    END IF;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION chat.socketio_send(text, text, text[], bytea[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.socketio_send(text, text, text[], bytea[]) IS 'For the sidecar: sends messages, in their order, to the channel of a Socket.IO adapter. Where bodies has one in its place it is put into the adapter''s table of attachments, as MessagePack, and what is sent names it. usage: how full the queue of NOTIFY was before, 0 to 1; from 0.75 on nothing is sent. Errors: 22023 for a message of 8,000 bytes or more, 54000 for a queue without room for them, 42P01 and 42501 of the table.';
