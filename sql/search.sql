-- Searching the messages of a conversation.

CREATE FUNCTION chat.search_messages(conversation_id text, search text, "limit" integer DEFAULT 50, owner text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    place record := chat.find_conversation(conversation_id, owner, 'read');
    pair chat.attachment := place.pair;
    size integer := chat.page_limit("limit", 50);
    pattern text := chat.like_pattern(search);
    rows jsonb;
BEGIN
    IF COALESCE(search, '') = '' THEN
        PERFORM chat.bad_input('search must not be empty', code => CASE WHEN search IS NULL THEN '22004' ELSE '22023' END, field => 'search');
    ELSIF length(search) > 256 THEN
        PERFORM chat.bad_input('search is longer than 256 characters', field => 'search');
    ELSIF place.key IS NULL THEN
        RETURN NULL;
    END IF;
    rows := chat.run(NULL::jsonb, pair.id, 'search_messages', place.key, size, pattern);
    RETURN jsonb_build_object(
        'success', true,
        'data', COALESCE((SELECT jsonb_agg(r.v -> 'data' ORDER BY r.n)
                            FROM jsonb_array_elements(rows) WITH ORDINALITY r (v, n) WHERE r.n <= size), '[]'),
        'pagination', jsonb_build_object('limit', size, 'hasMore', COALESCE(jsonb_array_length(rows), 0) > size, 'cursor', NULL));
END
$$;
REVOKE ALL ON FUNCTION chat.search_messages(text, text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.search_messages(text, text, integer, text) IS 'The newest messages of a conversation that contain a text, for its owner or assigned agent, newest first; the text is taken literally. Private notes and deleted messages are left out. Returns {success, data, pagination: {limit, hasMore, cursor: null}}; NULL: no such conversation. Errors: 22004, 22023 for an empty or too long text and for limit, 22P02, 42501.';
