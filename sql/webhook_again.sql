-- Sending by hand: tests, and what was sent before.

CREATE FUNCTION chat.sample_payload(event text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    pair chat.attachment := (SELECT a FROM chat.attachment a ORDER BY a.id LIMIT 1);
    conversation jsonb := CASE WHEN chat.attribute_type(pair.conversations, pair.columns ->> 'conversation_id') = 'uuid'::regtype
                               THEN '"00000000-0000-0000-0000-000000000000"' ELSE '0' END;
    message jsonb := CASE WHEN chat.attribute_type(pair.messages, pair.columns ->> 'message_id') = 'uuid'::regtype
                          THEN '"00000000-0000-0000-0000-000000000000"' ELSE '0' END;
    at jsonb := to_jsonb(clock_timestamp());
BEGIN
    RETURN '{"test": true}'::jsonb || CASE
        WHEN event = 'message.status' THEN jsonb_build_object('id', message, 'conversationId', conversation, 'status', 'read', 'timestamp', at)
        WHEN event LIKE 'message.%' THEN jsonb_build_object('id', message, 'conversationId', conversation, 'content', 'This is a test.',
            'direction', CASE event WHEN 'message.sent' THEN 'outgoing' ELSE 'incoming' END, 'status', 'delivered', 'messageType', 'text',
            'metadata', '{}'::jsonb, 'createdAt', at, 'updatedAt', at)
        WHEN event = 'conversation.merged' THEN jsonb_build_object('from', conversation, 'into', conversation)
        ELSE jsonb_build_object('id', conversation, 'contactJid', '5511900000000@s.whatsapp.net', 'contactName', 'Test',
            'status', CASE event WHEN 'conversation.closed' THEN 'resolved' ELSE 'open' END, 'assignedAgentId', NULL, 'assignedBotId', NULL,
            'lastMessageAt', at, 'lastMessagePreview', 'This is a test.', 'unreadCount', 1) END;
END
$$;
REVOKE ALL ON FUNCTION chat.sample_payload(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.sample_payload(text) IS 'What a webhook''s event of this name says, of nobody''s message or conversation, with test: true.';

CREATE FUNCTION chat.test_webhook(id uuid, owner text DEFAULT NULL, event text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    known CONSTANT text[] := ARRAY(SELECT DISTINCT k.webhook FROM chat.event_kinds() k WHERE k.webhook IS NOT NULL ORDER BY 1);
    type text := COALESCE(event, 'webhook.test');
    message text := 'evt_test_' || encode(chat.random_bytes(9), 'hex');
BEGIN
    IF chat.find_webhook(id, owner) IS NULL THEN
        RETURN NULL;
    END IF;
    IF type <> 'webhook.test' AND type <> ALL (known) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'event',
            MESSAGE = format('unknown webhook event "%s"', left(type, 64)),
            HINT = format('Events are %s; NULL: webhook.test.', array_to_string(known, ', '));
    END IF;
    IF (SELECT count(*) FROM (SELECT FROM chat.webhook_delivery d WHERE d.event_id = 0 AND d.webhook = test_webhook.id LIMIT 100) d) = 100 THEN
        RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = '100 tests of this webhook wait to be sent';
    END IF;
    INSERT INTO chat.webhook_delivery AS d (webhook, event_id, message_id, type, conversation, created_at, payload,
                                            next_attempt_at)
    VALUES (id, 0, message, type, message, clock_timestamp(),
            CASE type WHEN 'webhook.test' THEN jsonb_build_object('webhookId', id) ELSE chat.sample_payload(type) END, clock_timestamp());
    PERFORM chat.audit('webhook.tested', id::text, jsonb_build_object('type', type));
    RETURN jsonb_build_object('messageId', message, 'type', type);
END
$$;
REVOKE ALL ON FUNCTION chat.test_webhook(uuid, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.test_webhook(uuid, text, text) IS 'Sends an event of this type to a webhook within about a second, whether it subscribes to it or not, and returns {messageId, type}: data is a sample with test: true, messageId begins with evt_test_. event NULL: webhook.test {webhookId}. chat.list_webhook_attempts tells what became of it. NULL: no such webhook of owner. Errors: 22023 for an unknown event, 42501, 54000 where 100 tests wait.';

CREATE FUNCTION chat.queue_again(attempt chat.webhook_attempt) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    -- Not in the conversation's order: it is repeated because somebody asks for it now.
    INSERT INTO chat.webhook_delivery AS d (webhook, event_id, message_id, type, conversation, created_at, payload,
                                            next_attempt_at)
    SELECT attempt.webhook, attempt.event_id, attempt.message_id, attempt.type, attempt.message_id, e.created_at,
           e.payload, clock_timestamp()
      FROM chat.event_at(attempt.event_id) e
    ON CONFLICT (webhook, event_id, message_id) DO UPDATE
       SET next_attempt_at = clock_timestamp() WHERE d.next_attempt_at IS NOT NULL;
    RETURN FOUND;
END
$$;
REVOKE ALL ON FUNCTION chat.queue_again(chat.webhook_attempt) FROM PUBLIC;
COMMENT ON FUNCTION chat.queue_again(chat.webhook_attempt) IS 'Makes the message of an attempt due now; false: its event is no longer in the log, or it waits behind another delivery of its conversation.';

CREATE FUNCTION chat.redeliver(delivery_id bigint, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    attempt chat.webhook_attempt;
BEGIN
    SELECT * INTO attempt FROM chat.webhook_attempt a WHERE a.id = delivery_id;
    IF chat.find_webhook(attempt.webhook, owner) IS NULL OR NOT chat.queue_again(attempt) THEN
        RETURN NULL;
    END IF;
    PERFORM chat.audit('webhook.redelivered', attempt.webhook::text, jsonb_build_object('messageId', attempt.message_id));
    RETURN jsonb_build_object('messageId', attempt.message_id, 'type', attempt.type);
END
$$;
REVOKE ALL ON FUNCTION chat.redeliver(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.redeliver(bigint, text) IS 'Sends the message of an attempt (its id, as chat.list_webhook_attempts has it) again, with the same webhook-id, and returns {messageId, type}. NULL: no such attempt of a webhook of owner, its event is no longer in the log, or it waits behind another delivery of its conversation. Errors: 42501.';

-- They are a conversation of their own each, so that nothing that is new waits behind them, and that nobody else stores or
-- settles deliveries of it meanwhile: the first one is due, and each that is done makes the next one so.
CREATE FUNCTION chat.store_again(webhook uuid, since timestamptz, until timestamptz) RETURNS integer
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0 SET jit = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_indexscan = on AS
$$
#variable_conflict use_column
DECLARE
    batch CONSTANT text := 'again:' || encode(chat.random_bytes(9), 'hex') || ':';
    conversations text[];
    stored integer;
BEGIN
    WITH kept AS (
        INSERT INTO chat.webhook_delivery AS d (webhook, event_id, message_id, type, conversation, created_at, payload)
        SELECT $1, m.event_id, m.message_id, m.type, batch || COALESCE(NULLIF(e.conversation, ''), m.message_id), e.created_at, e.payload
          FROM (SELECT DISTINCT a.event_id, a.message_id, a.type FROM chat.webhook_attempt a
                 WHERE a.webhook = $1 AND a.at >= $2 AND a.at <= $3 AND a.event_id > 0) m
         CROSS JOIN LATERAL chat.event_at(m.event_id) e
         ORDER BY m.event_id, m.message_id
        ON CONFLICT (webhook, event_id, message_id) DO UPDATE
           SET next_attempt_at = CASE WHEN d.next_attempt_at IS NOT NULL THEN clock_timestamp() END
        RETURNING d.conversation)
    SELECT count(*), array_agg(DISTINCT k.conversation) FILTER (WHERE starts_with(k.conversation, batch)) INTO stored, conversations FROM kept k;
    UPDATE chat.webhook_delivery d SET next_attempt_at = clock_timestamp()
      FROM unnest(conversations) c (conversation)
     CROSS JOIN LATERAL (SELECT h.id FROM chat.webhook_delivery h WHERE h.webhook = $1 AND h.conversation = c.conversation
                          ORDER BY h.event_id, h.message_id LIMIT 1) head
     WHERE d.id = head.id;
    RETURN stored;
END
$$;
REVOKE ALL ON FUNCTION chat.store_again(uuid, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION chat.store_again(uuid, timestamptz, timestamptz) IS 'Part of chat.redeliver: stores deliveries of what was attempted within a time, those of a conversation in their order; how many.';

CREATE FUNCTION chat.redeliver(webhook uuid, since timestamptz, until timestamptz DEFAULT now(), owner text DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on AS
$$
DECLARE
    most CONSTANT integer := 10000;
    stored integer;
BEGIN
    IF since IS NULL OR until IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', COLUMN = CASE WHEN since IS NULL THEN 'since' ELSE 'until' END,
            MESSAGE = 'since and until must not be NULL';
    ELSIF since > until THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'since', MESSAGE = 'since must not be later than until';
    END IF;
    IF chat.find_webhook(webhook, owner) IS NULL THEN
        RETURN NULL;
    END IF;
    IF (SELECT count(*) FROM (SELECT FROM chat.webhook_attempt a
                               WHERE a.webhook = redeliver.webhook AND a.at >= since AND a.at <= redeliver.until LIMIT most + 1) a) > most THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'since',
            MESSAGE = format('more than %s attempts were made in that time', most), HINT = 'Give shorter times, one after another.';
    END IF;
    stored := chat.store_again(webhook, since, until);
    PERFORM chat.audit('webhook.redelivered', webhook::text, jsonb_build_object('since', since, 'until', until, 'messages', stored));
    RETURN stored;
END
$$;
REVOKE ALL ON FUNCTION chat.redeliver(uuid, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.redeliver(uuid, timestamptz, timestamptz, text) IS 'Sends again, with the same webhook-ids, what was attempted for a webhook from since until until (both included), whatever became of it, and returns how many messages: those whose events are still in the log, in order per conversation, beside what is new. NULL: no such webhook of owner. Errors: 22004, 22023 for more than 10000 attempts, 42501.';
