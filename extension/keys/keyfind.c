/*
 * Finding keys; see keyfind.h. A key costs one index look-up, or none if this session has seen it (keyplaces.h): the
 * executor would cost several times as much.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "keys/keyfind.h"
#include "keys/keyplaces.h"
#include "owner.h"
#include "plans.h"

#define DEFAULT_RATE_LIMIT 100

typedef struct UserCall
{
	ChatKeyTable *table;
	Datum owner;
} UserCall;

static void
read_user(void *arg)
{
	UserCall *call = arg;
	ChatKeyTable *table = call->table;

	if (table->find_owner == NULL)
		table->find_owner = chat_plan_user(&table->owner, table->owner_type);
	if (SPI_execute_plan(table->find_owner, &call->owner, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "the owner of an API key cannot be read");
}

/* The user behind an owner that is kept in another table, or 0. */
static Datum
find_user(ChatKeyTable *table, Datum owner)
{
	UserCall call = {table, owner};
	Datum result = (Datum) 0;
	bool isnull = true;

	SPI_connect();
	chat_as_owner(table->relid, true, read_user, &call);
	if (SPI_processed > 0)
		result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		result = SPI_datumTransfer(result, false, -1);
	SPI_finish();
	return isnull ? (Datum) 0 : result;
}

/* The user id behind an owner column's value, as text, or 0. */
static Datum
owner_of(ChatKeyTable *table, Datum owner)
{
	if (table->owner.table != NULL)
		return find_user(table, owner);
	return CStringGetTextDatum(OidOutputFunctionCall(table->owner_output, owner));
}

/* One look-up in the tables of keys. */
typedef struct Search
{
	ChatKeyTables *tables;
	ChatHash key;     /* what the key is known by in this session */
	const char *hash; /* what it is looked up by */
	bool places;      /* whether to remember where it is */
} Search;

/* The columns of a row. */
typedef struct KeyRow
{
	const ChatKeyTable *table;
	const Datum *values;
	const bool *isnull;
} KeyRow;

/* False for SQL NULL and for a column that the table lacks. */
static bool
get_column(const KeyRow *row, ChatKeyColumn column, Datum *value)
{
	AttrNumber number = row->table->column[column];

	if (number == 0 || row->isnull[number - 1])
		return false;
	*value = row->values[number - 1];
	return true;
}

/* Compared in constant time, whatever collation an index has. */
static bool
has_hash(const KeyRow *row, const char *hash)
{
	Datum value;
	text *stored;

	if (!get_column(row, CHAT_K_HASH, &value))
		return false;
	stored = DatumGetTextPP(value);
	return VARSIZE_ANY_EXHDR(stored) == CHAT_KEY_HASH_LENGTH &&
		   timingsafe_bcmp(VARDATA_ANY(stored), hash, CHAT_KEY_HASH_LENGTH) == 0;
}

/* Copies what a row tells. */
static void
read_facts(ChatKeyTable *table, const KeyRow *row, ChatKeyFacts *facts)
{
	Datum value;

	facts->table = table;
	if (get_column(row, CHAT_K_ID, &value))
		facts->id = *DatumGetUUIDP(value);
	facts->owner = get_column(row, CHAT_K_OWNER, &value) ? owner_of(table, value) : (Datum) 0;
	facts->scopes = get_column(row, CHAT_K_SCOPES, &value) ? DatumGetArrayTypePCopy(value) : NULL;
	facts->rate_limit =
		get_column(row, CHAT_K_RATE_LIMIT, &value) ? DatumGetInt32(value) : DEFAULT_RATE_LIMIT;
	facts->active = get_column(row, CHAT_K_ACTIVE, &value) ? DatumGetBool(value)
														   : table->column[CHAT_K_ACTIVE] == 0;
	facts->expires_at =
		get_column(row, CHAT_K_EXPIRES, &value) ? DatumGetTimestampTz(value) : DT_NOEND;
	facts->has_last_used = get_column(row, CHAT_K_LAST_USED, &value);
	facts->last_used_at = facts->has_last_used ? DatumGetTimestampTz(value) : DT_NOEND;
	if (table->column[CHAT_K_LAST_USED] == 0)
		facts->has_last_used = true;
}

/* Whether a slot holds the row with this hash; reads it then. */
static bool
read_slot(ChatKeyTable *table, TupleTableSlot *slot, const char *hash, ChatKeyFacts *facts)
{
	KeyRow row = {table, slot->tts_values, slot->tts_isnull};

	slot_getallattrs(slot);
	if (!has_hash(&row, hash))
		return false;
	read_facts(table, &row, facts);
	return true;
}

/* Remembers where a row is; tid: what the index said. */
static void
keep_place(const Search *search, ItemPointer tid, TupleTableSlot *slot)
{
	ChatKeyPlace place = {
		.key = search->key,
		.generation = search->tables->generation,
		.peppers = chat_key_peppers,
		.tid = *tid,
		.buffer = ((BufferHeapTupleTableSlot *) slot)->buffer,
	};

	memcpy(place.hash, search->hash, CHAT_KEY_HASH_LENGTH);
	chat_keyplaces_keep(&place);
}

/* Looks a hash up in the table's index. */
static bool
find_by_index(const Search *search, ChatKeyTable *table, Relation relation, TupleTableSlot *slot,
			  ChatKeyFacts *facts)
{
	Relation index = index_open(table->index, AccessShareLock);
	IndexScanDesc scan = chat_index_beginscan(relation, index, GetActiveSnapshot(), 1);
	bool places = search->places && table->certain && table == search->tables->tables;
	ScanKeyData key;
	ItemPointer next;
	bool found = false;

	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid, index->rd_indcollation[0],
						   F_TEXTEQ, CStringGetTextDatum(search->hash));
	index_rescan(scan, &key, 1, NULL, 0);
	while (!found && (next = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		ItemPointerData tid = *next;

		if (!index_fetch_heap(scan, slot))
			continue;
		found = read_slot(table, slot, search->hash, facts);
		if (found && places)
			keep_place(search, &tid, slot);
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
	return found;
}

/* Looks for a hash in a table that has no index for it. */
static bool
find_by_scan(const Search *search, ChatKeyTable *table, Relation relation, TupleTableSlot *slot,
			 ChatKeyFacts *facts)
{
	TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, NULL);
	bool found = false;

	while (!found && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		found = read_slot(table, slot, search->hash, facts);
	}
	table_endscan(scan);
	return found;
}

/* Looks a hash up in one table. */
static bool
find_row(const Search *search, ChatKeyTable *table, Relation relation, ChatKeyFacts *facts)
{
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	bool found;

	if (OidIsValid(table->index))
		found = find_by_index(search, table, relation, slot, facts);
	else
		found = find_by_scan(search, table, relation, slot, facts);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/* Reads the row that was found at a place, if it is there and visible still. */
static bool
read_place(ChatKeyTable *table, Relation relation, const ChatKeyPlace *place, ChatKeyFacts *facts)
{
	TupleDesc desc = RelationGetDescr(relation);
	ItemPointerData tid = place->tid;
	HeapTupleData tuple;
	bool found;

	if (!chat_read_recent_buffer(relation, ItemPointerGetBlockNumber(&tid), place->buffer))
		return false;
	LockBuffer(place->buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&tid, relation, place->buffer, GetActiveSnapshot(), &tuple, NULL,
								   true);
	LockBuffer(place->buffer, BUFFER_LOCK_UNLOCK);
	if (found)
	{
		Datum *values = palloc(sizeof(Datum) * desc->natts);
		bool *isnull = palloc(sizeof(bool) * desc->natts);
		KeyRow row = {table, values, isnull};

		heap_deform_tuple(&tuple, desc, values, isnull);
		found = has_hash(&row, place->hash);
		if (found)
			read_facts(table, &row, facts);
	}
	ReleaseBuffer(place->buffer);
	return found;
}

typedef enum LookUp
{
	FOUND,
	NOT_FOUND,
	CHANGED /* what is known of the table does not hold any more */
} LookUp;

/* Opens a table; NULL: it is not as it is known. Under its lock it is, or that is known. */
static Relation
open_table(const ChatKeyTables *tables, const ChatKeyTable *table)
{
	Relation relation = try_table_open(table->relid, AccessShareLock);

	if (relation == NULL || chat_keytables_hold(tables))
		return relation;
	table_close(relation, AccessShareLock);
	return NULL;
}

static LookUp
look_up(const Search *search, ChatKeyTable *table, ChatKeyFacts *facts)
{
	Relation relation = open_table(search->tables, table);
	bool found;

	if (relation == NULL)
		return CHANGED;
	found = find_row(search, table, relation, facts);
	table_close(relation, AccessShareLock);
	return found ? FOUND : NOT_FOUND;
}

/* Looks a hash up in every table of keys. */
static bool
find_hash(Search search, const char *hash, ChatKeyFacts *facts)
{
	int i = 0;

	search.tables = chat_keytables_get();
	search.hash = hash;
	while (i < search.tables->count)
	{
		LookUp result = look_up(&search, &search.tables->tables[i], facts);

		if (result == FOUND)
			return true;
		i++;
		if (result == CHANGED)
		{
			CHECK_FOR_INTERRUPTS();
			search.tables = chat_keytables_get();
			i = 0;
		}
	}
	return false;
}

/* Looks where this session found the key before. */
static bool
find_at_place(const Search *search, ChatKeyFacts *facts)
{
	ChatKeyTables *tables = search->tables;
	ChatKeyPlace place;
	Relation relation;
	bool found;

	if (tables->count == 0 || !chat_keyplaces_find(search->key, tables->generation, &place))
		return false;
	relation = open_table(tables, &tables->tables[0]);
	if (relation == NULL)
		return false;
	found = read_place(&tables->tables[0], relation, &place, facts);
	table_close(relation, AccessShareLock);
	memcpy(facts->hash, place.hash, CHAT_KEY_HASH_LENGTH);
	facts->hash[CHAT_KEY_HASH_LENGTH] = '\0';
	return found;
}

bool
chat_keyfind(const char *key, ChatKeyFacts *facts)
{
	Search search = {chat_keytables_get(), chat_keyplaces_hash(key), .places = true};
	char old_hash[CHAT_KEY_HASH_LENGTH + 1];

	if (find_at_place(&search, facts))
		return true;
	chat_key_hash(key, chat_key_pepper, facts->hash);
	if (find_hash(search, facts->hash, facts))
		return true;
	if (strcmp(chat_key_pepper, chat_key_pepper_old) == 0)
		return false;
	search.places = false;
	chat_key_hash(key, chat_key_pepper_old, old_hash);
	facts->old_hash = find_hash(search, old_hash, facts);
	return facts->old_hash;
}
