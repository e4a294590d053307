-- Webhooks for the backend: making them, changing their secrets, and turning them on again.

CREATE FUNCTION chat.check_webhook(url text, events text[]) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    known CONSTANT text[] := ARRAY(SELECT k.webhook FROM chat.event_kinds() k WHERE k.webhook IS NOT NULL) || '{*}';
    unknown text;
BEGIN
    IF url IS NULL OR url !~* '^https?://[^/?#[:space:][:cntrl:]]+([/?#][^[:space:][:cntrl:]]*)?$' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url',
            MESSAGE = 'url of a webhook must be an http or https URL',
            HINT = 'Give a complete URL, such as https://example.com/hook.';
    END IF;
    IF octet_length(url) > 2048 THEN
        RAISE EXCEPTION USING ERRCODE = 'string_data_right_truncation', COLUMN = 'url',
            MESSAGE = 'url of a webhook is longer than 2048 bytes';
    END IF;
    IF url ~ '^[^/]*//[^/?#]*@' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url',
            MESSAGE = 'url of a webhook must not contain a user name or password',
            HINT = 'Receivers verify the signature headers instead.';
    END IF;
    IF COALESCE(cardinality(events), 0) = 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'events',
            MESSAGE = 'a webhook needs at least one event',
            HINT = format('Events are %s (all of them).', array_to_string(known, ', '));
    END IF;
    SELECT COALESCE(e, 'NULL') INTO unknown FROM unnest(events) e WHERE e IS NULL OR e <> ALL (known) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'events',
            MESSAGE = format('unknown webhook event "%s"', unknown),
            HINT = format('Events are %s (all of them).', array_to_string(known, ', '));
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_webhook(text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_webhook(text, text[]) IS 'Refuses what cannot be a webhook, with the column at fault. Errors: 22023, 22001. Whether the address may be called is judged when it is.';

CREATE FUNCTION chat.make_webhook_secret() RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$ SELECT 'whsec_' || encode(chat.random_bytes(24), 'base64') $$;
REVOKE ALL ON FUNCTION chat.make_webhook_secret() FROM PUBLIC;
COMMENT ON FUNCTION chat.make_webhook_secret() IS 'A new secret: whsec_ and 24 random bytes in base64.';

CREATE FUNCTION chat.check_webhook_secret(secret text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    encoded text := substr(secret, 7);
    good boolean := length(secret) BETWEEN 16 AND 255;
BEGIN
    -- Receivers decode what follows whsec_ strictly: the bits that padding leaves over must be zero.
    IF starts_with(secret, 'whsec_') THEN
        good := length(encoded) BETWEEN 32 AND 88 AND length(encoded) % 4 = 0 AND encoded ~ '^[A-Za-z0-9+/]+={0,2}$'
            AND length(decode(encoded, 'base64')) BETWEEN 24 AND 64
            AND translate(encode(decode(encoded, 'base64'), 'base64'), E'\n', '') = encoded;
    END IF;
    IF NOT good THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'secret',
            MESSAGE = 'secret of a webhook is not possible',
            HINT = 'Give whsec_ and the base64 of 24 to 64 random bytes, or any other text of 16 to 255 characters; NULL for a new one.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_webhook_secret(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_webhook_secret(text) IS 'Refuses what receivers could not use as a secret: 22023, with the rule.';

-- For callers that are no service, the webhooks of others do not exist.
CREATE FUNCTION chat.find_webhook(id uuid, owner text) RETURNS regclass
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    source regclass;
BEGIN
    PERFORM chat.require_admin_scope();
    IF owner IS NULL AND NOT chat.is_service_caller() THEN
        owner := chat.current_user_id();
        IF owner IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = 'no user is signed in',
                HINT = 'Call with the claims of a user, or as a role given chat.grant_backend.';
        END IF;
    ELSIF owner IS NOT NULL THEN
        PERFORM chat.check_webhook_owner(owner);
    END IF;
    PERFORM chat.require_attached();
    FOR source IN SELECT s.source FROM chat.external_webhook_tables() s LOOP
        IF chat.run_beside(NULL::uuid, source, 'find_webhook', id, owner) IS NOT NULL THEN
            RETURN source;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION chat.find_webhook(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.find_webhook(uuid, text) IS 'Table that holds a webhook of owner (NULL: of the caller, or of anybody for a service caller); NULL when there is none. Errors: 42501.';

CREATE FUNCTION chat.check_webhook_owner(owner text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.require_admin_scope();
    IF owner IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', COLUMN = 'user_id',
            MESSAGE = 'owner must not be NULL';
    END IF;
    IF NOT chat.is_service_caller() AND owner IS DISTINCT FROM chat.current_user_id() THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'webhooks of another user may not be touched',
            HINT = 'Pass the id of the user who is signed in, or call as a role given chat.grant_backend.';
    END IF;
    PERFORM chat.require_attached();
END
$$;
REVOKE ALL ON FUNCTION chat.check_webhook_owner(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_webhook_owner(text) IS 'Refuses an owner that is not the caller, except for service callers. Errors: 22004, 42501, 55000 when nothing is attached.';

-- What a trigger of the table keeps from being done is an error: it is not to be answered or noted as done.
CREATE FUNCTION chat.change_webhook(home regclass, id uuid, row_values jsonb) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    columns text[] := (SELECT s.columns FROM chat.external_webhook_tables() s WHERE s.source = home);
    given jsonb := (SELECT COALESCE(jsonb_object_agg(v.key, v.value), '{}') FROM jsonb_each(row_values || jsonb_build_object('updated_at', clock_timestamp())) v
                     WHERE v.key = ANY (columns));
    changed jsonb := chat.write_beside(home, given, id);
BEGIN
    IF changed IS NULL OR given ? 'is_active' AND changed -> 'is_active' <> given -> 'is_active' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the webhook was not written as asked: a trigger of table %s left it otherwise', home);
    END IF;
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION chat.change_webhook(regclass, uuid, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.change_webhook(regclass, uuid, jsonb) IS 'Changes columns of a webhook, those that its table has, and returns the row. Errors: 55000 where the table''s triggers keep it as it was.';

-- One at a time of an owner, until its transaction ends: the next one counts it.
CREATE FUNCTION chat.check_webhook_count(owner text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    most CONSTANT integer := current_setting('chat_realtime.max_webhooks');
    source regclass;
    count bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('chat_realtime.max_webhooks ' || owner, 0));
    FOR source IN SELECT s.source FROM chat.external_webhook_tables() s LOOP
        count := count + chat.run_beside(NULL::bigint, source, 'count_webhooks', owner);
    END LOOP;
    IF count >= most THEN
        RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded',
            MESSAGE = format('an owner may have %s webhooks, and has %s', most, count),
            HINT = 'Delete one that is not needed, or raise chat_realtime.max_webhooks.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_webhook_count(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_webhook_count(text) IS 'Refuses another webhook of an owner that has chat_realtime.max_webhooks, those that are not active included. Errors: 54000.';

CREATE FUNCTION chat.create_webhook(owner text, url text, events text[], secret text DEFAULT NULL, options jsonb DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    source regclass;
    made jsonb;
BEGIN
    PERFORM chat.check_webhook_owner(owner);
    PERFORM chat.check_webhook(url, events);
    PERFORM chat.check_webhook_secret(secret);
    PERFORM chat.check_webhook_options(options);
    SELECT s.source INTO source FROM chat.external_webhook_tables() s LIMIT 1;
    IF source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = 'there is no table of webhooks',
            HINT = 'SELECT * FROM chat.setup() makes it.';
    END IF;
    PERFORM chat.check_webhook_count(owner);
    made := chat.run_beside(NULL::jsonb, source, 'insert_webhook', owner, url, ARRAY(SELECT DISTINCT e FROM unnest(events) e ORDER BY e),
                            COALESCE(secret, chat.make_webhook_secret()));
    IF made IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the webhook was not made: a trigger of table %s left it out', source);
    END IF;
    PERFORM chat.set_webhook_options((made ->> 'id')::uuid, options);
    PERFORM chat.audit('webhook.created', made ->> 'id', jsonb_build_object('owner', owner, 'events', made -> 'events'));
    RETURN chat.shown_options((made ->> 'id')::uuid) || jsonb_build_object('id', made -> 'id', 'url', made -> 'url', 'events', made -> 'events', 'secret', made -> 'secret',
                              'isActive', made -> 'is_active', 'createdAt', made -> 'created_at');
END
$$;
REVOKE ALL ON FUNCTION chat.create_webhook(text, text, text[], text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.create_webhook(text, text, text[], text, jsonb) IS 'Makes a webhook of owner and returns {id, url, events, secret, isActive, createdAt} with what chat.shown_options has: the only time the secret is shown. options: see chat.check_webhook_options. secret: whsec_ and the base64 of 24 to 64 bytes, or any other text of 16 to 255 characters; NULL: a new one, whsec_ and 24 random bytes. Errors: 22004 without owner, 42501 for another user, 22023 and 22001 with the column at fault, 42P01 without chat.setup, 54000 when the owner has chat_realtime.max_webhooks, 55000 where a trigger of the table leaves it out.';

CREATE FUNCTION chat.rotate_webhook_secret(id uuid, grace interval DEFAULT '24 h', owner text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    home regclass := chat.find_webhook(id, owner);
    made jsonb := jsonb_build_object('secret', chat.make_webhook_secret());
    secret text;
    expires_at jsonb;
BEGIN
    IF grace IS NULL OR grace < interval '0' OR grace > interval '30 days' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'grace must be from 0 to 30 days';
    END IF;
    IF home IS NULL THEN
        RETURN NULL;
    END IF;
    secret := chat.run_beside(NULL::jsonb, home, 'lock_webhook', id) ->> 'secret';
    IF secret <> '' AND (SELECT s.columns @> '{old_secret,old_secret_expires_at}' FROM chat.external_webhook_tables() s WHERE s.source = home) THEN
        expires_at := to_jsonb(now() + grace);
    END IF;
    made := chat.change_webhook(home, id, made || jsonb_build_object('old_secret', CASE WHEN expires_at IS NOT NULL THEN secret END,
                                                                     'old_secret_expires_at', expires_at));
    PERFORM chat.audit('webhook.secret_rotated', id::text, jsonb_build_object('oldSecretExpiresAt', expires_at));
    RETURN jsonb_build_object('id', made -> 'id', 'secret', made -> 'secret', 'oldSecretExpiresAt', expires_at);
END
$$;
REVOKE ALL ON FUNCTION chat.rotate_webhook_secret(uuid, interval, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.rotate_webhook_secret(uuid, interval, text) IS 'Gives a webhook a new secret and returns {id, secret, oldSecretExpiresAt}: the only time it is shown. For grace (0 to 30 days) deliveries carry a signature with each of both secrets; oldSecretExpiresAt null: there is no grace, since the table has no columns old_secret and old_secret_expires_at, or the webhook had no secret. NULL: no such webhook of owner. Errors: 42501, 22023, 55000 where a trigger of the table keeps the old one.';

CREATE FUNCTION chat.enable_webhook(id uuid, owner text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    home regclass := chat.find_webhook(id, owner);
BEGIN
    IF home IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM chat.change_webhook(home, id, '{"is_active": true, "failure_count": 0, "last_error": null, "first_failure_at": null, "disabled_at": null, "disabled_reason": null}');
    -- That it was disabled is kept until a delivery succeeds, which then is news to its owner.
    DELETE FROM chat.webhook_state s WHERE s.webhook = enable_webhook.id AND s.disabled_at IS NULL;
    UPDATE chat.webhook_state s SET failure_count = 0, first_failure_at = NULL, paused_until = NULL, last_error = NULL
     WHERE s.webhook = enable_webhook.id;
    PERFORM chat.audit('webhook.enabled', id::text);
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION chat.enable_webhook(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.enable_webhook(uuid, text) IS 'Turns a webhook on again and forgets its failures; what was still to be delivered follows. NULL: no such webhook of owner. Errors: 42501.';
