/*
 * chat.authenticate: who an API key stands for, and whether it may.
 *
 * A key costs one index look-up: form and checksum are judged before, and the statements are kept plans, one for each
 * attached table of keys. They run as the table's owner, as foreign keys do; their text comes from
 * chat.api_key_statements() and qualifies all it names.
 *
 * Only missing server settings raise. What is wrong with a key is an answer.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "api_stats.h"
#include "apikey.h"
#include "attachment.h"
#include "compat.h"
#include "plans.h"
#include "ratelimit.h"

#define TOUCH_EVERY_MS (60 * 1000)
#define NS_PER_MINUTE INT64CONST(60000000000)
#define DEFAULT_RATE_LIMIT 100
#define ADMIN "chat:admin"

PG_FUNCTION_INFO_V1(chat_authenticate);

/* A table of keys, and its statements. */
typedef struct KeyTable
{
	Oid relid;
	SPIPlanPtr lookup; /* $1 hash */
	const char *touch_text;
	SPIPlanPtr touch; /* $1 id, $2 hash, $3 whether it is another one; NULL until first used */
} KeyTable;

/* Result columns of the look-up. */
enum
{
	COL_ID = 1,
	COL_OWNER,
	COL_HASH,
	COL_SCOPES,
	COL_RATE_LIMIT,
	COL_ACTIVE,
	COL_EXPIRES,
	COL_LAST_USED
};

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

/* Takes the identity of a table's owner, until *user and *context are set again. */
static void
become_owner(Oid relid, Oid *user, int *context)
{
	GetUserIdAndSecContext(user, context);
	SetUserIdAndSecContext(chat_table_owner(relid),
						   *context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
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

/* Prepares the look-up of one table. Preparing an UPDATE would wait for whoever holds the table. */
static void
prepare_table(KeyTable *table, Oid relid, const char *lookup)
{
	Oid hash_type = TEXTOID;
	Oid user;
	int context;

	table->relid = relid;
	become_owner(relid, &user, &context);
	table->lookup = keep_plan(lookup, 1, &hash_type);
	SetUserIdAndSecContext(user, context);
}

static void
free_plans(void *arg)
{
	KeyTables *tables = arg;

	for (int i = 0; i < tables->count; i++)
	{
		if (tables->tables[i].lookup)
			SPI_freeplan(tables->tables[i].lookup);
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

/* Reads which tables of keys there are. Connected to SPI. */
static KeyTables *
load_tables(void)
{
	KeyTables *made;
	SPITupleTable *found;
	uint64 as_of;
	Oid user;
	int context;

	attachment_relid = chat_own_table("attachment");
	as_of = generation;
	become_owner(attachment_relid, &user, &context);
	if (SPI_execute("SELECT source, lookup, touch FROM chat.api_key_statements()", true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "the tables of API keys cannot be read");
	SetUserIdAndSecContext(user, context);
	found = SPI_tuptable;
	made = make_tables(found->numvals, as_of);
	for (int i = 0; i < made->count; i++)
	{
		bool isnull;
		Datum relid = SPI_getbinval(found->vals[i], found->tupdesc, 1, &isnull);

		prepare_table(&made->tables[i], DatumGetObjectId(relid),
					  SPI_getvalue(found->vals[i], found->tupdesc, 2));
		made->tables[i].touch_text =
			MemoryContextStrdup(made->context, SPI_getvalue(found->vals[i], found->tupdesc, 3));
	}
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

/* A column of the row that was looked up. */
static Datum
column(int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number, isnull);
}

/* Copies what the look-up found into the memory of the caller. */
static void
read_facts(KeyFacts *facts, MemoryContext caller)
{
	MemoryContext old = MemoryContextSwitchTo(caller);
	bool isnull;
	Datum value;

	facts->id = *DatumGetUUIDP(column(COL_ID, &isnull));
	value = column(COL_OWNER, &isnull);
	facts->owner = isnull ? (Datum) 0 : datumCopy(value, false, -1);
	value = column(COL_SCOPES, &isnull);
	facts->scopes = isnull ? NULL : DatumGetArrayTypePCopy(value);
	value = column(COL_RATE_LIMIT, &isnull);
	facts->rate_limit = isnull ? DEFAULT_RATE_LIMIT : DatumGetInt32(value);
	value = column(COL_ACTIVE, &isnull);
	facts->active = !isnull && DatumGetBool(value);
	value = column(COL_EXPIRES, &isnull);
	facts->expires_at = isnull ? DT_NOEND : DatumGetTimestampTz(value);
	value = column(COL_LAST_USED, &isnull);
	facts->has_last_used = !isnull;
	facts->last_used_at = isnull ? 0 : DatumGetTimestampTz(value);
	MemoryContextSwitchTo(old);
}

/* The index found the row by this hash; compared once more in constant time, whatever collation the index has. */
static bool
same_hash(const char *hash)
{
	bool isnull;
	text *stored = DatumGetTextPP(column(COL_HASH, &isnull));

	return VARSIZE_ANY_EXHDR(stored) == CHAT_KEY_HASH_LENGTH &&
		   timingsafe_bcmp(VARDATA_ANY(stored), hash, CHAT_KEY_HASH_LENGTH) == 0;
}

/* Looks a hash up in every table of keys. */
static bool
find_hash(const char *hash, KeyFacts *facts, MemoryContext caller)
{
	KeyTables *tables = get_tables();
	Datum argument = CStringGetTextDatum(hash);

	for (int i = 0; i < tables->count; i++)
	{
		Oid user;
		int context, result;

		become_owner(tables->tables[i].relid, &user, &context);
		result = SPI_execute_plan(tables->tables[i].lookup, &argument, NULL, true, 1);
		SetUserIdAndSecContext(user, context);
		if (result != SPI_OK_SELECT)
			elog(ERROR, "look-up of an API key returned %s", SPI_result_code_string(result));
		if (SPI_processed == 0 || !same_hash(hash))
			continue;
		read_facts(facts, caller);
		facts->table = &tables->tables[i];
		return true;
	}
	return false;
}

/* Looks a key up by its hash, and by the one that the pepper before gave. hash: what it is stored under from now on. */
static bool
find_key(const char *key, char *hash, KeyFacts *facts, MemoryContext caller)
{
	char old_hash[CHAT_KEY_HASH_LENGTH + 1];

	chat_key_hash(key, chat_key_pepper, hash);
	if (find_hash(hash, facts, caller))
		return true;
	if (strcmp(chat_key_pepper, chat_key_pepper_old) == 0)
		return false;
	chat_key_hash(key, chat_key_pepper_old, old_hash);
	facts->old_hash = find_hash(old_hash, facts, caller);
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

/* Notes that the key was used, and stores it under this hash. */
static void
touch(const KeyFacts *facts, const char *hash)
{
	Datum values[3] = {UUIDPGetDatum(&facts->id), CStringGetTextDatum(hash),
					   BoolGetDatum(facts->old_hash)};
	Oid types[3] = {UUIDOID, TEXTOID, BOOLOID};
	KeyTable *table = facts->table;
	Oid user;
	int context;

	become_owner(table->relid, &user, &context);
	if (table->touch == NULL)
		table->touch = keep_plan(table->touch_text, 3, types);
	(void) SPI_execute_plan(table->touch, values, NULL, false, 0);
	SetUserIdAndSecContext(user, context);
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
	MemoryContext caller = CurrentMemoryContext;
	char hash[CHAT_KEY_HASH_LENGTH + 1];
	ChatAuthCode code = CHAT_AUTH_INVALID;

	SPI_connect();
	if (find_key(key, hash, facts, caller))
	{
		code = judge_facts(facts, required_scope);
		if (code == CHAT_AUTH_OK && touch_is_due(facts) && may_write(facts->table->relid))
			touch(facts, hash);
	}
	SPI_finish();
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
