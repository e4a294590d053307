-- The events, as C knows them, and telling one.

CREATE FUNCTION chat.event_kinds(OUT event text, OUT webhook text, OUT topic text, OUT is_state boolean, OUT seconds integer, OUT "when" text)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE ROWS 20 AS 'MODULE_PATHNAME', 'chat_event_kinds';
REVOKE ALL ON FUNCTION chat.event_kinds() FROM PUBLIC;
COMMENT ON FUNCTION chat.event_kinds() IS 'The events that there are: name; the name under which webhooks get it, NULL for none (one event may have several rows); topic, where <id> stands for the id of a conversation or user; is_state: a later one says all that an earlier one of the same conversation said; seconds after which it is not delivered any more, 0: always delivered; and when it is told.';

CREATE FUNCTION chat.emit(topic text, event text, owner text, conversation text, webhook text,
                          payload jsonb, ttl interval DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_emit';
REVOKE ALL ON FUNCTION chat.emit(text, text, text, text, text, jsonb, interval) FROM PUBLIC;
COMMENT ON FUNCTION chat.emit(text, text, text, text, text, jsonb, interval) IS 'Writes one event into the log and returns its id. ttl: not delivered later than this after now. Errors: 22004 when topic, event or payload is NULL, 22023 when payload is no object or topic is longer than 246 bytes or event than 255.';

CREATE FUNCTION chat.emit_change(topic text, event text, owner text, conversation text, webhook text, payload jsonb, ttl interval, changes jsonb, rights text)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_emit';
REVOKE ALL ON FUNCTION chat.emit_change(text, text, text, text, text, jsonb, interval, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.emit_change(text, text, text, text, text, jsonb, interval, jsonb, text) IS 'chat.emit of an event that changed a conversation; changes and rights are those of chat.event, NULL for none.';

CREATE FUNCTION chat.tell(event text, id text, owner text, conversation text, payload jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    kind record;
BEGIN
    SELECT k.* INTO kind FROM chat.event_kinds() k WHERE k.event = $1 LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('there is no event "%s"', event),
            HINT = 'SELECT event FROM chat.event_kinds() shows those that there are.';
    END IF;
    RETURN chat.emit(replace(kind.topic, '<id>', id), event, owner, conversation, kind.webhook, payload,
                     NULLIF(kind.seconds, 0) * interval '1 s');
END
$$;
REVOKE ALL ON FUNCTION chat.tell(text, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.tell(text, text, text, text, jsonb) IS 'Writes one event of chat.event_kinds into the log, on its topic for the conversation or user with this id, and returns the event''s id. Errors: 22023 for an event that there is not, and those of chat.emit.';

-- No row of chat.event_kinds: neither clients nor webhooks nor Socket.IO ever hear it.
CREATE FUNCTION chat.send_canary(topic text, number bigint) RETURNS double precision
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF topic !~ '^canary:[0-9a-f]{16}$' OR topic IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" is no topic of a canary', topic);
    END IF;
    PERFORM chat.emit(topic, 'canary', NULL, NULL, NULL, jsonb_build_object('number', number), interval '30 s');
    RETURN EXTRACT(epoch FROM clock_timestamp());
END
$$;
REVOKE ALL ON FUNCTION chat.send_canary(text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION chat.send_canary(text, bigint) IS 'Writes an event for the sidecar''s own topic (canary: and 16 hexadecimal digits), which nobody else may join, and answers when, in Unix seconds: it says how long events take to their clients. It is delivered to nobody else, nor later than 30 s, and goes with its part of the log. For the sidecar. Errors: 22023 for another topic.';
