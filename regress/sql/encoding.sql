-- JSON is UTF-8: a database that cannot hold it is refused at once.
\set SHOW_CONTEXT never
SELECT current_database() AS here \gset
CREATE DATABASE regress_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
\c regress_latin1
CREATE EXTENSION chat_realtime;
SELECT count(*) FROM pg_namespace WHERE nspname = 'chat';
\c :here
DROP DATABASE regress_latin1;
