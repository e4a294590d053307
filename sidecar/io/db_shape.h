/*
 * Whether an answer looks as its statement's reader expects it. What reads it may then rely on columns, rows and
 * values being there: where sessions are mixed up, or the extension is another one, answers of any kind arrive. No I/O.
 */
#ifndef SIDECAR_DB_SHAPE_H
#define SIDECAR_DB_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "io/db.h"

/*
 * False: it does not, and why says in what (one line, without values of the answer). Errors of the server fit, unless
 * only a new connection can end them.
 */
bool
db_shape_fits(const struct db_statement *statement, const PGresult *result, char *why, size_t size);

#endif
