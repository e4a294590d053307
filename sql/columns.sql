-- Columns of a pair of tables, found by role.

CREATE FUNCTION chat.column_roles()
    RETURNS TABLE (role text, messages boolean, candidates text[], essential boolean, kind text, written boolean)
    LANGUAGE c IMMUTABLE AS 'MODULE_PATHNAME', 'chat_column_roles';
REVOKE ALL ON FUNCTION chat.column_roles() FROM PUBLIC;
COMMENT ON FUNCTION chat.column_roles() IS 'Roles that a column can have: in which table, under which names it is looked for (NULL: the primary key), whether attach fails without it, what kind of type it has, and whether the triggers write it.';

CREATE FUNCTION chat.attribute_type(relation regclass, name text) RETURNS regtype
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_attribute_type';
REVOKE ALL ON FUNCTION chat.attribute_type(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.attribute_type(regclass, text) IS 'Type of a column, NULL when there is no such column.';

CREATE FUNCTION chat.attribute_base_type(relation regclass, name text) RETURNS regtype
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_attribute_base_type';
REVOKE ALL ON FUNCTION chat.attribute_base_type(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.attribute_base_type(regclass, text) IS 'Type of a column, of a domain its base type; NULL when there is no such column.';

CREATE FUNCTION chat.columns_left_out(attachment integer, relation regclass) RETURNS text[]
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_columns_left_out';
REVOKE ALL ON FUNCTION chat.columns_left_out(integer, regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.columns_left_out(integer, regclass) IS 'Columns that are in no payload, since another one has their key (created_at and "createdAt"), or the mark of a content that was cut (content_truncated).';

CREATE FUNCTION chat.type_is_of_kind(type regtype, kind text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE kind
        WHEN 'id' THEN type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype)
        WHEN 'count' THEN type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
        WHEN 'key' THEN type = 'int8'::regtype
        WHEN 'number' THEN (SELECT t.typcategory = 'N' FROM pg_type t WHERE t.oid = type)
        WHEN 'text' THEN type IN ('text'::regtype, 'varchar'::regtype)
        WHEN 'word' THEN type IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)
                         OR (SELECT t.typtype = 'e' FROM pg_type t WHERE t.oid = type)
        WHEN 'time' THEN type IN ('timestamptz'::regtype, 'timestamp'::regtype)
        WHEN 'flag' THEN type = 'bool'::regtype
        WHEN 'mark' THEN type IN ('bool'::regtype, 'timestamptz'::regtype, 'timestamp'::regtype)
        ELSE true END
$$;
REVOKE ALL ON FUNCTION chat.type_is_of_kind(regtype, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.type_is_of_kind(regtype, text) IS 'Whether a type is one of those that a role''s column can have.';

CREATE FUNCTION chat.require_column(relation regclass, name text, role text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF chat.attribute_type(relation, name) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column',
            MESSAGE = format('table %s has no column "%s", which the mapping names for "%s"', relation, name, role);
    END IF;
    RETURN name;
END
$$;
REVOKE ALL ON FUNCTION chat.require_column(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_column(regclass, text, text) IS 'The name itself, if the table has that column; else 42703.';

CREATE FUNCTION chat.primary_key_column(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    hint constant text := 'Conversations and messages are known by a primary key of one integer or uuid column.';
    partitioned boolean := (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = relation);
    key name[] := (SELECT array_agg(a.attname ORDER BY k.n)
                     FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (attnum, n), pg_attribute a
                    WHERE i.indrelid = relation AND i.indisprimary AND k.n <= i.indnkeyatts
                      AND a.attrelid = relation AND a.attnum = k.attnum);
BEGIN
    IF key IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
            MESSAGE = format('table %s has no primary key', relation), HINT = hint;
    END IF;
    -- A partitioned table's key holds the partition key, too: its id is then the column named id.
    IF partitioned AND cardinality(key) > 1 AND 'id' = ANY (key) THEN
        key := '{id}';
    END IF;
    IF cardinality(key) > 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch', HINT = hint,
            MESSAGE = format('the primary key of %s has more than one column: %s', relation, array_to_string(key, ', '));
    END IF;
    IF NOT chat.type_is_of_kind(chat.attribute_base_type(relation, key[1]), 'id') THEN
        RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch', HINT = hint,
            MESSAGE = format('the primary key "%s" of %s is of type %s', key[1], relation, chat.attribute_type(relation, key[1]));
    END IF;
    RETURN key[1];
END
$$;
REVOKE ALL ON FUNCTION chat.primary_key_column(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.primary_key_column(regclass) IS 'The id column of a table; 42804 when it has none of type integer or uuid.';

CREATE FUNCTION chat.user_mapping(relation regclass, role text, given jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    target regclass;
BEGIN
    IF jsonb_typeof(given) = 'string' THEN
        given := jsonb_build_object('column', given);
    END IF;
    IF jsonb_typeof(given) <> 'object' OR given ->> 'column' IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the mapping of "%s" must be a column name or {"column", "table", "key", "user"}', role);
    END IF;
    PERFORM chat.require_column(relation, given ->> 'column', role);
    IF given ->> 'table' IS NULL THEN
        RETURN jsonb_build_object('column', given ->> 'column');
    END IF;
    target := to_regclass(given ->> 'table');
    IF target IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = format('table "%s", which the mapping names for "%s", does not exist', given ->> 'table', role),
            HINT = 'Name it with its schema.';
    END IF;
    IF given ->> 'key' IS NULL OR given ->> 'user' IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the mapping of "%s" names a table, but not its "key" and "user" columns', role);
    END IF;
    RETURN jsonb_build_object('column', given ->> 'column', 'table', target::text,
        'key', chat.require_column(target, given ->> 'key', role),
        'user', chat.require_column(target, given ->> 'user', role));
END
$$;
REVOKE ALL ON FUNCTION chat.user_mapping(regclass, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.user_mapping(regclass, text, jsonb) IS 'Checks the mapping of owner or agent to a user id, and completes it.';

CREATE FUNCTION chat.default_user_mapping(relation regclass, role text, name text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    target regclass;
    user_column text := CASE role WHEN 'owner' THEN 'owner_user_id' ELSE 'user_id' END;
BEGIN
    IF name = 'user_id' THEN
        RETURN jsonb_build_object('column', name);
    END IF;
    -- The table that a foreign key names, if it knows a user; not auth.users, whose ids are user ids.
    SELECT c.confrelid INTO target FROM pg_constraint c
     WHERE c.contype = 'f' AND c.conrelid = relation AND cardinality(c.conkey) = 1
       AND c.conkey[1] = (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = name);
    IF target IS NULL THEN
        SELECT c.oid INTO target FROM pg_class c
         WHERE c.relnamespace = (SELECT r.relnamespace FROM pg_class r WHERE r.oid = relation)
           AND c.relname = CASE role WHEN 'owner' THEN 'accounts' ELSE 'agents' END AND c.relkind IN ('r', 'p');
    END IF;
    IF target IS NOT NULL AND chat.attribute_type(target, user_column) IS NOT NULL
       AND chat.attribute_type(target, 'id') = chat.attribute_type(relation, name) THEN
        RETURN jsonb_build_object('column', name, 'table', target::text, 'key', 'id', 'user', user_column);
    END IF;
    IF role = 'owner' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('column "%s" of %s is no user id, and no table tells which user is behind it', name, relation),
            HINT = 'Pass the mapping, e.g. {"owner": {"column": "account_id", "table": "public.accounts", "key": "id", "user": "owner_user_id"}}.';
    END IF;
    RETURN jsonb_build_object('column', name);
END
$$;
REVOKE ALL ON FUNCTION chat.default_user_mapping(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.default_user_mapping(regclass, text, text) IS 'How the user behind an owner or agent column is found when no mapping says so.';

CREATE FUNCTION chat.require_role_column(relation regclass, name text, role text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    wanted record;
    hint text;
BEGIN
    SELECT * INTO wanted FROM chat.column_roles() c WHERE c.role = $3;
    hint := CASE WHEN wanted.essential THEN format('Map another column for "%s".', role)
                 ELSE format('Map another column for "%s", or null for none.', role) END;
    IF NOT chat.type_is_of_kind(chat.attribute_base_type(relation, name), wanted.kind) THEN
        RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch', HINT = hint,
            MESSAGE = format('column "%s" of %s is of type %s, which "%s" cannot have', name, relation,
                             chat.attribute_type(relation, name), role);
    END IF;
    IF wanted.written AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = name AND a.attgenerated <> '') THEN
        RAISE EXCEPTION USING ERRCODE = 'generated_always', HINT = hint,
            MESSAGE = format('column "%s" of %s is generated, so "%s" cannot be kept in it', name, relation, role);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_role_column(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_role_column(regclass, text, text) IS 'Error 42804 when the column''s type does not fit its role, 428C9 when it is generated but the triggers would write it.';

CREATE FUNCTION chat.role_column(relation regclass, role text, given jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    wanted record;
    name text;
BEGIN
    SELECT * INTO wanted FROM chat.column_roles() c WHERE c.role = $2;
    IF jsonb_typeof(given) = 'null' AND NOT wanted.essential THEN
        RETURN NULL;
    END IF;
    IF given IS NOT NULL AND jsonb_typeof(given) <> 'string' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the mapping of "%s" must be a column name', role);
    END IF;
    IF given IS NOT NULL THEN
        name := chat.require_column(relation, given #>> '{}', role);
    ELSIF wanted.candidates IS NULL THEN
        name := chat.primary_key_column(relation);
    ELSE
        SELECT c INTO name FROM unnest(wanted.candidates) WITH ORDINALITY u (c, n)
         WHERE chat.attribute_type(relation, c) IS NOT NULL ORDER BY n LIMIT 1;
    END IF;
    IF name IS NULL AND wanted.essential THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column',
            MESSAGE = format('table %s has no column for "%s"', relation, role),
            DETAIL = format('Looked for: %s.', array_to_string(wanted.candidates, ', ')),
            HINT = format('Pass its name: chat.attach(..., ..., ''{"%s": "column"}'').', role);
    END IF;
    IF name IS NOT NULL THEN
        PERFORM chat.require_role_column(relation, name, role);
    END IF;
    RETURN name;
END
$$;
REVOKE ALL ON FUNCTION chat.role_column(regclass, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.role_column(regclass, text, jsonb) IS 'The column of a role: the one given, else one found by its usual names; NULL when there is none and none is needed. Errors: 42703, 42804, 428C9, 22023.';

CREATE FUNCTION chat.resolve_columns(conversations regclass, messages regclass, columns jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    resolved jsonb := '{}';
    r record;
    relation regclass;
    name text;
    unknown text;
BEGIN
    SELECT k INTO unknown FROM jsonb_object_keys(columns) k
     WHERE k NOT IN (SELECT c.role FROM chat.column_roles() c) LIMIT 1;
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is no role of a column', unknown),
            HINT = 'Roles: ' || (SELECT string_agg(c.role, ', ') FROM chat.column_roles() c) || '.';
    END IF;
    FOR r IN SELECT * FROM chat.column_roles() LOOP
        relation := CASE WHEN r.messages THEN messages ELSE conversations END;
        IF r.role IN ('owner', 'agent') AND columns ? r.role AND (r.essential OR jsonb_typeof(columns -> r.role) <> 'null') THEN
            resolved := resolved || jsonb_build_object(r.role, chat.user_mapping(relation, r.role, columns -> r.role));
            CONTINUE;
        END IF;
        name := chat.role_column(relation, r.role, columns -> r.role);
        CONTINUE WHEN name IS NULL OR (r.role = 'external_id' AND name = resolved ->> 'message_id');
        resolved := resolved || jsonb_build_object(r.role,
            CASE WHEN r.role IN ('owner', 'agent') THEN chat.default_user_mapping(relation, r.role, name)
                 ELSE to_jsonb(name) END);
    END LOOP;
    IF NOT resolved ? 'last_message_at' THEN
        resolved := resolved - 'list_key'; -- then lists are in the order of ids
    END IF;
    IF (chat.attribute_base_type(conversations, resolved ->> 'conversation_id') = 'uuid'::regtype)
       <> (chat.attribute_base_type(messages, resolved ->> 'conversation') = 'uuid'::regtype) THEN
        RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
            MESSAGE = format('column "%s" of %s is of type %s, but the ids of %s are of type %s', resolved ->> 'conversation', messages,
                             chat.attribute_type(messages, resolved ->> 'conversation'), conversations,
                             chat.attribute_type(conversations, resolved ->> 'conversation_id')),
            HINT = 'It must hold ids of conversations.';
    END IF;
    RETURN resolved;
END
$$;
REVOKE ALL ON FUNCTION chat.resolve_columns(regclass, regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.resolve_columns(regclass, regclass, jsonb) IS 'Columns by role of a pair of tables: those given, else those found. Errors: 22023 for an unknown role, 42703 for a column that is not there, naming it, 42804 for one of a wrong type, 428C9 for a generated one.';
