-- The event log, its readers, and where its transaction ids are from.

-- Rows of the log are written by the extension's C code alone (heap and indexes directly), never
-- updated and never deleted: retention drops whole partitions. Partition n holds the ids n * 2^32 ... (n + 1) * 2^32 - 1.
-- CACHE must stay 1: ids of one conversation are in commit order because each is drawn under its lock.
CREATE SEQUENCE chat.event_seq AS bigint CACHE 1;
REVOKE ALL ON SEQUENCE chat.event_seq FROM PUBLIC;
COMMENT ON SEQUENCE chat.event_seq IS 'Event ids; drawn while the conversations concerned are locked.';
SELECT pg_catalog.pg_extension_config_dump('chat.event_seq', '');

CREATE TABLE chat.event (
    id            bigint NOT NULL,
    xid           xid8 NOT NULL,
    snapshot_xmin xid8 NOT NULL,
    next_xid      xid8 NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz,
    owner         text,
    conversation  text,
    topic         text COLLATE "C" NOT NULL,
    event         text NOT NULL,
    webhook       text,
    changes       jsonb,
    payload       text NOT NULL,
    rights        text,
    inbox         text COLLATE "C",
    agent_inbox   text COLLATE "C",
    conversation_payload text,
    conversation_changes jsonb
) PARTITION BY RANGE (id);
REVOKE ALL ON chat.event FROM PUBLIC;
COMMENT ON TABLE chat.event IS 'The event log, written in the transaction that caused the events. A row is one event, or that of a message together with the conversation.updated that it caused, whose ids follow its own; chat.events has one row per event.';
COMMENT ON COLUMN chat.event.xid IS 'Top-level transaction that wrote the row; tells late rows from those a reader has seen.';
COMMENT ON COLUMN chat.event.snapshot_xmin IS 'xmin of the writer''s snapshot: rows with a lower id and an xid at or above it may have committed later.';
COMMENT ON COLUMN chat.event.next_xid IS 'Read after the id was drawn: who drew a lower id has an xid below it.';
COMMENT ON COLUMN chat.event.expires_at IS 'Presence only: not delivered after this time.';
COMMENT ON COLUMN chat.event.owner IS 'User id that owns the conversation.';
COMMENT ON COLUMN chat.event.conversation IS 'Conversation id: events of one conversation are delivered in order.';
COMMENT ON COLUMN chat.event.webhook IS 'Name under which webhooks get the event; NULL: not for webhooks.';
COMMENT ON COLUMN chat.event.changes IS 'What a conversation event changed of status (old and new), agent and bot.';
COMMENT ON COLUMN chat.event.rights IS 'Id of a conversation whose owner, agent or existence changed with this row: whoever has joined its topics has to be asked for again.';
COMMENT ON COLUMN chat.event.payload IS 'JSON object, sent as these bytes; always valid as jsonb.';
COMMENT ON COLUMN chat.event.inbox IS 'The owner''s inbox, where a conversation.updated rides on this row, as the event id + 1; NULL: none does.';
COMMENT ON COLUMN chat.event.agent_inbox IS 'The agent''s inbox, which gets it too, as the event id + 2; NULL: no agent''s does.';
COMMENT ON COLUMN chat.event.conversation_payload IS 'Payload of the conversation.updated.';
COMMENT ON COLUMN chat.event.conversation_changes IS 'Changes of the conversation.updated.';
SELECT pg_catalog.pg_extension_config_dump('chat.event', '');

-- Indexes are made on each partition, not on chat.event: pg_dump would make those of later partitions twice. Each has a
-- primary key, as every table here: a publication FOR ALL TABLES refuses to update and delete where none tells rows apart.
ALTER TABLE chat.event REPLICA IDENTITY FULL;
CREATE TABLE chat.event_0 PARTITION OF chat.event (PRIMARY KEY (id)) FOR VALUES FROM (0) TO (4294967296);
REVOKE ALL ON chat.event_0 FROM PUBLIC;
CREATE INDEX event_0_xid_idx ON chat.event_0 (xid);
-- A topic's hash makes entries half as large, and comparing them cheaper: every event pays for that.
CREATE INDEX event_0_topic_idx ON chat.event_0 (pg_catalog.hashtextextended(topic, 0), id);
CREATE INDEX event_0_inbox_idx ON chat.event_0 (pg_catalog.hashtextextended(inbox, 0), id) WHERE inbox IS NOT NULL;
CREATE INDEX event_0_agent_inbox_idx ON chat.event_0 (pg_catalog.hashtextextended(agent_inbox, 0), id) WHERE agent_inbox IS NOT NULL;
COMMENT ON TABLE chat.event_0 IS 'First partition of the event log, and the pattern of those that chat.maintain makes.';
SELECT pg_catalog.pg_extension_config_dump('chat.event_0', '');

-- The one place that says how a row becomes events: everything but the writer and what counts rows reads this.
CREATE VIEW chat.events AS
    SELECT told.id, e.xid, e.snapshot_xmin, e.next_xid, e.created_at, e.expires_at, e.owner, e.conversation, told.topic,
           told.event, told.webhook, told.changes, told.payload, told.rights, e.id AS row_id
      FROM chat.event e
     CROSS JOIN LATERAL (
            SELECT e.id, e.topic, e.event, e.webhook, e.changes, e.payload, e.rights
            UNION ALL
            SELECT e.id + 1, e.inbox, 'conversation.updated', 'conversation.updated', e.conversation_changes, e.conversation_payload, NULL
             WHERE e.inbox IS NOT NULL
            UNION ALL
            SELECT e.id + 2, e.agent_inbox, 'conversation.updated', NULL, e.conversation_changes, e.conversation_payload, NULL
             WHERE e.agent_inbox IS NOT NULL) told;
REVOKE ALL ON chat.events FROM PUBLIC;
COMMENT ON VIEW chat.events IS 'The event log, one row per event.';
COMMENT ON COLUMN chat.events.row_id IS 'Id of the event''s row of chat.event, which has an index: a row''s events have ids from row_id to row_id + 2, and come in that order.';

CREATE TABLE chat.consumer (
    name              text PRIMARY KEY CHECK (name IN ('realtime', 'webhooks', 'socketio')),
    enabled           boolean NOT NULL DEFAULT true,
    last_id           bigint NOT NULL DEFAULT 0,
    snapshot          pg_snapshot NOT NULL DEFAULT '1:1:',
    owner             text,
    pid               integer,
    backend_start     timestamptz,
    epoch             bigint NOT NULL DEFAULT 0,
    expires_at        timestamptz NOT NULL DEFAULT '-infinity',
    updated_at        timestamptz NOT NULL DEFAULT pg_catalog.now(),
    rests_since       timestamptz,
    created_at        timestamptz DEFAULT pg_catalog.clock_timestamp(),
    begins_anew       boolean
) WITH (fillfactor = 20);
REVOKE ALL ON chat.consumer FROM PUBLIC;
COMMENT ON TABLE chat.consumer IS 'Readers of the event log: position (everything with id <= last_id that is visible in snapshot is done) and lease.';
COMMENT ON COLUMN chat.consumer.rests_since IS 'Since when nobody leads it while sidecars read the log without a lease, each for its own endpoint: nothing waits for it then. NULL: it does not rest.';
COMMENT ON COLUMN chat.consumer.created_at IS 'When it first ran; NULL: under an earlier version.';
COMMENT ON COLUMN chat.consumer.begins_anew IS 'True: chat.set_consumer has sent it back to the beginning, and nobody has led it since. It does not rest then: what it was sent back for is kept for it.';
SELECT pg_catalog.pg_extension_config_dump('chat.consumer', '');

-- Positions and log rows hold transaction ids, which mean something only among those of the cluster that gave them
-- out. One row says which cluster that is, and which transaction wrote it: a copy of the files, pg_upgrade's included,
-- keeps that, and the transaction ids with it; a row that came with a dump was written by another transaction. After
-- a restore there are two rows: the one that CREATE EXTENSION wrote in the new cluster and the one from the dump;
-- chat.adopt_log then makes them one again.
CREATE TABLE chat.origin (
    installation      uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    system_identifier bigint NOT NULL,
    database          oid NOT NULL,
    timeline          integer NOT NULL,
    committed_up_to   bigint NOT NULL DEFAULT 0,
    written_by        xid
);
REVOKE ALL ON chat.origin FROM PUBLIC;
COMMENT ON TABLE chat.origin IS 'The cluster and database whose transaction ids are in the log and in the consumers'' positions.';
COMMENT ON COLUMN chat.origin.committed_up_to IS 'Events up to this id came with a restore: they count as committed, whatever their xid.';
COMMENT ON COLUMN chat.origin.written_by IS 'The row''s own xmin, where it was written; another one where a dump brought it.';
SELECT pg_catalog.pg_extension_config_dump('chat.origin', '');
