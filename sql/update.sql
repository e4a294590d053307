-- What follows ALTER EXTENSION ... UPDATE in the same transaction, but outside of its script: what is granted within one
-- counts as the extension's own, and a dump leaves it out.

CREATE FUNCTION chat.library_version() RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_library_version';
REVOKE ALL ON FUNCTION chat.library_version() FROM PUBLIC;
COMMENT ON FUNCTION chat.library_version() IS 'The version of the library that this session has loaded; of a preloaded one, that of the server''s start.';

CREATE FUNCTION chat.grantees(function text) RETURNS SETOF name
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT DISTINCT r.rolname FROM pg_proc p, aclexplode(p.proacl) a JOIN pg_roles r ON r.oid = a.grantee
     WHERE p.pronamespace = 'chat'::regnamespace AND p.proname = function AND a.grantee <> p.proowner ORDER BY 1
$$;
REVOKE ALL ON FUNCTION chat.grantees(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.grantees(text) IS 'The roles, but for its owner, that a function of schema chat was granted to.';

CREATE FUNCTION chat.grant_again() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.grant_sidecar(r) FROM chat.grantees('consumer_save') r;
    PERFORM chat.grant_functions(b.role, chat.backend_functions()) FROM chat.backend_role b JOIN pg_roles r ON r.rolname = b.role;
    PERFORM chat.grant_admin(r) FROM chat.grantees('grant_backend') r;
    IF EXISTS (SELECT FROM chat.grantees('save_message') r WHERE r IN ('authenticated', 'service_role')) THEN
        PERFORM chat.setup_functions(current_user::regrole);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.grant_again() FROM PUBLIC;
COMMENT ON FUNCTION chat.grant_again() IS 'Part of an update: whom an earlier version granted the functions of a sidecar, a backend or users has those that are new or were made anew, too.';

CREATE FUNCTION chat.trigger_locks(pair chat.attachment) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE WHEN EXISTS (SELECT FROM chat.missing_triggers(pair))
                THEN ARRAY[format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', pair.messages), format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', pair.conversations)]
                ELSE '{}' END
$$;
REVOKE ALL ON FUNCTION chat.trigger_locks(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.trigger_locks(chat.attachment) IS 'Statements that lock a pair''s tables, the messages first, for triggers that are missing; none if none is.';

CREATE FUNCTION chat.follow_update(pair chat.attachment) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    wanted jsonb := chat.resolve_columns(pair.conversations, pair.messages, chat.recorded_columns(pair));
BEGIN
    PERFORM chat.run_briefly(current_user::regrole, VARIADIC chat.trigger_locks(pair));
    UPDATE chat.attachment a SET columns = wanted WHERE a.id = pair.id AND a.columns <> wanted;
    PERFORM chat.make_triggers(pair);
EXCEPTION WHEN others THEN
    RAISE WARNING USING MESSAGE = format('%s and %s are as the earlier version left them: %s', pair.conversations, pair.messages, SQLERRM),
        HINT = format('SELECT * FROM chat.attach(%L, %L)', pair.conversations, pair.messages);
END
$$;
REVOKE ALL ON FUNCTION chat.follow_update(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.follow_update(chat.attachment) IS 'Part of an update: the mapping and the triggers of a pair as this version has them. Indexes and columns are left to chat.attach and chat.setup.';

CREATE FUNCTION chat.left_over() RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT 'Left by an update for calls that were running; chat.maintain drops it.' $$;
REVOKE ALL ON FUNCTION chat.left_over() FROM PUBLIC;
COMMENT ON FUNCTION chat.left_over() IS 'The comment on functions of an earlier version that are no part of the extension any more.';

-- Whose statement began before the update has committed has a snapshot in which it had not.
CREATE FUNCTION chat.drop_left_over() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN
        SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_description d ON d.classoid = 'pg_proc'::regclass AND d.objoid = p.oid
         WHERE p.pronamespace = 'chat'::regnamespace AND d.description = chat.left_over()
           AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = current_database() AND age(a.backend_xmin) >= age(d.xmin))
    LOOP
        object := function;
        EXECUTE format('DROP FUNCTION %s', function);
        action := 'of an earlier version: dropped';
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.drop_left_over() FROM PUBLIC;
COMMENT ON FUNCTION chat.drop_left_over() IS 'Part of chat.maintain: drops functions that an update left, when every statement has ended that was running then.';

CREATE FUNCTION chat.extension_updated() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    hint text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c JOIN pg_extension e ON e.oid = c.objid
                    WHERE c.classid = 'pg_extension'::regclass AND e.extname = 'chat_realtime') THEN
        RETURN;
    END IF;
    PERFORM chat.grant_again();
    PERFORM chat.follow_update(a) FROM chat.attachment a WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = a.messages) ORDER BY a.id;
    FOR hint IN SELECT chat.channel_hints() LOOP
        RAISE WARNING '%', hint;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.extension_updated() FROM PUBLIC;
COMMENT ON FUNCTION chat.extension_updated() IS 'Event trigger: after an update of the extension, what its script cannot do.';
