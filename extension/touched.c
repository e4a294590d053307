/*
 * What was written to a table since a snapshot, and whether it has any rows.
 *
 * chat.attach counts for minutes without a lock, and then, while writers wait, has to know what they wrote meanwhile,
 * deleted rows included. No index leads there, but the visibility map does: a snapshot at least as old as the one asked
 * about is held (that of the statement that called), so a page with anything newer on it is not all-visible.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "compat.h"
#include "key.h"

PG_FUNCTION_INFO_V1(chat_touched_since);
PG_FUNCTION_INFO_V1(chat_holds_rows);

/* The snapshot, as transaction ids of rows are: 32 bits. */
typedef struct Since
{
	TransactionId xmin;
	TransactionId xmax;
	int count;
	TransactionId *running;
} Since;

typedef struct TouchedScan
{
	Relation relation;
	Since since;
	AttrNumber column;
	Oid type;   /* of the column, of a domain its base type */
	HTAB *seen; /* keys found so far */
} TouchedScan;

static TransactionId
xid_argument(Datum value)
{
	return XidFromFullTransactionId(DatumGetFullTransactionId(value));
}

static Since
since_arguments(FunctionCallInfo fcinfo)
{
	Since since = {.xmin = xid_argument(PG_GETARG_DATUM(2)),
				   .xmax = xid_argument(PG_GETARG_DATUM(3))};
	Datum *running;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(4), XID8OID, sizeof(FullTransactionId), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &running, NULL, &since.count);
	since.running = palloc(sizeof(TransactionId) * (since.count + 1));
	for (int i = 0; i < since.count; i++)
		since.running[i] = xid_argument(running[i]);
	if (TransactionIdPrecedes(since.xmin, TransactionXmin))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the snapshot is older than any that this session holds")));
	return since;
}

/* True when what this transaction did was not to be seen in the snapshot, or came to nothing. */
static bool
is_newer(const Since *since, TransactionId xid)
{
	if (!TransactionIdIsNormal(xid) || TransactionIdPrecedes(xid, since->xmin))
		return false;
	if (!TransactionIdPrecedes(xid, since->xmax))
		return true;
	xid = SubTransGetTopmostTransaction(xid); /* snapshots name those alone */
	for (int i = 0; i < since->count; i++)
	{
		if (since->running[i] == xid)
			return true;
	}
	return false;
}

static bool
is_touched(const Since *since, HeapTupleHeader tuple)
{
	if (!HeapTupleHeaderXminFrozen(tuple) && is_newer(since, HeapTupleHeaderGetRawXmin(tuple)))
		return true;
	return !(tuple->t_infomask & HEAP_XMAX_INVALID) &&
		   !HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_infomask) &&
		   is_newer(since, HeapTupleHeaderGetUpdateXid(tuple));
}

static void
scan_page(TouchedScan *scan, Buffer buffer)
{
	Page page = BufferGetPage(buffer);
	OffsetNumber last = PageGetMaxOffsetNumber(page);

	for (OffsetNumber n = FirstOffsetNumber; n <= last; n = OffsetNumberNext(n))
	{
		ItemId item = PageGetItemId(page, n);
		HeapTupleData tuple = {.t_tableOid = RelationGetRelid(scan->relation)};
		ChatKey key;
		Datum value;
		bool isnull;

		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		if (!is_touched(&scan->since, tuple.t_data))
			continue;
		value = heap_getattr(&tuple, scan->column, RelationGetDescr(scan->relation), &isnull);
		if (isnull)
			continue;
		key = chat_key_from_datum(value, scan->type);
		(void) hash_search(scan->seen, &key, HASH_ENTER, NULL);
	}
}

static void
scan_table(TouchedScan *scan)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(scan->relation);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	Buffer map = InvalidBuffer;

	for (BlockNumber block = 0; block < blocks; block++)
	{
		Buffer buffer;

		CHECK_FOR_INTERRUPTS();
		if (visibilitymap_get_status(scan->relation, block, &map) & VISIBILITYMAP_ALL_VISIBLE)
			continue;
		buffer = ReadBufferExtended(scan->relation, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		scan_page(scan, buffer);
		UnlockReleaseBuffer(buffer);
	}
	if (BufferIsValid(map))
		ReleaseBuffer(map);
	FreeAccessStrategy(strategy);
}

static ArrayType *
keys_as_texts(TouchedScan *scan)
{
	ArrayBuildState *state = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	HASH_SEQ_STATUS seq;
	ChatKey *key;
	Oid output;
	bool varlena;

	getTypeOutputInfo(scan->type, &output, &varlena);
	hash_seq_init(&seq, scan->seen);
	while ((key = hash_seq_search(&seq)) != NULL)
		state = accumArrayResult(
			state,
			CStringGetTextDatum(OidOutputFunctionCall(output, chat_key_to_datum(*key, scan->type))),
			false, TEXTOID, CurrentMemoryContext);
	return DatumGetArrayTypeP(makeArrayResult(state, CurrentMemoryContext));
}

/* SQL: chat.touched_since(relation, column, xmin, xmax, running) */
Datum
chat_touched_since(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	HASHCTL ctl = {
		.keysize = sizeof(ChatKey), .entrysize = sizeof(ChatKey), .hcxt = CurrentMemoryContext};
	TouchedScan scan = {.since = since_arguments(fcinfo)};
	ArrayType *result;

	scan.relation = table_open(PG_GETARG_OID(0), AccessShareLock);
	scan.column = get_attnum(PG_GETARG_OID(0), name);
	if (scan.relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("%s is no heap", RelationGetRelationName(scan.relation))));
	scan.type =
		scan.column > 0 ? getBaseType(get_atttype(PG_GETARG_OID(0), scan.column)) : InvalidOid;
	if (!chat_key_type_ok(scan.type))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("%s has no key in column \"%s\"",
							   RelationGetRelationName(scan.relation), name)));
	scan.seen =
		hash_create("chat_realtime touched", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	scan_table(&scan);
	result = keys_as_texts(&scan);
	hash_destroy(scan.seen);
	table_close(scan.relation, AccessShareLock);
	PG_RETURN_ARRAYTYPE_P(result);
}

/* A plain scan runs no code of the owner's. */
static bool
has_row(Relation relation)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	bool found = table_scan_getnextslot(scan, ForwardScanDirection, slot);

	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return found;
}

/* SQL: chat.holds_rows(relation) */
Datum
chat_holds_rows(PG_FUNCTION_ARGS)
{
	Relation relation = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	bool held;

	if (relation == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", PG_GETARG_OID(0))));
	held = relation->rd_rel->relkind != RELKIND_RELATION || has_row(relation);
	relation_close(relation, AccessShareLock);
	PG_RETURN_BOOL(held);
}
