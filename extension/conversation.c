/*
 * Locking and writing rows of attached conversations tables; see conversation.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "conversation.h"
#include "list_key.h"
#include "plans.h"
#include "row.h"

/* Opens the conversations table of an attachment, if it is not open. */
static void
open_table(ChatTable *table, ChatAttachment *attachment)
{
	MemoryContext old;

	if (table->attachment == attachment)
		return;
	chat_conversation_close(table);
	old = MemoryContextSwitchTo(table->context);
	table->relation = table_open(attachment->conversations, RowExclusiveLock);
	table->layout = chat_layout_get(attachment, table->relation, false);
	table->slot = table_slot_create(table->relation, NULL);
	table->new_slot = MakeSingleTupleTableSlot(RelationGetDescr(table->relation), &TTSOpsVirtual);
	table->attachment = attachment;
	MemoryContextSwitchTo(old);
}

void
chat_conversation_close(ChatTable *table)
{
	if (table->attachment == NULL)
		return;
	if (table->indexes != NULL)
		chat_indexes_close(table->indexes);
	table->indexes = NULL;
	ExecDropSingleTupleTableSlot(table->slot);
	ExecDropSingleTupleTableSlot(table->new_slot);
	table_close(table->relation, NoLock);
	table->attachment = NULL;
}

/* Equality operator's function of a key type. */
static RegProcedure
equality(Oid type)
{
	return type == INT8OID   ? F_INT8EQ
		   : type == INT4OID ? F_INT4EQ
		   : type == INT2OID ? F_INT2EQ
							 : F_UUID_EQ;
}

/* Finds a row by primary key into table->slot. */
static bool
find_row(ChatTable *table, ChatKey key, Snapshot snapshot)
{
	Relation index;
	IndexScanDesc scan;
	Oid type = table->attachment->key_type;
	ScanKeyData scan_key;
	bool found;

	if (!OidIsValid(table->layout->key_index))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("attached table \"%s\" has no primary key any more",
							   RelationGetRelationName(table->relation)),
						errhint("Make one on the column of the conversations' ids.")));
	index = index_open(table->layout->key_index, RowExclusiveLock);
	scan = chat_index_beginscan(table->relation, index, snapshot, 1);
	ScanKeyInit(&scan_key, 1, BTEqualStrategyNumber, equality(type), chat_key_to_datum(key, type));
	index_rescan(scan, &scan_key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, table->slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/* Locks the row in table->slot, in its latest version; waits for whoever holds it. */
static bool
lock_row(ChatTable *table, Snapshot snapshot)
{
	TM_FailureData failure;
	ItemPointerData tid = table->slot->tts_tid;
	TM_Result result = table_tuple_lock(table->relation, &tid, snapshot, table->slot,
										GetCurrentCommandId(true), LockTupleNoKeyExclusive,
										LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);

	if (result == TM_Deleted || result == TM_SelfModified)
		return false;
	if (result != TM_Ok)
		elog(ERROR, "conversation could not be locked: result %d", (int) result);
	return true;
}

bool
chat_conversation_lock(ChatTable *table, ChatAttachment *attachment, ChatKey key)
{
	Snapshot snapshot;
	bool locked;

	open_table(table, attachment);
	CommandCounterIncrement(); /* what this transaction did to the row is to be seen */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	locked = find_row(table, key, snapshot) && lock_row(table, snapshot);
	table->latest = table->slot;
	UnregisterSnapshot(snapshot);
	return locked;
}

/* A column of the locked row; NULL for a column that the table lacks, too. */
static Datum
get_column(const ChatTable *table, ChatRole role, bool *isnull)
{
	*isnull = true;
	return table->layout->att[role] == 0
			   ? (Datum) 0
			   : slot_getattr(table->slot, table->layout->att[role], isnull);
}

void
chat_conversation_counters(const ChatTable *table, ChatCounters *counters)
{
	const ChatLayout *layout = table->layout;
	bool isnull;
	Datum value = get_column(table, CHAT_C_UNREAD, &isnull);

	counters->unread = isnull                                   ? 0
					   : layout->type[CHAT_C_UNREAD] == INT8OID ? DatumGetInt64(value)
					   : layout->type[CHAT_C_UNREAD] == INT4OID ? DatumGetInt32(value)
																: DatumGetInt16(value);
	value = get_column(table, CHAT_C_LAST_AT, &isnull);
	counters->has_last = !isnull;
	counters->last_at =
		isnull ? 0 : DatumGetTimestampTz(value); /* in UTC, with a zone or without */
	value = get_column(table, CHAT_C_PREVIEW, &isnull);
	counters->preview = chat_datum_text(value, isnull, TEXTOID);
}

/* Sets a column of the new version. */
static void
set_column(ChatTable *table, ChatRole role, Datum value, bool isnull)
{
	AttrNumber attnum = table->layout->att[role];

	if (attnum == 0)
		return;
	table->new_slot->tts_values[attnum - 1] = value;
	table->new_slot->tts_isnull[attnum - 1] = isnull;
}

/* Builds the new version in table->new_slot. */
static void
fill_new_slot(ChatTable *table, const ChatCounters *counters)
{
	TupleTableSlot *slot = table->new_slot;
	int natts = RelationGetDescr(table->relation)->natts;
	Oid unread_type = table->layout->type[CHAT_C_UNREAD];

	slot_getallattrs(table->slot);
	ExecClearTuple(slot);
	memcpy(slot->tts_values, table->slot->tts_values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, table->slot->tts_isnull, natts * sizeof(bool));
	set_column(table, CHAT_C_UNREAD,
			   unread_type == INT8OID ? Int64GetDatum(counters->unread)
			   : unread_type == INT4OID
				   ? Int32GetDatum((int32) Min(counters->unread, PG_INT32_MAX))
				   : Int16GetDatum((int16) Min(counters->unread, PG_INT16_MAX)),
			   false);
	set_column(table, CHAT_C_LAST_AT, TimestampTzGetDatum(counters->last_at), !counters->has_last);
	set_column(table, CHAT_C_PREVIEW,
			   counters->preview ? CStringGetTextDatum(counters->preview) : (Datum) 0,
			   counters->preview == NULL);
	set_column(table, CHAT_C_LIST_KEY, Int64GetDatum(chat_list_key_next(table, counters)), false);
	set_column(table, CHAT_C_UPDATED,
			   TimestampTzGetDatum(chat_time_held(table->layout, CHAT_C_UPDATED,
												  GetCurrentTransactionStartTimestamp())),
			   false);
	ExecStoreVirtualTuple(slot);
}

/* Makes the index entries of the new version. */
static void
index_new_version(ChatTable *table)
{
	static const ChatRole written[] = {CHAT_C_UNREAD, CHAT_C_LAST_AT, CHAT_C_PREVIEW,
									   CHAT_C_UPDATED, CHAT_C_LIST_KEY};
	AttrNumber changed[lengthof(written) + 1] = {0};
	int n = 0;

	for (int i = 0; i < (int) lengthof(written); i++)
	{
		AttrNumber attnum = table->layout->att[written[i]];

		if (!chat_row_same(table->slot, table->new_slot, attnum))
			changed[n++] = attnum;
	}
	if (table->indexes == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(table->context);

		table->indexes = chat_indexes_open(table->relation);
		MemoryContextSwitchTo(old);
	}
	chat_indexes_insert(table->indexes, &table->new_slot, 1, changed);
}

/* Writes the new version into heap and indexes. */
static void
write_directly(ChatTable *table, const ChatCounters *counters)
{
	ItemPointerData tid = table->slot->tts_tid;

	fill_new_slot(table, counters);
	table->new_slot->tts_tableOid = RelationGetRelid(table->relation);
	PushActiveSnapshot(GetLatestSnapshot());
	if (chat_update_tuple(table->relation, &tid, table->new_slot, GetActiveSnapshot()))
		index_new_version(table);
	PopActiveSnapshot();
	table->latest = table->new_slot;
}

/* Writes by an UPDATE statement, and reads the new version back. */
static void
write_by_statement(ChatTable *table, ChatKey key, const ChatCounters *counters)
{
	Datum values[5];
	char nulls[5] = {' ', ' ', ' ', ' ', ' '};
	bool isnull;
	ItemPointerData tid;

	values[0] = chat_key_to_datum(key, table->attachment->key_type);
	values[1] = Int64GetDatum(counters->unread);
	values[2] = TimestampTzGetDatum(counters->last_at);
	values[3] = counters->preview ? CStringGetTextDatum(counters->preview) : (Datum) 0;
	values[4] = Int64GetDatum(chat_list_key_next(table, counters));
	if (!counters->has_last)
		nulls[2] = 'n';
	if (counters->preview == NULL)
		nulls[3] = 'n';
	if (chat_plan_run(table->attachment, CHAT_PLAN_SET, values, nulls) == 0)
		return; /* a trigger of the user's kept it from happening */
	tid = *(ItemPointer) DatumGetPointer(chat_plan_result(1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (!table_tuple_fetch_row_version(table->relation, &tid, SnapshotAny, table->slot))
		elog(ERROR, "a conversation vanished while it was locked");
}

void
chat_conversation_write(ChatTable *table, ChatKey key, const ChatCounters *counters)
{
	/* With ours the transaction would see the row twice. */
	chat_row_require_seen(table->relation, table->slot,
						  "Another transaction has changed the counters of a conversation.");
	if (table->layout->plain)
		write_directly(table, counters);
	else
		write_by_statement(table, key, counters);
}
