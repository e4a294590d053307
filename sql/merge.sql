-- Merging conversations: the contact of both turned out to be one.
--
-- Locks: both conversations in the order of their ids, then messages of the one that goes, of which nobody waits for any: those
-- that somebody else holds come with a later portion. From the first portion on all that comes for it goes to the other one; what
-- is written to it all the same (a stray) is moved by chat.maintain.

CREATE FUNCTION chat.merge_sides(pair chat.attachment, keys text[]) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.run(NULL::jsonb, pair.id, 'merge_sides', keys);
END
$$;
REVOKE ALL ON FUNCTION chat.merge_sides(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.merge_sides(chat.attachment, text[]) IS 'What is looked at of conversations that are merged, by key: {key, owner: what its column holds, user: behind it, agentUser, and values by role}.';

-- What the one that stays takes over. A name that is but the number, or none, is no name.
CREATE FUNCTION chat.merge_values(goes jsonb, stays jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT COALESCE(jsonb_object_agg(v.role, v.value) FILTER (WHERE stays ? v.role AND v.value IS DISTINCT FROM stays -> v.role AND jsonb_typeof(v.value) <> 'null'), '{}')
      FROM (SELECT r.role, CASE WHEN jsonb_typeof(stays -> r.role) = 'null' THEN goes -> r.role END
              FROM unnest('{agent,bot,inbox,contact_avatar}'::text[]) r (role)
            UNION ALL SELECT 'contact_name', CASE WHEN COALESCE(stays ->> 'contact_name', '') IN ('', split_part(stays ->> 'contact_jid', '@', 1))
                                                  THEN goes -> 'contact_name' END
            -- What is unread must not be hidden.
            UNION ALL SELECT 'conversation_status', CASE WHEN stays ->> 'conversation_status' IN ('resolved', 'snoozed')
                                                              AND goes ->> 'conversation_status' NOT IN ('resolved', 'snoozed')
                                                              AND COALESCE((goes ->> 'unread_count')::bigint, 1) > 0 THEN goes -> 'conversation_status' END
            UNION ALL SELECT 'conversation_metadata', CASE WHEN jsonb_typeof(stays -> 'conversation_metadata') = 'object' AND jsonb_typeof(goes -> 'conversation_metadata') = 'object'
                                                           THEN (goes -> 'conversation_metadata') - 'mergedInto' || (stays -> 'conversation_metadata') END) v (role, value)
$$;
REVOKE ALL ON FUNCTION chat.merge_values(jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.merge_values(jsonb, jsonb) IS 'Values by role that a conversation takes over from one that is merged into it: what it has none of itself, agent and bot among them.';

CREATE FUNCTION chat.write_quietly(attachment integer, row_values jsonb, key text) RETURNS void
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_write_quietly';
REVOKE ALL ON FUNCTION chat.write_quietly(integer, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.write_quietly(integer, jsonb, text) IS 'Writes values by role, but for what is null, to a conversation, and tells nobody: no event is recorded and updated_at stays.';

-- A table may have each address but once, so that the one that has it lets go of it first.
CREATE FUNCTION chat.free_address(pair chat.attachment, key text, address text) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    merged text[] := ARRAY(SELECT m.from_id FROM chat.merged_conversation m WHERE m.attachment = pair.id AND m.into_id = key);
BEGIN
    RETURN chat.run(NULL::text, pair.id, 'free_address', merged, address);
END
$$;
REVOKE ALL ON FUNCTION chat.free_address(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.free_address(chat.attachment, text, text) IS 'Takes an address from the conversation, of those merged into another, that has it; returns its key, to which chat.keep_address is to give another one. NULL: none has it.';

CREATE FUNCTION chat.keep_address(pair chat.attachment, key text, address text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF key IS NOT NULL THEN
        PERFORM chat.write_quietly(pair.id, jsonb_build_object('contact_jid', address), key);
        UPDATE chat.merged_conversation m SET address = $3 WHERE m.attachment = pair.id AND m.from_id = $2;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.keep_address(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.keep_address(chat.attachment, text, text) IS 'Gives a merged conversation an address; nothing for a NULL key.';

CREATE FUNCTION chat.merge_rows(pair chat.attachment, goes jsonb, stays jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    taken jsonb := chat.merge_values(goes, stays);
    marks jsonb := '{"conversation_status": "resolved"}';
    holder text;
BEGIN
    IF jsonb_typeof(goes -> 'conversation_metadata') = 'object' THEN
        marks := marks || jsonb_build_object('conversation_metadata', (goes -> 'conversation_metadata') || jsonb_build_object('mergedInto', stays -> 'key'));
    END IF;
    PERFORM chat.write_quietly(pair.id, marks, goes ->> 'key');
    -- Messages are sent to a phone's address, where it is known.
    IF stays ->> 'contact_jid' LIKE '%@lid' AND goes ->> 'contact_jid' NOT LIKE '%@lid' THEN
        holder := chat.free_address(pair, stays ->> 'key', goes ->> 'contact_jid');
        PERFORM chat.write_quietly(pair.id, taken || jsonb_build_object('contact_jid', goes -> 'contact_jid'), stays ->> 'key');
        PERFORM chat.keep_address(pair, holder, stays ->> 'contact_jid');
    ELSIF taken <> '{}' THEN
        PERFORM chat.write_quietly(pair.id, taken, stays ->> 'key');
    END IF;
    RETURN (SELECT jsonb_object_agg(v.key, v.value)
              FROM (VALUES ('status', CASE WHEN taken ? 'conversation_status' THEN jsonb_build_object('old', stays -> 'conversation_status', 'new', taken -> 'conversation_status') END),
                           ('agent', CASE WHEN taken ? 'agent' THEN 'true'::jsonb END), ('bot', CASE WHEN taken ? 'bot' THEN 'true'::jsonb END)) v (key, value)
             WHERE v.value IS NOT NULL);
END
$$;
REVOKE ALL ON FUNCTION chat.merge_rows(chat.attachment, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.merge_rows(chat.attachment, jsonb, jsonb) IS 'Part of a merge: marks the conversation that goes and gives the one that stays what it takes over; returns what that changed of status, agent and bot, as events say it.';

CREATE FUNCTION chat.tell_merged(pair chat.attachment, goes jsonb, stays jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    payload jsonb := jsonb_build_object('from', goes -> 'key', 'into', stays -> 'key');
    reader record;
BEGIN
    -- Who may join the one that stays may have changed with its agent, and nobody has a reason to stay with the other.
    PERFORM chat.emit_change('conversation:' || (goes ->> 'key'), 'conversation.merged', goes ->> 'user', goes ->> 'key', NULL, payload, NULL, NULL, goes ->> 'key');
    FOR reader IN SELECT u.id, min(u.n) AS n FROM unnest(ARRAY[stays ->> 'user', stays ->> 'agentUser', goes ->> 'agentUser']) WITH ORDINALITY u (id, n)
                   WHERE u.id IS NOT NULL GROUP BY u.id ORDER BY 2 LOOP
        PERFORM chat.emit_change(format('user:%s:inbox', reader.id), 'conversation.merged', stays ->> 'user', stays ->> 'key',
                                 CASE WHEN reader.n = 1 THEN 'conversation.merged' END, payload, NULL, NULL, CASE WHEN reader.n = 1 THEN stays ->> 'key' END);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.tell_merged(chat.attachment, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.tell_merged(chat.attachment, jsonb, jsonb) IS 'conversation.merged for the topic of the one that goes, the owner and the agents of both.';

CREATE FUNCTION chat.tell_merge_done(pair chat.attachment, key text, changes jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    side jsonb := chat.merge_sides(pair, ARRAY[key]) -> key;
    payload jsonb := chat.object_json(pair, false, key);
    reader record;
BEGIN
    FOR reader IN SELECT u.id, min(u.n) AS n FROM unnest(ARRAY[side ->> 'user', side ->> 'agentUser']) WITH ORDINALITY u (id, n)
                   WHERE u.id IS NOT NULL GROUP BY u.id ORDER BY 2 LOOP
        PERFORM chat.emit_change(format('user:%s:inbox', reader.id), 'conversation.updated', side ->> 'user', key,
                                 CASE WHEN reader.n = 1 THEN 'conversation.updated' END, payload, NULL, changes, CASE WHEN reader.n = 1 THEN key END);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.tell_merge_done(chat.attachment, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.tell_merge_done(chat.attachment, text, jsonb) IS 'conversation.updated of the conversation that another one was merged into, when all messages are there.';

-- Strays: who began before the merge was committed, or knows of none, writes messages to the conversation that is merged. What is
-- unread of them must not be hidden.
CREATE FUNCTION chat.strays(pair chat.attachment, keys text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.run(NULL::text[], pair.id, 'with_messages', keys);
END
$$;
REVOKE ALL ON FUNCTION chat.strays(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.strays(chat.attachment, text[]) IS 'Which of these conversations have messages; NULL for none.';

-- Both conversations are locked.
CREATE FUNCTION chat.move_messages(pair chat.attachment, from_id text, into_id text, OUT moved bigint, OUT dropped bigint, OUT remain boolean)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    keys text[] := chat.run(NULL::text[], pair.id, 'lock_movable', from_id);
BEGIN
    dropped := CASE WHEN pair.columns ? 'external_id' THEN chat.run(NULL::bigint, pair.id, 'drop_doubles', keys, into_id) ELSE 0 END;
    moved := chat.run(NULL::bigint, pair.id, 'move_messages', keys, into_id);
    remain := chat.strays(pair, ARRAY[from_id]) IS NOT NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.move_messages(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.move_messages(chat.attachment, text, text) IS 'Moves up to 1,000 messages that nobody else holds, the newest first, from one conversation to another, and drops those whose message id the other has. Nobody is told. remain: there are more.';

-- What comes and goes with a conversation

CREATE FUNCTION chat.unmark_merged(pair chat.attachment, keys text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF keys IS NOT NULL AND chat.attribute_base_type(pair.conversations, pair.columns ->> 'conversation_metadata') = 'jsonb'::regtype THEN
        PERFORM chat.run(NULL::jsonb, pair.id, 'unmark_merged', keys);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.unmark_merged(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.unmark_merged(chat.attachment, text[]) IS 'Takes the mark of merged ones from conversations, but for those that somebody else has locked: their locks come before the caller''s.';

CREATE FUNCTION chat.forget_merges(attachment integer, key text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    keys text[];
BEGIN
    WITH gone AS (DELETE FROM chat.merged_conversation m WHERE m.attachment = $1 AND (m.from_id = key OR m.into_id = key) RETURNING m.from_id)
    SELECT array_agg(g.from_id) INTO keys FROM gone g;
    PERFORM chat.unmark_merged(a, keys) FROM chat.attachment a WHERE a.id = $1;
END
$$;
REVOKE ALL ON FUNCTION chat.forget_merges(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.forget_merges(integer, text) IS 'For the trigger on conversations: forgets what was merged into one, and that it was merged itself. It is deleted, or its id is a new one''s.';

CREATE FUNCTION chat.merge_portion(pair chat.attachment, portion_of text) RETURNS chat.merge
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    merge chat.merge;
    done record;
BEGIN
    SELECT m.attachment, m.from_id, m.into_id, m.moved, m.dropped, m.finished_at INTO merge FROM chat.merged_conversation m WHERE m.attachment = pair.id AND m.from_id = portion_of;
    done := chat.move_messages(pair, merge.from_id, merge.into_id);
    UPDATE chat.merged_conversation m SET moved = m.moved + done.moved, dropped = m.dropped + done.dropped,
           finished_at = CASE WHEN NOT done.remain THEN clock_timestamp() END
     WHERE m.attachment = pair.id AND m.from_id = portion_of RETURNING m.attachment, m.from_id, m.into_id, m.moved, m.dropped, m.finished_at INTO merge;
    IF NOT done.remain AND current_setting('chat_realtime.merged_conversations') = 'remove' THEN
        BEGIN
            PERFORM chat.run(NULL::jsonb, pair.id, 'remove_merged', portion_of);
        EXCEPTION WHEN foreign_key_violation THEN NULL; -- another table refers to it
        END;
    END IF;
    RETURN merge;
END
$$;
REVOKE ALL ON FUNCTION chat.merge_portion(chat.attachment, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.merge_portion(chat.attachment, text) IS 'The next portion of a merge whose conversations are locked; with the last one a conversation that is not to be kept goes.';

-- What was merged meanwhile is followed, and other locks are then taken: so none of the old ones may be kept.
CREATE FUNCTION chat.lock_to_merge(pair chat.attachment, INOUT from_id text, INOUT into_id text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    LOOP
        from_id := COALESCE(chat.merged_into(pair.id, from_id), from_id);
        into_id := COALESCE(chat.merged_into(pair.id, into_id), into_id);
        BEGIN
            PERFORM chat.run(NULL::boolean, pair.id, 'lock_conversations', ARRAY[from_id, into_id]);
            IF chat.merged_into(pair.id, from_id) IS NULL AND chat.merged_into(pair.id, into_id) IS NULL THEN
                RETURN;
            END IF;
            RAISE EXCEPTION USING ERRCODE = 'CHLET', MESSAGE = 'locks are let go';
        EXCEPTION WHEN SQLSTATE 'CHLET' THEN NULL;
        END;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.lock_to_merge(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.lock_to_merge(chat.attachment, text, text) IS 'Locks two conversations in the order of their ids, or those into which they have been merged; both are the same when that is one.';

CREATE FUNCTION chat.merge_into(pair chat.attachment, from_id text, into_id text) RETURNS chat.merge
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    roots record := chat.lock_to_merge(pair, from_id, into_id);
    sides jsonb;
    changes jsonb;
    merge chat.merge;
BEGIN
    IF roots.from_id = roots.into_id THEN
        -- Or it went the other way.
        SELECT m.attachment, m.from_id, m.into_id, m.moved, m.dropped, m.finished_at INTO merge FROM chat.merged_conversation m WHERE m.attachment = pair.id AND m.from_id IN ($2, $3) ORDER BY m.from_id <> $2 LIMIT 1;
        RETURN chat.continue_merge(pair, merge);
    END IF;
    sides := chat.merge_sides(pair, ARRAY[roots.from_id, roots.into_id]);
    IF (SELECT count(*) FROM jsonb_object_keys(sides)) < 2 THEN
        RETURN NULL; -- one was deleted meanwhile
    ELSIF sides -> roots.from_id -> 'owner' IS DISTINCT FROM sides -> roots.into_id -> 'owner' THEN
        PERFORM chat.bad_input('conversations of different owners cannot be merged', field => 'into');
    END IF;
    IF chat.has_merged(pair.id, roots.from_id) THEN
        UPDATE chat.merged_conversation m SET into_id = roots.into_id WHERE m.attachment = pair.id AND m.into_id = roots.from_id;
    END IF;
    INSERT INTO chat.merged_conversation (attachment, from_id, into_id, owner, address)
        VALUES (pair.id, roots.from_id, roots.into_id, sides -> roots.from_id ->> 'owner',
                COALESCE(chat.contact_address(sides -> roots.from_id ->> 'contact_jid'), sides -> roots.from_id ->> 'contact_jid'));
    changes := chat.merge_rows(pair, sides -> roots.from_id, sides -> roots.into_id);
    PERFORM chat.tell_merged(pair, sides -> roots.from_id, sides -> roots.into_id);
    merge := chat.merge_portion(pair, roots.from_id);
    PERFORM chat.audit('conversation.merged', roots.from_id, jsonb_build_object('into', roots.into_id, 'moved', merge.moved, 'dropped', merge.dropped,
                                                                               'finished', merge.finished_at IS NOT NULL));
    IF merge.finished_at IS NOT NULL THEN
        PERFORM chat.tell_merge_done(pair, merge.into_id, changes);
    END IF;
    RETURN merge;
END
$$;
REVOKE ALL ON FUNCTION chat.merge_into(chat.attachment, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.merge_into(chat.attachment, text, text) IS 'Merges a conversation into another one, up to 1,000 messages at once; chat.maintain goes on. Done already: goes on, or does nothing. NULL: one of them is gone. Errors: 22023 for different owners.';

CREATE FUNCTION chat.open_for_strays(pair chat.attachment, merge chat.merge) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    sides jsonb := chat.merge_sides(pair, ARRAY[merge.from_id, merge.into_id]);
    stays jsonb := sides -> merge.into_id;
    status jsonb := chat.merge_values((sides -> merge.from_id) || '{"conversation_status": "open"}', stays) -> 'conversation_status';
BEGIN
    IF status IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM chat.write_quietly(pair.id, jsonb_build_object('conversation_status', status), merge.into_id);
    RETURN jsonb_build_object('status', jsonb_build_object('old', stays -> 'conversation_status', 'new', status));
END
$$;
REVOKE ALL ON FUNCTION chat.open_for_strays(chat.attachment, chat.merge) FROM PUBLIC;
COMMENT ON FUNCTION chat.open_for_strays(chat.attachment, chat.merge) IS 'Opens the conversation to which unread strays are about to be moved; returns what that changed, as events say it, or NULL.';

CREATE FUNCTION chat.continue_merge(pair chat.attachment, merge chat.merge) RETURNS chat.merge
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    changes jsonb;
BEGIN
    PERFORM chat.run(NULL::boolean, pair.id, 'lock_conversations', ARRAY[merge.from_id, merge.into_id]);
    SELECT m.attachment, m.from_id, m.into_id, m.moved, m.dropped, m.finished_at INTO merge FROM chat.merged_conversation m WHERE m.attachment = $2.attachment AND m.from_id = $2.from_id AND m.into_id = $2.into_id;
    IF merge.from_id IS NULL OR merge.finished_at IS NOT NULL AND chat.strays(pair, ARRAY[merge.from_id]) IS NULL THEN
        RETURN merge;
    ELSIF merge.finished_at IS NOT NULL THEN
        changes := chat.open_for_strays(pair, merge);
    END IF;
    merge := chat.merge_portion(pair, merge.from_id);
    IF merge.finished_at IS NOT NULL THEN
        PERFORM chat.tell_merge_done(pair, merge.into_id, changes);
    END IF;
    RETURN merge;
END
$$;
REVOKE ALL ON FUNCTION chat.continue_merge(chat.attachment, chat.merge) FROM PUBLIC;
COMMENT ON FUNCTION chat.continue_merge(chat.attachment, chat.merge) IS 'The next portion of a merge that is not finished, or has strays, unless that has changed meanwhile; returns it as it is then.';

CREATE FUNCTION chat.due_merges() RETURNS SETOF chat.merge
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    strays text[];
BEGIN
    RETURN QUERY SELECT m.attachment, m.from_id, m.into_id, m.moved, m.dropped, m.finished_at FROM chat.merged_conversation m WHERE m.finished_at IS NULL ORDER BY m.merged_at;
    FOR pair IN SELECT a.* FROM chat.attachment a ORDER BY a.id LOOP
        strays := chat.strays(pair, ARRAY(SELECT m.from_id FROM chat.merged_conversation m WHERE m.attachment = pair.id AND m.finished_at IS NOT NULL));
        RETURN QUERY SELECT m.attachment, m.from_id, m.into_id, m.moved, m.dropped, m.finished_at FROM chat.merged_conversation m
                      WHERE m.attachment = pair.id AND m.from_id = ANY (strays) ORDER BY m.merged_at;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.due_merges() FROM PUBLIC;
COMMENT ON FUNCTION chat.due_merges() IS 'Merges that are not finished, then those with strays.';

CREATE FUNCTION chat.merge_portions() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS
$$
DECLARE
    enough CONSTANT timestamptz := clock_timestamp() + interval '200 ms';
    merge chat.merge;
    pair chat.attachment;
BEGIN
    FOR merge IN SELECT d.* FROM chat.due_merges() d LIMIT 100 LOOP
        SELECT a.* INTO pair FROM chat.attachment a WHERE a.id = merge.attachment;
        object := pair.conversations::text;
        action := format('%s merged into %s', merge.from_id, merge.into_id);
        BEGIN
            LOOP
                merge := chat.continue_merge(pair, merge);
                EXIT WHEN merge.from_id IS NULL OR merge.finished_at IS NOT NULL OR clock_timestamp() > enough;
            END LOOP;
            action := action || CASE WHEN merge.finished_at IS NULL THEN format(', %s messages so far, goes on', merge.moved) ELSE format(', %s messages', merge.moved) END;
        EXCEPTION WHEN lock_not_available THEN
            action := action || ', put off: one of them is being written';
        END;
        RETURN NEXT;
        EXIT WHEN clock_timestamp() > enough;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.merge_portions() FROM PUBLIC;
COMMENT ON FUNCTION chat.merge_portions() IS 'Part of chat.maintain: goes on with merges and moves strays, some 200 ms a call. An action that ends in "goes on" asks to be called again soon.';

CREATE FUNCTION chat.merge_twins(pair chat.attachment, rows jsonb) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    keys text[];
    merged boolean := false;
BEGIN
    IF jsonb_array_length(rows) < 2 THEN
        RETURN false;
    END IF;
    FOR keys IN SELECT t FROM chat.twins(pair, rows) t LOOP
        CONTINUE WHEN COALESCE(chat.merged_into(pair.id, keys[1]), keys[1]) = COALESCE(chat.merged_into(pair.id, keys[2]), keys[2]);
        keys := chat.run(NULL::text[], pair.id, 'by_age', keys);
        IF cardinality(keys) = 2 THEN
            PERFORM chat.merge_into(pair, keys[2], keys[1]);
        END IF;
        merged := true;
    END LOOP;
    RETURN merged;
END
$$;
REVOKE ALL ON FUNCTION chat.merge_twins(chat.attachment, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.merge_twins(chat.attachment, jsonb) IS 'Merges those of chat.contact_rows'' conversations that are to be merged, the younger into the older; false: there are none.';

CREATE FUNCTION chat.id_json(pair chat.attachment, key text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN CASE WHEN chat.attribute_base_type(pair.conversations, pair.columns ->> 'conversation_id') = 'uuid'::regtype THEN to_jsonb(key) ELSE key::jsonb END;
END
$$;
REVOKE ALL ON FUNCTION chat.id_json(chat.attachment, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.id_json(chat.attachment, text) IS 'A conversation''s id as answers have it: a number or a string.';

CREATE FUNCTION chat.merge_conversations("from" text, "into" text, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    goes record := chat.find_conversation("from", owner, 'own');
    stays record := chat.find_conversation("into", owner, 'own');
    pair chat.attachment := stays.pair;
    merge chat.merge;
BEGIN
    IF stays.key IS NULL OR goes.key IS NULL AND chat.merged_into(pair.id, "from") IS NULL THEN
        RETURN NULL;
    ELSIF goes.key IS NOT NULL AND (goes.pair).id <> pair.id THEN
        PERFORM chat.bad_input('conversations of different tables cannot be merged', field => 'into');
    ELSIF goes.key = stays.key THEN
        PERFORM chat.bad_input('a conversation cannot be merged into itself', field => 'into');
    END IF;
    merge := chat.merge_into(pair, COALESCE(goes.key, "from"), stays.key);
    IF merge IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('from', chat.id_json(pair, merge.from_id), 'into', chat.id_json(pair, merge.into_id), 'moved', merge.moved, 'dropped', merge.dropped,
                              'finished', merge.finished_at IS NOT NULL);
END
$$;
REVOKE ALL ON FUNCTION chat.merge_conversations(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.merge_conversations(text, text, text) IS 'Merges a conversation of the owner''s into another one: its messages are moved, but for those whose messageId the other has; agent, bot, name and inbox go along where the other has none. The one merged stays as resolved (chat_realtime.merged_conversations), and what comes for its contact goes to the other. Returns {from, into, moved, dropped, finished}: more than 1,000 messages are moved by chat.maintain, in portions. A second call goes on, or does nothing. Tells conversation.merged and, when finished, one conversation.updated. NULL: one of them is not there. Leaves a row in chat.audit_log. Errors: 22004, 22023 for one conversation, two tables or two owners, 22P02, 42501, also for an agent.';
