-- Pieces of SQL about a pair of tables. C has them, since its triggers keep the same rules; columns are those of chat.attachment,
-- types are looked up in the catalogs each time. alias: the table in the statement, '' for none.

CREATE FUNCTION chat.lacks_zone(relation regclass, name text) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_column_lacks_zone';
REVOKE ALL ON FUNCTION chat.lacks_zone(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.lacks_zone(regclass, text) IS 'Whether a column holds times without zone, which count as UTC. Errors: 42703, 42P01.';

CREATE FUNCTION chat.conversation_order(columns jsonb, alias text DEFAULT '') RETURNS text
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'chat_conversation_order';
REVOKE ALL ON FUNCTION chat.conversation_order(jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_order(jsonb, text) IS 'ORDER BY list of conversations, the one with the newest message first, those without any last.';

CREATE FUNCTION chat.message_order(messages regclass, columns jsonb, alias text DEFAULT '') RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_message_order';
REVOKE ALL ON FUNCTION chat.message_order(regclass, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.message_order(regclass, jsonb, text) IS 'ORDER BY list of messages, newest first: time, created_at, id; those without a time last.';

CREATE FUNCTION chat.deletion_is_flag(messages regclass, columns jsonb) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_deletion_is_flag';
REVOKE ALL ON FUNCTION chat.deletion_is_flag(regclass, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.deletion_is_flag(regclass, jsonb) IS 'Whether the column that marks a deleted message holds true or false; false: a time. NULL: there is none.';

-- For everybody: the owners of attached tables run it.
CREATE FUNCTION chat.status_moves(old text, new text) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_status_moves';
COMMENT ON FUNCTION chat.status_moves(text, text) IS 'Whether a message''s status may go from one to another: forward only.';

CREATE FUNCTION chat.status_is_known(status text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_status_is_known';
REVOKE ALL ON FUNCTION chat.status_is_known(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.status_is_known(text) IS 'Whether this is one of pending, sent, delivered, read and failed.';
