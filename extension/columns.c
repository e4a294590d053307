/*
 * Types of an attached table's columns, for the functions that build statements: in C, since each API call asks for
 * several.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(chat_attribute_type);
PG_FUNCTION_INFO_V1(chat_attribute_base_type);
PG_FUNCTION_INFO_V1(chat_cast_type);

/* Type of the column that two arguments name, or InvalidOid; typmod as declared. */
static Oid
column_type(FunctionCallInfo fcinfo, int32 *typmod)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	HeapTuple tuple =
		strlen(name) < NAMEDATALEN ? SearchSysCacheAttName(PG_GETARG_OID(0), name) : NULL;
	Oid type = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	if (((Form_pg_attribute) GETSTRUCT(tuple))->attnum > 0)
	{
		type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
		*typmod = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypmod;
	}
	ReleaseSysCache(tuple);
	return type;
}

/* SQL: chat.attribute_type(relation, name) */
Datum
chat_attribute_type(PG_FUNCTION_ARGS)
{
	int32 typmod;
	Oid type = column_type(fcinfo, &typmod);

	if (!OidIsValid(type))
		PG_RETURN_NULL();
	PG_RETURN_OID(type);
}

/* SQL: chat.attribute_base_type(relation, name) */
Datum
chat_attribute_base_type(PG_FUNCTION_ARGS)
{
	int32 typmod;
	Oid type = column_type(fcinfo, &typmod);

	if (!OidIsValid(type))
		PG_RETURN_NULL();
	PG_RETURN_OID(getBaseType(type));
}

/* SQL: chat.cast_type(relation, name, exact), which functions of 1.0 call until that is updated */
Datum
chat_cast_type(PG_FUNCTION_ARGS)
{
	int32 typmod = -1;
	Oid type = column_type(fcinfo, &typmod);
	bool exact = PG_GETARG_BOOL(2);

	if (!OidIsValid(type))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(
		format_type_extended(type, exact ? -1 : typmod, exact ? 0 : FORMAT_TYPE_TYPEMOD_GIVEN)));
}
