/*
 * See gauges.h.
 */
#include "watch/gauges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/metrics.h"

#define MAX_SERIES 32
#define NAME_SIZE 64
#define LABELS_SIZE 128
#define HELP_SIZE 256

const struct db_statement gauges_statement = {
	"sidecar_gauges", "SELECT name, labels, help, value FROM chat.sidecar_gauges()", 0,
	"name labels help value", DB_ANY_ROWS};

struct series
{
	char name[NAME_SIZE], labels[LABELS_SIZE], help[HELP_SIZE];
	struct metric *metric;
};

struct gauges
{
	struct metrics *metrics;
	int count;
	struct series series[MAX_SERIES];
};

struct gauges *
gauges_create(struct metrics *metrics)
{
	struct gauges *gauges = xcalloc(1, sizeof(*gauges));

	gauges->metrics = metrics;
	return gauges;
}

void
gauges_destroy(struct gauges *gauges)
{
	free(gauges);
}

/* Finds or makes a series; NULL: it cannot have one. */
static struct metric *
find(struct gauges *gauges, const char *name, const char *labels, const char *help)
{
	struct series *found;

	for (int i = 0; i < gauges->count; i++)
	{
		found = &gauges->series[i];
		if (strcmp(found->name, name) == 0 && strcmp(found->labels, labels) == 0)
			return found->metric;
	}
	if (gauges->count == MAX_SERIES || strlen(name) >= NAME_SIZE || strlen(labels) >= LABELS_SIZE ||
		strlen(help) >= HELP_SIZE)
		return NULL;
	found = &gauges->series[gauges->count++];
	strcpy(found->name, name);
	strcpy(found->labels, labels);
	strcpy(found->help, help);
	found->metric = metrics_gauge(gauges->metrics, found->name, found->labels, found->help);
	return found->metric;
}

void
gauges_take(struct gauges *gauges, const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return;
	for (int row = 0; row < PQntuples(result); row++)
	{
		struct metric *metric = find(gauges, PQgetvalue(result, row, 0), PQgetvalue(result, row, 1),
									 PQgetvalue(result, row, 2));

		if (metric != NULL)
			metric_set(metric, strtod(PQgetvalue(result, row, 3), NULL));
	}
}
