/*
 * See db_pipeline.h. A statement is one allocation, with its parameters behind it.
 */
#define _GNU_SOURCE
#include "io/db_pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/db_shape.h"

#define NAME_SIZE 128

struct statement
{
	struct statement *next;
	const struct db_statement *what;
	db_callback callback;
	void *arg;
	bool prepares;    /* it was sent with its preparation, which has not succeeded yet */
	PGresult *result; /* what came for it so far; the first error stays */
	const char *params[];
};

void
pipeline_init(struct pipeline *pipeline, const char *prefix)
{
	memset(pipeline, 0, sizeof(*pipeline));
	pipeline->tail = &pipeline->first;
	pipeline->prefix = prefix;
}

static void
free_statement(struct statement *statement)
{
	PQclear(statement->result);
	free(statement);
}

void
pipeline_free(struct pipeline *pipeline)
{
	while (pipeline->first != NULL)
	{
		struct statement *statement = pipeline->first;

		pipeline->first = statement->next;
		free_statement(statement);
	}
	free(pipeline->prepared);
	pipeline_init(pipeline, pipeline->prefix);
}

static struct statement *
create_statement(const struct db_statement *what, const char *const *params)
{
	size_t nparams = (size_t) what->nparams;
	size_t size = sizeof(struct statement) + nparams * sizeof(char *);
	struct statement *statement;
	char *text;

	for (size_t i = 0; i < nparams; i++)
		size += strlen(params[i]) + 1;
	statement = xcalloc(1, size);
	statement->what = what;
	text = (char *) &statement->params[nparams];
	for (size_t i = 0; i < nparams; i++)
	{
		statement->params[i] = text;
		text = stpcpy(text, params[i]) + 1;
	}
	return statement;
}

void
pipeline_add(struct pipeline *pipeline, const struct db_statement *what, const char *const *params,
			 db_callback callback, void *arg)
{
	struct statement *statement = create_statement(what, params);

	statement->callback = callback;
	statement->arg = arg;
	*pipeline->tail = statement;
	pipeline->tail = &statement->next;
	if (pipeline->unsent == NULL)
		pipeline->unsent = statement;
}

static bool
is_prepared(const struct pipeline *pipeline, const struct db_statement *what)
{
	for (int i = 0; i < pipeline->nprepared; i++)
	{
		if (pipeline->prepared[i] == what)
			return true;
	}
	return false;
}

static void
note_prepared(struct pipeline *pipeline, const struct db_statement *what)
{
	const struct db_statement **longer =
		xrealloc(pipeline->prepared, (size_t) (pipeline->nprepared + 1) * sizeof(*longer));

	pipeline->prepared = longer;
	pipeline->prepared[pipeline->nprepared++] = what;
}

static void
forget_prepared(struct pipeline *pipeline, const struct db_statement *what)
{
	for (int i = 0; i < pipeline->nprepared; i++)
	{
		if (pipeline->prepared[i] == what)
			pipeline->prepared[i--] = pipeline->prepared[--pipeline->nprepared];
	}
}

/* Puts a sync into the output; where libpq can, without sending it yet. */
static bool
put_sync(PGconn *conn)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	return PQsendPipelineSync(conn) == 1;
#else
	return PQpipelineSync(conn) == 1;
#endif
}

static bool
send_statement(struct pipeline *pipeline, PGconn *conn, struct statement *statement)
{
	const struct db_statement *what = statement->what;
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "%s_%s", pipeline->prefix, what->name);
	if (!is_prepared(pipeline, what))
	{
		if (!PQsendPrepare(conn, name, what->sql, 0, NULL))
			return false;
		note_prepared(pipeline, what);
		statement->prepares = true;
	}
	return PQsendQueryPrepared(conn, name, what->nparams, statement->params, NULL, NULL,
							   what->rows == DB_BINARY_ROWS) &&
		   put_sync(conn);
}

bool
pipeline_send(struct pipeline *pipeline, PGconn *conn)
{
	for (; pipeline->unsent != NULL; pipeline->unsent = pipeline->unsent->next)
	{
		if (!send_statement(pipeline, conn, pipeline->unsent))
			return false;
	}
	return true;
}

static bool
is_error(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE ||
		   status == PGRES_PIPELINE_ABORTED;
}

/* A preparation outlives the error of an execution behind it. */
static void
keep_result(struct statement *statement, PGresult *result)
{
	if (!is_error(result))
		statement->prepares = false;
	if (statement->result != NULL && is_error(statement->result))
	{
		PQclear(result);
		return;
	}
	PQclear(statement->result);
	statement->result = result;
}

/* Takes the first statement out and answers it. */
static void
finish_first(struct pipeline *pipeline)
{
	struct statement *statement = pipeline->first;

	pipeline->first = statement->next;
	if (pipeline->first == NULL)
		pipeline->tail = &pipeline->first;
	if (statement->prepares)
		forget_prepared(pipeline, statement->what);
	pipeline->kept = false;
	statement->callback(statement->arg, statement->result);
	if (pipeline->kept)
		statement->result = NULL;
	free_statement(statement);
}

enum pipeline_taken
pipeline_take(struct pipeline *pipeline, PGconn *conn, char *why, size_t size)
{
	int ends = 0; /* NULLs in a row: one ends each command, two mean that nothing is there */

	while (pipeline->first != pipeline->unsent && ends < 2 && !PQisBusy(conn))
	{
		PGresult *result = PQgetResult(conn);

		ends = result == NULL ? ends + 1 : 0;
		if (result == NULL)
			continue;
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
		{
			PQclear(result);
			if (!db_shape_fits(pipeline->first->what, pipeline->first->result, why, size))
				return PIPELINE_MISSHAPEN;
			finish_first(pipeline);
			return PIPELINE_ANSWERED;
		}
		keep_result(pipeline->first, result);
	}
	return PIPELINE_NOTHING;
}

void
pipeline_lost(struct pipeline *pipeline)
{
	struct statement *statement = pipeline->first;

	pipeline->first = pipeline->unsent = NULL;
	pipeline->tail = &pipeline->first;
	pipeline->nprepared = 0;
	while (statement != NULL)
	{
		struct statement *next = statement->next;

		statement->callback(statement->arg, NULL);
		free_statement(statement);
		statement = next;
	}
}
