-- Attaching a pair of tables, beside writers.

CREATE FUNCTION chat.require_attachable(relation regclass, messages boolean, caller regrole) RETURNS void
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
    PERFORM chat.require_table_owner(relation, caller);
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
REVOKE ALL ON FUNCTION chat.require_attachable(regclass, boolean, regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_attachable(regclass, boolean, regrole) IS 'Error when a table cannot be attached: 42P01, 42501, 42809, 0A000.';

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

CREATE FUNCTION chat.intended_pair(caller regrole, conversations regclass, messages regclass, columns jsonb) RETURNS chat.attachment
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
BEGIN
    IF conversations IS NULL OR messages IS NULL OR jsonb_typeof(columns) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'chat.attach needs two tables, and the columns as a JSON object';
    END IF;
    PERFORM chat.require_attachable(conversations, false, caller);
    PERFORM chat.require_attachable(messages, true, caller);
    PERFORM chat.require_unattached(conversations, messages);
    SELECT * INTO pair FROM chat.attachment a WHERE a.messages = $3;
    IF pair.id IS NULL THEN
        PERFORM chat.require_alone(caller);
        pair.conversations := conversations;
        pair.messages := messages;
        pair.settings := '{}';
    ELSE
        columns := chat.recorded_columns(pair) || columns;
    END IF;
    pair.columns := chat.resolve_columns(conversations, messages, columns);
    RETURN pair;
END
$$;
REVOKE ALL ON FUNCTION chat.intended_pair(regrole, regclass, regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.intended_pair(regrole, regclass, regclass, jsonb) IS 'The attachment as chat.attach would make it; without an id where there is none yet.';

CREATE FUNCTION chat.pair_changes(pair chat.attachment) RETURNS TABLE (object text, action text, statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF pair.id IS NULL THEN
        RETURN QUERY SELECT pair.messages::text, format('attached to %s', pair.conversations), NULL::text;
    ELSIF EXISTS (SELECT FROM chat.attachment a WHERE a.id = pair.id AND a.columns <> pair.columns) THEN
        RETURN QUERY SELECT pair.messages::text, 'columns looked up again', NULL::text;
    END IF;
    RETURN QUERY SELECT i.relation::text, format('index %s created', i.name), s.statement
                   FROM chat.missing_indexes(pair) i, chat.index_statements(i) s;
    RETURN QUERY SELECT t.relation::text, format('trigger %s created', t.name), NULL::text FROM chat.missing_triggers(pair) t;
END
$$;
REVOKE ALL ON FUNCTION chat.pair_changes(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.pair_changes(chat.attachment) IS 'What chat.attach would do; statement: what can be run before, so that it need not.';

-- What a count that was made without a lock rests on, but for rows: other tables than those that were counted.
CREATE FUNCTION chat.pair_shape(pair chat.attachment) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT to_jsonb(pair) || jsonb_build_object('files', (
        SELECT jsonb_object_agg(r.relid::oid, pg_relation_filenode(r.relid))
          FROM (SELECT l.relid FROM chat.leaves(pair.messages) l UNION SELECT pair.conversations) r))
$$;
REVOKE ALL ON FUNCTION chat.pair_shape(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.pair_shape(chat.attachment) IS 'Changes when a pair''s mapping, partitions or files do (TRUNCATE, VACUUM FULL).';

CREATE FUNCTION chat.make_pair(pair chat.attachment, caller regrole) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    wanted jsonb := pair.columns;
BEGIN
    IF pair.id IS NULL THEN
        INSERT INTO chat.attachment AS a (conversations, messages, columns) VALUES (pair.conversations, pair.messages, wanted) RETURNING a.* INTO pair;
        PERFORM chat.audit('attachment.created', pair.messages::text, jsonb_build_object('conversations', pair.conversations::text));
        RETURN QUERY SELECT pair.messages::text, format('attached to %s', pair.conversations);
        RETURN QUERY SELECT * FROM chat.shared_topics(pair);
    ELSE
        UPDATE chat.attachment a SET columns = wanted WHERE a.id = pair.id AND a.columns <> wanted;
        IF FOUND THEN
            PERFORM chat.audit('attachment.changed', pair.messages::text, jsonb_build_object('columns', wanted));
            RETURN QUERY SELECT pair.messages::text, 'columns looked up again'::text;
        END IF;
    END IF;
    RETURN QUERY SELECT * FROM chat.make_indexes(pair, caller);
    RETURN QUERY SELECT * FROM chat.make_triggers(pair);
END
$$;
REVOKE ALL ON FUNCTION chat.make_pair(chat.attachment, regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_pair(chat.attachment, regrole) IS 'Part of chat.attach, under its locks: records the pair, makes its indexes and triggers.';

-- Drift is counted without a lock, which takes a while; what was written while it was, is looked at again, once more
-- without a lock, and then under it, if it is little; else it is said that it was not. also: statements to be run under the same locks.
CREATE FUNCTION chat.attach_with(caller regrole, conversations regclass, messages regclass, columns jsonb, also text[])
    RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    counted pg_snapshot := pg_current_snapshot();
    pair chat.attachment := chat.intended_pair(caller, conversations, messages, columns);
    shape jsonb := chat.pair_shape(pair);
    drifting text[] := ARRAY(SELECT chat.drifted(pair));
    locks text[] := chat.pair_locks(pair) || also;
    since pg_snapshot;
    touched text[];
    unsure integer := 0;
BEGIN
    IF cardinality(locks) > 0 THEN
        since := counted;
        counted := pg_current_snapshot();
        drifting := chat.still_drifted(pair, drifting, COALESCE(chat.touched(pair, since), '{}'));
        PERFORM chat.run_briefly(caller, VARIADIC locks);
        IF chat.pair_shape(chat.intended_pair(caller, conversations, messages, columns)) <> shape THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
                MESSAGE = format('%s or %s was changed while it was being looked at', conversations, messages), HINT = 'Call it again.';
        END IF;
        RETURN QUERY SELECT * FROM chat.make_pair(pair, caller);
        touched := chat.touched(pair, counted);
        IF cardinality(touched) <= (CASE WHEN EXISTS (SELECT FROM chat.missing_indexes(pair)) THEN 0 ELSE 500 END) THEN
            drifting := chat.still_drifted(pair, drifting, touched);
        ELSE
            drifting := ARRAY(SELECT unnest(drifting) EXCEPT SELECT unnest(touched));
            unsure := cardinality(touched);
        END IF;
    END IF;
    IF cardinality(locks) > 0 THEN
        RETURN QUERY SELECT l.object, l.hint FROM chat.payload_hints((SELECT a FROM chat.attachment a WHERE a.messages = $3)) l;
        RETURN QUERY SELECT l.object, format('%s: %s', l.hint, string_agg(l.statement, '; ' ORDER BY l.n))
                       FROM chat.counter_hints((SELECT a FROM chat.attachment a WHERE a.messages = $3)) WITH ORDINALITY l (severity, object, hint, statement, n) GROUP BY l.object, l.hint;
    END IF;
    RETURN QUERY SELECT i.relation::text, format('index %s left out, since making it would stop writers: run the statements of '
                        'SELECT statement FROM chat.attach_plan(%L, %L)', i.name, conversations, messages)
                   FROM chat.missing_indexes(pair) i WHERE i.large;
    IF unsure IS DISTINCT FROM 0 THEN
        RETURN QUERY SELECT conversations::text, format('%s conversations were written while drift was counted, and may have some: run SELECT chat.recount()',
                                                        COALESCE(unsure::text, 'an unknown number of'));
    END IF;
    IF cardinality(drifting) > 0 THEN
        RETURN QUERY SELECT conversations::text,
            format('%s conversations with drifting counters: run SELECT chat.recount()', cardinality(drifting));
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.attach_with(regrole, regclass, regclass, jsonb, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.attach_with(regrole, regclass, regclass, jsonb, text[]) IS 'chat.attach for a caller.';

CREATE FUNCTION chat.pair_locks(pair chat.attachment) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    i record;
    mode text;
BEGIN
    SELECT bool_or(m.stale IS NOT NULL) AS drops, count(*) AS missing INTO i FROM chat.missing_indexes(pair) m WHERE NOT m.large;
    IF i.missing > 0 OR EXISTS (SELECT FROM chat.missing_triggers(pair))
       OR NOT EXISTS (SELECT FROM chat.attachment a WHERE a.id = pair.id AND a.columns = pair.columns) THEN
        mode := CASE WHEN i.drops THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END;
        RETURN ARRAY[format('LOCK TABLE %s IN %s MODE', pair.messages, mode), format('LOCK TABLE %s IN %s MODE', pair.conversations, mode)];
    END IF;
    RETURN '{}';
END
$$;
REVOKE ALL ON FUNCTION chat.pair_locks(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.pair_locks(chat.attachment) IS 'Statements that lock a pair''s tables, the messages first, for what chat.make_pair will do; none if that is nothing.';

CREATE FUNCTION chat.attach_for(caller regrole, conversations regclass, messages regclass, columns jsonb)
    RETURNS TABLE (object text, action text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$ SELECT * FROM chat.attach_with(caller, conversations, messages, columns, '{}') $$;
REVOKE ALL ON FUNCTION chat.attach_for(regrole, regclass, regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.attach_for(regrole, regclass, regclass, jsonb) IS 'chat.attach for a caller.';

CREATE FUNCTION chat.attach(conversations regclass, messages regclass, columns jsonb DEFAULT '{}')
    RETURNS TABLE (object text, action text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: both tables must be the caller's
COMMENT ON FUNCTION chat.attach(regclass, regclass, jsonb) IS 'Attaches a pair of tables; says what it did as rows, and nothing the second time. Called again it keeps the mapping, follows columns that came or went, and adds triggers to new partitions. columns maps roles (see chat.column_roles) to other column names, or to null for none; owner and agent may be {"column", "table", "key", "user"}. Writers wait for no longer than a try to lock takes; indexes of large tables are left to the statements of chat.attach_plan. Errors: 42501 unless both tables are the caller''s, or where others'' are attached, 42703 and 22023 for columns, 42804 for one of a wrong type, 428C9 for a generated one, 42809 and 0A000 for what cannot be attached, 42710 for a table of another pair, 55P03 when the tables cannot be locked.';

CREATE FUNCTION chat.attach_plan_for(caller regrole, conversations regclass, messages regclass, columns jsonb)
    RETURNS TABLE (object text, action text, statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$ BEGIN RETURN QUERY SELECT * FROM chat.pair_changes(chat.intended_pair(caller, conversations, messages, columns)); END $$;
REVOKE ALL ON FUNCTION chat.attach_plan_for(regrole, regclass, regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.attach_plan_for(regrole, regclass, regclass, jsonb) IS 'chat.attach_plan for a caller.';

CREATE FUNCTION chat.attach_plan(conversations regclass, messages regclass, columns jsonb DEFAULT '{}')
    RETURNS TABLE (object text, action text, statement text)
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: both tables must be the caller's
COMMENT ON FUNCTION chat.attach_plan(regclass, regclass, jsonb) IS 'What chat.attach would do, which changes and locks nothing. statement: where it can be run before, by itself and in this order, beside writers (psql: \gexec). Errors: those of chat.attach.';
