/*
 * Counting; see api_stats.h.
 *
 * The API's functions are SECURITY DEFINER, and PostgreSQL tells a hook of every call of such a function. In a server
 * that does not preload the library, a session's calls are seen from the first one on that used C code.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "keys/api_stats.h"
#include "compat.h"
#include "keys/shmem.h"

PG_FUNCTION_INFO_V1(chat_api_stats);
PG_FUNCTION_INFO_V1(chat_request_by);

static const char *const codes[CHAT_AUTH_CODES] = {
	[CHAT_AUTH_OK] = "OK",
	[CHAT_AUTH_MISSING] = "API_KEY_MISSING",
	[CHAT_AUTH_INVALID_FORMAT] = "API_KEY_INVALID_FORMAT",
	[CHAT_AUTH_INVALID] = "API_KEY_INVALID",
	[CHAT_AUTH_EXPIRED] = "API_KEY_EXPIRED",
	[CHAT_AUTH_SCOPES] = "INSUFFICIENT_SCOPES",
	[CHAT_AUTH_RATE_LIMIT] = "RATE_LIMIT_EXCEEDED",
	[CHAT_AUTH_UNAVAILABLE] = "RATE_LIMIT_UNAVAILABLE",
};

/* What the halves of the table of rate limits are for. */
static const char *const halves[CHAT_LIMIT_HALVES] = {"keys", "names"};

static const char *const callers[CHAT_API_CALLERS] = {"key", "jwt", "service"};

/* ok, classes of SQLSTATE that the API has, and at the end all others. */
static const char outcomes[CHAT_API_OUTCOMES][6] = {"ok", "22", "23", "28", "40", "42",   "53",
													"54", "55", "57", "P0", "PT", "other"};

/* The functions that are counted, sorted. */
static const char *const functions[] = {
	"action_done",
	"archive_conversation",
	"authenticate",
	"check_rate_limit",
	"create_api_key",
	"create_conversation",
	"create_webhook",
	"delete_conversation",
	"delete_message",
	"delete_webhook",
	"edit_message",
	"enable_webhook",
	"events_since",
	"get_conversation",
	"get_webhook_attempt",
	"ingest_wuzapi",
	"list_api_keys",
	"list_conversations",
	"list_messages",
	"list_webhook_attempts",
	"list_webhooks",
	"mark_read",
	"message_failed",
	"message_sent",
	"pending_messages",
	"presence",
	"recipient",
	"redeliver",
	"revoke_api_key",
	"rotate_api_key",
	"rotate_webhook_secret",
	"save_message",
	"search_messages",
	"send_deletion",
	"send_edit",
	"send_reaction",
	"send_read",
	"test_webhook",
	"topic_events",
	"update_api_key",
	"update_conversation",
	"update_message_status",
	"update_webhook",
	"verify_wuzapi",
	"webhook_health",
};

StaticAssertDecl(lengthof(functions) <= CHAT_API_FUNCTIONS, "CHAT_API_FUNCTIONS is too small");

/* Upper bounds of the histogram, in nanoseconds: those of the sidecar's metrics. */
static const uint64 bounds[CHAT_API_BOUNDS] = {
	500000,     1000000,    1500000,     2000000,     3000000,     5000000,      8000000,
	15000000,   30000000,   60000000,    125000000,   250000000,   500000000,    1000000000,
	2500000000, 5000000000, 10000000000, 30000000000, 60000000000, 300000000000, 1800000000000,
};

static fmgr_hook_type previous_hook = NULL;

void
chat_api_stats_init(ChatApiStats *stats)
{
	for (int i = 0; i < CHAT_AUTH_CODES; i++)
		pg_atomic_init_u64(&stats->codes[i], 0);
	for (int i = 0; i < CHAT_API_CALLERS * CHAT_API_OUTCOMES; i++)
		pg_atomic_init_u64(&stats->requests[i / CHAT_API_OUTCOMES][i % CHAT_API_OUTCOMES], 0);
	for (int i = 0; i < CHAT_API_FUNCTIONS; i++)
	{
		pg_atomic_init_u64(&stats->functions[i].calls, 0);
		pg_atomic_init_u64(&stats->functions[i].nanoseconds, 0);
		for (int b = 0; b < CHAT_API_BOUNDS; b++)
			pg_atomic_init_u64(&stats->functions[i].within[b], 0);
	}
}

const char *
chat_auth_code_name(ChatAuthCode code)
{
	return codes[code];
}

void
chat_api_count_code(ChatAuthCode code)
{
	ChatShared *shared = chat_shared();

	if (shared != NULL)
		pg_atomic_fetch_add_u64(&shared->stats.codes[code], 1);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, *(const char *const *) b);
}

/* A function's place in the list, or -1. */
static int
function_number(const char *name)
{
	const char *const *found =
		bsearch(name, functions, lengthof(functions), sizeof(functions[0]), compare_names);

	return found ? found - functions : -1;
}

static void
count(int function, uint64 nanoseconds)
{
	ChatShared *shared = chat_shared();
	ChatApiTimes *times;

	if (shared == NULL)
		return;
	times = &shared->stats.functions[function];
	pg_atomic_fetch_add_u64(&times->calls, 1);
	pg_atomic_fetch_add_u64(&times->nanoseconds, nanoseconds);
	for (int b = 0; b < CHAT_API_BOUNDS; b++)
	{
		if (nanoseconds <= bounds[b])
		{
			pg_atomic_fetch_add_u64(&times->within[b], 1);
			break;
		}
	}
}

static uint64
nanoseconds_since(instr_time start)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return chat_nanoseconds(now);
}

void
chat_api_count_call(const char *function, instr_time start)
{
	count(function_number(function), nanoseconds_since(start));
}

/* Which of the counted functions this is, or -1. */
static int
counted_function(Oid oid)
{
	char *name = get_func_name(oid);
	int function = name ? function_number(name) : -1;
	char *schema = function >= 0 ? get_namespace_name(get_func_namespace(oid)) : NULL;

	return schema != NULL && strcmp(schema, "chat") == 0 ? function : -1;
}

/* Kept by PostgreSQL for each place a function is called from. */
typedef struct ChatCall
{
	int function; /* -1: not counted */
	ChatApiCaller by;
	instr_time start;
	Datum previous; /* of the hook before us */
} ChatCall;

/* What chat.request_by said of the next request, or CHAT_API_CALLERS. */
static ChatApiCaller announced = CHAT_API_CALLERS;
/* The request's call, while it runs. */
static ChatCall *outermost = NULL;

static int
outcome_of(int sqlstate)
{
	const char *code = unpack_sql_state(sqlstate);
	int n = 0;

	while (n < CHAT_API_OUTCOMES - 1 && strncmp(outcomes[n], code, 2) != 0)
		n++;
	return n;
}

static void
count_request(ChatApiCaller by, int outcome)
{
	ChatShared *shared = chat_shared();

	if (announced != CHAT_API_CALLERS)
		by = announced;
	announced = CHAT_API_CALLERS;
	if (shared != NULL)
		pg_atomic_fetch_add_u64(&shared->stats.requests[by][outcome], 1);
}

void
chat_api_count_refusal(ChatApiCaller by, int sqlstate)
{
	count_request(by, outcome_of(sqlstate));
}

/* A request whose end the hook was not told of ends with its transaction. */
static void
transaction_ends(XactEvent event, void *arg)
{
	announced = CHAT_API_CALLERS;
	outermost = NULL;
}

/* SQL: chat.request_by(text) */
Datum
chat_request_by(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	announced = CHAT_BY_KEY;
	while (announced != CHAT_API_CALLERS && strcmp(callers[announced], name) != 0)
		announced++;
	if (announced == CHAT_API_CALLERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no kind of caller", name), errhint("Use key, jwt or service.")));
	PG_RETURN_BOOL(true);
}

/* A look at the claims' text: for a counter it is enough, and it never fails. chat.pre_request adds api_key_id. */
static ChatApiCaller
caller_kind(void)
{
	const char *claims = GetConfigOption("request.jwt.claims", true, false);
	const char *sub = GetConfigOption("request.jwt.claim.sub", true, false);

	if (claims != NULL && strstr(claims, "\"api_key_id\"") != NULL)
		return CHAT_BY_KEY;
	if ((claims != NULL && strstr(claims, "\"sub\"") != NULL) || (sub != NULL && *sub != '\0'))
		return CHAT_BY_JWT;
	return CHAT_BY_SERVICE;
}

/* Notes the outermost call's begin and end. The claims are read at its begin: they may be gone when it fails. */
static void
follow_request(ChatCall *call, FmgrHookEventType event)
{
	if (event == FHET_START && outermost == NULL)
	{
		outermost = call;
		call->by = caller_kind();
	}
	else if (event != FHET_START && outermost == call)
	{
		outermost = NULL;
		count_request(call->by, event == FHET_END ? 0 : outcome_of(geterrcode()));
	}
}

/* A function that calls itself restarts the clock only where PostgreSQL shares the place between both calls. */
static void
function_called(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	ChatCall *call = (ChatCall *) DatumGetPointer(*private);

	if (call == NULL)
	{
		call = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(ChatCall));
		call->function = counted_function(flinfo->fn_oid);
		*private = PointerGetDatum(call);
	}
	if (call->function >= 0)
		follow_request(call, event);
	if (call->function >= 0 && event == FHET_START)
		INSTR_TIME_SET_CURRENT(call->start);
	else if (call->function >= 0)
		count(call->function, nanoseconds_since(call->start));
	if (previous_hook)
		previous_hook(event, flinfo, &call->previous);
}

void
chat_api_stats_hook(void)
{
	previous_hook = fmgr_hook;
	fmgr_hook = function_called;
	RegisterXactCallback(transaction_ends, NULL);
}

/* The counts up to each bound, as an array. */
static Datum
cumulative(ChatApiTimes *times)
{
	Datum counts[CHAT_API_BOUNDS];
	uint64 sum = 0;

	for (int b = 0; b < CHAT_API_BOUNDS; b++)
	{
		sum += pg_atomic_read_u64(&times->within[b]);
		counts[b] = Int64GetDatum((int64) sum);
	}
	return PointerGetDatum(
		construct_array(counts, CHAT_API_BOUNDS, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, 'd'));
}

/* The bounds in seconds, as an array. */
static Datum
bounds_in_seconds(void)
{
	Datum seconds[CHAT_API_BOUNDS];

	for (int b = 0; b < CHAT_API_BOUNDS; b++)
		seconds[b] = Float8GetDatum(bounds[b] / 1e9);
	return PointerGetDatum(
		construct_array(seconds, CHAT_API_BOUNDS, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, 'd'));
}

static void
put_number(ReturnSetInfo *result, const char *kind, const char *name, int64 number)
{
	Datum values[6] = {CStringGetTextDatum(kind), CStringGetTextDatum(name), Int64GetDatum(number)};
	bool nulls[6] = {false, false, false, true, true, true};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_requests(ReturnSetInfo *result, ChatApiStats *stats)
{
	for (int by = 0; by < CHAT_API_CALLERS; by++)
	{
		for (int n = 0; n < CHAT_API_OUTCOMES; n++)
			put_number(result, "request", psprintf("%s %s", callers[by], outcomes[n]),
					   (int64) pg_atomic_read_u64(&stats->requests[by][n]));
	}
}

static void
put_function(ReturnSetInfo *result, ChatApiStats *stats, int function)
{
	ChatApiTimes *times = &stats->functions[function];
	Datum values[6] = {
		CStringGetTextDatum("function"),
		CStringGetTextDatum(functions[function]),
		Int64GetDatum((int64) pg_atomic_read_u64(&times->calls)),
		Float8GetDatum(pg_atomic_read_u64(&times->nanoseconds) / 1e9),
		bounds_in_seconds(),
		cumulative(times),
	};
	bool nulls[6] = {false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
chat_api_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ChatShared *shared = chat_shared();

	InitMaterializedSRF(fcinfo, 0);
	if (shared == NULL)
		return (Datum) 0;
	for (int code = 0; code < CHAT_AUTH_CODES; code++)
		put_number(result, "code", codes[code],
				   (int64) pg_atomic_read_u64(&shared->stats.codes[code]));
	put_requests(result, &shared->stats);
	for (int function = 0; function < lengthof(functions); function++)
		put_function(result, &shared->stats, function);
	for (int half = 0; half < CHAT_LIMIT_HALVES; half++)
	{
		put_number(result, "buckets", halves[half], chat_limit_used(&shared->limits, half));
		put_number(result, "bucket_limit", halves[half], CHAT_LIMIT_SLOTS);
	}
	return (Datum) 0;
}
