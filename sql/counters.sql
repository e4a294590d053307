-- Counters and last messages that are not what the messages say.

-- For everybody: the owners of attached tables run it.
CREATE FUNCTION chat.list_key(at timestamptz) RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_list_key';
COMMENT ON FUNCTION chat.list_key(timestamptz) IS 'The exact list key of a conversation whose last message is of that time: microseconds since 2000. NULL: the key of a conversation without one, which is below all others. Keys of ten minutes (chat.list_bucket) are below that.';

CREATE FUNCTION chat.list_bucket(at timestamptz) RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_list_bucket';
COMMENT ON FUNCTION chat.list_bucket(timestamptz) IS 'The list key of the ten minutes in which a time is.';

CREATE FUNCTION chat.list_key_matches(key bigint, at timestamptz) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_list_key_matches';
COMMENT ON FUNCTION chat.list_key_matches(bigint, timestamptz) IS 'Whether a list key is one of the two that a conversation may have whose last message is of that time; a key that is NULL is none.';

CREATE FUNCTION chat.drifted_keys(pair chat.attachment, only_ids text[]) RETURNS text[]
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_drifted_keys';
REVOKE ALL ON FUNCTION chat.drifted_keys(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.drifted_keys(chat.attachment, text[]) IS 'chat.drifted as an array; NULL for none.';

CREATE FUNCTION chat.drifted(pair chat.attachment, only_ids text[] DEFAULT NULL) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN QUERY SELECT * FROM unnest(chat.drifted_keys(pair, only_ids));
END
$$;
REVOKE ALL ON FUNCTION chat.drifted(chat.attachment, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.drifted(chat.attachment, text[]) IS 'Ids, in order, of conversations whose counters or last message are not what their messages say; only_ids: of these.';

CREATE FUNCTION chat.touched_since(relation regclass, "column" text, xmin xid8, xmax xid8, running xid8[]) RETURNS text[]
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_touched_since';
REVOKE ALL ON FUNCTION chat.touched_since(regclass, text, xid8, xid8, xid8[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.touched_since(regclass, text, xid8, xid8, xid8[]) IS 'Values of a key column in rows of a table (not of its partitions) that were written or deleted since a snapshot, which the session must still hold. Errors: 0A000 where the table is no heap, 42804, 55000.';

CREATE FUNCTION chat.touched(pair chat.attachment, since pg_snapshot) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT k
          FROM (SELECT l.relid, pair.columns ->> 'conversation' AS name FROM chat.leaves(pair.messages) l
                UNION ALL SELECT pair.conversations, pair.columns ->> 'conversation_id') r,
               unnest(chat.touched_since(r.relid, r.name, pg_snapshot_xmin(since), pg_snapshot_xmax(since), ARRAY(SELECT pg_snapshot_xip(since)))) k);
EXCEPTION WHEN feature_not_supported THEN
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.touched(chat.attachment, pg_snapshot) FROM PUBLIC;
COMMENT ON FUNCTION chat.touched(chat.attachment, pg_snapshot) IS 'Ids of conversations that were written since a snapshot, or messages of theirs; NULL where that cannot be told.';

CREATE FUNCTION chat.still_drifted(pair chat.attachment, drifting text[], touched text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN ARRAY(SELECT unnest(drifting) EXCEPT SELECT unnest(touched))
           || CASE WHEN touched = '{}' THEN '{}' ELSE ARRAY(SELECT chat.drifted(pair, touched)) END;
END
$$;
REVOKE ALL ON FUNCTION chat.still_drifted(chat.attachment, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.still_drifted(chat.attachment, text[], text[]) IS 'What chat.drifted says now, from what it said before: looks only at conversations that were touched since.';

CREATE FUNCTION chat.recount_for(caller regrole, messages regclass) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    conversation text;
    mended bigint := 0;
    noted timestamptz;
BEGIN
    PERFORM chat.require_operator(caller, 'consumer_save');
    IF messages IS NOT NULL AND NOT chat.is_administrator(caller) THEN
        PERFORM chat.attached(messages, caller);
    END IF;
    FOR pair IN SELECT a.* FROM chat.attachment a WHERE ($2 IS NULL OR a.messages = $2)
                 AND (chat.is_administrator(caller) OR chat.owns(caller, a)) ORDER BY a.id LOOP
        SELECT d.since INTO noted FROM chat.recount_due d WHERE d.attachment = pair.id;
        FOR conversation IN SELECT * FROM chat.drifted(pair) LOOP
            IF chat.write_counters(pair.id, conversation) THEN
                mended := mended + 1;
            END IF;
        END LOOP;
        DELETE FROM chat.recount_due d WHERE d.attachment = pair.id AND d.since = noted; -- not what was noted meanwhile
    END LOOP;
    RETURN mended;
END
$$;
REVOKE ALL ON FUNCTION chat.recount_for(regrole, regclass) FROM PUBLIC;
COMMENT ON FUNCTION chat.recount_for(regrole, regclass) IS 'chat.recount for a caller: what it owns; for an administrator everything.';

CREATE FUNCTION chat.recount(messages regclass DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_for_caller'; -- for everybody: checks whose tables they are
COMMENT ON FUNCTION chat.recount(regclass) IS 'Mends counters and last messages that are not what the messages say, of one attached messages table or of all that are the caller''s; returns how many conversations were mended. Errors: 42501, 42704.';
