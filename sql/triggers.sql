-- Triggers of a pair of tables.

CREATE FUNCTION chat.missing_triggers(pair chat.attachment) RETURNS TABLE (relation regclass, name text, timing text, function text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT w.relation, w.name, w.timing, w.function FROM (
        -- Triggers fire in the order of their names. BEFORE ours have the last word on the row; AFTER they note it
        -- first, so that statements of other triggers come after it in the log, too.
        SELECT * FROM (VALUES
            (1, pair.messages, 'zz_chat_realtime_before', 'BEFORE INSERT OR UPDATE EACH ROW', 'message_before'),
            (2, pair.messages, '00_chat_realtime_after', 'AFTER INSERT OR DELETE OR UPDATE EACH ROW', 'message_after'),
            (3, pair.conversations, 'zz_chat_realtime_before', 'BEFORE INSERT OR DELETE OR UPDATE EACH ROW', 'conversation_before'),
            (4, pair.conversations, '00_chat_realtime_after', 'AFTER INSERT OR DELETE OR UPDATE EACH ROW', 'conversation_after'),
            (5, pair.conversations, 'zz_chat_realtime_flush', 'AFTER INSERT OR DELETE OR UPDATE EACH STATEMENT', 'flush')) v (place, relation, name, timing, function)
        UNION ALL
        -- A statement that names a partition fires the partition's statement triggers, not the parent's.
        SELECT 6, p.relid, v.name, v.timing, v.function
          FROM (SELECT pair.messages AS relid UNION SELECT relid FROM pg_partition_tree(pair.messages)) p,
               (VALUES ('zz_chat_realtime_flush', 'AFTER INSERT OR DELETE OR UPDATE EACH STATEMENT', 'flush'),
                       ('zz_chat_realtime_truncate', 'AFTER TRUNCATE EACH STATEMENT', 'message_truncate')) v (name, timing, function)) w
     WHERE NOT EXISTS (
        SELECT FROM pg_trigger t WHERE t.tgrelid = w.relation AND t.tgname = w.name
           AND t.tgfoid = to_regprocedure(format('chat.%I()', w.function))
           AND t.tgargs = convert_to(pair.id::text, 'UTF8') || decode('00', 'hex')
           AND strpos(pg_get_triggerdef(t.oid), format(' %s ON ', split_part(w.timing, ' EACH ', 1))) > 0) -- an earlier version's has fewer events
     ORDER BY w.place, w.relation, w.name
$$;
REVOKE ALL ON FUNCTION chat.missing_triggers(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.missing_triggers(chat.attachment) IS 'The triggers of an attachment that its tables do not have; all of them for a pair without an id. timing is such as AFTER INSERT EACH ROW.';

-- Who makes a partition makes copies of the triggers for rows, too, which takes the right to their functions.
CREATE FUNCTION chat.let_owner_partition(pair chat.attachment) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    owner regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = pair.messages AND c.relkind = 'p');
BEGIN
    IF NOT (has_function_privilege(owner, 'chat.message_before()', 'EXECUTE') AND has_function_privilege(owner, 'chat.message_after()', 'EXECUTE')) THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION chat.message_before(), chat.message_after() TO %s', owner);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.let_owner_partition(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.let_owner_partition(chat.attachment) IS 'Lets the owner of a partitioned messages table make partitions of it.';

CREATE FUNCTION chat.make_triggers(pair chat.attachment) RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM chat.missing_triggers(pair) LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I %s ON %s FOR EACH %s EXECUTE FUNCTION chat.%I(%L)', t.name,
                       split_part(t.timing, ' EACH ', 1), t.relation, split_part(t.timing, ' EACH ', 2), t.function, pair.id::text);
        object := t.relation::text;
        action := format('trigger %s created', t.name);
        RETURN NEXT;
    END LOOP;
    PERFORM chat.let_owner_partition(pair);
END
$$;
REVOKE ALL ON FUNCTION chat.make_triggers(chat.attachment) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_triggers(chat.attachment) IS 'Makes the triggers of an attachment that are missing, and says which.';
