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

CREATE FUNCTION chat.new_rows(attachment chat.attachment, rows jsonb[]) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := attachment.columns;
    rel regclass := attachment.messages;
BEGIN
    RETURN chat.read_on(NULL::jsonb, rel, format($f$
        SELECT COALESCE(jsonb_agg(r.v ORDER BY r.v ->> 'time', r.n), '[]')
          FROM (SELECT DISTINCT ON (v ->> 'conversation', v ->> 'external_id') v, n
                  FROM unnest($1) WITH ORDINALITY u (v, n) ORDER BY v ->> 'conversation', v ->> 'external_id', n) r
         WHERE NOT EXISTS (SELECT FROM %1$s AS m WHERE m.%2$I = (r.v ->> 'conversation')::%3$s AND m.%4$I = (r.v ->> 'external_id')::%5$s)$f$,
        rel, c ->> 'conversation', chat.cast_type(rel, c ->> 'conversation'), c ->> 'external_id', chat.cast_type(rel, c ->> 'external_id')), rows);
END
$$;
REVOKE ALL ON FUNCTION chat.new_rows(chat.attachment, jsonb[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.new_rows(chat.attachment, jsonb[]) IS 'Those of the rows, by role, whose WhatsApp id their conversation does not have yet, once each, oldest first.';

CREATE FUNCTION chat.insert_many(relation regclass, columns jsonb, rows jsonb) RETURNS integer
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    names text;
    expressions text;
BEGIN
    SELECT string_agg(l.name, ', ' ORDER BY l.n),
           string_agg(format('(r.v OPERATOR(pg_catalog.->>) %L)::%s', l.role, l.type), ', ' ORDER BY l.n)
      INTO names, expressions
      FROM chat.role_list(relation, columns, rows -> 0, true) l;
    RETURN chat.run_on(relation, format('WITH done AS (INSERT INTO %s (%s) SELECT %s FROM pg_catalog.jsonb_array_elements($2::pg_catalog.jsonb) '
        'WITH ORDINALITY AS r (v, n) ORDER BY r.n RETURNING 1) SELECT pg_catalog.to_jsonb(pg_catalog.count(*)) FROM done',
        relation, names, expressions), NULL, rows::text)::integer;
END
$$;
REVOKE ALL ON FUNCTION chat.insert_many(regclass, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.insert_many(regclass, jsonb, jsonb) IS 'Inserts rows given by role, all with the same roles, in one statement; returns how many.';

CREATE FUNCTION chat.lock_conversations(attachment chat.attachment, keys text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.lock_on(NULL::boolean, attachment.conversations, format(
        'SELECT true FROM %1$s AS c WHERE c.%2$I = ANY ($1::%3$s[]) ORDER BY c.%2$I FOR NO KEY UPDATE', attachment.conversations,
        attachment.columns ->> 'conversation_id', chat.cast_type(attachment.conversations, attachment.columns ->> 'conversation_id')), keys);
END
$$;
REVOKE ALL ON FUNCTION chat.lock_conversations(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_conversations(chat.attachment, text[]) IS 'Locks conversations FOR NO KEY UPDATE in id order.';

-- A name is missing, or clients showed the number and stored it.
CREATE FUNCTION chat.wuzapi_names(attachment chat.attachment, owner_keys text[], names jsonb) RETURNS integer
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    c jsonb := attachment.columns;
    rel regclass := attachment.conversations;
BEGIN
    IF names IS NULL OR NOT c ? 'contact_name' THEN
        RETURN 0;
    END IF;
    RETURN chat.run_on(rel, format($f$
        WITH named AS (SELECT n.value OPERATOR(pg_catalog.->>) 0 AS jid, n.value OPERATOR(pg_catalog.->>) 1 AS name FROM pg_catalog.jsonb_array_elements($2::pg_catalog.jsonb) n),
             locked AS (SELECT c.%2$I AS key, n.name FROM %1$s AS c JOIN named n ON c.%3$I::pg_catalog.text OPERATOR(pg_catalog.=) n.jid
                         WHERE c.%4$I OPERATOR(pg_catalog.=) ANY ($1::%5$s[])
                           AND COALESCE(c.%6$I::pg_catalog.text, '') OPERATOR(pg_catalog.=) ANY (ARRAY['', pg_catalog.split_part(n.jid, '@', 1)])
                         ORDER BY c.%2$I FOR NO KEY UPDATE OF c),
             done AS (UPDATE %1$s AS c SET %6$I = l.name FROM locked l WHERE c.%2$I OPERATOR(pg_catalog.=) l.key RETURNING 1)
        SELECT pg_catalog.to_jsonb(pg_catalog.count(*)) FROM done$f$,
        rel, c ->> 'conversation_id', c ->> 'contact_jid', c -> 'owner' ->> 'column', chat.cast_type(rel, c -> 'owner' ->> 'column'),
        c ->> 'contact_name'), owner_keys, names::text)::integer;
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_names(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_names(chat.attachment, text[], jsonb) IS 'Gives the owner''s conversations that have no name the one that their contact goes by, of [[address, name], …]; returns how many.';

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
    PERFORM chat.lock_conversations(attachment, keys);
    fresh := chat.new_rows(attachment, rows);
    IF fresh <> '[]' THEN
        stored := chat.insert_many(attachment.messages, attachment.columns, fresh);
    END IF;
    FOR i IN 1 .. cardinality(pending) LOOP
        PERFORM chat.wuzapi_pending_edit(attachment, owner_keys, pending[i]);
    END LOOP;
    RETURN jsonb_build_object('action', 'history', 'conversations', cardinality(keys), 'messages', stored,
                              'duplicates', cardinality(rows) - stored, 'skipped', event -> 'skipped',
                              'names', chat.wuzapi_names(attachment, owner_keys, event -> 'names'));
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_history(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_history(chat.attachment, text[], jsonb) IS 'Stores the messages of a parsed history that are not there yet, in one statement: {action: history, conversations, messages, duplicates, skipped}.';
