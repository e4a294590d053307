/*
 * chat.authenticate: who an API key stands for, and whether it may.
 *
 * A key costs one index look-up: form and checksum are judged before, and the row is read from its table directly; the
 * executor would cost several times what the look-up does. Where an owner's user id is kept in another table, and
 * when the use of a key is noted, kept plans run as the table's owner, as foreign keys do; their text comes from
 * chat.api_key_statements() and qualifies all it names.
 *
 * Only what the administrator has to mend raises. What is wrong with a key is an answer.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "api_stats.h"
#include "apikey.h"
#include "attachment.h"
#include "compat.h"
#include "owner.h"
#include "ratelimit.h"

#define TOUCH_EVERY_MS (60 * 1000)
#define NS_PER_MINUTE INT64CONST(60000000000)
#define DEFAULT_RATE_LIMIT 100
#define ADMIN "chat:admin"

PG_FUNCTION_INFO_V1(chat_authenticate);

/* The columns that are read, in the order of chat.api_key_statements; those up to the scopes are always there. */
typedef enum KeyColumn
{
	KEY_ID,
	KEY_OWNER,
	KEY_HASH,
	KEY_SCOPES,
	KEY_RATE_LIMIT,
	KEY_ACTIVE,
	KEY_EXPIRES,
	KEY_LAST_USED,
	KEY_COLUMNS
} KeyColumn;

/* A table of keys: how to read it, and its statements. */
typedef struct KeyTable
{
	Oid relid;
	Oid index; /* on the hash; invalid: there is none, and the table is read through */
	AttrNumber column[KEY_COLUMNS]; /* 0: the table has none */
	Oid owner_type;
	Oid owner_output;
	const char *owner_text; /* NULL: the owner column is the user id */
	SPIPlanPtr owner;       /* $1 owner column; NULL until first used */
	const char *touch_text;
	SPIPlanPtr touch; /* $1 id, $2 hash, $3 whether it is another one; NULL until first used */
} KeyTable;

/* What is found out about a key. */
typedef struct KeyFacts
{
	pg_uuid_t id;
	Datum owner;       /* text */
	ArrayType *scopes; /* NULL: none */
	int32 rate_limit;
	bool active;
	TimestampTz expires_at;
	bool has_last_used;
	TimestampTz last_used_at;
	bool old_hash; /* found by a hash that is to be replaced */
	KeyTable *table;
	ChatLimitResult limit;
} KeyFacts;

/* The attached tables of keys, as they were in one generation. */
typedef struct KeyTables
{
	uint64 generation;
	MemoryContext context;
	int count;
	KeyTable tables[FLEXIBLE_ARRAY_MEMBER];
} KeyTables;

static KeyTables *current = NULL;

/* Counts the changes of chat.attachment and of the tables it names. */
static uint64 generation = 1;
static Oid attachment_relid = InvalidOid;

static void
table_changed(Datum arg, Oid relid)
{
	/* While new ones are being loaded it is not known yet which tables are concerned. */
	bool ours = relid == InvalidOid || relid == attachment_relid || current == NULL ||
				current->generation != generation;

	for (int i = 0; !ours && i < current->count; i++)
		ours = current->tables[i].relid == relid;
	if (ours)
		generation++;
}

static SPIPlanPtr
keep_plan(const char *statement, int nargs, Oid *types)
{
	SPIPlanPtr plan = SPI_prepare(statement, nargs, types);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

/* The index that a hash is looked up in: a plain one on that column alone. */
static Oid
find_index(Relation relation, AttrNumber column)
{
	ListCell *cell;
	Oid found = InvalidOid;

	foreach (cell, RelationGetIndexList(relation))
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;

		/* The predicate itself is not asked for: what is constant in it would be evaluated, as whoever calls. */
		if (form->indisvalid && form->indnkeyatts == 1 && form->indkey.values[0] == column &&
			index->rd_rel->relam == BTREE_AM_OID &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			found = RelationGetRelid(index);
		index_close(index, AccessShareLock);
	}
	return found;
}

/* Fills in how to read a table. */
static void
describe_table(KeyTable *table, Oid relid, ArrayType *columns)
{
	Relation relation = table_open(relid, AccessShareLock);
	bool varlena;

	if (ARR_NDIM(columns) != 1 || ARR_DIMS(columns)[0] != KEY_COLUMNS || ARR_HASNULL(columns))
		elog(ERROR, "chat.api_key_statements() does not fit this library");
	memcpy(table->column, ARR_DATA_PTR(columns), sizeof(table->column));
	table->relid = relid;
	table->index = find_index(relation, table->column[KEY_HASH]);
	table->owner_type = get_atttype(relid, table->column[KEY_OWNER]);
	getTypeOutputInfo(table->owner_type, &table->owner_output, &varlena);
	table_close(relation, AccessShareLock);
}

static void
free_plans(void *arg)
{
	KeyTables *tables = arg;

	for (int i = 0; i < tables->count; i++)
	{
		if (tables->tables[i].owner)
			SPI_freeplan(tables->tables[i].owner);
		if (tables->tables[i].touch)
			SPI_freeplan(tables->tables[i].touch);
	}
}

/* Memory for count tables that frees their plans when it goes. */
static KeyTables *
make_tables(int count, uint64 as_of)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "chat_realtime API keys",
												  ALLOCSET_SMALL_SIZES);
	KeyTables *made =
		MemoryContextAllocZero(context, offsetof(KeyTables, tables) + sizeof(KeyTable) * count);
	MemoryContextCallback *callback = MemoryContextAllocZero(context, sizeof(*callback));

	made->context = context;
	made->count = count;
	made->generation = as_of;
	callback->func = free_plans;
	callback->arg = made;
	MemoryContextRegisterResetCallback(context, callback);
	return made;
}

/* A text of the row that SPI returned, in this memory context, or NULL. */
static char *
keep_text(MemoryContext context, uint64 row, int number)
{
	char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number);

	return value ? MemoryContextStrdup(context, value) : NULL;
}

static void
read_statements(void *arg)
{
	if (SPI_execute("SELECT source, columns, owner, touch FROM chat.api_key_statements()", true,
					0) != SPI_OK_SELECT)
		elog(ERROR, "the tables of API keys cannot be read");
}

/* Reads which tables of keys there are. */
static KeyTables *
load_tables(void)
{
	KeyTables *made;
	uint64 as_of;

	attachment_relid = chat_own_table("attachment");
	as_of = generation;
	SPI_connect();
	chat_as_owner(attachment_relid, true, read_statements, NULL);
	made = make_tables(SPI_processed, as_of);
	for (int i = 0; i < made->count; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		bool isnull;
		Datum relid = SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull);
		Datum columns = SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull);

		describe_table(&made->tables[i], DatumGetObjectId(relid), DatumGetArrayTypeP(columns));
		made->tables[i].owner_text = keep_text(made->context, i, 3);
		made->tables[i].touch_text = keep_text(made->context, i, 4);
	}
	SPI_finish();
	return made;
}

/*
 * The tables of keys. What is replaced lives on until the end of the transaction: a trigger of such a table that calls
 * chat.authenticate must not take away the plan that fires it.
 */
static KeyTables *
get_tables(void)
{
	static bool registered = false;
	KeyTables *made;

	if (current != NULL && current->generation == generation)
		return current;
	if (!registered)
		CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	registered = true;
	made = load_tables();
	if (current != NULL)
		MemoryContextSetParent(current->context, TopTransactionContext);
	MemoryContextSetParent(made->context, CacheMemoryContext);
	current = made;
	return current;
}

/* A column of a row; NULL where the table has none. */
static Datum
value_of(const KeyTable *table, HeapTuple row, TupleDesc desc, KeyColumn column, bool *isnull)
{
	*isnull = true;
	if (table->column[column] == 0)
		return (Datum) 0;
	return heap_getattr(row, table->column[column], desc, isnull);
}

typedef struct UserCall
{
	KeyTable *table;
	Datum owner;
} UserCall;

static void
read_user(void *arg)
{
	UserCall *call = arg;
	KeyTable *table = call->table;

	if (table->owner == NULL)
		table->owner = keep_plan(table->owner_text, 1, &table->owner_type);
	if (SPI_execute_plan(table->owner, &call->owner, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "the owner of an API key cannot be read");
}

/* The user behind an owner that is kept in another table, or NULL. */
static Datum
find_user(KeyTable *table, Datum owner)
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

/* The user id behind an owner column's value, as text, or NULL. */
static Datum
owner_of(KeyTable *table, Datum owner)
{
	if (table->owner_text != NULL)
		return find_user(table, owner);
	return CStringGetTextDatum(OidOutputFunctionCall(table->owner_output, owner));
}

/* Copies what is told by the row of a key. */
static void
read_facts(KeyTable *table, HeapTuple row, TupleDesc desc, KeyFacts *facts)
{
	bool isnull;
	Datum value;

	facts->table = table;
	facts->id = *DatumGetUUIDP(value_of(table, row, desc, KEY_ID, &isnull));
	value = value_of(table, row, desc, KEY_OWNER, &isnull);
	facts->owner = isnull ? (Datum) 0 : owner_of(table, value);
	value = value_of(table, row, desc, KEY_SCOPES, &isnull);
	facts->scopes = isnull ? NULL : DatumGetArrayTypePCopy(value);
	value = value_of(table, row, desc, KEY_RATE_LIMIT, &isnull);
	facts->rate_limit = isnull ? DEFAULT_RATE_LIMIT : DatumGetInt32(value);
	value = value_of(table, row, desc, KEY_ACTIVE, &isnull);
	facts->active = isnull ? table->column[KEY_ACTIVE] == 0 : DatumGetBool(value);
	value = value_of(table, row, desc, KEY_EXPIRES, &isnull);
	facts->expires_at = isnull ? DT_NOEND : DatumGetTimestampTz(value);
	value = value_of(table, row, desc, KEY_LAST_USED, &isnull);
	facts->has_last_used = !isnull || table->column[KEY_LAST_USED] == 0;
	facts->last_used_at = isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

/* The index found the row by this hash; compared once more in constant time, whatever collation the index has. */
static bool
same_hash(const KeyTable *table, HeapTuple row, TupleDesc desc, const char *hash)
{
	bool isnull;
	Datum value = value_of(table, row, desc, KEY_HASH, &isnull);
	text *stored = DatumGetTextPP(value);

	return VARSIZE_ANY_EXHDR(stored) == CHAT_KEY_HASH_LENGTH &&
		   timingsafe_bcmp(VARDATA_ANY(stored), hash, CHAT_KEY_HASH_LENGTH) == 0;
}

/* Looks a hash up in one table. A plain scan checks no privilege and no policy. */
static bool
find_row(KeyTable *table, Relation relation, const char *hash, KeyFacts *facts)
{
	TupleDesc desc = RelationGetDescr(relation);
	AttrNumber column = table->column[KEY_HASH];
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;
	bool found = false;

	ScanKeyEntryInitialize(&key, 0, column, BTEqualStrategyNumber, InvalidOid,
						   TupleDescAttr(desc, column - 1)->attcollation, F_TEXTEQ,
						   CStringGetTextDatum(hash));
	scan = systable_beginscan(relation, table->index, OidIsValid(table->index), GetActiveSnapshot(),
							  1, &key);
	while (!found && (row = systable_getnext(scan)) != NULL)
	{
		found = same_hash(table, row, desc, hash);
		if (found)
			read_facts(table, row, desc, facts);
	}
	systable_endscan(scan);
	return found;
}

typedef enum LookUp
{
	FOUND,
	NOT_FOUND,
	CHANGED /* what is known of the table does not hold any more */
} LookUp;

/* The same, with the table's lock: under it, the table is as it is known, or it is known that it is not. */
static LookUp
look_up(const KeyTables *tables, KeyTable *table, const char *hash, KeyFacts *facts)
{
	Relation relation = try_table_open(table->relid, AccessShareLock);
	LookUp result = CHANGED;

	if (relation != NULL && tables->generation == generation)
		result = find_row(table, relation, hash, facts) ? FOUND : NOT_FOUND;
	if (relation != NULL)
		table_close(relation, AccessShareLock);
	return result;
}

/* Looks a hash up in every table of keys. */
static bool
find_hash(const char *hash, KeyFacts *facts)
{
	KeyTables *tables = get_tables();
	int i = 0;

	while (i < tables->count)
	{
		LookUp result = look_up(tables, &tables->tables[i], hash, facts);

		if (result == FOUND)
			return true;
		i++;
		if (result == CHANGED)
		{
			CHECK_FOR_INTERRUPTS();
			tables = get_tables();
			i = 0;
		}
	}
	return false;
}

/* Looks a key up by its hash, and by the one that the pepper before gave. hash: what it is stored under from now on. */
static bool
find_key(const char *key, char *hash, KeyFacts *facts)
{
	char old_hash[CHAT_KEY_HASH_LENGTH + 1];

	chat_key_hash(key, chat_key_pepper, hash);
	if (find_hash(hash, facts))
		return true;
	if (strcmp(chat_key_pepper, chat_key_pepper_old) == 0)
		return false;
	chat_key_hash(key, chat_key_pepper_old, old_hash);
	facts->old_hash = find_hash(old_hash, facts);
	return facts->old_hash;
}

/* True when this transaction may note the use of a key without waiting and without failing for it. */
static bool
may_write(Oid relid)
{
	return !XactReadOnly && !RecoveryInProgress() && !IsInParallelMode() &&
		   !IsolationUsesXactSnapshot() && ConditionalLockRelationOid(relid, RowExclusiveLock);
}

/* Whether the use of a key is to be noted: once a minute, and when its hash is to be replaced. */
static bool
touch_is_due(const KeyFacts *facts)
{
	return facts->old_hash || !facts->has_last_used ||
		   TimestampDifferenceExceeds(facts->last_used_at, GetCurrentTimestamp(), TOUCH_EVERY_MS);
}

typedef struct TouchCall
{
	const KeyFacts *facts;
	const char *hash;
} TouchCall;

static void
write_touch(void *arg)
{
	const TouchCall *call = arg;
	Datum values[3] = {UUIDPGetDatum(&call->facts->id), CStringGetTextDatum(call->hash),
					   BoolGetDatum(call->facts->old_hash)};
	Oid types[3] = {UUIDOID, TEXTOID, BOOLOID};
	KeyTable *table = call->facts->table;

	if (table->touch == NULL)
		table->touch = keep_plan(table->touch_text, 3, types);
	(void) SPI_execute_plan(table->touch, values, NULL, false, 0);
}

/* Notes that the key was used, and stores it under this hash. */
static void
touch(const KeyFacts *facts, const char *hash)
{
	TouchCall call = {facts, hash};

	SPI_connect();
	chat_as_owner(facts->table->relid, false, write_touch, &call);
	SPI_finish();
}

static bool
text_is(const text *value, const char *wanted, size_t length)
{
	return VARSIZE_ANY_EXHDR(value) == length && memcmp(VARDATA_ANY(value), wanted, length) == 0;
}

/* Whether the scopes contain one. */
static bool
has_scope(ArrayType *scopes, const char *wanted, size_t length)
{
	Datum *elements;
	bool *nulls;
	int count;
	bool found = false;

	if (scopes == NULL)
		return false;
	deconstruct_array(scopes, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count && !found; i++)
		found = !nulls[i] && text_is(DatumGetTextPP(elements[i]), wanted, length);
	return found;
}

/* chat:admin implies the other scopes there are, not whatever is asked for. */
static bool
scope_suffices(ArrayType *scopes, const text *required)
{
	bool known = text_is(required, "chat:read", 9) || text_is(required, "chat:write", 10);

	return has_scope(scopes, VARDATA_ANY(required), VARSIZE_ANY_EXHDR(required)) ||
		   (known && has_scope(scopes, ADMIN, strlen(ADMIN)));
}

/* Takes one call of the key's minute; a limit below 1, which only a foreign table can hold, lets nothing through. */
static bool
within_rate(KeyFacts *facts)
{
	if (facts->rate_limit < 1)
		facts->limit = (ChatLimitResult){.full_after = NS_PER_MINUTE, .retry_after = NS_PER_MINUTE};
	else
		facts->limit = chat_limit_take(CHAT_LIMIT_KEY, &facts->id, sizeof(facts->id),
									   facts->rate_limit, NS_PER_MINUTE);
	return facts->limit.allowed;
}

/* Judges a key that was found. */
static ChatAuthCode
judge_facts(KeyFacts *facts, const text *required_scope)
{
	if (!facts->active || facts->owner == 0)
		return CHAT_AUTH_INVALID;
	if (facts->expires_at <= GetCurrentTimestamp())
		return CHAT_AUTH_EXPIRED;
	if (required_scope != NULL && !scope_suffices(facts->scopes, required_scope))
		return CHAT_AUTH_SCOPES;
	return within_rate(facts) ? CHAT_AUTH_OK : CHAT_AUTH_RATE_LIMIT;
}

/* Judges a well-formed key. */
static ChatAuthCode
judge_key(const char *key, const text *required_scope, KeyFacts *facts)
{
	char hash[CHAT_KEY_HASH_LENGTH + 1];
	ChatAuthCode code;

	if (!find_key(key, hash, facts))
		return CHAT_AUTH_INVALID;
	code = judge_facts(facts, required_scope);
	if (code == CHAT_AUTH_OK && touch_is_due(facts) && may_write(facts->table->relid))
		touch(facts, hash);
	return code;
}

/* Judges what was given as a key; only one of the right length is read. */
static ChatAuthCode
judge(FunctionCallInfo fcinfo, KeyFacts *facts)
{
	Size length = PG_ARGISNULL(0) ? 0 : toast_raw_datum_size(PG_GETARG_DATUM(0)) - VARHDRSZ;
	const char *key;

	if (length == 0)
		return CHAT_AUTH_MISSING;
	if (length != CHAT_KEY_LENGTH)
		return CHAT_AUTH_INVALID_FORMAT;
	key = VARDATA_ANY(PG_GETARG_TEXT_PP(0));
	if (!chat_key_is_well_formed(key))
		return CHAT_AUTH_INVALID_FORMAT;
	return judge_key(key, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1), facts);
}

static int
http_status(ChatAuthCode code)
{
	switch (code)
	{
		case CHAT_AUTH_OK:
			return 200;
		case CHAT_AUTH_SCOPES:
			return 403;
		case CHAT_AUTH_RATE_LIMIT:
			return 429;
		default:
			return 401;
	}
}

/* The answer as chat.auth_result. Nothing is told about a key that is not good. */
static Datum
answer(TupleDesc desc, ChatAuthCode code, const KeyFacts *facts)
{
	bool good = http_status(code) != 401;
	bool limited = code == CHAT_AUTH_OK || code == CHAT_AUTH_RATE_LIMIT;
	Datum values[10] = {BoolGetDatum(code == CHAT_AUTH_OK), Int32GetDatum(http_status(code)),
						CStringGetTextDatum(chat_auth_code_name(code))};
	bool nulls[10] = {false, false,    false,    !good,   !good, !good || !facts->scopes,
					  !good, !limited, !limited, !limited};

	if (good)
	{
		values[3] = facts->owner;
		values[4] = UUIDPGetDatum(&facts->id);
		values[5] = PointerGetDatum(facts->scopes);
		values[6] = Int32GetDatum(facts->rate_limit);
	}
	if (limited)
	{
		values[7] = Int32GetDatum(facts->limit.remaining);
		values[8] = chat_limit_reset_at(&facts->limit);
		values[9] = chat_limit_retry_after(&facts->limit);
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
chat_authenticate(PG_FUNCTION_ARGS)
{
	KeyFacts facts = {0};
	instr_time start;
	ChatAuthCode code;
	TupleDesc desc;
	Datum result;

	INSTR_TIME_SET_CURRENT(start);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	code = judge(fcinfo, &facts);
	result = answer(desc, code, &facts);
	chat_api_count_code(code);
	chat_api_count_call("authenticate", start);
	PG_RETURN_DATUM(result);
}
