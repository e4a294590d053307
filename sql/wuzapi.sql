-- WUZAPI's webhooks: one normaliser (C), and what is done with its result.

CREATE FUNCTION chat.wuzapi_parse(payload jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_wuzapi_parse';
REVOKE ALL ON FUNCTION chat.wuzapi_parse(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_parse(jsonb) IS 'Turns the body of a WUZAPI webhook, of any generation, into one form: {kind: message | edit | revoke | reaction | vote | receipt | typing | group | history | ignored, ...}. Errors: 22023 and 22004 name a field of a known event that is wrong or missing, 22P02 is for text in jsonData that is no JSON.';

CREATE FUNCTION chat.verify_wuzapi(body bytea, signature text, key text) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_verify_wuzapi';
REVOKE ALL ON FUNCTION chat.verify_wuzapi(bytea, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.verify_wuzapi(bytea, text, text) IS 'Whether signature (header x-hmac-signature: 64 hexadecimal digits, with or without sha256= in front) is that of the body''s bytes as they were received, with an instance''s HMAC key. False for anything else, NULLs included; never an error. The time it takes tells nothing about the right signature.';

CREATE FUNCTION chat.wuzapi_jid(address text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_wuzapi_jid';
REVOKE ALL ON FUNCTION chat.wuzapi_jid(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.wuzapi_jid(text) IS 'A WhatsApp address without agent and device, of the server that its kind has now; NULL for anything else.';

-- Whose events they are.

CREATE FUNCTION chat.require_owner(owner text) RETURNS void
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_require_owner';
REVOKE ALL ON FUNCTION chat.require_owner(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_owner(text) IS 'Refuses a missing owner (22004), and one that is not the caller itself unless it is a service caller (42501); 55000 when nothing is attached.';

-- The value (or values, where one user has several accounts) of the owner or agent column that stands for a user.
CREATE FUNCTION chat.user_keys(attachment integer, role text, user_id text) RETURNS text[]
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_user_keys_sql';
REVOKE ALL ON FUNCTION chat.user_keys(integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.user_keys(integer, text, text) IS 'What the column of a role (owner or agent) holds for a user; several where one user has several accounts, NULL when it has none.';

CREATE FUNCTION chat.user_is_unknown(user_id text) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_user_is_unknown';
REVOKE ALL ON FUNCTION chat.user_is_unknown(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.user_is_unknown(text) IS 'True for what could be a user, but of whom no attached table has an account or an agent.';

CREATE FUNCTION chat.user_has_conversations(attachment integer, role text, user_id text) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_user_has_conversations';
REVOKE ALL ON FUNCTION chat.user_has_conversations(integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.user_has_conversations(integer, text, text) IS 'True when the user has a conversation of this pair of tables in a role, owner or agent.';

CREATE FUNCTION chat.pair_of_user(user_id text, agents boolean) RETURNS integer
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_pair_of_user';
REVOKE ALL ON FUNCTION chat.pair_of_user(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.pair_of_user(text, boolean) IS 'The attached pair of tables that knows a user as owner, or with agents also as one; of several, the first in which it has conversations, else the first. Errors: 55000 when nothing is attached, 22023 when none knows the user.';

CREATE FUNCTION chat.pair_for(owner text, agents boolean DEFAULT false) RETURNS chat.attachment
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN (SELECT a FROM chat.attachment a WHERE a.id = chat.pair_of_user(owner, agents));
END
$$;
REVOKE ALL ON FUNCTION chat.pair_for(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.pair_for(text, boolean) IS 'The row of chat.pair_of_user.';
