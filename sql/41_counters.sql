-- Counters and last messages that are not what the messages say.

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
                   ('last_message_at', CASE WHEN chat.lacks_zone(pair.conversations, pair.columns ->> 'last_message_at') THEN 'n.at AT TIME ZONE ''UTC''' ELSE 'n.at' END)) v (role, value)
      JOIN pg_attribute a ON a.attrelid = pair.conversations AND a.attname = pair.columns ->> v.role AND a.attnum > 0 AND NOT a.attisdropped
$$;
REVOKE ALL ON FUNCTION chat.drift_condition(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.drift_condition(chat.attachment) IS 'SQL: whether conversation c differs from unread u and newest message n; NULL when it has no column to keep.';

CREATE FUNCTION chat.drifted(pair chat.attachment) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    visible text := chat.message_visible(pair.messages, c, 'm');
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
        c ->> 'status', visible, chat.message_time(pair.messages, c, 'm'), texts, chat.message_order(pair.messages, c, 'm'), differs,
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
