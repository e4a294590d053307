/*
 * chat.authenticate: who an API key stands for, and whether it may.
 *
 * Form and checksum are judged first, then the key's row is found (keyfind.h). The use of a key is noted by a kept plan
 * that runs as the table's owner, as foreign keys do, and qualifies all it names.
 *
 * Only a table of keys or a pepper that the administrator has to mend raises. What is wrong with a key is an answer, and so
 * is that its limit cannot be kept.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "keys/api_stats.h"
#include "keys/apikey.h"
#include "compat.h"
#include "keys/keyfind.h"
#include "owner.h"
#include "plans.h"
#include "keys/ratelimit.h"
#include "result.h"
#include "keys/shmem.h"

#define TOUCH_EVERY_MS (60 * 1000)
#define NS_PER_MINUTE INT64CONST(60000000000)
#define RETRY_UNAVAILABLE INT64CONST(1000000000)
#define ADMIN "chat:admin"

PG_FUNCTION_INFO_V1(chat_authenticate);

/* What is found out about a request. */
typedef struct Request
{
	ChatKeyFacts key;
	ChatLimitResult limit;
	TimestampTz now;
} Request;

/* True when this transaction may note the use of a key without waiting and without failing for it. */
static bool
may_write(Oid relid)
{
	return !XactReadOnly && !RecoveryInProgress() && !IsInParallelMode() &&
		   !IsolationUsesXactSnapshot() && ConditionalLockRelationOid(relid, RowExclusiveLock);
}

/* Whether the use of a key is to be noted: once a minute, and when its hash is to be replaced. */
static bool
touch_is_due(const ChatKeyFacts *facts, TimestampTz now)
{
	return facts->old_hash || !facts->has_last_used ||
		   TimestampDifferenceExceeds(facts->last_used_at, now, TOUCH_EVERY_MS);
}

/* $1 id, $2 hash, $3 whether it is another one; does not wait for the row, and notes nothing that was noted by then */
static SPIPlanPtr
plan_touch(const ChatKeyTable *table)
{
	Oid types[3] = {UUIDOID, TEXTOID, BOOLOID};
	const char *id = quote_identifier(table->column_name[CHAT_K_ID]);
	const char *hash = quote_identifier(table->column_name[CHAT_K_HASH]);
	const char *last_used = table->column_name[CHAT_K_LAST_USED];
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s AS k SET %s = $2", table->name, hash);
	if (last_used != NULL)
		appendStringInfo(&sql, ", %s = pg_catalog.clock_timestamp()", quote_identifier(last_used));
	appendStringInfo(&sql,
					 " WHERE k.%s OPERATOR(pg_catalog.=) (SELECT l.%s FROM %s AS l "
					 "WHERE l.%s OPERATOR(pg_catalog.=) $1 AND ($3",
					 id, id, table->name, id);
	if (last_used != NULL)
		appendStringInfo(&sql,
						 " OR (l.%s OPERATOR(pg_catalog.>=) (pg_catalog.clock_timestamp() "
						 "OPERATOR(pg_catalog.-) '1 min'::pg_catalog.interval)) IS NOT TRUE",
						 quote_identifier(last_used));
	appendStringInfoString(&sql, ") FOR UPDATE SKIP LOCKED)");
	return chat_plan_keep(sql.data, 3, types);
}

static void
write_touch(void *arg)
{
	const ChatKeyFacts *facts = arg;
	Datum values[3] = {UUIDPGetDatum(&facts->id), CStringGetTextDatum(facts->hash),
					   BoolGetDatum(facts->old_hash)};
	ChatKeyTable *table = facts->table;

	if (table->touch == NULL)
		table->touch = plan_touch(table);
	(void) SPI_execute_plan(table->touch, values, NULL, false, 0);
}

/* Notes that the key was used, and stores it under its hash. */
static void
touch(ChatKeyFacts *facts)
{
	SPI_connect();
	chat_as_owner(facts->table->relid, false, write_touch, facts);
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

/* Says once what is missing: the caller's answer has no room for a hint. */
static void
warn_unavailable(void)
{
	static bool warned = false;

	if (!warned)
		ereport(WARNING, (errmsg("chat.authenticate cannot keep the rate limits of API keys"),
						  chat_shared() == NULL
							  ? errhint("Add chat_realtime to shared_preload_libraries and restart "
										"the server, or set chat_realtime.rate_limits = off.")
							  : errdetail("The table of rate limits is full.")));
	warned = true;
}

/* Takes one call of the key's minute; a limit below 1, which only a foreign table can hold, lets nothing through. */
static ChatAuthCode
judge_rate(Request *request)
{
	const ChatKeyFacts *key = &request->key;

	if (key->rate_limit < 1)
		request->limit =
			(ChatLimitResult){.full_after = NS_PER_MINUTE, .retry_after = NS_PER_MINUTE};
	else
		request->limit = chat_limit_take(CHAT_LIMIT_KEY, &key->id, sizeof(key->id), key->rate_limit,
										 NS_PER_MINUTE);
	if (request->limit.unavailable)
	{
		warn_unavailable();
		request->limit.retry_after = RETRY_UNAVAILABLE;
		return CHAT_AUTH_UNAVAILABLE;
	}
	return request->limit.allowed ? CHAT_AUTH_OK : CHAT_AUTH_RATE_LIMIT;
}

/* Judges a key that was found. */
static ChatAuthCode
judge_facts(Request *request, const text *required_scope)
{
	const ChatKeyFacts *key = &request->key;

	if (!key->active || key->owner == 0)
		return CHAT_AUTH_INVALID;
	if (key->expires_at <= request->now)
		return CHAT_AUTH_EXPIRED;
	if (required_scope != NULL && !scope_suffices(key->scopes, required_scope))
		return CHAT_AUTH_SCOPES;
	return judge_rate(request);
}

/* Judges a well-formed key. */
static ChatAuthCode
judge_key(const char *key, const text *required_scope, Request *request)
{
	ChatAuthCode code;

	if (!chat_keyfind(key, &request->key))
		return CHAT_AUTH_INVALID;
	request->now = GetCurrentTimestamp();
	code = judge_facts(request, required_scope);
	if (code == CHAT_AUTH_OK && touch_is_due(&request->key, request->now) &&
		may_write(request->key.table->relid))
		touch(&request->key);
	return code;
}

/* Judges what was given as a key; only one of the right length is read. */
static ChatAuthCode
judge(FunctionCallInfo fcinfo, Request *request)
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
	return judge_key(key, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1), request);
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
		case CHAT_AUTH_UNAVAILABLE:
			return 503;
		default:
			return 401;
	}
}

/* The SQLSTATE that says the same as a refusal. */
static int
sqlstate_of(ChatAuthCode code)
{
	switch (http_status(code))
	{
		case 403:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case 429:
			return CHAT_ERRCODE_RATE_LIMITED;
		case 503:
			return ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		default:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
	}
}

/* The answer as chat.auth_result. Nothing is told about a key that is not good. */
static Datum
answer(FunctionCallInfo fcinfo, ChatAuthCode code, const Request *request)
{
	const ChatKeyFacts *key = &request->key;
	bool good = http_status(code) != 401;
	bool limited = code == CHAT_AUTH_OK || code == CHAT_AUTH_RATE_LIMIT;
	Datum values[10] = {BoolGetDatum(code == CHAT_AUTH_OK), Int32GetDatum(http_status(code)),
						CStringGetTextDatum(chat_auth_code_name(code))};
	bool later = limited || code == CHAT_AUTH_UNAVAILABLE;
	bool nulls[10] = {false, false,    false,    !good, !good, !good || !key->scopes,
					  !good, !limited, !limited, !later};

	if (good)
	{
		values[3] = key->owner;
		values[4] = UUIDPGetDatum(&key->id);
		values[5] = PointerGetDatum(key->scopes);
		values[6] = Int32GetDatum(key->rate_limit);
	}
	if (limited)
	{
		values[7] = Int32GetDatum(request->limit.remaining);
		values[8] = chat_limit_reset_at(&request->limit, request->now);
	}
	if (later)
		values[9] = chat_limit_retry_after(&request->limit);
	return chat_result_row(fcinfo, values, nulls, lengthof(values));
}

Datum
chat_authenticate(PG_FUNCTION_ARGS)
{
	Request request = {0};
	instr_time start;
	ChatAuthCode code;
	Datum result;

	INSTR_TIME_SET_CURRENT(start);
	code = judge(fcinfo, &request);
	result = answer(fcinfo, code, &request);
	chat_api_count_code(code);
	if (code != CHAT_AUTH_OK)
		chat_api_count_refusal(CHAT_BY_KEY, sqlstate_of(code));
	chat_api_count_call("authenticate", start);
	PG_RETURN_DATUM(result);
}
