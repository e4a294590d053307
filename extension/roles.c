/*
 * Roles of columns; see roles.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "compat.h"
#include "roles.h"

PG_FUNCTION_INFO_V1(chat_column_roles);

/* name, JSON key, candidates, kind, flags */
const ChatRoleInfo chat_roles[CHAT_ROLES] = {
	[CHAT_C_ID] = {"conversation_id", "id", NULL, "id", CHAT_ESSENTIAL},
	[CHAT_C_OWNER] = {"owner", NULL, "{user_id,account_id}", "any", CHAT_ESSENTIAL},
	[CHAT_C_AGENT] = {"agent", "assignedAgentId", "{assigned_agent_id}", "any", 0},
	[CHAT_C_BOT] = {"bot", "assignedBotId", "{assigned_bot_id}", "any", 0},
	[CHAT_C_JID] = {"contact_jid", "contactJid", "{contact_jid}", "any", 0},
	[CHAT_C_NAME] = {"contact_name", "contactName", "{contact_name}", "any", 0},
	[CHAT_C_AVATAR] = {"contact_avatar", NULL, "{contact_avatar_url}", "any", CHAT_API},
	[CHAT_C_STATUS] = {"conversation_status", "status", "{status}", "word", 0},
	[CHAT_C_MUTED] = {"muted", NULL, "{is_muted}", "any", CHAT_API},
	[CHAT_C_INBOX] = {"inbox", NULL, "{inbox_id}", "any", CHAT_API},
	[CHAT_C_METADATA] = {"conversation_metadata", NULL, "{metadata}", "any", CHAT_API},
	[CHAT_C_UNREAD] = {"unread_count", "unreadCount", "{unread_count}", "count", CHAT_WRITTEN},
	[CHAT_C_LAST_AT] = {"last_message_at", "lastMessageAt", "{last_message_at}", "time",
						CHAT_WRITTEN},
	[CHAT_C_PREVIEW] = {"last_message_preview", "lastMessagePreview", "{last_message_preview}",
						"text", CHAT_WRITTEN},
	[CHAT_C_LIST_KEY] = {"list_key", NULL, "{chat_list_key}", "key", CHAT_WRITTEN},
	[CHAT_C_CREATED] = {"conversation_created_at", "createdAt", "{created_at}", "any", 0},
	[CHAT_C_UPDATED] = {"conversation_updated_at", "updatedAt", "{updated_at}", "time",
						CHAT_WRITTEN},
	[CHAT_M_ID] = {"message_id", "id", NULL, "id", CHAT_ESSENTIAL},
	[CHAT_M_CONVERSATION] = {"conversation", "conversationId", "{conversation_id}", "id",
							 CHAT_ESSENTIAL},
	[CHAT_M_EXTERNAL] = {"external_id", NULL, "{message_id}", "any", CHAT_API},
	[CHAT_M_DIRECTION] = {"direction", "direction", "{direction}", "word", CHAT_ESSENTIAL},
	[CHAT_M_STATUS] = {"status", "status", "{status}", "word", CHAT_ESSENTIAL | CHAT_WRITTEN},
	[CHAT_M_TYPE] = {"type", "messageType", "{message_type}", "word", 0},
	[CHAT_M_CONTENT] = {"content", "content", "{content}", "text", CHAT_ESSENTIAL | CHAT_WRITTEN},
	[CHAT_M_METADATA] = {"metadata", "metadata", "{metadata}", "any", 0},
	[CHAT_M_TIME] = {"time", "timestamp", "{timestamp}", "time", 0},
	[CHAT_M_CREATED] = {"created_at", "createdAt", "{created_at}", "time", CHAT_ESSENTIAL},
	[CHAT_M_UPDATED] = {"updated_at", "updatedAt", "{updated_at}", "time", CHAT_WRITTEN},
	[CHAT_M_STATUS_UPDATED] = {"status_updated_at", NULL, "{status_updated_at}", "time",
							   CHAT_WRITTEN},
	[CHAT_M_PRIVATE] = {"private", NULL, "{is_private_note}", "flag", 0},
	[CHAT_M_DELETED] = {"deleted", NULL, "{is_deleted,deleted_at}", "mark", 0},
	[CHAT_M_EDITED] = {"edited", NULL, "{is_edited}", "any", CHAT_API},
	[CHAT_M_SENDER_TYPE] = {"sender_type", NULL, "{sender_type}", "any", 0},
	[CHAT_M_AGENT] = {"sender_agent", NULL, "{sender_agent_id}", "any", CHAT_API},
	[CHAT_M_BOT] = {"sender_bot", NULL, "{sender_bot_id}", "any", CHAT_API},
	[CHAT_M_REPLY_TO] = {"reply_to", NULL, "{reply_to_message_id}", "any", CHAT_API},
	[CHAT_M_MEDIA_URL] = {"media_url", NULL, "{media_url}", "any", CHAT_API},
	[CHAT_M_MIME] = {"media_mime_type", NULL, "{media_mime_type}", "word", 0},
	[CHAT_M_FILENAME] = {"media_filename", NULL, "{media_filename}", "text", CHAT_WRITTEN},
	[CHAT_M_SIZE] = {"media_size_bytes", NULL, "{media_size_bytes}", "number", 0},
	[CHAT_M_DURATION] = {"media_duration_seconds", NULL, "{media_duration_seconds}", "any",
						 CHAT_API},
};

ChatRole
chat_role_named(const char *name, size_t length)
{
	for (int role = 0; role < CHAT_ROLES; role++)
	{
		if (strlen(chat_roles[role].name) == length &&
			memcmp(chat_roles[role].name, name, length) == 0)
			return role;
	}
	return CHAT_ROLES;
}

static Datum
text_array(const char *text)
{
	return OidInputFunctionCall(F_ARRAY_IN, unconstify(char *, text), TEXTOID, -1);
}

/* SQL: chat.column_roles() */
Datum
chat_column_roles(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int role = 0; role < CHAT_ROLES; role++)
	{
		const ChatRoleInfo *info = &chat_roles[role];
		Datum values[6] = {CStringGetTextDatum(info->name),
						   BoolGetDatum(chat_role_is_message(role)),
						   info->candidates ? text_array(info->candidates) : (Datum) 0,
						   BoolGetDatum((info->flags & CHAT_ESSENTIAL) != 0),
						   CStringGetTextDatum(info->kind),
						   BoolGetDatum((info->flags & CHAT_WRITTEN) != 0)};
		bool nulls[6] = {false, false, info->candidates == NULL, false, false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
