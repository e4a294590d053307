/*
 * What went wrong with the database, in one line that says what to change. No I/O.
 */
#ifndef SIDECAR_DB_ERROR_H
#define SIDECAR_DB_ERROR_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#define DB_ERROR_SIZE 512
/* Where there is an end and nobody says why. */
#define DB_CONNECTION_CLOSED "server closed the connection"

struct db_error
{
	char text[DB_ERROR_SIZE]; /* one line */
	char sqlstate[6];         /* empty when the server had no say */
	const char *hint;         /* static; "" when there is nothing to advise */
};

/*
 * Explains a failed connection; libpq's message must be verbose (PQERRORS_VERBOSE), so that it holds the code. Of
 * libpq's own messages, which quote the connection string, only what is no value is kept; the server's are kept.
 */
void db_error_of_connection(const char *message, struct db_error *error);

/* Explains a failed statement; NULL: the connection was lost before the answer. */
void db_error_of_result(const PGresult *result, struct db_error *error);

/*
 * Whether an error means that prepared statements are not what they were: a function was replaced by one with other
 * columns, or the session is another one. They are good again on a new connection, and never on this one.
 */
bool db_error_is_stale(const PGresult *result);

#endif
