/*
 * Reading rows, and their columns by role; see row.h.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "json_text.h"
#include "row.h"

char *
chat_datum_text(Datum value, bool isnull, Oid type)
{
	Oid output;
	bool varlena;

	if (isnull)
		return NULL;
	if (type == TEXTOID || type == VARCHAROID)
		return TextDatumGetCString(value);
	if (type == BPCHAROID) /* without the blanks at its end, which mean nothing */
		return TextDatumGetCString(DirectFunctionCall1(rtrim1, value));
	if (type == INT8OID)
	{
		char *text = palloc(MAXINT8LEN + 1);

		(void) pg_lltoa(DatumGetInt64(value), text);
		return text;
	}
	if (type == UUIDOID)
	{
		char *text = palloc0(CHAT_UUID_TEXT_LENGTH + 1);

		chat_write_uuid(text, DatumGetUUIDP(value));
		return text;
	}
	getTypeOutputInfo(type, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

char *
chat_row_text(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role)
{
	bool isnull;
	Datum value;

	if (layout->att[role] == 0)
		return NULL;
	value = slot_getattr(slot, layout->att[role], &isnull);
	return chat_datum_text(value, isnull, layout->type[role]);
}

bool
chat_row_is(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role, const char *wanted)
{
	bool isnull;
	Datum value = slot_getattr(slot, layout->att[role], &isnull);

	if (isnull)
		return false;
	if (layout->type[role] == TEXTOID || layout->type[role] == VARCHAROID)
	{
		text *packed = DatumGetTextPP(value);
		size_t length = VARSIZE_ANY_EXHDR(packed);

		return length == strlen(wanted) && memcmp(VARDATA_ANY(packed), wanted, length) == 0;
	}
	return strcmp(chat_datum_text(value, false, layout->type[role]), wanted) == 0;
}

bool
chat_row_is_set(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role)
{
	bool isnull;
	Datum value;

	if (layout->att[role] == 0)
		return false;
	value = slot_getattr(slot, layout->att[role], &isnull);
	if (isnull)
		return false;
	return layout->type[role] == BOOLOID ? DatumGetBool(value) : true;
}

bool
chat_row_time(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role, TimestampTz *time)
{
	bool isnull;
	Datum value;

	if (layout->att[role] == 0)
		return false;
	value = slot_getattr(slot, layout->att[role], &isnull);
	if (isnull)
		return false;
	*time = DatumGetTimestampTz(value); /* a timestamp in UTC has the same bits */
	return true;
}

TimestampTz
chat_time_held(const ChatLayout *layout, ChatRole role, TimestampTz time)
{
	if (layout->typmod[role] < 0)
		return time;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_scale, TimestampTzGetDatum(time),
												   Int32GetDatum(layout->typmod[role])));
}

bool
chat_row_same(TupleTableSlot *old_slot, TupleTableSlot *new_slot, AttrNumber attnum)
{
	Form_pg_attribute attribute;
	bool old_null, new_null;
	Datum old_value, new_value;

	if (attnum == 0)
		return true;
	attribute = TupleDescAttr(new_slot->tts_tupleDescriptor, attnum - 1);
	old_value = slot_getattr(old_slot, attnum, &old_null);
	new_value = slot_getattr(new_slot, attnum, &new_null);
	if (old_null || new_null)
		return old_null == new_null;
	return datum_image_eq(old_value, new_value, attribute->attbyval, attribute->attlen);
}

void
chat_row_require_seen(Relation relation, TupleTableSlot *slot, const char *detail)
{
	if (IsolationUsesXactSnapshot() &&
		!table_tuple_satisfies_snapshot(relation, slot, GetTransactionSnapshot()))
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("could not serialize access due to concurrent update"),
						errdetail_internal("%s", detail),
						errhint("The transaction might succeed if retried.")));
}
