-- Attaching a pair of tables: columns are found by role, triggers and the index for the newest message are made.

CREATE FUNCTION chat.column_roles()
    RETURNS TABLE (role text, messages boolean, candidates text[], essential boolean)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    VALUES
        ('conversation_id', false, NULL::text[], true),
        ('owner', false, '{user_id,account_id}', true),
        ('agent', false, '{assigned_agent_id}', false),
        ('bot', false, '{assigned_bot_id}', false),
        ('contact_jid', false, '{contact_jid}', false),
        ('contact_name', false, '{contact_name}', false),
        ('contact_avatar', false, '{contact_avatar_url}', false),
        ('conversation_status', false, '{status}', false),
        ('muted', false, '{is_muted}', false),
        ('unread_count', false, '{unread_count}', false),
        ('last_message_at', false, '{last_message_at}', false),
        ('last_message_preview', false, '{last_message_preview}', false),
        ('conversation_created_at', false, '{created_at}', false),
        ('conversation_updated_at', false, '{updated_at}', false),
        ('message_id', true, NULL, true),
        ('conversation', true, '{conversation_id}', true),
        ('external_id', true, '{message_id}', false),
        ('direction', true, '{direction}', true),
        ('status', true, '{status}', true),
        ('type', true, '{message_type}', false),
        ('content', true, '{content}', true),
        ('metadata', true, '{metadata}', false),
        ('time', true, '{timestamp}', false),
        ('created_at', true, '{created_at}', true),
        ('updated_at', true, '{updated_at}', false),
        ('status_updated_at', true, '{status_updated_at}', false),
        ('private', true, '{is_private_note}', false),
        ('deleted', true, '{is_deleted,deleted_at}', false),
        ('edited', true, '{is_edited}', false),
        ('sender_type', true, '{sender_type}', false),
        ('sender_agent', true, '{sender_agent_id}', false),
        ('sender_bot', true, '{sender_bot_id}', false),
        ('reply_to', true, '{reply_to_message_id}', false),
        ('media_url', true, '{media_url}', false),
        ('media_mime_type', true, '{media_mime_type}', false),
        ('media_filename', true, '{media_filename}', false),
        ('media_size_bytes', true, '{media_size_bytes}', false),
        ('media_duration_seconds', true, '{media_duration_seconds}', false)
$$;
REVOKE ALL ON FUNCTION chat.column_roles() FROM PUBLIC;
COMMENT ON FUNCTION chat.column_roles() IS 'Roles that a column can have: in which table, under which names it is looked for (NULL: the primary key), and whether attach fails without it.';

CREATE FUNCTION chat.attribute_type(relation regclass, name text) RETURNS regtype
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT a.atttypid::regtype FROM pg_attribute a
     WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
$$;
REVOKE ALL ON FUNCTION chat.attribute_type(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.attribute_type(regclass, text) IS 'Type of a column, NULL when there is no such column.';

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
    found record;
BEGIN
    SELECT a.attname, a.atttypid INTO found
      FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = relation AND i.indisprimary;
    -- A partitioned table's key holds the partition key, too: its id is then the column named id.
    IF (SELECT i.indnkeyatts > 1 FROM pg_index i WHERE i.indrelid = relation AND i.indisprimary) THEN
        SELECT a.attname, a.atttypid INTO found FROM pg_attribute a
         WHERE a.attrelid = relation AND a.attname = 'id' AND NOT a.attisdropped;
    END IF;
    IF found.attname IS NULL OR found.atttypid NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype) THEN
        RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
            MESSAGE = format('table %s has no primary key of one integer or uuid column', relation),
            HINT = 'Conversations and messages are known by such an id.';
    END IF;
    RETURN found.attname;
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
        CONTINUE WHEN jsonb_typeof(columns -> r.role) = 'null' AND NOT r.essential;
        IF columns ? r.role AND r.role IN ('owner', 'agent') THEN
            resolved := resolved || jsonb_build_object(r.role, chat.user_mapping(relation, r.role, columns -> r.role));
            CONTINUE;
        END IF;
        IF columns ? r.role THEN
            name := chat.require_column(relation, columns ->> r.role, r.role);
        ELSIF r.candidates IS NULL THEN
            name := chat.primary_key_column(relation);
        ELSE
            SELECT c INTO name FROM unnest(r.candidates) WITH ORDINALITY u (c, n)
             WHERE chat.attribute_type(relation, c) IS NOT NULL ORDER BY n LIMIT 1;
        END IF;
        IF name IS NULL AND r.essential THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = format('table %s has no column for "%s"', relation, r.role),
                DETAIL = format('Looked for: %s.', array_to_string(r.candidates, ', ')),
                HINT = format('Pass its name: chat.attach(…, …, ''{"%s": "column"}'').', r.role);
        END IF;
        CONTINUE WHEN name IS NULL OR (r.role = 'external_id' AND name = resolved ->> 'message_id');
        IF r.role IN ('time', 'created_at')
           AND chat.attribute_type(relation, name) NOT IN ('timestamptz'::regtype, 'timestamp'::regtype) THEN
            RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
                MESSAGE = format('column "%s" of %s holds no timestamps', name, relation),
                HINT = format('Map another column for "%s", or null for none.', r.role);
        END IF;
        resolved := resolved || jsonb_build_object(r.role,
            CASE WHEN r.role IN ('owner', 'agent') THEN chat.default_user_mapping(relation, r.role, name)
                 ELSE to_jsonb(name) END);
    END LOOP;
    RETURN resolved;
END
$$;
REVOKE ALL ON FUNCTION chat.resolve_columns(regclass, regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.resolve_columns(regclass, regclass, jsonb) IS 'Columns by role of a pair of tables: those given, else those found. Errors: 22023 for an unknown role, 42703 for a column that is not there, naming it.';

CREATE FUNCTION chat.make_trigger(relation regclass, name text, timing text, function text, id integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    arguments bytea := convert_to(id::text, 'UTF8') || '\x00';
BEGIN
    IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = name
               AND t.tgfoid = to_regprocedure(format('chat.%I()', function)) AND t.tgargs = arguments) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE OR REPLACE TRIGGER %I %s ON %s %s EXECUTE FUNCTION chat.%I(%L)', name,
                   split_part(timing, ' EACH ', 1), relation, 'FOR EACH ' || split_part(timing, ' EACH ', 2), function, id::text);
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.make_trigger(regclass, text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_trigger(regclass, text, text, text, integer) IS 'Makes one trigger of an attachment; timing is such as AFTER INSERT EACH ROW. False: it is there.';

CREATE FUNCTION chat.make_triggers(pair chat.attachment) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT * FROM (VALUES
            (pair.messages, 'before', 'BEFORE INSERT OR UPDATE EACH ROW', 'message_before'),
            (pair.messages, 'after', 'AFTER INSERT OR UPDATE OR DELETE EACH ROW', 'message_after'),
            (pair.messages, 'truncate', 'AFTER TRUNCATE EACH STATEMENT', 'message_truncate'),
            (pair.conversations, 'before', 'BEFORE INSERT OR UPDATE OR DELETE EACH ROW', 'conversation_before'),
            (pair.conversations, 'after', 'AFTER INSERT OR UPDATE EACH ROW', 'conversation_after'),
            (pair.conversations, 'flush', 'AFTER INSERT OR UPDATE EACH STATEMENT', 'flush')) v (relation, name, timing, function)
        UNION ALL
        -- DML that names a partition fires the partition's statement triggers, not the parent's.
        SELECT p.relid, 'flush', 'AFTER INSERT OR UPDATE OR DELETE EACH STATEMENT', 'flush'
          FROM (SELECT pair.messages AS relid UNION SELECT relid FROM pg_partition_tree(pair.messages)) p
    LOOP
        IF chat.make_trigger(t.relation, 'zz_chat_realtime_' || t.name, t.timing, t.function, pair.id) THEN
            object := t.relation::text;
            action := format('trigger zz_chat_realtime_%s created', t.name);
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.make_triggers(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_triggers(chat.attachment) IS 'Makes the triggers of an attachment that are missing, and says which.';

CREATE FUNCTION chat.message_position(columns jsonb, alias text DEFAULT '') RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE WHEN columns ? 'time'
                THEN ARRAY[format('COALESCE(%1$s%2$I, %1$s%3$I)', alias, columns ->> 'time', columns ->> 'created_at')] ELSE '{}' END
           || ARRAY[alias || quote_ident(columns ->> 'created_at'), alias || quote_ident(columns ->> 'message_id')]
$$;
REVOKE ALL ON FUNCTION chat.message_position(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_position(jsonb, text) IS 'Expressions that give a message its place: time (where it has one of its own), created_at, id.';

CREATE FUNCTION chat.message_order(columns jsonb, alias text DEFAULT '') RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT string_agg(p || ' DESC', ', ' ORDER BY n) FROM unnest(chat.message_position(columns, alias)) WITH ORDINALITY u (p, n) $$;
REVOKE ALL ON FUNCTION chat.message_order(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_order(jsonb, text) IS 'ORDER BY list of messages, newest first: time, created_at, id.';

CREATE FUNCTION chat.conversation_order(columns jsonb, alias text DEFAULT '') RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT concat_ws(', ', alias || quote_ident(columns ->> 'last_message_at') || ' DESC NULLS LAST',
                     alias || quote_ident(columns ->> 'conversation_id') || ' DESC')
$$;
REVOKE ALL ON FUNCTION chat.conversation_order(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_order(jsonb, text) IS 'ORDER BY list of conversations, the one with the newest message first, those without any last.';

CREATE FUNCTION chat.make_index(relation regclass, suffix text, keys text, condition text DEFAULT NULL)
    RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    name text := (SELECT left(c.relname, 45) || '_chat_' || suffix || '_idx' FROM pg_class c WHERE c.oid = relation);
    definition text := format('(%s)', keys) || COALESCE(' WHERE (' || condition || ')', '');
BEGIN
    IF EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND i.indisvalid
               AND split_part(pg_get_indexdef(i.indexrelid), ' USING btree ', 2) = definition) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE INDEX %I ON %s %s', name, relation, definition);
    RETURN QUERY SELECT relation::text, format('index %s created', name);
END
$$;
REVOKE ALL ON FUNCTION chat.make_index(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_index(regclass, text, text, text) IS 'Makes an index of an attachment, unless an equal one is there. keys and condition must be spelled as pg_get_indexdef does.';

-- An owner's list is in the order (last message, id), as it is, by status, by agent, and of what is unread.
CREATE FUNCTION chat.make_indexes(pair chat.attachment) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    owner text := quote_ident(c -> 'owner' ->> 'column');
    list text := chat.conversation_order(c);
    agent text := quote_ident(c -> 'agent' ->> 'column');
BEGIN
    RETURN QUERY SELECT * FROM chat.make_index(pair.messages, 'newest',
        format('%I, %s', c ->> 'conversation', chat.message_order(c)));
    IF c ? 'external_id' THEN
        RETURN QUERY SELECT * FROM chat.make_index(pair.messages, 'external', format('%I, %I', c ->> 'conversation', c ->> 'external_id'));
    END IF;
    RETURN QUERY SELECT * FROM chat.make_index(pair.conversations, 'list', format('%s, %s', owner, list));
    IF c ? 'conversation_status' THEN
        RETURN QUERY SELECT * FROM chat.make_index(pair.conversations, 'status', format('%s, %I, %s', owner, c ->> 'conversation_status', list));
    END IF;
    IF agent IS NOT NULL THEN
        RETURN QUERY SELECT * FROM chat.make_index(pair.conversations, 'agent', format('%s, %s, %s', owner, agent, list),
            agent || ' IS NOT NULL');
    END IF;
    IF c ? 'unread_count' THEN
        RETURN QUERY SELECT * FROM chat.make_index(pair.conversations, 'unread', format('%s, %s', owner, list),
            quote_ident(c ->> 'unread_count') || ' > 0');
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.make_indexes(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_indexes(chat.attachment) IS 'Makes the indexes by which messages and conversations are found and listed, where there are no equal ones.';

CREATE FUNCTION chat.drifted(pair chat.attachment) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    time text := CASE WHEN c ? 'time' THEN format('COALESCE(m.%I, m.%I)', c ->> 'time', c ->> 'created_at')
                      ELSE format('m.%I', c ->> 'created_at') END;
    visible text := CASE WHEN c ? 'private' THEN format(' AND m.%I IS NOT TRUE', c ->> 'private') ELSE '' END
        || CASE WHEN NOT c ? 'deleted' THEN ''
                WHEN chat.attribute_type(pair.messages, c ->> 'deleted') = 'bool'::regtype
                THEN format(' AND m.%I IS NOT TRUE', c ->> 'deleted')
                ELSE format(' AND m.%I IS NULL', c ->> 'deleted') END;
    texts text := (SELECT string_agg(CASE WHEN c ? r THEN format('m.%I::text', c ->> r) ELSE 'NULL' END, ', ' ORDER BY n)
                     FROM unnest(ARRAY['type', 'content', 'media_filename']) WITH ORDINALITY u (r, n));
    differs text := concat_ws(' OR ',
        CASE WHEN c ? 'unread_count' THEN format('c.%I IS DISTINCT FROM u.unread', c ->> 'unread_count') END,
        CASE WHEN c ? 'last_message_at' THEN format('c.%I IS DISTINCT FROM n.at', c ->> 'last_message_at') END,
        CASE WHEN c ? 'last_message_preview' THEN format('c.%I IS DISTINCT FROM n.preview', c ->> 'last_message_preview') END);
BEGIN
    IF differs = '' THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT c.%1$I::text FROM %2$s c'
        ' CROSS JOIN LATERAL (SELECT count(*) AS unread FROM %3$s m WHERE m.%4$I = c.%1$I'
        '   AND m.%5$I::text = ''incoming'' AND m.%6$I::text IS DISTINCT FROM ''read'' %7$s) u'
        ' LEFT JOIN LATERAL (SELECT %8$s AS at, chat.message_preview(%9$s) AS preview FROM %3$s m'
        '   WHERE m.%4$I = c.%1$I %7$s ORDER BY %10$s LIMIT 1) n ON true'
        ' WHERE %11$s ORDER BY c.%1$I',
        c ->> 'conversation_id', pair.conversations, pair.messages, c ->> 'conversation', c ->> 'direction',
        c ->> 'status', visible, time, texts, chat.message_order(c, 'm.'), differs);
END
$$;
REVOKE ALL ON FUNCTION chat.drifted(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.drifted(chat.attachment) IS 'Ids, in order, of conversations whose counters or last message are not what their messages say.';

CREATE FUNCTION chat.attach(conversations regclass, messages regclass, columns jsonb DEFAULT '{}')
    RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    resolved jsonb;
    pair chat.attachment;
    drifting bigint;
BEGIN
    IF conversations IS NULL OR messages IS NULL OR jsonb_typeof(columns) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'chat.attach needs two tables, and the columns as a JSON object';
    END IF;
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = conversations) <> 'r' THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type',
            MESSAGE = format('%s is not an ordinary table', conversations);
    END IF;
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = messages) NOT IN ('r', 'p') THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s is not a table', messages);
    END IF;
    EXECUTE format('LOCK TABLE %s, %s IN SHARE ROW EXCLUSIVE MODE', conversations, messages);
    resolved := chat.resolve_columns(conversations, messages, columns);
    SELECT * INTO pair FROM chat.attachment a WHERE a.messages = $2;
    IF pair.id IS NULL THEN
        INSERT INTO chat.attachment AS a (conversations, messages, columns) VALUES ($1, $2, resolved) RETURNING a.* INTO pair;
        RETURN QUERY SELECT messages::text, format('attached to %s', conversations);
    ELSIF pair.columns <> resolved OR pair.conversations <> $1 THEN
        UPDATE chat.attachment a SET conversations = $1, columns = resolved WHERE a.id = pair.id RETURNING a.* INTO pair;
        RETURN QUERY SELECT messages::text, 'columns looked up again'::text;
    END IF;
    RETURN QUERY SELECT * FROM chat.make_indexes(pair);
    RETURN QUERY SELECT * FROM chat.make_triggers(pair);
    SELECT count(*) INTO drifting FROM chat.drifted(pair);
    IF drifting > 0 THEN
        RETURN QUERY SELECT conversations::text,
            format('%s conversations with drifting counters: run SELECT chat.recount()', drifting);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.attach(regclass, regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.attach(regclass, regclass, jsonb) IS 'Attaches a pair of tables; says what it did as rows, and nothing the second time. columns maps roles (see chat.column_roles) to other column names; owner and agent may be {"column", "table", "key", "user"}. Errors: 42703 and 22023 for columns, 42804 for a key or time of a wrong type, 42809 for what is no table.';

CREATE FUNCTION chat.detach(messages regclass) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    t record;
BEGIN
    DELETE FROM chat.attachment a WHERE a.messages = $1 RETURNING a.* INTO pair;
    IF pair.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('table %s is not attached', COALESCE(messages::text, 'NULL')),
            HINT = 'SELECT messages FROM chat.attachment shows what is.';
    END IF;
    FOR t IN
        SELECT g.tgrelid::regclass AS relation, g.tgname FROM pg_trigger g
         WHERE g.tgname LIKE 'zz\_chat\_realtime\_%' AND g.tgparentid = 0
           AND g.tgargs = convert_to(pair.id::text, 'UTF8') || '\x00'
           AND (g.tgrelid = pair.conversations OR g.tgrelid = pair.messages
                OR g.tgrelid IN (SELECT relid FROM pg_partition_tree(pair.messages)))
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
        RETURN QUERY SELECT t.relation::text, format('trigger %s dropped', t.tgname);
    END LOOP;
    RETURN QUERY SELECT pair.messages::text, 'detached'::text;
END
$$;
REVOKE ALL ON FUNCTION chat.detach(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.detach(regclass) IS 'Removes the triggers of a pair of tables and forgets it; rows stay as they are. Errors: 42704 when it is not attached.';

CREATE FUNCTION chat.recount(messages regclass DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    conversation text;
    mended bigint := 0;
BEGIN
    FOR pair IN SELECT a.* FROM chat.attachment a WHERE $1 IS NULL OR a.messages = $1 ORDER BY a.id LOOP
        FOR conversation IN SELECT * FROM chat.drifted(pair) LOOP
            IF chat.write_counters(pair.id, conversation) THEN
                mended := mended + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN mended;
END
$$;
REVOKE ALL ON FUNCTION chat.recount(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.recount(regclass) IS 'Mends counters and last messages that are not what the messages say, of one attached messages table or of all; returns how many conversations were mended.';
