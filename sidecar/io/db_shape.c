/*
 * See db_shape.h.
 */
#include "io/db_shape.h"

#include <stdio.h>
#include <string.h>

#include "io/db_error.h"

struct column
{
	const char *name;
	size_t len;
	int not_null_from; /* first row in which it must have a value */
};

/* Takes the next column out of a list; false: there is none. */
static bool
next_column(const char **list, int rows, struct column *column)
{
	*list += strspn(*list, " ");
	column->name = *list;
	column->len = strcspn(*list, " ?");
	*list += column->len;
	column->not_null_from = **list == '?' ? rows : 0;
	*list += **list == '?';
	return column->len > 0;
}

static bool
rows_fit(enum db_rows wanted, int rows)
{
	switch (wanted)
	{
		case DB_ONE_ROW:
			return rows == 1;
		case DB_UP_TO_ONE_ROW:
			return rows <= 1;
		case DB_BINARY_ROWS:
			return rows >= 1;
		case DB_ANY_ROWS:
			break;
	}
	return true;
}

bool
db_shape_fits(const struct db_statement *statement, const PGresult *result, char *why, size_t size)
{
	ExecStatusType status = PQresultStatus(result);
	const char *list = statement->columns;
	int rows = PQntuples(result), fields = PQnfields(result), field = 0;
	struct column column;

	if (result == NULL)
	{
		snprintf(why, size, "%s: no answer", statement->name);
		return false;
	}
	if (db_error_is_stale(result))
	{
		snprintf(why, size, "%s: prepared for another answer, or for another session",
				 statement->name);
		return false;
	}
	if (status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED)
		return true;
	if (status != PGRES_TUPLES_OK)
	{
		snprintf(why, size, "%s: no rows but %s", statement->name, PQresStatus(status));
		return false;
	}
	for (; next_column(&list, rows, &column); field++)
	{
		const char *name = field < fields ? PQfname(result, field) : "";

		if (strlen(name) != column.len || memcmp(name, column.name, column.len) != 0)
		{
			snprintf(why, size, "%s: column %d is not %.*s", statement->name, field + 1,
					 (int) column.len, column.name);
			return false;
		}
		for (int row = column.not_null_from; row < rows; row++)
		{
			if (!PQgetisnull(result, row, field))
				continue;
			snprintf(why, size, "%s: %s is NULL", statement->name, name);
			return false;
		}
	}
	if (field != fields)
	{
		snprintf(why, size, "%s: %d columns, not %d", statement->name, fields, field);
		return false;
	}
	if (!rows_fit(statement->rows, rows))
	{
		snprintf(why, size, "%s: %d rows", statement->name, rows);
		return false;
	}
	return true;
}
