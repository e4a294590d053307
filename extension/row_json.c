/*
 * Rows of attached tables as the API shows them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "layout.h"
#include "payload.h"

PG_FUNCTION_INFO_V1(chat_row_json);

/* Which of an attachment's tables a row is of. */
static Oid
table_of_row(const ChatAttachment *attachment, HeapTupleHeader row)
{
	Oid relid = get_typ_typrelid(HeapTupleHeaderGetTypeId(row));

	if (relid != attachment->messages && relid != attachment->conversations)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the row is of none of the tables of attachment %d", attachment->id)));
	return relid;
}

/* SQL: chat.row_json(attachment, row) */
Datum
chat_row_json(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_attachment_get(PG_GETARG_INT32(0));
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(1);
	Oid relid = table_of_row(attachment, row);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};
	Relation relation = table_open(relid, AccessShareLock);
	ChatLayout *layout = chat_layout_get(attachment, relation, relid == attachment->messages);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsHeapTuple);
	StringInfoData buf;

	initStringInfo(&buf);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = relid;
	ExecStoreHeapTuple(&tuple, slot, false);
	chat_payload_whole_row(&buf, layout, slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, AccessShareLock);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
}
