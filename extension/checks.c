/*
 * Keeping planned CHECKs; see checks.h.
 *
 * Kept is a tree of plain nodes that call built-in functions, which do not change. PostgreSQL evaluates what is constant
 * when it plans; from one statement to the next that could come out differently (by IntervalStyle, say), so it is kept
 * only where numbers and truth values were computed from their like. A function that was evaluated so is not in the tree any more, but the
 * right to execute it counts all the same.
 *
 * A tree lives as long as the layout of its table: whatever changes the table marks that as stale, and it stays until
 * the end of the transaction, so that a running statement can go on pointing into it.
 */
#include "postgres.h"

#include "access/transam.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "checks.h"
#include "compat.h"
#include "settings.h"

struct ChatChecks
{
	int count;         /* 0: they are left to the executor */
	Expr **planned;    /* one for each CHECK, as the table's descriptor has them */
	AttrNumber *alone; /* the column that each is on, 0: on several, or none */
	List *functions;   /* Oids, each once: the rights to execute them are looked at */
};

static ExecutorStart_hook_type next_start = NULL;

/* --- planning ------------------------------------------------------------------------------------- */

/* What is looked at in a tree. */
typedef struct Walk
{
	TupleDesc desc;  /* of the table */
	bool planned;    /* else as stored */
	List *functions; /* Oids, as often as they are called */
} Walk;

static bool
note_function(Oid function, void *context)
{
	Walk *walk = context;

	walk->functions = lappend_oid(walk->functions, function);
	return function >= (Oid) FirstUnpinnedObjectId;
}

/* True for a column that a stored row has a value of. */
static bool
is_stored_column(const Var *var, TupleDesc desc)
{
	return var->varattno > 0 && !chat_is_virtual(TupleDescAttr(desc, var->varattno - 1));
}

/* True for the nodes that are kept; what planning makes a constant of may stand before it. */
static bool
is_plain(Node *node, const Walk *walk)
{
	switch (nodeTag(node))
	{
		case T_Var:
			return is_stored_column((Var *) node, walk->desc);
		case T_List:
		case T_Const:
		case T_OpExpr:
		case T_FuncExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_RelabelType:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_CoerceViaIO:
			return true;
		case T_ArrayExpr:
		case T_ArrayCoerceExpr:
		case T_CollateExpr:
			return !walk->planned;
		default:
			return false;
	}
}

/* Planning turns NOT (a < b) into a >= b: so that both come out alike, an operator counts with its negator. */
static bool
note_negator(Node *node, Walk *walk)
{
	Oid negator = InvalidOid;

	if (IsA(node, OpExpr))
		negator = get_negator(castNode(OpExpr, node)->opno);
	else if (IsA(node, ScalarArrayOpExpr))
		negator = get_negator(castNode(ScalarArrayOpExpr, node)->opno);
	return OidIsValid(negator) && note_function(get_opcode(negator), walk);
}

/* True when the tree cannot be kept. Notes the functions that it calls. */
static bool
is_odd(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return !is_plain(node, context) || check_functions_in_node(node, note_function, context) ||
		   note_negator(node, context) || expression_tree_walker(node, is_odd, context);
}

static bool
is_number_or_truth(Oid type)
{
	TYPCATEGORY category = TypeCategory(type);

	return category == TYPCATEGORY_NUMERIC || category == TYPCATEGORY_BOOLEAN;
}

/* True for a function of numbers and truth values alone, which makes one of them. */
static bool
is_arithmetic(Oid function)
{
	Oid *types;
	int ntypes;
	bool arithmetic = is_number_or_truth(get_func_signature(function, &types, &ntypes));

	for (int i = 0; i < ntypes; i++)
		arithmetic = arithmetic && is_number_or_truth(types[i]);
	return arithmetic;
}

/* True when planning evaluated nothing but arithmetic, and put nothing in. */
static bool
only_computed(const Walk *stored, const Walk *planned)
{
	List *evaluated = list_copy(stored->functions);
	ListCell *cell;

	if (list_difference_oid(planned->functions, stored->functions) != NIL)
		return false;
	foreach (cell, planned->functions)
		evaluated = list_delete_oid(evaluated, lfirst_oid(cell));
	foreach (cell, evaluated)
	{
		if (!is_arithmetic(lfirst_oid(cell)))
			return false;
	}
	return true;
}

/* Plans the n-th CHECK; false where it is not to be kept. */
static bool
plan_check(ChatChecks *checks, int n, TupleDesc desc)
{
	const ConstrCheck *check = &desc->constr->check[n];
	Walk stored = {desc, false, NIL};
	Walk planned = {desc, true, NIL};
	Node *condition;

	if (!chat_check_is_enforced(check))
		return false;
	condition = stringToNode(check->ccbin);
	if (is_odd(condition, &stored))
		return false;
	checks->alone[n] = chat_only_column(condition);
	checks->planned[n] = expression_planner((Expr *) condition);
	checks->functions = list_concat_unique_oid(checks->functions, stored.functions);
	return !is_odd((Node *) checks->planned[n], &planned) && only_computed(&stored, &planned);
}

/* Plans all CHECKs of a table, in the current memory context. */
static ChatChecks
plan_checks(Relation relation)
{
	TupleDesc desc = CreateTupleDescCopyConstr(RelationGetDescr(relation));
	int count = desc->constr == NULL ? 0 : desc->constr->num_check;
	ChatChecks checks = {count, palloc(count * sizeof(Expr *)), palloc(count * sizeof(AttrNumber)),
						 NIL};

	for (int i = 0; i < checks.count; i++)
	{
		if (!plan_check(&checks, i, desc))
			checks.count = 0;
	}
	return checks;
}

/* A copy in the layout's memory; what it takes is seen in pg_backend_memory_contexts. */
static ChatChecks *
copy_checks(const ChatChecks *checks, Relation relation, MemoryContext parent)
{
	ChatChecks *copy = MemoryContextAllocZero(parent, sizeof(ChatChecks));
	MemoryContext context, old;

	if (checks->count == 0)
		return copy;
	context = AllocSetContextCreate(parent, "chat_realtime CHECKs", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	MemoryContextSetIdentifier(context, pstrdup(RelationGetRelationName(relation)));
	copy->count = checks->count;
	copy->planned = palloc(checks->count * sizeof(Expr *));
	copy->alone = palloc(checks->count * sizeof(AttrNumber));
	for (int i = 0; i < checks->count; i++)
	{
		copy->planned[i] = copyObject(checks->planned[i]);
		copy->alone[i] = checks->alone[i];
	}
	copy->functions = list_copy(checks->functions);
	MemoryContextSwitchTo(old);
	return copy;
}

void
chat_checks_keep(ChatLayout *layout, Relation relation)
{
	MemoryContext work, old;
	ChatChecks checks;

	if (layout->checks != NULL || !chat_cache_checks)
		return;
	work = AllocSetContextCreate(CurrentMemoryContext, "chat_realtime planning of CHECKs",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	checks = plan_checks(relation);
	layout->checks = copy_checks(&checks, relation, layout->context);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/* --- use ------------------------------------------------------------------------------------------ */

int
chat_checks_kept(const ChatLayout *layout)
{
	const ChatChecks *checks = layout->checks;
	ListCell *cell;

	if (checks == NULL || checks->count == 0 || !chat_cache_checks)
		return 0;
	foreach (cell, checks->functions)
	{
		if (!chat_may_execute(lfirst_oid(cell)))
			return 0;
	}
	return checks->count;
}

bool
chat_check_is_on(const ChatLayout *layout, int n, AttrNumber attnum)
{
	return layout->checks->alone[n] == attnum;
}

ExprState *
chat_check_ready(const ChatLayout *layout, int n)
{
	return ExecInitExpr(layout->checks->planned[n], NULL);
}

/* Makes the kept CHECKs of a table that a statement writes to ready, as the executor would do at its first row. */
static void
make_ready(EState *estate, ResultRelInfo *target)
{
	Relation relation = target->ri_RelationDesc;
	TupleConstr *constr = RelationGetDescr(relation)->constr;
	ChatLayout *layout = constr == NULL || constr->num_check == 0
							 ? NULL
							 : chat_layout_kept(RelationGetRelid(relation));
	ExprState ***states = chat_check_states(target);
	MemoryContext old;

	if (layout == NULL || *states != NULL || chat_checks_kept(layout) != constr->num_check)
		return;
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	*states = palloc(constr->num_check * sizeof(ExprState *));
	for (int i = 0; i < constr->num_check; i++)
		(*states)[i] = chat_check_ready(layout, i);
	MemoryContextSwitchTo(old);
}

/* True for a statement that may store rows. */
static bool
stores_rows(const QueryDesc *query, int flags)
{
	return (flags & EXEC_FLAG_EXPLAIN_ONLY) == 0 &&
		   (query->operation != CMD_DELETE || query->plannedstmt->hasModifyingCTE);
}

static void
start(QueryDesc *query, int flags)
{
	ListCell *cell;

	if (next_start)
		next_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if (!chat_cache_checks || !stores_rows(query, flags))
		return;
	foreach (cell, query->estate->es_opened_result_relations)
		make_ready(query->estate, lfirst(cell));
}

void
chat_checks_init(void)
{
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = start;
}
