/*
 * See log_scan.h.
 *
 * Partitions are opened one at a time, under a lock that retention, which drops them, waits for or goes round. Nothing of
 * PostgreSQL's caches is held over an open: bounds are copied, columns and indexes looked up anew.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/xid8.h"
#include "storage/bufmgr.h"

#include "attachment.h"
#include "compat.h"
#include "log_scan.h"

/* --- snapshots ------------------------------------------------------------------------------------ */

static uint64
next_number(const char **at)
{
	char *end;
	uint64 number = strtou64(*at, &end, 10);

	*at = *end == '\0' ? end : end + 1;
	return number;
}

void
chat_seen_read(ChatSeen *seen, const char *snapshot)
{
	/* The server's own reader checks it: xmin:xmax:xip,xip…, in order. */
	Datum checked = DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(snapshot));
	const char *at = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, checked));

	(void) next_number(&at);
	seen->xmax = next_number(&at);
	seen->nrunning = 0;
	seen->running = palloc(sizeof(uint64) * (strlen(at) / 2 + 1));
	while (*at != '\0')
		seen->running[seen->nrunning++] = next_number(&at);
}

bool
chat_seen_has(const ChatSeen *seen, uint64 xid)
{
	int low = 0, high = seen->nrunning;

	if (xid >= seen->xmax)
		return false;
	while (low < high)
	{
		int middle = (low + high) / 2;

		if (seen->running[middle] == xid)
			return false;
		if (seen->running[middle] < xid)
			low = middle + 1;
		else
			high = middle;
	}
	return true;
}

int64
chat_log_restored(Snapshot snapshot)
{
	Oid relid = chat_own_table("origin");
	AttrNumber column = get_attnum(relid, "committed_up_to");
	Relation origin = table_open(relid, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(origin, NULL);
	TableScanDesc scan = table_beginscan(origin, snapshot, 0, NULL);
	int64 restored = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool isnull;
		int64 value = DatumGetInt64(slot_getattr(slot, column, &isnull));

		restored = isnull ? restored : Max(restored, value);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(origin, AccessShareLock);
	return restored;
}

PG_FUNCTION_INFO_V1(chat_committed_up_to);

Datum
chat_committed_up_to(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(chat_log_restored(GetActiveSnapshot()));
}

/* --- partitions ----------------------------------------------------------------------------------- */

void
chat_log_partitions(ChatLogPartitions *partitions)
{
	Relation log = table_open(chat_own_table("event"), AccessShareLock);
	PartitionDesc desc = RelationGetPartitionDesc(log, true);
	PartitionBoundInfo bounds = desc->boundinfo;

	partitions->count = 0;
	partitions->items = palloc(sizeof(ChatLogPartition) * (desc->nparts + 1));
	for (int i = 1; bounds != NULL && i < bounds->ndatums; i++)
	{
		int part = bounds->indexes[i];

		if (part >= 0)
			partitions->items[partitions->count++] = (ChatLogPartition){
				.relid = desc->oids[part],
				.lower = DatumGetInt64(bounds->datums[i - 1][0]),
				.upper = DatumGetInt64(bounds->datums[i][0]),
			};
	}
	/* Whoever drops a partition or takes it out waits for the lock on its parent: those found here are there to the end. */
	table_close(log, NoLock);
}

static void
find_columns(Oid relid, ChatLogColumns *columns)
{
	columns->id = get_attnum(relid, "id");
	columns->xid = get_attnum(relid, "xid");
	columns->created_at = get_attnum(relid, "created_at");
	columns->expires_at = get_attnum(relid, "expires_at");
	columns->conversation = get_attnum(relid, "conversation");
	columns->topic = get_attnum(relid, "topic");
	columns->event = get_attnum(relid, "event");
	columns->payload = get_attnum(relid, "payload");
	columns->inbox = get_attnum(relid, "inbox");
	columns->agent_inbox = get_attnum(relid, "agent_inbox");
	columns->conversation_payload = get_attnum(relid, "conversation_payload");
	columns->conversation_changes = get_attnum(relid, "conversation_changes");
	columns->owner = get_attnum(relid, "owner");
	columns->webhook = get_attnum(relid, "webhook");
	columns->rights = get_attnum(relid, "rights");
	columns->changes = get_attnum(relid, "changes");
}

struct varlena *
chat_log_text(const ChatLogRow *row, AttrNumber column)
{
	if (column == 0 || row->slot->tts_isnull[column - 1])
		return NULL;
	return PG_DETOAST_DATUM_PACKED(row->slot->tts_values[column - 1]);
}

/* The index, by its first column, that has every row; error 55000: there is none. */
static Relation
open_index(Relation heap, AttrNumber column, const char *name)
{
	List *indexes = RelationGetIndexList(heap);
	ListCell *cell;

	foreach (cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_index->indisvalid && index->rd_index->indkey.values[0] == column &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			return index;
		index_close(index, AccessShareLock);
	}
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("table \"chat.%s\" has no index on \"%s\"", RelationGetRelationName(heap), name),
		 errhint(
			 "Compare its indexes with those of chat.event_0, and make the one that is missing.")));
}

/* A partition under scan. */
typedef struct PartitionScan
{
	Relation heap;
	ChatLogColumns columns;
	TupleTableSlot *slot;
	Relation index; /* NULL: rows are fetched by their places */
	IndexScanDesc scan;
} PartitionScan;

static void
prepare(PartitionScan *scan)
{
	find_columns(RelationGetRelid(scan->heap), &scan->columns);
	scan->slot = table_slot_create(scan->heap, NULL);
	scan->index = NULL;
}

/* Of rows by their places, which an earlier statement found; false: the partition is gone meanwhile. */
static bool
open_places(PartitionScan *scan, Oid relid)
{
	scan->heap = try_table_open(relid, AccessShareLock);
	if (scan->heap == NULL)
		return false;
	prepare(scan);
	return true;
}

/* Of rows by the index of this column, in a partition that is there: chat_log_partitions keeps it. */
static void
open_scan(PartitionScan *scan, Oid relid, const char *column, Snapshot snapshot)
{
	scan->heap = table_open(relid, AccessShareLock);
	prepare(scan);
	scan->index = open_index(scan->heap, get_attnum(relid, column), column);
	scan->scan = chat_index_beginscan(scan->heap, scan->index, snapshot, 1);
}

static void
close_scan(PartitionScan *scan)
{
	if (scan->index != NULL)
	{
		index_endscan(scan->scan);
		index_close(scan->index, AccessShareLock);
	}
	ExecDropSingleTupleTableSlot(scan->slot);
	table_close(scan->heap, AccessShareLock);
}

static bool
next_row(PartitionScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	return index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot);
}

static bool
visit_slot(PartitionScan *scan, ChatLogVisit visit, void *arg)
{
	ChatLogRow row = {.slot = scan->slot, .columns = &scan->columns};

	slot_getallattrs(scan->slot);
	row.id = DatumGetInt64(scan->slot->tts_values[scan->columns.id - 1]);
	return visit(arg, &row);
}

/* --- fresh rows ----------------------------------------------------------------------------------- */

static bool
visit_fresh(PartitionScan *scan, int64 after, ChatLogVisit visit, void *arg)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	index_rescan(scan->scan, &key, 1, NULL, 0);
	while (next_row(scan))
	{
		if (!visit_slot(scan, visit, arg))
			return false;
	}
	return true;
}

void
chat_log_fresh(const ChatLogPartitions *partitions, int64 after, Snapshot snapshot,
			   ChatLogVisit visit, void *arg)
{
	bool more = true;

	for (int i = 0; more && i < partitions->count; i++)
	{
		PartitionScan scan;

		if (partitions->items[i].upper <= after)
			continue;
		open_scan(&scan, partitions->items[i].relid, "id", snapshot);
		more = visit_fresh(&scan, after, visit, arg);
		close_scan(&scan);
	}
}

/* --- late rows ------------------------------------------------------------------------------------ */

typedef struct Late
{
	int64 floor, last_id;
	const ChatSeen *target;
	ChatLatePlace *places;
	int64 count, room;
} Late;

static void
note_place(Late *late, const PartitionScan *scan, int partition)
{
	bool isnull;
	int64 id = DatumGetInt64(slot_getattr(scan->slot, scan->columns.id, &isnull));
	uint64 xid = U64FromFullTransactionId(
		DatumGetFullTransactionId(slot_getattr(scan->slot, scan->columns.xid, &isnull)));

	if (id <= late->floor || id > late->last_id ||
		(late->target != NULL && !chat_seen_has(late->target, xid)))
		return;
	if (late->count == late->room)
	{
		late->room = late->room == 0 ? 64 : late->room * 2;
		late->places = late->places == NULL
						   ? palloc(late->room * sizeof(*late->places))
						   : repalloc_huge(late->places, late->room * sizeof(*late->places));
	}
	late->places[late->count++] = (ChatLatePlace){id, scan->slot->tts_tid, (uint16) partition};
}

static void
note_places(Late *late, PartitionScan *scan, int partition, StrategyNumber strategy,
			RegProcedure compare, uint64 xid)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, strategy, compare,
				FullTransactionIdGetDatum(FullTransactionIdFromU64(xid)));
	index_rescan(scan->scan, &key, 1, NULL, 0);
	while (next_row(scan))
		note_place(late, scan, partition);
}

static int
by_id(const void *a, const void *b)
{
	int64 x = ((const ChatLatePlace *) a)->id, y = ((const ChatLatePlace *) b)->id;

	return x < y ? -1 : x > y;
}

ChatLatePlace *
chat_log_late(const ChatLogPartitions *partitions, int64 floor, int64 last_id, const ChatSeen *seen,
			  const ChatSeen *target, Snapshot snapshot, int64 *count)
{
	Late late = {.floor = floor, .last_id = last_id, .target = target};

	for (int i = 0; i < partitions->count; i++)
	{
		PartitionScan scan;

		if (partitions->items[i].lower > last_id || partitions->items[i].upper <= floor)
			continue;
		open_scan(&scan, partitions->items[i].relid, "xid", snapshot);
		for (int x = 0; x < seen->nrunning; x++)
			note_places(&late, &scan, i, BTEqualStrategyNumber, F_XID8EQ, seen->running[x]);
		note_places(&late, &scan, i, BTGreaterEqualStrategyNumber, F_XID8GE, seen->xmax);
		close_scan(&scan);
	}
	if (late.count > 1)
		qsort(late.places, late.count, sizeof(*late.places), by_id);
	*count = late.count;
	return late.places;
}

PG_FUNCTION_INFO_V1(chat_has_late_events);

Datum
chat_has_late_events(PG_FUNCTION_ARGS)
{
	Snapshot snapshot = GetActiveSnapshot();
	int64 last_id = PG_GETARG_INT64(0);
	char *text = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, PG_GETARG_DATUM(1)));
	int64 floor = Max(chat_log_restored(snapshot), PG_GETARG_INT64(2) - 1);
	ChatLogPartitions partitions;
	ChatSeen seen;
	int64 count;

	chat_log_partitions(&partitions);
	chat_seen_read(&seen, text);
	(void) chat_log_late(&partitions, floor, last_id, &seen, NULL, snapshot, &count);
	PG_RETURN_BOOL(count > 0);
}

/* False: it is there no more, or another row is: the partition was emptied since it was found. */
static bool
fetch_place(PartitionScan *scan, const ChatLatePlace *place, BlockNumber blocks, Snapshot snapshot)
{
	ItemPointerData tid = place->tid;
	bool isnull;

	CHECK_FOR_INTERRUPTS();
	return ItemPointerGetBlockNumber(&tid) < blocks &&
		   table_tuple_fetch_row_version(scan->heap, &tid, snapshot, scan->slot) &&
		   DatumGetInt64(slot_getattr(scan->slot, scan->columns.id, &isnull)) == place->id;
}

void
chat_log_visit(const ChatLogPartitions *partitions, const ChatLatePlace *places, int64 count,
			   Snapshot snapshot, ChatLogVisit visit, void *arg)
{
	bool more = true;

	for (int64 i = 0; more && i < count;)
	{
		uint16 partition = places[i].partition;
		BlockNumber blocks;
		PartitionScan scan;

		if (!open_places(&scan, partitions->items[partition].relid))
		{
			while (i < count && places[i].partition == partition)
				i++;
			continue;
		}
		blocks = RelationGetNumberOfBlocks(scan.heap);
		for (; more && i < count && places[i].partition == partition; i++)
		{
			if (fetch_place(&scan, &places[i], blocks, snapshot))
				more = visit_slot(&scan, visit, arg);
		}
		close_scan(&scan);
	}
}
