/*
 * The API's changes of a conversation.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "answer.h"
#include "input.h"
#include "place.h"
#include "validate.h"
#include "values.h"

PG_FUNCTION_INFO_V1(chat_update_conversation);

static void
check_status(const char *status)
{
	for (const char *const *word = chat_conversation_statuses; status != NULL && *word != NULL;
		 word++)
	{
		if (strcmp(status, *word) == 0)
			return;
	}
	chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "status",
				   status != NULL ? psprintf("status \"%s\" is not known", chat_shown(status))
								  : "status must not be null",
				   "Use open, pending, resolved or snoozed.");
}

static void
check(const ChatValues *values)
{
	if (values->given == 0)
		chat_bad_input(
			ERRCODE_INVALID_PARAMETER_VALUE, NULL, "changes holds no change",
			"Keys: status, assignedAgentId, assignedBotId, isMuted, contactName, contactAvatarUrl.");
	if (chat_values_has(values, CHAT_C_STATUS))
		check_status(values->text[CHAT_C_STATUS]);
	if (chat_values_has(values, CHAT_C_MUTED) && values->text[CHAT_C_MUTED] == NULL)
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, "isMuted",
					   "\"isMuted\" of changes must be true or false", NULL);
}

/* An agent may do what the owner may, but delete a conversation or give it to somebody else. */
static void
check_rights(const ChatPlace *place, const ChatValues *values)
{
	if (place->as_agent &&
		(chat_values_has(values, CHAT_C_AGENT) || chat_values_has(values, CHAT_C_BOT)))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("an assigned agent may neither reassign nor delete a conversation"),
						errhint("Its owner may.")));
}

/* SQL: chat.update_conversation(conversation_id, changes, owner) */
Datum
chat_update_conversation(PG_FUNCTION_ARGS)
{
	char *conversation = chat_text_argument(fcinfo, 0);
	Jsonb *changes = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	char *scope = chat_caller_scope(chat_text_argument(fcinfo, 2));
	ChatArgument key;
	ChatValues values;
	ChatPlace place;

	SPI_connect();
	place = chat_place_lock(conversation, scope);
	if (place.attachment == NULL)
		return chat_return_null(fcinfo);
	chat_values_from_caller(&values, "changes", changes, place.attachment);
	check(&values);
	check_rights(&place, &values);
	key = chat_key_given(conversation);
	(void) chat_values_update(place.attachment, &values, false, &key);
	return chat_return_json(fcinfo, CHAT_PLAN_CONVERSATION_JSON, place.attachment, conversation);
}
