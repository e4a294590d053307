/*
 * A page of a list of conversations, and how many there are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "input.h"
#include "listed.h"
#include "plans.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(chat_conversation_rows);
PG_FUNCTION_INFO_V1(chat_conversation_count);

/* Of more accounts the statement is not kept: who has them takes no session's memory. */
#define MAX_KEPT 16

/* Arguments that both functions begin with. */
enum
{
	ATTACHMENT,
	ACCOUNTS,
	AGENTS,
	STATUS,
	ASSIGNED,
	UNREAD,
	PATTERN,
	MOST,
	SKIPPED,
	AFTER
};

#define MAX_ARGUMENTS 9

typedef struct Call
{
	ChatAttachment *attachment;
	ChatListed listed;
	ChatArgument args[MAX_ARGUMENTS];
	int nargs;
} Call;

static void
add(Call *call, Oid type, Datum value, bool isnull)
{
	Assert(call->nargs < MAX_ARGUMENTS);
	call->args[call->nargs++] = (ChatArgument){type, value, isnull};
}

static int
length_of(FunctionCallInfo fcinfo, int n)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(n);
	int length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (length > CHAT_MAX_LISTED)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a user has more than %d accounts", CHAT_MAX_LISTED)));
	return length;
}

/* In the order of the statements' parameters. */
static void
read_wanted(FunctionCallInfo fcinfo, Call *call)
{
	text *assigned = PG_ARGISNULL(ASSIGNED) ? NULL : PG_GETARG_TEXT_PP(ASSIGNED);

	call->listed.accounts = length_of(fcinfo, ACCOUNTS);
	call->listed.agents = length_of(fcinfo, AGENTS);
	if (!PG_ARGISNULL(UNREAD))
		call->listed.unread = PG_GETARG_BOOL(UNREAD) ? CHAT_UNREAD_SOME : CHAT_UNREAD_NONE;
	if (!PG_ARGISNULL(STATUS))
	{
		call->listed.status = true;
		add(call, TEXTOID, PG_GETARG_DATUM(STATUS), false);
	}
	if (assigned != NULL && strcmp(text_to_cstring(assigned), "unassigned") == 0)
		call->listed.assigned = CHAT_ASSIGNED_NONE;
	else if (assigned != NULL)
	{
		call->listed.assigned = CHAT_ASSIGNED_ONE;
		add(call, TEXTOID, PointerGetDatum(assigned), false);
	}
	if (!PG_ARGISNULL(PATTERN))
	{
		call->listed.search = true;
		add(call, TEXTOID, PG_GETARG_DATUM(PATTERN), false);
	}
}

/* The place after which the list goes on: the time of the last message, where the table has it, and the id. */
static void
read_place(Call *call, ArrayType *place)
{
	Datum *values;
	bool *nulls;
	int count;

	deconstruct_array(place, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	if (count != (call->attachment->column[CHAT_C_LAST_AT] != NULL ? 2 : 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a place has not %d elements", count)));
	call->listed.after = count == 1 || nulls[0] ? CHAT_AFTER_NO_TIME : CHAT_AFTER_TIME;
	if (call->listed.after == CHAT_AFTER_TIME)
		add(call, TEXTOID, values[0], false);
	add(call, TEXTOID, values[count - 1], nulls[count - 1]);
}

static Datum
run(FunctionCallInfo fcinfo, Call *call, ChatPlan plan, Oid type)
{
	uint64 variant = chat_listed_pack(&call->listed);
	Datum value;
	bool isnull;

	/* Without accounts and agents there is no conversation. */
	if (call->listed.accounts + call->listed.agents == 0)
		PG_RETURN_NULL();
	if (call->listed.accounts + call->listed.agents > MAX_KEPT)
		variant |= CHAT_NOT_KEPT;
	SPI_connect();
	(void) chat_plan_run_given(call->attachment, plan, variant, call->nargs, call->args);
	value = chat_plan_first(type, &isnull);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}

static void
begin(FunctionCallInfo fcinfo, Call *call)
{
	chat_require_argument(fcinfo, ATTACHMENT, "attachment");
	chat_require_argument(fcinfo, ACCOUNTS, "accounts");
	chat_require_argument(fcinfo, AGENTS, "agents");
	chat_require_argument(fcinfo, MOST, "most");
	*call = (Call){.attachment = chat_attachment_get(PG_GETARG_INT32(ATTACHMENT))};
	add(call, TEXTARRAYOID, PG_GETARG_DATUM(ACCOUNTS), false);
	add(call, TEXTARRAYOID, PG_GETARG_DATUM(AGENTS), false);
	add(call, INT4OID, PG_GETARG_DATUM(MOST), false);
}

/* SQL: chat.conversation_rows(attachment, accounts, agents, status, assigned_to, unread, pattern, most, skipped, after) */
Datum
chat_conversation_rows(PG_FUNCTION_ARGS)
{
	Call call;

	begin(fcinfo, &call);
	chat_require_argument(fcinfo, SKIPPED, "skipped");
	add(&call, INT8OID, PG_GETARG_DATUM(SKIPPED), false);
	read_wanted(fcinfo, &call);
	if (!PG_ARGISNULL(AFTER))
		read_place(&call, PG_GETARG_ARRAYTYPE_P(AFTER));
	return run(fcinfo, &call, CHAT_PLAN_LIST_CONVERSATIONS, JSONBOID);
}

/* SQL: chat.conversation_count(attachment, accounts, agents, status, assigned_to, unread, pattern, most) */
Datum
chat_conversation_count(PG_FUNCTION_ARGS)
{
	Call call;

	begin(fcinfo, &call);
	read_wanted(fcinfo, &call);
	return run(fcinfo, &call, CHAT_PLAN_COUNT_CONVERSATIONS, INT8OID);
}
