-- Partitions that were made by chat.maintain have the indexes of their pattern.
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT pg_catalog.format('CREATE INDEX ON %s USING %s', i.inhrelid::regclass, k.sense)
          FROM (VALUES ('chat.event'::regclass, 'chat.event_0'::regclass), ('chat.webhook_attempt', 'chat.webhook_attempt_default')) p (parent, pattern)
          JOIN pg_catalog.pg_inherits i ON i.inhparent = p.parent AND i.inhrelid <> p.pattern
         CROSS JOIN LATERAL (
            SELECT pg_catalog.split_part(pg_catalog.pg_get_indexdef(x.indexrelid), ' USING ', 2) AS sense FROM pg_catalog.pg_index x WHERE x.indrelid = p.pattern
            EXCEPT
            SELECT pg_catalog.split_part(pg_catalog.pg_get_indexdef(x.indexrelid), ' USING ', 2) FROM pg_catalog.pg_index x WHERE x.indrelid = i.inhrelid) k
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
