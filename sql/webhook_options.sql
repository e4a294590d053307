-- What a webhook has beside address, events and secret: headers, filters, a rate limit, a key of its own.

CREATE FUNCTION chat.webhook_option_names() RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{headers,conversations,inboxes,rateLimit,ed25519}'::text[] $$;
REVOKE ALL ON FUNCTION chat.webhook_option_names() FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_option_names() IS 'The keys that options of a webhook may have.';

CREATE FUNCTION chat.webhook_options_of(changes jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(changes) e WHERE e.key = ANY (chat.webhook_option_names()) $$;
REVOKE ALL ON FUNCTION chat.webhook_options_of(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.webhook_options_of(jsonb) IS 'Those of a webhook''s changes that are options; NULL: none are.';

-- Refused is what we or HTTP say something by: a receiver, or a proxy on the way, would be told two things. Authorization is the
-- owner's to give: nothing of ours uses it, and gateways of receivers want it. What says where a request comes from is not.
CREATE FUNCTION chat.check_webhook_headers(headers jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    header record;
    problem text;
BEGIN
    IF jsonb_typeof(headers) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers',
            MESSAGE = 'headers of a webhook must be an object of texts', HINT = 'Such as {"X-Tenant": "42"}; null for none.';
    ELSIF (SELECT count(*) > 10 OR sum(octet_length(e.key) + octet_length(e.value::text)) > 4096 FROM jsonb_each(headers) e) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers',
            MESSAGE = 'a webhook may have 10 headers, of 4096 bytes together';
    ELSIF (SELECT count(DISTINCT lower(k)) < count(*) FROM jsonb_object_keys(headers) k) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers',
            MESSAGE = 'a header of a webhook is given twice', HINT = 'Upper and lower case make no difference.';
    END IF;
    FOR header IN SELECT e.key, lower(e.key) AS name, jsonb_typeof(e.value) AS type, e.value #>> '{}' AS value FROM jsonb_each(headers) e LOOP
        problem := CASE
            WHEN header.key !~ '^[A-Za-z0-9-]{1,64}$' THEN 'a name is 1 to 64 letters, digits and hyphens'
            WHEN header.name ~ '^(webhook-|x-webhook-|proxy-|sec-|x-forwarded|content-|accept-encoding$)'
              OR header.name IN ('host', 'user-agent', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect',
                                 'forwarded', 'via', 'x-real-ip', 'date') THEN 'this one is not yours to send'
            WHEN header.type <> 'string' OR length(header.value) > 1024 OR header.value !~ '^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$'
                THEN 'a value is 1 to 1024 printable ASCII characters, without a space at either end' END;
        IF problem IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers',
                MESSAGE = format('header "%s" of a webhook is not possible: %s', left(header.key, 64), problem);
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.check_webhook_headers(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_webhook_headers(jsonb) IS 'Refuses headers that a webhook may not have: 22023 with the rule.';

CREATE FUNCTION chat.check_webhook_filter(name text, ids jsonb, role text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    wrong text;
BEGIN
    IF jsonb_typeof(ids) <> 'array' OR jsonb_array_length(ids) NOT BETWEEN 1 AND 100
       OR EXISTS (SELECT FROM jsonb_array_elements(ids) e WHERE jsonb_typeof(e) NOT IN ('string', 'number')) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = name,
            MESSAGE = format('%s of a webhook must be a list of 1 to 100 ids', name), HINT = 'null: no filter.';
    ELSIF NOT EXISTS (SELECT FROM chat.attachment a WHERE a.columns ? role) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = name,
            MESSAGE = format('no attached table has a column for "%s" to filter by', role);
    END IF;
    SELECT e INTO wrong FROM jsonb_array_elements_text(ids) e
     WHERE NOT EXISTS (SELECT FROM chat.attachment a WHERE a.columns ? role AND chat.key_fits(a.conversations, a.columns ->> role, e)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = name,
            MESSAGE = format('"%s" is no id that %s could have', left(wrong, 64), name);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_webhook_filter(text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_webhook_filter(text, jsonb, text) IS 'Refuses what is no list of ids of a role''s column of conversations, and any where no attached table has that column: 22023.';

CREATE FUNCTION chat.check_webhook_options(options jsonb) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    given jsonb := jsonb_strip_nulls(options);
    field text;
BEGIN
    IF jsonb_typeof(options) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'options', MESSAGE = 'options of a webhook must be an object';
    END IF;
    SELECT k INTO field FROM jsonb_object_keys(options) k WHERE k <> ALL (chat.webhook_option_names()) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = left(field, 64),
            MESSAGE = format('a webhook has no option "%s"', left(field, 100)),
            HINT = format('Options are %s.', array_to_string(chat.webhook_option_names(), ', '));
    END IF;
    IF given ? 'headers' THEN
        PERFORM chat.check_webhook_headers(options -> 'headers');
    END IF;
    IF given ? 'conversations' THEN
        PERFORM chat.check_webhook_filter('conversations', given -> 'conversations', 'conversation_id');
    END IF;
    IF given ? 'inboxes' THEN
        PERFORM chat.check_webhook_filter('inboxes', given -> 'inboxes', 'inbox');
    END IF;
    IF given ? 'rateLimit' AND (jsonb_typeof(given -> 'rateLimit') <> 'number' OR given ->> 'rateLimit' !~ '^[0-9]{1,5}$'
                                OR (given ->> 'rateLimit')::integer NOT BETWEEN 1 AND 60000) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'rate_limit',
            MESSAGE = 'rateLimit of a webhook must be a whole number from 1 to 60000', HINT = 'Requests a minute; null: no limit.';
    END IF;
    IF given ? 'ed25519' AND jsonb_typeof(given -> 'ed25519') <> 'boolean' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', COLUMN = 'ed25519',
            MESSAGE = 'ed25519 of a webhook must be true or false', HINT = 'true: a key is made, and publicKey says how to verify its signatures.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.check_webhook_options(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_webhook_options(jsonb) IS 'Refuses what are no options of a webhook: {headers: values by name, up to 10 and 4096 bytes; conversations, inboxes: lists of up to 100 ids whose events alone it gets, where both are given those that both fit; rateLimit: requests a minute, 1 to 60000; ed25519: whether its messages also carry signatures v1a}, each of them or null, which takes it away. Errors: 22023 with the column at fault.';

CREATE FUNCTION chat.ed25519_public_key(key bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'chat_ed25519_public_key';
REVOKE ALL ON FUNCTION chat.ed25519_public_key(bytea) FROM PUBLIC;
COMMENT ON FUNCTION chat.ed25519_public_key(bytea) IS 'The 32 bytes of the public key of an Ed25519 key of 32 bytes. Errors: 22023 for another length, 0A000 on platforms without integers of 128 bits.';

CREATE FUNCTION chat.filter_ids(ids jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT array_agg(DISTINCT CASE WHEN e ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN lower(e) ELSE e END)
      FROM jsonb_array_elements_text(ids) e
$$;
REVOKE ALL ON FUNCTION chat.filter_ids(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.filter_ids(jsonb) IS 'A list of ids as events spell them; NULL for NULL.';

CREATE FUNCTION chat.set_webhook_options(webhook uuid, options jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
#variable_conflict use_column
DECLARE
    given jsonb := jsonb_strip_nulls(options);
    headers jsonb := CASE WHEN given ? 'headers' THEN options -> 'headers' ELSE '{}' END;
    conversations text[] := chat.filter_ids(given -> 'conversations');
    inboxes text[] := chat.filter_ids(given -> 'inboxes');
    key bytea := CASE WHEN (given ->> 'ed25519')::boolean THEN chat.random_bytes(32) END;
BEGIN
    IF COALESCE(options, '{}') = '{}' THEN
        RETURN;
    END IF;
    INSERT INTO chat.webhook_options AS o (webhook, headers, conversations, inboxes, rate_limit, signing_key, public_key)
    VALUES ($1, headers, conversations, inboxes, (given ->> 'rateLimit')::integer, key, chat.ed25519_public_key(key))
    ON CONFLICT (webhook) DO UPDATE
       SET headers = CASE WHEN $2 ? 'headers' THEN EXCLUDED.headers ELSE o.headers END,
           conversations = CASE WHEN $2 ? 'conversations' THEN EXCLUDED.conversations ELSE o.conversations END,
           inboxes = CASE WHEN $2 ? 'inboxes' THEN EXCLUDED.inboxes ELSE o.inboxes END,
           rate_limit = CASE WHEN $2 ? 'rateLimit' THEN EXCLUDED.rate_limit ELSE o.rate_limit END,
           -- A key that is there stays: receivers know its public half.
           signing_key = CASE WHEN NOT $2 ? 'ed25519' OR EXCLUDED.signing_key IS NOT NULL AND o.signing_key IS NOT NULL THEN o.signing_key ELSE EXCLUDED.signing_key END,
           public_key = CASE WHEN NOT $2 ? 'ed25519' OR EXCLUDED.signing_key IS NOT NULL AND o.signing_key IS NOT NULL THEN o.public_key ELSE EXCLUDED.public_key END;
END
$$;
REVOKE ALL ON FUNCTION chat.set_webhook_options(uuid, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.set_webhook_options(uuid, jsonb) IS 'Sets options of a webhook that were checked; those that are not given stay. ed25519: true makes a key where there is none, false or null forgets it.';

-- Of headers only the names: a value may be a password of the receiver's.
CREATE FUNCTION chat.shown_options(webhook uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT jsonb_build_object(
        'headers', COALESCE((SELECT jsonb_agg(k ORDER BY k) FROM jsonb_object_keys(o.headers) k), '[]'),
        'conversations', o.conversations, 'inboxes', o.inboxes, 'rateLimit', o.rate_limit,
        'publicKey', 'whpk_' || encode(o.public_key, 'base64'))
      FROM (SELECT $1) w (id) LEFT JOIN chat.webhook_options o ON o.webhook = w.id);
END
$$;
REVOKE ALL ON FUNCTION chat.shown_options(uuid) FROM PUBLIC;
COMMENT ON FUNCTION chat.shown_options(uuid) IS 'What may be shown of a webhook''s options: {headers: their names, conversations, inboxes, rateLimit, publicKey: whpk_ and the base64 of an Ed25519 key}, null for what it has not.';

-- Where a conversation is when its event is read decides.
CREATE FUNCTION chat.inboxes_of(conversations text[]) RETURNS TABLE (conversation text, inbox text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    key text;
BEGIN
    FOR pair IN SELECT * FROM chat.attachment a WHERE a.columns ? 'inbox' ORDER BY a.id LOOP
        key := pair.columns ->> 'conversation_id';
        RETURN QUERY SELECT e.key, e.value FROM jsonb_each_text(chat.run(NULL::jsonb, pair.id, 'inboxes',
            ARRAY(SELECT u FROM unnest(inboxes_of.conversations) u WHERE chat.key_fits(pair.conversations, key, u)))) e;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.inboxes_of(text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.inboxes_of(text[]) IS 'The inboxes that conversations are in, of those that are in one.';

CREATE FUNCTION chat.chosen_conversations(option chat.webhook_options, conversations text[]) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    chosen text[] := CASE WHEN option.conversations IS NULL THEN conversations
                          ELSE ARRAY(SELECT c FROM unnest(conversations) c WHERE c = ANY (option.conversations)) END;
BEGIN
    IF option.conversations IS NULL AND option.inboxes IS NULL THEN
        RETURN NULL;
    END IF;
    IF option.inboxes IS NOT NULL AND cardinality(chosen) > 0 THEN
        chosen := ARRAY(SELECT i.conversation FROM chat.inboxes_of(chosen) i WHERE i.inbox = ANY (option.inboxes));
    END IF;
    RETURN E'\n' || COALESCE(array_to_string(chosen, E'\n') || E'\n', '');
END
$$;
REVOKE ALL ON FUNCTION chat.chosen_conversations(chat.webhook_options, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.chosen_conversations(chat.webhook_options, text[]) IS 'Those of the conversations whose events a webhook gets, each between line feeds; NULL: it has no filter.';

CREATE FUNCTION chat.header_lines(headers jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT string_agg(e.key || ': ' || e.value, E'\n' ORDER BY e.key) FROM jsonb_each_text(headers) e $$;
REVOKE ALL ON FUNCTION chat.header_lines(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.header_lines(jsonb) IS 'Headers as lines; NULL: there are none.';
