\set ECHO none
-- What webhooks get since a position, as the sidecar makes it of chat.read_log and chat.webhook_terms: a row that has the position
-- behind it (id, and the snapshot as payload), then one for each event and endpoint. Needs shared/read_log.sql.
CREATE FUNCTION webhook_read(last_id bigint, snapshot text, max_rows integer, max_bytes integer DEFAULT 1000000)
    RETURNS TABLE (id bigint, message_id text, type text, webhook uuid, owner text, url text, secret text, old_secret text,
                   conversation text, created_at text, blocked boolean, payload text) LANGUAGE sql AS
$$
    WITH told AS MATERIALIZED (
        SELECT r.*, row_number() OVER () AS n FROM read_log(last_id, snapshot, max_rows, 4, max_bytes => max_bytes) r
    ), pair AS MATERIALIZED (
        SELECT DISTINCT NULLIF(r.owner, '') AS owner, r.conversation FROM told r WHERE r.event IS NOT NULL
    ), term AS MATERIALIZED (
        SELECT * FROM chat.webhook_terms((SELECT array_agg(p.owner ORDER BY p.owner, p.conversation) FROM pair p), (SELECT array_agg(p.conversation ORDER BY p.owner, p.conversation) FROM pair p),
            ARRAY(SELECT DISTINCT r.id FROM told r WHERE r.event IS NOT NULL AND r.id <= chat.webhook_last()))
    )
    SELECT r.id, NULL, NULL, NULL::uuid, NULL, NULL, NULL, NULL, NULL, NULL, NULL::boolean, r.next_snapshot FROM told r WHERE r.event IS NULL
    UNION ALL (
    SELECT r.id, r.message ->> 'id', r.event, t.webhook, t.owner, t.url, t.secret, t.old_secret, r.conversation, r.message ->> 'timestamp',
           t.paused OR EXISTS (SELECT FROM term b WHERE b.kind = 'blocked' AND b.webhook = t.webhook AND b.conversation = r.conversation), r.payload::text
      FROM told r
      LEFT JOIN term o ON o.kind = 'owner' AND r.owner = '' AND o.conversation = r.conversation
      JOIN term t ON t.kind = 'endpoint' AND t.owner = COALESCE(o.owner, r.owner) AND (t.events LIKE '%,' || r.event || ',%' OR t.events LIKE '%,*,%')
       AND (t.chosen IS NULL OR t.chosen LIKE E'%\n' || r.conversation || E'\n%')
     WHERE NOT EXISTS (SELECT FROM term k WHERE k.kind = 'known' AND k.webhook = t.webhook AND k.message_id = r.message ->> 'id')
     ORDER BY r.n, t.webhook)
$$;
\set ECHO all
