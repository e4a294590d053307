-- Detaching a pair of tables, and its settings.

CREATE FUNCTION chat.attached(messages regclass, caller regrole) RETURNS chat.attachment
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
BEGIN
    SELECT a.* INTO pair FROM chat.attachment a WHERE a.messages = $1;
    IF pair.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('table %s is not attached', COALESCE(messages::text, 'NULL')),
            HINT = 'SELECT messages FROM chat.attachment shows what is.';
    END IF;
    PERFORM chat.require_table_owner(r, caller) FROM unnest(ARRAY[pair.conversations, pair.messages]) r
      WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = r);
    RETURN pair;
END
$$;
REVOKE ALL ON FUNCTION chat.attached(regclass, regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.attached(regclass, regrole) IS 'The pair that a messages table belongs to; error 42704 when it is not attached, 42501 unless the tables are the caller''s.';

CREATE FUNCTION chat.triggers_of(pair chat.attachment) RETURNS TABLE (relation regclass, name name)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT g.tgrelid, g.tgname FROM pg_trigger g
     WHERE g.tgname ~ '^(00|zz)_chat_realtime_' AND g.tgparentid = 0
       AND g.tgargs = convert_to(pair.id::text, 'UTF8') || decode('00', 'hex')
       AND g.tgfoid IN (SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'chat'::regnamespace)
     ORDER BY g.tgrelid, g.tgname
$$;
REVOKE ALL ON FUNCTION chat.triggers_of(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.triggers_of(chat.attachment) IS 'The triggers of an attachment wherever they are, also on a partition that was detached from its table.';

CREATE FUNCTION chat.drop_triggers(pair chat.attachment) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM chat.triggers_of(pair) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.name, t.relation);
        RETURN QUERY SELECT t.relation::text, format('trigger %s dropped', t.name);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.drop_triggers(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.drop_triggers(chat.attachment) IS 'Drops the triggers of an attachment wherever they are.';

CREATE FUNCTION chat.detach_for(caller regrole, messages regclass) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment := chat.attached(messages, caller);
    relation regclass;
    locks text[] := '{}';
BEGIN
    -- The messages, of partitioned ones their parent, before the conversations; what is neither any more comes last.
    FOR relation IN SELECT t.relation FROM chat.triggers_of(pair) t GROUP BY 1
                     ORDER BY t.relation <> pair.messages, t.relation = pair.conversations, t.relation LOOP
        locks := locks || format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
    END LOOP;
    PERFORM chat.run_briefly(caller, VARIADIC locks);
    DELETE FROM chat.attachment a WHERE a.id = pair.id;
    PERFORM chat.audit('attachment.removed', pair.messages::text, jsonb_build_object('conversations', pair.conversations::text));
    RETURN QUERY SELECT * FROM chat.drop_triggers(pair);
    RETURN QUERY SELECT pair.messages::text, 'detached'::text;
END
$$;
REVOKE ALL ON FUNCTION chat.detach_for(regrole, regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.detach_for(regrole, regclass) IS 'chat.detach for a caller.';

CREATE FUNCTION chat.detach(messages regclass) RETURNS TABLE (object text, action text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: the tables must be the caller's
COMMENT ON FUNCTION chat.detach(regclass) IS 'Removes the triggers of a pair of tables and forgets it; rows stay as they are. Errors: 42704 when it is not attached, 42501 unless the tables are the caller''s, 55P03 when they cannot be locked.';

CREATE FUNCTION chat.configure_for(caller regrole, messages regclass, settings jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment := chat.attached(messages, caller);
    result jsonb;
BEGIN
    IF jsonb_typeof(settings) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'settings must be a JSON object',
            HINT = 'Such as {"max_content_bytes": 8192}; null takes an override away.';
    END IF;
    PERFORM chat.check_settings(settings);
    result := jsonb_strip_nulls(pair.settings || settings);
    IF result <> pair.settings THEN
        UPDATE chat.attachment a SET settings = result WHERE a.id = pair.id;
        -- What an inbox is known by may be a token.
        PERFORM chat.audit('attachment.configured', pair.messages::text,
                           settings || CASE WHEN settings ? 'inboxes' THEN '{"inboxes": "changed"}' ELSE '{}' END::jsonb);
        PERFORM chat.follow_agents_write(caller, pair, COALESCE((result ->> 'agents_write')::boolean, true));
    END IF;
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION chat.configure_for(regrole, regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.configure_for(regrole, regclass, jsonb) IS 'chat.configure for a caller.';

CREATE FUNCTION chat.configure(messages regclass, settings jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: the tables must be the caller's
COMMENT ON FUNCTION chat.configure(regclass, jsonb) IS 'Overrides settings for one pair of tables, those that chat.setting_kinds has as of_pair: limits of content and media, sanitize, preview_labels, and agents_write (true unless false is given: an assigned agent may do more than read); unsigned (true: webhooks without a secret are delivered unsigned, instead of getting one); inboxes (an object: the instanceName, userID or token of WUZAPI''s webhooks, and the id of the inbox whose messages they bring); null takes an override away. Returns all overrides of the pair. Errors: 22023 for an unknown name or bad value, 42704 when the table is not attached, 42501 unless the tables are the caller''s.';
