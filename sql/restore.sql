-- What a restore, a copy or a fail-over means to the log and to the positions in it.

CREATE FUNCTION chat.committed_up_to() RETURNS bigint LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_committed_up_to';
REVOKE ALL ON FUNCTION chat.committed_up_to() FROM PUBLIC;
COMMENT ON FUNCTION chat.committed_up_to() IS 'Events up to this id came with a restore; their xids are those of another cluster, and they all committed.';

CREATE FUNCTION chat.skip_event_ids() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    next bigint := (SELECT s.last_value + 1000000 FROM chat.event_seq s);
BEGIN
    PERFORM chat.make_event_partition(next >> 32);
    PERFORM setval('chat.event_seq', next);
END
$$;
REVOKE ALL ON FUNCTION chat.skip_event_ids() FROM PUBLIC;
COMMENT ON FUNCTION chat.skip_event_ids() IS 'Moves the event ids up by a million: some that are not in the log here were delivered by the cluster that this is a copy of.';

-- A partition of the log that comes with a dump of an earlier version has what the log had then. Indexes of its own that the dump
-- brings are yet to come.
CREATE FUNCTION chat.complete_partition(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c record;
    x record;
BEGIN
    FOR c IN
        SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation <> t.typcollation
                   THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END AS type
          FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = 'chat.event'::regclass AND a.attnum > 0 AND NOT a.attisdropped
           AND NOT EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = relation AND o.attname = a.attname)
         ORDER BY a.attnum
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', relation, c.name, c.type);
        FOR x IN
            SELECT replace(k.relname, 'event_0', p.relname) AS name, split_part(pg_get_indexdef(k.oid), ' USING ', 2) AS definition
              FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              JOIN pg_class k ON k.oid = d.objid AND k.relkind = 'i', pg_class p
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = 'chat.event_0'::regclass
               AND a.attname = c.name AND p.oid = relation
             GROUP BY 1, 2
        LOOP
            EXECUTE format('CREATE INDEX %I ON %s USING %s', x.name, relation, x.definition);
        END LOOP;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.complete_partition(regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.complete_partition(regclass) IS 'Gives a table that is to be a partition of the log the columns that it lacks, with their indexes.';

-- A physical copy (a promoted standby, a backup restored to a point in time, a cluster that pg_upgrade made, a database
-- made from a template) goes on with the transaction ids of its original, and a position is in the WAL behind every
-- commit that it saw: positions hold, also for prepared transactions. In a logical copy (dump and restore) transaction
-- ids mean nothing: the rows that came with it count as committed, and positions start again at the present, before
-- the first row that they had not seen.
CREATE FUNCTION chat.adopt_log() RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' AS
$$
DECLARE
    here record;
    copied record;
    last bigint;
BEGIN
    SELECT i.*, d.oid AS database INTO here
      FROM chat.cluster_identity() i, pg_database d WHERE d.datname = current_database();
    FOR i IN 1 .. 2 LOOP
        SELECT count(*) <> 1 OR bool_or(o.xmin IS DISTINCT FROM o.written_by) AS logically,
               bool_or((o.system_identifier, o.database, o.timeline)
                       <> (here.system_identifier, here.database, here.timeline)) AS physically
          INTO copied FROM chat.origin o;
        IF NOT (copied.logically OR copied.physically) THEN
            RETURN false;
        END IF;
        -- Only one session mends; the others look again when it is done.
        PERFORM chat.lock_event_ids(true);
    END LOOP;
    IF NOT copied.logically THEN
        UPDATE chat.origin o
           SET system_identifier = here.system_identifier, database = here.database, timeline = here.timeline;
        UPDATE chat.origin o SET written_by = o.xmin;
        PERFORM chat.skip_event_ids();
        RETURN true;
    END IF;
    -- Waits for those that have drawn an id and not committed: then all up to the sequence's value is committed.
    LOCK TABLE chat.event IN SHARE MODE;
    SELECT s.last_value INTO last FROM chat.event_seq s;
    UPDATE chat.consumer c
       SET last_id = LEAST(c.last_id, (SELECT min(e.id) - 1 FROM chat.event e
                                        WHERE e.id + 0 <= c.last_id AND e.id > chat.committed_up_to()
                                          AND (e.xid >= pg_snapshot_xmax(c.snapshot)
                                               OR e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(c.snapshot)))))),
           snapshot = pg_current_snapshot(),
           owner = NULL, pid = NULL, backend_start = NULL, expires_at = '-infinity', updated_at = clock_timestamp();
    DELETE FROM chat.origin;
    INSERT INTO chat.origin (system_identifier, database, timeline, committed_up_to)
        VALUES (here.system_identifier, here.database, here.timeline, last);
    UPDATE chat.origin o SET written_by = o.xmin;
    PERFORM chat.skip_event_ids();
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.adopt_log() FROM PUBLIC;
COMMENT ON FUNCTION chat.adopt_log() IS 'Finds out whether this database is a restored, copied or promoted one, and if so mends the consumers'' positions and moves the event ids on; true if it did. The sidecar does it when it takes a lease. Errors: 55P03 when writers, or prepared transactions, do not end within 10 s.';

-- Partitions hold 2^32 ids each, of which most are never drawn.
CREATE FUNCTION chat.ids_after(last_id bigint) RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
    SELECT COALESCE(sum(newest.id - GREATEST($1, (p << 32) - 1)), 0)::bigint
      FROM chat.event_seq s
     CROSS JOIN generate_series($1 >> 32, s.last_value >> 32) p
     CROSS JOIN LATERAL (SELECT max(v.id) AS id FROM chat.events v
                          WHERE v.row_id = (SELECT e.id FROM chat.event e
                                             WHERE e.id >= p << 32 AND e.id < (p + 1) << 32 ORDER BY e.id DESC LIMIT 1)) newest
     WHERE newest.id > $1
$$;
REVOKE ALL ON FUNCTION chat.ids_after(bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.ids_after(bigint) IS 'How many ids the newest event is beyond this one, not counting what the partitions before its own left unused.';
