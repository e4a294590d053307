/*
 * Plans of the statements that this backend has run most recently.
 *
 * The API's functions build their statements for the tables that are attached, so what they run twice is the same
 * text; analysed and planned anew it would cost more than what it does. PostgreSQL's plan cache sees to the rest: a
 * plan is made again when a table, the search_path or the role of a row-security plan has changed.
 */
#ifndef CHAT_RECENT_PLANS_H
#define CHAT_RECENT_PLANS_H

#include "postgres.h"

#include "executor/spi.h"

/*
 * The kept plan of a statement with parameters of these types, prepared if it is not; under the caller's identity and
 * search_path. Good until the next call. Callers are connected to SPI. Errors: those of the statement.
 */
extern SPIPlanPtr chat_recent_plan(const char *statement, int nargs, const Oid *types);

#endif
