\echo Use "ALTER EXTENSION chat_realtime UPDATE" to load this file. \quit

DO $$
BEGIN
    CREATE FUNCTION chat.library_version() RETURNS text LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_library_version';
EXCEPTION WHEN undefined_function THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = 'the library that is loaded is an earlier version of chat_realtime than the one to update to',
        HINT = 'Restart the server, or, where shared_preload_libraries does not name it, connect again; then update.';
END
$$;

-- They would follow what is done here to tables.
DROP EVENT TRIGGER chat_realtime_dropped;
DROP EVENT TRIGGER chat_realtime_changed;

-- What CREATE OR REPLACE cannot turn into this version's.
DROP FUNCTION chat.setup_indexes(text);
DROP FUNCTION chat.attachment_hints(chat.attachment);

-- These are for everybody now, and check who asks.
DROP FUNCTION chat.attach(regclass, regclass, jsonb);
DROP FUNCTION chat.detach(regclass);
DROP FUNCTION chat.configure(regclass, jsonb);
DROP FUNCTION chat.recount(regclass);
DROP FUNCTION chat.maintain();
DROP FUNCTION chat.status();
