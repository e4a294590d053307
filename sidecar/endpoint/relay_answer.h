/*
 * Answers of the database about what endpoints share.
 */
#ifndef SIDECAR_ENDPOINT_RELAY_ANSWER_H
#define SIDECAR_ENDPOINT_RELAY_ANSWER_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/log_pace.h"

enum relay_shared
{
	RELAY_BROADCASTS,
	RELAY_PRESENCE
};

/*
 * Whether an answer has what was asked for. An error is logged, once a minute; a connection that was lost (NULL) says so itself. now:
 * loop time.
 */
bool relay_answered(const PGresult *result, enum relay_shared shared, struct log_pace *failures,
					uint64_t now);

#endif
