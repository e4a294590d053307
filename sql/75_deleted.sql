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

CREATE FUNCTION chat.setup_deletions(schema text) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT to_regclass(format('%I.%I', schema, v.name)) AS relation, v.kind
               FROM (VALUES ('chat_api_keys', 'api_key'), ('chat_external_webhooks', 'webhook')) v (name, kind) LOOP
        CONTINUE WHEN chat.audits_deletions(t.relation);
        EXECUTE format('CREATE OR REPLACE TRIGGER zz_chat_realtime_deleted AFTER DELETE ON %s '
                       'FOR EACH ROW EXECUTE FUNCTION chat.row_deleted(%L)', t.relation, t.kind);
        RETURN QUERY SELECT t.relation::text, 'trigger zz_chat_realtime_deleted created'::text;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.setup_deletions(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.setup_deletions(text) IS 'Part of chat.setup: what is deleted of keys and webhooks is noted, whoever deletes it.';

CREATE FUNCTION chat.audits_deletions(relation regclass) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgfoid = 'chat.row_deleted()'::regprocedure AND t.tgenabled <> 'D');
END
$$;
REVOKE ALL ON FUNCTION chat.audits_deletions(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.audits_deletions(regclass) IS 'Whether chat.row_deleted is a trigger of a table.';
