-- What the functions for backends share: who may, what an id names, and reading JSON of the caller's.

CREATE FUNCTION chat.bad_input(message text, hint text DEFAULT NULL, code text DEFAULT '22023', field text DEFAULT NULL) RETURNS void
    LANGUAGE c IMMUTABLE AS 'MODULE_PATHNAME', 'chat_bad_input';
REVOKE ALL ON FUNCTION chat.bad_input(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.bad_input(text, text, text, text) IS 'Raises 22023, or the code given; field: the argument or key that is wrong, as the error''s column.';

CREATE FUNCTION chat.caller_scope(owner text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    caller text;
BEGIN
    IF chat.is_service_caller() THEN
        RETURN owner;
    END IF;
    caller := chat.current_user_id();
    IF caller IS NULL OR owner <> caller THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'only a user itself or a service caller may do this',
            HINT = 'A backend''s role becomes a service caller with chat.grant_backend.';
    END IF;
    RETURN caller;
END
$$;
REVOKE ALL ON FUNCTION chat.caller_scope(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.caller_scope(text) IS 'The user whose rows the call is about; NULL for a service caller that names none: every row. Errors: 42501 for a caller that is nobody, or not the owner it names.';

-- SQL texts about the conversation known as c and the user $2; NULL: everybody may.
CREATE FUNCTION chat.ownership(columns jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN format('($2 IS NULL OR %s = $2%s)', chat.user_expression(columns -> 'owner', 'c'),
                  CASE WHEN columns ? 'agent' THEN format(' OR %s = $2', chat.user_expression(columns -> 'agent', 'c')) ELSE '' END);
END
$$;
REVOKE ALL ON FUNCTION chat.ownership(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.ownership(jsonb) IS 'SQL text: whether the user $2 owns conversation c, or is assigned to it; true where $2 is NULL.';

CREATE FUNCTION chat.agency(columns jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN CASE WHEN columns ? 'agent' THEN format('($2 IS NOT NULL AND %s IS DISTINCT FROM $2)', chat.user_expression(columns -> 'owner', 'c'))
                ELSE 'false' END;
END
$$;
REVOKE ALL ON FUNCTION chat.agency(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.agency(jsonb) IS 'SQL text: whether the user $2, for whom chat.ownership is true, is so as the agent alone.';

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
        found_one := chat.find_on(NULL::text[], pair.conversations, format(
            'SELECT ARRAY[c.%1$I::text, %5$s::text] FROM %2$s AS c WHERE c.%1$I = $1::%3$s AND %4$s', pair.columns ->> 'conversation_id',
            pair.conversations, chat.cast_type(pair.conversations, pair.columns ->> 'conversation_id'),
            chat.ownership(pair.columns), chat.agency(pair.columns)), conversation_id, scope);
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
        found_one := chat.find_on(NULL::text[], pair.messages, format(
            'SELECT ARRAY[m.%1$I::text, %8$s::text] FROM %2$s AS m JOIN %3$s AS c ON c.%4$I = m.%5$I WHERE m.%1$I = $1::%6$s AND %7$s',
            pair.columns ->> 'message_id', pair.messages, pair.conversations, pair.columns ->> 'conversation_id',
            pair.columns ->> 'conversation', chat.cast_type(pair.messages, pair.columns ->> 'message_id'),
            chat.ownership(pair.columns), chat.agency(pair.columns)), message_id, scope);
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
DECLARE
    relation regclass := CASE WHEN messages THEN pair.messages ELSE pair.conversations END;
    id text := pair.columns ->> CASE WHEN messages THEN 'message_id' ELSE 'conversation_id' END;
BEGIN
    RETURN chat.find_on(NULL::jsonb, relation, format('SELECT chat.row_json($1, t.*) FROM %s AS t WHERE t.%I = $2::%s',
        relation, id, chat.cast_type(relation, id)), pair.id, key);
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

-- JSON of the caller's

CREATE FUNCTION chat.field_problem(field chat.api_field, value jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    kind text := jsonb_typeof(value);
    as_text text := value #>> '{}';
BEGIN
    IF kind = 'null' THEN
        RETURN NULL;
    END IF;
    RETURN CASE field.type
        WHEN 'string' THEN CASE WHEN kind <> 'string' THEN 'must be a string'
                                WHEN octet_length(as_text) > field.most_bytes THEN format('is longer than %s bytes', field.most_bytes) END
        WHEN 'id' THEN CASE WHEN kind NOT IN ('string', 'number') OR length(as_text) NOT BETWEEN 1 AND 64 THEN 'must be an id' END
        WHEN 'time' THEN CASE WHEN kind <> 'string' OR as_text !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$'
                              THEN 'must be a time with its offset, such as 2026-06-18T13:19:38+02:00' END
        WHEN 'integer' THEN CASE WHEN kind <> 'number' OR as_text !~ '^[0-9]{1,10}$' OR as_text::bigint > 2147483647
                                 THEN 'must be an integer from 0 to 2147483647' END
        ELSE CASE WHEN kind <> field.type THEN format('must be %s', CASE field.type WHEN 'object' THEN 'an object' ELSE 'true or false' END) END
    END;
END
$$;
REVOKE ALL ON FUNCTION chat.field_problem(chat.api_field, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.field_problem(chat.api_field, jsonb) IS 'What is wrong with a value given for a key, or NULL.';

CREATE FUNCTION chat.values_by_role(name text, given jsonb, fields chat.api_field[], columns jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    result jsonb := '{}';
    item record;
    field chat.api_field;
    problem text;
BEGIN
    IF given IS NULL THEN
        PERFORM chat.bad_input(format('%s must not be NULL', name), code => '22004');
    ELSIF jsonb_typeof(given) <> 'object' THEN
        PERFORM chat.bad_input(format('%s must be a JSON object', name));
    END IF;
    FOR item IN SELECT * FROM jsonb_each(given) LOOP
        SELECT f.* INTO field FROM unnest(fields) f WHERE f.key = item.key;
        IF field.key IS NULL THEN
            PERFORM chat.bad_input(format('"%s" is no key of %s', left(item.key, 64), name),
                format('Keys: %s.', (SELECT string_agg(f.key, ', ') FROM unnest(fields) f)), field => left(item.key, 64));
        END IF;
        problem := chat.field_problem(field, item.value);
        IF problem IS NULL AND NOT columns ? field.role AND jsonb_typeof(item.value) <> 'null' THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', COLUMN = (SELECT r.candidates[1] FROM chat.column_roles() r WHERE r.role = field.role),
                MESSAGE = format('"%s" of %s has no place in this table', item.key, name),
                HINT = format('Add a column %s, or map another one as "%s", with chat.attach.',
                              (SELECT r.candidates[1] FROM chat.column_roles() r WHERE r.role = field.role), field.role);
        END IF;
        IF problem IS NOT NULL THEN
            PERFORM chat.bad_input(format('"%s" of %s %s', item.key, name, problem), field => item.key);
        END IF;
        result := result || jsonb_build_object(field.role, item.value);
    END LOOP;
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION chat.values_by_role(text, jsonb, chat.api_field[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.values_by_role(text, jsonb, chat.api_field[], jsonb) IS 'Reads a JSON object of the caller''s: values by role. Errors: 22004 for NULL, 22023 naming a key that is unknown or holds what it must not, 55000 naming the column that the table lacks for one.';
