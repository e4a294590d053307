-- The same rules on the existing project's tables: uuid keys, account_id and agents behind which users are found, no updated_at,
-- private notes, message_id and timestamp that must be given.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA model;
SET search_path = model;
\set owner '''aaaaaaaa-0000-4000-8000-000000000001'''
\set agent '''dddddddd-0000-4000-8000-000000000004'''
\set srcdir `echo "$PG_ABS_SRCDIR"`
\set tables :srcdir '/sql/shared/live_tables.sql'
\i :tables
CREATE FUNCTION cid(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION mid(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT format('11111111-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO accounts VALUES ('99999999-0000-4000-8000-000000000001', 'An account', :owner, 'token');
INSERT INTO agents VALUES ('cccccccc-0000-4000-8000-000000000003', '99999999-0000-4000-8000-000000000001', :agent, 'An agent');
SELECT count(*) > 0 AS attached FROM chat.attach('conversations', 'chat_messages');
INSERT INTO conversations (id, account_id, contact_jid, contact_name)
    SELECT cid(g), '99999999-0000-4000-8000-000000000001', g || '@s.whatsapp.net', 'Contact ' || g FROM generate_series(1, 4) g;
\set shared :srcdir '/sql/shared/rules.sql'
\i :shared
