\echo Use "CREATE EXTENSION chat_realtime" to load this file. \quit

-- Payloads are JSON, which is UTF-8, and so are labels and emoji. All of the script is ASCII: it is read before this.
DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = pg_catalog.format('chat_realtime needs a database with encoding UTF8, and this one has %s', pg_catalog.getdatabaseencoding()),
            HINT = 'CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0, and move the tables there with pg_dump.';
    END IF;
END
$$;

-- The schema of the control file is used as it is when it exists: refuse one that somebody owns who could have
-- prepared objects in it. A dump makes it before the extension, for its owner, whoever restores it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
               WHERE n.nspname = 'chat' AND r.rolname <> current_user AND NOT r.rolsuper) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'schema "chat" exists and belongs to another role',
            HINT = 'Rename that schema, or make the installing role its owner.';
    END IF;
END
$$;

REVOKE ALL ON SCHEMA chat FROM PUBLIC;
GRANT USAGE ON SCHEMA chat TO PUBLIC;
