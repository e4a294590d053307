-- What owners of attached tables and administrators may do, and doing it without holding up others.

CREATE FUNCTION chat.execute_as(role regrole, statement text) RETURNS void
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_execute_as';
REVOKE ALL ON FUNCTION chat.execute_as(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.execute_as(regrole, text) IS 'Runs a statement with the rights of a role and no others. What functions such as chat.attach do to the tables themselves is done with their caller''s rights.';

-- A lock is waited for below deadlock_timeout, so that no writer is ended because of us; and while we wait, writers queue
-- behind us. After a try that fails the subtransaction gives back what it has locked.
CREATE FUNCTION chat.run_briefly(caller regrole, VARIADIC statements text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS
$$
DECLARE
    statement text;
BEGIN
    PERFORM set_config('lock_timeout', LEAST(200, s.setting::integer / 2)::text, true) FROM pg_settings s WHERE s.name = 'deadlock_timeout';
    FOR attempt IN 1 .. 20 LOOP
        BEGIN
            FOREACH statement IN ARRAY statements LOOP
                PERFORM chat.execute_as(caller, statement);
            END LOOP;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            NULL;
        END;
        PERFORM pg_sleep(0.05 + 0.1 * random());
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = 'lock_not_available',
        MESSAGE = 'could not lock the tables: 20 tries of 200 ms met transactions that are open on them',
        DETAIL = format('Given up at: %s', statement),
        HINT = 'SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start shows the oldest ones. Call it again when they have ended.';
END
$$;
REVOKE ALL ON FUNCTION chat.run_briefly(regrole, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.run_briefly(regrole, text[]) IS 'Runs statements with the rights of a role, waiting at most 200 ms for a lock; where one cannot be had, gives all of them back and tries again, 20 times. Errors: 55P03.';

CREATE FUNCTION chat.is_administrator(role regrole) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN has_function_privilege(role, 'chat.grant_backend(name)', 'EXECUTE');
END
$$;
REVOKE ALL ON FUNCTION chat.is_administrator(regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.is_administrator(regrole) IS 'True for superusers and for who was named to chat.grant_admin.';

CREATE FUNCTION chat.is_granted(role regrole, function text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'chat'::regnamespace AND p.proname = function
                      AND has_function_privilege(role, p.oid, 'EXECUTE'))
$$;
REVOKE ALL ON FUNCTION chat.is_granted(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.is_granted(regrole, text) IS 'Whether a role may call a function of the extension: consumer_save is what chat.grant_sidecar gives, api_stats that and chat.grant_backend.';

CREATE FUNCTION chat.owns(role regrole, pair chat.attachment) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT COALESCE(bool_and(pg_has_role(role, c.relowner, 'USAGE')), pg_has_role(role, 'pg_database_owner', 'USAGE'))
      FROM pg_class c WHERE c.oid IN (pair.conversations, pair.messages)
$$;
REVOKE ALL ON FUNCTION chat.owns(regrole, chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.owns(regrole, chat.attachment) IS 'Whether a role owns both tables of a pair; of one whose tables are gone, the database''s owner.';

-- Topics, users and API keys are one for all pairs: who attaches tables beside somebody else's could send events in their
-- names, or let in whom they do not.
CREATE FUNCTION chat.require_alone(caller regrole) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    other regclass := (SELECT a.messages FROM chat.attachment a WHERE NOT chat.owns(caller, a) ORDER BY a.id LIMIT 1);
BEGIN
    IF other IS NOT NULL AND NOT chat.is_administrator(caller) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'tables of another owner are attached in this database: only an administrator may attach others beside them',
            DETAIL = 'Topics, users and API keys are one for all attached tables.',
            HINT = format('A superuser runs: SELECT chat.grant_admin(%L);', caller::text);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_alone(regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_alone(regrole) IS 'Error 42501 where tables that are not the caller''s are attached, unless it is an administrator.';

CREATE FUNCTION chat.require_operator(caller regrole, or_granted text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF NOT (chat.is_administrator(caller) OR chat.is_granted(caller, or_granted)
            OR EXISTS (SELECT FROM chat.attachment a WHERE chat.owns(caller, a))) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('role %s neither owns attached tables nor administers chat_realtime', caller),
            HINT = format('A superuser runs: SELECT chat.grant_admin(%L);', caller::text);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_operator(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_operator(regrole, text) IS 'Error 42501 unless a role owns attached tables, is an administrator, or was granted a function.';

CREATE FUNCTION chat.require_table_owner(relation regclass, caller regrole) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF NOT pg_has_role(caller, (SELECT c.relowner FROM pg_class c WHERE c.oid = relation), 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('must be owner of table %s', relation);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_table_owner(regclass, regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_table_owner(regclass, regrole) IS 'Error 42501 unless a role owns the table, or is a superuser.';
