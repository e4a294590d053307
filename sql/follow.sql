-- Following the tables: what is dropped is forgotten, a new partition gets its triggers, one that was detached loses them, and
-- counters that became wrong with messages that came or went so are noted.

CREATE FUNCTION chat.tables_dropped() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
BEGIN
    -- Only where there is a pair: the statement alone makes every session read all of them again.
    FOR pair IN
        SELECT a.* FROM chat.attachment a
         WHERE EXISTS (SELECT FROM pg_event_trigger_dropped_objects() d
                        WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.objid IN (a.conversations, a.messages))
    LOOP
        DELETE FROM chat.attachment a WHERE a.id = pair.id;
        PERFORM chat.drop_triggers(pair);
        PERFORM chat.audit('attachment.removed', pair.id::text, jsonb_build_object('reason', 'table dropped'));
    END LOOP;
    -- A table that is gone does not say of which one it was a partition.
    IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() d
                WHERE d.object_type = 'trigger' AND d.address_names[3] = 'zz_chat_realtime_truncate') THEN
        PERFORM chat.note_recount(a.id, 'a partition was dropped')
           FROM chat.attachment a JOIN pg_class c ON c.oid = a.messages WHERE c.relkind = 'p' ORDER BY a.id;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.tables_dropped() FROM PUBLIC;
COMMENT ON FUNCTION chat.tables_dropped() IS 'Event trigger: forgets a pair of tables of which one was dropped; notes that pairs are to be recounted when a partition was.';

-- DETACH leaves a table the triggers for statements and takes those for rows; a copy that was restored has both.
CREATE FUNCTION chat.release_detached(pair chat.attachment) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    t record;
    found_any boolean := false;
BEGIN
    FOR t IN
        SELECT g.tgrelid::regclass AS relation, g.tgname AS name
          FROM pg_trigger g, LATERAL (SELECT COALESCE(pg_partition_root(g.tgrelid), g.tgrelid) AS relid) root
         WHERE g.tgname IN ('zz_chat_realtime_flush', 'zz_chat_realtime_truncate')
           AND g.tgfoid IN ('chat.flush'::regproc, 'chat.message_truncate'::regproc)
           AND g.tgargs = convert_to(pair.id::text, 'UTF8') || decode('00', 'hex')
           AND root.relid NOT IN (pair.conversations, pair.messages)
           AND NOT EXISTS (SELECT FROM pg_trigger r WHERE r.tgrelid = root.relid AND r.tgname = 'zz_chat_realtime_before')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.name, t.relation);
        found_any := true;
    END LOOP;
    RETURN found_any;
END
$$;
REVOKE ALL ON FUNCTION chat.release_detached(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.release_detached(chat.attachment) IS 'Drops the triggers that were left on partitions when they were detached; true: there were some.';

CREATE FUNCTION chat.holds_rows(relation regclass) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'chat_holds_rows';
REVOKE ALL ON FUNCTION chat.holds_rows(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.holds_rows(regclass) IS 'Whether a table itself has rows, or may have: a foreign table is not looked at.';

CREATE FUNCTION chat.tables_changed() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    arrived regclass[];
BEGIN
    PERFORM chat.complete_partition(d.objid)
       FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid
      WHERE d.classid = 'pg_class'::regclass AND d.command_tag = 'CREATE TABLE' AND d.schema_name = 'chat'
        AND c.relname ~ '^event_[0-9]+$' AND NOT c.relispartition;
    FOR pair IN
        -- While a dump is being restored the triggers are not there yet, and come from the dump.
        SELECT a.* FROM chat.attachment a JOIN pg_class c ON c.oid = a.messages
          JOIN pg_trigger g ON g.tgrelid = a.messages AND g.tgname = 'zz_chat_realtime_flush'
         WHERE c.relkind = 'p' ORDER BY a.id
    LOOP
        IF chat.release_detached(pair) THEN
            PERFORM chat.note_recount(pair.id, 'a partition was detached');
        END IF;
        arrived := ARRAY(SELECT l.relid FROM chat.leaves(pair.messages) l JOIN chat.missing_triggers(pair) t ON t.relation = l.relid
                          GROUP BY l.relid);
        PERFORM chat.make_triggers(pair);
        IF EXISTS (SELECT FROM unnest(arrived) r WHERE chat.holds_rows(r)) THEN
            PERFORM chat.note_recount(pair.id, 'a partition with messages was attached');
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.tables_changed() FROM PUBLIC;
COMMENT ON FUNCTION chat.tables_changed() IS 'Event trigger: makes the statement triggers of new partitions, drops those of detached ones, and notes that the pair is to be recounted. Partitions of the log that a dump of an earlier version brings get the columns that it did not know.';
