/*
 * Statements of the extension's functions on attached tables.
 *
 * The functions that call these belong to the extension's owner. Not only writing fires code of an attached table's
 * owner: a cast of the owner's may convert what is read, and the planner evaluates what is constant in an index. So all
 * such statements run as the table's owner, as they do for the flush (plans.c) and for foreign keys.
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
#include "recent_plans.h"

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
	bool keeps;     /* its plan */
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

/* True while a statement whose plan is kept runs: one within it, of a trigger's, must not drop that plan. */
static bool busy = false;

static int
execute_kept(Statement *statement)
{
	volatile int result;

	busy = true;
	PG_TRY();
	{
		result = SPI_execute_plan(
			chat_recent_plan(statement->text, statement->nparameters, statement->types),
			statement->values, statement->nulls, statement->read_only, 0);
	}
	PG_FINALLY();
	{
		busy = false;
	}
	PG_END_TRY();
	return result;
}

static int
execute_statement(Statement *statement)
{
	if (statement->keeps && !busy)
		return execute_kept(statement);
	return SPI_execute_with_args(statement->text, statement->nparameters, statement->types,
								 statement->values, statement->nulls, statement->read_only, 0);
}

static void
execute(void *arg)
{
	Statement *statement = arg;

	if (statement->writes)
		set_search_path(statement->relid);
	if (execute_statement(statement) < 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("the statement cannot be run here: %s",
							   SPI_result_code_string(SPI_result))));
}

/* The first value of the first row, in the caller's memory. */
static Datum
first_value(Oid wanted, bool *isnull)
{
	Datum value;
	int16 length;
	bool by_value;

	*isnull = true;
	if (SPI_processed == 0 || SPI_tuptable == NULL || SPI_tuptable->tupdesc->natts == 0)
		return (Datum) 0;
	if (SPI_gettypeid(SPI_tuptable->tupdesc, 1) != wanted)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the statement must return %s, not %s", format_type_be(wanted),
							   format_type_be(SPI_gettypeid(SPI_tuptable->tupdesc, 1)))));
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
	get_typlenbyval(wanted, &length, &by_value);
	return *isnull ? (Datum) 0 : SPI_datumTransfer(value, by_value, length);
}

static Datum
run(FunctionCallInfo fcinfo, Statement *statement)
{
	Datum result;
	bool isnull;

	SPI_connect();
	chat_as_owner(statement->relid, !statement->writes, execute, statement);
	result = first_value(statement->result, &isnull);
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
	Statement statement = {.writes = true, .keeps = true, .result = JSONBOID};

	set_statement(fcinfo, &statement, 0);
	add_parameter(fcinfo, &statement, 2, TEXTARRAYOID);
	add_parameter(fcinfo, &statement, 3, TEXTOID);
	return run(fcinfo, &statement);
}

/* The first argument is of the type that is wanted; those behind the statement are its parameters. */
static Datum
read_rows(FunctionCallInfo fcinfo, bool read_only, bool keeps)
{
	Statement statement = {
		.read_only = read_only, .keeps = keeps, .result = get_fn_expr_rettype(fcinfo->flinfo)};

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
	return read_rows(fcinfo, true, false);
}

/* SQL: chat.find_on(type, relation, statement, …), which the script of 1.0 has until it is updated */
Datum
chat_find_on(PG_FUNCTION_ARGS)
{
	return read_rows(fcinfo, true, true);
}

/* SQL: chat.lock_on(type, relation, statement, …) */
Datum
chat_lock_on(PG_FUNCTION_ARGS)
{
	return read_rows(fcinfo, false, true);
}
