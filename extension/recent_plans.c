/*
 * Plans of recent statements; see recent_plans.h.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/ilist.h"
#include "nodes/parsenodes.h"
#include "utils/memutils.h"

#include "recent_plans.h"

/* An API call runs half a dozen; all of one attached pair are some forty, of up to 50 kB each. */
#define KEPT 64

typedef struct RecentPlan
{
	dlist_node node;
	uint32 hash;
	SPIPlanPtr plan;
	int nargs;
	Oid *types; /* behind the struct, then the text */
	char *statement;
} RecentPlan;

/* The most recent first. */
static dlist_head recent = DLIST_STATIC_INIT(recent);
static int kept = 0;

static uint32
hash_of(const char *statement, int nargs, const Oid *types)
{
	return hash_combine(hash_bytes((const unsigned char *) statement, strlen(statement)),
						hash_bytes((const unsigned char *) types, nargs * sizeof(Oid)));
}

static RecentPlan *
find(uint32 hash, const char *statement, int nargs, const Oid *types)
{
	dlist_iter iter;

	dlist_foreach(iter, &recent)
	{
		RecentPlan *entry = dlist_container(RecentPlan, node, iter.cur);

		if (entry->hash == hash && entry->nargs == nargs &&
			memcmp(entry->types, types, nargs * sizeof(Oid)) == 0 &&
			strcmp(entry->statement, statement) == 0)
			return entry;
	}
	return NULL;
}

static void
forget_oldest(void)
{
	RecentPlan *oldest = dlist_tail_element(RecentPlan, node, &recent);

	dlist_delete(&oldest->node);
	kept--;
	SPI_freeplan(oldest->plan);
	pfree(oldest);
}

/* Not in the list yet: preparing may fail. */
static RecentPlan *
make(uint32 hash, const char *statement, int nargs, const Oid *types)
{
	size_t types_size = nargs * sizeof(Oid), text_size = strlen(statement) + 1;
	RecentPlan *entry;
	SPIPlanPtr plan =
		SPI_prepare_cursor(statement, nargs, unconstify(Oid *, types), CURSOR_OPT_PARALLEL_OK);

	if (plan == NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("the statement cannot be run here: %s",
							   SPI_result_code_string(SPI_result))));
	entry = MemoryContextAlloc(CacheMemoryContext, sizeof(RecentPlan) + types_size + text_size);
	entry->hash = hash;
	entry->plan = plan;
	entry->nargs = nargs;
	entry->types = (Oid *) (entry + 1);
	entry->statement = (char *) entry->types + types_size;
	memcpy(entry->types, types, types_size);
	memcpy(entry->statement, statement, text_size);
	SPI_keepplan(plan);
	return entry;
}

SPIPlanPtr
chat_recent_plan(const char *statement, int nargs, const Oid *types)
{
	uint32 hash = hash_of(statement, nargs, types);
	RecentPlan *entry = find(hash, statement, nargs, types);

	if (entry != NULL)
		dlist_move_head(&recent, &entry->node);
	else
	{
		entry = make(hash, statement, nargs, types);
		dlist_push_head(&recent, &entry->node);
		if (++kept > KEPT)
			forget_oldest();
	}
	return entry->plan;
}
