-- Webhooks: the functions the sidecar delivers with.
-- Every function named chat.webhook_* is for the sidecar's role.

CREATE FUNCTION chat.external_webhook_tables() RETURNS TABLE (source regclass, columns text[])
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN QUERY
    SELECT w.source, w.columns
      FROM (SELECT s.source, ARRAY(SELECT t.attname::text FROM pg_attribute t WHERE t.attrelid = s.source AND t.attnum > 0 AND NOT t.attisdropped) AS columns
              FROM (SELECT DISTINCT a.webhooks AS source FROM chat.attachment a WHERE a.webhooks IS NOT NULL) s) w
     WHERE w.columns @> (ARRAY(SELECT c.name FROM chat.ability_columns() c WHERE c.kind = 'webhooks' AND c.essential) || '{id,user_id,url,events}')
     ORDER BY w.source;
END
$$;
REVOKE ALL ON FUNCTION chat.external_webhook_tables() FROM PUBLIC;
COMMENT ON FUNCTION chat.external_webhook_tables() IS 'The attached tables of webhooks that have what delivery needs, and their columns.';

CREATE FUNCTION chat.external_webhooks(ids uuid[], owners text[]) RETURNS SETOF chat.webhook_endpoint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    source regclass;
    fitting text[] := ARRAY(SELECT o FROM unnest(owners) o WHERE o ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$');
BEGIN
    FOR source IN SELECT s.source FROM chat.external_webhook_tables() s LOOP
        RETURN QUERY SELECT * FROM unnest(CASE
            WHEN ids IS NOT NULL THEN chat.run_beside(NULL::chat.webhook_endpoint[], source, 'webhooks_by_id', ids)
            WHEN chat.attribute_type(source, 'user_id') = 'uuid'::regtype THEN chat.run_beside(NULL::chat.webhook_endpoint[], source, 'webhooks_of', fitting)
            ELSE chat.run_beside(NULL::chat.webhook_endpoint[], source, 'webhooks_of', owners) END);
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

-- Deliveries and attempts are looked up one by one, by the index on the event: an event has few of them, a webhook may have
-- a million.
CREATE FUNCTION chat.webhook_terms(owners text[], conversations text[], again bigint[])
    RETURNS TABLE (kind text, webhook uuid, owner text, url text, secret text, old_secret text, events text, paused boolean,
                   conversation text, message_id text, headers text, signing_key text, rate_limit integer, chosen text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0 SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
#variable_conflict use_column
DECLARE
    orphans text[] := ARRAY(SELECT DISTINCT p.conversation FROM unnest($1, $2) p (owner, conversation) WHERE p.owner IS NULL AND p.conversation <> '');
    adopted text[];
    adopters text[];
    endpoints chat.webhook_endpoint[];
    waiting chat.webhook_endpoint[];
BEGIN
    IF cardinality(orphans) > 0 THEN
        SELECT array_agg(o.conversation), array_agg(o.owner) INTO adopted, adopters FROM chat.owners_of(orphans) o;
        RETURN QUERY SELECT 'owner', NULL::uuid, o.owner, NULL, NULL, NULL, NULL, NULL::boolean, o.conversation, NULL, NULL, NULL, NULL::integer, NULL FROM unnest(adopted, adopters) o (conversation, owner);
    END IF;
    endpoints := ARRAY(SELECT w FROM chat.external_webhooks(NULL, ARRAY(SELECT DISTINCT o FROM unnest($1 || adopters) o WHERE o IS NOT NULL)) w);
    IF cardinality(endpoints) = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT 'endpoint', w.id, w.owner, w.url, w.secret, w.old_secret, ',' || array_to_string(w.events, ',') || ',',
           EXISTS (SELECT FROM chat.webhook_state s WHERE s.webhook = w.id AND s.paused_until > clock_timestamp() OFFSET 0), NULL, NULL,
           chat.header_lines(o.headers), encode(o.signing_key, 'base64'), o.rate_limit,
           CASE WHEN o.conversations IS NOT NULL OR o.inboxes IS NOT NULL
                THEN chat.chosen_conversations(o, ARRAY(SELECT DISTINCT g.conversation
                                                          FROM unnest($1, $2) g (owner, conversation)
                                                          LEFT JOIN unnest(adopted, adopters) a (conversation, owner) ON g.owner IS NULL AND a.conversation = g.conversation
                                                         WHERE COALESCE(g.owner, a.owner) = w.owner AND g.conversation <> '')) END
      FROM unnest(endpoints) w LEFT JOIN chat.webhook_options o ON o.webhook = w.id;
    waiting := ARRAY(SELECT w FROM unnest(endpoints) w WHERE EXISTS (SELECT FROM chat.webhook_delivery d WHERE d.webhook = w.id OFFSET 0));
    IF cardinality(waiting) > 0 THEN
        RETURN QUERY
        SELECT 'blocked', w.id, w.owner, NULL, NULL, NULL, NULL, NULL::boolean, p.conversation, NULL, NULL, NULL, NULL::integer, NULL
          FROM (SELECT DISTINCT COALESCE(g.owner, a.owner) AS owner, g.conversation
                  FROM unnest($1, $2) g (owner, conversation)
                  LEFT JOIN unnest(adopted, adopters) a (conversation, owner) ON g.owner IS NULL AND a.conversation = g.conversation) p
          JOIN unnest(waiting) w ON w.owner = p.owner
         WHERE EXISTS (SELECT FROM chat.webhook_delivery d WHERE d.webhook = w.id AND d.conversation = p.conversation OFFSET 0);
    END IF;
    IF cardinality($3) > 0 THEN
        RETURN QUERY
        SELECT DISTINCT 'known', k.webhook, NULL, NULL, NULL, NULL, NULL, NULL::boolean, NULL, k.message_id, NULL, NULL, NULL::integer, NULL
          FROM unnest($3) e (id)
         CROSS JOIN LATERAL (
                SELECT d.webhook, d.message_id FROM chat.webhook_delivery d WHERE d.event_id = e.id
                 UNION ALL
                SELECT a.webhook, a.message_id FROM chat.webhook_attempt a WHERE a.event_id = e.id AND a.error IS NULL OFFSET 0) k
         WHERE k.webhook IN (SELECT w.id FROM unnest(endpoints) w);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_terms(text[], text[], bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_terms(text[], text[], bigint[]) IS 'Who gets the events of a read of the log, given as pairs of owner (NULL: unknown) and conversation (empty: none), each once. Rows by kind: owner, that of a conversation that came without; endpoint, an active webhook of one of the owners, with the events it wants between commas, whether it is paused, old_secret only while that is still valid, its headers as lines, its Ed25519 key in base64, its requests a minute, and where it has a filter, the conversations that pass it between line feeds; blocked, a conversation of which deliveries to a webhook are stored, so that what comes now waits behind them; known, a message of the events in again that chat.webhook_delivery holds or that was delivered according to chat.webhook_attempt.';

CREATE FUNCTION chat.webhook_last() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$ SELECT GREATEST((SELECT max(a.event_id) FROM chat.webhook_attempt a), (SELECT max(d.event_id) FROM chat.webhook_delivery d), 0) $$;
REVOKE ALL ON FUNCTION chat.webhook_last() FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_last() IS 'The newest event of which an attempt was made or a delivery stored: a position is saved later than these are, so that events up to it may come to the next leader again.';

-- The reader of the log makes bodies in the same place.
CREATE FUNCTION chat.hook_body(message_id text, type text, created_at timestamptz, payload text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_hook_body';
REVOKE ALL ON FUNCTION chat.hook_body(text, text, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.hook_body(text, text, timestamptz, text) IS 'The body of a webhook''s request, byte for byte: {"id", "type", "event", "timestamp", "data"}, with the webhook-id, the type as the event, the time of the event in UTC with milliseconds, and the payload, which is JSON, as it is. Errors: 22008 for a time that is infinite or not of the years 1 to 9999.';

-- Goes from webhook to webhook through the index, each one's earliest delivery, so that one with many hides no other. What waits
-- behind a delivery that was not tried yet comes with it, so that a webhook that is well again need not ask for each.
CREATE FUNCTION chat.webhook_due(max_rows integer, max_bytes integer, taken bigint[], busy uuid[])
    RETURNS TABLE (id bigint, type text, body text, created_at bigint, webhook uuid, owner text, url text, secret text, old_secret text,
                   conversation text, delivery bigint, attempts integer, headers text, signing_key text, rate_limit integer)
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
    SELECT q.event_id, q.type, chat.hook_body(q.message_id, q.type, q.created_at, q.payload), (extract(epoch FROM q.created_at) * 1000000)::bigint,
           q.webhook, q.owner, q.url, q.secret, q.old_secret, q.conversation, q.id, q.attempts,
           chat.header_lines(o.headers), encode(o.signing_key, 'base64'), o.rate_limit
      FROM (SELECT t.*, sum(octet_length(t.payload)) OVER (ORDER BY t.turn, t.due_at, t.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
              FROM (SELECT d.*, h.owner, h.url, h.secret, h.old_secret, h.due_at, row_number() OVER (PARTITION BY h.owner ORDER BY d.place, h.due_at, d.id) AS turn
                      FROM (SELECT first, first.next_attempt_at AS due_at, w.owner, w.url, w.secret, w.old_secret, count(*) OVER () AS heads
                              FROM chat.external_webhooks(candidates, NULL) w
                             CROSS JOIN LATERAL (
                                    SELECT d.* FROM chat.webhook_delivery d
                                     WHERE d.webhook = w.id AND d.next_attempt_at <= clock_timestamp() AND d.id <> ALL ($3)
                                     ORDER BY d.next_attempt_at LIMIT GREATEST(1, LEAST(64, 4 * $1 / cardinality(candidates)))) first) h
                     CROSS JOIN LATERAL (
                            SELECT (h.first).*, 0 AS place
                             UNION ALL
                            SELECT * FROM (SELECT n.*, row_number() OVER (ORDER BY n.event_id, n.message_id)::integer FROM chat.webhook_delivery n
                                            WHERE (h.first).attempts = 0 AND n.webhook = (h.first).webhook AND n.conversation = (h.first).conversation
                                              AND (n.event_id, n.message_id) > ((h.first).event_id, (h.first).message_id) AND n.next_attempt_at IS NULL
                                              AND NOT EXISTS (SELECT FROM chat.webhook_delivery o WHERE o.webhook = (h.first).webhook AND o.conversation = (h.first).conversation
                                                                 AND o.next_attempt_at IS NOT NULL AND o.id <> (h.first).id)
                                            ORDER BY n.event_id, n.message_id LIMIT LEAST(31, 4 * $1 / h.heads)) n) d) t) q
      LEFT JOIN chat.webhook_options o ON o.webhook = q.webhook
     WHERE (q.bytes_before IS NULL OR q.bytes_before < $2) AND q.turn <= GREATEST(1, $1 / 2)
     ORDER BY q.turn, q.due_at, q.id
     LIMIT $1;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_due(integer, integer, bigint[], uuid[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_due(integer, integer, bigint[], uuid[]) IS 'Deliveries whose next attempt is due, at most max_rows, half of them of an owner, of about max_bytes of payloads, and 64 conversations per webhook, and behind each that was not tried yet up to 31 that wait for it, in their order; owners take turns; without those in taken (delivery ids) and without webhooks that are in busy, paused or not active. body: what is sent; created_at: microseconds since 1970; delivery: id of the row, attempts: made so far.';
