-- Contacts: their addresses, the pairs of hidden and phone address, and the conversation of each.

CREATE FUNCTION chat.contact_address(address text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_contact_address';
REVOKE ALL ON FUNCTION chat.contact_address(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.contact_address(text) IS 'The one form of a contact''s address: +55 31 98888-0001, bare digits, ...@c.us and a device become 5531988880001@s.whatsapp.net. NULL for what is neither a phone number nor an address of WhatsApp''s.';

CREATE FUNCTION chat.contact_variant(address text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_contact_variant';
REVOKE ALL ON FUNCTION chat.contact_variant(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.contact_variant(text) IS 'The other number, in the same form, that is the same contact by chat_realtime.phone_rules: with the ninth digit or without it; NULL when there is none.';

CREATE FUNCTION chat.contact_spellings(address text, devices boolean) RETURNS text[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_contact_spellings';
REVOKE ALL ON FUNCTION chat.contact_spellings(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.contact_spellings(text, boolean) IS 'As what an address, given in its one form, may be stored: itself, with @c.us, with + and as bare digits; devices: also with one of the devices 1 to 99.';

-- Pairs of addresses

CREATE FUNCTION chat.paired_address(owner text, address text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF address LIKE '%@lid' THEN
        RETURN (SELECT p.phone FROM chat.contact_pair p WHERE p.owner = $1 AND p.lid = $2);
    ELSIF address LIKE '%@s.whatsapp.net' THEN
        RETURN (SELECT p.lid FROM chat.contact_pair p WHERE p.owner = $1 AND p.phone = $2 ORDER BY p.told_at DESC LIMIT 1);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.paired_address(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.paired_address(text, text) IS 'The phone of a hidden address, or the hidden address of a phone, as WhatsApp told the user; NULL when it did not.';

-- The oldest tenth goes at once, so that a user who is at the limit does not pay for it with each new pair.
CREATE FUNCTION chat.make_room_for_pairs(owner text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    most CONSTANT integer := 100000;
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM chat.contact_pair p WHERE p.owner = $1 LIMIT most) l) = most THEN
        DELETE FROM chat.contact_pair p USING (SELECT o.lid FROM chat.contact_pair o WHERE o.owner = $1 ORDER BY o.told_at, o.lid LIMIT most / 10) l
         WHERE p.owner = $1 AND p.lid = l.lid;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.make_room_for_pairs(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_room_for_pairs(text) IS 'Keeps the pairs of a user below 100,000.';

CREATE FUNCTION chat.learn_pairs(owner text, pairs jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    news jsonb;
BEGIN
    SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('lid', n.lid, 'phone', n.phone, 'before', p.phone)) ORDER BY n.lid COLLATE "C") INTO news
      FROM (SELECT DISTINCT ON (t.lid) t.lid, t.phone
              FROM (SELECT v ->> 0 AS lid, v ->> 1 AS phone, n FROM jsonb_array_elements(pairs) WITH ORDINALITY u (v, n)) t
             WHERE t.lid LIKE '%@lid' AND t.phone LIKE '%@s.whatsapp.net' ORDER BY t.lid, t.n DESC LIMIT 100000) n
      LEFT JOIN chat.contact_pair p ON p.owner = $1 AND p.lid = n.lid
     WHERE p.phone IS DISTINCT FROM n.phone;
    IF news IS NULL THEN
        RETURN '[]';
    END IF;
    PERFORM chat.make_room_for_pairs(owner);
    -- In the order of addresses: two that learn the same wait for each other in one direction only.
    INSERT INTO chat.contact_pair AS p (owner, lid, phone)
        SELECT $1, n.v ->> 'lid', n.v ->> 'phone' FROM jsonb_array_elements(news) WITH ORDINALITY n (v, n) ORDER BY n.n
        ON CONFLICT ON CONSTRAINT contact_pair_pkey DO UPDATE SET phone = EXCLUDED.phone, told_at = EXCLUDED.told_at;
    RETURN news;
END
$$;
REVOKE ALL ON FUNCTION chat.learn_pairs(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.learn_pairs(text, jsonb) IS 'Notes pairs [[hidden address, phone], ...] that WhatsApp told a user; returns those that are news: [{lid, phone, before: the phone it had until now}].';

CREATE FUNCTION chat.forget_contacts() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    whose text := (SELECT min(p.owner) FROM chat.contact_pair p);
    gone bigint;
BEGIN
    WHILE whose IS NOT NULL LOOP
        IF NOT EXISTS (SELECT FROM chat.attachment a WHERE chat.user_has_conversations(a.id, 'owner', whose)) THEN
            DELETE FROM chat.contact_pair p WHERE p.owner = whose;
            GET DIAGNOSTICS gone = ROW_COUNT;
            RETURN QUERY SELECT 'chat.contact_pair'::text, format('%s rows deleted of a user without conversations', gone);
        END IF;
        whose := (SELECT min(p.owner) FROM chat.contact_pair p WHERE p.owner > whose);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.forget_contacts() FROM PUBLIC;
COMMENT ON FUNCTION chat.forget_contacts() IS 'Part of chat.maintain: forgets the pairs of addresses of users who have no conversation any more.';

-- Finding the conversation of a contact. Addresses are in their one form, the preferred one first.

CREATE FUNCTION chat.contact_is_unique(attachment integer) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_contact_is_unique';
REVOKE ALL ON FUNCTION chat.contact_is_unique(integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.contact_is_unique(integer) IS 'True when the conversations have a unique index on exactly (owner, contact_jid).';

CREATE FUNCTION chat.contact_rows(attachment integer, owner_keys text[], addresses text[], inbox text, thorough boolean) RETURNS jsonb
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_contact_rows';
REVOKE ALL ON FUNCTION chat.contact_rows(integer, text[], text[], text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.contact_rows(integer, text[], text[], text, boolean) IS 'The owner''s conversations with a contact, the best first: under one of its addresses, however spelled, then under a number that chat_realtime.phone_rules takes for the same. [{id, jid, name, status, inbox, metadata, exact: not by such a rule}]; NULL for none. thorough: also under addresses with a device.';

CREATE FUNCTION chat.merged_into(attachment integer, key text) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_merged_into_sql';
REVOKE ALL ON FUNCTION chat.merged_into(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.merged_into(integer, text) IS 'The conversation that one was merged into, or NULL. Errors: 40001 where the transaction keeps a snapshot that is older than the merge.';

CREATE FUNCTION chat.has_merged(attachment integer, key text) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_has_merged_sql';
REVOKE ALL ON FUNCTION chat.has_merged(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.has_merged(integer, text) IS 'Whether others were merged into a conversation. Errors: as of chat.merged_into.';

CREATE FUNCTION chat.merged_under(attachment chat.attachment, owner_keys text[], addresses text[]) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT m.into_id FROM chat.merged_conversation m
             WHERE m.attachment = $1.id AND m.owner = ANY (owner_keys) AND m.address = ANY (addresses || ARRAY(SELECT chat.contact_variant(a) FROM unnest(addresses) a))
             ORDER BY m.address <> ALL (addresses), m.merged_at DESC LIMIT 1);
END
$$;
REVOKE ALL ON FUNCTION chat.merged_under(chat.attachment, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.merged_under(chat.attachment, text[], text[]) IS 'The conversation into which one was merged that was known under one of the addresses and is gone; NULL for none.';

-- Two that WhatsApp tells to be one: the first under a phone and the first under a hidden address, neither by a rule; where the
-- table lets a contact have one in each inbox, in the same.
CREATE FUNCTION chat.twins(attachment chat.attachment, rows jsonb) RETURNS SETOF text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    one boolean := NOT attachment.columns ? 'inbox' OR chat.contact_is_unique(attachment.id);
BEGIN
    RETURN QUERY
    SELECT array_agg(t.id) FROM (
        SELECT DISTINCT ON (r.inbox, r.hidden) r.inbox, r.id
          FROM (SELECT CASE WHEN NOT one THEN v ->> 'inbox' END AS inbox, v ->> 'jid' LIKE '%@lid' AS hidden, v ->> 'id' AS id, n
                  FROM jsonb_array_elements(rows) WITH ORDINALITY u (v, n) WHERE (v -> 'exact')::boolean) r ORDER BY r.inbox, r.hidden, r.n) t
     GROUP BY t.inbox HAVING count(*) = 2 ORDER BY t.inbox;
END
$$;
REVOKE ALL ON FUNCTION chat.twins(chat.attachment, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.twins(chat.attachment, jsonb) IS 'Ids, two each, of chat.contact_rows'' conversations that are to be merged. The addresses looked for must be those of one contact.';

CREATE FUNCTION chat.find_contact(attachment chat.attachment, owner_keys text[], addresses text[], lock boolean, inbox text DEFAULT NULL,
                                  thorough boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    rows jsonb;
    key text;
    into_key text;
    conversation jsonb;
BEGIN
    LOOP
        rows := chat.contact_rows(attachment.id, owner_keys, addresses, inbox, thorough);
        key := rows -> 0 ->> 'id';
        -- Only that is locked where the contact's messages go: who merges locks two, in the order of their ids.
        into_key := CASE WHEN key IS NULL THEN chat.merged_under(attachment, owner_keys, addresses) ELSE chat.merged_into(attachment.id, key) END;
        IF COALESCE(into_key, key) IS NULL THEN
            RETURN NULL;
        ELSIF jsonb_array_length(rows) > 1 AND lock AND chat.merge_twins(attachment, rows) THEN
            CONTINUE;
        END IF;
        conversation := CASE WHEN lock OR into_key IS NOT NULL
                             THEN chat.run(NULL::jsonb, attachment.id, CASE WHEN lock THEN 'lock_contact' ELSE 'contact' END, COALESCE(into_key, key)) ELSE rows -> 0 END;
        IF conversation IS NULL THEN
            -- Deleted meanwhile, or long ago: then what was merged into it stands for itself again.
            PERFORM chat.forget_merges(attachment.id, COALESCE(into_key, key));
        ELSIF NOT lock OR chat.merged_into(attachment.id, COALESCE(into_key, key)) IS NULL THEN
            RETURN conversation || jsonb_build_object('isMerged', into_key IS NOT NULL);
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.find_contact(chat.attachment, text[], text[], boolean, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.find_contact(chat.attachment, text[], text[], boolean, text, boolean) IS 'The owner''s conversation with a contact, known under one of several addresses, the first preferred: {id, jid, name, status, inbox, metadata, isMerged: found through one that was merged into it}, or NULL. lock: FOR NO KEY UPDATE, and two that turn out to be one are merged. inbox: where the table lets a contact have one in each. thorough: see chat.contact_rows.';

CREATE FUNCTION chat.forget_contact(attachment integer, user_id text, address text) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
    DELETE FROM chat.contact_pair p
     WHERE p.owner = $2 AND (p.lid = $3 OR p.phone = $3)
       AND chat.contact_rows($1, chat.user_keys($1, 'owner', $2), ARRAY[p.phone, p.lid], NULL, false) IS NULL
$$;
REVOKE ALL ON FUNCTION chat.forget_contact(integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.forget_contact(integer, text, text) IS 'For the trigger on conversations: forgets the pair of addresses of a contact with whom the user has no conversation any more.';

-- Whoever makes a conversation comes through here: no unique index knows that two addresses are one contact. At most 64 locks an
-- owner, taken in order, so that a history of many contacts fills no table of locks.
CREATE FUNCTION chat.lock_contacts(attachment chat.attachment, owner_key text, addresses text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM pg_advisory_xact_lock(l.key)
       FROM (SELECT DISTINCT hashtextextended(format('chat_realtime contact %s %s %s', attachment.conversations::oid, owner_key,
                        hashtextextended(LEAST(a, chat.contact_variant(a)), 0) & 63), 0) AS key FROM unnest(addresses) a ORDER BY 1) l;
END
$$;
REVOKE ALL ON FUNCTION chat.lock_contacts(chat.attachment, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_contacts(chat.attachment, text, text[]) IS 'Until the end of the transaction nobody else makes a conversation of these contacts.';

CREATE FUNCTION chat.make_contact(attachment chat.attachment, owner_keys text[], addresses text[], name text, inbox text, also jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    conversation jsonb;
    made jsonb;
BEGIN
    PERFORM chat.lock_contacts(attachment, owner_keys[1], addresses);
    conversation := chat.find_contact(attachment, owner_keys, addresses, true, inbox, true);
    IF conversation IS NOT NULL THEN
        RETURN conversation;
    END IF;
    -- Others may insert without asking us.
    made := chat.insert_row(attachment.id, false,
        also || jsonb_build_object('owner', owner_keys[1], 'contact_jid', addresses[1], 'contact_name', name,
                                   'conversation_status', 'open', 'inbox', inbox), chat.contact_is_unique(attachment.id));
    conversation := chat.find_contact(attachment, owner_keys, addresses, true, inbox);
    IF conversation IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'the conversation was deleted while a message for it came in',
            HINT = 'Repeat the transaction.';
    END IF;
    RETURN conversation || jsonb_build_object('isNew', made IS NOT NULL);
END
$$;
REVOKE ALL ON FUNCTION chat.make_contact(chat.attachment, text[], text[], text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.make_contact(chat.attachment, text[], text[], text, text, jsonb) IS 'chat.ensure_contact where none was found.';

CREATE FUNCTION chat.ensure_contact(attachment chat.attachment, owner_keys text[], addresses text[], name text, inbox text DEFAULT NULL,
                                    also jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN COALESCE(chat.find_contact(attachment, owner_keys, addresses, true, inbox),
                    chat.make_contact(attachment, owner_keys, addresses, name, inbox, also));
END
$$;
REVOKE ALL ON FUNCTION chat.ensure_contact(chat.attachment, text[], text[], text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.ensure_contact(chat.attachment, text[], text[], text, text, jsonb) IS 'Finds or makes the owner''s conversation with a contact and locks its row: as chat.find_contact, and isNew. The first address is the one it is made under; also: more values, by role, of one that is made.';
