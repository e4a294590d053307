/*
 * Gauges that the database names: as many as there is room for, and nothing of an answer that failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/watch/gauges.h"
#include "../../sidecar/base/metrics.h"
#include "require.h"

static struct metrics *metrics;

static PGresult *
make_result(void)
{
	static char names[4][8] = {"name", "labels", "help", "value"};
	PGresAttDesc columns[4] = {{.name = NULL}};
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	for (int i = 0; i < 4; i++)
		columns[i] = (PGresAttDesc){.name = names[i], .typid = 25, .typlen = -1, .atttypmod = -1};
	if (result == NULL || !PQsetResultAttrs(result, 4, columns))
		exit(1);
	return result;
}

static void
add(PGresult *result, const char *name, const char *labels, const char *help, const char *value)
{
	const char *values[4] = {name, labels, help, value};
	int row = PQntuples(result);

	for (int i = 0; i < 4; i++)
	{
		if (!PQsetvalue(result, row, i, (char *) values[i], (int) strlen(values[i])))
			exit(1);
	}
}

static void
take(struct gauges *gauges, PGresult *result)
{
	gauges_take(gauges, result);
	PQclear(result);
}

/* Whether the page has a text. */
static int
shows(const char *text)
{
	size_t len;
	char *page = metrics_render(metrics, &len);
	int found = strstr(page, text) != NULL;

	free(page);
	return found;
}

/* One letter too many for name, labels and help, whose bounds are 64, 128 and 256 with the NUL. */
static void
add_long(PGresult *result)
{
	char text[257];

	memset(text, 'x', 256);
	text[256] = '\0';
	add(result, text + 192, "", "Help.", "7");
	add(result, "long_labels", text + 128, "Help.", "7");
	add(result, "long_help", "", text, "7");
}

int
main(void)
{
	struct gauges *gauges;
	PGresult *result = make_result();
	char name[16];

	metrics = metrics_create();
	gauges = gauges_create(metrics);
	add_long(result);
	add(result, "g0", "a=\"b\"", "Help.", "1.5");
	add(result, "g0", "a=\"c\"", "Help.", "2");
	take(gauges, result);
	require("gauges by name and labels", shows("g0{a=\"b\"} 1.5") && shows("g0{a=\"c\"} 2"));
	require("what is too long is left out", !shows("xxx") && !shows("long_"));
	take(gauges, PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR));
	require("an error changes nothing", shows("g0{a=\"b\"} 1.5"));
	result = make_result();
	add(result, "g0", "a=\"b\"", "Help.", "3");
	for (int i = 2; i <= 32; i++)
	{
		snprintf(name, sizeof(name), "g%d", i);
		add(result, name, "", "Help.", "1");
	}
	take(gauges, result);
	require("another value", shows("g0{a=\"b\"} 3"));
	require("thirty-two, and not one more", shows("g31 1") && !shows("g32"));
	gauges_destroy(gauges);
	metrics_destroy(metrics);
	return 0;
}
