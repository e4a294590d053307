-- What WUZAPI tells of messages that are there: edits, revokes, reactions, votes; and names of groups.
-- The conversation is locked first and its message after it, as everywhere.

CREATE FUNCTION chat.wuzapi_target(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    key text;
BEGIN
    key := chat.run(NULL::text, attachment.id, 'find_among',
        ARRAY(SELECT jsonb_array_elements_text(chat.wuzapi_scope(attachment, owner_keys, event))), event ->> 'target');
    RETURN CASE WHEN key IS NOT NULL THEN COALESCE(chat.lock_message(attachment, key), '{"gone": true}') END;
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_target(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_target(chat.attachment, text[], jsonb) IS 'Locks the message that a parsed change is about, as chat.lock_message returns it; NULL when it is unknown, {gone: true} when it is deleted.';

-- Why a change of a message is not made, or NULL. People change their own messages; a group's admins revoke those of others.
CREATE FUNCTION chat.wuzapi_objection(message jsonb, event jsonb, since text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    at text := message -> 'metadata' ->> since;
BEGIN
    IF message ? 'gone' OR message #> '{metadata,isDeleted}' = 'true' THEN
        RETURN jsonb_build_object('action', 'ignored', 'reason', event ->> 'kind' || ' of a deleted message');
    ELSIF (message ->> 'direction' = 'outgoing') <> (event ->> 'fromMe')::boolean
          AND NOT (event ->> 'kind' = 'revoke' AND (event ->> 'isGroup')::boolean) THEN
        RETURN jsonb_build_object('action', 'ignored', 'reason', event ->> 'kind' || ' of somebody else''s message');
    ELSIF at ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}[+]00:00$' AND at >= chat.iso_time((event ->> 'timestamp')::timestamptz) THEN
        RETURN jsonb_build_object('action', 'duplicate', 'conversationId', message -> 'conversation', 'messageId', message -> 'key',
                                  'externalId', event -> 'target');
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_objection(jsonb, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_objection(jsonb, jsonb, text) IS 'The answer to a parsed edit or revoke that is not carried out: the message is deleted, another''s, or was changed as late or later; NULL for none.';

CREATE FUNCTION chat.wuzapi_changed(message jsonb, event jsonb) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.jsonb_build_object('action', event -> 'kind', 'conversationId', message -> 'conversation', 'messageId', message -> 'key',
                                         'externalId', event -> 'target');
REVOKE ALL ON FUNCTION chat.wuzapi_changed(jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_changed(jsonb, jsonb) IS 'The answer to a parsed change that was carried out.';

CREATE FUNCTION chat.wuzapi_unseen(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET chat_realtime.reopening = off AS
$$
BEGIN
    RETURN chat.wuzapi_message(attachment, owner_keys, event);
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_unseen(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_unseen(chat.attachment, text[], jsonb) IS 'Stores what an edit tells of a message that is not here: it opens no conversation.';

CREATE FUNCTION chat.wuzapi_edit(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    message jsonb := chat.wuzapi_target(attachment, owner_keys, event);
    marks jsonb := jsonb_build_object('isEdited', true, 'editedAt', chat.iso_time((event ->> 'timestamp')::timestamptz));
    answer jsonb;
BEGIN
    IF message IS NULL THEN
        -- Stored under the original's id: when that comes late, it is a duplicate, and receipts find their message.
        answer := chat.wuzapi_unseen(attachment, owner_keys,
            event || jsonb_build_object('id', event -> 'target', 'metadata', (event -> 'metadata') || marks));
        IF answer ->> 'action' <> 'duplicate' THEN
            RETURN answer || '{"isEdited": true}';
        END IF;
        message := chat.wuzapi_target(attachment, owner_keys, event); -- it came in between
    END IF;
    answer := chat.wuzapi_objection(message, event, 'editedAt');
    IF answer IS NULL THEN
        PERFORM chat.mark_message(attachment, message #- '{metadata,editPending}',
            jsonb_build_object('content', COALESCE(event ->> 'content', ''), 'edited', true), marks);
    END IF;
    RETURN COALESCE(answer, chat.wuzapi_changed(message, event));
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_edit(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_edit(chat.attachment, text[], jsonb) IS 'Gives a message its new content and marks it as edited; one that is unknown is stored with the mark: {action: edit | message | duplicate | ignored, ...}.';

CREATE FUNCTION chat.wuzapi_pending_edit(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    message jsonb := chat.wuzapi_target(attachment, owner_keys, event);
    answer jsonb;
BEGIN
    event := event || '{"kind": "edit"}';
    answer := chat.wuzapi_objection(message, event, 'editedAt');
    IF message IS NULL THEN
        RETURN '{"action": "ignored", "reason": "edit of an unknown message"}';
    ELSIF answer IS NOT NULL THEN
        RETURN answer;
    ELSIF message #> '{metadata,editPending}' = 'true' THEN
        RETURN chat.wuzapi_changed(message, event) || '{"action": "duplicate"}';
    END IF;
    PERFORM chat.mark_message(attachment, message, '{"edited": true}', '{"isEdited": true, "editPending": true}');
    RETURN chat.wuzapi_changed(message, event) || '{"isPending": true}';
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_pending_edit(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_pending_edit(chat.attachment, text[], jsonb) IS 'Marks a message as edited to a text that only the phones can read, with editPending in its metadata: {action: edit | duplicate | ignored, ...}. Its content stays, and nothing is counted.';

CREATE FUNCTION chat.wuzapi_variant(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    message jsonb := chat.wuzapi_target(attachment, owner_keys, event);
    known jsonb := COALESCE(message #> '{metadata,variants}', '{}');
    variant jsonb := jsonb_build_object(event ->> 'variant',
        COALESCE(event #> '{metadata,media}', '{}') || jsonb_strip_nulls(jsonb_build_object('id', event -> 'id', 'url', event #> '{media,url}')));
    answer jsonb;
BEGIN
    IF message IS NULL THEN
        RETURN chat.wuzapi_message(attachment, owner_keys, event); -- better shown twice than not at all
    ELSIF NOT attachment.columns ? 'metadata' THEN
        RETURN '{"action": "ignored", "reason": "variant, and the table has no metadata"}';
    END IF;
    answer := COALESCE(chat.wuzapi_objection(message, event, 'deletedAt'), chat.wuzapi_changed(message, event));
    IF answer ->> 'action' <> 'variant' OR known @> variant THEN
        RETURN answer || CASE WHEN known @> variant THEN '{"action": "duplicate"}' ELSE '{}' END::jsonb;
    END IF;
    PERFORM chat.mark_message(attachment, message, '{}', jsonb_build_object('variants', known || variant));
    RETURN answer;
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_variant(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_variant(chat.attachment, text[], jsonb) IS 'Notes where a picture or video is to be had in another form (hd, hevc, motion) in variants of its message''s metadata; stored as a message where that is unknown: {action: variant | message | duplicate | ignored, ...}.';

CREATE FUNCTION chat.wuzapi_revoke(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    message jsonb := chat.wuzapi_target(attachment, owner_keys, event);
    answer jsonb;
    changes jsonb := E'{"content": "\U0001F6AB Esta mensagem foi apagada", "type": "text", "media_url": null, "media_mime_type": null,
        "media_filename": null, "media_size_bytes": null, "media_duration_seconds": null}';
BEGIN
    IF message IS NULL THEN
        RETURN '{"action": "ignored", "reason": "revoke of an unknown message"}';
    END IF;
    answer := chat.wuzapi_objection(message, event, 'deletedAt');
    IF answer IS NOT NULL THEN
        RETURN answer;
    END IF;
    IF attachment.columns ? 'deleted' THEN
        changes := changes || jsonb_build_object('deleted', chat.deletion_mark(attachment));
    END IF;
    -- Of what was revoked nothing stays but who wrote it.
    PERFORM chat.mark_message(attachment, message || jsonb_build_object('metadata', (
            SELECT COALESCE(jsonb_object_agg(m.key, m.value), '{}') FROM jsonb_each(
                CASE WHEN jsonb_typeof(message -> 'metadata') = 'object' THEN message -> 'metadata' ELSE '{}' END) m
             WHERE m.key IN ('participant', 'participantName', 'instance', 'inboxId'))), changes,
        jsonb_build_object('isDeleted', true, 'deletedAt', chat.iso_time((event ->> 'timestamp')::timestamptz)));
    RETURN chat.wuzapi_changed(message, event);
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_revoke(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_revoke(chat.attachment, text[], jsonb) IS 'Takes a message''s content away and marks it as deleted: {action: revoke | ignored, ...}.';

CREATE FUNCTION chat.entries_of(message jsonb, list text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN pg_catalog.jsonb_typeof(message -> 'metadata' -> list) = 'array' THEN message -> 'metadata' -> list ELSE '[]'::jsonb END;
REVOKE ALL ON FUNCTION chat.entries_of(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.entries_of(jsonb, text) IS 'A list in a locked message''s metadata; empty for what is none.';

-- Reactions and votes: one entry for each person, in a list in the message's metadata. What was taken away is remembered in a
-- second list, with its time: WUZAPI keeps no order, and an older one that comes late, or again, must not bring it back.
CREATE FUNCTION chat.entry_marks(message jsonb, list text, entry jsonb, is_there boolean) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT jsonb_object_agg(l.name, (SELECT COALESCE(jsonb_agg(e ORDER BY n), '[]') FROM jsonb_array_elements(chat.entries_of(message, l.name)) WITH ORDINALITY u (e, n)
                                              WHERE e ->> 'from' IS DISTINCT FROM entry ->> 'from')
                                            || CASE WHEN l.has_it THEN jsonb_build_array(entry) ELSE '[]' END)
              FROM (VALUES (list, is_there), (list || 'Removed', NOT is_there)) l (name, has_it)
             WHERE l.has_it OR l.name = list OR message -> 'metadata' ? l.name);
END
$$;
REVOKE ALL ON FUNCTION chat.entry_marks(jsonb, text, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.entry_marks(jsonb, text, jsonb, boolean) IS 'The lists of a message''s metadata after a person''s entry ({from, …, at}) was made, in the place of an earlier one, or taken away, which is remembered in the list of what was removed.';

CREATE FUNCTION chat.wuzapi_entry(attachment chat.attachment, owner_keys text[], event jsonb, list text, field text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    message jsonb := chat.wuzapi_target(attachment, owner_keys, event);
    person text := CASE WHEN (event ->> 'fromMe')::boolean THEN 'self' ELSE COALESCE(event ->> 'participant', event ->> 'chat') END;
    at text := chat.iso_time((event ->> 'timestamp')::timestamptz);
    lists text[] := ARRAY[list, list || 'Removed'];
    value jsonb := CASE WHEN event -> field IN ('""', '[]') THEN 'null' ELSE event -> field END;
    answer jsonb := chat.wuzapi_changed(message, event) || jsonb_build_object('from', person, field, value);
    objection text := CASE WHEN message IS NULL THEN ' to an unknown message'
                           WHEN message ? 'gone' OR message #> '{metadata,isDeleted}' = 'true' THEN ' to a deleted message'
                           WHEN NOT attachment.columns ? 'metadata' THEN ', and the table has no metadata' END;
    last jsonb := (SELECT e FROM unnest(lists) l, jsonb_array_elements(chat.entries_of(message, l)) e WHERE e ->> 'from' = person ORDER BY e ->> 'at' DESC LIMIT 1);
BEGIN
    IF objection IS NOT NULL THEN
        RETURN jsonb_build_object('action', 'ignored', 'reason', (event ->> 'kind') || objection);
    ELSIF last ->> 'at' > at OR COALESCE(last -> field, 'null') = value AND (value <> 'null' OR last ->> 'at' = at) THEN
        RETURN answer || '{"action": "duplicate"}';
    END IF;
    PERFORM chat.mark_message(attachment, message, '{}', chat.entry_marks(message, list,
        jsonb_strip_nulls(jsonb_build_object('from', person, field, value, 'at', at)), value <> 'null'));
    RETURN answer;
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_entry(chat.attachment, text[], jsonb, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_entry(chat.attachment, text[], jsonb, text, text) IS 'Notes a person''s reaction or vote in a list of the message''s metadata, [{from, emoji or options, at}]; an empty one takes it away, and is remembered as [{from, at}] in reactionsRemoved or votesRemoved: {action: reaction | vote | duplicate | ignored, ...}.';

CREATE FUNCTION chat.wuzapi_group(attachment chat.attachment, owner_keys text[], event jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    name text := event ->> 'name';
    conversation jsonb;
BEGIN
    IF name ~ '^[[:space:]]*[0-9]*[[:space:]]*$' OR name ~ '@g[.]us' OR name ~* '^grupo [0-9]+' THEN
        RETURN '{"action": "ignored", "reason": "no name of a group"}';
    END IF;
    conversation := chat.find_contact(attachment, owner_keys, ARRAY[event ->> 'chat'], false);
    IF conversation IS NULL THEN
        RETURN '{"action": "ignored", "reason": "no conversation with this group"}';
    ELSIF conversation ->> 'name' IS DISTINCT FROM name THEN
        PERFORM chat.update_rows(attachment.id, false, jsonb_build_object('contact_name', name), ARRAY[conversation ->> 'id']);
    END IF;
    RETURN jsonb_build_object('action', 'group', 'conversationId', conversation -> 'id', 'name', name);
END
$$;
REVOKE ALL ON FUNCTION chat.wuzapi_group(chat.attachment, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_group(chat.attachment, text[], jsonb) IS 'Gives the conversation of a group the group''s name: {action: group | ignored, ...}.';
