-- Counters that became wrong without a row trigger: partitions of messages that were dropped, detached or attached with rows.

CREATE FUNCTION chat.note_recount(attachment integer, reason text) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
    INSERT INTO chat.recount_due AS d (attachment, reason) VALUES ($1, $2)
        ON CONFLICT (attachment) DO UPDATE SET reason = EXCLUDED.reason, since = EXCLUDED.since, done_up_to = NULL
$$;
REVOKE ALL ON FUNCTION chat.note_recount(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.note_recount(integer, text) IS 'Notes that a pair is to be recounted, from its first conversation on.';

CREATE FUNCTION chat.conversations_after(pair chat.attachment, last text, most integer) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.run(NULL::text[], pair.id, 'conversations_after', last, most);
END
$$;
REVOKE ALL ON FUNCTION chat.conversations_after(chat.attachment, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversations_after(chat.attachment, text, integer) IS 'The next ids of conversations after one, in order; NULL: there are none.';

-- A conversation that is mended stays locked until chat.maintain commits, so there is an end to how many are in one call, and
-- one that a writer has locked is hardly waited for: that writer may be waiting for one of ours, and be ended for it.
-- What is noted anew meanwhile has another time, and stays.
CREATE FUNCTION chat.recount_portions() RETURNS TABLE (object text, action text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS
$$
DECLARE
    enough CONSTANT timestamptz := clock_timestamp() + interval '2 s';
    due chat.recount_due;
    pair chat.attachment;
    ids text[];
    conversation text;
    mended integer := 0;
    held text; -- by a writer
BEGIN
    FOR due IN SELECT d.* FROM chat.recount_due d ORDER BY d.since LOOP
        SELECT a.* INTO pair FROM chat.attachment a WHERE a.id = due.attachment;
        LOOP
            ids := chat.conversations_after(pair, due.done_up_to, 200);
            EXIT WHEN ids IS NULL;
            FOR conversation IN SELECT * FROM chat.drifted(pair, ids) LOOP
                BEGIN
                    mended := mended + chat.write_counters(pair.id, conversation)::integer;
                EXCEPTION WHEN lock_not_available THEN
                    held := conversation;
                END;
                EXIT WHEN held IS NOT NULL;
                due.done_up_to := conversation;
            END LOOP;
            EXIT WHEN held IS NOT NULL;
            due.done_up_to := ids[cardinality(ids)];
            EXIT WHEN mended >= 200 OR clock_timestamp() > enough;
        END LOOP;
        object := pair.conversations::text;
        IF ids IS NULL THEN
            DELETE FROM chat.recount_due d WHERE d.attachment = due.attachment AND d.since = due.since;
            action := format('recounted, %s mended', mended);
        ELSE
            UPDATE chat.recount_due d SET done_up_to = due.done_up_to WHERE d.attachment = due.attachment AND d.since = due.since;
            action := format('recounted up to %s, %s mended', COALESCE(held || ', which is being written', due.done_up_to), mended);
        END IF;
        RETURN NEXT;
        EXIT WHEN ids IS NOT NULL;
        mended := 0;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.recount_portions() FROM PUBLIC;
COMMENT ON FUNCTION chat.recount_portions() IS 'Part of chat.maintain: mends counters of pairs that are noted, in the order of conversations'' ids, some 200 of them or 2 seconds a call.';
