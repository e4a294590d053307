/*
 * chat.run_on: statements that write to attached tables.
 *
 * The functions that call it belong to the extension's owner, a superuser. Triggers, defaults, CHECK constraints, casts
 * and index expressions of an attached table are the code of whoever owns it, so what fires them runs as that role, as
 * it does for the flush (plans.c) and for foreign keys.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "plans.h"

PG_FUNCTION_INFO_V1(chat_run_on);

/* The table's own code may name what is in its schema; operators and functions of the statement are qualified. */
static void
set_search_path(Oid relid)
{
	char *schema = get_namespace_name(get_rel_namespace(relid));

	if (schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table with oid %u", relid)));
	(void) set_config_option("search_path",
							 psprintf("pg_catalog, %s, pg_temp", quote_identifier(schema)),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* The first value of the first row. */
static Datum
first_value(bool *isnull)
{
	Datum value;

	*isnull = true;
	if (SPI_processed == 0 || SPI_tuptable == NULL || SPI_tuptable->tupdesc->natts == 0)
		return (Datum) 0;
	if (SPI_gettypeid(SPI_tuptable->tupdesc, 1) != JSONBOID)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("a statement for chat.run_on must return jsonb")));
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
	return *isnull ? (Datum) 0 : SPI_datumTransfer(value, false, -1);
}

Datum
chat_run_on(PG_FUNCTION_ARGS)
{
	Oid types[2] = {TEXTARRAYOID, TEXTOID};
	Datum values[2];
	char nulls[2];
	Datum result;
	bool isnull;
	Oid relid, user;
	int context, guc_level;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("chat.run_on needs a table and a statement")));
	relid = PG_GETARG_OID(0);
	for (int i = 0; i < 2; i++)
	{
		values[i] = PG_GETARG_DATUM(i + 2);
		nulls[i] = PG_ARGISNULL(i + 2) ? 'n' : ' ';
	}
	SPI_connect();
	guc_level = NewGUCNestLevel();
	set_search_path(relid);
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(chat_table_owner(relid),
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	if (SPI_execute_with_args(text_to_cstring(PG_GETARG_TEXT_PP(1)), 2, types, values, nulls, false,
							  0) < 0)
		elog(ERROR, "statement of chat_realtime failed: %s", SPI_result_code_string(SPI_result));
	result = first_value(&isnull);
	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(false, guc_level);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
