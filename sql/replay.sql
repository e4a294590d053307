-- Replay: what a client of the embedded endpoint missed, with its join.

-- Rows beyond a megabyte are left out, those further from where the client has to go on; the first one never.
CREATE FUNCTION chat.replay(topic text, claims jsonb, since_ms bigint, since_id bigint, max_rows integer)
    RETURNS TABLE (id bigint, event text, payload text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_column
DECLARE
    most CONSTANT integer := GREATEST(1, LEAST(max_rows, 100));
    latest CONSTANT bigint := 253402300799999; -- the last millisecond of year 9999
BEGIN
    IF NOT chat.can_join($1, claims) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('topic "%s" may not be read by this user', left($1, 246));
    END IF;
    IF since_id IS NOT NULL THEN
        RETURN QUERY
        SELECT r.id, r.event, r.payload
          FROM (SELECT e.*, sum(octet_length(e.payload)) OVER (ORDER BY e.id) AS bytes, row_number() OVER (ORDER BY e.id) AS n
                  FROM chat.events_after($1, since_id, most) e) r
         WHERE r.bytes <= 1048576 OR r.n = 1
         ORDER BY r.id;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT r.id, r.event, r.payload
      FROM (SELECT e.*, sum(octet_length(e.payload)) OVER (ORDER BY e.id DESC) AS bytes, row_number() OVER (ORDER BY e.id DESC) AS n
              FROM chat.newest_events($1, to_timestamp(GREATEST(0, LEAST(since_ms, latest)) / 1000.0), most) e) r
     WHERE r.bytes <= 1048576 OR r.n = 1
     ORDER BY r.id;
END
$$;
REVOKE ALL ON FUNCTION chat.replay(text, jsonb, bigint, bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.replay(text, jsonb, bigint, bigint, integer) IS 'For the embedded endpoint: events of a topic that these verified claims may read, in the order of their ids, 1 to 100 of them and about a megabyte. since_id: those after this event, the first ones, with those below it that may have committed after it; else since_ms, milliseconds since 1970: the newest ones of then and later. Presence is left out. Errors: 42501 for a topic that may not be joined.';
