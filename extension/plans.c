/*
 * Kept plans of statements; see plans.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "fragments.h"
#include "names.h"
#include "owner.h"
#include "plans.h"
#include "quiet.h"
#include "statements.h"

/* Of one attachment, some 20 to 50 kB each. What a caller can choose is which keys a message has. */
#define MAX_VARIANTS 64

typedef struct ChatPrepared
{
	dlist_node node; /* of a variant */
	ChatPlan plan;
	uint64 variant;
	SPIPlanPtr prepared;
	int running; /* calls of it; one within another, of a trigger's, must not drop it */
} ChatPrepared;

/* Trigger depth at which our own UPDATE fires triggers, or -1. */
static int own_depth = -1;

bool
chat_plan_is_own_update(void)
{
	return own_depth >= 0 && own_depth == chat_trigger_depth();
}

static SPIPlanPtr
make_plan(const char *statement, int nargs, Oid *types, int options)
{
	SPIPlanPtr plan = SPI_prepare_cursor(statement, nargs, types, options);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

SPIPlanPtr
chat_plan_keep(const char *statement, int nargs, Oid *types)
{
	SPIPlanPtr plan = make_plan(statement, nargs, types, 0);

	SPI_keepplan(plan);
	return plan;
}

SPIPlanPtr
chat_plan_user(const ChatUserMapping *mapping, Oid type)
{
	return chat_plan_keep(psprintf("SELECT %s", chat_sql_user(mapping, "$1")), 1, &type);
}

/*
 * A list is planned for how many rows its values have. What finds rows by key, or writes them, is the same for all, and is not to
 * be planned anew because a plan for an array of one is cheaper than one for an array. Of all others PostgreSQL finds out.
 */
static int
options_of(ChatPlan plan)
{
	switch (chat_statement_mode(plan))
	{
		case CHAT_LIST:
			return CURSOR_OPT_CUSTOM_PLAN | CURSOR_OPT_PARALLEL_OK;
		case CHAT_FIND:
		case CHAT_WRITE:
		case CHAT_QUIET:
			return CURSOR_OPT_GENERIC_PLAN;
		default:
			return 0;
	}
}

/* Under the identity and search_path that it is run with. What is not kept goes with the caller's connection to SPI. */
static ChatPrepared *
prepare(ChatAttachment *attachment, ChatPlan plan, uint64 variant)
{
	bool kept = (variant & CHAT_NOT_KEPT) == 0;
	ChatSql sql;
	ChatPrepared *entry;
	SPIPlanPtr prepared;

	chat_statement_build(&sql, attachment, plan, variant);
	prepared = make_plan(sql.text.data, sql.nparameters, sql.types, options_of(plan));
	if (kept)
		SPI_keepplan(prepared);
	entry = MemoryContextAllocZero(kept ? attachment->context : CurrentMemoryContext,
								   sizeof(ChatPrepared));
	entry->plan = plan;
	entry->variant = variant;
	entry->prepared = prepared;
	return entry;
}

static void
forget_oldest_variant(ChatAttachment *attachment)
{
	ChatPrepared *oldest = NULL;
	dlist_iter iter;

	dlist_foreach(iter, &attachment->variants)
	{
		ChatPrepared *entry = dlist_container(ChatPrepared, node, iter.cur);

		if (entry->running == 0)
			oldest = entry;
	}
	if (oldest == NULL)
		return;
	dlist_delete(&oldest->node);
	attachment->nvariants--;
	SPI_freeplan(oldest->prepared);
	pfree(oldest);
}

static ChatPrepared *
find_variant(ChatAttachment *attachment, ChatPlan plan, uint64 variant)
{
	ChatPrepared *entry;
	dlist_iter iter;

	dlist_foreach(iter, &attachment->variants)
	{
		entry = dlist_container(ChatPrepared, node, iter.cur);
		if (entry->plan == plan && entry->variant == variant)
		{
			dlist_move_head(&attachment->variants, &entry->node);
			return entry;
		}
	}
	entry = prepare(attachment, plan, variant);
	if (attachment->nvariants >= MAX_VARIANTS)
		forget_oldest_variant(attachment);
	dlist_push_head(&attachment->variants, &entry->node);
	attachment->nvariants++;
	return entry;
}

/* What its text names is as it was when the attachment was read; an outer call may be running it. */
static ChatPrepared *
find(ChatAttachment *attachment, ChatPlan plan, uint64 variant)
{
	if ((variant & CHAT_NOT_KEPT) != 0)
		return prepare(attachment, plan, variant);
	if (variant != 0)
		return find_variant(attachment, plan, variant);
	if (attachment->plans[plan] == NULL)
		attachment->plans[plan] = prepare(attachment, plan, 0);
	return attachment->plans[plan];
}

void
chat_plans_free(ChatAttachment *attachment)
{
	dlist_iter iter;

	for (int plan = 0; plan < CHAT_PLANS; plan++)
	{
		if (attachment->plans[plan] != NULL)
			SPI_freeplan(attachment->plans[plan]->prepared);
	}
	dlist_foreach(iter, &attachment->variants)
		SPI_freeplan(dlist_container(ChatPrepared, node, iter.cur)->prepared);
}

typedef struct PlanCall
{
	ChatAttachment *attachment;
	ChatPlan plan;
	uint64 variant;
	/* either values as they are, or arguments to be read */
	Datum *values;
	const char *nulls;
	int nargs;
	const ChatArgument *args;
	ChatPrepared *entry;
} PlanCall;

/* Reads a text as a type's input function does; NULL, too, since a domain may refuse it. */
static Datum
read_text(char *text, Oid type)
{
	Oid input, element;

	if (text != NULL && type == TEXTOID)
		return CStringGetTextDatum(text);
	getTypeInputInfo(type, &input, &element);
	return OidInputFunctionCall(input, text, element, -1);
}

/* An array of a type's, of an array of texts. */
static Datum
read_array(ArrayType *given, Oid type)
{
	Oid element = get_element_type(type);
	Datum *values;
	bool *nulls;
	int count, dims[1], lower[1] = {1};
	int16 length;
	bool by_value;
	char align;

	deconstruct_array(given, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			values[i] = read_text(TextDatumGetCString(values[i]), element);
	}
	get_typlenbyvalalign(element, &length, &by_value, &align);
	dims[0] = count;
	return PointerGetDatum(
		construct_md_array(values, nulls, 1, dims, lower, element, length, by_value, align));
}

static Datum
read_argument(const ChatArgument *argument, Oid type)
{
	if (argument->isnull)
		return get_typtype(type) == TYPTYPE_DOMAIN ? read_text(NULL, type) : (Datum) 0;
	if (argument->type == type)
		return argument->value;
	switch (argument->type)
	{
		case CSTRINGOID:
		case UNKNOWNOID:
			return read_text(DatumGetCString(argument->value), type);
		case TEXTOID:
			return read_text(TextDatumGetCString(argument->value), type);
		case TEXTARRAYOID:
			return read_array(DatumGetArrayTypeP(argument->value), type);
		default:
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("a parameter of type %s is given as %s", format_type_be(type),
								   format_type_be(argument->type))));
	}
}

/* Reads what is given into what the plan wants. */
static void
read_arguments(PlanCall *call, SPIPlanPtr prepared)
{
	char *nulls = palloc(call->nargs + 1);

	if (SPI_getargcount(prepared) != call->nargs)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the statement takes %d parameters, not %d",
							   SPI_getargcount(prepared), call->nargs)));
	call->values = palloc(sizeof(Datum) * Max(call->nargs, 1));
	for (int i = 0; i < call->nargs; i++)
	{
		call->values[i] = read_argument(&call->args[i], SPI_getargtypeid(prepared, i));
		nulls[i] = call->args[i].isnull ? 'n' : ' ';
	}
	call->nulls = nulls;
}

ChatArgument
chat_key_given(const char *text)
{
	Datum key = CStringGetTextDatum(text);
	ChatArgument argument = {
		TEXTARRAYOID, PointerGetDatum(construct_array(&key, 1, TEXTOID, -1, false, TYPALIGN_INT)),
		false};

	return argument;
}

static bool
reads(ChatMode mode)
{
	return mode == CHAT_READ || mode == CHAT_FIND || mode == CHAT_LIST;
}

static int
execute(const PlanCall *call, SPIPlanPtr prepared)
{
	ChatMode mode = chat_statement_mode(call->plan);

	/* Rules R1 and R2 are about all messages, also those that a REPEATABLE READ transaction does not see. */
	if (mode == CHAT_NOW)
		return SPI_execute_snapshot(prepared, call->values, call->nulls, GetLatestSnapshot(),
									InvalidSnapshot, false, true, 0);
	return SPI_execute_plan(prepared, call->values, call->nulls, reads(mode), 0);
}

static bool
writes(ChatMode mode)
{
	return mode == CHAT_WRITE || mode == CHAT_QUIET;
}

/* The table's own code may name what is in its schema; operators and functions of the statement are qualified. */
static void
set_surroundings(const PlanCall *call)
{
	ChatMode mode = chat_statement_mode(call->plan);
	Oid relid = chat_statement_table(call->attachment, call->plan);
	char *path = call->attachment->search_path;

	if (writes(mode) && relid != call->attachment->conversations)
		path = psprintf("pg_catalog, %s, pg_temp", quote_identifier(chat_schema_of(relid)));
	/* A plan that was made while the table was small is kept while it grows. */
	if (mode == CHAT_FIND)
		(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	if (writes(mode) || mode == CHAT_NOW)
		(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
}

/* Prepares what is not, and executes; notes that an UPDATE of a conversation's counters is ours. */
static void
run(void *arg)
{
	PlanCall *call = arg;
	int outer = own_depth;
	volatile int result;

	set_surroundings(call);
	call->entry = find(call->attachment, call->plan, call->variant);
	if (call->args != NULL)
		read_arguments(call, call->entry->prepared);
	if (call->plan == CHAT_PLAN_SET)
		own_depth = chat_trigger_depth() + 1;
	call->entry->running++;
	PG_TRY();
	{
		result = execute(call, call->entry->prepared);
	}
	PG_FINALLY();
	{
		own_depth = outer;
		call->entry->running--;
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "statement of chat_realtime returned %s", SPI_result_code_string(result));
}

static void
run_quietly(void *arg)
{
	chat_quietly(run, arg);
}

static uint64
run_as_owner(PlanCall *call)
{
	ChatMode mode = chat_statement_mode(call->plan);

	chat_as_owner(chat_statement_table(call->attachment, call->plan),
				  reads(mode) || mode == CHAT_LOCK, mode == CHAT_QUIET ? run_quietly : run, call);
	return SPI_processed;
}

uint64
chat_plan_run(ChatAttachment *attachment, ChatPlan plan, Datum *values, const char *nulls)
{
	PlanCall call = {.attachment = attachment, .plan = plan, .values = values, .nulls = nulls};

	return run_as_owner(&call);
}

uint64
chat_plan_run_given(ChatAttachment *attachment, ChatPlan plan, uint64 variant, int nargs,
					const ChatArgument *args)
{
	PlanCall call = {
		.attachment = attachment, .plan = plan, .variant = variant, .nargs = nargs, .args = args};

	return run_as_owner(&call);
}

Datum
chat_plan_result(int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull);
}

char *
chat_plan_text(int column)
{
	bool isnull;
	Datum value = chat_plan_result(column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

Datum
chat_plan_first(Oid wanted, bool *isnull)
{
	Datum value;
	int16 length;
	bool by_value;

	*isnull = true;
	if (SPI_processed == 0 || SPI_tuptable == NULL || SPI_tuptable->tupdesc->natts == 0)
		return (Datum) 0;
	if (SPI_gettypeid(SPI_tuptable->tupdesc, 1) != wanted)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the statement returns %s, not %s",
							   format_type_be(SPI_gettypeid(SPI_tuptable->tupdesc, 1)),
							   format_type_be(wanted))));
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
	get_typlenbyval(wanted, &length, &by_value);
	return *isnull ? (Datum) 0 : SPI_datumTransfer(value, by_value, length);
}
