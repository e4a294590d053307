/*
 * Making rows that functions return; see result.h.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/typcache.h"

#include "result.h"

/* What get_call_result_type and BlessTupleDesc find out at the price of a copy of the description for each call. */
static TupleDesc
result_type(FunctionCallInfo fcinfo)
{
	return lookup_rowtype_tupdesc(get_fn_expr_rettype(fcinfo->flinfo), -1);
}

Datum
chat_result_row(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls, int count)
{
	TupleDesc desc = result_type(fcinfo);
	HeapTuple row;

	if (desc->natts != count)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("result type does not fit this library"),
						errhint("Update the extension and its library together.")));
	row = heap_form_tuple(desc, (Datum *) values, (bool *) nulls);
	ReleaseTupleDesc(desc);
	return HeapTupleGetDatum(row);
}
