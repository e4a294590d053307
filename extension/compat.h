/*
 * Every test of PG_VERSION_NUM lives here.
 */
#ifndef CHAT_COMPAT_H
#define CHAT_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#if PG_VERSION_NUM < 150000
#error "PostgreSQL 15 or later is needed"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#if PG_VERSION_NUM >= 170000
#include "commands/async.h"
#include "storage/dsm_registry.h"

/* Shared memory can be had by name at any time. */
#define CHAT_SHMEM_ON_DEMAND

#if PG_VERSION_NUM >= 190000
static inline void
chat_initialize_shmem(void *memory, void *initialize)
{
	((void (*)(void *)) initialize)(memory);
}
#endif

static inline void *
chat_named_shmem(const char *name, size_t size, void (*initialize)(void *memory))
{
	bool found;

#if PG_VERSION_NUM >= 190000
	return GetNamedDSMSegment(name, size, chat_initialize_shmem, &found, initialize);
#else
	return GetNamedDSMSegment(name, size, initialize, &found);
#endif
}
#endif

static inline uint64
chat_nanoseconds(instr_time time)
{
#if PG_VERSION_NUM >= 160000
	return INSTR_TIME_GET_NANOSEC(time);
#else
	return (uint64) INSTR_TIME_GET_MICROSEC(time) * 1000;
#endif
}

static inline IndexScanDesc
chat_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

static inline Oid
chat_primary_key(Relation relation)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(relation, false);
#else
	return RelationGetPrimaryKeyIndex(relation);
#endif
}

/*
 * The next transaction id, without the lock that guards it, where a read of 64 bits is whole. What another backend was
 * given before a lock that we have taken since is seen.
 */
static inline FullTransactionId
chat_next_xid(void)
{
#if SIZEOF_VOID_P < 8
	return ReadNextFullTransactionId();
#elif PG_VERSION_NUM >= 170000
	return TransamVariables->nextXid;
#else
	return ShmemVariableCache->nextXid;
#endif
}

/* True for a column that is computed when it is read: a stored row has no value of it. */
static inline bool
chat_is_virtual(Form_pg_attribute attribute)
{
#if PG_VERSION_NUM >= 180000
	return attribute->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
	return false;
#endif
}

/* False for a constraint that is declared and not enforced. */
static inline bool
chat_check_is_enforced(const ConstrCheck *check)
{
#if PG_VERSION_NUM >= 180000
	return check->ccenforced;
#else
	return true;
#endif
}

/* True when the current role may execute a function. */
static inline bool
chat_may_execute(Oid function)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/* Where the executor keeps a table's CHECKs during a statement; NULL until it stores the first row. */
static inline ExprState ***
chat_check_states(ResultRelInfo *target)
{
#if PG_VERSION_NUM >= 180000
	return &target->ri_CheckConstraintExprs;
#else
	return &target->ri_ConstraintExprs;
#endif
}

/* Pins the buffer that a block of a table was in, if it is in it still. */
static inline bool
chat_read_recent_buffer(Relation relation, BlockNumber block, Buffer buffer)
{
#if PG_VERSION_NUM >= 160000
	return ReadRecentBuffer(relation->rd_locator, MAIN_FORKNUM, block, buffer);
#else
	return ReadRecentBuffer(relation->rd_node, MAIN_FORKNUM, block, buffer);
#endif
}

/* Replaces a locked row's version in the heap; true: it needs index entries (of b-trees) of its own. */
static inline bool
chat_update_tuple(Relation relation, ItemPointer tid, TupleTableSlot *slot, Snapshot snapshot)
{
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes update_indexes;

	simple_table_tuple_update(relation, tid, slot, snapshot, &update_indexes);
	return update_indexes == TU_All;
#else
	bool update_indexes;

	simple_table_tuple_update(relation, tid, slot, snapshot, &update_indexes);
	return update_indexes;
#endif
}

static inline bool
chat_lock_held_by_me(const LOCKTAG *tag, LOCKMODE mode)
{
#if PG_VERSION_NUM >= 170000
	return LockHeldByMe(tag, mode, false);
#else
	return LockHeldByMe(tag, mode);
#endif
}

/* How many pages the queue of NOTIFY holds. */
static inline double
chat_notify_queue_pages(void)
{
#if PG_VERSION_NUM >= 170000
	return max_notify_queue_pages;
#else
	return 1048576;
#endif
}

/* A lexer for pg_parse_json that looks at escapes, too. */
static inline JsonLexContext *
chat_json_lexer(char *json, int length)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, length, GetDatabaseEncoding(), true);
#else
	return makeJsonLexContextCstringLen(json, length, GetDatabaseEncoding(), true);
#endif
}

#endif
