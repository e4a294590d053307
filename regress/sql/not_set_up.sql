-- Every function of the API where nothing is attached yet: 55000 with a hint, but for those that have an answer.
\set QUIET on
SET client_min_messages = warning;
\set home :DBNAME
CREATE DATABASE regress_not_set_up;
\c regress_not_set_up
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
\pset format unaligned
\pset tuples_only on
-- What is passed for an argument: by function and name, else by name, else by type.
CREATE TABLE sample (function text, argument text, type regtype, value text);
INSERT INTO sample VALUES ('ingest_wuzapi', 'payload', NULL, '''{"type": "Message", "event": {"Info": {"ID": "A", "Chat": "5511900000001@s.whatsapp.net",
        "Sender": "5511900000001@s.whatsapp.net", "IsFromMe": false, "Timestamp": "2026-06-18T13:19:38+02:00", "Type": "text"}, "Message": {"conversation": "hi"}}}'''),
    ('update_conversation', 'changes', NULL, '''{"status": "open"}'''), ('save_message', 'message', NULL, '''{"content": "x"}'''),
    ('update_webhook', 'changes', NULL, '''{"url": "https://example.org/"}'''), ('update_api_key', 'changes', NULL, '''{"name": "x"}'''),
    ('update_message_status', 'status', NULL, '''read'''), ('presence', 'state', NULL, '''join'''), ('create_webhook', 'events', NULL, '''{*}'''),
    ('create_api_key', 'scopes', NULL, '''{chat:read}'''), ('create_webhook', 'secret', NULL, 'NULL'), ('authenticate', 'required_scope', NULL, 'NULL'),
    (NULL, 'owner', NULL, '''aaaaaaaa-0000-4000-8000-000000000001'''), (NULL, 'user_id', NULL, '''aaaaaaaa-0000-4000-8000-000000000001'''),
    (NULL, 'topic', NULL, '''conversation:1'''), (NULL, 'url', NULL, '''https://example.com/'''), (NULL, 'cursor', NULL, 'NULL'),
    (NULL, 'status', NULL, 'NULL'), (NULL, 'assigned_to', NULL, 'NULL'), (NULL, 'expires_at', NULL, 'NULL'), (NULL, NULL, 'text', '''1'''), (NULL, NULL, 'int4', '1'), (NULL, NULL, 'int8', '1'),
    (NULL, NULL, 'bool', 'true'), (NULL, NULL, 'uuid', '''aaaaaaaa-0000-4000-8000-000000000001'''), (NULL, NULL, 'interval', '''1 h'''),
    (NULL, NULL, 'timestamptz', 'now()'), (NULL, NULL, 'jsonb', '''{}'''), (NULL, NULL, 'bytea', '''x'''), (NULL, NULL, 'text[]', '''{}''');
CREATE FUNCTION call(function regprocedure) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT %s(%s)::text', function::regproc, string_agg(
               (SELECT s.value FROM sample s WHERE COALESCE(s.function = p.proname, true) AND COALESCE(s.argument = p.proargnames[t.n], true) AND COALESCE(s.type = t.type, true)
                 ORDER BY s.function, s.argument NULLS LAST LIMIT 1) || '::' || t.type::regtype, ', ' ORDER BY t.n))
      FROM pg_proc p LEFT JOIN unnest(p.proargtypes) WITH ORDINALITY t (type, n) ON true WHERE p.oid = function GROUP BY p.oid $$;
CREATE FUNCTION answer(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; hint text;
BEGIN
    EXECUTE call INTO result;
    RETURN COALESCE(result, 'NULL');
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, hint);
END $$;
\set QUIET off
SELECT answer, string_agg(function, ' ' ORDER BY function)
  FROM (SELECT answer(call(p.oid)), p.proname AS function FROM pg_proc p
         WHERE p.pronamespace = 'chat'::regnamespace AND p.proname = ANY (chat.backend_functions())
           AND p.proname NOT IN ('status', 'api_stats', 'check_rate_limit')) a GROUP BY answer ORDER BY count(*) DESC, answer;
SELECT jsonb_array_length(chat.status() -> 'attachments'), (SELECT array_agg(hint) FROM chat.hints());
-- What concerns no table: a rate limit of any name
SELECT allowed FROM chat.check_rate_limit('x', 10, '1 min');
\set QUIET on
\c :home
DROP DATABASE regress_not_set_up;
