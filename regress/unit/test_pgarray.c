/*
 * Array literals for PostgreSQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/base/pgarray.h"

static void
check(const char *name, const char *got, const char *wanted)
{
	printf("%s %s\n", strcmp(got, wanted) == 0 ? "ok" : "not ok", name);
	if (strcmp(got, wanted) != 0)
	{
		printf("got %s\nwanted %s\n", got, wanted);
		exit(1);
	}
}

int
main(void)
{
	struct pgarray array = {0};

	pgarray_begin(&array);
	check("empty array", pgarray_end(&array), "{}");
	pgarray_begin(&array);
	pgarray_number(&array, -42);
	pgarray_null(&array);
	pgarray_text(&array, "a\"b\\c,{d}");
	pgarray_text(&array, "");
	pgarray_text(&array, NULL);
	pgarray_text(&array, "NULL");
	check("elements", pgarray_end(&array), "{-42,NULL,\"a\\\"b\\\\c,{d}\",\"\",NULL,\"NULL\"}");
	pgarray_begin_row(&array);
	pgarray_null(&array);
	pgarray_number(&array, 7);
	pgarray_text(&array, "(a),\"b\\");
	pgarray_text(&array, "");
	pgarray_null(&array);
	check("row", pgarray_end(&array), "(,7,\"(a),\\\"b\\\\\",\"\",)");
	pgarray_begin(&array);
	pgarray_null(&array);
	check("array after a row", pgarray_end(&array), "{NULL}");
	buffer_free(&array.text);
	return 0;
}
