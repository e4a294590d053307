/*
 * HistorySync, for the WUZAPI normaliser: {Data: {conversations: [{ID, messages: [{message: {key, message,
 * messageTimestamp, status}}], …}]}}, as WhatsApp's own description of its history has it.
 *
 * Only messages are taken over; changes of messages are not needed, since the history holds their outcome. What cannot be
 * stored is counted.
 */
#include "postgres.h"

#include "pgtime.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "wuzapi/wuzapi.h"

#define YEAR_10000 253402300800.0 /* seconds */

/* A number as a double; 0 when there is none. */
static double
number_of(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	if (!wuzapi_find_number(object, key, &value))
		return 0;
	return strtod(numeric_normalize(value.val.numeric), NULL);
}

static void
put_count(WuzapiOutput *out, const char *key, double count)
{
	JsonbValue value = {.type = jbvNumeric};

	value.val.numeric = int64_to_numeric((int64) Min(Max(count, 0), PG_INT32_MAX));
	wuzapi_put(out, key, &value);
}

/* WhatsApp's seconds as a time of RFC 3339, or NULL. */
static char *
time_of(JsonbContainer *message)
{
	double seconds = number_of(message, "messageTimestamp");
	pg_time_t time = (pg_time_t) seconds;
	struct pg_tm *tm;

	if (!(seconds > 0 && seconds < YEAR_10000))
		return NULL;
	tm = pg_gmtime(&time);
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", tm->tm_year + 1900, tm->tm_mon + 1,
					tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec);
}

/* How far an own message has come. */
static const char *
status_of(JsonbContainer *message)
{
	static const char *const statuses[] = {"failed",    "pending", "sent",
										   "delivered", "read",    "read"};
	double status = number_of(message, "status");

	return status >= 1 && status < lengthof(statuses) ? statuses[(int) status] : "sent";
}

/* Writes one message; false when it is none that can be stored. */
static bool
put_message(WuzapiOutput *out, JsonbContainer *message, bool group)
{
	JsonbContainer *key = wuzapi_find_object(message, "key");
	WuzapiEnvelope envelope = {.event = message};
	WuzapiContent *content;
	WuzapiJid participant = wuzapi_find_jid(key, "participant");
	bool from_me = wuzapi_is_true(key, "fromMe");
	const char *reason;
	char *time = time_of(message);
	JsonbValue id;
	JsonbValue name;

	if (time == NULL || !wuzapi_find_string(key, "ID", &id) || id.val.string.len == 0 ||
		id.val.string.len > 255)
		return false;
	content = wuzapi_content_read(&envelope, &reason);
	if (content == NULL || wuzapi_content_change(content) != WUZAPI_NEW)
		return false;
	if (participant.text == NULL)
		participant = wuzapi_find_jid(message, "participant");
	wuzapi_open(out, NULL);
	wuzapi_put(out, "id", &id);
	wuzapi_put_bool(out, "fromMe", from_me);
	wuzapi_put_text(out, "timestamp", time);
	wuzapi_put_text(out, "status", from_me ? status_of(message) : NULL);
	wuzapi_content_write(out, content);
	wuzapi_open(out, "metadata");
	if (group)
		wuzapi_put_text(out, "participant", participant.text);
	if (group && !from_me && wuzapi_find_string(message, "pushName", &name))
		wuzapi_put_text(out, "participantName", wuzapi_cstring(&name, 255));
	wuzapi_content_write_metadata(out, content);
	(void) wuzapi_close(out);
	(void) wuzapi_close(out);
	return true;
}

/* Writes the messages of a conversation; returns how many could not be stored. */
static uint32
put_messages(WuzapiOutput *out, JsonbContainer *messages, bool group)
{
	uint32 skipped = 0;

	wuzapi_open_array(out, "messages");
	for (uint32 i = 0; i < JsonContainerSize(messages); i++)
	{
		JsonbContainer *item = wuzapi_as_object(getIthJsonbValueFromContainer(messages, i));
		JsonbContainer *message = wuzapi_find_object(item, "message");

		/* {message: {key, message, …}, msgOrderID}, or without the envelope. */
		if (wuzapi_find_object(message, "key") == NULL)
			message = item;
		if (!put_message(out, message, group))
			skipped++;
	}
	wuzapi_close_array(out);
	return skipped;
}

/* Writes one conversation; returns how many messages could not be stored. */
static uint32
put_conversation(WuzapiOutput *out, JsonbContainer *conversation)
{
	JsonbContainer *messages = wuzapi_find_array(conversation, "messages");
	WuzapiJid chat = wuzapi_find_jid(conversation, "ID");
	WuzapiJid phone = wuzapi_find_jid(conversation, "pnJID");
	WuzapiJid lid = wuzapi_find_jid(conversation, "lidJID");
	JsonbValue name;
	uint32 skipped;

	if (messages == NULL)
		return 0;
	if (chat.server == WUZAPI_LID)
	{
		lid = chat;
		if (phone.server == WUZAPI_PHONE)
			chat = phone;
	}
	if (chat.server != WUZAPI_PHONE && chat.server != WUZAPI_LID && chat.server != WUZAPI_GROUP)
		return JsonContainerSize(messages);
	wuzapi_open(out, NULL);
	wuzapi_put_text(out, "chat", chat.text);
	wuzapi_put_text(out, "lid", lid.server == WUZAPI_LID ? lid.text : NULL);
	if (wuzapi_find_string(conversation, "name", &name) ||
		wuzapi_find_string(conversation, "displayName", &name))
		wuzapi_put_text(out, "name", wuzapi_cstring(&name, 255));
	put_count(out, "unread", number_of(conversation, "unreadCount"));
	skipped = put_messages(out, messages, chat.server == WUZAPI_GROUP);
	(void) wuzapi_close(out);
	return skipped;
}

void
wuzapi_handle_history(WuzapiOutput *out, const WuzapiEnvelope *envelope)
{
	JsonbContainer *conversations =
		wuzapi_find_array(wuzapi_find_object(envelope->event, "Data"), "conversations");
	uint32 skipped = 0;

	if (conversations == NULL)
	{
		wuzapi_put_text(out, "kind", "ignored");
		wuzapi_put_text(out, "reason", "history without conversations");
		return;
	}
	wuzapi_put_text(out, "kind", "history");
	wuzapi_open_array(out, "conversations");
	for (uint32 i = 0; i < JsonContainerSize(conversations); i++)
		skipped += put_conversation(
			out, wuzapi_as_object(getIthJsonbValueFromContainer(conversations, i)));
	wuzapi_close_array(out);
	put_count(out, "skipped", skipped);
}
