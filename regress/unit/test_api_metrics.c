/*
 * The database's counts as series: what fits is taken, what cannot be a series, or is damaged, is left out.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/watch/api_metrics.h"
#include "../../sidecar/base/metrics.h"

#define COLUMNS 5

static PGresult *
make_result(void)
{
	static char names[COLUMNS][8] = {"kind", "name", "calls", "seconds", "within"};
	PGresAttDesc columns[COLUMNS] = {{.name = NULL}};
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	for (int i = 0; i < COLUMNS; i++)
		columns[i] = (PGresAttDesc){.name = names[i], .typid = 25, .typlen = -1, .atttypmod = -1};
	if (result == NULL || !PQsetResultAttrs(result, COLUMNS, columns))
		exit(1);
	return result;
}

static void
add(PGresult *result, const char *kind, const char *name, const char *calls, const char *within)
{
	const char *values[COLUMNS] = {kind, name, calls, "0.5", within};
	int row = PQntuples(result);

	for (int i = 0; i < COLUMNS; i++)
	{
		if (!PQsetvalue(result, row, i, (char *) values[i], (int) strlen(values[i])))
			exit(1);
	}
}

/* An array literal of as many numbers. */
static const char *
counts(size_t count)
{
	static char text[512];

	strcpy(text, "{");
	for (size_t i = 0; i < count; i++)
		sprintf(text + strlen(text), "%s%zu", i > 0 ? "," : "", i);
	return strcat(text, "}");
}

static void
check(const struct metrics *metrics, const char *name, const char *line, bool wanted)
{
	size_t len;
	char *page = metrics_render(metrics, &len);
	bool found = memmem(page, len, line, strlen(line)) != NULL;

	printf("%s %s\n", found == wanted ? "ok" : "not ok", name);
	if (found != wanted)
	{
		printf("%.*s", (int) len, page);
		exit(1);
	}
	free(page);
}

int
main(void)
{
	struct metrics *metrics = metrics_create();
	struct api_metrics *api = api_metrics_create(metrics);
	PGresult *result = make_result();
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	add(result, "code", "OK", "7", "");
	add(result, "code", "quo\"te", "8", "");
	add(result, "code", longer, "9", "");
	add(result, "request", "key PT", "2", "");
	add(result, "function", "whole", "3", counts(metrics_buckets));
	add(result, "function", "short", "4", counts(metrics_buckets - 1));
	add(result, "function", "long", "5", counts(metrics_buckets + 1));
	add(result, "function", "damaged", "6", "{1,x,3}");
	api_metrics_take(api, result);
	check(metrics, "a code", "chat_api_authentications_total{code=\"OK\"} 7\n", true);
	check(metrics, "a request", "chat_api_requests_total{by=\"key\",outcome=\"PT\"} 2\n", true);
	check(metrics, "a name that would end the label", "quo", false);
	check(metrics, "a name that is too long", "xxxx", false);
	check(metrics, "a function", "chat_api_request_seconds_count{function=\"whole\"} 3\n", true);
	check(metrics, "too few buckets", "chat_api_request_seconds_count{function=\"short\"} 4\n",
		  false);
	check(metrics, "too many buckets", "chat_api_request_seconds_count{function=\"long\"} 5\n",
		  false);
	check(metrics, "no number", "chat_api_request_seconds_count{function=\"damaged\"} 6\n", false);
	PQclear(result);

	result = make_result();
	for (int i = 0; i < 200; i++)
	{
		snprintf(longer, sizeof(longer), "code %03d", i);
		add(result, "code", longer, "1", "");
	}
	api_metrics_take(api, result);
	check(metrics, "many series", "code 050", true);
	check(metrics, "but not any number of them", "code 150", false);
	PQclear(result);
	api_metrics_destroy(api);
	metrics_destroy(metrics);
	return 0;
}
