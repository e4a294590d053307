-- chat.setup: what is missing of the four tables, with indexes, row-level security, publication and attachment.

CREATE FUNCTION chat.supabase_changes(schema text) RETURNS TABLE (object text, action text, statement text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    (SELECT format('%I.%I', schema, n), 'added to publication supabase_realtime', format('ALTER PUBLICATION supabase_realtime ADD TABLE %I.%I', schema, n)
      FROM unnest(ARRAY['conversations', 'chat_messages']) WITH ORDINALITY u (n, place)
     WHERE EXISTS (SELECT FROM pg_publication b WHERE b.pubname = 'supabase_realtime' AND NOT b.puballtables)
       AND NOT EXISTS (SELECT FROM pg_publication_tables t
                       WHERE t.pubname = 'supabase_realtime' AND t.schemaname = schema AND t.tablename = n)
     ORDER BY place)
    UNION ALL SELECT c.object, c.action, c.statement FROM chat.channel_changes() c
$$;
REVOKE ALL ON FUNCTION chat.supabase_changes(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.supabase_changes(text) IS 'What chat.setup does to what only Supabase has: its publication, and policies for private channels.';

-- Publication and policies may be another role's, who has to do it; who is let do it without being the owner (Supabase's
-- supautils lets postgres) shows only when it is tried.
CREATE FUNCTION chat.setup_supabase(caller regrole, schema text) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT * FROM chat.supabase_changes(schema) LOOP
        BEGIN
            IF c.statement IS NOT NULL THEN
                PERFORM chat.run_briefly(caller, c.statement);
            END IF;
            RETURN QUERY SELECT c.object, c.action;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN QUERY SELECT c.object, format('left to its owner (%s): %s', SQLERRM, c.statement);
        END;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.setup_supabase(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.setup_supabase(regrole, text) IS 'Part of chat.setup.';

CREATE FUNCTION chat.setup_functions(caller regrole) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM (VALUES ('authenticated'::name, chat.user_functions()), ('service_role', chat.backend_functions())) v (role, names)
    LOOP
        CONTINUE WHEN chat.existing_roles(r.role) IS NULL OR NOT EXISTS (
            SELECT FROM pg_proc p WHERE p.pronamespace = 'chat'::regnamespace AND p.proname = ANY (r.names)
               AND NOT has_function_privilege(r.role, p.oid, 'EXECUTE'));
        PERFORM chat.require_alone(caller);
        PERFORM chat.grant_functions(r.role, r.names);
        RETURN QUERY SELECT 'schema chat'::text, format('API functions granted to %s', r.role);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.setup_functions(regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.setup_functions(regrole) IS 'Lets Supabase''s roles call the API functions.';

CREATE FUNCTION chat.setup_tables(caller regrole, schema text) RETURNS TABLE (name text, relation regclass, definition text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF schema IS NULL OR to_regnamespace(quote_ident(schema)) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name',
            MESSAGE = format('schema "%s" does not exist', schema), HINT = 'Create it first: the tables go into it.';
    END IF;
    IF schema ~ '^pg_' OR schema IN ('information_schema', 'chat') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name', MESSAGE = format('schema "%s" is not for tables of users', schema);
    END IF;
    FOR name, relation, definition IN
        SELECT d.name, to_regclass(format('%I.%I', schema, d.name)), d.definition FROM chat.table_definitions(schema) d
    LOOP
        IF relation IS NOT NULL THEN
            PERFORM chat.require_table_owner(relation, caller);
        END IF;
        IF name NOT IN ('conversations', 'chat_messages') AND (SELECT c.relkind NOT IN ('r', 'p') FROM pg_class c WHERE c.oid = relation) THEN
            RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s is no table', relation),
                HINT = 'Rename it, and chat.setup makes the table.';
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.setup_tables(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.setup_tables(regrole, text) IS 'The four tables in the order they are made; relation is NULL for one that is missing. Errors: 3F000, 42501 for one that is not the caller''s, 42809.';

CREATE FUNCTION chat.create_table(schema text, name text, definition text, owner name) RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT ARRAY[format('CREATE TABLE %I.%I %s', schema, name, definition)]
           || CASE WHEN owner IS NULL THEN '{}' ELSE ARRAY[format('ALTER TABLE %I.%I OWNER TO %I', schema, name, owner)] END
$$;
REVOKE ALL ON FUNCTION chat.create_table(text, text, text, name) FROM PUBLIC;
COMMENT ON FUNCTION chat.create_table(text, text, text, name) IS 'The statements that make a table for its owner.';

CREATE FUNCTION chat.setup_beside(caller regrole, schema text, owner name) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    -- Keys before webhooks. Indexes of a table that is yet to be made are made with it.
    RETURN ARRAY(SELECT format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', t.relation) FROM chat.setup_tables(caller, schema) t
                  WHERE t.relation IS NOT NULL AND t.name NOT IN ('conversations', 'chat_messages')
                    AND t.relation IN (SELECT g.relation FROM chat.missing_table_triggers(schema) g UNION SELECT i.relation FROM chat.setup_indexes(schema) i)
                  ORDER BY t.name)
        || ARRAY(SELECT chat.index_statement(i) FROM chat.setup_indexes(schema) i WHERE NOT i.large)
        || ARRAY(SELECT s FROM chat.setup_tables(caller, schema) t, unnest(chat.create_table(schema, t.name, t.definition, owner)) s
                  WHERE t.relation IS NULL AND t.name NOT IN ('conversations', 'chat_messages'));
END
$$;
REVOKE ALL ON FUNCTION chat.setup_beside(regrole, text, name) FROM PUBLIC;
COMMENT ON FUNCTION chat.setup_beside(regrole, text, name) IS 'What chat.setup runs under the locks of chat.attach, so that no lock is waited for while another one is held.';

CREATE FUNCTION chat.record_tables(caller regrole, messages regclass, webhooks regclass, api_keys regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    -- Of one that was dropped the number is still there.
    IF EXISTS (SELECT FROM chat.attachment a WHERE a.messages = $2
                  AND (SELECT count(*) FROM pg_class c WHERE c.oid IN (a.webhooks, a.api_keys)) < 2) THEN
        PERFORM chat.require_alone(caller);
        UPDATE chat.attachment a SET webhooks = $3, api_keys = $4 WHERE a.messages = $2;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.record_tables(regrole, regclass, regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.record_tables(regrole, regclass, regclass, regclass) IS 'Part of chat.setup: the tables of webhooks and keys that belong to a pair.';

CREATE FUNCTION chat.setup_for(caller regrole, schema text, owner name) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    t record;
    tables jsonb;
    columns jsonb;
    made text[] := ARRAY(SELECT s.name FROM chat.setup_tables(caller, schema) s WHERE s.relation IS NULL);
    left_out chat.missing_index;
BEGIN
    IF owner IS NOT NULL THEN
        PERFORM chat.require_role(owner);
    END IF;
    IF owner IS NOT NULL AND made <> '{}' THEN
        PERFORM chat.grant_schema(caller, schema, owner);
    END IF;
    FOR t IN SELECT * FROM chat.setup_tables(caller, schema) s WHERE s.relation IS NULL AND s.name IN ('conversations', 'chat_messages') LOOP
        PERFORM chat.run_briefly(caller, VARIADIC chat.create_table(schema, t.name, t.definition, owner));
    END LOOP;
    RETURN QUERY SELECT format('%I.%I', schema, m), 'table created' || COALESCE(' for ' || quote_ident(owner), '') FROM unnest(made) m;
    FOR left_out IN SELECT * FROM chat.setup_indexes(schema) LOOP
        RETURN QUERY SELECT left_out.relation::text, format(CASE WHEN left_out.large
            THEN 'index %s left out, since making it would stop writers: run the statements of SELECT statement FROM chat.setup_plan(%L)'
            ELSE 'index %s created' END, left_out.name, schema);
    END LOOP;
    RETURN QUERY SELECT * FROM chat.attach_with(caller, to_regclass(format('%I.conversations', schema)), to_regclass(format('%I.chat_messages', schema)),
                                                '{}', chat.setup_beside(caller, schema, owner));
    FOR left_out IN SELECT * FROM chat.setup_indexes(schema) i WHERE NOT i.large LOOP -- of tables just made
        PERFORM chat.make_index(left_out, caller);
        RETURN QUERY SELECT left_out.relation::text, format('index %s created', left_out.name);
    END LOOP;
    SELECT jsonb_object_agg(s.name, s.relation::oid) INTO tables FROM chat.setup_tables(caller, schema) s;
    SELECT a.columns INTO columns FROM chat.attachment a WHERE a.messages = (tables ->> 'chat_messages')::oid;
    FOR t IN SELECT m AS name FROM unnest(made) m LOOP
        PERFORM chat.setup_policies(caller, schema, t.name, (tables ->> 'conversations')::oid, columns);
        IF t.name IN ('conversations', 'chat_messages') THEN
            PERFORM chat.setup_grants(caller, schema, t.name);
        END IF;
        RETURN QUERY SELECT format('%I.%I', schema, t.name), 'row-level security and policies created'::text;
    END LOOP;
    RETURN QUERY SELECT * FROM chat.setup_secrets(caller, schema, 'chat_api_keys', '{key_hash}');
    RETURN QUERY SELECT * FROM chat.setup_secrets(caller, schema, 'chat_external_webhooks', '{secret,old_secret}');
    RETURN QUERY SELECT * FROM chat.setup_table_triggers(schema);
    RETURN QUERY SELECT * FROM chat.setup_functions(caller);
    PERFORM chat.record_tables(caller, (tables ->> 'chat_messages')::oid, (tables ->> 'chat_external_webhooks')::oid, (tables ->> 'chat_api_keys')::oid);
    RETURN QUERY SELECT * FROM chat.make_secrets((tables ->> 'chat_external_webhooks')::oid);
    RETURN QUERY SELECT * FROM chat.setup_supabase(caller, schema);
    RETURN QUERY SELECT h.object, format('%s: %s', h.hint, h.statement)
                   FROM chat.attachment a, LATERAL (SELECT * FROM chat.ability_hints(a) UNION ALL SELECT * FROM chat.row_security_hints(a)) h
                  WHERE a.messages = (tables ->> 'chat_messages')::oid;
    RETURN QUERY SELECT h.object, format('%s: %s', h.hint, h.statement) FROM chat.preload_hints() h;
END
$$;
REVOKE ALL ON FUNCTION chat.setup_for(regrole, text, name) FROM PUBLIC;
COMMENT ON FUNCTION chat.setup_for(regrole, text, name) IS 'chat.setup for a caller.';

CREATE FUNCTION chat.setup(schema text DEFAULT 'public', owner name DEFAULT NULL) RETURNS TABLE (object text, action text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: does what the caller could do itself, and attaches what is its own
COMMENT ON FUNCTION chat.setup(text, name) IS 'Makes what is missing of conversations, chat_messages, chat_api_keys and chat_external_webhooks in a schema, with indexes, row-level security and policies, and attaches them. Changes nothing that is there but who may read secrets, and policies of earlier versions on realtime.messages; says what it did, and does nothing the second time. owner: the role that tables it makes belong to, unless that is the caller. Writers wait as for chat.attach. Errors: 3F000, 42704 for a role that is not there, 42501, 42809, and those of chat.attach.';

CREATE FUNCTION chat.setup_plan_for(caller regrole, schema text) RETURNS TABLE (object text, action text, statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    tables jsonb := (SELECT jsonb_object_agg(s.name, s.relation::oid) FROM chat.setup_tables(caller, schema) s);
BEGIN
    RETURN QUERY SELECT format('%I.%I', schema, d.name), 'table created, with indexes, row-level security and policies', NULL::text
                   FROM chat.table_definitions(schema) d WHERE tables ->> d.name IS NULL;
    RETURN QUERY SELECT i.relation::text, format('index %s created', i.name), s.statement FROM chat.setup_indexes(schema) i, chat.index_statements(i) s;
    IF tables ->> 'conversations' IS NOT NULL AND tables ->> 'chat_messages' IS NOT NULL THEN
        RETURN QUERY SELECT * FROM chat.attach_plan_for(caller, (tables ->> 'conversations')::oid, (tables ->> 'chat_messages')::oid, '{}');
    ELSE
        RETURN QUERY SELECT format('%I.chat_messages', schema), format('attached to %I.conversations', schema), NULL::text;
    END IF;
    RETURN QUERY SELECT t.relation::text, 'privileges revoked: secrets are for nobody to read', NULL::text
                   FROM (SELECT (tables ->> n)::oid::regclass AS relation FROM unnest(ARRAY['chat_api_keys', 'chat_external_webhooks']) n) t
                  WHERE t.relation IS NOT NULL AND NOT chat.secrets_are_kept(t.relation);
    RETURN QUERY SELECT t.relation::text, format('trigger %s created', t.name), NULL::text FROM chat.missing_table_triggers(schema) t;
    RETURN QUERY SELECT c.object, c.action, NULL::text FROM chat.supabase_changes(schema) c;
END
$$;
REVOKE ALL ON FUNCTION chat.setup_plan_for(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.setup_plan_for(regrole, text) IS 'chat.setup_plan for a caller.';

CREATE FUNCTION chat.setup_plan(schema text DEFAULT 'public') RETURNS TABLE (object text, action text, statement text)
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: tells of the caller's own tables
COMMENT ON FUNCTION chat.setup_plan(text) IS 'What chat.setup would do to tables and what surrounds them, which changes and locks nothing. statement: where it can be run before, by itself and in this order, beside writers (psql: \gexec). Errors: those of chat.setup.';
