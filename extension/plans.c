/*
 * Kept plans of the triggers; see plans.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "fragments.h"
#include "names.h"
#include "owner.h"
#include "plans.h"

/* Trigger depth at which our own UPDATE fires triggers, or -1. */
static int own_depth = -1;

static int
trigger_depth(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return DatumGetInt32(pg_trigger_depth(fcinfo));
}

bool
chat_plan_is_own_update(void)
{
	return own_depth >= 0 && own_depth == trigger_depth();
}

/* Appends one assignment of a SET list, if the table has the column. */
static void
append_assignment(StringInfo sql, const char **separator, const char *column, const char *value)
{
	if (column == NULL)
		return;
	appendStringInfo(sql, "%s%s = %s", *separator, quote_identifier(column), value);
	*separator = ", ";
}

/* $1 id, $2 unread, $3 time of the newest message, $4 its preview, $5 the list key */
static void
build_set(StringInfo sql, const ChatAttachment *a)
{
	const char *separator = "";

	appendStringInfo(sql, "UPDATE %s AS c SET ", chat_name_of(a->conversations));
	append_assignment(sql, &separator, a->column[CHAT_C_UNREAD], "$2");
	append_assignment(sql, &separator, a->column[CHAT_C_LAST_AT],
					  chat_sql_time_for(a, CHAT_C_LAST_AT, "$3"));
	append_assignment(sql, &separator, a->column[CHAT_C_PREVIEW], "$4");
	append_assignment(sql, &separator, a->column[CHAT_C_LIST_KEY], "$5");
	append_assignment(sql, &separator, a->column[CHAT_C_UPDATED],
					  chat_sql_time_for(a, CHAT_C_UPDATED, "pg_catalog.now()"));
	appendStringInfo(sql, " WHERE %s OPERATOR(pg_catalog.=) $1 RETURNING c.ctid",
					 chat_sql_column("c", a->column[CHAT_C_ID]));
}

/* $1 conversation; in the order of rule R2, as the index made by chat.attach has it. What has no time is no last message. */
static void
build_newest(StringInfo sql, const ChatAttachment *a)
{
	ChatRole texts[] = {CHAT_M_TYPE, CHAT_M_CONTENT, CHAT_M_FILENAME};
	char *time = chat_sql_message_time(a, "m");

	appendStringInfo(sql, "SELECT %s", time);
	for (int i = 0; i < 3; i++)
		appendStringInfo(sql, ", CAST(%s AS pg_catalog.text)",
						 a->column[texts[i]] ? chat_sql_column("m", a->column[texts[i]]) : "NULL");
	appendStringInfo(sql, " FROM %s AS m WHERE %s OPERATOR(pg_catalog.=) $1",
					 chat_name_of(a->messages),
					 chat_sql_column("m", a->column[CHAT_M_CONVERSATION]));
	appendStringInfoString(sql, chat_sql_message_kept(a, "m", true));
	appendStringInfo(sql,
					 " AND %s OPERATOR(pg_catalog.>) pg_catalog.timestamptz '-infinity'"
					 " ORDER BY %s LIMIT 1",
					 time, chat_sql_message_order(a, "m"));
}

/* $1 conversation; rule R1 */
static void
build_unread(StringInfo sql, const ChatAttachment *a)
{
	appendStringInfo(sql,
					 "SELECT pg_catalog.count(*) FROM %s AS m WHERE %s OPERATOR(pg_catalog.=) $1 "
					 "AND CAST(%s AS pg_catalog.text) OPERATOR(pg_catalog.=) 'incoming' AND "
					 "COALESCE(CAST(%s AS pg_catalog.text), '') OPERATOR(pg_catalog.<>) 'read'",
					 chat_name_of(a->messages),
					 chat_sql_column("m", a->column[CHAT_M_CONVERSATION]),
					 chat_sql_column("m", a->column[CHAT_M_DIRECTION]),
					 chat_sql_column("m", a->column[CHAT_M_STATUS]));
	appendStringInfoString(sql, chat_sql_message_kept(a, "m", true));
}

static void
build_counted(StringInfo sql, const ChatAttachment *a)
{
	const char *unread = a->column[CHAT_C_UNREAD];
	const char *last_at = a->column[CHAT_C_LAST_AT];

	appendStringInfo(sql, "SELECT %s FROM %s AS c WHERE ",
					 chat_sql_column("c", a->column[CHAT_C_ID]), chat_name_of(a->conversations));
	appendStringInfo(sql, unread ? "%s OPERATOR(pg_catalog.<>) 0" : "false",
					 unread ? chat_sql_column("c", unread) : "");
	appendStringInfo(sql, last_at ? " OR %s IS NOT NULL" : "",
					 last_at ? chat_sql_column("c", last_at) : "");
	appendStringInfo(sql, " ORDER BY %s FOR NO KEY UPDATE OF c",
					 chat_sql_column("c", a->column[CHAT_C_ID]));
}

SPIPlanPtr
chat_plan_keep(const char *statement, int nargs, Oid *types)
{
	SPIPlanPtr plan = SPI_prepare(statement, nargs, types);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

SPIPlanPtr
chat_plan_user(const ChatUserMapping *mapping, Oid type)
{
	return chat_plan_keep(psprintf("SELECT %s", chat_sql_user(mapping, "$1")), 1, &type);
}

/* Type of the column behind a mapping. */
static Oid
mapping_type(const ChatAttachment *a, const ChatUserMapping *mapping)
{
	return get_atttype(a->conversations, get_attnum(a->conversations, mapping->column));
}

/* Prepares and keeps one plan. */
static SPIPlanPtr
prepare(const ChatAttachment *a, ChatPlan plan)
{
	StringInfoData sql;
	Oid types[5] = {a->key_type, INT8OID, TIMESTAMPTZOID, TEXTOID, INT8OID};
	int ntypes = 1;

	initStringInfo(&sql);
	switch (plan)
	{
		case CHAT_PLAN_SET:
			build_set(&sql, a);
			ntypes = 5;
			break;
		case CHAT_PLAN_NEWEST:
			build_newest(&sql, a);
			break;
		case CHAT_PLAN_UNREAD:
			build_unread(&sql, a);
			break;
		case CHAT_PLAN_COUNTED:
			build_counted(&sql, a);
			ntypes = 0;
			break;
		case CHAT_PLAN_OWNER:
			return chat_plan_user(&a->owner, mapping_type(a, &a->owner));
		case CHAT_PLAN_AGENT:
			return chat_plan_user(&a->agent, mapping_type(a, &a->agent));
		case CHAT_PLANS:
			break;
	}
	return chat_plan_keep(sql.data, ntypes, types);
}

/* The table a plan works on: its owner's authority is used. */
static Oid
table_of(const ChatAttachment *a, ChatPlan plan)
{
	return plan == CHAT_PLAN_NEWEST || plan == CHAT_PLAN_UNREAD ? a->messages : a->conversations;
}

/*
 * Executes on what is committed now, whatever the transaction's snapshot: rules R1 and R2 are about all messages, also those
 * that a REPEATABLE READ transaction does not see.
 */
static int
execute_now(SPIPlanPtr prepared, Datum *values, const char *nulls)
{
	return SPI_execute_snapshot(prepared, values, nulls, GetLatestSnapshot(), InvalidSnapshot,
								false, true, 0);
}

/* Executes under the current identity; notes that an UPDATE of a conversation is ours. */
static int
execute(SPIPlanPtr prepared, ChatPlan plan, Datum *values, const char *nulls)
{
	int outer = own_depth;
	volatile int result;

	if (plan != CHAT_PLAN_SET)
		return execute_now(prepared, values, nulls);
	own_depth = trigger_depth() + 1;
	PG_TRY();
	{
		result = execute_now(prepared, values, nulls);
	}
	PG_FINALLY();
	{
		own_depth = outer;
	}
	PG_END_TRY();
	return result;
}

typedef struct PlanCall
{
	ChatAttachment *attachment;
	ChatPlan plan;
	Datum *values;
	const char *nulls;
} PlanCall;

/* Prepares what is not, and executes. */
static void
run(void *arg)
{
	const PlanCall *call = arg;
	SPIPlanPtr *prepared = &call->attachment->plans[call->plan];
	int result;

	(void) set_config_option("search_path", call->attachment->search_path, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* What its text names is as it was when the attachment was read; an outer call may be running it. */
	if (*prepared == NULL)
		*prepared = prepare(call->attachment, call->plan);
	result = execute(*prepared, call->plan, call->values, call->nulls);
	if (result != SPI_OK_SELECT && result != SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "statement of chat_realtime returned %s", SPI_result_code_string(result));
}

uint64
chat_plan_run(ChatAttachment *attachment, ChatPlan plan, Datum *values, const char *nulls)
{
	PlanCall call = {attachment, plan, values, nulls};

	chat_as_owner(table_of(attachment, plan), false, run, &call);
	return SPI_processed;
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
