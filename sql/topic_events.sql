-- Catch-up for clients behind a backend: the position of a topic, and its events in one JSON answer.

CREATE FUNCTION chat.topic_events(topic text, after_id bigint DEFAULT NULL, "limit" integer DEFAULT 100,
                                  owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    service boolean := chat.is_service_caller();
    reader text := COALESCE(owner, chat.current_user_id());
    events jsonb;
    fresh integer;
    newest bigint;
BEGIN
    IF topic IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', COLUMN = 'topic', MESSAGE = 'topic must not be NULL';
    END IF;
    IF NOT service AND (reader IS NULL OR reader IS DISTINCT FROM chat.current_user_id()) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'only a user itself or a service caller may read a user''s topics',
            HINT = 'A backend''s role becomes a service caller with chat.grant_backend.';
    END IF;
    PERFORM chat.require_attached();
    IF NOT (service AND owner IS NULL) AND NOT chat.may_join(topic, reader, false) THEN
        RETURN NULL;
    END IF;
    IF after_id IS NULL THEN
        RETURN jsonb_build_object('success', true, 'data', '[]'::jsonb, 'position', COALESCE(chat.newest_event(topic), 0), 'hasMore', false);
    END IF;
    SELECT jsonb_agg(jsonb_build_object('id', e.id, 'event', e.event, 'payload', e.payload, 'createdAt', e.created_at)),
           count(*) FILTER (WHERE e.id > after_id), max(e.id)
      INTO events, fresh, newest
      FROM chat.events_since(topic, after_id, "limit") e;
    RETURN jsonb_build_object('success', true, 'data', COALESCE(events, '[]'),
                              'position', GREATEST(newest, after_id), 'hasMore', fresh = "limit");
END
$$;
REVOKE ALL ON FUNCTION chat.topic_events(text, bigint, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.topic_events(text, bigint, integer, text) IS 'chat.events_since for a user (owner) as {success, data: [{id, event, payload, createdAt}], position, hasMore}: position is the next after_id. after_id NULL: no events, only the position of the newest one, to begin from. NULL: no such topic, or not the user''s. Errors: 22004, 22023 for limit, 42501.';
