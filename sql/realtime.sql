-- Events as rows of realtime.messages: Supabase's own broadcast from the database (REALTIME_TRANSPORT=database).
--
-- Realtime streams what is inserted there from a replication slot that exists only while it is connected. What commits while
-- there is none it never tells anybody, so a row counts as delivered only where the slot was there before it and has
-- confirmed its commit.

-- A process id comes back after a restart of a container: with the time of the start it names one walsender for ever. A slot
-- that is being made has confirmed nothing, and does not stream what commits before it is consistent.
CREATE FUNCTION chat.realtime_slots() RETURNS TABLE (slots text, confirmed bigint, flushed bigint)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT string_agg(format('%s/%s/%s', s.slot_name, s.active_pid, extract(epoch FROM pg_postmaster_start_time())), ' ' ORDER BY s.slot_name),
           min(s.confirmed_flush_lsn - pg_lsn '0/0')::bigint, (pg_current_wal_flush_lsn() - pg_lsn '0/0')::bigint
      FROM pg_replication_slots s
     WHERE s.slot_name ~ '^supabase_realtime_messages_replication_slot' AND s.database = current_database()
       AND s.active_pid IS NOT NULL AND s.confirmed_flush_lsn IS NOT NULL
$$;
REVOKE ALL ON FUNCTION chat.realtime_slots() FROM PUBLIC;
COMMENT ON FUNCTION chat.realtime_slots() IS 'The replication slots that Realtime streams realtime.messages from, and who streams (NULL: nobody does), up to which byte of the WAL all of them have confirmed, and up to which it is written. For the sidecar.';

-- Under the transaction's number a slot that is made from here on does not stream what it inserts: with expected, no row
-- arrives before an earlier one that is to be inserted again.
-- Replay goes by time. Where the server's clock is set back, rows go on behind the last one of this session: its time is kept there,
-- and goes with the rows if they are rolled back.
CREATE FUNCTION chat.realtime_insert(batch jsonb, expected text) RETURNS TABLE (slots text, inserted boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    last timestamp;
BEGIN
    PERFORM pg_current_xact_id(), set_config('synchronous_commit', 'local', true), set_config('lock_timeout', '10s', true);
    slots := (SELECT s.slots FROM chat.realtime_slots() s);
    inserted := slots IS NOT NULL AND expected IN ('', slots);
    IF inserted THEN
        last := greatest(clock_timestamp() AT TIME ZONE 'UTC', nullif(current_setting('chat.realtime_last_time', true), '')::timestamp);
        INSERT INTO realtime.messages (id, topic, extension, event, payload, private, inserted_at)
        SELECT format('%s-0000-8000-8000-%s', lpad(to_hex(e.id >> 48), 8, '0'), lpad(to_hex(e.id & (1::bigint << 48) - 1), 12, '0'))::uuid,
               m.message ->> 'topic', 'broadcast', m.message ->> 'event', m.message -> 'payload', (m.message ->> 'private')::boolean,
               last + m.n * interval '1 microsecond'
          FROM jsonb_array_elements(batch -> 'messages') WITH ORDINALITY m (message, n), LATERAL (SELECT (m.message ->> 'id')::bigint) e (id)
         ORDER BY m.n;
        PERFORM set_config('chat.realtime_last_time', (last + jsonb_array_length(batch -> 'messages') * interval '1 microsecond')::text, false);
    END IF;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION chat.realtime_insert(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.realtime_insert(jsonb, text) IS 'Inserts a batch ({"messages":[{"topic","event","payload","private","id"}, …]}) into realtime.messages, where somebody streams it: answers who (as chat.realtime_slots) and whether it was inserted. expected: only if those do; empty: whoever does. Times are UTC and all different, in the order of the batch, and after those of the session''s batches before; the row''s id has the event''s id in its last 12 hexadecimal digits. For the sidecar. Errors: 42P01 without Supabase Realtime, 23514 where Realtime has made no partition for today, 42501 where the extension''s owner may not insert.';

CREATE FUNCTION chat.realtime_hints() RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'warning', 'realtime.messages', format('%s, the owner of chat.realtime_insert, may not insert into realtime.messages, as REALTIME_TRANSPORT=database does', o.name),
           CASE WHEN o.granted THEN format('CREATE POLICY chat_realtime_sidecar ON realtime.messages FOR INSERT TO %s WITH CHECK (true)', o.name)
                ELSE format('GRANT USAGE ON SCHEMA realtime TO %1$s; GRANT INSERT ON realtime.messages TO %1$s', o.name) END
      FROM (SELECT p.proowner::regrole::text AS name,
                   has_schema_privilege(p.proowner, c.relnamespace, 'USAGE') AND has_table_privilege(p.proowner, c.oid, 'INSERT') AS granted,
                   r.rolsuper OR r.rolbypassrls OR NOT c.relrowsecurity OR (pg_has_role(p.proowner, c.relowner, 'USAGE') AND NOT c.relforcerowsecurity)
                       OR EXISTS (SELECT FROM pg_policy y WHERE y.polrelid = c.oid AND y.polcmd IN ('a', '*') AND y.polpermissive
                                     AND p.proowner = ANY (y.polroles) AND pg_get_expr(y.polwithcheck, y.polrelid) = 'true') AS passes
              FROM pg_class c, pg_proc p JOIN pg_roles r ON r.oid = p.proowner
             WHERE c.oid = to_regclass('realtime.messages') AND p.oid = 'chat.realtime_insert(jsonb, text)'::regprocedure) o
     WHERE NOT (o.granted AND o.passes)
$$;
REVOKE ALL ON FUNCTION chat.realtime_hints() FROM PUBLIC;
COMMENT ON FUNCTION chat.realtime_hints() IS 'Part of chat.hints: whether events could be inserted into realtime.messages.';
