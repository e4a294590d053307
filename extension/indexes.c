/*
 * Making index entries; see indexes.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "indexes.h"
#include "owner.h"

/* What is known of a table's indexes. */
typedef struct IndexSet
{
	int count;
	Oid *oids;
	IndexInfo **infos; /* expressions and predicates are prepared */
	AttrNumber
		*present;   /* of one that has the rows where a column is not NULL: that column; else 0 */
	EState *estate; /* what these are evaluated in; NULL: there are none */
	MemoryContext context;
} IndexSet;

typedef struct SetEntry
{
	Oid relid; /* hash key */
	bool valid;
	IndexSet *set;
} SetEntry;

struct ChatIndexes
{
	IndexSet *set;
	Relation heap;
	/* Each opened when it gets its first entry: a partial one often gets none. NULL: not yet. */
	Relation relations[FLEXIBLE_ARRAY_MEMBER];
};

static HTAB *sets;

/* Marks what a change of a table makes stale; InvalidOid means all tables. */
static void
table_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	SetEntry *entry;

	hash_seq_init(&scan, sets);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (relid == InvalidOid || entry->relid == relid)
			entry->valid = false;
	}
}

void
chat_indexes_init(void)
{
	HASHCTL ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(SetEntry)};

	sets = hash_create("chat_realtime indexes", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
}

static bool
is_user_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* True when an expression calls a function that is not the server's own, as the constraint of a domain may do. */
static bool
calls_user_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, CoerceToDomain) || check_functions_in_node(node, is_user_function, context) ||
		   expression_tree_walker(node, calls_user_function, context);
}

static bool
index_is_plain(Relation index)
{
	return index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indimmediate &&
		   !index->rd_index->indisexclusion && RelationGetIndexExpressions(index) == NIL &&
		   !calls_user_function((Node *) RelationGetIndexPredicate(index), NULL);
}

bool
chat_indexes_plain(Relation heap)
{
	ListCell *cell;
	bool plain = true;

	foreach (cell, RelationGetIndexList(heap))
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		plain = plain && index_is_plain(index);
		index_close(index, NoLock);
	}
	return plain;
}

/* The column that a predicate "column IS NOT NULL" is about; 0: it is another one. */
static AttrNumber
column_present(const IndexInfo *info)
{
	NullTest *test;

	if (list_length(info->ii_Predicate) != 1 || !IsA(linitial(info->ii_Predicate), NullTest))
		return 0;
	test = linitial_node(NullTest, info->ii_Predicate);
	if (test->nulltesttype != IS_NOT_NULL || test->argisrow || !IsA(test->arg, Var))
		return 0;
	return castNode(Var, test->arg)->varattno;
}

/* Prepares an index's expressions and predicate, to be evaluated in the set's own state. */
static void
prepare_expressions(IndexSet *set, IndexInfo *info, AttrNumber present)
{
	List *predicate = present == 0 ? info->ii_Predicate : NIL;

	if (info->ii_Expressions == NIL && predicate == NIL)
		return;
	if (set->estate == NULL)
		set->estate = CreateExecutorState();
	info->ii_ExpressionsState = ExecPrepareExprList(info->ii_Expressions, set->estate);
	info->ii_PredicateState = ExecPrepareQual(predicate, set->estate);
}

/* Builds a set in the current memory context. */
static IndexSet *
build_set(Relation heap)
{
	List *list = RelationGetIndexList(heap);
	IndexSet *set = palloc0(sizeof(IndexSet));
	ListCell *cell;

	set->context = CurrentMemoryContext;
	set->oids = palloc(sizeof(Oid) * (list_length(list) + 1));
	set->infos = palloc(sizeof(IndexInfo *) * (list_length(list) + 1));
	set->present = palloc(sizeof(AttrNumber) * (list_length(list) + 1));
	foreach (cell, list)
	{
		Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);
		IndexInfo *info = BuildIndexInfo(index);

		index_close(index, NoLock);
		if (!info->ii_ReadyForInserts)
			continue;
		set->present[set->count] = column_present(info);
		prepare_expressions(set, info, set->present[set->count]);
		set->oids[set->count] = lfirst_oid(cell);
		set->infos[set->count++] = info;
	}
	return set;
}

typedef struct BuildCall
{
	Relation heap;
	IndexSet *set;
} BuildCall;

static void
build(void *arg)
{
	BuildCall *call = arg;

	call->set = build_set(call->heap);
}

/* What is stale goes with the transaction, also of tables that are gone; a flush further out may be using it. */
static void
retire_stale(void)
{
	HASH_SEQ_STATUS scan;
	SetEntry *entry;

	hash_seq_init(&scan, sets);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->valid || entry->set == NULL)
			continue;
		MemoryContextSetParent(entry->set->context, TopTransactionContext);
		entry->set = NULL;
	}
}

/* The set of a table, built if it is not known or stale. */
static IndexSet *
get_set(Relation heap)
{
	Oid relid = RelationGetRelid(heap);
	bool found;
	SetEntry *entry = hash_search(sets, &relid, HASH_ENTER, &found);
	MemoryContext context;
	MemoryContext old;
	BuildCall call = {heap, NULL};

	if (!found)
	{
		entry->valid = false;
		entry->set = NULL;
	}
	if (entry->valid && entry->set != NULL)
		return entry->set;

	retire_stale();
	/* Below the transaction's memory first: an error on the way leaves nothing behind. */
	context = AllocSetContextCreate(TopTransactionContext, "chat_realtime index set",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	entry->valid = true; /* an invalidation that arrives meanwhile clears it again */
	PG_TRY();
	{
		chat_as_owner(relid, true, build, &call); /* constants in expressions are evaluated */
	}
	PG_CATCH();
	{
		entry->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (entry->set != NULL) /* a call within ours made one */
		MemoryContextSetParent(entry->set->context, TopTransactionContext);
	MemoryContextSetParent(context, CacheMemoryContext);
	entry->set = call.set;
	return call.set;
}

ChatIndexes *
chat_indexes_open(Relation heap)
{
	IndexSet *set = get_set(heap);
	ChatIndexes *indexes =
		palloc0(offsetof(ChatIndexes, relations) + sizeof(Relation) * (set->count + 1));

	indexes->set = set;
	indexes->heap = heap;
	return indexes;
}

/* Whether a column is NULL; of a heap tuple without a look at the columns before. */
static bool
column_is_null(TupleTableSlot *slot, AttrNumber attnum)
{
	if (TTS_IS_HEAPTUPLE(slot))
		return heap_attisnull(((HeapTupleTableSlot *) slot)->tuple, attnum,
							  slot->tts_tupleDescriptor);
	return slot_attisnull(slot, attnum);
}

/* Works out a row's entry; false: the row does not belong into the index. */
static bool
form_entry(const IndexSet *set, int n, TupleTableSlot *slot, Datum *values, bool *nulls)
{
	IndexInfo *info = set->infos[n];

	if (set->present[n] != 0 && column_is_null(slot, set->present[n]))
		return false;
	if (set->estate != NULL)
	{
		ExprContext *context = GetPerTupleExprContext(set->estate);

		context->ecxt_scantuple = slot;
		if (info->ii_PredicateState != NULL && !ExecQual(info->ii_PredicateState, context))
			return false;
	}
	FormIndexDatum(info, slot, set->estate, values, nulls);
	return true;
}

/* True when no column of an index is among those that changed. */
static bool
entry_is_alike(const IndexInfo *info, const AttrNumber *changed)
{
	if (changed == NULL)
		return false;
	for (; *changed != 0; changed++)
	{
		for (int i = 0; i < info->ii_NumIndexAttrs; i++)
		{
			if (info->ii_IndexAttrNumbers[i] == *changed)
				return false;
		}
	}
	return true;
}

/*
 * How an entry's uniqueness is to be checked. One that is alike needs no look for duplicates: a valid index holds none, and
 * whoever adds one meanwhile finds the version before, which our transaction replaces, and waits for us. Of a partial
 * index that version may not have been a part.
 */
static IndexUniqueCheck
unique_check(Relation index, const IndexInfo *info, bool alike)
{
	if (!info->ii_Unique)
		return UNIQUE_CHECK_NO;
	return alike && index->rd_index->indisvalid && info->ii_Predicate == NIL ? UNIQUE_CHECK_NO
																			 : UNIQUE_CHECK_YES;
}

/* One index after the other: its upper pages stay at hand. */
void
chat_indexes_insert(ChatIndexes *indexes, TupleTableSlot **slots, int nslots,
					const AttrNumber *changed)
{
	IndexSet *set = indexes->set;
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];

	for (int i = 0; i < set->count; i++)
	{
		IndexInfo *info = set->infos[i];
		bool alike = entry_is_alike(info, changed);
		Relation index = indexes->relations[i];

		for (int row = 0; row < nslots; row++)
		{
			if (!form_entry(set, i, slots[row], values, nulls))
				continue;
			if (index == NULL)
				index = indexes->relations[i] = index_open(set->oids[i], RowExclusiveLock);
			(void) index_insert(index, values, nulls, &slots[row]->tts_tid, indexes->heap,
								unique_check(index, info, alike), alike, info);
		}
	}
	if (set->estate != NULL)
		ResetPerTupleExprContext(set->estate);
}

/* The locks stay until the end of the transaction. */
void
chat_indexes_close(ChatIndexes *indexes)
{
	for (int i = 0; i < indexes->set->count; i++)
	{
		if (indexes->relations[i] != NULL)
			index_close(indexes->relations[i], NoLock);
	}
	pfree(indexes);
}
