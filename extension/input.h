/*
 * What callers of the API give.
 */
#ifndef CHAT_INPUT_H
#define CHAT_INPUT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/elog.h"

#include "compat.h"

/* A text argument in the current memory context; NULL for SQL NULL. */
extern char *chat_text_argument(FunctionCallInfo fcinfo, int n);

/* Error 22004 for an argument that is NULL. what: its name. */
extern void chat_require_argument(FunctionCallInfo fcinfo, int n, const char *what);

/* The first 64 characters of what a caller gave, for an error. */
extern char *chat_shown(const char *text);
/*
 * Raises an error about what a caller gave: all of them come from here, so that a backend may show them to its clients. sqlstate:
 * 22023 and the like; field: the argument or key that is wrong, as the error's column, and hint: may be NULL.
 */
pg_noreturn extern void
chat_bad_input(int sqlstate, const char *field, const char *message, const char *hint);

/* Within ereport: the argument or key that is wrong, as the error's column. */
#define chat_errfield(name) err_generic_string(PG_DIAG_COLUMN_NAME, name)

#endif
