/*
 * Loaded into the checked server after chat_realtime: debug_discard_caches is on while code of chat_realtime's library is on
 * the stack, with all that this code calls, and off elsewhere. What is no code of the extension's (the parser, PL/pgSQL,
 * CREATE EXTENSION) would under that setting take most of the time, and show nothing of the extension's.
 *
 * All is discarded once at the begin of each such call, so that nothing lives from one to the next either. What repeats is
 * thinned: of the calls from one place in one statement (a trigger's for each row) the first ones and then few, and within
 * one call, and within one transaction, so many discards. ONE_IN: of what is left one call in so many, the same ones in each run.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#define FIRST_CALLS 2
#define THEN_ONE_IN 64
#define MOST_OF_CALL 2000
#define MOST_OF_TRANSACTION 5000
#ifndef ONE_IN
#define ONE_IN 1
#endif

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/* Kept by PostgreSQL for each place a function is called from. */
typedef struct Call
{
	bool ours;
	bool hooked; /* without us, too */
	uint64 number;
	Datum previous; /* of the hook before us */
} Call;

static fmgr_hook_type previous_hook = NULL;
static pg_prng_state random_state;
/* Calls of chat_realtime's functions on the stack. */
static int depth = 0;
/* Discards of the outermost one, of the transaction, and of all with the number of those. */
static int of_call = 0;
static int of_transaction = 0;
static uint64 all_discards = 0;
static uint64 all_calls = 0;

static bool
of_chat_realtime(HeapTuple procedure)
{
	bool isnull;
	Datum library = SysCacheGetAttr(PROCOID, procedure, Anum_pg_proc_probin, &isnull);

	return !isnull && strstr(TextDatumGetCString(library), "chat_realtime") != NULL;
}

static bool
is_ours(Oid function)
{
	HeapTuple procedure = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool ours;

	if (!HeapTupleIsValid(procedure))
		return false;
	ours = ((Form_pg_proc) GETSTRUCT(procedure))->prolang == ClanguageId &&
		   of_chat_realtime(procedure);
	ReleaseSysCache(procedure);
	return ours;
}

/* True for a function that PostgreSQL calls the hook for anyway. */
static bool
has_settings(Oid function)
{
	HeapTuple procedure = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool has;

	if (!HeapTupleIsValid(procedure))
		return false;
	has = ((Form_pg_proc) GETSTRUCT(procedure))->prosecdef ||
		  !heap_attisnull(procedure, Anum_pg_proc_proconfig, NULL);
	ReleaseSysCache(procedure);
	return has;
}

/* A line in the server's log of what was done since the last one. */
static void
report(void)
{
	if (all_calls > 0)
		fprintf(stderr, "discarded %llu times in %llu calls\n", (unsigned long long) all_discards,
				(unsigned long long) all_calls);
	all_discards = all_calls = 0;
}

static void
process_ends(int code, Datum arg)
{
	report();
}

static void
begin_discarding(void)
{
	static bool registered = false;

	if (!registered)
		on_proc_exit(process_ends, (Datum) 0);
	registered = true;
	all_calls++;
	of_call = 0;
	debug_discard_caches = 1;
	InvalidateSystemCaches();
}

/* Of everything at once: no relation is named. */
static void
discarded(Datum arg, Oid relation)
{
	if (relation != InvalidOid || debug_discard_caches == 0)
		return;
	all_discards++;
	of_transaction++;
	if (++of_call >= MOST_OF_CALL)
		debug_discard_caches = 0;
}

static bool
is_chosen(const Call *call)
{
	return of_transaction < MOST_OF_TRANSACTION &&
		   (call->number < FIRST_CALLS || call->number % THEN_ONE_IN == 0) &&
		   pg_prng_uint64_range(&random_state, 1, ONE_IN) == 1;
}

/* Functions of SQL and PL/pgSQL come here as well when they have settings of their own. */
static void
function_called(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	Call *call = (Call *) DatumGetPointer(*private);

	if (call == NULL)
	{
		call = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(Call));
		call->ours = is_ours(flinfo->fn_oid);
		call->hooked = has_settings(flinfo->fn_oid);
		*private = PointerGetDatum(call);
	}
	if (call->ours && event == FHET_START)
	{
		if (depth++ == 0 && is_chosen(call))
			begin_discarding();
		call->number++;
	}
	else if (call->ours && --depth == 0)
		debug_discard_caches = 0;
	if (previous_hook && call->hooked)
		previous_hook(event, flinfo, &call->previous);
}

/* The latest that registered is called first: before chat_realtime's callbacks, which look at catalogs before the commit only. */
static void
transaction_ends(XactEvent event, void *arg)
{
	depth = 0;
	debug_discard_caches = 0;
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		begin_discarding();
	else
		of_transaction = 0;
	/* A process that is killed says nothing at its end. */
	if (all_calls >= 100)
		report();
}

void
_PG_init(void)
{
	pg_prng_seed(&random_state, 1);
	needs_fmgr_hook = is_ours;
	previous_hook = fmgr_hook;
	fmgr_hook = function_called;
	CacheRegisterRelcacheCallback(discarded, (Datum) 0);
	RegisterXactCallback(transaction_ends, NULL);
}
