/*
 * Running a statement on a pair of tables, or on a table beside it, from SQL by its name.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "plans.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(chat_run);
PG_FUNCTION_INFO_V1(chat_run_beside);

static Datum
run(FunctionCallInfo fcinfo, ChatAttachment *attachment)
{
	ChatPlan plan = chat_statement_named(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	ChatArgument args[CHAT_MAX_PARAMETERS];
	int count = PG_NARGS() - 3;
	Datum value;
	bool isnull;

	for (int i = 0; i < count; i++)
	{
		args[i].type = get_fn_expr_argtype(fcinfo->flinfo, i + 3);
		args[i].value = PG_GETARG_DATUM(i + 3);
		args[i].isnull = PG_ARGISNULL(i + 3);
	}
	SPI_connect();
	(void) chat_plan_run_given(attachment, plan, 0, count, args);
	value = chat_plan_first(get_fn_expr_rettype(fcinfo->flinfo), &isnull);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}

static void
check_call(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_NARGS() - 3 > CHAT_MAX_PARAMETERS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("what it is on, a statement and at most %d parameters are needed",
							   CHAT_MAX_PARAMETERS)));
}

/* SQL: chat.run(type, attachment, statement, …) */
Datum
chat_run(PG_FUNCTION_ARGS)
{
	check_call(fcinfo);
	return run(fcinfo, chat_attachment_get(PG_GETARG_INT32(1)));
}

/* SQL: chat.run_beside(type, relation, statement, …) */
Datum
chat_run_beside(PG_FUNCTION_ARGS)
{
	check_call(fcinfo);
	return run(fcinfo, chat_attachment_of_table(PG_GETARG_OID(1)));
}
