/*
 * See relay_answer.h.
 */
#include "endpoint/relay_answer.h"

#include "base/log.h"
#include "io/db_error.h"

bool
relay_answered(const PGresult *result, enum relay_shared shared, struct log_pace *failures,
			   uint64_t now)
{
	struct db_error error;

	if (result == NULL)
		return false;
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return true;
	db_error_of_result(result, &error);
	if (log_pace_due(failures, now) > 0)
		log_event(LOG_ERROR,
				  shared == RELAY_PRESENCE
					  ? "who is there cannot be shared with other endpoints"
					  : "what clients broadcast cannot be shared with other endpoints",
				  "error", "%s", error.text, "sqlstate", "%s", error.sqlstate, "hint", "%s",
				  error.hint, NULL);
	return false;
}
