-- Indexes of a pair of tables: which there have to be, which are missing, and making them beside writers or in their way.

CREATE FUNCTION chat.leaves(relation regclass) RETURNS TABLE (relid regclass)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT p.relid FROM pg_partition_tree(relation) p WHERE p.isleaf
    UNION SELECT relation WHERE NOT EXISTS (SELECT FROM pg_partition_tree(relation))
$$;
REVOKE ALL ON FUNCTION chat.leaves(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.leaves(regclass) IS 'The tables that hold the rows of a table: its partitions, or itself.';

CREATE FUNCTION chat.index_name(relation regclass, suffix text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE WHEN octet_length(c.relname) <= 45 THEN c.relname || '_chat_' || suffix || '_idx'
                ELSE format('chat_%s_%s_idx', relation::oid, suffix) END FROM pg_class c WHERE c.oid = relation
$$;
REVOKE ALL ON FUNCTION chat.index_name(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.index_name(regclass, text) IS 'The name of an index that the extension makes.';

-- Without parentheses, of which PostgreSQL 15 to 17 show a pair more than 18, and without what does not change which rows are
-- found in which order: how pages are filled, whether it is unique, and the casts that a condition on varchar brings along.
CREATE FUNCTION chat.index_sense(definition text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT translate(regexp_replace(d.keys, ' (NULLS (NOT )?DISTINCT|WITH [(].*[)])', '', 'g'), '()', '')
           || CASE WHEN d.condition = '' THEN '' ELSE ' WHERE ' || regexp_replace(regexp_replace(translate(regexp_replace(d.condition,
                  '::(character varying|[a-z_]+)([(][0-9]+[)])?([[][]])?', '', 'g'), '()', ''), '= ANY ARRAY[[]([^]]*)[]]', 'IN \1'), '^([^ ]+) = true$', '\1') END
      FROM (SELECT split_part($1, ' WHERE ', 1) AS keys, split_part($1, ' WHERE ', 2) AS condition) d
$$;
REVOKE ALL ON FUNCTION chat.index_sense(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.index_sense(text) IS 'Keys and condition of an index, from CREATE INDEX or pg_get_indexdef, such that those of equal indexes are equal.';

CREATE FUNCTION chat.equal_index(relation regclass, definition text) RETURNS regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT i.indexrelid FROM pg_index i
     WHERE i.indrelid = relation
       AND chat.index_sense(split_part(pg_get_indexdef(i.indexrelid), ' USING btree ', 2)) = chat.index_sense(definition)
     ORDER BY i.indisvalid DESC, i.indexrelid LIMIT 1
$$;
REVOKE ALL ON FUNCTION chat.equal_index(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.equal_index(regclass, text) IS 'An index of a table that is as defined, whatever its name, a valid one before others. Keys must be spelled as pg_get_indexdef does, but for parentheses.';

-- 16 MB are some tenths of a second of an index.
CREATE FUNCTION chat.is_large(relation regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT COALESCE(sum(pg_relation_size(l.relid)), 0) > 16777216 FROM chat.leaves(relation) l $$;
REVOKE ALL ON FUNCTION chat.is_large(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.is_large(regclass) IS 'Whether making an index of a table would hold up writers for longer than a moment.';

CREATE FUNCTION chat.index_if_missing(relation regclass, name text, definition text) RETURNS SETOF chat.missing_index
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT relation, name, definition,
           (SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = relation AND c.relname = name),
           chat.is_large(relation)
     WHERE NOT COALESCE((SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = chat.equal_index(relation, definition)), false)
$$;
REVOKE ALL ON FUNCTION chat.index_if_missing(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.index_if_missing(regclass, text, text) IS 'A row, unless the table has a valid index that is as defined.';

-- An owner's list is in the order (last message, id), as it is and by status; an agent's, whoever owns it. Where the table has a
-- list key they are by that, and where it has no last message by id, so that no index holds what a message changes; else they are
-- by the last message, and of what is unread, too.
CREATE FUNCTION chat.missing_indexes(pair chat.attachment) RETURNS SETOF chat.missing_index
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    owner text := quote_ident(c -> 'owner' ->> 'column');
    keyed boolean := c ? 'list_key';
    list text := CASE WHEN keyed THEN concat_ws(', ', quote_ident(c ->> 'list_key'), quote_ident(c ->> 'conversation_id')) ELSE chat.conversation_order(c) END;
    status text := quote_ident(c ->> 'conversation_status');
    agent text := quote_ident(c -> 'agent' ->> 'column');
BEGIN
    RETURN QUERY -- without a column of the role there is no definition
    SELECT m.* FROM (VALUES
        (pair.messages, 'newest', format('(%I, %s)', c ->> 'conversation', chat.message_order(pair.messages, c))),
        (pair.messages, 'external', '(' || quote_ident(c ->> 'external_id') || ', ' || quote_ident(c ->> 'conversation') || ')'),
        (pair.conversations, CASE WHEN keyed THEN 'listkey' ELSE 'list' END, format('(%s, %s)', owner, list)),
        (pair.conversations, CASE WHEN keyed THEN 'statekey' ELSE 'status' END, '(' || owner || ', ' || status || ', ' || list || ')'),
        (pair.conversations, CASE WHEN keyed THEN 'agentkey' ELSE 'agent' END, '(' || agent || ', ' || list || ') WHERE (' || agent || ' IS NOT NULL)'),
        (pair.conversations, 'unread', CASE WHEN c ? 'last_message_at' AND NOT keyed THEN '(' || owner || ', ' || list || ') WHERE (' || quote_ident(c ->> 'unread_count') || ' > 0)' END))
        v (relation, suffix, definition), chat.index_if_missing(v.relation, chat.index_name(v.relation, v.suffix), v.definition) m
     WHERE v.definition IS NOT NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.missing_indexes(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.missing_indexes(chat.attachment) IS 'Indexes that a pair does not have, and by which its messages and conversations are found and listed.';

CREATE FUNCTION chat.index_statement(missing chat.missing_index) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT format('CREATE INDEX %I ON %s %s', missing.name, missing.relation, missing.definition) $$;
REVOKE ALL ON FUNCTION chat.index_statement(chat.missing_index) FROM PUBLIC;
COMMENT ON FUNCTION chat.index_statement(chat.missing_index) IS 'The statement that makes an index, in the way of writers.';

-- Of a partitioned table: the parents' indexes as shells, those of the partitions one by one, and then put together,
-- which makes the parent's valid. What an earlier try has finished is not made again.
CREATE FUNCTION chat.index_statements(missing chat.missing_index) RETURNS TABLE (statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    p record;
    own regclass;
    made jsonb := '{}'; -- name of the index by table
    parts text[] := '{}';
BEGIN
    FOR p IN
        SELECT t.relid::regclass AS relation, t.parentrelid::regclass AS parent, t.isleaf AS leaf, t.level, n.nspname AS schema,
               CASE WHEN t.level = 0 THEN missing.name ELSE format('%s_%s', missing.name, t.relid::oid) END AS name
          FROM (SELECT * FROM pg_partition_tree(missing.relation)
                UNION ALL SELECT missing.relation, NULL, true, 0 WHERE NOT EXISTS (SELECT FROM pg_partition_tree(missing.relation))) t
          JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
         ORDER BY t.level, t.relid::oid
    LOOP
        own := chat.equal_index(p.relation, missing.definition);
        IF p.leaf AND NOT (SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = own) THEN
            own := NULL; -- was interrupted
        END IF;
        IF own IS NULL THEN
            IF to_regclass(format('%I.%I', p.schema, p.name)) IS NOT NULL THEN
                RETURN QUERY SELECT format('DROP INDEX %s%I.%I', CASE WHEN p.leaf THEN 'CONCURRENTLY ' ELSE '' END, p.schema, p.name);
            END IF;
            RETURN QUERY SELECT format(CASE WHEN p.leaf THEN 'CREATE INDEX CONCURRENTLY %I ON %s %s' ELSE 'CREATE INDEX %I ON ONLY %s %s' END,
                                       p.name, p.relation, missing.definition);
        END IF;
        made := made || jsonb_build_object(p.relation::oid::text, COALESCE(own::text, format('%I.%I', p.schema, p.name)));
        IF p.level > 0 AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = own) THEN
            parts := format('ALTER INDEX %s ATTACH PARTITION %s', made ->> p.parent::oid::text, made ->> p.relation::oid::text) || parts;
        END IF;
    END LOOP;
    RETURN QUERY SELECT u FROM unnest(parts) u;
END
$$;
REVOKE ALL ON FUNCTION chat.index_statements(chat.missing_index) FROM PUBLIC;
COMMENT ON FUNCTION chat.index_statements(chat.missing_index) IS 'The statements that make an index beside writers, each to be run by itself.';

CREATE FUNCTION chat.make_index(missing chat.missing_index, caller regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF missing.stale IS NOT NULL THEN -- of columns that had other names or types
        PERFORM chat.execute_as(caller, format('DROP INDEX %s', missing.stale));
    END IF;
    PERFORM chat.execute_as(caller, chat.index_statement(missing));
END
$$;
REVOKE ALL ON FUNCTION chat.make_index(chat.missing_index, regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_index(chat.missing_index, regrole) IS 'Makes an index with the rights of a role.';

CREATE FUNCTION chat.make_indexes(pair chat.attachment, caller regrole) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    i chat.missing_index;
BEGIN
    FOR i IN SELECT * FROM chat.missing_indexes(pair) m WHERE NOT m.large LOOP
        PERFORM chat.make_index(i, caller);
        RETURN QUERY SELECT i.relation::text, format('index %s created', i.name);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.make_indexes(chat.attachment, regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_indexes(chat.attachment, regrole) IS 'Makes the indexes of a pair that are missing, but for large tables'', and says which.';
