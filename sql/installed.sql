-- Rows that CREATE EXTENSION writes and an update finds.

INSERT INTO chat.origin (system_identifier, database, timeline)
    SELECT i.system_identifier, d.oid, i.timeline
      FROM chat.cluster_identity() i, pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database();
UPDATE chat.origin SET written_by = xmin;
