/*
 * Counters that are wrong: finding and mending them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "attachment.h"
#include "flush.h"
#include "key.h"
#include "owner.h"
#include "pending.h"
#include "plans.h"

PG_FUNCTION_INFO_V1(chat_write_counters);
PG_FUNCTION_INFO_V1(chat_drifted_keys);

/* A conversation id given as text. */
static ChatKey
parse_key(const char *text, Oid type)
{
	if (type == UUIDOID)
		return chat_key_from_datum(DirectFunctionCall1(uuid_in, CStringGetDatum(text)), type);
	return chat_key_from_datum(DirectFunctionCall1(int8in, CStringGetDatum(text)), INT8OID);
}

static void
flush(void *changed)
{
	*(int *) changed = chat_flush_pending();
}

/* SQL: chat.write_counters(attachment, conversation) */
Datum
chat_write_counters(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_attachment_get(PG_GETARG_INT32(0));
	ChatKey key = parse_key(text_to_cstring(PG_GETARG_TEXT_PP(1)), attachment->key_type);
	ChatPending *row = chat_pending_add();
	int changed;

	row->attachment = attachment->id;
	row->relid = attachment->conversations;
	row->conversation = key;
	row->flags = CHAT_RECOUNT;
	chat_as_owner(attachment->conversations, false, flush, &changed);
	PG_RETURN_BOOL(changed > 0);
}

/* SQL: chat.drifted_keys(pair, only_ids): also of a pair that is about to be attached */
Datum
chat_drifted_keys(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment;
	ChatArgument only = {TEXTARRAYOID, PG_GETARG_DATUM(1), PG_ARGISNULL(1)};
	ChatArgument args[2] = {only, only};
	Datum keys;
	bool isnull;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	attachment = chat_attachment_from(PG_GETARG_HEAPTUPLEHEADER(0));
	SPI_connect();
	(void) chat_plan_run_given(attachment, CHAT_PLAN_DRIFTED, 0, 2, args);
	keys = chat_plan_first(TEXTARRAYOID, &isnull);
	SPI_finish();
	MemoryContextDelete(attachment->context);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(keys);
}
