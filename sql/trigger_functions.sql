-- Trigger functions in C. They are attached by chat.attach; the argument is the attachment's id.

CREATE FUNCTION chat.message_before() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'chat_message_before';
REVOKE ALL ON FUNCTION chat.message_before() FROM PUBLIC;
COMMENT ON FUNCTION chat.message_before() IS 'BEFORE INSERT OR UPDATE, each message: refuses what is not allowed (errors of class 22 and 23 that name the column), makes the content inert, moves the status forward only, keeps updated_at and status_updated_at.';

CREATE FUNCTION chat.message_after() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'chat_message_after';
REVOKE ALL ON FUNCTION chat.message_after() FROM PUBLIC;
COMMENT ON FUNCTION chat.message_after() IS 'AFTER INSERT OR UPDATE OR DELETE, each message: notes what chat.flush has to do at the end of the statement.';

CREATE FUNCTION chat.message_truncate() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'chat_message_truncate';
REVOKE ALL ON FUNCTION chat.message_truncate() FROM PUBLIC;
COMMENT ON FUNCTION chat.message_truncate() IS 'AFTER TRUNCATE of messages: resets the counters of every conversation that has any.';

CREATE FUNCTION chat.conversation_before() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'chat_conversation_before';
REVOKE ALL ON FUNCTION chat.conversation_before() FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_before() IS 'BEFORE INSERT OR UPDATE OR DELETE, each conversation: puts directly written counters and last-message columns back to the kept values; keeps updated_at.';

CREATE FUNCTION chat.conversation_after() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'chat_conversation_after';
REVOKE ALL ON FUNCTION chat.conversation_after() FROM PUBLIC;
COMMENT ON FUNCTION chat.conversation_after() IS 'AFTER INSERT OR UPDATE, each conversation: notes the events that chat.flush writes at the end of the statement.';

CREATE FUNCTION chat.flush() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'chat_flush';
REVOKE ALL ON FUNCTION chat.flush() FROM PUBLIC;
COMMENT ON FUNCTION chat.flush() IS 'AFTER INSERT OR UPDATE OR DELETE, each statement: locks the conversations concerned in id order, keeps their counters and last message, and writes the events.';

-- Building blocks for the extension's own functions.

CREATE FUNCTION chat.row_json(attachment integer, "row" record) RETURNS jsonb
    LANGUAGE c STABLE STRICT COST 100 AS 'MODULE_PATHNAME', 'chat_row_json'; -- for everybody: the owners of attached tables run it
COMMENT ON FUNCTION chat.row_json(integer, record) IS 'A row of an attached table as events carry it, but with the content whole. Errors: 42804 for a row of another table.';

CREATE FUNCTION chat.write_counters(attachment integer, conversation text) RETURNS boolean
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_write_counters';
REVOKE ALL ON FUNCTION chat.write_counters(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.write_counters(integer, text) IS 'Locks one conversation, recomputes its unread count and last message from its messages, and writes them with a conversation.updated event; true if something differed.';

CREATE FUNCTION chat.message_preview(type text, content text, filename text, labels text DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_message_preview';
COMMENT ON FUNCTION chat.message_preview(text, text, text, text) IS 'What a conversation shows of a message: the first 100 characters of its content, or a label such as [Imagem] for media without a caption. labels: those of chat_realtime.preview_labels unless given.';

CREATE FUNCTION chat.sanitize(content text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chat_sanitize_text';
COMMENT ON FUNCTION chat.sanitize(text) IS 'The text without what would start a tag, comment or processing instruction in HTML, and without invalid control characters, as the triggers store it (chat_realtime.sanitize). Idempotent.';

CREATE FUNCTION chat.setting_kinds(OUT name text, OUT of_server boolean, OUT of_pair boolean, OUT what text) RETURNS SETOF record
    LANGUAGE c IMMUTABLE ROWS 20 AS 'MODULE_PATHNAME', 'chat_setting_kinds';
REVOKE ALL ON FUNCTION chat.setting_kinds() FROM PUBLIC;
COMMENT ON FUNCTION chat.setting_kinds() IS 'The settings that there are: of_server as chat_realtime.<name>, of_pair in chat.attachment.settings (see chat.configure). Secret ones are not among them.';

CREATE FUNCTION chat.check_settings(settings jsonb) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_check_settings';
REVOKE ALL ON FUNCTION chat.check_settings(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_settings(jsonb) IS 'True when these are overrides that chat.attachment.settings can hold; else error 22023, as SET would raise it.';

CREATE FUNCTION chat.random_bytes(length integer) RETURNS bytea
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_random_bytes';
REVOKE ALL ON FUNCTION chat.random_bytes(integer) FROM PUBLIC;
COMMENT ON FUNCTION chat.random_bytes(integer) IS 'Cryptographically strong random bytes, 1 to 1024. Errors: 22023.';

CREATE FUNCTION chat.outer_role() RETURNS regrole
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_outer_role';
REVOKE ALL ON FUNCTION chat.outer_role() FROM PUBLIC;
COMMENT ON FUNCTION chat.outer_role() IS 'The role that called, as set by SET ROLE, also inside SECURITY DEFINER functions.';

CREATE FUNCTION chat.acting_role() RETURNS regrole
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_acting_role_sql';
REVOKE ALL ON FUNCTION chat.acting_role() FROM PUBLIC;
COMMENT ON FUNCTION chat.acting_role() IS 'The role whose rights count: chat.outer_role(), but while chat.run or chat.run_beside runs code of an attached table''s owner, that owner.';

-- Statements on attached tables run as the tables' owners: their triggers, casts and constraints are the owners' code.

CREATE FUNCTION chat.run(type anyelement, attachment integer, statement text, VARIADIC params "any") RETURNS anyelement
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_run';
REVOKE ALL ON FUNCTION chat.run(anyelement, integer, text, "any") FROM PUBLIC;
COMMENT ON FUNCTION chat.run(anyelement, integer, text, "any") IS 'Runs a statement on a pair of tables, which C has under this name (statements.c), as the owner of the table it is on. Returns its first value, which is of the type that the first argument has; params are read as their columns'' types. Errors: 22023 for a name or a number of parameters that is none, 42804 for another type.';

CREATE FUNCTION chat.run_beside(type anyelement, relation regclass, statement text, VARIADIC params "any") RETURNS anyelement
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_run_beside';
REVOKE ALL ON FUNCTION chat.run_beside(anyelement, regclass, text, "any") FROM PUBLIC;
COMMENT ON FUNCTION chat.run_beside(anyelement, regclass, text, "any") IS 'chat.run for a statement on a table beside a pair: of API keys or of webhooks (statements_beside.c).';

CREATE FUNCTION chat.write_beside(relation regclass, row_values jsonb, id uuid DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_write_beside';
REVOKE ALL ON FUNCTION chat.write_beside(regclass, jsonb, uuid) FROM PUBLIC;
COMMENT ON FUNCTION chat.write_beside(regclass, jsonb, uuid) IS 'Makes a row of a table of API keys or webhooks, or with id changes one, by the names of its columns; returns the row, NULL where there is none or a trigger left it out. Errors: 22023 for a column that is not among those we write (beside.c).';

CREATE FUNCTION chat.insert_row(attachment integer, messages boolean, role_values jsonb, unless_there boolean DEFAULT false) RETURNS jsonb
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_insert_row';
REVOKE ALL ON FUNCTION chat.insert_row(integer, boolean, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.insert_row(integer, boolean, jsonb, boolean) IS 'Inserts a message or conversation given by role, without what is null or has no column, and returns its key: a number or a string. unless_there: NULL when the owner has a conversation with that contact.';

CREATE FUNCTION chat.insert_rows(attachment integer, rows jsonb) RETURNS integer
    LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'chat_insert_rows';
REVOKE ALL ON FUNCTION chat.insert_rows(integer, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.insert_rows(integer, jsonb) IS 'Inserts messages given by role, an array of objects that all have the same roles, in one statement and in their order; returns how many. What has no column is left out. Errors: 22023 for another array.';

CREATE FUNCTION chat.update_rows(attachment integer, messages boolean, role_values jsonb, keys text[], keep_null boolean DEFAULT false) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_update_rows';
REVOKE ALL ON FUNCTION chat.update_rows(integer, boolean, jsonb, text[], boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.update_rows(integer, boolean, jsonb, text[], boolean) IS 'Writes values by role to the messages or conversations with these keys (keep_null: NULLs, too); returns the keys of those that are there as a JSON array, NULL for none.';

CREATE FUNCTION chat.cluster_identity(OUT system_identifier bigint, OUT timeline integer) RETURNS record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_cluster_identity';
REVOKE ALL ON FUNCTION chat.cluster_identity() FROM PUBLIC;
COMMENT ON FUNCTION chat.cluster_identity() IS 'What tells this cluster from a restored or promoted copy of it.';

-- Every backend keeps what it read of chat.attachment; a change tells all of them to read it again.
CREATE FUNCTION chat.attachment_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'chat_attachment_changed';
REVOKE ALL ON FUNCTION chat.attachment_changed() FROM PUBLIC;
COMMENT ON FUNCTION chat.attachment_changed() IS 'Sends the invalidation that makes every backend forget its copy of chat.attachment.';
