-- Moving users from Socket.IO to Realtime step by step, and back while Realtime fails. Whoever is served another way is told
-- (provider.changed), so that clients switch without being loaded again.

CREATE FUNCTION chat.rollout_bucket(user_id text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT (((get_byte(h, 0) << 16) + (get_byte(h, 1) << 8) + get_byte(h, 2)) % 100)
      FROM sha256(convert_to(user_id, 'UTF8')) h
$$;
REVOKE ALL ON FUNCTION chat.rollout_bucket(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.rollout_bucket(text) IS 'A number from 0 to 99 that is always the same for a user, on every server.';

CREATE FUNCTION chat.provider_under(user_id text, percent integer, both_ways boolean, healthy boolean) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT CASE WHEN w.provider = 'supabase' AND NOT $4 THEN 'socketio' ELSE w.provider END
      FROM (SELECT COALESCE((SELECT o.provider FROM chat.provider_override o WHERE o.user_id = $1),
                   CASE WHEN $2 IS NULL THEN CASE WHEN EXISTS (SELECT FROM chat.attachment) THEN 'supabase' ELSE 'socketio' END
                        WHEN COALESCE(chat.rollout_bucket($1), 100) >= $2 THEN 'socketio'
                        WHEN $3 THEN 'both'
                        ELSE 'supabase' END) AS provider) w
$$;
REVOKE ALL ON FUNCTION chat.provider_under(text, integer, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.provider_under(text, integer, boolean, boolean) IS 'How a user is served where chat.rollout says this; percent NULL: where it is empty.';

CREATE FUNCTION chat.realtime_provider(user_id text DEFAULT NULL) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT chat.provider_under(COALESCE($1, chat.current_user_id()), r.percent, r.both_ways, r.healthy)
      FROM (VALUES (1)) one LEFT JOIN chat.rollout r ON true
$$;
COMMENT ON FUNCTION chat.realtime_provider(text) IS 'How a user is served: socketio, supabase or both; NULL: the caller. While Realtime fails nobody is on it alone; with nothing attached everybody is on Socket.IO, unless chat.set_rollout or chat.set_provider said otherwise. Safe for anybody: it tells no more than how far the rollout is.';

CREATE FUNCTION chat.tell_provider(user_id text) RETURNS bigint
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$ SELECT chat.tell('provider.changed', $1, $1, NULL, jsonb_build_object('provider', chat.realtime_provider($1))) $$;
REVOKE ALL ON FUNCTION chat.tell_provider(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.tell_provider(text) IS 'Tells a user''s inbox how the user is served now.';

CREATE FUNCTION chat.users_after(pair chat.attachment, agents boolean, last text, most integer) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.run(NULL::text[], pair.id, CASE WHEN agents THEN 'agents_after' ELSE 'owners_after' END, last, most);
EXCEPTION WHEN undefined_table OR undefined_column THEN -- no agents, or no table any more
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.users_after(chat.attachment, boolean, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.users_after(chat.attachment, boolean, text, integer) IS 'The next users who own conversations of a pair, or are agents in it, after one of them; NULL: there are none.';

-- A transaction that tells many is late in the log for all readers, and holds its locks for as long: so it is portions. Each change
-- has a walk of its own through the users, and compares what was before it with what is now: where changes follow each other
-- everybody is told the last one, some also one in between.
CREATE FUNCTION chat.tell_providers() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    enough CONSTANT timestamptz := clock_timestamp() + interval '200 ms';
    change chat.provider_change;
    pair chat.attachment;
    told integer;
    users text[];
BEGIN
    FOR change IN SELECT c.* FROM chat.provider_change c ORDER BY c.id FOR UPDATE SKIP LOCKED LOOP
        object := 'chat.provider_change';
        told := 0;
        LOOP
            SELECT a.* INTO pair FROM chat.attachment a WHERE a.id >= change.attachment ORDER BY a.id LIMIT 1;
            EXIT WHEN pair.id IS NULL;
            IF pair.id > change.attachment THEN
                change.attachment := pair.id;
                change.agents := false;
                change.done_up_to := NULL;
            END IF;
            users := chat.users_after(pair, change.agents, change.done_up_to, 500);
            IF users IS NULL THEN
                change.attachment := change.attachment + change.agents::integer;
                change.agents := NOT change.agents;
                change.done_up_to := NULL;
                CONTINUE;
            END IF;
            told := told + (SELECT count(chat.tell_provider(u)) FROM unnest(users) u
                             WHERE chat.provider_under(u, change.percent, change.both_ways, change.healthy) <> chat.realtime_provider(u));
            change.done_up_to := users[cardinality(users)];
            EXIT WHEN clock_timestamp() > enough;
        END LOOP;
        action := format('%s users told how they are served', told);
        IF pair.id IS NULL THEN
            DELETE FROM chat.provider_change c WHERE c.id = change.id;
        ELSE
            UPDATE chat.provider_change c
               SET attachment = change.attachment, agents = change.agents, done_up_to = change.done_up_to WHERE c.id = change.id;
            action := action || ', goes on';
        END IF;
        RETURN NEXT;
        EXIT WHEN clock_timestamp() > enough;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.tell_providers() FROM PUBLIC;
COMMENT ON FUNCTION chat.tell_providers() IS 'Part of chat.maintain, and of what changes the rollout: tells users of attached tables who are served another way, some 200 ms a call. An action that ends in "goes on" asks to be called again soon.';

CREATE FUNCTION chat.change_rollout(percent integer, both_ways boolean, healthy boolean, action text, details jsonb) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    before chat.rollout;
BEGIN
    LOCK TABLE chat.rollout IN SHARE ROW EXCLUSIVE MODE; -- others read it
    SELECT r.* INTO before FROM chat.rollout r;
    INSERT INTO chat.rollout AS r (percent, both_ways, healthy)
    VALUES (COALESCE($1, before.percent), COALESCE($2, before.both_ways), COALESCE($3, before.healthy, true))
        ON CONFLICT (only_row) DO UPDATE
            SET percent = EXCLUDED.percent, both_ways = EXCLUDED.both_ways, healthy = EXCLUDED.healthy, changed_at = EXCLUDED.changed_at
          WHERE (r.percent, r.both_ways, r.healthy) <> (EXCLUDED.percent, EXCLUDED.both_ways, EXCLUDED.healthy);
    IF FOUND THEN
        PERFORM chat.audit(action, 'rollout', details);
        INSERT INTO chat.provider_change (percent, both_ways, healthy) VALUES (before.percent, before.both_ways, before.healthy);
        PERFORM chat.tell_providers();
        RETURN true;
    END IF;
    RETURN false;
END
$$;
REVOKE ALL ON FUNCTION chat.change_rollout(integer, boolean, boolean, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.change_rollout(integer, boolean, boolean, text, jsonb) IS 'Changes the rollout where it is not so already (NULL: as it is), with a row in the audit log, and begins to tell users; returns whether it did.';

CREATE FUNCTION chat.set_rollout(percent integer, both_ways boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF percent IS NULL OR percent NOT BETWEEN 0 AND 100 OR both_ways IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'percent must be from 0 to 100, and both_ways true or false',
            HINT = '0: all users on Socket.IO; 100: all on Realtime.';
    END IF;
    PERFORM chat.change_rollout($1, $2, NULL, 'rollout.changed', jsonb_build_object('percent', $1, 'bothWays', $2));
END
$$;
REVOKE ALL ON FUNCTION chat.set_rollout(integer, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.set_rollout(integer, boolean) IS 'Moves this percentage of users (0 to 100) from Socket.IO to Realtime; both_ways: they are served both ways. A user who was moved stays moved when the percentage rises. Owners and agents whose way changes are told by provider.changed: at once as many as 200 ms are enough for, the others by chat.maintain. For superusers and roles that are granted it. Errors: 22023.';

CREATE FUNCTION chat.set_provider(user_id text, provider text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF user_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', COLUMN = 'user_id', MESSAGE = 'user_id must not be NULL';
    END IF;
    IF user_id = '' OR octet_length(user_id) > 200 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'user_id', MESSAGE = 'user_id must be of 1 to 200 bytes';
    END IF;
    IF provider NOT IN ('socketio', 'supabase', 'both') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'provider',
            MESSAGE = format('there is no provider "%s"', left(provider, 100)), HINT = 'Use socketio, supabase or both; NULL takes away what was said before.';
    END IF;
    IF provider IS NULL THEN
        DELETE FROM chat.provider_override o WHERE o.user_id = $1;
    ELSE
        INSERT INTO chat.provider_override AS o (user_id, provider) VALUES ($1, $2)
            ON CONFLICT ON CONSTRAINT provider_override_pkey DO UPDATE
                SET provider = EXCLUDED.provider, changed_at = EXCLUDED.changed_at WHERE o.provider <> EXCLUDED.provider;
    END IF;
    IF FOUND THEN
        PERFORM chat.audit('provider.changed', $1, jsonb_build_object('provider', $2));
        PERFORM chat.tell_provider($1); -- also where it is the same: a walk that comes later takes the user for told
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.set_provider(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.set_provider(text, text) IS 'Serves one user this way (socketio, supabase or both), whatever the rollout says; NULL: as the rollout says again. The user is told by provider.changed. While Realtime fails supabase is socketio here, too. For superusers and roles that are granted it. Errors: 22004, 22023.';

-- Called on the connection that events are read with: it waits for nobody for long.
CREATE FUNCTION chat.set_realtime_health(healthy boolean, epoch bigint DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS
$$
BEGIN
    IF epoch IS NOT NULL THEN
        PERFORM FROM chat.consumer c WHERE c.name = 'realtime' AND c.epoch = $2 FOR SHARE;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM chat.rollout r WHERE r.healthy <> $1) THEN
        RETURN false;
    END IF;
    RETURN chat.change_rollout(NULL, NULL, $1, CASE WHEN $1 THEN 'realtime.recovered' ELSE 'realtime.failed' END, NULL);
END
$$;
REVOKE ALL ON FUNCTION chat.set_realtime_health(boolean, bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.set_realtime_health(boolean, bigint) IS 'For the sidecar: false while Realtime fails, true again when it has recovered; returns whether that is news, of which users whose way it changes are told. epoch: only while the consumer realtime is led under it. Does nothing where chat.set_rollout was never called. Errors: 55P03 when the rollout is being changed.';
