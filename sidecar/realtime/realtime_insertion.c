/*
 * See realtime_insertion.h.
 */
#include "realtime/realtime_insertion.h"

#include <string.h>

#define CHECK_VIOLATION "23514"

static bool
is_of_class(const char *sqlstate, const char *class)
{
	return strncmp(sqlstate, class, 2) == 0;
}

bool
insertion_lacks_partition(const char *sqlstate, bool has_constraint)
{
	return strcmp(sqlstate, CHECK_VIOLATION) == 0 && !has_constraint;
}

enum verdict_kind
insertion_judge(const char *sqlstate, bool has_constraint)
{
	/* Realtime makes partitions by itself, once it is connected. */
	if (insertion_lacks_partition(sqlstate, has_constraint))
		return VERDICT_AGAIN;
	/* A value, a constraint, or a size: it is a row that is refused. */
	if (is_of_class(sqlstate, "22") || is_of_class(sqlstate, "23") || is_of_class(sqlstate, "54"))
		return VERDICT_SPLIT;
	/* A name, a right, or what the statement is made of. */
	if (is_of_class(sqlstate, "42") || is_of_class(sqlstate, "0A") || is_of_class(sqlstate, "3F"))
		return VERDICT_STOP;
	return VERDICT_AGAIN;
}

const char *
insertion_hint(const char *sqlstate, bool of_function, const char *otherwise)
{
	if (of_function)
		return otherwise;
	if (strcmp(sqlstate, "42501") == 0)
		return "the owner of the extension may not insert there: SELECT * FROM chat.hints() has the statement";
	if (strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "3F000") == 0)
		return "Supabase Realtime has never been connected to this database: REALTIME_TRANSPORT=database is for one that is";
	if (strcmp(sqlstate, "42703") == 0 || strcmp(sqlstate, "42804") == 0)
		return "realtime.messages is not as this version knows it: REALTIME_TRANSPORT=http does without it";
	return otherwise;
}
