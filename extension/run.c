/*
 * Running a statement on a pair of tables, from SQL by its name.
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

/* The first value of the first row, in the memory that SPI was entered from. */
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
						errmsg("the statement returns %s, not %s",
							   format_type_be(SPI_gettypeid(SPI_tuptable->tupdesc, 1)),
							   format_type_be(wanted))));
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
	get_typlenbyval(wanted, &length, &by_value);
	return *isnull ? (Datum) 0 : SPI_datumTransfer(value, by_value, length);
}

/* SQL: chat.run(type, attachment, statement, …) */
Datum
chat_run(PG_FUNCTION_ARGS)
{
	ChatPlan plan;
	ChatArgument args[CHAT_MAX_PARAMETERS];
	int count = PG_NARGS() - 3;
	Datum value;
	bool isnull;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || count > CHAT_MAX_PARAMETERS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an attachment, a statement and at most %d parameters are needed",
							   CHAT_MAX_PARAMETERS)));
	plan = chat_statement_named(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	for (int i = 0; i < count; i++)
	{
		args[i].type = get_fn_expr_argtype(fcinfo->flinfo, i + 3);
		args[i].value = PG_GETARG_DATUM(i + 3);
		args[i].isnull = PG_ARGISNULL(i + 3);
	}
	SPI_connect();
	(void) chat_plan_run_given(chat_attachment_get(PG_GETARG_INT32(1)), plan, 0, count, args);
	value = first_value(get_fn_expr_rettype(fcinfo->flinfo), &isnull);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}
