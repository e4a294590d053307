/*
 * The database: connection, server, extension, rights, hints. The connection is made as the sidecar makes it, with its
 * look for poolers; what cannot be said of one that is not there is left out.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consumer/consumer_protocol.h"
#include "io/db.h"
#include "io/db_error.h"
#include "watch/doctor_internal.h"
#include "watch/surroundings.h"

#define SKEW_S 5
#define OLDEST 150000

static const struct db_statement server_statement = {
	"server",
	"SELECT pg_catalog.current_setting('server_version') AS version, "
	"pg_catalog.current_setting('server_version_num') AS number, pg_catalog.current_database() AS database, "
	"current_user AS role, pg_catalog.pg_is_in_recovery() AS standby, "
	"EXTRACT(epoch FROM pg_catalog.clock_timestamp()) AS now, "
	"(SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = 'chat_realtime') AS installed, "
	"(SELECT a.default_version FROM pg_catalog.pg_available_extensions a WHERE a.name = 'chat_realtime') AS available, "
	"pg_catalog.to_regnamespace('realtime') IS NOT NULL AS realtime, "
	"(SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) AS super",
	0, "version number database role standby now installed? available? realtime super", DB_ONE_ROW};

static const struct db_statement hints_statement = {
	"hints", "SELECT h.severity, h.object, h.hint, h.statement FROM chat.hints() h", 0,
	"severity object hint statement?", DB_ANY_ROWS};

static const struct db_statement can_join_statement = {
	"can_join", "SELECT chat.can_join('conversation:0', '{}'::pg_catalog.jsonb, false) AS allowed",
	0, "allowed", DB_ONE_ROW};

static void
finish(struct doctor *doctor)
{
	command_disconnect(&doctor->command);
	doctor_next(doctor);
}

static void
add_error(struct doctor *doctor, const char *subject, const PGresult *result)
{
	struct db_error error;

	db_error_of_result(result, &error);
	findings_add(doctor->findings, FOUND_ERROR, subject, error.hint, "%s", error.text);
}

/* Hints ------------------------------------------------------------------------------------------- */

static void
on_hints(void *arg, PGresult *result)
{
	struct doctor *doctor = arg;
	int count = result != NULL ? PQntuples(result) : 0;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		add_error(doctor, "hints", result);
	else if (count == 0)
		findings_add(doctor->findings, FOUND_GOOD, "database", NULL,
					 "tables, triggers, policies and counters are as they should be");
	for (int i = 0; i < count; i++)
		findings_add(doctor->findings, findings_severity(PQgetvalue(result, i, 0)),
					 PQgetvalue(result, i, 1), PQgetvalue(result, i, 3), "%s",
					 PQgetvalue(result, i, 2));
	finish(doctor);
}

static void
on_protocol(void *arg, PGresult *result)
{
	struct doctor *doctor = arg;
	struct db_error error;

	if (result == NULL || !consumer_protocol_fits(result, &error))
	{
		if (result == NULL)
			db_error_of_result(result, &error);
		findings_add(doctor->findings, FOUND_ERROR, "extension", error.hint, "%s", error.text);
		finish(doctor);
		return;
	}
	doctor->asks_database = true;
	db_query(doctor->command.db, &hints_statement, NULL, on_hints, doctor);
}

/* Server ------------------------------------------------------------------------------------------ */

static const char *
value(const PGresult *result, const char *column)
{
	int number = PQfnumber(result, column);

	return PQgetisnull(result, 0, number) ? NULL : PQgetvalue(result, 0, number);
}

static bool
is_true(const PGresult *result, const char *column)
{
	const char *text = value(result, column);

	return text != NULL && *text == 't';
}

static void
examine_server(struct doctor *doctor, const PGresult *result)
{
	struct findings *findings = doctor->findings;
	struct timespec now;
	double skew;

	clock_gettime(CLOCK_REALTIME, &now);
	skew = strtod(value(result, "now"), NULL) - (double) now.tv_sec - (double) now.tv_nsec / 1e9;
	findings_add(findings, FOUND_GOOD, "server", NULL, "PostgreSQL %s, database %s, role %s",
				 value(result, "version"), value(result, "database"), value(result, "role"));
	if (strtol(value(result, "number"), NULL, 10) < OLDEST)
		findings_add(findings, FOUND_ERROR, "server", NULL, "PostgreSQL 15 or later is needed");
	if (is_true(result, "standby"))
		findings_add(findings, FOUND_ERROR, "server", NULL,
					 "this is a standby: DATABASE_URL must name the primary server");
	if (skew > SKEW_S || skew < -SKEW_S)
		findings_add(
			findings, FOUND_WARNING, "clock", "chronyc makestep, or timedatectl set-ntp true",
			"the database's clock is %.1f s %s this machine's: tokens end too early or too "
			"late",
			skew > 0 ? skew : -skew, skew > 0 ? "ahead of" : "behind");
	if (is_true(result, "super"))
		findings_add(findings, FOUND_WARNING, "role",
					 "CREATE ROLE chat_sidecar LOGIN PASSWORD '…'; SELECT "
					 "chat.grant_sidecar('chat_sidecar')",
					 "%s is a superuser: the sidecar needs a role that can do nothing else",
					 value(result, "role"));
}

/* False: there is none, and nothing more to ask. */
static bool
examine_extension(struct doctor *doctor, const PGresult *result)
{
	const char *installed = value(result, "installed");
	const char *available = value(result, "available");

	if (installed != NULL)
		findings_add(doctor->findings, FOUND_GOOD, "extension", NULL, "chat_realtime %s",
					 installed);
	else if (available != NULL)
		findings_add(doctor->findings, FOUND_ERROR, "extension", "CREATE EXTENSION chat_realtime",
					 "chat_realtime is on the server, and not installed in database %s",
					 value(result, "database"));
	else
		findings_add(doctor->findings, FOUND_ERROR, "extension", "make install",
					 "the server has no files of chat_realtime: they must be installed on the "
					 "machine, or in the image, that PostgreSQL runs on");
	return installed != NULL;
}

static void
on_server(void *arg, PGresult *result)
{
	struct doctor *doctor = arg;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		add_error(doctor, "server", result);
		finish(doctor);
		return;
	}
	examine_server(doctor, result);
	if (is_true(result, "realtime") && !config_has_realtime(doctor->command.config))
		findings_add(doctor->findings, FOUND_WARNING, "REALTIME_URL", NULL, "%s: %s",
					 surroundings_forgotten_url, surroundings_mend);
	if (examine_extension(doctor, result))
		db_query(doctor->command.db, &consumer_protocol_statement, NULL, on_protocol, doctor);
	else
		finish(doctor);
}

/* Connecting -------------------------------------------------------------------------------------- */

static void
failed(void *arg, const char *trouble, const char *hint)
{
	struct doctor *doctor = arg;

	findings_add(doctor->findings, FOUND_ERROR, "connection", hint, "%s", trouble);
	finish(doctor);
}

static void
ready(void *arg)
{
	struct doctor *doctor = arg;

	db_query(doctor->command.db, &server_statement, NULL, on_server, doctor);
}

void
doctor_database(struct doctor *doctor)
{
	command_connect(&doctor->command, "doctor", ready, failed);
}

/* The endpoint's own role ------------------------------------------------------------------------- */

static void
on_can_join(void *arg, PGresult *result)
{
	struct doctor *doctor = arg;
	struct db_error error;

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		findings_add(doctor->findings, FOUND_GOOD, "endpoint", NULL,
					 "its role may ask who may join");
	else
	{
		db_error_of_result(result, &error);
		findings_add(
			doctor->findings, FOUND_ERROR, "endpoint",
			strcmp(error.sqlstate, "42501") == 0
				? "SELECT chat.grant_endpoint('role') with the role of ENDPOINT_DATABASE_URL"
				: error.hint,
			"%s", error.text);
	}
	finish(doctor);
}

static void
endpoint_ready(void *arg)
{
	struct doctor *doctor = arg;

	db_query(doctor->command.db, &can_join_statement, NULL, on_can_join, doctor);
}

void
doctor_endpoint_database(struct doctor *doctor)
{
	struct config *config = doctor->command.config;

	if (config_has_realtime(config) || config->endpoint_database_url == NULL)
	{
		doctor_next(doctor);
		return;
	}
	config_take_database(config, config->endpoint_database_url);
	command_connect(&doctor->command, "doctor endpoint", endpoint_ready, failed);
}
