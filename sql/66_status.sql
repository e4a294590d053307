-- chat.status(): what an operator wants to see first.

CREATE FUNCTION chat.status_consumers() RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT jsonb_agg(jsonb_build_object(
               'name', c.name, 'enabled', c.enabled, 'lastId', c.last_id, 'lag', chat.ids_after(c.last_id),
               'oldestUndeliveredSeconds', COALESCE(s.oldest_seconds, 0),
               'led', c.expires_at > clock_timestamp(), 'epoch', c.epoch, 'savedAt', c.updated_at) ORDER BY c.name)
      FROM chat.consumer c LEFT JOIN chat.sidecar_stats() s ON s.consumer = c.name
$$;
REVOKE ALL ON FUNCTION chat.status_consumers() FROM PUBLIC;
COMMENT ON FUNCTION chat.status_consumers() IS 'Part of chat.status.';

CREATE FUNCTION chat.status_log() RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT jsonb_build_object(
               'lastId', (SELECT max(e.id) FROM chat.event e),
               'partitions', jsonb_agg(jsonb_build_object(
                   'name', p.relation::text, 'oldest', p.oldest, 'newest', p.newest, 'bytes', pg_total_relation_size(p.relation),
                   'current', p.number = s.last_value >> 32) ORDER BY p.number))
      FROM chat.event_partitions() p, chat.event_seq s
$$;
REVOKE ALL ON FUNCTION chat.status_log() FROM PUBLIC;
COMMENT ON FUNCTION chat.status_log() IS 'Part of chat.status.';

-- A listener takes nothing out of the queue while it is in a transaction; who listens only it knows itself.
CREATE FUNCTION chat.notify_queue(OUT usage double precision, OUT pid integer, OUT since timestamptz, OUT session text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT pg_notification_queue_usage(), a.pid, a.xact_start,
           concat_ws(', ', 'role ' || a.usename, 'database ' || a.datname, NULLIF(a.application_name, ''), host(a.client_addr))
      FROM (VALUES (1)) one
      LEFT JOIN LATERAL (SELECT * FROM pg_stat_activity s
                          WHERE s.xact_start IS NOT NULL AND s.pid <> pg_backend_pid() AND s.backend_type = 'client backend'
                          ORDER BY s.xact_start LIMIT 1) a ON true
$$;
REVOKE ALL ON FUNCTION chat.notify_queue() FROM PUBLIC;
COMMENT ON FUNCTION chat.notify_queue() IS 'How full the queue of NOTIFY is (0 to 1), and the session with the oldest transaction, which keeps it from being emptied if it listens. Moves the queue''s tail.';

CREATE FUNCTION chat.status_doorbell() RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT jsonb_build_object('notify', current_setting('chat_realtime.notify', true),
        'queueUsage', round(pg_notification_queue_usage()::numeric, 3)::float8, 'armed', (
        SELECT count(*) FROM pg_locks l
         WHERE l.locktype = 'advisory' AND l.mode = 'ShareLock' AND l.granted AND l.objsubid = 1
           AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
           AND (l.classid::bigint << 32 | l.objid::bigint) = 7163378422610750313))
$$;
REVOKE ALL ON FUNCTION chat.status_doorbell() FROM PUBLIC;
COMMENT ON FUNCTION chat.status_doorbell() IS 'Part of chat.status: when NOTIFY is sent, how full its queue is, and how many sidecars sleep until it rings.';

CREATE FUNCTION chat.attachment_hints(pair chat.attachment) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    again CONSTANT text := format('SELECT * FROM chat.attach(%L, %L)', pair.conversations, pair.messages);
    t record;
    map jsonb;
BEGIN
    BEGIN
        IF chat.resolve_columns(pair.conversations, pair.messages, pair.columns) <> pair.columns THEN
            RETURN NEXT format('columns of %s or %s have changed: %s', pair.conversations, pair.messages, again);
        END IF;
    EXCEPTION WHEN others THEN
        RETURN NEXT format('%s: %s', SQLERRM, again);
    END;
    FOR t IN
        SELECT r.relid::regclass AS relation, g.tgname, g.tgenabled
          FROM (SELECT pair.conversations::oid AS relid UNION SELECT pair.messages
                UNION SELECT p.relid FROM pg_partition_tree(pair.messages) p) r
          LEFT JOIN pg_trigger g ON g.tgrelid = r.relid AND g.tgname ~ '^(00|zz)_chat_realtime_'
           AND g.tgargs = convert_to(pair.id::text, 'UTF8') || decode('00', 'hex')
         WHERE g.oid IS NULL OR g.tgenabled = 'D' ORDER BY 1, 2
    LOOP
        RETURN NEXT CASE WHEN t.tgname IS NULL THEN format('%s has no triggers: %s', t.relation, again)
                         ELSE format('trigger %s of %s is disabled', t.tgname, t.relation) END;
    END LOOP;
    FOR t IN
        SELECT r.relid::regclass AS relation FROM unnest(ARRAY[pair.conversations, pair.messages, pair.webhooks, pair.api_keys]) r (relid)
          JOIN pg_class c ON c.oid = r.relid
         WHERE NOT c.relrowsecurity
           AND EXISTS (SELECT FROM aclexplode(c.relacl) a LEFT JOIN pg_roles k ON k.oid = a.grantee
                        WHERE a.grantee = 0 OR k.rolname IN ('anon', 'authenticated')) ORDER BY 1
    LOOP
        RETURN NEXT format('row-level security is off on %s, which clients may use', t.relation);
    END LOOP;
    FOREACH map IN ARRAY ARRAY[pair.columns -> 'owner', pair.columns -> 'agent'] LOOP
        IF map ? 'table' AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'authenticated')
           AND NOT has_column_privilege('authenticated', (map ->> 'table')::regclass, map ->> 'user', 'SELECT') THEN
            RETURN NEXT format('authenticated may not read %s, so policies that look for the user there let nobody in', map ->> 'table');
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.attachment_hints(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.attachment_hints(chat.attachment) IS 'Part of chat.status: what of a pair of tables is no longer as it was attached.';

-- A trigger knows its pair by a number. In a copy of a table that number is of the original, or of whatever pair has it here.
CREATE FUNCTION chat.stray_triggers() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT format('triggers %s of %s belong to %s, so writing to it fails: call chat.attach for the pair that it is of, or DROP TRIGGER',
                  string_agg(quote_ident(g.tgname), ', ' ORDER BY g.tgname), g.tgrelid::regclass,
                  COALESCE(format('%s and %s', a.conversations, a.messages), 'a pair that is not attached'))
      FROM pg_trigger g
      JOIN pg_proc p ON p.oid = g.tgfoid AND p.pronamespace = 'chat'::regnamespace
       AND p.proname IN ('message_before', 'message_after', 'message_truncate', 'conversation_before', 'conversation_after', 'flush')
      LEFT JOIN chat.attachment a ON g.tgargs = convert_to(a.id::text, 'UTF8') || decode('00', 'hex')
     WHERE g.tgparentid = 0
       AND (g.tgrelid IN (a.conversations, a.messages) OR g.tgrelid IN (SELECT t.relid FROM pg_partition_tree(a.messages) t)) IS NOT TRUE
     GROUP BY g.tgrelid, a.id, a.conversations, a.messages ORDER BY g.tgrelid::regclass::text
$$;
REVOKE ALL ON FUNCTION chat.stray_triggers() FROM PUBLIC;
COMMENT ON FUNCTION chat.stray_triggers() IS 'Part of chat.status: triggers of ours on tables that their attachment does not name, such as those of a copy.';

CREATE FUNCTION chat.status_hints() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT h FROM chat.attachment a, chat.attachment_hints(a) h
    UNION ALL
    SELECT chat.stray_triggers()
    UNION ALL
    SELECT 'nothing is attached: run SELECT * FROM chat.setup()' WHERE NOT EXISTS (SELECT FROM chat.attachment)
    UNION ALL
    SELECT h FROM chat.channel_hints() h
    UNION ALL
    SELECT format('no sidecar delivers %s', c.name) FROM chat.consumer c WHERE c.enabled AND c.expires_at < clock_timestamp()
    UNION ALL
    SELECT 'no sidecar has run yet' WHERE NOT EXISTS (SELECT FROM chat.consumer)
    UNION ALL
    SELECT format('prepared transaction %s is open since %s: its events are delivered when it ends',
                  quote_literal(p.gid), to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
      FROM pg_prepared_xacts p WHERE p.database = current_database() AND p.prepared < now() - interval '1 min'
    UNION ALL
    SELECT format('%s is past its retention, but a consumer has not read it', p.relation)
      FROM chat.event_partitions() p, chat.event_seq s
     WHERE p.number < s.last_value >> 32 AND p.newest < now() - chat.retention('retention')
       AND NOT chat.event_partition_is_done(p.relation)
    UNION ALL
    SELECT format('the queue of NOTIFY is %s %% full%s: %s', round(q.usage::numeric * 100), CASE WHEN q.usage > 0.9 THEN ', and the doorbell silent' ELSE '' END,
                  COALESCE(format('process %s (%s) is in a transaction since %s, which keeps the queue from being emptied if it listens: end it, or SELECT pg_terminate_backend(%s)',
                                  q.pid, q.session, to_char(q.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), q.pid), 'no session is in a transaction'))
      FROM chat.notify_queue() q WHERE q.usage > 0.5
    UNION ALL
    SELECT format('version %s is installed and %s available: run ALTER EXTENSION chat_realtime UPDATE', a.installed_version, a.default_version)
      FROM pg_available_extensions a WHERE a.name = 'chat_realtime' AND a.installed_version <> a.default_version
$$;
REVOKE ALL ON FUNCTION chat.status_hints() FROM PUBLIC;
COMMENT ON FUNCTION chat.status_hints() IS 'Part of chat.status: what somebody should look at.';

CREATE FUNCTION chat.status() RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT jsonb_build_object(
        'version', (SELECT x.extversion FROM pg_extension x WHERE x.extname = 'chat_realtime'),
        'server', current_setting('server_version'),
        'attachments', (SELECT COALESCE(jsonb_agg(jsonb_build_object(
            'conversations', a.conversations::text, 'messages', a.messages::text, 'webhooks', a.webhooks::text,
            'apiKeys', a.api_keys::text, 'columns', a.columns, 'settings', a.settings) ORDER BY a.id), '[]') FROM chat.attachment a),
        'consumers', COALESCE(chat.status_consumers(), '[]'),
        'oldestUndeliveredSeconds', COALESCE((SELECT max(s.oldest_seconds) FROM chat.sidecar_stats() s), 0),
        'retentionSeconds', EXTRACT(epoch FROM chat.retention('retention'))::bigint,
        'log', chat.status_log(),
        'doorbell', chat.status_doorbell(),
        'rollout', (SELECT jsonb_build_object('percent', r.percent, 'bothWays', r.both_ways, 'realtimeHealthy', r.healthy) FROM chat.rollout r),
        -- Named one by one: there are settings that only superusers may see.
        'settings', (SELECT jsonb_object_agg(replace(g.name, 'chat_realtime.', ''), current_setting(g.name)) FROM pg_settings g
            WHERE g.name = ANY (ARRAY(SELECT 'chat_realtime.' || n FROM unnest(ARRAY['notify', 'retention', 'audit_retention',
                'sanitize', 'max_content_bytes', 'max_payload_bytes', 'max_media_bytes', 'allowed_media_types', 'preview_labels', 'rate_limits']) n))),
        'hints', (SELECT COALESCE(jsonb_agg(h), '[]') FROM chat.status_hints() h))
$$;
REVOKE ALL ON FUNCTION chat.status() FROM PUBLIC;
COMMENT ON FUNCTION chat.status() IS 'What is attached, the consumers and how far they are, the age in seconds of the oldest event not delivered, the log''s partitions, the doorbell, the rollout, settings, and hints at what should be looked at.';

CREATE FUNCTION chat.sidecar_gauges() RETURNS TABLE (name text, labels text, help text, value double precision)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT v.* FROM chat.notify_queue() q, LATERAL (VALUES
        ('chat_realtime_notify_queue_usage', '', 'How full the queue of NOTIFY is (0 to 1); above 0.9 the doorbell does not ring.', q.usage),
        ('chat_realtime_notify_queue_oldest_pid', '', 'Process of the oldest transaction, which keeps the queue of NOTIFY from being emptied if it listens; 0 while less than half is used.',
         CASE WHEN q.usage > 0.5 THEN COALESCE(q.pid, 0) ELSE 0 END)) v
$$;
REVOKE ALL ON FUNCTION chat.sidecar_gauges() FROM PUBLIC;
COMMENT ON FUNCTION chat.sidecar_gauges() IS 'Gauges for the sidecar''s /metrics: name, labels and text as Prometheus wants them.';
