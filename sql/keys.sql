-- API keys.

CREATE FUNCTION chat.make_api_key() RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_make_api_key';
REVOKE ALL ON FUNCTION chat.make_api_key() FROM PUBLIC;
COMMENT ON FUNCTION chat.make_api_key() IS 'A new key: csk_, 6 base62 characters that name it, 43 that are 256 random bits, 6 of CRC-32.';

CREATE FUNCTION chat.api_key_hash(key text) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_api_key_hash';
REVOKE ALL ON FUNCTION chat.api_key_hash(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.api_key_hash(text) IS 'What is stored of a key: its SHA-256 in hexadecimal, or with chat_realtime.key_pepper its HMAC-SHA-256. Errors: 22023, 55000 for a pepper without shared_preload_libraries.';

-- Where keys are kept

CREATE FUNCTION chat.api_key_columns(OUT source regclass, OUT pair integer, OUT columns jsonb) RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_api_key_columns';
REVOKE ALL ON FUNCTION chat.api_key_columns() FROM PUBLIC;
COMMENT ON FUNCTION chat.api_key_columns() IS 'The attached tables of API keys that have what is needed, as chat.authenticate reads them: id of the first pair that names each, and its columns by role. Errors: 42804 for a column of another type.';

CREATE FUNCTION chat.api_key_tables()
    RETURNS TABLE (source regclass, pair chat.attachment, columns jsonb, owner_map jsonb)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT c.source, a, c.columns,
           CASE WHEN c.columns ->> 'owner' = a.columns -> 'owner' ->> 'column' THEN a.columns -> 'owner'
                ELSE jsonb_build_object('column', c.columns ->> 'owner') END
      FROM chat.api_key_columns() c JOIN chat.attachment a ON a.id = c.pair
     ORDER BY c.source
$$;
REVOKE ALL ON FUNCTION chat.api_key_tables() FROM PUBLIC;
COMMENT ON FUNCTION chat.api_key_tables() IS 'What chat.api_key_columns tells, with the pair itself and how the owner column leads to a user id. Errors: as there.';

CREATE FUNCTION chat.api_key_owner(source regclass, pair integer, owner_map jsonb, owner text) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN CASE WHEN owner_map ? 'table' THEN chat.user_keys(pair, 'owner', owner)
                WHEN chat.key_fits(source, owner_map ->> 'column', owner) THEN ARRAY[owner] END;
END
$$;
REVOKE ALL ON FUNCTION chat.api_key_owner(regclass, integer, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.api_key_owner(regclass, integer, jsonb, text) IS 'What the owner column of a table of keys (chat.api_key_tables; pair: the pair''s id) holds for a user: several values where that has several accounts, NULL when it can hold none.';

CREATE FUNCTION chat.authenticate(key text, required_scope text DEFAULT NULL) RETURNS chat.auth_result
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_authenticate';
REVOKE ALL ON FUNCTION chat.authenticate(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.authenticate(text, text) IS 'Whether an API key is good, has a scope (chat:read, chat:write or chat:admin, which implies both; NULL: any will do) and keeps its rate limit; counts the request. Never an error for a bad key. Notes last_used_at at most once a minute, where the transaction may write and the row is free. Where its rate limit cannot be kept (no shared memory, or no room in it) the request is refused: 503, RATE_LIMIT_UNAVAILABLE. For service callers.';

-- What callers give

CREATE FUNCTION chat.check_api_key(name text, scopes text[], rate_limit integer, expires_at timestamptz) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    known CONSTANT text[] := '{chat:read,chat:write,chat:admin}';
    unknown text;
BEGIN
    IF COALESCE(btrim(name), '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'name',
            MESSAGE = 'an API key needs a name', HINT = 'Say what it is for: it is what you will know it by.';
    END IF;
    IF length(name) > 255 THEN
        RAISE EXCEPTION USING ERRCODE = 'string_data_right_truncation', COLUMN = 'name',
            MESSAGE = 'name of an API key is longer than 255 characters';
    END IF;
    IF COALESCE(cardinality(scopes), 0) = 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'scopes',
            MESSAGE = 'an API key needs at least one scope', HINT = format('Scopes are %s.', array_to_string(known, ', '));
    END IF;
    SELECT COALESCE(left(s, 64), 'NULL') INTO unknown FROM unnest(scopes) s WHERE s IS NULL OR s <> ALL (known) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'scopes',
            MESSAGE = format('unknown scope "%s"', unknown), HINT = format('Scopes are %s.', array_to_string(known, ', '));
    END IF;
    IF rate_limit IS NULL OR rate_limit NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'rate_limit',
            MESSAGE = 'rate_limit must be from 1 to 1000000 requests a minute';
    END IF;
    IF expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'expires_at',
            MESSAGE = 'expires_at is not in the future', HINT = 'NULL is for a key that does not expire.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_api_key(text, text[], integer, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_api_key(text, text[], integer, timestamptz) IS 'Refuses what cannot be an API key, with the column at fault. Errors: 22023, 22001.';

-- A request that came with a key must not make itself a better one.
CREATE FUNCTION chat.require_admin_scope() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
BEGIN
    IF claims ? 'api_key_id' AND NOT COALESCE(claims -> 'scopes' ? 'chat:admin', false) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'this needs an API key with scope chat:admin';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_admin_scope() FROM PUBLIC;
COMMENT ON FUNCTION chat.require_admin_scope() IS 'Refuses requests that chat.pre_request let in with a key without scope chat:admin. Errors: 42501.';

-- Reading and writing rows, by the roles of their columns

-- As chat.authenticate has it: NULL is off.
CREATE FUNCTION chat.api_key_is_on(key jsonb, columns jsonb) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE WHEN columns ? 'is_active' THEN COALESCE((key ->> 'is_active')::boolean, false)
                ELSE COALESCE((key ->> 'expires_at')::timestamptz > clock_timestamp(), true) END
$$;
REVOKE ALL ON FUNCTION chat.api_key_is_on(jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.api_key_is_on(jsonb, jsonb) IS 'Whether a row of a table of keys is switched on; in a table without is_active one is off when it has expired.';

CREATE FUNCTION chat.api_key_json(key jsonb, columns jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT jsonb_build_object('id', key -> 'id', 'name', key -> 'name', 'keyPrefix', key -> 'key_prefix', 'scopes', key -> 'scopes',
        'rateLimit', COALESCE(nullif(key -> (columns ->> 'rate_limit'), 'null'), '100'), 'isActive', chat.api_key_is_on(key, columns),
        'lastUsedAt', key -> 'last_used_at', 'expiresAt', key -> 'expires_at', 'replacedBy', key -> 'replaced_by',
        'createdAt', key -> 'created_at')
$$;
REVOKE ALL ON FUNCTION chat.api_key_json(jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.api_key_json(jsonb, jsonb) IS 'A row of a table of keys as callers see it: without its hash.';

-- Nothing that was asked for is dropped, unless the table's keys are like that anyway: what has no column of its own is
-- said with another one, or refused. Switching off truncates the time, which a column of less precision would round up.
CREATE FUNCTION chat.storable_api_key(source regclass, columns jsonb, row_values jsonb, key jsonb DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    expires_at timestamptz := CASE WHEN row_values ? 'expires_at' THEN row_values ELSE key END ->> 'expires_at';
    missing text;
BEGIN
    IF row_values ? 'is_active' AND NOT columns ? 'is_active' THEN
        IF (row_values ->> 'is_active')::boolean THEN
            IF expires_at <= clock_timestamp() THEN
                PERFORM chat.refuse_without(source, 'api_keys', 'is_active', 'an API key that has expired is switched on by giving it another expiresAt');
            END IF;
        ELSIF NOT columns ? 'expires_at' THEN
            PERFORM chat.refuse_without(source, 'api_keys', 'is_active', 'an API key cannot be switched off');
        ELSIF row_values ? 'expires_at' THEN
            PERFORM chat.refuse_without(source, 'api_keys', 'is_active', 'an API key that is switched off cannot be given expiresAt as well');
        ELSE
            row_values := row_values || jsonb_build_object('expires_at', LEAST(expires_at, date_trunc('second', clock_timestamp())));
        END IF;
    END IF;
    SELECT v.key INTO missing FROM jsonb_each(row_values) v
     WHERE NOT columns ? v.key AND (v.key = 'rate_limit' AND v.value <> '100' OR v.key = 'expires_at' AND v.value <> 'null') LIMIT 1;
    IF FOUND THEN
        PERFORM chat.refuse_without(source, 'api_keys', missing, format('an API key cannot have its %s',
                                    CASE missing WHEN 'rate_limit' THEN 'own rate limit' ELSE 'time ended' END));
    END IF;
    RETURN row_values;
END
$$;
REVOKE ALL ON FUNCTION chat.storable_api_key(regclass, jsonb, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.storable_api_key(regclass, jsonb, jsonb, jsonb) IS 'Values by role, as the columns of a table of keys can hold them; key: the row that they change. Errors: 55000 with the column that is missing.';

CREATE FUNCTION chat.write_api_key(source regclass, columns jsonb, row_values jsonb, id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    given jsonb := (SELECT COALESCE(jsonb_object_agg(columns ->> e.key, e.value), '{}') FROM jsonb_each(row_values) e WHERE columns ? e.key);
    written jsonb := chat.write_beside(source, given, id);
BEGIN
    -- The table's own triggers have the last word: a key that is said to be off must be.
    IF written IS NULL OR chat.api_key_is_on(written, columns) AND NOT chat.api_key_is_on('{"is_active": true}' || given, columns) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the API key was not written as asked: a trigger of table %s left it otherwise', source);
    END IF;
    RETURN written;
END
$$;
REVOKE ALL ON FUNCTION chat.write_api_key(regclass, jsonb, jsonb, uuid) FROM PUBLIC;
COMMENT ON FUNCTION chat.write_api_key(regclass, jsonb, jsonb, uuid) IS 'Makes a row of a table of keys, or with id changes one, by the roles of its columns; roles without a column are left out (see chat.storable_api_key). Returns the row. Errors: 55000 where the table''s triggers keep the row, or a key on.';

CREATE FUNCTION chat.find_api_key(id uuid, owner text, OUT source regclass, OUT columns jsonb, OUT key jsonb)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    keys record;
BEGIN
    owner := chat.caller_scope(owner);
    PERFORM chat.require_attached();
    PERFORM chat.require_admin_scope();
    FOR keys IN SELECT * FROM chat.api_key_tables() LOOP
        key := chat.run_beside(NULL::jsonb, keys.source, 'lock_key', id, owner);
        IF key IS NOT NULL THEN
            source := keys.source;
            columns := keys.columns;
            RETURN;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.find_api_key(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.find_api_key(uuid, text) IS 'A key of owner (NULL: of the caller, or of anybody for a service caller), its row locked, with the table that holds it; NULLs when there is none. Errors: 42501.';

CREATE FUNCTION chat.insert_api_key(source regclass, columns jsonb, row_values jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    secret text := chat.make_api_key();
BEGIN
    RETURN chat.api_key_json(chat.write_api_key(source, columns, chat.storable_api_key(source, columns, row_values) || jsonb_build_object(
               'id', gen_random_uuid(), 'key_hash', chat.api_key_hash(secret), 'key_prefix', left(secret, 10),
               'is_active', true, 'created_at', clock_timestamp(), 'updated_at', clock_timestamp())), columns)
           || jsonb_build_object('key', secret);
END
$$;
REVOKE ALL ON FUNCTION chat.insert_api_key(regclass, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.insert_api_key(regclass, jsonb, jsonb) IS 'Makes a new key and its row; the result, as callers see it, is the only place where the key itself is.';

-- For callers

CREATE FUNCTION chat.create_api_key(owner text, name text, scopes text[] DEFAULT '{chat:read,chat:write}',
                                    rate_limit integer DEFAULT 100, expires_at timestamptz DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
#variable_conflict use_variable
DECLARE
    keys record;
    owner_value text;
    made jsonb;
BEGIN
    PERFORM chat.require_owner(owner);
    PERFORM chat.require_admin_scope();
    PERFORM chat.check_api_key(name, scopes, rate_limit, expires_at);
    FOR keys IN SELECT * FROM chat.api_key_tables() LOOP
        owner_value := (chat.api_key_owner(keys.source, (keys.pair).id, keys.owner_map, owner))[1];
        EXIT WHEN owner_value IS NOT NULL;
    END LOOP;
    IF keys.source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = 'there is no table of API keys',
            HINT = 'SELECT * FROM chat.setup() makes it.';
    END IF;
    IF owner_value IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'user_id',
            MESSAGE = format('no table of API keys can hold the owner "%s"', left(owner, 64)),
            HINT = 'The owner is a user id of the kind that owns the conversations.';
    END IF;
    made := chat.insert_api_key(keys.source, keys.columns, jsonb_build_object('owner', owner_value, 'name', btrim(name),
        'scopes', ARRAY(SELECT DISTINCT s FROM unnest(scopes) s ORDER BY s), 'rate_limit', rate_limit, 'expires_at', expires_at));
    PERFORM chat.audit('api_key.created', made ->> 'id', (made - '{id,key,replacedBy,lastUsedAt}'::text[])
                       || jsonb_build_object('owner', owner));
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION chat.create_api_key(text, text, text[], integer, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION chat.create_api_key(text, text, text[], integer, timestamptz) IS 'Makes an API key of owner and returns {id, name, key, keyPrefix, scopes, rateLimit, isActive, lastUsedAt, expiresAt, replacedBy, createdAt}: the only time the key itself is shown. scopes: chat:read, chat:write, chat:admin. rate_limit: requests a minute, 1 to 1,000,000. Errors: 22004 without owner, 42501 for another user, 22023 and 22001 with the column at fault, 42P01 without chat.setup, 55000 for what the table has no column for.';

CREATE FUNCTION chat.rotate_api_key(id uuid, grace interval DEFAULT '24 h', owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
#variable_conflict use_variable
DECLARE
    found record;
    old_expires_at timestamptz;
    ended jsonb;
    made jsonb;
BEGIN
    IF grace IS NULL OR grace < interval '0' OR grace > interval '30 days' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'grace must be from 0 to 30 days';
    END IF;
    SELECT * INTO found FROM chat.find_api_key(id, owner);
    old_expires_at := COALESCE((found.key ->> 'expires_at')::timestamptz, 'infinity');
    IF found.key IS NULL OR NOT chat.api_key_is_on(found.key, found.columns) OR old_expires_at <= clock_timestamp() THEN
        RETURN NULL;
    END IF;
    IF found.key ->> 'replaced_by' IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'this API key has been replaced already',
            HINT = format('Rotate the key that replaced it: %s.', found.key ->> 'replaced_by');
    END IF;
    old_expires_at := LEAST(old_expires_at, clock_timestamp() + grace);
    ended := CASE WHEN NOT found.columns ? 'expires_at' AND grace = interval '0' THEN '{"is_active": false}'
                  ELSE jsonb_build_object('expires_at', old_expires_at) END;
    ended := chat.storable_api_key(found.source, found.columns, ended, found.key);
    made := chat.insert_api_key(found.source, found.columns, jsonb_build_object(
        'owner', found.key -> (found.columns ->> 'owner'), 'name', found.key -> 'name', 'scopes', found.key -> 'scopes',
        'rate_limit', chat.api_key_json(found.key, found.columns) -> 'rateLimit', 'expires_at', found.key -> 'expires_at'));
    PERFORM chat.write_api_key(found.source, found.columns,
        ended || jsonb_build_object('replaced_by', made -> 'id', 'updated_at', clock_timestamp()), id);
    PERFORM chat.audit('api_key.rotated', id::text, jsonb_build_object('replacedBy', made -> 'id', 'expiresAt', old_expires_at));
    RETURN made || jsonb_build_object('replaces', id, 'oldKeyExpiresAt', old_expires_at);
END
$$;
REVOKE ALL ON FUNCTION chat.rotate_api_key(uuid, interval, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.rotate_api_key(uuid, interval, text) IS 'Makes a key in place of another one, which stays good for grace (0 to 30 days): name, owner, scopes, rate limit and expiry are the same. Returns what chat.create_api_key does, and {replaces, oldKeyExpiresAt}. NULL: no such key of owner, or it is revoked or expired. Errors: 42501, 22023, 55000 for one that has been replaced, and with a grace where the table has no column expires_at.';

CREATE FUNCTION chat.revoke_api_key(id uuid, owner text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
#variable_conflict use_variable
DECLARE
    found record;
BEGIN
    SELECT * INTO found FROM chat.find_api_key(id, owner);
    IF found.key IS NULL THEN
        RETURN NULL;
    ELSIF NOT chat.api_key_is_on(found.key, found.columns) THEN
        RETURN false;
    END IF;
    PERFORM chat.write_api_key(found.source, found.columns, jsonb_build_object('updated_at', clock_timestamp())
        || chat.storable_api_key(found.source, found.columns, '{"is_active": false}', found.key), id);
    PERFORM chat.audit('api_key.revoked', id::text, jsonb_build_object('keyPrefix', found.key -> 'key_prefix'));
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.revoke_api_key(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.revoke_api_key(uuid, text) IS 'Makes a key useless from now on. True: it was good; false: it was revoked before (where the table has no column is_active, or had expired); NULL: no such key of owner. Errors: 42501, 55000 where the table has neither is_active nor expires_at.';

CREATE FUNCTION chat.list_api_keys(owner text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    keys record;
    of_table jsonb;
    every jsonb := '[]';
BEGIN
    PERFORM chat.require_owner(owner);
    PERFORM chat.require_admin_scope();
    FOR keys IN SELECT * FROM chat.api_key_tables() LOOP
        of_table := chat.run_beside(NULL::jsonb, keys.source, 'list_keys', chat.api_key_owner(keys.source, (keys.pair).id, keys.owner_map, owner));
        every := every || (SELECT COALESCE(jsonb_agg(chat.api_key_json(k.v, keys.columns) ORDER BY k.n), '[]')
                             FROM jsonb_array_elements(of_table) WITH ORDINALITY k (v, n));
    END LOOP;
    RETURN jsonb_build_object('success', true, 'data', every, 'pagination', jsonb_build_object('page', 1,
        'limit', jsonb_array_length(every), 'total', jsonb_array_length(every), 'hasMore', false, 'cursor', NULL));
END
$$;
REVOKE ALL ON FUNCTION chat.list_api_keys(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.list_api_keys(text) IS 'All API keys of owner, newest first, as {success, data, pagination}; revoked and expired ones too, never the keys themselves. Errors: 22004, 42501.';

CREATE FUNCTION chat.check_api_key_changes(changes jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    types CONSTANT jsonb := '{"name": "string", "scopes": "array", "rateLimit": "number", "isActive": "boolean", "expiresAt": "string"}';
    wrong record;
BEGIN
    IF changes IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'changes must not be NULL';
    ELSIF jsonb_typeof(changes) <> 'object' OR changes = '{}' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'changes must be a JSON object that changes something',
            HINT = 'Keys: name, scopes, rateLimit, isActive, expiresAt.';
    END IF;
    SELECT left(c.key, 64) AS key, types ->> c.key AS type INTO wrong FROM jsonb_each(changes) c
     WHERE jsonb_typeof(c.value) IS DISTINCT FROM types ->> c.key AND NOT (c.key = 'expiresAt' AND c.value = 'null') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = wrong.key,
            MESSAGE = CASE WHEN wrong.type IS NULL THEN format('"%s" of an API key cannot be changed', wrong.key)
                           ELSE format('"%s" of changes must be of type %s', wrong.key, wrong.type) END,
            HINT = 'Keys: name, scopes, rateLimit, isActive, expiresAt.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_api_key_changes(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_api_key_changes(jsonb) IS 'Refuses changes of an API key that have a wrong form. Errors: 22004, 22023.';

CREATE FUNCTION chat.update_api_key(id uuid, changes jsonb, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
#variable_conflict use_variable
DECLARE
    found record;
    -- What is not changed is not judged: a table that was there before may hold other scopes.
    name text := COALESCE(changes ->> 'name', 'unchanged');
    scopes text[] := CASE WHEN jsonb_typeof(changes -> 'scopes') = 'array'
                          THEN ARRAY(SELECT DISTINCT s FROM jsonb_array_elements_text(changes -> 'scopes') s ORDER BY s)
                          ELSE '{chat:read}' END;
    rate_limit integer := CASE WHEN NOT changes ? 'rateLimit' THEN 1
                               WHEN changes ->> 'rateLimit' ~ '^[0-9]{1,9}$' THEN (changes ->> 'rateLimit')::integer ELSE 0 END;
    changed jsonb;
BEGIN
    PERFORM chat.check_api_key_changes(changes);
    PERFORM chat.check_api_key(name, scopes, rate_limit, (changes ->> 'expiresAt')::timestamptz);
    SELECT * INTO found FROM chat.find_api_key(id, owner);
    IF found.key IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_object_agg(v.role, v.value) INTO changed
      FROM (VALUES ('name', 'name', to_jsonb(btrim(name))), ('scopes', 'scopes', to_jsonb(scopes)),
                   ('rateLimit', 'rate_limit', to_jsonb(rate_limit)), ('isActive', 'is_active', changes -> 'isActive'),
                   ('expiresAt', 'expires_at', to_jsonb((changes ->> 'expiresAt')::timestamptz))) v (key, role, value)
     WHERE changes ? v.key;
    changed := chat.storable_api_key(found.source, found.columns, changed, found.key);
    IF changed ? 'expires_at' AND NOT changes ? 'expiresAt' THEN
        changes := changes || jsonb_build_object('expiresAt', changed -> 'expires_at');
    END IF;
    changed := chat.write_api_key(found.source, found.columns, changed || jsonb_build_object('updated_at', clock_timestamp()), id);
    PERFORM chat.audit('api_key.updated', id::text, changes);
    RETURN chat.api_key_json(changed, found.columns);
END
$$;
REVOKE ALL ON FUNCTION chat.update_api_key(uuid, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.update_api_key(uuid, jsonb, text) IS 'Changes a key: changes has any of name, scopes, rateLimit, isActive, expiresAt (null: never), as in chat.create_api_key. Returns the key as chat.list_api_keys shows it; NULL: no such key of owner. Where the table has no column is_active, false ends the key''s time. Errors: 42501, 22004, 22007, 22023 and 22001 with the column at fault, 55000 with the column that the table lacks for a change.';
