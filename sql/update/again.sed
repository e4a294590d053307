# Makes parts of the install script run again where an earlier version of what they make is there: functions are replaced,
# tables made where they are missing. What exists keeps its privileges: a REVOKE would turn what users were granted into
# the extension's own, which a dump leaves out.
s/^CREATE FUNCTION /CREATE OR REPLACE FUNCTION /
s/^CREATE TRIGGER /CREATE OR REPLACE TRIGGER /
s/^CREATE VIEW /CREATE OR REPLACE VIEW /
s/^CREATE \(TABLE\|UNLOGGED TABLE\|SEQUENCE\|INDEX\|UNIQUE INDEX\) /CREATE \1 IF NOT EXISTS /
s/^REVOKE ALL ON FUNCTION \(.*\) FROM PUBLIC;/DO $do$ BEGIN IF (SELECT p.proacl IS NULL FROM pg_catalog.pg_proc p WHERE p.oid = '\1'::pg_catalog.regprocedure) THEN & END IF; END $do$;/
s/^REVOKE ALL ON \(SEQUENCE \|\)\(chat\.[a-z0-9_]*\) FROM PUBLIC;/DO $do$ BEGIN IF (SELECT c.relacl IS NULL FROM pg_catalog.pg_class c WHERE c.oid = '\2'::pg_catalog.regclass) THEN & END IF; END $do$;/
/^CREATE TYPE .*);$/{
	s/^CREATE TYPE \(chat\.[a-z_]*\)/DO $do$ BEGIN IF pg_catalog.to_regtype('\1') IS NULL THEN &/
	s/);$/); END IF; END $do$;/
	b
}
/^CREATE TYPE /,/);$/{
	s/^CREATE TYPE \(chat\.[a-z_]*\)/DO $do$ BEGIN IF pg_catalog.to_regtype('\1') IS NULL THEN &/
	s/);$/); END IF; END $do$;/
}
