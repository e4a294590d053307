-- Webhooks: the functions the sidecar delivers with.
-- Every function named chat.webhook_* is for the sidecar's role.

CREATE FUNCTION chat.external_webhook_tables() RETURNS TABLE (source regclass, columns text[])
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_variable
DECLARE
    needed CONSTANT text[] := ARRAY(SELECT c.name FROM chat.ability_columns() c WHERE c.kind = 'webhooks' AND c.essential) || '{id,user_id,url,events}';
BEGIN
    FOR source IN SELECT DISTINCT a.webhooks FROM chat.attachment a WHERE a.webhooks IS NOT NULL ORDER BY 1 LOOP
        columns := ARRAY(SELECT t.attname::text FROM pg_attribute t
                          WHERE t.attrelid = source AND t.attnum > 0 AND NOT t.attisdropped);
        IF columns @> needed THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.external_webhook_tables() FROM PUBLIC;
COMMENT ON FUNCTION chat.external_webhook_tables() IS 'The attached tables of webhooks that have what delivery needs, and their columns.';

CREATE FUNCTION chat.external_webhooks(ids uuid[], owners text[]) RETURNS SETOF chat.webhook_endpoint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    source record;
    owner_ids uuid[] := ARRAY(SELECT o::uuid FROM unnest(owners) o
                               WHERE o ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$');
BEGIN
    FOR source IN
        SELECT s.source, s.columns @> '{old_secret,old_secret_expires_at}' AS rotates,
               (SELECT t.atttypid FROM pg_attribute t
                 WHERE t.attrelid = s.source AND t.attname = 'user_id') = 'uuid'::regtype AS by_uuid
          FROM chat.external_webhook_tables() s
    LOOP
        -- With a text cast of the owner the index on it could not be used.
        RETURN QUERY SELECT * FROM unnest(chat.read_on(NULL::chat.webhook_endpoint[], source.source, format(
            'SELECT array_agg(ROW(w.id, w.user_id::text, w.url::text, w.secret::text, %s, w.events::text[])::chat.webhook_endpoint) '
            '  FROM %s w WHERE w.is_active AND %s',
            CASE WHEN source.rotates
                 THEN 'CASE WHEN w.old_secret_expires_at > clock_timestamp() THEN w.old_secret::text END'
                 ELSE 'NULL::text' END,
            source.source,
            CASE WHEN ids IS NOT NULL THEN 'w.id = ANY ($1)'
                 WHEN source.by_uuid THEN 'w.user_id = ANY ($2)'
                 ELSE 'w.user_id::text = ANY ($3)' END), ids, owner_ids, owners));
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.external_webhooks(uuid[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.external_webhooks(uuid[], text[]) IS 'The active webhooks with these ids, or where ids is NULL, of these owners. old_secret: only while it is still valid.';

-- An event of a message that was written before its conversation does not say whose it is. Where several pairs of tables
-- could have such an id, the event could be of any of them, and is nobody's.
CREATE FUNCTION chat.owners_of(conversations text[]) RETURNS TABLE (conversation text, owner text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_variable
DECLARE
    pairs chat.attachment[];
BEGIN
    FOREACH conversation IN ARRAY conversations LOOP
        pairs := ARRAY(SELECT a FROM chat.attachment a
                        WHERE chat.key_fits(a.conversations, a.columns ->> 'conversation_id', conversation));
        CONTINUE WHEN cardinality(pairs) <> 1;
        owner := chat.presence_conversation(pairs[1], conversation) ->> 'owner';
        IF owner IS NOT NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.owners_of(text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.owners_of(text[]) IS 'The users who own conversations, of those that only one attached pair of tables can have.';

-- The events of one read. Inlined into the queries below.
CREATE FUNCTION chat.external_webhook_events(last_id bigint, seen pg_snapshot, max_rows integer, max_bytes integer)
    RETURNS TABLE (id bigint, owner text, conversation text, webhook text, changes jsonb,
                   created_at timestamptz, payload text)
    LANGUAGE sql STABLE AS
$$
    SELECT e.id, e.owner, e.conversation, e.webhook, e.changes, e.created_at, e.payload
      FROM (SELECT f.*, sum(octet_length(f.payload)) OVER (ORDER BY f.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
              FROM chat.fresh_events($1, $3) f) e
     WHERE e.bytes_before IS NULL OR e.bytes_before < $4
    UNION ALL
    SELECT e.id, e.owner, e.conversation, e.webhook, e.changes, e.created_at, e.payload FROM chat.late_events($1, $2) e
$$;
REVOKE ALL ON FUNCTION chat.external_webhook_events(bigint, pg_snapshot, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.external_webhook_events(bigint, pg_snapshot, integer, integer) IS 'Part of chat.webhook_read: the events since a position, late ones and at most max_rows with ids above it, of about max_bytes of payloads, whether a webhook gets them or not.';

-- Same cursor as chat.read_log. Deliveries and attempts are looked up one by one, by the index on the event: an event
-- has few of them, a webhook may have a million ("IS NOT DISTINCT FROM" fits no index). A message that is stored already is not handed out again. Being STABLE,
-- all of its statements see the one snapshot that it returns.
CREATE FUNCTION chat.webhook_read(last_id bigint, snapshot text, max_rows integer, max_bytes integer)
    RETURNS TABLE (id bigint, message_id text, type text, webhook uuid, owner text, url text, secret text, old_secret text,
                   conversation text, created_at text, blocked boolean, payload text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0 SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
#variable_conflict use_column
DECLARE
    seen pg_snapshot := $2::pg_snapshot;
    owners text[];
    orphans text[];
    adopted_conversations text[];
    adopted_owners text[];
    endpoints chat.webhook_endpoint[];
    -- Attempts beyond the position: it was saved before a crash, and some of what follows was delivered.
    again boolean := COALESCE((SELECT max(a.event_id) FROM chat.webhook_attempt a) > $1, false);
BEGIN
    SELECT GREATEST(max(e.id), $1), array_agg(DISTINCT e.owner) FILTER (WHERE e.webhook IS NOT NULL AND e.owner IS NOT NULL),
           array_agg(DISTINCT e.conversation) FILTER (WHERE e.webhook IS NOT NULL AND e.owner IS NULL AND e.conversation IS NOT NULL)
      INTO id, owners, orphans
      FROM chat.external_webhook_events($1, seen, $3, $4) e;
    payload := pg_current_snapshot();
    RETURN NEXT;
    IF orphans IS NOT NULL THEN
        SELECT array_agg(o.conversation), array_agg(o.owner) INTO adopted_conversations, adopted_owners FROM chat.owners_of(orphans) o;
        owners := owners || adopted_owners;
    END IF;
    IF owners IS NOT NULL THEN
        endpoints := ARRAY(SELECT w FROM chat.external_webhooks(NULL, owners) w);
    END IF;
    IF cardinality(endpoints) > 0 THEN
        RETURN QUERY
        WITH message AS (
            SELECT e.id, 0 AS part, 'evt_' || e.id AS message_id, e.webhook AS type,
                   COALESCE(e.owner, a.owner) AS owner, COALESCE(e.conversation, '') AS conversation, e.created_at, e.payload
              FROM chat.external_webhook_events($1, seen, $3, $4) e
              LEFT JOIN unnest(adopted_conversations, adopted_owners) a (conversation, owner) ON e.owner IS NULL AND a.conversation = e.conversation
             WHERE e.webhook IS NOT NULL
            UNION ALL
            SELECT e.id, 1, 'evt_' || e.id || '_closed', 'conversation.closed', e.owner,
                   COALESCE(e.conversation, ''), e.created_at, e.payload
              FROM chat.external_webhook_events($1, seen, $3, $4) e
             WHERE e.webhook = 'conversation.updated' AND e.changes #>> '{status,new}' = 'resolved'
        ), paused AS MATERIALIZED (
            SELECT s.webhook FROM chat.webhook_state s WHERE s.paused_until > clock_timestamp()
        )
        SELECT m.id, m.message_id, m.type, w.id, w.owner, w.url, w.secret, w.old_secret, m.conversation,
               to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               w.id IN (SELECT p.webhook FROM paused p)
               OR EXISTS (SELECT FROM chat.webhook_delivery d
                           WHERE d.webhook = w.id AND d.conversation = m.conversation OFFSET 0),
               CASE WHEN row_number() OVER (PARTITION BY m.id, m.part ORDER BY w.id) = 1 THEN m.payload END
          FROM message m
          JOIN unnest(endpoints) w ON w.owner = m.owner AND (m.type = ANY (w.events) OR '*' = ANY (w.events))
         WHERE NOT EXISTS (SELECT FROM chat.webhook_delivery d
                            WHERE d.event_id = m.id AND d.message_id = m.message_id
                              AND d.webhook IS NOT DISTINCT FROM w.id OFFSET 0)
           AND (NOT (again OR m.id <= $1)
                OR NOT EXISTS (SELECT FROM chat.webhook_attempt a
                                WHERE a.event_id = m.id AND a.message_id = m.message_id
                                  AND a.webhook IS NOT DISTINCT FROM w.id AND a.error IS NULL OFFSET 0))
         ORDER BY m.id, m.part, w.id;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_read(bigint, text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_read(bigint, text, integer, integer) IS 'What came since a position. First row: the position after this read (id, and the snapshot as payload), which advances also past events that no webhook wants. Then one row per event and matching active webhook, in the order of ids, of at most max_rows events and about max_bytes of payloads, late ones aside; payload is in the first row of each event alone; without what chat.webhook_delivery holds, and without what was delivered already according to chat.webhook_attempt. old_secret: only while it is still valid. created_at: ISO 8601, UTC. blocked: an unfinished delivery of the same webhook and conversation exists, or the webhook is paused.';

-- Goes from webhook to webhook through the index, each one's earliest delivery, so that one with many hides no other.
CREATE FUNCTION chat.webhook_due(max_rows integer, max_bytes integer, taken bigint[], busy uuid[])
    RETURNS TABLE (id bigint, message_id text, type text, webhook uuid, owner text, url text, secret text, old_secret text,
                   conversation text, created_at text, blocked boolean, payload text, delivery bigint,
                   attempts integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0 SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_incremental_sort = off SET enable_indexscan = on AS
$$
#variable_conflict use_column
DECLARE
    candidates uuid[];
BEGIN
    WITH RECURSIVE step AS (
        (SELECT d.webhook, d.next_attempt_at FROM chat.webhook_delivery d WHERE d.next_attempt_at IS NOT NULL
          ORDER BY d.webhook, d.next_attempt_at LIMIT 1)
        UNION ALL
        SELECT d.* FROM step s
         CROSS JOIN LATERAL (SELECT d.webhook, d.next_attempt_at FROM chat.webhook_delivery d
                              WHERE d.next_attempt_at IS NOT NULL AND d.webhook > s.webhook
                              ORDER BY d.webhook, d.next_attempt_at LIMIT 1) d
    )
    SELECT array_agg(s.webhook) INTO candidates
      FROM step s
     WHERE s.webhook <> ALL ($4) AND s.next_attempt_at <= clock_timestamp()
       AND NOT EXISTS (SELECT FROM chat.webhook_state p
                        WHERE p.webhook = s.webhook AND p.paused_until > clock_timestamp());
    IF candidates IS NULL THEN
        RETURN;
    END IF;
    -- Owners take turns, each with what has waited longest; what is looked at is bounded, however many webhooks there are.
    RETURN QUERY
    SELECT q.event_id, q.message_id, q.type, q.webhook, q.owner, q.url, q.secret, q.old_secret, q.conversation,
           to_char(q.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), false, q.payload, q.id, q.attempts
      FROM (SELECT t.*, sum(octet_length(t.payload)) OVER (ORDER BY t.turn, t.next_attempt_at, t.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
              FROM (SELECT d.*, w.owner, w.url, w.secret, w.old_secret, row_number() OVER (PARTITION BY w.owner ORDER BY d.next_attempt_at, d.id) AS turn
                      FROM chat.external_webhooks(candidates, NULL) w
                     CROSS JOIN LATERAL (
                            SELECT h.* FROM chat.webhook_delivery h
                             WHERE h.webhook = w.id AND h.next_attempt_at <= clock_timestamp() AND h.id <> ALL ($3)
                             ORDER BY h.next_attempt_at LIMIT GREATEST(1, LEAST(64, 4 * $1 / cardinality(candidates)))) d) t) q
     WHERE q.bytes_before IS NULL OR q.bytes_before < $2
     ORDER BY q.turn, q.next_attempt_at, q.id
     LIMIT $1;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_due(integer, integer, bigint[], uuid[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_due(integer, integer, bigint[], uuid[]) IS 'Deliveries whose next attempt is due, at most max_rows, of about max_bytes of payloads, and 64 per webhook; owners take turns; without those in taken (delivery ids) and without webhooks that are in busy, paused or not active. Columns as in chat.webhook_read, with payload in each row; delivery: id of the row, attempts: made so far.';
