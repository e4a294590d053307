-- The design's table of API keys, which has no is_active and no replaced_by: what is said to be done to a key is done.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE DATABASE regress_design_keys;
\c regress_design_keys
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
CREATE EXTENSION chat_realtime;
CREATE TABLE chat_api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, name varchar(255) NOT NULL, key_hash varchar(255) NOT NULL UNIQUE,
    key_prefix varchar(10) NOT NULL, scopes text[] DEFAULT '{chat:read,chat:write}', rate_limit integer DEFAULT 100, last_used_at timestamptz,
    expires_at timestamptz, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
SELECT count(*) FROM chat.setup() \gset setup_
\set u '''11111111-1111-1111-1111-111111111111'''
-- What was noted of the last key, without times.
CREATE FUNCTION noted(id text) RETURNS SETOF text LANGUAGE sql AS
$$ SELECT action || ' ' || regexp_replace(details::text, '"[0-9]{4}-[^"]*"', '"a time"') FROM chat.audit_log l WHERE l.object = noted.id AND action <> 'api_key.created' ORDER BY l.id $$;
-- The column that an error names.
CREATE FUNCTION named(statement text) RETURNS text LANGUAGE plpgsql AS
$$ DECLARE c text; BEGIN EXECUTE statement; RETURN 'none'; EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS c = COLUMN_NAME; RETURN SQLSTATE || ' ' || c; END $$;
\set QUIET off

-- Switching off ends the key's time, as revoking does; the answer and the note say what was done.
SELECT made ->> 'key' AS key, made ->> 'id' AS id FROM chat.create_api_key(:u, 'a key') made \gset
SELECT (chat.authenticate(:'key')).code;
SELECT k -> 'isActive' AS active, (k ->> 'expiresAt')::timestamptz <= clock_timestamp() AS expired FROM chat.update_api_key(:'id', '{"isActive": false}') k;
SELECT (chat.authenticate(:'key')).code;
SELECT noted(:'id');
SELECT k -> 'isActive' AS active FROM jsonb_array_elements(chat.list_api_keys(:u) -> 'data') k;
-- Again: its end does not move.
SELECT expires_at AS ended FROM chat_api_keys \gset
SELECT (k ->> 'expiresAt')::timestamptz = :'ended' AS same FROM chat.update_api_key(:'id', '{"isActive": false, "name": "off"}') k;
SELECT chat.revoke_api_key(:'id'), chat.rotate_api_key(:'id');
-- On again only with another expiry: the one it had is not known any more.
SELECT chat.update_api_key(:'id', '{"isActive": true}');
\echo :LAST_ERROR_SQLSTATE
SELECT (chat.authenticate(:'key')).code;
SELECT k -> 'isActive' AS active, k -> 'expiresAt' AS expires FROM chat.update_api_key(:'id', '{"isActive": true, "expiresAt": "2100-01-01T00:00:00Z"}') k;
SELECT (chat.authenticate(:'key')).code;
SELECT chat.update_api_key(:'id', '{"isActive": true}') -> 'isActive' AS active;
-- Off, and an expiry that is to be kept: there is one column for both.
SELECT chat.update_api_key(:'id', '{"isActive": false, "expiresAt": "2100-01-01T00:00:00Z"}');
SELECT (chat.authenticate(:'key')).code, (SELECT count(*) FROM noted(:'id')) AS notes;
SELECT chat.revoke_api_key(:'id') AS first, chat.revoke_api_key(:'id') AS again;
SELECT (chat.authenticate(:'key')).code;

-- A trigger of the table that keeps the key on, or the row: refused, and nothing noted.
SELECT made ->> 'key' AS key, made ->> 'id' AS id FROM chat.create_api_key(:u, 'a key') made \gset
CREATE FUNCTION keep_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.expires_at := NULL; RETURN NEW; END $$;
CREATE TRIGGER keep_on BEFORE UPDATE ON chat_api_keys FOR EACH ROW EXECUTE FUNCTION keep_on();
SELECT chat.update_api_key(:'id', '{"isActive": false}');
SELECT chat.revoke_api_key(:'id');
CREATE OR REPLACE FUNCTION keep_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SELECT chat.update_api_key(:'id', '{"isActive": false}');
SELECT chat.update_api_key(:'id', '{"name": "other"}');
SELECT chat.rotate_api_key(:'id');
DROP TRIGGER keep_on ON chat_api_keys;
SELECT (chat.authenticate(:'key')).code, (SELECT count(*) FROM noted(:'id')) AS notes, (SELECT count(*) FROM chat_api_keys) AS keys;

-- A column that rounds: off is off at once.
ALTER TABLE chat_api_keys ALTER COLUMN expires_at TYPE timestamptz(0);
SELECT count(*) FILTER (WHERE chat.revoke_api_key((k ->> 'id')::uuid)) AS revoked,
       count(*) FILTER (WHERE (chat.authenticate(k ->> 'key')).code = 'OK') AS still_good
  FROM (SELECT chat.create_api_key(:u, 'rounded') AS k FROM generate_series(1, 30)) s;

-- A table that has neither: what cannot be done is an error that names the column.
ALTER TABLE chat_api_keys DROP COLUMN expires_at, DROP COLUMN rate_limit;
SELECT made ->> 'key' AS key, made ->> 'id' AS id FROM chat.create_api_key(:u, 'a key') made \gset
SELECT chat.update_api_key(:'id', '{"isActive": false}');
SELECT chat.revoke_api_key(:'id');
\echo :LAST_ERROR_SQLSTATE
SELECT chat.update_api_key(:'id', '{"expiresAt": "2100-01-01T00:00:00Z"}');
SELECT chat.update_api_key(:'id', '{"rateLimit": 7}');
SELECT named(format('SELECT chat.update_api_key(%L, %L)', :'id', c)) FROM (VALUES ('{"isActive": false}'), ('{"rateLimit": 7}')) v (c);
SELECT chat.create_api_key(:u, 'x', rate_limit => 7);
SELECT chat.create_api_key(:u, 'x', expires_at => '2100-01-01');
SELECT chat.rotate_api_key(:'id');
SELECT chat.rotate_api_key(:'id', '0');
-- What it is already is no change.
SELECT k -> 'isActive' AS active, k -> 'rateLimit' AS rate_limit, k -> 'expiresAt' AS expires
  FROM chat.update_api_key(:'id', '{"isActive": true, "rateLimit": 100, "expiresAt": null}') k;
SELECT (chat.authenticate(:'key')).code, (SELECT count(*) FROM noted(:'id')) AS notes;
-- With is_active alone a key can be switched off and rotated, without a grace.
ALTER TABLE chat_api_keys ADD COLUMN is_active boolean, DROP COLUMN updated_at;
SELECT k -> 'isActive' AS active FROM jsonb_array_elements(chat.list_api_keys(:u) -> 'data') k WHERE k ->> 'id' = :'id';
SELECT (chat.authenticate(:'key')).code;
SELECT chat.update_api_key(:'id', '{"isActive": true}') -> 'isActive' AS active;
SELECT (chat.authenticate(:'key')).code;
SELECT chat.rotate_api_key(:'id');
SELECT made ->> 'key' AS new FROM chat.rotate_api_key(:'id', '0') made \gset
SELECT (chat.authenticate(:'key')).code AS old, (chat.authenticate(:'new')).code AS new;

\set QUIET on
\c postgres
DROP DATABASE regress_design_keys;
