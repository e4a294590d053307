-- What the update from 1.0 does to tables that are there. Tables, indexes and texts that are new come from the install
-- script's own parts, after this. The test of updates compares the outcome with a fresh installation.

-- From here on writers wait: nobody waits for longer than a try to lock takes. In the writers' order: messages,
-- conversations, the log.
DO $$
DECLARE
    locks text[];
BEGIN
    SELECT pg_catalog.array_agg(l ORDER BY a.id) INTO locks FROM chat.attachment a, pg_catalog.unnest(chat.trigger_locks(a)) l
     WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = a.messages);
    PERFORM chat.run_briefly(current_user::regrole, VARIADIC locks || ARRAY(
        SELECT pg_catalog.format('LOCK TABLE chat.%I IN ACCESS EXCLUSIVE MODE', t)
          FROM pg_catalog.unnest('{event,consumer,origin,webhook_delivery,webhook_attempt,webhook_state}'::text[]) t));
END
$$;

-- Columns come last and without default: rows that were written before have NULL there.
ALTER TABLE chat.event ADD COLUMN rights text, ADD COLUMN inbox text COLLATE "C", ADD COLUMN agent_inbox text COLLATE "C",
    ADD COLUMN conversation_payload text, ADD COLUMN conversation_changes jsonb;
ALTER TABLE chat.consumer ADD COLUMN rests_since timestamptz, ADD COLUMN created_at timestamptz, ADD COLUMN begins_anew boolean;
ALTER TABLE chat.consumer ALTER COLUMN created_at SET DEFAULT pg_catalog.clock_timestamp();
ALTER TABLE chat.webhook_state ADD COLUMN last_error text, ADD COLUMN disabled_at timestamptz, ADD COLUMN disabled_reason text;

-- Every table has a primary key or a replica identity; of the log's partitions the unique index becomes it.
ALTER TABLE chat.event REPLICA IDENTITY FULL;
ALTER TABLE chat.webhook_attempt REPLICA IDENTITY FULL;
ALTER TABLE chat.origin ADD PRIMARY KEY (installation);
DO $$
DECLARE
    partition regclass;
    name text;
BEGIN
    FOR partition, name IN
        SELECT i.inhrelid, c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'chat.event'::regclass
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I PRIMARY KEY USING INDEX %I', partition, name || '_pkey', name || '_id_idx');
    END LOOP;
    FOR partition IN SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = 'chat.webhook_attempt'::regclass LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ADD PRIMARY KEY (id)', partition);
    END LOOP;
END
$$;
ALTER TABLE chat.webhook_delivery DROP CONSTRAINT webhook_delivery_webhook_event_id_message_id_key, ADD UNIQUE (event_id, message_id, webhook);

-- What opens conversations again stays as it was: the functions, not every INSERT.
UPDATE chat.attachment SET settings = settings OPERATOR(pg_catalog.||) '{"reopen": ""}';
