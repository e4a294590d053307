/*
 * Whether this sidecar and the extension in the database understand each other. No I/O.
 */
#ifndef SIDECAR_CONSUMER_PROTOCOL_H
#define SIDECAR_CONSUMER_PROTOCOL_H

#include "io/db.h"
#include "io/db_error.h"

extern const struct db_statement consumer_protocol_statement;

/* Judges its answer, which is not NULL. False: error says what to update, or what else is wrong. */
bool consumer_protocol_fits(const PGresult *result, struct db_error *error);

#endif
