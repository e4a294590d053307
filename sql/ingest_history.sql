-- HistorySync: what was written before WUZAPI was connected.

CREATE FUNCTION chat.wuzapi_history_rows(attachment chat.attachment, conversation_id text, conversation jsonb) RETURNS jsonb[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    unread integer := (conversation ->> 'unread')::integer;
BEGIN
    -- Unread are the newest of the contact's messages, as many as WhatsApp counts.
    RETURN ARRAY(SELECT chat.wuzapi_row(attachment, conversation_id, jsonb_build_object('instance', conversation -> 'instance', 'inbox', conversation -> 'inbox')
                   || CASE WHEN (r.m ->> 'fromMe')::boolean THEN r.m ELSE r.m || jsonb_build_object('status', CASE WHEN r.n <= unread THEN 'delivered' ELSE 'read' END) END)
          FROM (SELECT m, row_number() OVER (PARTITION BY m ->> 'fromMe' ORDER BY (m ->> 'timestamp')::timestamptz DESC) AS n
                  FROM jsonb_array_elements(conversation -> 'messages') m) r);
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_history_rows(chat.attachment, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_history_rows(chat.attachment, text, jsonb) IS 'The messages of a parsed conversation of the history, by role.';

-- With chat_realtime.import the triggers record no events of messages, nothing is for webhooks, and nobody is woken: old messages
-- are no news. The conversations they belong to are, and clients see them change.
CREATE FUNCTION chat.wuzapi_history(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET chat_realtime.import = on AS
$$
DECLARE
    conversation jsonb;
    found_one jsonb;
    keys text[] := '{}';
    rows jsonb[] := '{}';
    pending jsonb[] := '{}';
    fresh jsonb;
    stored integer := 0;
BEGIN
    -- In the order of addresses, so that two histories that make the same conversations wait for each other in one direction only.
    FOR conversation IN SELECT v FROM jsonb_array_elements(event -> 'conversations') v
                         WHERE jsonb_array_length(v -> 'messages') > 0 ORDER BY v ->> 'chat' COLLATE "C" LOOP
        conversation := jsonb_build_object('fromMe', true, 'instance', event -> 'instance', 'inbox', event -> 'inbox') || conversation;
        found_one := chat.find_contact(attachment, owner_keys, chat.event_addresses(conversation), false, event ->> 'inbox');
        IF found_one IS NULL THEN
            found_one := chat.ensure_contact(attachment, owner_keys, chat.event_addresses(conversation), conversation ->> 'name', event ->> 'inbox',
                                             chat.conversation_route(attachment, NULL, conversation));
        ELSIF chat.new_address(found_one, conversation) IS NOT NULL THEN
            PERFORM chat.refresh_contact(attachment, chat.ensure_contact(attachment, owner_keys, chat.event_addresses(conversation), NULL, event ->> 'inbox'), conversation);
        END IF;
        keys := keys || (found_one ->> 'id');
        rows := rows || chat.wuzapi_history_rows(attachment, found_one ->> 'id', conversation);
        pending := pending || ARRAY(SELECT e || '{"kind": "pendingEdit"}' || jsonb_build_object('chat', conversation -> 'chat', 'lid', conversation -> 'lid',
                                           'ids', jsonb_build_array(e -> 'target'), 'timestamp', event -> 'timestamp')
                                      FROM jsonb_array_elements(conversation -> 'pendingEdits') e);
    END LOOP;
    PERFORM chat.run(NULL::boolean, attachment.id, 'lock_conversations', keys);
    fresh := chat.run(NULL::jsonb, attachment.id, 'new_rows', rows);
    IF fresh <> '[]' THEN
        stored := chat.insert_rows(attachment.id, fresh);
    END IF;
    FOR i IN 1 .. cardinality(pending) LOOP
        PERFORM chat.wuzapi_pending_edit(attachment, owner_keys, pending[i]);
    END LOOP;
    RETURN jsonb_build_object('action', 'history', 'conversations', cardinality(keys), 'messages', stored,
                              'duplicates', cardinality(rows) - stored, 'skipped', event -> 'skipped',
                              'names', CASE WHEN event ? 'names' AND attachment.columns ? 'contact_name'
                                            THEN chat.run(NULL::bigint, attachment.id, 'name_contacts', event -> 'names', owner_keys) ELSE 0 END);
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_history(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_history(chat.attachment, text[], jsonb) IS 'Stores the messages of a parsed history that are not there yet, in one statement: {action: history, conversations, messages, duplicates, skipped}.';
