-- Counters and last messages that are not what the messages say.

-- For everybody: the owners of attached tables run it.
CREATE FUNCTION chat.list_key(at timestamptz) RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_list_key';
COMMENT ON FUNCTION chat.list_key(timestamptz) IS 'The exact list key of a conversation whose last message is of that time: microseconds since 2000. NULL: the key of a conversation without one, which is below all others. Keys of ten minutes (chat.list_bucket) are below that.';

CREATE FUNCTION chat.list_bucket(at timestamptz) RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_list_bucket';
COMMENT ON FUNCTION chat.list_bucket(timestamptz) IS 'The list key of the ten minutes in which a time is.';

CREATE FUNCTION chat.list_key_matches(key bigint, at timestamptz) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_list_key_matches';
COMMENT ON FUNCTION chat.list_key_matches(bigint, timestamptz) IS 'Whether a list key is one of the two that a conversation may have whose last message is of that time; a key that is NULL is none.';

CREATE FUNCTION chat.time_expression(relation regclass, name text, expression text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT CASE WHEN chat.lacks_zone(relation, name) THEN format('(%s AT TIME ZONE ''UTC'')', expression) ELSE expression END $$;
REVOKE ALL ON FUNCTION chat.time_expression(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.time_expression(regclass, text, text) IS 'SQL: a time with zone, of an expression that is of the type of a column.';

CREATE FUNCTION chat.conversation_order(columns jsonb, alias text DEFAULT '') RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN concat_ws(', ', alias || quote_ident(columns ->> 'last_message_at') || ' DESC NULLS LAST',
                     alias || quote_ident(columns ->> 'conversation_id') || ' DESC');
END
$$;
REVOKE ALL ON FUNCTION chat.conversation_order(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_order(jsonb, text) IS 'ORDER BY list of conversations, the one with the newest message first, those without any last.';

CREATE FUNCTION chat.list_key_differs(pair chat.attachment) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT format('NOT chat.list_key_matches(c.%I, %s)', k.name, chat.time_expression(pair.conversations, l.name, format('c.%I', l.name)))
      FROM (VALUES (pair.columns ->> 'list_key')) k (name), (VALUES (pair.columns ->> 'last_message_at')) l (name)
     WHERE chat.attribute_type(pair.conversations, k.name) IS NOT NULL AND chat.attribute_type(pair.conversations, l.name) IS NOT NULL
$$;
REVOKE ALL ON FUNCTION chat.list_key_differs(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.list_key_differs(chat.attachment) IS 'SQL: whether conversation c has a list key that its last message cannot have; NULL where there are no such keys.';

CREATE FUNCTION chat.drift_condition(pair chat.attachment) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    -- What the column can hold of the value; one that must have a value keeps any when there is no message.
    SELECT nullif(concat_ws(' OR ', string_agg(format('(c.%I IS DISTINCT FROM CAST(%s AS %s)%s)', a.attname, v.value, format_type(a.atttypid, a.atttypmod),
                             CASE WHEN a.attnotnull AND v.role <> 'unread_count' THEN ' AND n.at IS NOT NULL' ELSE '' END), ' OR ' ORDER BY v.role),
                             chat.list_key_differs(pair)), '')
      FROM (VALUES ('unread_count', CASE chat.attribute_base_type(pair.conversations, pair.columns ->> 'unread_count')
                        WHEN 'int2'::regtype THEN 'LEAST(COALESCE(u.unread, 0), 32767)' WHEN 'int4'::regtype THEN 'LEAST(COALESCE(u.unread, 0), 2147483647)' ELSE 'COALESCE(u.unread, 0)' END), ('last_message_preview', 'n.preview'),
                   ('last_message_at', CASE WHEN chat.lacks_zone(pair.conversations, pair.columns ->> 'last_message_at') THEN 'n.at AT TIME ZONE ''UTC''' ELSE 'n.at' END)) v (role, value)
      JOIN pg_attribute a ON a.attrelid = pair.conversations AND a.attname = pair.columns ->> v.role AND a.attnum > 0 AND NOT a.attisdropped
$$;
REVOKE ALL ON FUNCTION chat.drift_condition(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.drift_condition(chat.attachment) IS 'SQL: whether conversation c differs from unread u and newest message n; NULL when it has no column to keep.';

CREATE FUNCTION chat.drifted(pair chat.attachment, only_ids text[] DEFAULT NULL) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    -- Each table is read once: a look-up per conversation would take as many times longer.
    counted text := CASE WHEN only_ids IS NULL THEN 'true' ELSE format('m.%I = ANY (CAST($1 AS %s[]))', c ->> 'conversation',
                        chat.attribute_base_type(pair.messages, c ->> 'conversation')) END
        || chat.message_visible(pair.messages, c, 'm');
    texts text := (SELECT string_agg(CASE WHEN c ? r THEN format('m.%I::text', c ->> r) ELSE 'NULL' END, ', ' ORDER BY n)
                     FROM unnest(ARRAY['type', 'content', 'media_filename']) WITH ORDINALITY u (r, n));
    differs text := chat.drift_condition(pair);
BEGIN
    IF differs IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM unnest(chat.read_on(NULL::text[], pair.messages, format(
        'SELECT array_agg(c.%1$I::text ORDER BY c.%1$I) FROM %2$s c'
        ' LEFT JOIN (SELECT m.%4$I AS key, count(*) AS unread FROM %3$s m WHERE %7$s'
        '   AND m.%5$I::text = ''incoming'' AND m.%6$I::text IS DISTINCT FROM ''read'' GROUP BY 1) u ON u.key = c.%1$I'
        ' LEFT JOIN (SELECT DISTINCT ON (m.%4$I) m.%4$I AS key, %8$s AS at, chat.message_preview(%9$s, %12$L) AS preview FROM %3$s m'
        '   WHERE %7$s AND %8$s > ''-infinity'' ORDER BY m.%4$I, %10$s) n ON n.key = c.%1$I'
        ' WHERE (%11$s) AND %13$s',
        c ->> 'conversation_id', pair.conversations, pair.messages, c ->> 'conversation', c ->> 'direction',
        c ->> 'status', counted, chat.message_time(pair.messages, c, 'm'), texts, chat.message_order(pair.messages, c, 'm'), differs,
        pair.settings ->> 'preview_labels',
        CASE WHEN only_ids IS NULL THEN 'true' ELSE format('c.%I = ANY (CAST($1 AS %s[]))', c ->> 'conversation_id',
             chat.attribute_base_type(pair.conversations, c ->> 'conversation_id')) END), only_ids));
END
$$;
REVOKE ALL ON FUNCTION chat.drifted(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.drifted(chat.attachment, text[]) IS 'Ids, in order, of conversations whose counters or last message are not what their messages say; only_ids: of these.';

CREATE FUNCTION chat.touched_since(relation regclass, "column" text, xmin xid8, xmax xid8, running xid8[]) RETURNS text[]
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_touched_since';
REVOKE ALL ON FUNCTION chat.touched_since(regclass, text, xid8, xid8, xid8[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.touched_since(regclass, text, xid8, xid8, xid8[]) IS 'Values of a key column in rows of a table (not of its partitions) that were written or deleted since a snapshot, which the session must still hold. Errors: 0A000 where the table is no heap, 42804, 55000.';

CREATE FUNCTION chat.touched(pair chat.attachment, since pg_snapshot) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT k
          FROM (SELECT l.relid, pair.columns ->> 'conversation' AS name FROM chat.leaves(pair.messages) l
                UNION ALL SELECT pair.conversations, pair.columns ->> 'conversation_id') r,
               unnest(chat.touched_since(r.relid, r.name, pg_snapshot_xmin(since), pg_snapshot_xmax(since), ARRAY(SELECT pg_snapshot_xip(since)))) k);
EXCEPTION WHEN feature_not_supported THEN
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.touched(chat.attachment, pg_snapshot) FROM PUBLIC;
COMMENT ON FUNCTION chat.touched(chat.attachment, pg_snapshot) IS 'Ids of conversations that were written since a snapshot, or messages of theirs; NULL where that cannot be told.';

CREATE FUNCTION chat.still_drifted(pair chat.attachment, drifting text[], touched text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN ARRAY(SELECT unnest(drifting) EXCEPT SELECT unnest(touched))
           || CASE WHEN touched = '{}' THEN '{}' ELSE ARRAY(SELECT chat.drifted(pair, touched)) END;
END
$$;
REVOKE ALL ON FUNCTION chat.still_drifted(chat.attachment, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.still_drifted(chat.attachment, text[], text[]) IS 'What chat.drifted says now, from what it said before: looks only at conversations that were touched since.';

CREATE FUNCTION chat.recount_for(caller regrole, messages regclass) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    conversation text;
    mended bigint := 0;
    noted timestamptz;
BEGIN
    PERFORM chat.require_operator(caller, 'consumer_save');
    IF messages IS NOT NULL AND NOT chat.is_administrator(caller) THEN
        PERFORM chat.attached(messages, caller);
    END IF;
    FOR pair IN SELECT a.* FROM chat.attachment a WHERE ($2 IS NULL OR a.messages = $2)
                 AND (chat.is_administrator(caller) OR chat.owns(caller, a)) ORDER BY a.id LOOP
        SELECT d.since INTO noted FROM chat.recount_due d WHERE d.attachment = pair.id;
        FOR conversation IN SELECT * FROM chat.drifted(pair) LOOP
            IF chat.write_counters(pair.id, conversation) THEN
                mended := mended + 1;
            END IF;
        END LOOP;
        DELETE FROM chat.recount_due d WHERE d.attachment = pair.id AND d.since = noted; -- not what was noted meanwhile
    END LOOP;
    RETURN mended;
END
$$;
REVOKE ALL ON FUNCTION chat.recount_for(regrole, regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.recount_for(regrole, regclass) IS 'chat.recount for a caller: what it owns; for an administrator everything.';

CREATE FUNCTION chat.recount(messages regclass DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: checks whose tables they are
COMMENT ON FUNCTION chat.recount(regclass) IS 'Mends counters and last messages that are not what the messages say, of one attached messages table or of all that are the caller''s; returns how many conversations were mended. Errors: 42501, 42704.';
