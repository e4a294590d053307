/*
 * What each error of an insertion into realtime.messages means.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/realtime/realtime_insertion.h"
#include "require.h"

static void
check(const char *sqlstate, bool has_constraint, enum verdict_kind wanted)
{
	char name[64];

	snprintf(name, sizeof(name), "\"%s\"%s", sqlstate, has_constraint ? " of a constraint" : "");
	require(name, insertion_judge(sqlstate, has_constraint) == wanted);
}

static bool
says(const char *sqlstate, bool of_function, const char *part)
{
	return strstr(insertion_hint(sqlstate, of_function, "otherwise"), part) != NULL;
}

int
main(void)
{
	check("23514", false, VERDICT_AGAIN); /* no partition */
	check("23514", true, VERDICT_SPLIT);
	check("23502", false, VERDICT_SPLIT);
	check("22P02", false, VERDICT_SPLIT);
	check("54000", false, VERDICT_SPLIT);
	check("42501", false, VERDICT_STOP);
	check("42P01", false, VERDICT_STOP);
	check("42883", false, VERDICT_STOP);
	check("3F000", false, VERDICT_STOP);
	check("0A000", false, VERDICT_STOP);
	check("", false, VERDICT_AGAIN); /* the connection was lost */
	check("40P01", false, VERDICT_AGAIN);
	check("53100", false, VERDICT_AGAIN);
	check("55P03", false, VERDICT_AGAIN);
	check("57014", false, VERDICT_AGAIN);
	check("57P01", false, VERDICT_AGAIN);
	check("XX000", false, VERDICT_AGAIN);
	require("only a check without a name is a partition that is missing",
			insertion_lacks_partition("23514", false) &&
				!insertion_lacks_partition("23514", true) &&
				!insertion_lacks_partition("23505", false));
	require("who may not insert is told where the statement is",
			says("42501", false, "chat.hints()"));
	require("who may not call is told what is always told", says("42501", true, "otherwise"));
	require("without Realtime", says("42P01", false, "never been connected"));
	require("with another one", says("42703", false, "REALTIME_TRANSPORT=http"));
	require("else there is nothing to be said", says("53100", false, "otherwise"));
	return 0;
}
