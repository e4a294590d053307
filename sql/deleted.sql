-- Rows of API keys and webhooks that are deleted, by functions of the extension or by users themselves.

CREATE FUNCTION chat.row_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    -- A column of another type could bring code of the table's owner.
    IF chat.attribute_type(TG_RELID, 'id') = 'uuid'::regtype THEN
        PERFORM chat.audit(TG_ARGV[0] || '.deleted', OLD.id::text);
        IF TG_ARGV[0] = 'webhook' THEN
            PERFORM chat.forget_webhooks(ARRAY[OLD.id]);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.row_deleted() FROM PUBLIC;
COMMENT ON FUNCTION chat.row_deleted() IS 'AFTER DELETE of a key or webhook (the argument: api_key or webhook), each row: leaves a row in chat.audit_log, and drops what was still to be delivered to a webhook.';

CREATE FUNCTION chat.audits_deletions(relation regclass) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgfoid = 'chat.row_deleted()'::regprocedure AND t.tgenabled <> 'D');
END
$$;
REVOKE ALL ON FUNCTION chat.audits_deletions(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.audits_deletions(regclass) IS 'Whether chat.row_deleted is a trigger of a table.';
