-- The rules on the design's tables, as chat.setup makes them: bigint keys, user_id.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
CREATE SCHEMA model;
SELECT count(*) > 0 AS set_up FROM chat.setup('model');
SET search_path = model;
\set owner '''aaaaaaaa-0000-4000-8000-000000000001'''
\set agent '''cccccccc-0000-4000-8000-000000000003'''
CREATE FUNCTION cid(n int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n::bigint';
CREATE FUNCTION mid(n int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1000 + n::bigint';
INSERT INTO conversations (id, user_id, contact_jid, contact_name) SELECT cid(g), :owner, g || '@s.whatsapp.net', 'Contact ' || g FROM generate_series(1, 4) g;
\set srcdir `echo "$PG_ABS_SRCDIR"`
\set shared :srcdir '/sql/shared/rules.sql'
\i :shared
