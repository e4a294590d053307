/*
 * What functions of 1.0 call until that is updated, and until those that were running then have ended: a statement on an attached
 * table, whose text they build. This version has its statements in statements.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "names.h"
#include "owner.h"
#include "plans.h"

PG_FUNCTION_INFO_V1(chat_run_on);
PG_FUNCTION_INFO_V1(chat_read_on);
PG_FUNCTION_INFO_V1(chat_find_on);
PG_FUNCTION_INFO_V1(chat_lock_on);

#define MAX_PARAMETERS 16

typedef struct Statement
{
	Oid relid;
	const char *text;
	int nparameters;
	Oid types[MAX_PARAMETERS];
	Datum values[MAX_PARAMETERS];
	char nulls[MAX_PARAMETERS];
	bool writes;    /* fires triggers and defaults of the table's */
	bool read_only; /* sees what the calling statement sees */
	Oid result;
} Statement;

/* The table's own code may name what is in its schema; operators and functions of the statement are qualified. */
static void
set_search_path(Oid relid)
{
	const char *schema = quote_identifier(chat_schema_of(relid));

	(void) set_config_option("search_path", psprintf("pg_catalog, %s, pg_temp", schema),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
execute(void *arg)
{
	Statement *statement = arg;

	if (statement->writes)
		set_search_path(statement->relid);
	if (SPI_execute_with_args(statement->text, statement->nparameters, statement->types,
							  statement->values, statement->nulls, statement->read_only, 0) < 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("the statement cannot be run here: %s",
							   SPI_result_code_string(SPI_result))));
}

static Datum
run(FunctionCallInfo fcinfo, Statement *statement)
{
	Datum result;
	bool isnull;

	SPI_connect();
	chat_as_owner(statement->relid, !statement->writes, execute, statement);
	result = chat_plan_first(statement->result, &isnull);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/* Takes the table and the statement, which two arguments give. */
static void
set_statement(FunctionCallInfo fcinfo, Statement *statement, int argument)
{
	if (PG_ARGISNULL(argument) || PG_ARGISNULL(argument + 1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("a table and a statement are needed")));
	statement->relid = PG_GETARG_OID(argument);
	statement->text = text_to_cstring(PG_GETARG_TEXT_PP(argument + 1));
}

static void
add_parameter(FunctionCallInfo fcinfo, Statement *statement, int argument, Oid type)
{
	int n = statement->nparameters++;

	statement->types[n] = type;
	statement->values[n] = PG_GETARG_DATUM(argument);
	statement->nulls[n] = PG_ARGISNULL(argument) ? 'n' : ' ';
}

/* SQL: chat.run_on(relation, statement, params, key) */
Datum
chat_run_on(PG_FUNCTION_ARGS)
{
	Statement statement = {.writes = true, .result = JSONBOID};

	set_statement(fcinfo, &statement, 0);
	add_parameter(fcinfo, &statement, 2, TEXTARRAYOID);
	add_parameter(fcinfo, &statement, 3, TEXTOID);
	return run(fcinfo, &statement);
}

/* The first argument is of the type that is wanted; those behind the statement are its parameters. */
static Datum
read_rows(FunctionCallInfo fcinfo, bool read_only)
{
	Statement statement = {.read_only = read_only, .result = get_fn_expr_rettype(fcinfo->flinfo)};

	set_statement(fcinfo, &statement, 1);
	if (PG_NARGS() > MAX_PARAMETERS + 3)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ARGUMENTS),
						errmsg("a statement has at most %d parameters", MAX_PARAMETERS)));
	for (int i = 3; i < PG_NARGS(); i++)
		add_parameter(fcinfo, &statement, i, get_fn_expr_argtype(fcinfo->flinfo, i));
	return run(fcinfo, &statement);
}

/* SQL: chat.read_on(type, relation, statement, …) */
Datum
chat_read_on(PG_FUNCTION_ARGS)
{
	return read_rows(fcinfo, true);
}

/* SQL: chat.find_on(type, relation, statement, …) */
Datum
chat_find_on(PG_FUNCTION_ARGS)
{
	return read_rows(fcinfo, true);
}

/* SQL: chat.lock_on(type, relation, statement, …) */
Datum
chat_lock_on(PG_FUNCTION_ARGS)
{
	return read_rows(fcinfo, false);
}
