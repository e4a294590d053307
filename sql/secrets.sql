-- Webhooks without a secret, whoever makes them, and the triggers on tables of keys and webhooks.

CREATE FUNCTION chat.goes_unsigned(webhooks regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT EXISTS (SELECT FROM chat.attachment a WHERE a.webhooks = $1 AND a.settings -> 'unsigned' = 'true') $$;
REVOKE ALL ON FUNCTION chat.goes_unsigned(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.goes_unsigned(regclass) IS 'Whether webhooks of a table may do without a secret: setting unsigned of its pair.';

CREATE FUNCTION chat.webhook_secret() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    -- A column of another type could bring code of the table's owner.
    IF chat.attribute_type(TG_RELID, 'secret') IN ('text'::regtype, 'varchar'::regtype) AND chat.attribute_type(TG_RELID, 'id') = 'uuid'::regtype THEN
        IF COALESCE(NEW.secret, '') = '' AND NOT chat.goes_unsigned(TG_RELID) THEN
            NEW.secret := chat.make_webhook_secret();
            PERFORM chat.audit('webhook.secret_made', NEW.id::text);
        END IF;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION chat.webhook_secret() FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_secret() IS 'BEFORE INSERT OR UPDATE of a webhook, each row: one that would have no secret gets one, unless its pair of tables has the setting unsigned. Leaves a row in chat.audit_log.';

CREATE FUNCTION chat.missing_table_triggers(schema text) RETURNS TABLE (relation regclass, name text, statement text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT t.relation, v.name, format('CREATE OR REPLACE TRIGGER %s %s ON %s FOR EACH ROW EXECUTE FUNCTION %s', v.name, v.fires, t.relation, v.call)
      FROM (VALUES ('chat_api_keys', 'zz_chat_realtime_deleted', 'AFTER DELETE', 'chat.row_deleted()'::regprocedure, 'chat.row_deleted(''api_key'')'),
                   ('chat_external_webhooks', 'zz_chat_realtime_deleted', 'AFTER DELETE', 'chat.row_deleted()', 'chat.row_deleted(''webhook'')'),
                   ('chat_external_webhooks', 'zz_chat_realtime_secret', 'BEFORE INSERT OR UPDATE', 'chat.webhook_secret()', 'chat.webhook_secret()'))
           v (tbl, name, fires, function, call),
           LATERAL (SELECT to_regclass(format('%I.%I', schema, v.tbl)) AS relation) t
     WHERE t.relation IS NOT NULL
       AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.relation AND g.tgfoid = v.function AND g.tgenabled <> 'D')
$$;
REVOKE ALL ON FUNCTION chat.missing_table_triggers(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.missing_table_triggers(text) IS 'Triggers that the tables of keys and webhooks of a schema should have and do not, with the statement that makes each.';

CREATE FUNCTION chat.setup_table_triggers(schema text) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM chat.missing_table_triggers(schema) LOOP
        EXECUTE t.statement;
        RETURN QUERY SELECT t.relation::text, format('trigger %s created', t.name);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.setup_table_triggers(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.setup_table_triggers(text) IS 'Part of chat.setup: what is deleted of keys and webhooks is noted, and no webhook is without a secret, whoever writes them.';

-- Reads no further than it takes to say how many, or that there are many.
CREATE FUNCTION chat.count_unsigned(webhooks regclass) RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT chat.run_beside(NULL::bigint, webhooks, 'count_unsigned', 1000)
     WHERE chat.attribute_type(webhooks, 'secret') IS NOT NULL
$$;
REVOKE ALL ON FUNCTION chat.count_unsigned(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.count_unsigned(regclass) IS 'How many webhooks of a table have no secret, up to 1000; NULL where it has no column for it.';

-- The table's trigger gives each its own.
CREATE FUNCTION chat.make_secrets(webhooks regclass) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    signed bigint;
BEGIN
    IF chat.count_unsigned(webhooks) > 0 AND NOT chat.goes_unsigned(webhooks) THEN
        signed := chat.run_beside(NULL::bigint, webhooks, 'sign_webhooks', ''::text);
        RETURN QUERY SELECT webhooks::text, format('%s webhooks had no secret and got one: chat.rotate_webhook_secret shows its owner a new one, once', signed)
                      WHERE signed > 0;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.make_secrets(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_secrets(regclass) IS 'Part of chat.setup: webhooks that have no secret get one, unless their pair of tables has the setting unsigned.';
