-- Following the tables: what is dropped is forgotten, a new partition gets its triggers.

CREATE FUNCTION chat.tables_dropped() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
BEGIN
    FOR pair IN
        DELETE FROM chat.attachment a USING pg_event_trigger_dropped_objects() d
         WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.objid IN (a.conversations, a.messages) RETURNING a.*
    LOOP
        PERFORM chat.drop_triggers(pair);
        PERFORM chat.audit('attachment.removed', pair.id::text, jsonb_build_object('reason', 'table dropped'));
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.tables_dropped() FROM PUBLIC;
COMMENT ON FUNCTION chat.tables_dropped() IS 'Event trigger: forgets a pair of tables of which one was dropped.';

CREATE FUNCTION chat.tables_changed() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
BEGIN
    FOR pair IN
        -- While a dump is being restored the triggers are not there yet, and come from the dump.
        SELECT a.* FROM chat.attachment a JOIN pg_class c ON c.oid = a.messages
          JOIN pg_trigger g ON g.tgrelid = a.messages AND g.tgname = 'zz_chat_realtime_flush'
         WHERE c.relkind = 'p' ORDER BY a.id
    LOOP
        PERFORM chat.make_triggers(pair);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.tables_changed() FROM PUBLIC;
COMMENT ON FUNCTION chat.tables_changed() IS 'Event trigger: makes the statement triggers of new partitions.';

CREATE EVENT TRIGGER chat_realtime_dropped ON sql_drop
    WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED') EXECUTE FUNCTION chat.tables_dropped();
COMMENT ON EVENT TRIGGER chat_realtime_dropped IS 'Forgets attached tables that are dropped.';
CREATE EVENT TRIGGER chat_realtime_changed ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION chat.tables_changed();
COMMENT ON EVENT TRIGGER chat_realtime_changed IS 'Gives new partitions of attached tables their triggers.';
