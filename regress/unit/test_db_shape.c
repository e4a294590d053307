/*
 * Answers that fit their statement, and others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/io/db_shape.h"

/* An answer from "name=value name=value / value value": rows apart by /, - for NULL, names in the first list. */
static PGresult *
answer(const char *names, const char *rows)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[8];
	char list[200], values[200], *rest, *word;
	int count = 0, row = 0, field = 0;

	memset(columns, 0, sizeof(columns));
	snprintf(list, sizeof(list), "%s", names);
	for (word = strtok_r(list, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		columns[count++].name = word;
	if (!PQsetResultAttrs(result, count, columns))
		abort();
	snprintf(values, sizeof(values), "%s", rows);
	for (word = strtok_r(values, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
	{
		bool null = strcmp(word, "-") == 0;

		if (!PQsetvalue(result, row, field, null ? NULL : word, null ? -1 : (int) strlen(word)))
			abort();
		if (++field == count)
		{
			field = 0;
			row++;
		}
	}
	return result;
}

static void
report(const char *name, bool ok, const char *why)
{
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (ok)
		return;
	printf("why: %s\n", why);
	exit(1);
}

/* wanted: NULL, it fits; else what is said. */
static void
check(const char *name, const char *columns, enum db_rows rows, const char *names,
	  const char *values, const char *wanted)
{
	const struct db_statement statement = {"s", "", 0, columns, rows};
	PGresult *result = answer(names, values);
	char why[200] = "";
	bool fits = db_shape_fits(&statement, result, why, sizeof(why));

	report(name, fits == (wanted == NULL) && (fits || strcmp(why, wanted) == 0), why);
	PQclear(result);
}

static void
check_status(const char *name, ExecStatusType status, bool wanted)
{
	const struct db_statement statement = {"s", "", 0, "a", DB_ONE_ROW};
	PGresult *result = PQmakeEmptyPGresult(NULL, status);
	char why[200] = "";

	report(name, db_shape_fits(&statement, result, why, sizeof(why)) == wanted, why);
	PQclear(result);
}

int
main(void)
{
	const struct db_statement statement = {"s", "", 0, "a", DB_ONE_ROW};
	char why[200] = "";

	check("as wanted", "a b", DB_ANY_ROWS, "a b", "1 2 3 4", NULL);
	check("no rows where any are", "a b", DB_ANY_ROWS, "a b", "", NULL);
	check("no rows where one may be", "a", DB_UP_TO_ONE_ROW, "a", "", NULL);
	check("one row where one may be", "a", DB_UP_TO_ONE_ROW, "a", "1", NULL);
	check("two rows where one may be", "a", DB_UP_TO_ONE_ROW, "a", "1 2", "s: 2 rows");
	check("no row where one must be", "a", DB_ONE_ROW, "a", "", "s: 0 rows");
	check("two rows where one must be", "a", DB_ONE_ROW, "a", "1 2", "s: 2 rows");
	check("another name", "a b", DB_ANY_ROWS, "a c", "1 2", "s: column 2 is not b");
	check("a longer name", "a b", DB_ANY_ROWS, "a bb", "1 2", "s: column 2 is not b");
	check("a shorter name", "a bb", DB_ANY_ROWS, "a b", "1 2", "s: column 2 is not bb");
	check("another order", "a b", DB_ANY_ROWS, "b a", "1 2", "s: column 1 is not a");
	check("a column less", "a b", DB_ANY_ROWS, "a", "1", "s: column 2 is not b");
	check("a column more", "a", DB_ANY_ROWS, "a b", "1 2", "s: 2 columns, not 1");
	check("NULL", "a b", DB_ANY_ROWS, "a b", "1 2 3 -", "s: b is NULL");
	check("NULL where it may be", "a? b", DB_ANY_ROWS, "a b", "- 2 - 4", NULL);
	check_status("an error of the server", PGRES_FATAL_ERROR, true);
	check_status("a command without rows", PGRES_COMMAND_OK, false);
	check_status("an empty query", PGRES_EMPTY_QUERY, false);
	check_status("a COPY", PGRES_COPY_OUT, false);
	report("no answer at all", !db_shape_fits(&statement, NULL, why, sizeof(why)), why);
	return 0;
}
