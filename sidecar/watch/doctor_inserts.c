/*
 * Realtime through the database: whether rows of realtime.messages would be taken, and told. The right to insert is one of
 * chat.hints().
 */
#include <stdlib.h>
#include <string.h>

#include "io/db.h"
#include "io/db_error.h"
#include "watch/doctor_internal.h"

static const struct db_statement inserts_statement = {
	"inserts",
	"SELECT pg_catalog.current_setting('wal_level') AS wal_level, m.oid IS NOT NULL AS messages, "
	"d.name AS day, EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid "
	"WHERE i.inhparent = m.oid AND p.relname = d.name) AS partition, "
	"(SELECT s.slots FROM chat.realtime_slots() s) AS slots "
	"FROM (SELECT pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', '\"messages_\"YYYY_MM_DD')) d (name) "
	"LEFT JOIN (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE n.nspname = 'realtime' AND c.relname = 'messages') m ON true",
	0, "wal_level messages day partition slots?", DB_ONE_ROW};

static void
finish(struct doctor *doctor)
{
	command_disconnect(&doctor->command);
	doctor_next(doctor);
}

static bool
is_true(const PGresult *result, int column)
{
	return PQgetvalue(result, 0, column)[0] == 't';
}

static void
judge(struct findings *findings, const PGresult *result)
{
	if (strcmp(PQgetvalue(result, 0, 0), "logical") != 0)
		findings_add(findings, FOUND_ERROR, "wal_level",
					 "ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL",
					 "wal_level is %s: Realtime can stream nothing", PQgetvalue(result, 0, 0));
	if (!is_true(result, 1))
	{
		findings_add(findings, FOUND_ERROR, "realtime.messages",
					 "start Supabase Realtime on this database, or use REALTIME_TRANSPORT=http",
					 "there is no table realtime.messages, which Realtime makes");
		return;
	}
	if (!is_true(result, 3))
		findings_add(findings, FOUND_ERROR, "realtime.messages",
					 "restart Realtime, or let a client join: it makes partitions then",
					 "the partition realtime.%s, of today, is missing", PQgetvalue(result, 0, 2));
	if (PQgetisnull(result, 0, 4))
		findings_add(findings, FOUND_WARNING, "realtime.messages",
					 "REALTIME_CANARY=true keeps Realtime connected; or look whether it runs",
					 "nobody streams it: events wait until Realtime does, which it begins with its "
					 "first client");
	else
		findings_add(findings, FOUND_GOOD, "realtime.messages", NULL, "Realtime streams it");
}

static void
on_answer(void *arg, PGresult *result)
{
	struct doctor *doctor = arg;
	struct db_error error;

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		judge(doctor->findings, result);
	else
	{
		db_error_of_result(result, &error);
		findings_add(doctor->findings, FOUND_ERROR, "realtime.messages", error.hint, "%s",
					 error.text);
	}
	finish(doctor);
}

static void
ready(void *arg)
{
	struct doctor *doctor = arg;

	db_query(doctor->command.db, &inserts_statement, NULL, on_answer, doctor);
}

/* What keeps it from being connected to was found before. */
static void
failed(void *arg, const char *trouble, const char *hint)
{
	(void) trouble;
	(void) hint;
	finish(arg);
}

void
doctor_inserts(struct doctor *doctor)
{
	if (config_inserts(doctor->command.config) && doctor->asks_database)
		command_connect(&doctor->command, "doctor realtime", ready, failed);
	else
		doctor_next(doctor);
}
