-- Where webhooks point to, for the sidecar's doctor: of all owners, and so neither paths, which may be secret, nor users' names in it.

CREATE FUNCTION chat.webhook_origins(max_rows integer) RETURNS TABLE (origin text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    source regclass;
    found text[] := '{}';
BEGIN
    FOR source IN SELECT s.source FROM chat.external_webhook_tables() s LOOP
        found := found || chat.run_beside(NULL::text[], source, 'webhook_origins', max_rows);
    END LOOP;
    RETURN QUERY SELECT DISTINCT o FROM unnest(found) o ORDER BY o LIMIT max_rows;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_origins(integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_origins(integer) IS 'For the sidecar''s doctor: scheme, host and port of active webhooks of all owners, each once, max_rows at most, out of 10000 webhooks of each table; neither path nor credentials of their URLs.';
