-- Counters and last messages that are not what the messages say.

CREATE FUNCTION chat.time_expression(columns jsonb, role text, alias text DEFAULT '') RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN format(CASE WHEN columns -> 'utc' ? role THEN '(%s%I AT TIME ZONE ''UTC''::text)' ELSE '%s%I' END, alias, columns ->> role);
END
$$;
REVOKE ALL ON FUNCTION chat.time_expression(jsonb, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.time_expression(jsonb, text, text) IS 'SQL for a time column as a time with zone: times without zone count as UTC.';

CREATE FUNCTION chat.message_time(columns jsonb, alias text DEFAULT '') RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN CASE WHEN columns ? 'time'
                THEN format('COALESCE(%s, %s)', chat.time_expression(columns, 'time', alias), chat.time_expression(columns, 'created_at', alias))
                ELSE chat.time_expression(columns, 'created_at', alias) END;
END
$$;
REVOKE ALL ON FUNCTION chat.message_time(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_time(jsonb, text) IS 'SQL for a message''s time, as a time with zone.';

CREATE FUNCTION chat.message_position(columns jsonb, alias text DEFAULT '') RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN CASE WHEN columns ? 'time' THEN ARRAY[chat.message_time(columns, alias)] ELSE '{}' END
           || ARRAY[chat.time_expression(columns, 'created_at', alias), alias || quote_ident(columns ->> 'message_id')];
END
$$;
REVOKE ALL ON FUNCTION chat.message_position(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_position(jsonb, text) IS 'Expressions that give a message its place: time (where it has one of its own), created_at, id.';

CREATE FUNCTION chat.message_order(columns jsonb, alias text DEFAULT '') RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN array_to_string(chat.message_position(columns, alias), ' DESC NULLS LAST, ') || ' DESC';
END
$$;
REVOKE ALL ON FUNCTION chat.message_order(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_order(jsonb, text) IS 'ORDER BY list of messages, newest first: time, created_at, id; those without a time last.';

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

CREATE FUNCTION chat.drift_condition(pair chat.attachment) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    -- What the column can hold of the value; one that must have a value keeps any when there is no message.
    SELECT string_agg(format('(c.%I IS DISTINCT FROM CAST(%s AS %s)%s)', a.attname, v.value, format_type(a.atttypid, a.atttypmod),
                             CASE WHEN a.attnotnull AND v.role <> 'unread_count' THEN ' AND n.at IS NOT NULL' ELSE '' END), ' OR ' ORDER BY v.role)
      FROM (VALUES ('unread_count', CASE chat.attribute_base_type(pair.conversations, pair.columns ->> 'unread_count')
                        WHEN 'int2'::regtype THEN 'LEAST(u.unread, 32767)' WHEN 'int4'::regtype THEN 'LEAST(u.unread, 2147483647)' ELSE 'u.unread' END), ('last_message_preview', 'n.preview'),
                   ('last_message_at', CASE WHEN pair.columns -> 'utc' ? 'last_message_at' THEN 'n.at AT TIME ZONE ''UTC''' ELSE 'n.at' END)) v (role, value)
      JOIN pg_attribute a ON a.attrelid = pair.conversations AND a.attname = pair.columns ->> v.role AND a.attnum > 0 AND NOT a.attisdropped
$$;
REVOKE ALL ON FUNCTION chat.drift_condition(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.drift_condition(chat.attachment) IS 'SQL: whether conversation c differs from unread u and newest message n; NULL when it has no column to keep.';

CREATE FUNCTION chat.drifted(pair chat.attachment) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    visible text := CASE WHEN c ? 'private' THEN format(' AND m.%I IS NOT TRUE', c ->> 'private') ELSE '' END
        || CASE WHEN NOT c ? 'deleted' THEN ''
                WHEN chat.attribute_base_type(pair.messages, c ->> 'deleted') = 'bool'::regtype
                THEN format(' AND m.%I IS NOT TRUE', c ->> 'deleted')
                ELSE format(' AND m.%I IS NULL', c ->> 'deleted') END;
    texts text := (SELECT string_agg(CASE WHEN c ? r THEN format('m.%I::text', c ->> r) ELSE 'NULL' END, ', ' ORDER BY n)
                     FROM unnest(ARRAY['type', 'content', 'media_filename']) WITH ORDINALITY u (r, n));
    differs text := chat.drift_condition(pair);
BEGIN
    IF differs IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM unnest(chat.read_on(NULL::text[], pair.messages, format(
        'SELECT array_agg(c.%1$I::text ORDER BY c.%1$I) FROM %2$s c'
        ' CROSS JOIN LATERAL (SELECT count(*) AS unread FROM %3$s m WHERE m.%4$I = c.%1$I'
        '   AND m.%5$I::text = ''incoming'' AND m.%6$I::text IS DISTINCT FROM ''read'' %7$s) u'
        ' LEFT JOIN LATERAL (SELECT %8$s AS at, chat.message_preview(%9$s, %12$L) AS preview FROM %3$s m'
        '   WHERE m.%4$I = c.%1$I AND %8$s > ''-infinity'' %7$s ORDER BY %10$s LIMIT 1) n ON true'
        ' WHERE %11$s',
        c ->> 'conversation_id', pair.conversations, pair.messages, c ->> 'conversation', c ->> 'direction',
        c ->> 'status', visible, chat.message_time(c, 'm.'), texts, chat.message_order(c, 'm.'), differs,
        pair.settings ->> 'preview_labels'), NULL::text));
END
$$;
REVOKE ALL ON FUNCTION chat.drifted(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.drifted(chat.attachment) IS 'Ids, in order, of conversations whose counters or last message are not what their messages say.';

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
