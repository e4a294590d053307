-- Moving users from Socket.IO to Realtime step by step, and back while Realtime fails.

CREATE FUNCTION chat.set_rollout(percent integer, both_ways boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF percent IS NULL OR percent NOT BETWEEN 0 AND 100 OR both_ways IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'percent must be from 0 to 100, and both_ways true or false',
            HINT = '0: all users on Socket.IO; 100: all on Realtime.';
    END IF;
    INSERT INTO chat.rollout AS r (percent, both_ways) VALUES ($1, $2)
        ON CONFLICT (only_row) DO UPDATE
            SET percent = EXCLUDED.percent, both_ways = EXCLUDED.both_ways, changed_at = EXCLUDED.changed_at;
    PERFORM chat.audit('rollout.changed', 'rollout', jsonb_build_object('percent', $1, 'bothWays', $2));
END
$$;
REVOKE ALL ON FUNCTION chat.set_rollout(integer, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.set_rollout(integer, boolean) IS 'Moves this percentage of users (0 to 100) from Socket.IO to Realtime; both_ways: they are served both ways. A user who was moved stays moved when the percentage rises. For superusers and roles that are granted it. Errors: 22023.';

CREATE FUNCTION chat.rollout_bucket(user_id text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT (((get_byte(h, 0) << 16) + (get_byte(h, 1) << 8) + get_byte(h, 2)) % 100)
      FROM sha256(convert_to(user_id, 'UTF8')) h
$$;
REVOKE ALL ON FUNCTION chat.rollout_bucket(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.rollout_bucket(text) IS 'A number from 0 to 99 that is always the same for a user, on every server.';

CREATE FUNCTION chat.realtime_provider(user_id text DEFAULT NULL) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT COALESCE((
        SELECT CASE WHEN COALESCE(chat.rollout_bucket(COALESCE($1, chat.current_user_id())), 100) >= r.percent THEN 'socketio'
                    WHEN r.both_ways THEN 'both'
                    WHEN r.healthy THEN 'supabase'
                    ELSE 'socketio' END
          FROM chat.rollout r), CASE WHEN EXISTS (SELECT FROM chat.attachment) THEN 'supabase' ELSE 'socketio' END)
$$;
COMMENT ON FUNCTION chat.realtime_provider(text) IS 'How a user is served: socketio, supabase or both; NULL: the caller. While Realtime fails nobody is on it alone; with nothing attached everybody is on Socket.IO. Safe for anybody: it tells no more than how far the rollout is.';

CREATE FUNCTION chat.set_realtime_health(healthy boolean) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    UPDATE chat.rollout r SET healthy = $1, changed_at = clock_timestamp() WHERE r.healthy <> $1;
    RETURN FOUND;
END
$$;
REVOKE ALL ON FUNCTION chat.set_realtime_health(boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.set_realtime_health(boolean) IS 'For the sidecar: false while Realtime fails, true again when it has recovered; returns whether that is news. Does nothing where chat.set_rollout was never called.';
