-- WUZAPI's webhooks: one normaliser (C), and what is done with its result.

CREATE FUNCTION chat.wuzapi_parse(payload jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_wuzapi_parse';
REVOKE ALL ON FUNCTION chat.wuzapi_parse(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_parse(jsonb) IS 'Turns the body of a WUZAPI webhook, of any generation, into one form: {kind: message | edit | revoke | reaction | vote | receipt | typing | group | history | ignored, ...}. Errors: 22023 and 22004 name a field of a known event that is wrong or missing, 22P02 is for text in jsonData that is no JSON.';

CREATE FUNCTION chat.verify_wuzapi(body bytea, signature text, key text) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_verify_wuzapi';
REVOKE ALL ON FUNCTION chat.verify_wuzapi(bytea, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.verify_wuzapi(bytea, text, text) IS 'Whether signature (header x-hmac-signature: 64 hexadecimal digits, with or without sha256= in front) is that of the body''s bytes as they were received, with an instance''s HMAC key. False for anything else, NULLs included; never an error. The time it takes tells nothing about the right signature.';

CREATE FUNCTION chat.wuzapi_jid(address text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_wuzapi_jid';
REVOKE ALL ON FUNCTION chat.wuzapi_jid(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_jid(text) IS 'A WhatsApp address without agent and device, of the server that its kind has now; NULL for anything else.';

-- Helpers. Values of roles travel as text and are cast to their column's type.

CREATE FUNCTION chat.cast_type(relation regclass, name text, exact boolean DEFAULT false) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_cast_type';
REVOKE ALL ON FUNCTION chat.cast_type(regclass, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.cast_type(regclass, text, boolean) IS 'Type of a column, qualified, to cast to. exact: without its length, so that a value that is too long is an error instead of being cut. NULL: no such column.';

CREATE FUNCTION chat.require_owner(owner text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF owner IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'owner must not be NULL',
            HINT = 'Pass the user id that owns the conversations.';
    END IF;
    IF NOT chat.is_service_caller() AND chat.current_user_id() IS DISTINCT FROM owner THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'only the owner itself or a service caller may do this',
            HINT = 'A backend''s role becomes a service caller with chat.grant_backend.';
    END IF;
    PERFORM chat.require_attached();
END
$$;
REVOKE ALL ON FUNCTION chat.require_owner(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_owner(text) IS 'Refuses a missing owner (22004), and one that is not the caller itself unless it is a service caller (42501); 55000 when nothing is attached.';

-- The value (or values, where one user has several accounts) of the owner or agent column that stands for a user.
CREATE FUNCTION chat.user_keys(attachment chat.attachment, role text, user_id text) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    map jsonb := attachment.columns -> role;
    source regclass := map ->> 'table';
BEGIN
    IF source IS NULL THEN
        RETURN CASE WHEN chat.key_fits(attachment.conversations, map ->> 'column', user_id) THEN ARRAY[user_id] END;
    END IF;
    IF chat.key_fits(source, map ->> 'user', user_id) IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    RETURN chat.find_on(NULL::text[], source, format(
        'SELECT array_agg(o.%1$I::text ORDER BY o.%1$I) FROM %2$s AS o WHERE o.%3$I = $1::%4$s',
        map ->> 'key', source, map ->> 'user', chat.cast_type(source, map ->> 'user')), user_id);
END
$$;
REVOKE ALL ON FUNCTION chat.user_keys(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.user_keys(chat.attachment, text, text) IS 'What the column of a role (owner or agent) holds for a user; several where one user has several accounts, NULL when it has none.';

CREATE FUNCTION chat.owner_keys(attachment chat.attachment, owner text) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.user_keys(attachment, 'owner', owner);
END
$$;
REVOKE ALL ON FUNCTION chat.owner_keys(chat.attachment, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.owner_keys(chat.attachment, text) IS 'chat.user_keys of the owner column.';

CREATE FUNCTION chat.user_is_unknown(user_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN bool_or(chat.key_fits(COALESCE((a.columns -> r ->> 'table')::regclass, a.conversations),
                                 COALESCE(a.columns -> r ->> 'user', a.columns -> r ->> 'column'), user_id))
           AND bool_and(chat.user_keys(a, r, user_id) IS NULL) FROM chat.attachment a, unnest('{owner,agent}'::text[]) r;
END
$$;
REVOKE ALL ON FUNCTION chat.user_is_unknown(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.user_is_unknown(text) IS 'True for what could be a user, but of whom no attached table has an account or an agent.';

CREATE FUNCTION chat.user_has_conversations(attachment chat.attachment, role text, user_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    name text := attachment.columns -> role ->> 'column';
BEGIN
    RETURN name IS NOT NULL AND chat.read_on(NULL::boolean, attachment.conversations, format(
        'SELECT EXISTS (SELECT FROM %s AS c WHERE c.%I = ANY ($1::%s[]))', attachment.conversations,
        name, chat.cast_type(attachment.conversations, name)), chat.user_keys(attachment, role, user_id));
END
$$;
REVOKE ALL ON FUNCTION chat.user_has_conversations(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.user_has_conversations(chat.attachment, text, text) IS 'True when the user has a conversation of this pair of tables in a role, owner or agent.';

CREATE FUNCTION chat.attachment_for(owner text, VARIADIC roles text[] DEFAULT '{owner}') RETURNS chat.attachment
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    known chat.attachment[];
    chosen chat.attachment;
BEGIN
    PERFORM chat.require_attached();
    SELECT array_agg(a ORDER BY a.id) INTO known FROM chat.attachment a
     WHERE EXISTS (SELECT FROM unnest(roles) r WHERE chat.user_keys(a, r, owner) IS NOT NULL);
    IF known IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('no attached table knows the owner "%s"', left(owner, 64)),
            HINT = 'The owner is a user id of the kind that owns the conversations.';
    END IF;
    SELECT a.* INTO chosen FROM unnest(known) a
     ORDER BY cardinality(known) > 1 AND EXISTS (SELECT FROM unnest(roles) r WHERE chat.user_has_conversations(a, r, owner)) DESC, a.id LIMIT 1;
    RETURN chosen;
END
$$;
REVOKE ALL ON FUNCTION chat.attachment_for(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.attachment_for(text, text[]) IS 'The attached pair of tables that knows a user as owner, or in one of the roles given (owner, agent); of several, the first in which it has conversations, else the first. Errors: 55000 when nothing is attached, 22023 when none knows the user.';


-- Statements on attached tables. Values come as text in one array parameter, $1, and are cast to their column's type.

CREATE FUNCTION chat.role_list(relation regclass, columns jsonb, role_values jsonb, keep_null boolean DEFAULT false)
    RETURNS TABLE (n bigint, role text, name text, type text, value text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN QUERY
    SELECT r.n, r.role, quote_ident(r.name),
           -- A time goes through timestamptz, or a column without zone, which holds UTC, would lose its offset.
           CASE WHEN r.role IN ('time', 'status_updated_at')
                THEN 'pg_catalog.timestamptz' || CASE WHEN chat.lacks_zone($1, r.name) THEN ' AT TIME ZONE ''UTC''' ELSE '' END
                ELSE format_type(a.atttypid, CASE WHEN r.role <> 'content' THEN a.atttypmod END) END, r.value
      FROM (SELECT v.key AS role, c.name, v.value, row_number() OVER (ORDER BY v.key) AS n
              FROM jsonb_each_text($3) v
             CROSS JOIN LATERAL (SELECT COALESCE($2 -> v.key ->> 'column', $2 ->> v.key)) AS c(name)
             WHERE c.name IS NOT NULL AND (keep_null OR v.value IS NOT NULL)) r
      JOIN pg_attribute a ON a.attrelid = $1 AND a.attname = r.name AND a.attnum > 0 AND NOT a.attisdropped;
END
$$;
REVOKE ALL ON FUNCTION chat.role_list(regclass, jsonb, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.role_list(regclass, jsonb, jsonb, boolean) IS 'Columns (quoted), and types to cast to, for values by role, to be put into a statement. What has no column is left out, and what is null unless keep_null.';

CREATE FUNCTION chat.insert_roles(relation regclass, columns jsonb, role_values jsonb, key_column text,
                                  conflict text DEFAULT '') RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    statement text;
    params text[];
BEGIN
    SELECT format('INSERT INTO %s AS t (%s) VALUES (%s) %s RETURNING pg_catalog.to_jsonb(t.%I)', relation,
                  string_agg(r.name, ', ' ORDER BY r.n), string_agg(format('$1[%s]::%s', r.n, r.type), ', ' ORDER BY r.n),
                  conflict, key_column),
           array_agg(r.value ORDER BY r.n)
      INTO statement, params
      FROM chat.role_list(relation, columns, role_values) r;
    RETURN chat.run_on(relation, statement, params);
END
$$;
REVOKE ALL ON FUNCTION chat.insert_roles(regclass, jsonb, jsonb, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.insert_roles(regclass, jsonb, jsonb, text, text) IS 'Inserts a row given by role and returns its key: a number or a string; NULL when the conflict clause kept it out.';

CREATE FUNCTION chat.write_roles(relation regclass, columns jsonb, role_values jsonb, key_column text, keys text[], keep_null boolean, quiet boolean)
    RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    statement text;
    params text[];
BEGIN
    SELECT format('WITH changed AS (UPDATE %1$s AS t SET %2$s WHERE t.%3$I OPERATOR(pg_catalog.=) ANY ($2::%4$s[]) '
                  'RETURNING t.%3$I AS key) '
                  'SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(c.key)) FROM changed c', relation,
                  string_agg(format('%s = $1[%s]::%s', r.name, r.n, r.type), ', ' ORDER BY r.n), key_column,
                  chat.cast_type(relation, key_column)),
           array_agg(r.value ORDER BY r.n)
      INTO statement, params
      FROM chat.role_list(relation, columns, role_values, keep_null) r;
    IF params IS NULL OR keys IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN CASE WHEN quiet THEN chat.run_quietly(relation, statement, params, keys::text) ELSE chat.run_on(relation, statement, params, keys::text) END;
END
$$;
REVOKE ALL ON FUNCTION chat.write_roles(regclass, jsonb, jsonb, text, text[], boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.write_roles(regclass, jsonb, jsonb, text, text[], boolean, boolean) IS 'Writes values by role to the rows with these keys (keep_null: NULLs, too; quiet: and tells nobody); returns the keys of the rows as a JSON array, NULL for none.';

CREATE FUNCTION chat.update_roles(relation regclass, columns jsonb, role_values jsonb, key_column text, keys text[],
                                  keep_null boolean DEFAULT false)
    RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$ BEGIN RETURN chat.write_roles(relation, columns, role_values, key_column, keys, keep_null, false); END $$;
REVOKE ALL ON FUNCTION chat.update_roles(regclass, jsonb, jsonb, text, text[], boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.update_roles(regclass, jsonb, jsonb, text, text[], boolean) IS 'chat.write_roles that is told.';
