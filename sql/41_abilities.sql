-- Columns that tables made by others may lack, and what each is for.

CREATE FUNCTION chat.ability_columns() RETURNS TABLE (kind text, name text, definition text, ability text)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    VALUES
        ('api_keys', 'is_active', 'boolean NOT NULL DEFAULT true', 'to switch a key off and on again; without it switching off ends a key''s time'),
        ('api_keys', 'rate_limit', 'integer NOT NULL DEFAULT 100', 'to give a key another limit than 100 requests a minute'),
        ('api_keys', 'expires_at', 'timestamptz', 'to let a key expire, and stay good for a while when it is rotated'),
        ('api_keys', 'replaced_by', 'uuid', 'to refuse rotating a key twice'),
        ('api_keys', 'last_used_at', 'timestamptz', 'to tell when a key was last used')
$$;
REVOKE ALL ON FUNCTION chat.ability_columns() FROM PUBLIC;
COMMENT ON FUNCTION chat.ability_columns() IS 'Columns that an attached table may do without, by kind of table, with the definition to add each by, and what it is needed for.';

CREATE FUNCTION chat.add_column(relation regclass, kind text, name text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT format('ALTER TABLE %s ADD COLUMN %I %s', relation, c.name, c.definition)
      FROM chat.ability_columns() c WHERE c.kind = $2 AND c.name = $3
$$;
REVOKE ALL ON FUNCTION chat.add_column(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.add_column(regclass, text, text) IS 'The statement that adds a column of chat.ability_columns to a table.';

CREATE FUNCTION chat.refuse_without(relation regclass, kind text, name text, refused text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', COLUMN = name,
        MESSAGE = format('%s: table %s has no column %s', refused, relation, quote_ident(name)),
        HINT = chat.add_column(relation, kind, name);
END
$$;
REVOKE ALL ON FUNCTION chat.refuse_without(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.refuse_without(regclass, text, text, text) IS 'Raises 55000 that names the column which a table would need for what was asked, with the statement that adds it.';
