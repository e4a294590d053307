/*
 * Functions that do for their caller what needs the extension's rights: writing chat.attachment, making triggers.
 *
 * Anybody may call them, so what the caller may is judged inside, and by who the caller really is. PL/pgSQL that runs
 * with the owner's rights cannot know that: there is no way to ask for the role that called it, and the outer role of
 * the session is not that one while code of another role runs, such as that of an index which a superuser rebuilds, or
 * a SECURITY DEFINER function. So here, before the rights change, the current role becomes the first argument of the
 * function that does the work: chat.attach(…) calls chat.attach_for(caller, …), which nobody else may call.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(chat_for_caller);
PG_FUNCTION_INFO_V1(chat_execute_as);

typedef struct Call
{
	char *statement;
	int nargs;
	Oid types[FUNC_MAX_ARGS + 1];
	Datum values[FUNC_MAX_ARGS + 1];
	char nulls[FUNC_MAX_ARGS + 1];
} Call;

static void
add_argument(Call *call, Oid type, Datum value, bool isnull)
{
	call->types[call->nargs] = type;
	call->values[call->nargs] = value;
	call->nulls[call->nargs] = isnull ? 'n' : ' ';
	call->nargs++;
}

/* The call of the function that does the work, in the current memory context. */
static Call *
make_call(FunctionCallInfo fcinfo, Oid caller)
{
	Call *call = palloc0(sizeof(Call));
	StringInfoData buf;
	Oid *types;
	int nargs;

	(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &nargs);
	Assert(nargs == PG_NARGS());
	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT * FROM chat.%s($1",
					 quote_identifier(psprintf("%s_for", get_func_name(fcinfo->flinfo->fn_oid))));
	add_argument(call, REGROLEOID, ObjectIdGetDatum(caller), false);
	for (int i = 0; i < nargs; i++)
	{
		appendStringInfo(&buf, ", $%d", i + 2);
		add_argument(call, types[i], PG_GETARG_DATUM(i), PG_ARGISNULL(i));
	}
	appendStringInfoChar(&buf, ')');
	call->statement = buf.data;
	return call;
}

static Oid
function_owner(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Gives the rows of the last statement to the caller's tuple store. */
static void
return_rows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
}

/* The first value of the last statement's row, in the caller's memory. */
static Datum
return_value(Oid type, bool *isnull)
{
	Datum value;
	int16 length;
	bool by_value;

	*isnull = true;
	if (type == VOIDOID || SPI_processed == 0)
		return (Datum) 0;
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
	get_typlenbyval(type, &length, &by_value);
	return *isnull ? (Datum) 0 : SPI_datumTransfer(value, by_value, length);
}

/* SQL: every function of which there is another one, named …_for, with the caller before its arguments */
Datum
chat_for_caller(PG_FUNCTION_ARGS)
{
	Oid function = fcinfo->flinfo->fn_oid;
	Oid caller;
	int context;
	Call *call;
	Datum value = (Datum) 0;
	bool isnull = true;

	GetUserIdAndSecContext(&caller, &context);
	call = make_call(fcinfo, caller);
	if (fcinfo->flinfo->fn_retset)
		InitMaterializedSRF(fcinfo, 0);
	/* After an error the identity is put back by whatever ends the transaction or its part. */
	SetUserIdAndSecContext(function_owner(function), context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	if (SPI_execute_with_args(call->statement, call->nargs, call->types, call->values, call->nulls,
							  func_volatile(function) != PROVOLATILE_VOLATILE, 0) < 0)
		elog(ERROR, "could not execute: %s", call->statement);
	if (fcinfo->flinfo->fn_retset)
		return_rows(fcinfo);
	else
		value = return_value(get_func_rettype(function), &isnull);
	SPI_finish();
	SetUserIdAndSecContext(caller, context);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}

/* SQL: chat.execute_as(role, statement) */
Datum
chat_execute_as(PG_FUNCTION_ARGS)
{
	Oid role = PG_GETARG_OID(0);
	char *statement = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user;
	int context, guc_level, result;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(role, context | SECURITY_LOCAL_USERID_CHANGE);
	guc_level = NewGUCNestLevel();
	SPI_connect();
	result = SPI_execute(statement, false, 0);
	if (result < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the statement cannot be run here: %s", SPI_result_code_string(result))));
	SPI_finish();
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, context);
	PG_RETURN_VOID();
}
