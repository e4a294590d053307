-- Lists, by page and by cursor.

CREATE FUNCTION chat.page_limit("limit" integer, otherwise integer) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF "limit" < 1 THEN
        PERFORM chat.bad_input(format('limit %s is not possible', "limit"), 'Use 1 to 100.', field => 'limit');
    END IF;
    RETURN LEAST(COALESCE("limit", otherwise), 100);
END
$$;
REVOKE ALL ON FUNCTION chat.page_limit(integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.page_limit(integer, integer) IS 'How many rows a page has: at most 100. Errors: 22023 for less than 1.';

CREATE FUNCTION chat.base64url(bytes bytea) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN translate(encode(bytes, 'base64'), E'+/=\n', '-_');
END
$$;
REVOKE ALL ON FUNCTION chat.base64url(bytea) FROM PUBLIC;
COMMENT ON FUNCTION chat.base64url(bytea) IS 'Base64 that needs no escaping in URLs, without padding.';

-- A cursor is the place of the last row of a page, {kind|place|...}, with a checksum in front, in base64url. It is no secret and
-- gives no right: ownership is checked on every page.
CREATE FUNCTION chat.encode_cursor(kind text, place text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT chat.base64url(substr(sha256(p), 1, 6) || p) FROM convert_to(kind || '1|' || array_to_string(place, '|', ''), 'UTF8') p);
END
$$;
REVOKE ALL ON FUNCTION chat.encode_cursor(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.encode_cursor(text, text[]) IS 'A cursor of a kind of list (m: messages, c: conversations, w: attempts of a webhook), version 1, behind a row''s place.';

CREATE FUNCTION chat.decode_cursor(cursor text, kind text, length integer) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    bytes bytea;
    place text[];
BEGIN
    IF cursor IS NULL THEN
        RETURN NULL;
    END IF;
    IF length(cursor) BETWEEN 12 AND 400 AND length(cursor) % 4 <> 1 AND cursor ~ '^[A-Za-z0-9_-]+$' THEN
        bytes := decode(rpad(translate(cursor, '-_', '+/'), (length(cursor) + 3) / 4 * 4, '='), 'base64');
        IF substr(bytes, 1, 6) = substr(sha256(substr(bytes, 7)), 1, 6) AND chat.base64url(bytes) = cursor THEN
            place := string_to_array(encode(substr(bytes, 7), 'escape'), '|', '');
        END IF;
    END IF;
    IF place[1] IS DISTINCT FROM kind || '1' OR cardinality(place) <> length + 1 THEN
        PERFORM chat.bad_input('the cursor is not valid', 'Pass pagination.cursor of the page before, as it is.', field => 'cursor');
    END IF;
    RETURN place[2:];
END
$$;
REVOKE ALL ON FUNCTION chat.decode_cursor(text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.decode_cursor(text, text, integer) IS 'The place in a cursor; NULL for none. Errors: 22023 for a cursor that chat.encode_cursor did not make for this kind of list.';

CREATE FUNCTION chat.place_expression(exprs text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    -- As to_jsonb writes them: a time with all its digits and its offset.
    RETURN (SELECT format('ARRAY[%s]', string_agg(format('to_jsonb(%s) #>> ''{}''', e), ', ' ORDER BY n)) FROM unnest(exprs) WITH ORDINALITY u (e, n));
END
$$;
REVOKE ALL ON FUNCTION chat.place_expression(text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.place_expression(text[]) IS 'SQL text for a row''s place as an array of texts.';

CREATE FUNCTION chat.page(rows jsonb, kind text, page integer, "limit" integer, total bigint, newest_last boolean) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    -- rows: [{data, place}], one more than the page has when there are more
    more boolean := jsonb_array_length(rows) > "limit";
    data jsonb := (SELECT jsonb_agg(v -> 'data' ORDER BY CASE WHEN newest_last THEN -n ELSE n END)
                     FROM jsonb_array_elements(rows) WITH ORDINALITY u (v, n) WHERE n <= "limit");
BEGIN
    RETURN jsonb_build_object('success', true, 'data', COALESCE(data, '[]'), 'pagination', jsonb_build_object(
        'page', page, 'limit', "limit", 'total', total, 'hasMore', more,
        'cursor', CASE WHEN more THEN chat.encode_cursor(kind,
            ARRAY(SELECT jsonb_array_elements_text(rows -> ("limit" - 1) -> 'place'))) END));
END
$$;
REVOKE ALL ON FUNCTION chat.page(jsonb, text, integer, integer, bigint, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.page(jsonb, text, integer, integer, bigint, boolean) IS 'The answer of a list function: {success, data, pagination: {page, limit, total, hasMore, cursor}}.';

CREATE FUNCTION chat.message_rows(attachment integer, conversation text, "limit" integer, after text[]) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_message_rows';
REVOKE ALL ON FUNCTION chat.message_rows(integer, text, integer, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_rows(integer, text, integer, text[]) IS 'A page of a conversation''s messages after a place (NULL: the newest), the newest first, and one more: [{data, place}]; NULL for none.';

CREATE FUNCTION chat.list_messages(conversation_id text, "limit" integer DEFAULT 50, cursor text DEFAULT NULL, owner text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_conversation(conversation_id, owner, 'read');
    pair chat.attachment := place.pair;
    size integer := chat.page_limit("limit", 50);
    after text[];
    rows jsonb;
BEGIN
    IF place.key IS NULL THEN
        RETURN NULL;
    END IF;
    after := chat.decode_cursor(cursor, 'm', CASE WHEN chat.attribute_type(pair.messages, pair.columns ->> 'time') IS NULL THEN 2 ELSE 3 END);
    rows := chat.message_rows(pair.id, place.key, size, after);
    RETURN chat.page(COALESCE(rows, '[]'), 'm', NULL, size, NULL, true);
END
$$;
REVOKE ALL ON FUNCTION chat.list_messages(text, integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.list_messages(text, integer, text, text) IS 'Messages of a conversation, for its owner or assigned agent: the newest, or with a cursor those before it, oldest first within the page. NULL: no such conversation. Errors: 22004, 22023 for limit and cursor, 22P02, 42501.';

-- SQL texts of a list of conversations; $3 status, $4 agent, $5 search pattern, $6 place of the last row seen.

CREATE FUNCTION chat.conversation_filter(pair chat.attachment, status text, assigned_to text, unread boolean, search text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    missing text := CASE WHEN status IS NOT NULL AND NOT c ? 'conversation_status' THEN 'conversation_status'
                         WHEN assigned_to IS NOT NULL AND NOT c ? 'agent' THEN 'agent'
                         WHEN unread IS NOT NULL AND NOT c ? 'unread_count' THEN 'unread_count'
                         WHEN search IS NOT NULL AND NOT c ?| '{contact_name,contact_jid}' THEN 'contact_name' END;
    agent text := c -> 'agent' ->> 'column';
BEGIN
    IF missing IS NOT NULL THEN
        PERFORM chat.bad_input(format('table %s has no column for "%s" to filter by', pair.conversations, missing), code => '55000');
    ELSIF status IS NOT NULL THEN
        PERFORM chat.require_conversation_status(status);
    END IF;
    IF assigned_to NOT IN ('unassigned', 'me') AND NOT chat.key_fits(pair.conversations, agent, assigned_to) THEN
        PERFORM chat.bad_input(format('assigned_to "%s" is not valid', left(assigned_to, 64)), 'Pass an assignedAgentId, me or unassigned.', field => 'assigned_to');
    ELSIF length(search) > 256 THEN
        PERFORM chat.bad_input('search is longer than 256 characters', field => 'search');
    END IF;
    RETURN concat_ws(' AND ', 'true',
        CASE WHEN status IS NOT NULL THEN format('c.%I = $3::%s', c ->> 'conversation_status', chat.cast_type(pair.conversations, c ->> 'conversation_status', true)) END,
        CASE WHEN assigned_to = 'me' THEN NULL -- then these are all that is read
             WHEN assigned_to = 'unassigned' THEN format('c.%I IS NULL', agent)
             WHEN assigned_to IS NOT NULL THEN format('c.%I = $4::%s', agent, chat.cast_type(pair.conversations, agent)) END,
        CASE WHEN unread THEN format('c.%I > 0', c ->> 'unread_count')
             WHEN NOT unread THEN format('COALESCE(c.%I, 0) = 0', c ->> 'unread_count') END,
        CASE WHEN search IS NOT NULL THEN (SELECT '(' || string_agg(format('c.%I ILIKE $5', c ->> r), ' OR ') || ')'
            FROM unnest('{contact_name,contact_jid}'::text[]) r WHERE c ? r) END);
END
$$;
REVOKE ALL ON FUNCTION chat.conversation_filter(chat.attachment, text, text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_filter(chat.attachment, text, text, boolean, text) IS 'SQL text: which of an owner''s conversations c are wanted. Errors: 22023, 55000 for a filter by a column the table lacks.';

-- Row comparison knows no NULLs: what has no last message comes last, as a part of its own.
CREATE FUNCTION chat.parts_by_time(pair chat.attachment, after text[]) RETURNS chat.list_part[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    id text := quote_ident(c ->> 'conversation_id');
    last text := quote_ident(c ->> 'last_message_at');
    id_type text := chat.cast_type(pair.conversations, c ->> 'conversation_id');
    bounds text[];
BEGIN
    IF after IS NULL THEN
        bounds := '{true}';
    ELSIF last IS NULL THEN
        bounds := ARRAY[format('c.%s < $6[1]::%s', id, id_type)];
    ELSIF after[1] IS NULL THEN
        bounds := ARRAY[format('c.%s IS NULL AND c.%s < $6[2]::%s', last, id, id_type)];
    ELSE
        bounds := ARRAY[format('(c.%s, c.%s) < ($6[1]::%s, $6[2]::%s)', last, id, chat.cast_type(pair.conversations, c ->> 'last_message_at'), id_type),
                        format('c.%s IS NULL', last)];
    END IF;
    RETURN ARRAY(SELECT ROW(b, chat.conversation_order(c, 'c.'))::chat.list_part FROM unnest(bounds) b);
END
$$;
REVOKE ALL ON FUNCTION chat.parts_by_time(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.parts_by_time(chat.attachment, text[]) IS 'The parts of a list of conversations that come after a place, where indexes are by the last message.';

-- Exact keys are in the order of the list. Those of ten minutes are so as well, and what has the same is sorted when it is
-- reached. A conversation that has no key yet, since the column is new, is in a part that is sorted whole.
CREATE FUNCTION chat.parts_by_key(pair chat.attachment, after text[]) RETURNS chat.list_part[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    key text := 'c.' || quote_ident(c ->> 'list_key');
    id text := 'c.' || quote_ident(c ->> 'conversation_id');
    id_type text := chat.cast_type(pair.conversations, c ->> 'conversation_id');
    time_type text := chat.cast_type(pair.conversations, c ->> 'last_message_at');
    at text := chat.time_expression(pair.conversations, c ->> 'last_message_at', format('$6[1]::%s', time_type));
    never bigint := chat.list_key(NULL);
    by_time text := chat.conversation_order(c, 'c.');
    parts chat.list_part[] := ARRAY[ROW(concat_ws(' AND ', format('%s >= %s', key, never),
        CASE WHEN after IS NOT NULL THEN format('(%s, %s) < (chat.list_key(%s), $6[2]::%s)', key, id, at, id_type) END),
        format('%s DESC, %s DESC', key, id))];
    part chat.list_part;
BEGIN
    IF after IS NULL OR after[1] IS NOT NULL THEN
        parts := parts || ROW(concat_ws(' AND ', format('%s < %s', key, never),
            CASE WHEN after IS NOT NULL THEN format('%s <= chat.list_bucket(%s) AND (c.%I, %s) < ($6[1]::%s, $6[2]::%s)', key, at, c ->> 'last_message_at', id, time_type, id_type) END),
            format('%s DESC, %s', key, by_time))::chat.list_part;
    END IF;
    IF NOT (SELECT a.attnotnull FROM pg_attribute a WHERE a.attrelid = pair.conversations AND a.attname = c ->> 'list_key') THEN
        FOREACH part IN ARRAY chat.parts_by_time(pair, after) LOOP
            parts := parts || ROW(format('%s IS NULL AND %s', key, part.bound), part.ranking)::chat.list_part;
        END LOOP;
    END IF;
    RETURN parts;
END
$$;
REVOKE ALL ON FUNCTION chat.parts_by_key(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.parts_by_key(chat.attachment, text[]) IS 'The parts of a list of conversations that come after a place, where indexes are by list key.';

-- A table may have a column of the alias's name: the whole row is (c.*).
-- Each account of the owner's, then each agent that the user is, and each part, is a query of its own, which reads in the order of
-- an index and no further than the page needs. They are constants in it: the planner must see how many conversations they have.
-- What is both the user's and assigned to it is among those of its account.
CREATE FUNCTION chat.conversation_parts(pair chat.attachment, accounts integer, agents integer, what text, filter text, parts chat.list_part[], most text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    owner text := pair.columns -> 'owner' ->> 'column';
BEGIN
    RETURN (SELECT string_agg(format('(SELECT %s FROM %s AS c WHERE c.%I = $2[%s]::%s%s AND %s AND %s ORDER BY %s LIMIT %s)', what, pair.conversations,
               k.name, n, chat.cast_type(pair.conversations, k.name),
               CASE WHEN n > accounts AND accounts > 0 THEN format(' AND (c.%1$I <> ALL ($2[1:%2$s]::%3$s[])) IS NOT FALSE', owner, accounts,
                                                                   chat.cast_type(pair.conversations, owner)) END,
               filter, p.bound, p.ranking, most), ' UNION ALL ')
      FROM generate_series(1, accounts + agents) n, LATERAL (SELECT CASE WHEN n > accounts THEN pair.columns -> 'agent' ->> 'column' ELSE owner END) k (name),
           unnest(parts) p);
END
$$;
REVOKE ALL ON FUNCTION chat.conversation_parts(chat.attachment, integer, integer, text, text, chat.list_part[], text) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_parts(chat.attachment, integer, integer, text, text, chat.list_part[], text) IS 'SQL text: the wanted conversations of each of the accounts in $2, then of each of the agents behind them, and each part of a list, up to so many of each.';

CREATE FUNCTION chat.conversation_page(pair chat.attachment, accounts integer, agents integer, filter text, after text[]) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT format($f$
        SELECT jsonb_agg(jsonb_build_object('data', chat.row_json($1, p.c), 'place', %1$s) ORDER BY p.n)
          FROM (SELECT u.c, row_number() OVER (ORDER BY %2$s) AS n FROM (%3$s) u ORDER BY %2$s LIMIT $7 OFFSET $8) p$f$,
        chat.place_expression(ARRAY(SELECT format('(p.c).%I', pair.columns ->> r)
            FROM unnest('{last_message_at,conversation_id}'::text[]) WITH ORDINALITY u (r, n) WHERE pair.columns ? r ORDER BY n)),
        chat.conversation_order(pair.columns, '(u.c).'),
        chat.conversation_parts(pair, accounts, agents, format('(c.*)::%s AS c', pair.conversations), filter,
            CASE WHEN pair.columns ? 'list_key' THEN chat.parts_by_key(pair, after) ELSE chat.parts_by_time(pair, after) END, '$7 + $8')));
END
$$;
REVOKE ALL ON FUNCTION chat.conversation_page(chat.attachment, integer, integer, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_page(chat.attachment, integer, integer, text, text[]) IS 'SQL text of the statement that reads $7 conversations after $8 others and after a place, NULL for none: [{data, place}].';

CREATE FUNCTION chat.conversation_count(pair chat.attachment, accounts integer, agents integer, filter text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    ranking text := CASE WHEN pair.columns ? 'list_key' THEN format('c.%I DESC, c.%I DESC', pair.columns ->> 'list_key', pair.columns ->> 'conversation_id')
                         ELSE chat.conversation_order(pair.columns, 'c.') END;
BEGIN
    RETURN format('SELECT count(*) FROM (SELECT FROM (%s) u LIMIT $6) n',
                  chat.conversation_parts(pair, accounts, agents, '1', filter, ARRAY[ROW('true', ranking)::chat.list_part], '$6'));
END
$$;
REVOKE ALL ON FUNCTION chat.conversation_count(chat.attachment, integer, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_count(chat.attachment, integer, integer, text) IS 'SQL text of the statement that counts an owner''s wanted conversations, up to $6, in the order of an index.';

CREATE FUNCTION chat.list_conversations(owner text, page integer DEFAULT 1, "limit" integer DEFAULT 20, status text DEFAULT NULL,
                                        assigned_to text DEFAULT NULL, cursor text DEFAULT NULL, unread boolean DEFAULT NULL,
                                        search text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    most constant integer := 10000; -- more than this are not counted: a total must not cost more than the page
    size integer := chat.page_limit("limit", 20);
    number integer := CASE WHEN cursor IS NULL THEN page END;
    pattern text := chat.like_pattern(search);
    pair chat.attachment;
    keys text[]; -- of accounts that the user owns, none for "me"
    agents text[];
    filter text;
    after text[];
    rows jsonb;
    total bigint;
BEGIN
    PERFORM chat.require_owner(owner);
    IF number < 1 THEN
        PERFORM chat.bad_input(format('page %s is not possible', number), 'Pages are counted from 1.', field => 'page');
    END IF;
    IF chat.user_is_unknown(owner) THEN
        RETURN chat.page('[]', 'c', number, size, CASE WHEN number IS NOT NULL THEN 0 END, false);
    END IF;
    pair := chat.pair_for(owner, true);
    keys := CASE WHEN assigned_to = 'me' THEN '{}' ELSE COALESCE(chat.user_keys(pair.id, 'owner', owner), '{}') END;
    agents := COALESCE(chat.user_keys(pair.id, 'agent', owner), '{}');
    filter := chat.conversation_filter(pair, status, assigned_to, unread, pattern);
    after := chat.decode_cursor(cursor, 'c', CASE WHEN pair.columns ? 'last_message_at' THEN 2 ELSE 1 END);
    rows := chat.read_on(NULL::jsonb, pair.conversations, chat.conversation_page(pair, cardinality(keys), cardinality(agents), filter, after),
        pair.id, keys || agents, status, assigned_to, pattern, after, size + 1, COALESCE((number - 1)::bigint * size, 0));
    IF jsonb_array_length(rows) <= size OR rows IS NULL AND number = 1 THEN -- the last page: it tells how many there are
        total := (number - 1)::bigint * size + COALESCE(jsonb_array_length(rows), 0);
    ELSIF number IS NOT NULL THEN
        total := chat.read_on(NULL::bigint, pair.conversations, chat.conversation_count(pair, cardinality(keys), cardinality(agents), filter),
            pair.id, keys || agents, status, assigned_to, pattern, most + 1);
    END IF;
    RETURN chat.page(COALESCE(rows, '[]'), 'c', number, size, CASE WHEN total <= most THEN total END, false);
END
$$;
REVOKE ALL ON FUNCTION chat.list_conversations(text, integer, integer, text, text, text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.list_conversations(text, integer, integer, text, text, text, boolean, text) IS 'The conversations that a user owns or is assigned to, the one with the newest message first: a page by number, or the one after a cursor. total is exact up to 10,000, else null; with page NULL or a cursor nothing is counted. assigned_to: an assignedAgentId, unassigned, or me for those assigned to the user alone; unread: true or false; search: text in the contact''s name or address. Errors: 22004, 22023, 42501, 55000.';
