-- What the functions for backends share: who may, what an id names, and reading JSON of the caller's.

CREATE FUNCTION chat.bad_input(message text, hint text DEFAULT NULL, code text DEFAULT '22023', field text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_bad_input_sql'; -- not to be called by the planner
REVOKE ALL ON FUNCTION chat.bad_input(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.bad_input(text, text, text, text) IS 'Raises 22023, or the code given; field: the argument or key that is wrong, as the error''s column.';

CREATE FUNCTION chat.caller_scope(owner text) RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_caller_scope_sql';
REVOKE ALL ON FUNCTION chat.caller_scope(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.caller_scope(text) IS 'The user whose rows the call is about; NULL for a service caller that names none: every row. Errors: 42501 for a caller that is nobody, or not the owner it names.';

-- An agent may do what the owner may, but delete a conversation or give it to somebody else.
CREATE FUNCTION chat.require_right(pair chat.attachment, need text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF need = 'own' THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'an assigned agent may neither reassign nor delete a conversation', HINT = 'Its owner may.';
    ELSIF need = 'write' AND NOT COALESCE((pair.settings ->> 'agents_write')::boolean, true) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('agents only read the conversations of %s', pair.conversations),
            HINT = format('SELECT chat.configure(%L, ''{"agents_write": true}'') lets them write.', pair.messages);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_right(chat.attachment, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_right(chat.attachment, text) IS 'Error 42501 when an assigned agent may not: own (never), write (unless agents_write is off), read (always).';

CREATE FUNCTION chat.require_id(name text, id text, known boolean) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF id IS NULL THEN
        PERFORM chat.bad_input(format('%s must not be NULL', name), code => '22004', field => name);
    ELSIF NOT known THEN
        PERFORM chat.require_attached();
        PERFORM chat.bad_input(format('%s "%s" is not valid', name, left(id, 64)),
                               'Ids are those of the attached tables, as text.', '22P02', name);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_id(text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_id(text, text, boolean) IS 'Refuses an id that is NULL (22004), or that no attached table could have (22P02); 55000 when none is attached.';

CREATE FUNCTION chat.find_conversation(conversation_id text, owner text, need text DEFAULT 'read',
                                       OUT pair chat.attachment, OUT key text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    scope text := chat.caller_scope(owner);
    fits boolean := false;
    found_one text[]; -- its key, and whether the caller is its agent alone
BEGIN
    FOR pair IN SELECT a.* FROM chat.attachment a ORDER BY a.id LOOP
        CONTINUE WHEN chat.key_fits(pair.conversations, pair.columns ->> 'conversation_id', conversation_id) IS NOT TRUE;
        fits := true;
        found_one := chat.run(NULL::text[], pair.id, 'find_conversation', conversation_id, scope);
        EXIT WHEN found_one IS NOT NULL;
    END LOOP;
    PERFORM chat.require_id('conversation_id', conversation_id, fits);
    IF found_one[2] = 'true' THEN
        PERFORM chat.require_right(pair, need);
    END IF;
    key := found_one[1];
END
$$;
REVOKE ALL ON FUNCTION chat.find_conversation(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.find_conversation(text, text, text) IS 'The conversation with an id that the caller owns or is assigned to, and its pair of tables; key is NULL when there is none. need: read, write or own. Errors: 42501 for an agent that may not.';

CREATE FUNCTION chat.find_message(message_id text, owner text, OUT pair chat.attachment, OUT key text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    scope text := chat.caller_scope(owner);
    fits boolean := false;
    found_one text[];
BEGIN
    FOR pair IN SELECT a.* FROM chat.attachment a ORDER BY a.id LOOP
        CONTINUE WHEN chat.key_fits(pair.messages, pair.columns ->> 'message_id', message_id) IS NOT TRUE;
        fits := true;
        found_one := chat.run(NULL::text[], pair.id, 'find_message', message_id, scope);
        EXIT WHEN found_one IS NOT NULL;
    END LOOP;
    PERFORM chat.require_id('message_id', message_id, fits);
    IF found_one[2] = 'true' THEN
        PERFORM chat.require_right(pair, 'write');
    END IF;
    key := found_one[1];
END
$$;
REVOKE ALL ON FUNCTION chat.find_message(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.find_message(text, text) IS 'The message with an id in a conversation that the caller owns or is assigned to, to be changed, and its pair of tables; key is NULL when there is none. Errors: 42501 for an agent that may not write.';

CREATE FUNCTION chat.object_json(pair chat.attachment, messages boolean, key text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.run(NULL::jsonb, pair.id, CASE WHEN messages THEN 'message_json' ELSE 'conversation_json' END, key);
END
$$;
REVOKE ALL ON FUNCTION chat.object_json(chat.attachment, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.object_json(chat.attachment, boolean, text) IS 'A message or conversation as the API shows it; NULL when it is gone.';

-- Literals have no backslashes but in E'': what those mean elsewhere is a setting of the session (standard_conforming_strings).
CREATE FUNCTION chat.like_pattern(search text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN '%' || regexp_replace(nullif(search, ''), E'([\\\\%_])', E'\\\\\\1', 'g') || '%';
END
$$;
REVOKE ALL ON FUNCTION chat.like_pattern(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.like_pattern(text) IS 'A LIKE pattern for what contains a text, in which that text is meant literally; NULL for none.';
