-- Hints at what tables that others made lack, and have twice.

CREATE FUNCTION chat.webhook_hints(pair chat.attachment) RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE WHEN u.allowed THEN 'warning' ELSE 'error' END, pair.webhooks::text,
           format('%s%s webhooks of %s have no secret: what they get is not signed', u.number, CASE WHEN u.number = 1000 THEN ' or more' ELSE '' END, pair.webhooks),
           CASE WHEN u.allowed THEN format('SELECT chat.configure(%L, %L)', pair.messages, '{"unsigned": null}')
                ELSE format('UPDATE %s SET secret = NULL WHERE secret IS NULL OR secret = %L', pair.webhooks, '') END
      FROM (SELECT chat.count_unsigned(pair.webhooks) AS number, chat.goes_unsigned(pair.webhooks) AS allowed WHERE pair.webhooks IS NOT NULL) u
     WHERE u.number > 0
$$;
REVOKE ALL ON FUNCTION chat.webhook_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_hints(chat.attachment) IS 'Part of chat.hints: webhooks without a secret.';

CREATE FUNCTION chat.ability_hints(pair chat.attachment) RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE WHEN c.essential THEN 'error' ELSE 'info' END, t.relation::text,
           format(CASE WHEN c.essential THEN '%s is not used: it has no column %s, which it takes %s' ELSE '%s has no column %s, which it takes %s' END,
                  t.relation, quote_ident(c.name), c.ability), chat.add_column(t.relation, c.kind, c.name)
      FROM (VALUES (1, 'conversations', pair.conversations), (2, 'messages', pair.messages), (3, 'api_keys', pair.api_keys), (4, 'webhooks', pair.webhooks))
           t (n, kind, relation)
      JOIN chat.ability_columns() c ON c.kind = t.kind
     WHERE t.relation IS NOT NULL AND chat.attribute_type(t.relation, c.name) IS NULL
       -- Another column may be what it is for.
       AND NOT EXISTS (SELECT FROM chat.column_roles() r WHERE r.messages = (t.kind = 'messages') AND t.n <= 2 AND c.name = ANY (r.candidates) AND pair.columns ? r.role)
       AND c.name <> 'chat_list_key' -- of which chat.counter_hints tells
       AND NOT (c.name = 'rate_limit' AND chat.attribute_type(t.relation, 'rate_limit_per_minute') IS NOT NULL)
     ORDER BY t.n, c.essential DESC, c.name
$$;
REVOKE ALL ON FUNCTION chat.ability_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.ability_hints(chat.attachment) IS 'Part of chat.hints, and told by chat.setup: columns that tables of a pair lack, what for, and the statements that add them.';

CREATE FUNCTION chat.row_security_hints(pair chat.attachment) RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE WHEN u.clients THEN 'error' ELSE 'warning' END, u.relation::text,
           format(CASE WHEN u.clients THEN 'row-level security is off on %s, which clients may use'
                       ELSE 'row-level security is off on %s, so users cannot be let read what is theirs' END, u.relation),
           format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', u.relation)
      FROM (SELECT c.oid::regclass AS relation, EXISTS (
                       SELECT FROM aclexplode(c.relacl) a LEFT JOIN pg_roles k ON k.oid = a.grantee
                        WHERE a.grantee = 0 OR k.rolname IN ('anon', 'authenticated')) AS clients
              FROM pg_class c WHERE c.oid IN (pair.conversations, pair.messages, pair.webhooks, pair.api_keys) AND NOT c.relrowsecurity) u
     WHERE u.clients OR u.relation IN (pair.webhooks, pair.api_keys) ORDER BY 2
$$;
REVOKE ALL ON FUNCTION chat.row_security_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.row_security_hints(chat.attachment) IS 'Part of chat.hints, and told by chat.setup: tables without row-level security that clients may use, or should.';

-- One that backs a constraint, is unique or is part of a partitioned one stays; of two that are alike otherwise the older does.
CREATE FUNCTION chat.index_hints(pair chat.attachment) RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    WITH own AS (
        SELECT i.*, chat.index_sense(split_part(pg_get_indexdef(i.indexrelid), ' USING btree ', 2)) AS sense
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
         WHERE i.indrelid IN (pair.conversations, pair.messages, pair.webhooks, pair.api_keys) AND i.indisvalid AND m.amname = 'btree')
    SELECT DISTINCT ON (b.indexrelid) 'info', b.indrelid::regclass::text,
           format('index %s is equal to %s, and costs every write without a use', b.indexrelid::regclass, a.indexrelid::regclass),
           format('DROP INDEX %s%s', CASE WHEN c.relkind = 'I' THEN '' ELSE 'CONCURRENTLY ' END, b.indexrelid::regclass)
      FROM own a JOIN own b ON b.indrelid = a.indrelid AND b.sense = a.sense AND a.indexrelid <> b.indexrelid
       AND (a.indisunique OR a.indexrelid < b.indexrelid)
      JOIN pg_class c ON c.oid = b.indexrelid
     WHERE NOT b.indisunique AND NOT b.indisexclusion AND NOT b.indisreplident AND NOT b.indisclustered AND NOT c.relispartition
     ORDER BY b.indexrelid, a.indexrelid
$$;
REVOKE ALL ON FUNCTION chat.index_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.index_hints(chat.attachment) IS 'Part of chat.hints: indexes that another one makes needless.';

-- What an index depends on is in its keys, its condition or its expressions. One that only summarizes (BRIN) is no hindrance from 16 on.
CREATE FUNCTION chat.indexes_of_counters(pair chat.attachment) RETURNS TABLE (index regclass, columns text[], droppable boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT i.indexrelid::regclass, array_agg(quote_ident(a.attname) ORDER BY a.attnum),
           NOT (i.indisunique OR i.indisexclusion OR i.indisreplident OR EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid))
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname IN (SELECT pair.columns ->> r FROM unnest(
           '{unread_count,last_message_at,last_message_preview,conversation_updated_at}'::text[]) r)
     WHERE i.indrelid = pair.conversations AND (m.amname <> 'brin' OR current_setting('server_version_num')::integer < 160000)
       AND (a.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                                                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
     GROUP BY i.indexrelid, i.indisunique, i.indisexclusion, i.indisreplident
$$;
REVOKE ALL ON FUNCTION chat.indexes_of_counters(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.indexes_of_counters(chat.attachment) IS 'Indexes of conversations that hold what each message changes, with those columns; droppable: nothing but speed depends on it.';

CREATE FUNCTION chat.heap_only_statements(pair chat.attachment) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF pair.columns ? 'last_message_at' AND NOT pair.columns ? 'list_key' THEN
        RETURN NEXT chat.add_column(pair.conversations, 'conversations', 'chat_list_key');
        IF chat.is_large(pair.conversations) THEN
            RETURN NEXT format('SELECT statement FROM chat.attach_plan(%L, %L)', pair.conversations, pair.messages);
        END IF;
        RETURN QUERY VALUES (format('SELECT * FROM chat.attach(%L, %L)', pair.conversations, pair.messages)), (format('SELECT chat.recount(%L)', pair.messages));
    ELSIF EXISTS (SELECT FROM chat.missing_indexes(pair) i WHERE i.relation = pair.conversations) THEN
        RETURN NEXT format('SELECT statement FROM chat.attach_plan(%L, %L)', pair.conversations, pair.messages);
    END IF;
    RETURN QUERY SELECT format('DROP INDEX CONCURRENTLY %s', i.index) FROM chat.indexes_of_counters(pair) i WHERE i.droppable ORDER BY i.index::text COLLATE "C";
    IF NOT EXISTS (SELECT FROM pg_class c, pg_options_to_table(c.reloptions) o WHERE c.oid = pair.conversations AND o.option_name = 'fillfactor') THEN
        RETURN QUERY SELECT format('ALTER TABLE %s SET (fillfactor = %s)', pair.conversations, chat.fill_factor());
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.heap_only_statements(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.heap_only_statements(chat.attachment) IS 'The statements, in order, after which messages leave the indexes of their conversations alone.';

CREATE FUNCTION chat.counter_hints(pair chat.attachment) RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'info', pair.conversations::text,
           format('what each message changes (%s) is in %s: so each message writes into all indexes of %s',
                  (SELECT string_agg(DISTINCT n COLLATE "C", ', ') FROM chat.indexes_of_counters(pair) x, unnest(x.columns) n WHERE x.droppable),
                  u.indexes, pair.conversations), s.statement
      FROM (SELECT string_agg(i.index::text, ', ' ORDER BY i.index::text COLLATE "C") AS indexes FROM chat.indexes_of_counters(pair) i WHERE i.droppable) u,
           chat.heap_only_statements(pair) WITH ORDINALITY s (statement, n)
     WHERE u.indexes IS NOT NULL ORDER BY s.n
$$;
REVOKE ALL ON FUNCTION chat.counter_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.counter_hints(chat.attachment) IS 'Part of chat.hints, and told by chat.attach: indexes that keep counters from being heap-only updates, and the statements that make them so, in order.';
