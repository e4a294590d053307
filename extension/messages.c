/*
 * The API's functions that every message goes through: saving it, its status, reading it.
 *
 * Each locks the conversation first and its messages after it, as the triggers do. Statements run as the tables' owners
 * (plans.c); what the caller may is in the conditions of the statement that locks.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "answer.h"
#include "input.h"
#include "place.h"
#include "status.h"
#include "validate.h"
#include "values.h"

PG_FUNCTION_INFO_V1(chat_save_message);
PG_FUNCTION_INFO_V1(chat_update_message_status);
PG_FUNCTION_INFO_V1(chat_mark_read);
PG_FUNCTION_INFO_V1(chat_new_message_id);

#define EXTERNAL_ID_BYTES 9

/* --- what a message that is saved holds ------------------------------------------------------------ */

/* True when a role's column must be given a value. */
static bool
is_required(const ChatAttachment *attachment, ChatRole role)
{
	HeapTuple tuple = attachment->column[role] == NULL
						  ? NULL
						  : SearchSysCacheAttName(attachment->messages, attachment->column[role]);
	bool required;

	if (!HeapTupleIsValid(tuple))
		return false;
	required = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull &&
			   !((Form_pg_attribute) GETSTRUCT(tuple))->atthasdef;
	ReleaseSysCache(tuple);
	return required;
}

/* A new id of WhatsApp's form. It is the caller's to choose there, so that the id stored is the id sent. */
static char *
new_external_id(void)
{
	uint8 bytes[EXTERNAL_ID_BYTES];
	StringInfoData id;

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers can be had")));
	initStringInfo(&id);
	appendStringInfoString(&id, "3EB0");
	for (int i = 0; i < EXTERNAL_ID_BYTES; i++)
		appendStringInfo(&id, "%02X", bytes[i]);
	return id.data;
}

/* SQL: chat.new_message_id() */
Datum
chat_new_message_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(new_external_id()));
}

static void
set_default(ChatValues *values, ChatRole role, char *text)
{
	if (!chat_values_has(values, role))
		chat_values_set(values, role, text);
}

/* Outgoing text, sent (incoming: delivered), from the user, a bot or the contact. null is as not given. */
static void
complete(ChatValues *values, const ChatAttachment *attachment)
{
	bool outgoing;

	for (int role = 0; role < CHAT_ROLES; role++)
	{
		if (values->text[role] == NULL)
			chat_values_unset(values, role);
	}
	outgoing = !chat_values_is(values, CHAT_M_DIRECTION, "incoming");
	set_default(values, CHAT_M_DIRECTION, "outgoing");
	set_default(values, CHAT_M_TYPE, "text");
	set_default(values, CHAT_M_STATUS, outgoing ? "sent" : "delivered");
	set_default(values, CHAT_M_SENDER_TYPE,
				!outgoing                             ? "contact"
				: chat_values_has(values, CHAT_M_BOT) ? "bot"
													  : "user");
	if (!chat_values_has(values, CHAT_M_CONTENT) && is_required(attachment, CHAT_M_CONTENT))
		chat_values_set(values, CHAT_M_CONTENT, "");
	if (!chat_values_has(values, CHAT_M_TIME) && is_required(attachment, CHAT_M_TIME))
		chat_values_set(values, CHAT_M_TIME, pstrdup(timestamptz_to_str(GetCurrentTimestamp())));
}

static bool
is_one_of(const ChatValues *values, ChatRole role, const char *const *words)
{
	while (*words != NULL && !chat_values_is(values, role, *words))
		words++;
	return *words != NULL;
}

/* Refuses a message that is not to be saved. */
static void
check(const ChatValues *values, const ChatAttachment *attachment)
{
	const char *content = values->text[CHAT_M_CONTENT];

	if (chat_values_is(values, CHAT_M_DIRECTION, "incoming") &&
		chat_values_is(values, CHAT_M_PRIVATE, "true"))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "isPrivateNote",
					   "a private note cannot be incoming", NULL);
	if (chat_values_is(values, CHAT_M_TYPE, "text") && (content == NULL || *content == '\0'))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "content",
					   "\"content\" of message is required",
					   "A text needs one; media may do without.");
	if (chat_values_is(values, CHAT_M_EXTERNAL, ""))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "messageId",
					   "\"messageId\" of message must not be empty", NULL);
	if (!chat_values_has(values, CHAT_M_EXTERNAL) &&
		chat_values_is(values, CHAT_M_DIRECTION, "incoming") &&
		is_required(attachment, CHAT_M_EXTERNAL))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "messageId",
					   "\"messageId\" of message is required",
					   "An incoming message is known by the id that WhatsApp gave it.");
	if (!chat_status_known(values->text[CHAT_M_STATUS]))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "status",
					   psprintf("status \"%s\" is not known", values->text[CHAT_M_STATUS]),
					   "Use pending, sent, delivered, read or failed.");
	if (!is_one_of(values, CHAT_M_DIRECTION, chat_directions))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "direction",
					   psprintf("direction \"%s\" is not known", values->text[CHAT_M_DIRECTION]),
					   "Use incoming or outgoing.");
	if (!is_one_of(values, CHAT_M_SENDER_TYPE, chat_senders))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "sender_type",
					   psprintf("senderType \"%s\" is not known", values->text[CHAT_M_SENDER_TYPE]),
					   "Use user, contact, bot or system.");
}

/* What the agent of a conversation writes is that agent's. */
static void
set_sender(ChatValues *values, const ChatPlace *place)
{
	const ChatAttachment *attachment = place->attachment;
	const char *given = values->text[CHAT_M_AGENT];

	if (place->agent == NULL || chat_values_is(values, CHAT_M_DIRECTION, "incoming") ||
		!chat_key_fits(attachment->messages, attachment->column[CHAT_M_AGENT], place->agent))
		return;
	if (place->as_agent && given != NULL && pg_strcasecmp(given, place->agent) != 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("\"senderAgentId\" of message is another agent's"),
						errhint("Leave it out: it is set to the agent who calls.")));
	if (place->as_agent || (given == NULL && !chat_values_has(values, CHAT_M_BOT)))
		chat_values_set(values, CHAT_M_AGENT, place->agent);
}

/* What is sent leaves by the number that its conversation is answered by, unless it names another. */
static void
set_route(ChatValues *values, const ChatPlace *place)
{
	const char *given = values->text[CHAT_M_METADATA];
	Datum merged;

	if (place->route == NULL || strcmp(place->route, "{}") == 0 ||
		place->attachment->column[CHAT_M_METADATA] == NULL ||
		chat_values_is(values, CHAT_M_DIRECTION, "incoming") ||
		chat_values_is(values, CHAT_M_PRIVATE, "true"))
		return;
	merged = DirectFunctionCall2(
		jsonb_concat, DirectFunctionCall1(jsonb_in, CStringGetDatum(place->route)),
		DirectFunctionCall1(jsonb_in, CStringGetDatum(given ? given : "{}")));
	chat_values_set(values, CHAT_M_METADATA,
					DatumGetCString(DirectFunctionCall1(jsonb_out, merged)));
}

/* Where the column is a key of this table instead of WhatsApp's id, the message it names is looked up. */
static void
set_reply(ChatValues *values, const ChatPlace *place)
{
	ChatAttachment *attachment = place->attachment;
	char *external = values->text[CHAT_M_REPLY_TO];
	const char *column = attachment->column[CHAT_M_REPLY_TO];
	Oid type;
	char *key;

	if (external == NULL || column == NULL || attachment->column[CHAT_M_EXTERNAL] == NULL)
		return;
	type = get_atttype(attachment->messages, get_attnum(attachment->messages, column));
	if (type == TEXTOID || type == VARCHAROID)
		return;
	key = chat_place_message(attachment, place->id, external);
	if (key != NULL || !chat_key_fits(attachment->messages, column, external))
		chat_values_set(values, CHAT_M_REPLY_TO, key);
}

/* The message that the conversation has by the id that is given. What is sent without one gets its own, which none has. */
static char *
find_saved(ChatValues *values, const ChatPlace *place)
{
	if (place->attachment->column[CHAT_M_EXTERNAL] == NULL)
		return NULL;
	if (chat_values_has(values, CHAT_M_EXTERNAL))
		return chat_place_message(place->attachment, place->id, values->text[CHAT_M_EXTERNAL]);
	if (!chat_values_is(values, CHAT_M_DIRECTION, "incoming"))
		chat_values_set(values, CHAT_M_EXTERNAL, new_external_id());
	return NULL;
}

/* A resolved conversation in which the contact writes is open again. */
static void
reopen(const ChatValues *values, const ChatPlace *place)
{
	ChatValues open = {0};
	ChatArgument key = chat_key_given(place->id);

	if (chat_triggers_reopen(&place->attachment->settings) ||
		!chat_values_is(values, CHAT_M_DIRECTION, "incoming") || place->status == NULL ||
		strcmp(place->status, "resolved") != 0)
		return;
	chat_values_set(&open, CHAT_C_STATUS, "open");
	(void) chat_values_update(place->attachment, &open, false, &key);
}

/* --- the functions ----------------------------------------------------------------------------------- */

/* SQL: chat.save_message(conversation_id, message, owner) */
Datum
chat_save_message(PG_FUNCTION_ARGS)
{
	Jsonb *given = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	char *scope = chat_caller_scope(chat_text_argument(fcinfo, 2));
	ChatPlace place;
	ChatValues values;
	char *key;

	SPI_connect();
	/* The lock, held from here on, makes the look-up of the id safe. */
	place = chat_place_lock_followed(chat_text_argument(fcinfo, 0), scope);
	if (place.attachment == NULL)
		return chat_return_null(fcinfo);
	chat_values_from_caller(&values, "message", given, place.attachment);
	complete(&values, place.attachment);
	check(&values, place.attachment);
	key = find_saved(&values, &place);
	if (key == NULL)
	{
		reopen(&values, &place);
		set_sender(&values, &place);
		set_route(&values, &place);
		set_reply(&values, &place);
		chat_values_set(&values, CHAT_M_CONVERSATION, place.id);
		key = chat_values_insert(place.attachment, &values, true, false);
	}
	if (key == NULL)
		return chat_return_null(fcinfo); /* a trigger of the table's has kept it out */
	return chat_return_json(fcinfo, CHAT_PLAN_MESSAGE_JSON, place.attachment, key);
}

/* Writes a status and when it was reached into the messages with these keys; returns how many there are. */
static uint64
write_status(ChatAttachment *attachment, char *status, TimestampTz at, const ChatArgument *keys)
{
	ChatValues values = {0};

	chat_values_set(&values, CHAT_M_STATUS, status);
	chat_values_set(&values, CHAT_M_STATUS_UPDATED, pstrdup(timestamptz_to_str(at)));
	return chat_values_update(attachment, &values, true, keys);
}

static bool
status_is_due(ChatAttachment *attachment, const char *message, const char *status)
{
	ChatArgument args[2] = {chat_text_given(message), chat_text_given(status)};
	bool isnull;
	Datum due;

	if (chat_plan_run_given(attachment, CHAT_PLAN_LOCK_STATUS, 0, 2, args) == 0)
		return false;
	due = chat_plan_result(1, &isnull);
	return !isnull && DatumGetBool(due);
}

static void
require_status(const char *status)
{
	if (status == NULL)
		chat_bad_input(ERRCODE_NULL_VALUE_NOT_ALLOWED, "status", "status must not be NULL",
					   "Use pending, sent, delivered, read or failed.");
	if (!chat_status_known(status))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "status",
					   psprintf("status \"%s\" is not known", chat_shown(status)),
					   "Use pending, sent, delivered, read or failed.");
}

/* SQL: chat.update_message_status(message_id, status, at, owner) */
Datum
chat_update_message_status(PG_FUNCTION_ARGS)
{
	char *message = chat_text_argument(fcinfo, 0);
	char *status = chat_text_argument(fcinfo, 1);
	TimestampTz at =
		PG_ARGISNULL(2) ? GetCurrentTransactionStartTimestamp() : PG_GETARG_TIMESTAMPTZ(2);
	char *scope = chat_caller_scope(chat_text_argument(fcinfo, 3));
	ChatAttachment *attachment;

	SPI_connect();
	attachment = chat_place_lock_of(message, scope);
	require_status(status);
	if (attachment == NULL)
		return chat_return_null(fcinfo);
	if (status_is_due(attachment, message, status))
	{
		ChatArgument keys = chat_key_given(message);

		(void) write_status(attachment, status, at, &keys);
	}
	return chat_return_json(fcinfo, CHAT_PLAN_MESSAGE_JSON, attachment, message);
}

/* SQL: chat.mark_read(conversation_id, up_to, owner) */
Datum
chat_mark_read(PG_FUNCTION_ARGS)
{
	char *conversation = chat_text_argument(fcinfo, 0);
	char *scope = chat_caller_scope(chat_text_argument(fcinfo, 2));
	ChatPlace place;
	ChatArgument args[2] = {chat_text_given(conversation),
							{TIMESTAMPTZOID, PG_GETARG_DATUM(1), PG_ARGISNULL(1)}};
	ChatArgument keys = {TEXTARRAYOID, (Datum) 0, true};
	uint64 count;

	SPI_connect();
	place = chat_place_lock(conversation, scope);
	if (place.attachment == NULL)
		return chat_return_null(fcinfo);
	if (chat_plan_run_given(place.attachment, CHAT_PLAN_LOCK_UNREAD, 0, 2, args) > 0)
		keys.value = chat_plan_result(1, &keys.isnull);
	count = write_status(place.attachment, "read", GetCurrentTransactionStartTimestamp(), &keys);
	SPI_finish();
	PG_RETURN_INT32((int32) count);
}
