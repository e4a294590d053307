-- chat.status(): what an operator wants to see first.

CREATE FUNCTION chat.status_consumers() RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT jsonb_agg(jsonb_build_object(
               'name', c.name, 'enabled', c.enabled, 'rests', c.rests_since IS NOT NULL, 'lastId', c.last_id,
               'lag', CASE WHEN c.rests_since IS NULL THEN chat.ids_after(c.last_id) ELSE 0 END,
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
               'lastId', chat.last_event_id(),
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

CREATE FUNCTION chat.status_for(caller regrole) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT chat.require_operator(caller, 'api_stats');
    SELECT jsonb_build_object(
        'version', (SELECT x.extversion FROM pg_extension x WHERE x.extname = 'chat_realtime'),
        'server', current_setting('server_version'),
        'attachments', (SELECT COALESCE(jsonb_agg(jsonb_build_object(
            'conversations', a.conversations::text, 'messages', a.messages::text, 'webhooks', a.webhooks::text,
            'apiKeys', a.api_keys::text, 'columns', a.columns, 'settings', a.settings) ORDER BY a.id), '[]') FROM chat.attachment a
            WHERE chat.sees(caller, a)),
        'consumers', COALESCE(chat.status_consumers(), '[]'),
        'oldestUndeliveredSeconds', COALESCE((SELECT max(s.oldest_seconds) FROM chat.sidecar_stats() s), 0),
        'retentionSeconds', EXTRACT(epoch FROM chat.retention('retention'))::bigint,
        'log', chat.status_log(),
        'doorbell', chat.status_doorbell(),
        'rollout', (SELECT jsonb_build_object('percent', r.percent, 'bothWays', r.both_ways, 'realtimeHealthy', r.healthy) FROM chat.rollout r),
        -- By name: there are settings that only superusers may see.
        'settings', (SELECT jsonb_object_agg(k.name, current_setting(g.name)) FROM chat.setting_kinds() k
            JOIN pg_settings g ON g.name = 'chat_realtime.' || k.name),
        'hints', (SELECT COALESCE(jsonb_agg(to_jsonb(h)), '[]') FROM chat.hints_for(caller) h))
$$;
REVOKE ALL ON FUNCTION chat.status_for(regrole) FROM PUBLIC;
COMMENT ON FUNCTION chat.status_for(regrole) IS 'chat.status for a caller: of attached tables, its own; for an administrator, a sidecar or a backend all.';

CREATE FUNCTION chat.status() RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: checks who asks
COMMENT ON FUNCTION chat.status() IS 'What is attached, the consumers and how far they are, the age in seconds of the oldest event not delivered, the log''s partitions, the doorbell, the rollout, settings, and hints at what should be looked at.';

CREATE FUNCTION chat.sidecar_gauges() RETURNS TABLE (name text, labels text, help text, value double precision)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'chat_realtime_maintenance_last_success_timestamp_seconds', format('part="%s"', m.part),
           'When a part of chat.maintain was last done, in seconds since 1970; 0: never.', COALESCE(EXTRACT(epoch FROM m.succeeded_at), 0)
      FROM chat.maintenance m
    UNION ALL
    SELECT v.* FROM chat.rollout r, LATERAL (VALUES
        ('chat_realtime_rollout_percent', '', 'Share of users that chat.set_rollout moved to Realtime.', r.percent::double precision),
        ('chat_realtime_rollout_healthy', '', '0: Realtime fails, and users who are on it alone fall back to Socket.IO.', r.healthy::integer)) v
    UNION ALL
    SELECT 'chat_realtime_rollout_untold', '', 'Changes of the rollout of which not all users are told yet.', count(*) FROM chat.provider_change
    UNION ALL
    SELECT 'chat_realtime_log_bytes', '', 'Size of the event log with its indexes; it is freed by whole partitions, after chat_realtime.retention.',
           COALESCE(sum(pg_total_relation_size(p.relation)), 0)::double precision FROM chat.event_partitions() p
    UNION ALL
    SELECT v.* FROM (SELECT count(*) FILTER (WHERE s.disabled_at IS NOT NULL) AS disabled,
                            count(*) FILTER (WHERE s.disabled_at IS NULL AND s.first_failure_at IS NOT NULL) AS failing FROM chat.webhook_state s) w, LATERAL (VALUES
        ('chat_realtime_webhooks_failing', '', 'Webhooks of which every attempt has failed since some time.', w.failing::double precision),
        ('chat_realtime_webhooks_disabled', '', 'Webhooks that were disabled, since every attempt failed for too long or the receiver wanted no more.', w.disabled)) v
    UNION ALL
    SELECT v.* FROM chat.notify_queue() q, LATERAL (VALUES
        ('chat_realtime_notify_queue_usage', '', 'How full the queue of NOTIFY is (0 to 1); above 0.9 the doorbell does not ring.', q.usage),
        ('chat_realtime_notify_queue_oldest_pid', '', 'Process of the oldest transaction, which keeps the queue of NOTIFY from being emptied if it listens; 0 while less than half is used.',
         CASE WHEN q.usage > 0.5 THEN COALESCE(q.pid, 0) ELSE 0 END)) v
$$;
REVOKE ALL ON FUNCTION chat.sidecar_gauges() FROM PUBLIC;
COMMENT ON FUNCTION chat.sidecar_gauges() IS 'Gauges for the sidecar''s /metrics: name, labels and text as Prometheus wants them.';
