-- chat.hints(): what somebody should look at, with the statement that mends it.

CREATE FUNCTION chat.has_shared_memory() RETURNS boolean
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_has_shared_memory';
REVOKE ALL ON FUNCTION chat.has_shared_memory() FROM PUBLIC;
COMMENT ON FUNCTION chat.has_shared_memory() IS 'Whether rate limits and the counters of the API have their memory; before PostgreSQL 17 it needs shared_preload_libraries.';

CREATE FUNCTION chat.preload_hints() RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'warning', 'shared_preload_libraries',
           'rate limits, chat.check_rate_limit and the counters of the API need the library to be preloaded: set this, and restart the server',
           'ALTER SYSTEM SET shared_preload_libraries = ' || (
               SELECT string_agg(quote_literal(trim(l)), ', ') FROM unnest(string_to_array(
                   concat_ws(',', nullif(current_setting('shared_preload_libraries'), ''), 'chat_realtime'), ',')) l)
     WHERE NOT chat.has_shared_memory()
$$;
REVOKE ALL ON FUNCTION chat.preload_hints() FROM PUBLIC;
COMMENT ON FUNCTION chat.preload_hints() IS 'Part of chat.hints, and told by chat.setup.';

CREATE FUNCTION chat.trigger_hints(pair chat.attachment) RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'error', t.relation::text, format('%s lacks triggers %s', t.relation, string_agg(t.name, ', ' ORDER BY t.name)),
           format('SELECT * FROM chat.attach(%L, %L)', pair.conversations, pair.messages)
      FROM chat.missing_triggers(pair) t GROUP BY t.relation
    UNION ALL
    -- Rows that a subscription applies fire row triggers only: what they note would never be written.
    SELECT 'error', g.tgrelid::regclass::text,
           format(CASE g.tgenabled WHEN 'D' THEN 'trigger %s of %s is disabled'
                                   ELSE 'trigger %s of %s fires for rows that replication brings, which fails, since their statements fire none' END,
                  g.tgname, g.tgrelid::regclass),
           format('ALTER TABLE %s ENABLE TRIGGER %I', g.tgrelid::regclass, g.tgname)
      FROM pg_trigger g WHERE g.tgenabled <> 'O' AND g.tgname ~ '^(00|zz)_chat_realtime_'
       AND g.tgargs = convert_to(pair.id::text, 'UTF8') || decode('00', 'hex')
     ORDER BY 2, 3
$$;
REVOKE ALL ON FUNCTION chat.trigger_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.trigger_hints(chat.attachment) IS 'Part of chat.hints: triggers that are missing or off.';

CREATE FUNCTION chat.payload_hints(pair chat.attachment) RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'info', r::text, format('column %s is in no payload: its key there is another one''s. Rename it to have it sent', quote_ident(c)), NULL
      FROM unnest(ARRAY[pair.conversations, pair.messages]) r, unnest(chat.columns_left_out(pair.id, r)) c
$$;
REVOKE ALL ON FUNCTION chat.payload_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.payload_hints(chat.attachment) IS 'Part of chat.hints, and told by chat.attach: columns that payloads cannot carry.';

CREATE FUNCTION chat.attachment_hints(pair chat.attachment) RETURNS SETOF chat.hint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    again CONSTANT text := format('SELECT * FROM chat.attach(%L, %L)', pair.conversations, pair.messages);
    map jsonb;
BEGIN
    BEGIN
        IF chat.resolve_columns(pair.conversations, pair.messages, pair.columns) <> pair.columns THEN
            RETURN QUERY SELECT 'error', pair.messages::text, format('columns of %s or %s have changed', pair.conversations, pair.messages), again;
        END IF;
        RETURN QUERY SELECT 'warning', i.relation::text, format('index %s is missing', i.name),
                            format('SELECT statement FROM chat.attach_plan(%L, %L)', pair.conversations, pair.messages) FROM chat.missing_indexes(pair) i;
        RETURN QUERY SELECT * FROM chat.payload_hints(pair);
    EXCEPTION WHEN others THEN
        RETURN QUERY SELECT 'error', pair.messages::text, SQLERRM, again;
    END;
    RETURN QUERY SELECT * FROM chat.trigger_hints(pair);
    RETURN QUERY SELECT * FROM chat.webhook_hints(pair);
    RETURN QUERY SELECT * FROM chat.ability_hints(pair);
    RETURN QUERY SELECT * FROM chat.index_hints(pair);
    RETURN QUERY SELECT * FROM chat.counter_hints(pair);
    RETURN QUERY
    SELECT 'error', pair.conversations::text, format('counters of %s may be wrong since %s (%s): chat.maintain recounts them%s', pair.conversations,
               to_char(d.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), d.reason, ', and has done so up to ' || d.done_up_to),
           format('SELECT chat.recount(%L)', pair.messages)
      FROM chat.recount_due d WHERE d.attachment = pair.id;
    RETURN QUERY SELECT * FROM chat.row_security_hints(pair);
    FOREACH map IN ARRAY ARRAY[pair.columns -> 'owner', pair.columns -> 'agent'] LOOP
        IF map ? 'table' AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'authenticated')
           AND NOT has_column_privilege('authenticated', to_regclass(map ->> 'table'), (
               SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = to_regclass(map ->> 'table') AND a.attname = map ->> 'user'), 'SELECT') THEN
            RETURN QUERY SELECT 'error', map ->> 'table', format('authenticated may not read %s, so policies that look for the user there let nobody in', map ->> 'table'),
                                format('GRANT SELECT (%I, %I) ON %s TO authenticated', map ->> 'key', map ->> 'user', map ->> 'table');
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.attachment_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.attachment_hints(chat.attachment) IS 'Part of chat.hints: what of a pair of tables is no longer as it was attached.';

-- A trigger knows its pair by a number. In a copy of a table that number is of the original, or of whatever pair has it here.
CREATE FUNCTION chat.stray_triggers() RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'error', g.tgrelid::regclass::text,
           format('triggers %s of %s belong to %s, so writing to it fails: attach the pair that it is of, or drop them',
                  string_agg(quote_ident(g.tgname), ', ' ORDER BY g.tgname), g.tgrelid::regclass,
                  COALESCE(format('%s and %s', a.conversations, a.messages), 'a pair that is not attached')),
           string_agg(format('DROP TRIGGER %I ON %s', g.tgname, g.tgrelid::regclass), '; ' ORDER BY g.tgname)
      FROM pg_trigger g
      JOIN pg_proc p ON p.oid = g.tgfoid AND p.pronamespace = 'chat'::regnamespace
       AND p.proname IN ('message_before', 'message_after', 'message_truncate', 'conversation_before', 'conversation_after', 'flush')
      LEFT JOIN chat.attachment a ON g.tgargs = convert_to(a.id::text, 'UTF8') || decode('00', 'hex')
     WHERE g.tgparentid = 0
       AND (g.tgrelid IN (a.conversations, a.messages) OR g.tgrelid IN (SELECT t.relid FROM pg_partition_tree(a.messages) t)) IS NOT TRUE
     GROUP BY g.tgrelid, a.id, a.conversations, a.messages ORDER BY g.tgrelid::regclass::text
$$;
REVOKE ALL ON FUNCTION chat.stray_triggers() FROM PUBLIC;
COMMENT ON FUNCTION chat.stray_triggers() IS 'Part of chat.hints: triggers of ours on tables that their attachment does not name, such as those of a copy.';

CREATE FUNCTION chat.general_hints() RETURNS SETOF chat.hint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'warning', current_database()::text, 'nothing is attached', 'SELECT * FROM chat.setup()' WHERE NOT EXISTS (SELECT FROM chat.attachment)
    UNION ALL
    SELECT * FROM chat.preload_hints()
    UNION ALL
    SELECT 'error', 'realtime.messages', format('policy %s on realtime.messages is an earlier version''s, with which participants can send and read more than they may', s.name),
           'SELECT * FROM chat.setup()'
      FROM chat.channel_policy_states() s WHERE s.state = 'earlier'
    UNION ALL
    SELECT * FROM chat.realtime_hints()
    UNION ALL
    SELECT * FROM chat.stray_triggers()
    UNION ALL
    SELECT 'error', c.name, format('no sidecar delivers %s', c.name), NULL FROM chat.consumer c
     WHERE c.enabled AND c.rests_since IS NULL AND c.expires_at < clock_timestamp()
    UNION ALL
    SELECT 'warning', 'chat.consumer', 'no sidecar has run yet', NULL WHERE NOT EXISTS (SELECT FROM chat.consumer)
    UNION ALL
    SELECT 'warning', p.gid, format('prepared transaction %s is open since %s: its events are delivered when it ends',
                  quote_literal(p.gid), to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), format('COMMIT PREPARED %L', p.gid)
      FROM pg_prepared_xacts p WHERE p.database = current_database() AND p.prepared < now() - interval '1 min'
    UNION ALL
    SELECT 'warning', p.relation::text, format('%s is past its retention, but a consumer has not read it', p.relation), NULL
      FROM chat.event_partitions() p, chat.event_seq s
     WHERE p.number < s.last_value >> 32 AND p.newest < now() - chat.retention('retention')
       AND NOT chat.event_partition_is_done(p.relation)
    UNION ALL
    SELECT 'error', m.part, format('part %s of chat.maintain %s, done last %s', m.part, m.error,
                  COALESCE(to_char(m.succeeded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'never')), 'SELECT * FROM chat.maintain()'
      FROM chat.maintenance m WHERE m.error ~ '^failed'
    UNION ALL
    SELECT CASE WHEN q.usage > 0.9 THEN 'error' ELSE 'warning' END, 'NOTIFY',
           format('the queue of NOTIFY is %s %% full%s: %s', round(q.usage::numeric * 100), CASE WHEN q.usage > 0.9 THEN ', and the doorbell silent' ELSE '' END,
                  COALESCE(format('process %s (%s) is in a transaction since %s, which keeps the queue from being emptied if it listens',
                                  q.pid, q.session, to_char(q.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), 'no session is in a transaction')),
           'SELECT pg_terminate_backend(' || q.pid || ')'
      FROM chat.notify_queue() q WHERE q.usage > 0.5
    UNION ALL
    SELECT 'warning', 'chat_realtime', format('version %s is installed and %s available', a.installed_version, a.default_version), 'ALTER EXTENSION chat_realtime UPDATE'
      FROM pg_available_extensions a WHERE a.name = 'chat_realtime' AND a.installed_version <> a.default_version
    UNION ALL
    SELECT 'error', 'chat_realtime', format('this session has loaded the library of version %s, and the extension is version %s: restart the server, or, where the library is not preloaded, the sessions',
                                            chat.library_version(), a.installed_version), NULL
      FROM pg_available_extensions a
     WHERE a.name = 'chat_realtime' AND a.installed_version = a.default_version AND a.installed_version <> chat.library_version()
$$;
REVOKE ALL ON FUNCTION chat.general_hints() FROM PUBLIC;
COMMENT ON FUNCTION chat.general_hints() IS 'Part of chat.hints: what concerns no pair of tables.';

CREATE FUNCTION chat.sees(caller regrole, pair chat.attachment) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT chat.owns(caller, pair) OR chat.is_administrator(caller) OR chat.is_granted(caller, 'api_stats')
$$;
REVOKE ALL ON FUNCTION chat.sees(regrole, chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.sees(regrole, chat.attachment) IS 'Whether chat.status and chat.hints tell a role of a pair of tables.';

CREATE FUNCTION chat.hints_for(caller regrole) RETURNS SETOF chat.hint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.require_operator(caller, 'api_stats');
    RETURN QUERY SELECT h.* FROM chat.attachment a, chat.attachment_hints(a) h WHERE chat.sees(caller, a);
    RETURN QUERY SELECT * FROM chat.general_hints();
END
$$;
REVOKE ALL ON FUNCTION chat.hints_for(regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.hints_for(regrole) IS 'chat.hints for a caller.';

CREATE FUNCTION chat.hints() RETURNS SETOF chat.hint
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: checks who asks
COMMENT ON FUNCTION chat.hints() IS 'What somebody should look at, and the statement that mends it; the same as the hints of chat.status. Errors: 42501 for who neither owns attached tables nor was granted it.';
