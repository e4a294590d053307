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

-- What a list of conversations may be filtered by.
CREATE FUNCTION chat.check_conversation_filter(pair chat.attachment, status text, assigned_to text, unread boolean, search text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := pair.columns;
    missing text := CASE WHEN status IS NOT NULL AND NOT c ? 'conversation_status' THEN 'conversation_status'
                         WHEN assigned_to IS NOT NULL AND NOT c ? 'agent' THEN 'agent'
                         WHEN unread IS NOT NULL AND NOT c ? 'unread_count' THEN 'unread_count'
                         WHEN search IS NOT NULL AND NOT c ?| '{contact_name,contact_jid}' THEN 'contact_name' END;
BEGIN
    IF missing IS NOT NULL THEN
        PERFORM chat.bad_input(format('table %s has no column for "%s" to filter by', pair.conversations, missing), code => '55000');
    ELSIF status IS NOT NULL THEN
        PERFORM chat.require_conversation_status(status);
    END IF;
    IF assigned_to NOT IN ('unassigned', 'me') AND NOT chat.key_fits(pair.conversations, c -> 'agent' ->> 'column', assigned_to) THEN
        PERFORM chat.bad_input(format('assigned_to "%s" is not valid', left(assigned_to, 64)), 'Pass an assignedAgentId, me or unassigned.', field => 'assigned_to');
    ELSIF length(search) > 256 THEN
        PERFORM chat.bad_input('search is longer than 256 characters', field => 'search');
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_conversation_filter(chat.attachment, text, text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_conversation_filter(chat.attachment, text, text, boolean, text) IS 'Refuses a filter of a list of conversations. Errors: 22023, 55000 for one by a column the table lacks.';

CREATE FUNCTION chat.conversation_rows(attachment integer, accounts text[], agents text[], status text, assigned_to text, unread boolean,
                                       pattern text, most integer, skipped bigint, after text[]) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_conversation_rows';
REVOKE ALL ON FUNCTION chat.conversation_rows(integer, text[], text[], text, text, boolean, text, integer, bigint, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_rows(integer, text[], text[], text, text, boolean, text, integer, bigint, text[]) IS 'Conversations whose owner''s column holds one of accounts, or whose agent''s one of agents, filtered as chat.check_conversation_filter allows it (pattern: of LIKE): at most so many, after others that are skipped and after a place (NULL: none), the one with the newest message first: [{data, place}]; NULL for none. Errors: 54000 for more than 65,535 accounts or agents.';

CREATE FUNCTION chat.conversation_count(attachment integer, accounts text[], agents text[], status text, assigned_to text, unread boolean,
                                        pattern text, most integer) RETURNS bigint
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_conversation_count';
REVOKE ALL ON FUNCTION chat.conversation_count(integer, text[], text[], text, text, boolean, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_count(integer, text[], text[], text, text, boolean, text, integer) IS 'How many conversations there are for chat.conversation_rows, counted up to most; NULL for none without an account or agent. Errors: as there.';

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
    agent text := CASE WHEN assigned_to <> 'me' THEN assigned_to END; -- with "me" these are all that is read
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
    PERFORM chat.check_conversation_filter(pair, status, assigned_to, unread, pattern);
    after := chat.decode_cursor(cursor, 'c', CASE WHEN pair.columns ? 'last_message_at' THEN 2 ELSE 1 END);
    rows := chat.conversation_rows(pair.id, keys, agents, status, agent, unread, pattern, size + 1, COALESCE((number - 1)::bigint * size, 0), after);
    IF jsonb_array_length(rows) <= size OR rows IS NULL AND number = 1 THEN -- the last page: it tells how many there are
        total := (number - 1)::bigint * size + COALESCE(jsonb_array_length(rows), 0);
    ELSIF number IS NOT NULL THEN
        total := COALESCE(chat.conversation_count(pair.id, keys, agents, status, agent, unread, pattern, most + 1), 0);
    END IF;
    RETURN chat.page(COALESCE(rows, '[]'), 'c', number, size, CASE WHEN total <= most THEN total END, false);
END
$$;
REVOKE ALL ON FUNCTION chat.list_conversations(text, integer, integer, text, text, text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.list_conversations(text, integer, integer, text, text, text, boolean, text) IS 'The conversations that a user owns or is assigned to, the one with the newest message first: a page by number, or the one after a cursor. total is exact up to 10,000, else null; with page NULL or a cursor nothing is counted. assigned_to: an assignedAgentId, unassigned, or me for those assigned to the user alone; unread: true or false; search: text in the contact''s name or address. Errors: 22004, 22023, 42501, 55000.';
