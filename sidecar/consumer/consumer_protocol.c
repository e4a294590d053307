/*
 * See consumer_protocol.h.
 */
#include "consumer/consumer_protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL 2 /* that this sidecar speaks; extension/log_reader.c has the extension's */

const struct db_statement consumer_protocol_statement = {
	"protocol", "SELECT chat.sidecar_protocol() AS protocol", 0, "protocol", DB_ONE_ROW};

/* They are of versions that do not understand each other. spoken: 0, there was no protocol yet. */
static void
describe(struct db_error *error, long spoken)
{
	*error = (struct db_error){.sqlstate = ""};
	snprintf(error->text, sizeof(error->text),
			 "this sidecar speaks protocol %d, extension chat_realtime protocol %ld", PROTOCOL,
			 spoken);
	error->hint = spoken < PROTOCOL
					  ? "the extension is older than this sidecar: install its new version and run "
						"ALTER EXTENSION chat_realtime UPDATE"
					  : "this sidecar is older than extension chat_realtime: update the sidecar";
}

bool
consumer_protocol_fits(const PGresult *result, struct db_error *error)
{
	long spoken;

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
	{
		spoken = strtol(PQgetvalue(result, 0, 0), NULL, 10);
		if (spoken != PROTOCOL)
			describe(error, spoken);
		return spoken == PROTOCOL;
	}
	db_error_of_result(result, error);
	/* There is no such function. */
	if (strcmp(error->sqlstate, "42883") == 0)
		describe(error, 0);
	return false;
}
