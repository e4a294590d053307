/*
 * SQL-callable building blocks of the extension's own functions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "attachment.h"
#include "event_log.h"
#include "flush.h"
#include "key.h"
#include "owner.h"
#include "payload.h"
#include "pending.h"
#include "sanitize.h"

/* Longest names that Realtime's binary frames can carry, without its "realtime:" prefix. */
#define MAX_TOPIC_BYTES 246
#define MAX_EVENT_BYTES 255

PG_FUNCTION_INFO_V1(chat_bad_input);
PG_FUNCTION_INFO_V1(chat_emit);
PG_FUNCTION_INFO_V1(chat_row_json);
PG_FUNCTION_INFO_V1(chat_write_counters);
PG_FUNCTION_INFO_V1(chat_random_bytes);
PG_FUNCTION_INFO_V1(chat_sanitize_text);
PG_FUNCTION_INFO_V1(chat_outer_role);
PG_FUNCTION_INFO_V1(chat_acting_role_sql);
PG_FUNCTION_INFO_V1(chat_cluster_identity);

/* A text argument, or NULL. */
static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* chat.bad_input(message, hint, code, field): raises, with hint and column only where there are such. */
Datum
chat_bad_input(PG_FUNCTION_ARGS)
{
	char *message = text_argument(fcinfo, 0);
	char *hint = text_argument(fcinfo, 1);
	char *code = text_argument(fcinfo, 2);
	char *field = text_argument(fcinfo, 3);

	if (message == NULL || code == NULL || strlen(code) != 5)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an error needs a message and an SQLSTATE of five characters")));
	ereport(ERROR, (errcode(MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4])),
					errmsg_internal("%s", message), hint != NULL ? errhint("%s", hint) : 0,
					field != NULL ? err_generic_string(PG_DIAG_COLUMN_NAME, field) : 0));
	PG_RETURN_VOID();
}

/* Refuses a name that is missing or longer than Realtime can carry. */
static void
check_name(const char *what, const char *name, size_t most)
{
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", what)));
	if (*name == '\0' || strlen(name) > most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be from 1 to %zu bytes long", what, most)));
}

/* When an event with the given time to live expires. */
static TimestampTz
expiry(Datum ttl)
{
	return DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()), ttl));
}

Datum
chat_emit(PG_FUNCTION_ARGS)
{
	ChatEvent event = {
		.topic = text_argument(fcinfo, 0),
		.event = text_argument(fcinfo, 1),
		.owner = text_argument(fcinfo, 2),
		.conversation = text_argument(fcinfo, 3),
		.webhook = text_argument(fcinfo, 4),
	};
	Jsonb *payload;
	ChatLog *log;
	int64 id;

	check_name("topic", event.topic, MAX_TOPIC_BYTES);
	check_name("event", event.event, MAX_EVENT_BYTES);
	if (PG_ARGISNULL(5))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("payload must not be NULL")));
	payload = PG_GETARG_JSONB_P(5);
	if (!JB_ROOT_IS_OBJECT(payload))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("payload must be a JSON object")));
	event.payload = JsonbToCString(NULL, &payload->root, VARSIZE(payload));
	event.payload_length = strlen(event.payload);
	if (!PG_ARGISNULL(6))
		event.expires_at = expiry(PG_GETARG_DATUM(6));
	log = chat_log_begin();
	id = chat_log_add(log, &event);
	chat_log_end(log);
	PG_RETURN_INT64(id);
}

/* Which of an attachment's tables a row is of. */
static Oid
table_of_row(const ChatAttachment *attachment, HeapTupleHeader row)
{
	Oid relid = get_typ_typrelid(HeapTupleHeaderGetTypeId(row));

	if (relid != attachment->messages && relid != attachment->conversations)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the row is of none of the tables of attachment %d", attachment->id)));
	return relid;
}

Datum
chat_row_json(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_attachment_get(PG_GETARG_INT32(0));
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(1);
	Oid relid = table_of_row(attachment, row);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};
	Relation relation = table_open(relid, AccessShareLock);
	ChatLayout *layout = chat_layout_get(attachment, relation, relid == attachment->messages);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsHeapTuple);
	StringInfoData buf;

	initStringInfo(&buf);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = relid;
	ExecStoreHeapTuple(&tuple, slot, false);
	chat_payload_whole_row(&buf, layout, slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, AccessShareLock);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
}

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

Datum
chat_random_bytes(PG_FUNCTION_ARGS)
{
	int32 length = PG_GETARG_INT32(0);
	bytea *result;

	if (length < 1 || length > 1024)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("length must be from 1 to 1024")));
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	if (!pg_strong_random(VARDATA(result), length))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers can be had")));
	PG_RETURN_BYTEA_P(result);
}

Datum
chat_sanitize_text(PG_FUNCTION_ARGS)
{
	text *given = PG_GETARG_TEXT_PP(0);
	size_t length = VARSIZE_ANY_EXHDR(given);
	text *inert = palloc(VARHDRSZ + length);

	SET_VARSIZE(inert, VARHDRSZ + chat_sanitize(VARDATA(inert), VARDATA_ANY(given), length,
												GetDatabaseEncoding() == PG_UTF8));
	PG_RETURN_TEXT_P(inert);
}

Datum
chat_outer_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(GetOuterUserId());
}

Datum
chat_acting_role_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(chat_acting_role());
}

Datum
chat_cluster_identity(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum((int64) GetSystemIdentifier());
	values[1] = Int32GetDatum((int32) GetWALInsertionTimeLine());
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
