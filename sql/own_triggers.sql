-- Triggers of the extension itself: on its own tables, and on what is done to tables of others.

-- Every backend keeps what it read of chat.attachment; a change tells all of them to read it again.
CREATE TRIGGER attachment_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON chat.attachment
    FOR EACH STATEMENT EXECUTE FUNCTION chat.attachment_changed();

CREATE EVENT TRIGGER chat_realtime_dropped ON sql_drop
    WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED') EXECUTE FUNCTION chat.tables_dropped();
COMMENT ON EVENT TRIGGER chat_realtime_dropped IS 'Forgets attached tables that are dropped, and notes pairs to be recounted.';
CREATE EVENT TRIGGER chat_realtime_changed ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION chat.tables_changed();
COMMENT ON EVENT TRIGGER chat_realtime_changed IS 'Follows partitions of attached tables that come or go.';
CREATE EVENT TRIGGER chat_realtime_updated ON ddl_command_end
    WHEN TAG IN ('ALTER EXTENSION') EXECUTE FUNCTION chat.extension_updated();
COMMENT ON EVENT TRIGGER chat_realtime_updated IS 'Does what follows an update of the extension.';
