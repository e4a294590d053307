-- Webhooks for the backend: listing, changing and deleting them.

-- What its table has no column for is in chat.webhook_state; of one that is on again, however that was done, only the table counts.
CREATE FUNCTION chat.shown_webhook(webhook jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT jsonb_build_object(
        'id', w.row -> 'id', 'url', w.row -> 'url', 'events', w.row -> 'events',
        'isActive', w.row -> 'is_active', 'failureCount', w.row -> 'failure_count',
        'lastTriggeredAt', w.row -> 'last_triggered_at', 'lastError', w.row -> 'last_error',
        'disabledAt', w.row -> 'disabled_at', 'disabledReason', w.row -> 'disabled_reason',
        'createdAt', w.row -> 'created_at', 'updatedAt', w.row -> 'updated_at') || chat.shown_options((w.row ->> 'id')::uuid)
      FROM (SELECT COALESCE((SELECT jsonb_build_object('last_error', s.last_error) || CASE WHEN (shown_webhook.webhook ->> 'is_active')::boolean THEN '{}'
                                    ELSE jsonb_build_object('disabled_at', s.disabled_at, 'disabled_reason', s.disabled_reason) END
                               FROM chat.webhook_state s WHERE s.webhook = (shown_webhook.webhook ->> 'id')::uuid), '{}') || shown_webhook.webhook AS row) w);
END
$$;
REVOKE ALL ON FUNCTION chat.shown_webhook(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.shown_webhook(jsonb) IS 'What may be shown of a webhook''s row: everything but its secrets, in camelCase.';

CREATE FUNCTION chat.list_webhooks(owner text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    source regclass;
    rows jsonb;
    webhooks jsonb := '[]';
BEGIN
    PERFORM chat.check_webhook_owner(owner);
    FOR source IN SELECT s.source FROM chat.external_webhook_tables() s LOOP
        rows := chat.run_beside(NULL::jsonb, source, 'list_webhooks', owner);
        webhooks := webhooks || (SELECT COALESCE(jsonb_agg(chat.shown_webhook(f.v) ORDER BY f.n), '[]')
                                   FROM jsonb_array_elements(rows) WITH ORDINALITY f (v, n));
    END LOOP;
    RETURN jsonb_build_object('success', true, 'data', webhooks, 'pagination', jsonb_build_object(
        'page', 1, 'limit', jsonb_array_length(webhooks), 'total', jsonb_array_length(webhooks), 'hasMore', false, 'cursor', NULL));
END
$$;
REVOKE ALL ON FUNCTION chat.list_webhooks(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.list_webhooks(text) IS 'All webhooks of owner, oldest first, as {success, data, pagination}; each is {id, url, events, isActive, failureCount, lastTriggeredAt, lastError, disabledAt, disabledReason, createdAt, updatedAt} with what chat.shown_options has, never with its secrets. Errors: 22004, 42501, 22P02 for an owner of the wrong form.';

CREATE FUNCTION chat.check_webhook_changes(changes jsonb) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    field text;
BEGIN
    IF jsonb_typeof(changes) IS DISTINCT FROM 'object' OR changes = '{}' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'changes of a webhook must be an object that is not empty',
            HINT = format('Give url, events, isActive, %s.', array_to_string(chat.webhook_option_names(), ', '));
    END IF;
    SELECT k INTO field FROM jsonb_object_keys(changes) k WHERE k NOT IN ('url', 'events', 'isActive') AND k <> ALL (chat.webhook_option_names()) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = left(field, 64),
            MESSAGE = format('"%s" of a webhook cannot be changed', left(field, 100)),
            HINT = format('Give url, events, isActive, %s; the secret is changed by rotating it.', array_to_string(chat.webhook_option_names(), ', '));
    END IF;
    SELECT e.key INTO field FROM jsonb_each(changes) e
     WHERE jsonb_typeof(e.value) <> CASE e.key WHEN 'url' THEN 'string' WHEN 'events' THEN 'array' WHEN 'isActive' THEN 'boolean' END LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            COLUMN = CASE field WHEN 'isActive' THEN 'is_active' ELSE field END,
            MESSAGE = format('"%s" of a webhook is of the wrong type', field),
            HINT = 'url is a text, events a list of texts, isActive true or false.';
    END IF;
    PERFORM chat.check_webhook_options(chat.webhook_options_of(changes));
END
$$;
REVOKE ALL ON FUNCTION chat.check_webhook_changes(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_webhook_changes(jsonb) IS 'Refuses what is no set of changes of a webhook. Errors: 22023, and those of chat.check_webhook_options.';

CREATE FUNCTION chat.update_webhook(id uuid, changes jsonb, owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    home regclass := chat.find_webhook(id, owner);
    webhook jsonb;
    url text;
    events text[];
    changed jsonb;
BEGIN
    PERFORM chat.check_webhook_changes(changes);
    IF home IS NULL THEN
        RETURN NULL;
    END IF;
    webhook := chat.run_beside(NULL::jsonb, home, 'lock_webhook', id) || (changes - chat.webhook_option_names());
    url := webhook ->> 'url';
    events := ARRAY(SELECT DISTINCT e FROM jsonb_array_elements_text(webhook -> 'events') e ORDER BY e);
    PERFORM chat.check_webhook(url, events);
    IF (changes ->> 'isActive')::boolean THEN
        PERFORM chat.enable_webhook(id, owner);
    END IF;
    changed := chat.change_webhook(home, id, jsonb_build_object('url', url, 'events', events)
        || CASE WHEN changes ? 'isActive' THEN jsonb_build_object('is_active', changes -> 'isActive') ELSE '{}' END);
    PERFORM chat.set_webhook_options(id, chat.webhook_options_of(changes));
    -- An address or a header may hold a token.
    PERFORM chat.audit('webhook.changed', id::text, changes || COALESCE((SELECT jsonb_object_agg(k, true) FROM jsonb_object_keys(changes) k WHERE k IN ('url', 'headers')), '{}'));
    RETURN chat.shown_webhook(changed);
END
$$;
REVOKE ALL ON FUNCTION chat.update_webhook(uuid, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.update_webhook(uuid, jsonb, text) IS 'Changes url, events, isActive or options (chat.check_webhook_options) of a webhook and returns it as chat.list_webhooks does; isActive true also forgets its failures, as chat.enable_webhook does. NULL: no such webhook of owner. Errors: 42501, 22023 and 22001 with the column at fault, 55000 where a trigger of the table keeps it as it was.';

CREATE FUNCTION chat.delete_webhook(id uuid, owner text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    home regclass := chat.find_webhook(id, owner);
BEGIN
    IF home IS NULL THEN
        RETURN NULL;
    END IF;
    IF chat.run_beside(NULL::jsonb, home, 'delete_webhook', id) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the webhook was not deleted: a trigger of table %s kept it', home);
    END IF;
    DELETE FROM chat.webhook_delivery d WHERE d.webhook = delete_webhook.id;
    DELETE FROM chat.webhook_state s WHERE s.webhook = delete_webhook.id;
    DELETE FROM chat.webhook_options o WHERE o.webhook = delete_webhook.id;
    IF NOT chat.audits_deletions(home) THEN
        PERFORM chat.audit('webhook.deleted', id::text);
    END IF;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.delete_webhook(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.delete_webhook(uuid, text) IS 'Deletes a webhook and what was still to be delivered to it; its attempts stay for their 7 days. NULL: no such webhook of owner. Errors: 42501, 55000 where a trigger of the table keeps it.';
