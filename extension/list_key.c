/*
 * Keys of lists; see list_key.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "list_key.h"

PG_FUNCTION_INFO_V1(chat_list_key);
PG_FUNCTION_INFO_V1(chat_list_bucket);
PG_FUNCTION_INFO_V1(chat_list_key_matches);

#define BUCKET_WIDTH (10 * USECS_PER_MINUTE)
#define FIRST_BUCKET INT64CONST(-4000000000000000000) /* of the ten minutes that begin in 2000 */
#define MOST_IN_BUCKET 1024

/* Times are at least -211813488000000000, so an exact key is above CHAT_LIST_NEVER, and a bucket below. */
int64
chat_list_key_exact(TimestampTz at)
{
	return TIMESTAMP_IS_NOBEGIN(at) ? CHAT_LIST_NEVER : at;
}

/* Number of the ten minutes, counted from 2000. */
static int64
bucket_number(TimestampTz at)
{
	int64 number = at / BUCKET_WIDTH;

	return at % BUCKET_WIDTH < 0 ? number - 1 : number;
}

static int64
bucket_of(TimestampTz at)
{
	return TIMESTAMP_IS_NOBEGIN(at) ? FIRST_BUCKET - 1 : FIRST_BUCKET + bucket_number(at);
}

/* True when the ten minutes of a time are over, so that what comes next is in others. */
static bool
is_over(TimestampTz at)
{
	return bucket_number(at) < bucket_number(GetCurrentTransactionStartTimestamp());
}

/* Fills a scan key for equality with an index column. */
static void
equal_to(ScanKey key, Relation index, int column, Datum value)
{
	Oid type = index->rd_opcintype[column];
	Oid equality =
		get_opfamily_member(index->rd_opfamily[column], type, type, BTEqualStrategyNumber);

	ScanKeyEntryInitialize(key, 0, column + 1, BTEqualStrategyNumber, InvalidOid,
						   index->rd_indcollation[column], get_opcode(equality), value);
}

/* The conversation of the entry that a scan is at. */
static ChatKey
entry_id(IndexScanDesc scan, Oid type)
{
	bool isnull;
	Datum id = index_getattr(scan->xs_itup, 3, scan->xs_itupdesc, &isnull);

	return chat_key_from_datum(id, type);
}

/*
 * Counts the conversations of an owner's bucket, as far as it may have them. They are in the order of their ids, so versions of
 * one follow each other. What is dead counts until it is cleaned up.
 */
static bool
holds_most(ChatTable *table, Datum owner, int64 bucket)
{
	Relation index = index_open(table->layout->list_index, AccessShareLock);
	IndexScanDesc scan = chat_index_beginscan(table->relation, index, SnapshotAny, 2);
	ScanKeyData keys[2];
	ChatKey last = {0, 0};
	int count = 0;

	equal_to(&keys[0], index, 0, owner);
	equal_to(&keys[1], index, 1, Int64GetDatum(bucket));
	scan->xs_want_itup = true;
	index_rescan(scan, keys, 2, NULL, 0);
	while (count < MOST_IN_BUCKET && index_getnext_tid(scan, ForwardScanDirection) != NULL)
	{
		ChatKey id = entry_id(scan, table->attachment->key_type);

		if (count > 0 && chat_key_compare(&id, &last) == 0)
			continue;
		last = id;
		count++;
	}
	index_endscan(scan);
	index_close(index, NoLock);
	return count == MOST_IN_BUCKET;
}

/* True when an owner's bucket takes no more conversations. The last one that was found so is remembered. */
static bool
is_full(ChatTable *table, int64 bucket)
{
	static struct
	{
		Oid index;
		uint32 owner; /* a hash: who is taken for another one gets an exact key, no more */
		int64 bucket;
	} full;
	AttrNumber attnum = table->layout->att[CHAT_C_OWNER];
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table->relation), attnum - 1);
	bool isnull;
	Datum owner = slot_getattr(table->slot, attnum, &isnull);
	uint32 hash;

	if (isnull)
		return false; /* in nobody's list */
	hash = datum_image_hash(owner, attribute->attbyval, attribute->attlen);
	if (full.index == table->layout->list_index && full.owner == hash && full.bucket == bucket)
		return true;
	if (!holds_most(table, owner, bucket))
		return false;
	full.index = table->layout->list_index;
	full.owner = hash;
	full.bucket = bucket;
	return true;
}

/* The locked row's key; false: it has none. */
static bool
current_key(const ChatTable *table, int64 *key)
{
	bool isnull;
	Datum value = slot_getattr(table->slot, table->layout->att[CHAT_C_LIST_KEY], &isnull);

	if (!isnull)
		*key = DatumGetInt64(value);
	return !isnull;
}

static TimestampTz
last_time(const ChatCounters *counters)
{
	return counters->has_last ? counters->last_at : DT_NOBEGIN;
}

static bool
key_matches(int64 key, TimestampTz at)
{
	return key == chat_list_key_exact(at) || (!TIMESTAMP_IS_NOBEGIN(at) && key == bucket_of(at));
}

bool
chat_list_key_fits(const ChatTable *table, const ChatCounters *counters)
{
	int64 key;

	return table->layout->att[CHAT_C_LIST_KEY] == 0 ||
		   (current_key(table, &key) && key_matches(key, last_time(counters)));
}

int64
chat_list_key_next(ChatTable *table, const ChatCounters *counters)
{
	TimestampTz at = last_time(counters);
	int64 key;

	if (table->layout->att[CHAT_C_LIST_KEY] == 0)
		return 0;
	if (current_key(table, &key) && key_matches(key, at))
		return key;
	if (TIMESTAMP_NOT_FINITE(at) || is_over(at) || !OidIsValid(table->layout->list_index) ||
		is_full(table, bucket_of(at)))
		return chat_list_key_exact(at);
	return bucket_of(at);
}

static bool
index_fits(Relation index, const AttrNumber *columns)
{
	return index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid &&
		   index->rd_index->indnkeyatts == 3 &&
		   memcmp(index->rd_index->indkey.values, columns, 3 * sizeof(AttrNumber)) == 0 &&
		   RelationGetIndexPredicate(index) == NIL;
}

Oid
chat_list_key_index(Relation relation, AttrNumber owner, AttrNumber key, AttrNumber id)
{
	AttrNumber columns[] = {owner, key, id};
	Oid found = InvalidOid;
	ListCell *cell;

	if (owner == 0 || key == 0 || id == 0)
		return InvalidOid;
	foreach (cell, RelationGetIndexList(relation))
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index_fits(index, columns))
			found = RelationGetRelid(index);
		index_close(index, NoLock);
	}
	return found;
}

/* --- for SQL ----------------------------------------------------------------------------------------- */

static TimestampTz
time_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(n);
}

/* SQL: chat.list_key(at) */
Datum
chat_list_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(chat_list_key_exact(time_argument(fcinfo, 0)));
}

/* SQL: chat.list_bucket(at) */
Datum
chat_list_bucket(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(bucket_of(time_argument(fcinfo, 0)));
}

/* SQL: chat.list_key_matches(key, at) */
Datum
chat_list_key_matches(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) && key_matches(PG_GETARG_INT64(0), time_argument(fcinfo, 1)));
}
