-- Attaching a pair of tables: triggers, and the index for the newest message.

CREATE FUNCTION chat.make_trigger(relation regclass, name text, timing text, function text, id integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    arguments bytea := convert_to(id::text, 'UTF8') || decode('00', 'hex');
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
        -- Triggers fire in the order of their names. BEFORE ours have the last word on the row; AFTER they note it
        -- first, so that statements of other triggers come after it in the log, too.
        SELECT * FROM (VALUES
            (pair.messages, 'zz_chat_realtime_before', 'BEFORE INSERT OR UPDATE EACH ROW', 'message_before'),
            (pair.messages, '00_chat_realtime_after', 'AFTER INSERT OR UPDATE OR DELETE EACH ROW', 'message_after'),
            (pair.conversations, 'zz_chat_realtime_before', 'BEFORE INSERT OR UPDATE OR DELETE EACH ROW', 'conversation_before'),
            (pair.conversations, '00_chat_realtime_after', 'AFTER INSERT OR UPDATE EACH ROW', 'conversation_after'),
            (pair.conversations, 'zz_chat_realtime_flush', 'AFTER INSERT OR UPDATE EACH STATEMENT', 'flush')) v (relation, name, timing, function)
        UNION ALL
        -- A statement that names a partition fires the partition's statement triggers, not the parent's.
        SELECT p.relid, v.name, v.timing, v.function
          FROM (SELECT pair.messages AS relid UNION SELECT relid FROM pg_partition_tree(pair.messages)) p,
               (VALUES ('zz_chat_realtime_flush', 'AFTER INSERT OR UPDATE OR DELETE EACH STATEMENT', 'flush'),
                       ('zz_chat_realtime_truncate', 'AFTER TRUNCATE EACH STATEMENT', 'message_truncate')) v (name, timing, function)
    LOOP
        IF chat.make_trigger(t.relation, t.name, t.timing, t.function, pair.id) THEN
            object := t.relation::text;
            action := format('trigger %s created', t.name);
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.make_triggers(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_triggers(chat.attachment) IS 'Makes the triggers of an attachment that are missing, and says which.';

CREATE FUNCTION chat.make_index(relation regclass, suffix text, keys text, condition text DEFAULT NULL)
    RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    name text := (SELECT CASE WHEN octet_length(c.relname) <= 45 THEN c.relname || '_chat_' || suffix || '_idx'
                              ELSE format('chat_%s_%s_idx', relation::oid, suffix) END FROM pg_class c WHERE c.oid = relation);
    definition text := format('(%s)', keys) || COALESCE(' WHERE (' || condition || ')', '');
    old regclass := (SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                      WHERE i.indrelid = relation AND c.relname = name);
BEGIN
    -- Without parentheses: PostgreSQL 15 to 17 show an expression in a pair more than 18.
    IF EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND i.indisvalid
               AND translate(split_part(pg_get_indexdef(i.indexrelid), ' USING btree ', 2), '()', '') = translate(definition, '()', '')) THEN
        RETURN;
    END IF;
    IF old IS NOT NULL THEN -- of columns that had other names or types
        EXECUTE format('DROP INDEX %s', old);
    END IF;
    EXECUTE format('CREATE INDEX %I ON %s %s', name, relation, definition);
    RETURN QUERY SELECT relation::text, format('index %s created', name);
END
$$;
REVOKE ALL ON FUNCTION chat.make_index(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_index(regclass, text, text, text) IS 'Makes an index of an attachment, unless an equal one is there. keys and condition must be spelled as pg_get_indexdef does, but for parentheses.';

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
        format('%I, %s', c ->> 'conversation', chat.message_order(pair.messages, c)));
    IF c ? 'external_id' THEN
        RETURN QUERY SELECT * FROM chat.make_index(pair.messages, 'external', format('%I, %I', c ->> 'external_id', c ->> 'conversation'));
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

CREATE FUNCTION chat.require_table_owner(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF NOT pg_has_role(chat.outer_role(), (SELECT c.relowner FROM pg_class c WHERE c.oid = relation), 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('must be owner of table %s', relation);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_table_owner(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_table_owner(regclass) IS 'Error 42501 unless the calling role owns the table, or is a superuser.';

CREATE FUNCTION chat.require_attachable(relation regclass, messages boolean) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c record;
    kind text;
BEGIN
    SELECT k.*, n.nspname INTO c FROM pg_class k JOIN pg_namespace n ON n.oid = k.relnamespace WHERE k.oid = relation;
    IF c.oid IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('there is no table with oid %s', relation);
    END IF;
    PERFORM chat.require_table_owner(relation);
    kind := CASE WHEN c.nspname IN ('pg_catalog', 'information_schema', 'pg_toast', 'chat') THEN 'a system table'
                 WHEN c.relkind = 'v' THEN 'a view' WHEN c.relkind = 'm' THEN 'a materialized view'
                 WHEN c.relkind = 'f' THEN 'a foreign table' WHEN c.relkind NOT IN ('r', 'p') THEN 'no table'
                 WHEN c.relkind = 'p' AND NOT messages THEN 'a partitioned table, which conversations cannot be' END;
    IF kind IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s is %s', relation, kind),
            HINT = 'Attach ordinary tables of this database; the one of the messages may be partitioned.';
    END IF;
    IF c.relispartition THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s is a partition', relation),
            HINT = format('Attach %s, and all its partitions are.', (SELECT a.relid::regclass FROM pg_partition_ancestors(relation) a OFFSET 1 LIMIT 1));
    END IF;
    IF c.relpersistence = 't' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('%s is a temporary table', relation),
            HINT = 'Its events would outlive it: attach a permanent table.';
    END IF;
    IF c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE relation IN (i.inhparent, i.inhrelid)) THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('%s takes part in table inheritance', relation),
            HINT = 'Rows of children would not be counted: use a partitioned table.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_attachable(regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_attachable(regclass, boolean) IS 'Error when a table cannot be attached: 42P01, 42501, 42809, 0A000.';

CREATE FUNCTION chat.require_unattached(conversations regclass, messages regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    other chat.attachment;
BEGIN
    IF conversations = messages THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s cannot hold both the conversations and the messages', messages);
    END IF;
    SELECT a.* INTO other FROM chat.attachment a
     WHERE a.conversations IN ($1, $2) AND (a.conversations, a.messages) <> ($1, $2) OR a.messages IN ($1, $2) AND (a.conversations, a.messages) <> ($1, $2)
     ORDER BY a.id LIMIT 1;
    IF other.id IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
            MESSAGE = format('%s is attached already, as a pair with %s', other.messages, other.conversations),
            HINT = format('SELECT * FROM chat.detach(%L) first.', other.messages::text);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_unattached(regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_unattached(regclass, regclass) IS 'Error 42710 when one of the two tables is part of another pair, 22023 when they are the same.';

CREATE FUNCTION chat.recorded_columns(pair chat.attachment) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT COALESCE(jsonb_object_agg(c.role, c.given), '{}')
      FROM (SELECT r.role, pair.columns -> r.role AS given,
                   CASE WHEN r.messages THEN pair.messages ELSE pair.conversations END AS relation
              FROM chat.column_roles() r WHERE pair.columns ? r.role) c
     WHERE chat.attribute_type(c.relation, COALESCE(c.given ->> 'column', c.given #>> '{}')) IS NOT NULL
       AND (c.given ->> 'table' IS NULL OR to_regclass(c.given ->> 'table') IS NOT NULL)
$$;
REVOKE ALL ON FUNCTION chat.recorded_columns(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.recorded_columns(chat.attachment) IS 'The mapping of an attached pair, without columns that are gone.';

CREATE FUNCTION chat.shared_topics(pair chat.attachment) RETURNS TABLE (object text, action text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT pair.messages::text, format('ids may be equal to those of %s, and topics with them: use uuid keys or ranges apart', a.messages)
      FROM chat.attachment a
     WHERE a.id <> pair.id AND chat.attribute_base_type(pair.conversations, pair.columns ->> 'conversation_id') <> 'uuid'::regtype
       AND chat.attribute_base_type(a.conversations, a.columns ->> 'conversation_id') <> 'uuid'::regtype
     ORDER BY a.id
$$;
REVOKE ALL ON FUNCTION chat.shared_topics(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.shared_topics(chat.attachment) IS 'Warns of other pairs with integer ids: a topic names a conversation by its id alone.';

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
    PERFORM chat.require_attachable(conversations, false);
    PERFORM chat.require_attachable(messages, true);
    PERFORM chat.require_unattached(conversations, messages);
    EXECUTE format('LOCK TABLE %s, %s IN SHARE ROW EXCLUSIVE MODE', conversations, messages);
    SELECT * INTO pair FROM chat.attachment a WHERE a.messages = $2;
    resolved := chat.resolve_columns(conversations, messages,
        CASE WHEN pair.id IS NULL THEN columns ELSE chat.recorded_columns(pair) || columns END);
    IF pair.id IS NULL THEN
        INSERT INTO chat.attachment AS a (conversations, messages, columns) VALUES ($1, $2, resolved) RETURNING a.* INTO pair;
        PERFORM chat.audit('attachment.created', messages::text, jsonb_build_object('conversations', conversations::text));
        RETURN QUERY SELECT messages::text, format('attached to %s', conversations);
        RETURN QUERY SELECT * FROM chat.shared_topics(pair);
    ELSIF pair.columns <> resolved THEN
        UPDATE chat.attachment a SET columns = resolved WHERE a.id = pair.id RETURNING a.* INTO pair;
        PERFORM chat.audit('attachment.changed', messages::text, jsonb_build_object('columns', resolved));
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
COMMENT ON FUNCTION chat.attach(regclass, regclass, jsonb) IS 'Attaches a pair of tables; says what it did as rows, and nothing the second time. Called again it keeps the mapping, follows columns that came or went, and adds triggers to new partitions. columns maps roles (see chat.column_roles) to other column names, or to null for none; owner and agent may be {"column", "table", "key", "user"}. Errors: 42501 unless both tables are the caller''s, 42703 and 22023 for columns, 42804 for one of a wrong type, 428C9 for a generated one, 42809 and 0A000 for what cannot be attached, 42710 for a table of another pair.';

CREATE FUNCTION chat.attached(messages regclass) RETURNS chat.attachment
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
BEGIN
    SELECT a.* INTO pair FROM chat.attachment a WHERE a.messages = $1;
    IF pair.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('table %s is not attached', COALESCE(messages::text, 'NULL')),
            HINT = 'SELECT messages FROM chat.attachment shows what is.';
    END IF;
    PERFORM chat.require_table_owner(r) FROM unnest(ARRAY[pair.conversations, pair.messages]) r
      WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = r);
    RETURN pair;
END
$$;
REVOKE ALL ON FUNCTION chat.attached(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.attached(regclass) IS 'The pair that a messages table belongs to; error 42704 when it is not attached, 42501 unless the tables are the caller''s.';

CREATE FUNCTION chat.drop_triggers(pair chat.attachment) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT g.tgrelid::regclass AS relation, g.tgname FROM pg_trigger g
         WHERE g.tgname ~ '^(00|zz)_chat_realtime_' AND g.tgparentid = 0
           AND g.tgargs = convert_to(pair.id::text, 'UTF8') || decode('00', 'hex')
         ORDER BY g.tgrelid, g.tgname
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
        RETURN QUERY SELECT t.relation::text, format('trigger %s dropped', t.tgname);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.drop_triggers(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.drop_triggers(chat.attachment) IS 'Drops the triggers of an attachment wherever they are, also on a partition that was detached from its table.';

CREATE FUNCTION chat.detach(messages regclass) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment := chat.attached(messages);
BEGIN
    DELETE FROM chat.attachment a WHERE a.id = pair.id;
    PERFORM chat.audit('attachment.removed', pair.messages::text, jsonb_build_object('conversations', pair.conversations::text));
    RETURN QUERY SELECT * FROM chat.drop_triggers(pair);
    RETURN QUERY SELECT pair.messages::text, 'detached'::text;
END
$$;
REVOKE ALL ON FUNCTION chat.detach(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.detach(regclass) IS 'Removes the triggers of a pair of tables and forgets it; rows stay as they are. Errors: 42704 when it is not attached, 42501 unless the tables are the caller''s.';

CREATE FUNCTION chat.configure(messages regclass, settings jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment := chat.attached(messages);
    result jsonb;
BEGIN
    IF jsonb_typeof(settings) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'settings must be a JSON object',
            HINT = 'Such as {"max_content_bytes": 8192}; null takes an override away.';
    END IF;
    PERFORM chat.check_settings(settings);
    result := jsonb_strip_nulls(pair.settings || settings);
    IF result <> pair.settings THEN
        UPDATE chat.attachment a SET settings = result WHERE a.id = pair.id;
        PERFORM chat.audit('attachment.configured', pair.messages::text, settings);
    END IF;
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION chat.configure(regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.configure(regclass, jsonb) IS 'Overrides settings for one pair of tables: max_content_bytes, max_media_bytes, sanitize, allowed_media_types, preview_labels; null takes an override away. Returns all overrides of the pair. Errors: 22023 for an unknown name or bad value, 42704 when the table is not attached, 42501 unless the tables are the caller''s.';

-- Following the tables: what is dropped is forgotten, a new partition gets its triggers.

CREATE FUNCTION chat.tables_dropped() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
BEGIN
    FOR pair IN
        DELETE FROM chat.attachment a USING pg_event_trigger_dropped_objects() d
         WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.objid IN (a.conversations, a.messages) RETURNING a.*
    LOOP
        PERFORM chat.drop_triggers(pair);
        PERFORM chat.audit('attachment.removed', pair.id::text, jsonb_build_object('reason', 'table dropped'));
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.tables_dropped() FROM PUBLIC;
COMMENT ON FUNCTION chat.tables_dropped() IS 'Event trigger: forgets a pair of tables of which one was dropped.';

CREATE FUNCTION chat.tables_changed() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
BEGIN
    FOR pair IN
        -- While a dump is being restored the triggers are not there yet, and come from the dump.
        SELECT a.* FROM chat.attachment a JOIN pg_class c ON c.oid = a.messages
          JOIN pg_trigger g ON g.tgrelid = a.messages AND g.tgname = 'zz_chat_realtime_flush'
         WHERE c.relkind = 'p' ORDER BY a.id
    LOOP
        PERFORM chat.make_triggers(pair);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.tables_changed() FROM PUBLIC;
COMMENT ON FUNCTION chat.tables_changed() IS 'Event trigger: makes the statement triggers of new partitions.';

CREATE EVENT TRIGGER chat_realtime_dropped ON sql_drop
    WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED') EXECUTE FUNCTION chat.tables_dropped();
COMMENT ON EVENT TRIGGER chat_realtime_dropped IS 'Forgets attached tables that are dropped.';
CREATE EVENT TRIGGER chat_realtime_changed ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION chat.tables_changed();
COMMENT ON EVENT TRIGGER chat_realtime_changed IS 'Gives new partitions of attached tables their triggers.';
