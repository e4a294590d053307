-- Endpoints behind one address: each tells the others what its clients broadcast, and who is there. A NOTIFY only rings.

CREATE FUNCTION chat.relay_lock() RETURNS bigint
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT 7163378422610750320 $$;
REVOKE ALL ON FUNCTION chat.relay_lock() FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_lock() IS 'Advisory lock under which endpoints write to the relay, one after the other: what they write is in the order of its ids and versions. The first lock that they take.';

CREATE FUNCTION chat.relay_join(INOUT endpoint uuid, OUT peers uuid[], OUT last_id bigint, OUT last_version bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM pg_advisory_xact_lock(chat.relay_lock());
    UPDATE chat.relay_endpoint e SET seen_at = clock_timestamp() WHERE e.id = $1 AND e.pid = pg_backend_pid()
    RETURNING e.id INTO endpoint;
    DELETE FROM chat.relay_endpoint e WHERE e.seen_at < clock_timestamp() - interval '6 s';
    IF FOUND THEN
        DELETE FROM chat.relay_presence p WHERE NOT EXISTS (SELECT FROM chat.relay_endpoint e WHERE e.id = p.endpoint);
    END IF;
    DELETE FROM chat.relay_presence p WHERE p.presence IS NULL AND p.changed_at < clock_timestamp() - interval '60 s';
    DELETE FROM chat.relay r WHERE r.sent_at < clock_timestamp() - interval '10 s';
    peers := ARRAY(SELECT e.id FROM chat.relay_endpoint e WHERE e.id IS DISTINCT FROM endpoint ORDER BY e.id);
    IF endpoint IS NULL THEN
        IF cardinality(peers) >= 64 THEN
            RAISE EXCEPTION USING ERRCODE = 'configuration_limit_exceeded', MESSAGE = 'there are 64 endpoints already';
        END IF;
        INSERT INTO chat.relay_endpoint AS e (pid, seen_at) VALUES (pg_backend_pid(), clock_timestamp()) RETURNING e.id INTO endpoint;
        NOTIFY chat_realtime_relay;
    END IF;
    last_id := COALESCE((SELECT max(r.id) FROM chat.relay r), 0);
    last_version := COALESCE((SELECT max(p.version) FROM chat.relay_presence p), 0);
END
$$;
REVOKE ALL ON FUNCTION chat.relay_join(uuid) FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_join(uuid) IS 'An endpoint takes part in the relay, and says so again with the id that it got (NULL the first time) every 2 s: after 6 s without, it takes part no more, and gets another id. Returns the others, and the newest id and version. What is older than 10 s is deleted. Errors: 53400 for the 65th.';

CREATE FUNCTION chat.relay_send(messages bytea) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF messages IS NULL OR octet_length(messages) > 1048576 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'messages must have up to 1048576 bytes';
    END IF;
    PERFORM pg_advisory_xact_lock(chat.relay_lock());
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
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN QUERY SELECT r.id, r.messages FROM chat.relay r WHERE r.id > $1 AND r.pid <> pg_backend_pid() ORDER BY r.id LIMIT 16;
END
$$;
REVOKE ALL ON FUNCTION chat.relay_read(bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_read(bigint) IS 'What other endpoints gave to chat.relay_send after an id: up to 16 rows. Senders take turns, so ids are in the order of commits.';

CREATE FUNCTION chat.relay_presence_put(endpoint uuid, ids text[], presences bytea[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    most constant bigint := 67108864;
BEGIN
    IF endpoint IS NULL OR ids IS NULL OR presences IS NULL OR cardinality(ids) > 128 OR cardinality(ids) <> cardinality(presences)
       OR EXISTS (SELECT FROM unnest(ids, presences) u (id, presence)
                   WHERE u.id IS NULL OR octet_length(u.id) > 64 OR octet_length(u.presence) > 32768) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'presences must be up to 128 of up to 32768 bytes, with ids of up to 64';
    END IF;
    PERFORM pg_advisory_xact_lock(chat.relay_lock());
    IF NOT EXISTS (SELECT FROM chat.relay_endpoint e WHERE e.id = endpoint AND e.pid = pg_backend_pid()) THEN
        RETURN NULL;
    END IF;
    -- The files' sizes are at hand, and may be larger than what is in them.
    IF pg_total_relation_size('chat.relay_presence') > most
       AND (SELECT sum(octet_length(p.presence)) FROM chat.relay_presence p) > most THEN
        RETURN false;
    END IF;
    INSERT INTO chat.relay_presence AS p (id, endpoint, changed_at, presence)
    SELECT u.id, $1, clock_timestamp(), u.presence FROM unnest(ids, presences) u (id, presence)
        ON CONFLICT (id) DO UPDATE
       SET endpoint = EXCLUDED.endpoint, version = DEFAULT, changed_at = EXCLUDED.changed_at, presence = EXCLUDED.presence;
    NOTIFY chat_realtime_relay;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.relay_presence_put(uuid, text[], bytea[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_presence_put(uuid, text[], bytea[]) IS 'What an endpoint''s presences have become, NULL for those that left; ids are any that nobody else gives. False: there are 64 MiB already, and it was left out; NULL: the endpoint takes part no more. Errors: 22023 for more than 128, or any of more than 32 KiB.';

CREATE FUNCTION chat.relay_presence_read(after_version bigint)
    RETURNS TABLE (version bigint, endpoint uuid, id text, presence bytea)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN QUERY
    SELECT p.version, p.endpoint, CASE WHEN o.id IS NULL THEN p.id END, CASE WHEN o.id IS NULL THEN p.presence END
      FROM (SELECT r.* FROM chat.relay_presence r WHERE r.version > $1 ORDER BY r.version LIMIT 128) p
      LEFT JOIN chat.relay_endpoint o ON o.id = p.endpoint AND o.pid = pg_backend_pid()
     ORDER BY p.version;
END
$$;
REVOKE ALL ON FUNCTION chat.relay_presence_read(bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_presence_read(bigint) IS 'Presences that changed after a version: up to 128 rows, with id and presence NULL where the caller wrote them, and presence NULL of those that left. Writers take turns, so versions are in the order of commits.';

CREATE FUNCTION chat.relay_leave(endpoint uuid) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM pg_advisory_xact_lock(chat.relay_lock());
    DELETE FROM chat.relay_endpoint e WHERE e.id = $1 AND e.pid = pg_backend_pid();
    IF FOUND THEN
        -- Of no endpoint any more: for a minute, so that the others learn of it at once.
        UPDATE chat.relay_presence p SET version = DEFAULT, changed_at = clock_timestamp(), presence = NULL WHERE p.endpoint = $1;
        NOTIFY chat_realtime_relay;
        RETURN true;
    END IF;
    RETURN false;
END
$$;
REVOKE ALL ON FUNCTION chat.relay_leave(uuid) FROM PUBLIC;
COMMENT ON FUNCTION chat.relay_leave(uuid) IS 'An endpoint that ends takes part in the relay no more, and neither do its presences; false: it did not.';
