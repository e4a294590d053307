-- Endpoints behind one address: each tells the others what its clients broadcast. A NOTIFY only rings.

CREATE FUNCTION chat.relay_lock() RETURNS bigint
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT 7163378422610750320 $$;
REVOKE ALL ON FUNCTION chat.relay_lock() FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_lock() IS 'Advisory lock that an endpoint holds in share mode while it takes part in the relay; the one after it keeps senders in the order of their ids.';

-- A session that ends takes part no more: locks need nobody to clear up after it.
CREATE FUNCTION chat.relay_join(OUT peers integer, OUT last_id bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    key bigint := chat.relay_lock();
    here boolean;
BEGIN
    SELECT count(DISTINCT l.pid) FILTER (WHERE l.pid <> pg_backend_pid()), bool_or(l.pid = pg_backend_pid())
      INTO peers, here
      FROM pg_locks l
     WHERE l.locktype = 'advisory' AND l.mode = 'ShareLock' AND l.granted AND l.objsubid = 1
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND (l.classid::bigint << 32 | l.objid::bigint) = key;
    IF here IS NOT TRUE THEN
        PERFORM pg_try_advisory_lock_shared(key);
        NOTIFY chat_realtime_relay;
    END IF;
    DELETE FROM chat.relay r WHERE r.sent_at < clock_timestamp() - interval '10 s';
    last_id := COALESCE((SELECT max(r.id) FROM chat.relay r), 0);
END
$$;
REVOKE ALL ON FUNCTION chat.relay_join() FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_join() IS 'An endpoint takes part in the relay, as long as its session lasts, and says so again now and then: how many others do, and the newest id. What is older than 10 s is deleted.';

CREATE FUNCTION chat.relay_send(messages bytea) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF messages IS NULL OR octet_length(messages) > 1048576 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'messages must have up to 1048576 bytes';
    END IF;
    PERFORM pg_advisory_xact_lock(chat.relay_lock() + 1);
    -- Readers of any speed: what they have not had by then is lost.
    DELETE FROM chat.relay r WHERE r.sent_at < clock_timestamp() - interval '10 s';
    IF (SELECT sum(octet_length(r.messages)) FROM chat.relay r) > 16777216 THEN
        RETURN false;
    END IF;
    INSERT INTO chat.relay (pid, sent_at, messages) VALUES (pg_backend_pid(), clock_timestamp(), messages);
    NOTIFY chat_realtime_relay;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.relay_send(bytea) FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_send(bytea) IS 'Gives what an endpoint''s clients broadcast to the other endpoints, in the form that endpoints agree upon; false: 16 MiB wait already, and it was left out. Errors: 22023 for more than 1 MiB.';

CREATE FUNCTION chat.relay_read(after_id bigint) RETURNS TABLE (id bigint, messages bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT r.id, r.messages FROM chat.relay r WHERE r.id > $1 AND r.pid <> pg_backend_pid() ORDER BY r.id LIMIT 16
$$;
REVOKE ALL ON FUNCTION chat.relay_read(bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_read(bigint) IS 'What other endpoints gave to chat.relay_send after an id: up to 16 rows. Senders take turns, so ids are in the order of commits.';
