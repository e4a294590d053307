/*
 * HistorySync, for the WUZAPI normaliser: {Data: {conversations: [{ID, messages: [{message: {key, message,
 * messageTimestamp, status, reactions}}], …}], pushnames: [{ID, pushname}]}}, as WhatsApp's own description of its history
 * has it.
 *
 * Messages are taken over, with their reactions; changes of messages are not needed, since the history holds their outcome,
 * but for edits that only the phones can read. What cannot be stored is counted.
 */
#include "postgres.h"

#include <math.h>

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

/* A chat that its owner marked as unread counts as this. */
#define MARKED_UNREAD 4294967295.0
/* Names that one history may tell. */
#define MAX_NAMES 10000

/* What is found in the messages of a conversation beside them. */
typedef struct WuzapiPast
{
	bool group;
	WuzapiJid chat;
	uint32 skipped;    /* messages that could not be stored */
	JsonbValue name;   /* the contact's, by its newest message; jbvNull: none */
	JsonbValue *edits; /* WhatsApp ids of messages that were edited unreadably */
	bool *edits_by_me;
	uint32 edit_count;
} WuzapiPast;

static void
put_count(WuzapiOutput *out, const char *key, double count)
{
	JsonbValue value = {.type = jbvNumeric};

	value.val.numeric = int64_to_numeric((int64) fmin(fmax(count, 0), PG_INT32_MAX));
	wuzapi_put(out, key, &value);
}

/* How far an own message has come. */
static const char *
status_of(JsonbContainer *message)
{
	static const char *const statuses[] = {"failed",    "pending", "sent",
										   "delivered", "read",    "read"};
	double status = wuzapi_number(message, "status");

	return status >= 1 && status < lengthof(statuses) ? statuses[(int) status] : "sent";
}

/* --- reactions ------------------------------------------------------------------------------------ */

/* Writes who reacted to a message how, as reactions that come by themselves are noted. */
static void
put_reaction(WuzapiOutput *out, JsonbContainer *reaction, const WuzapiPast *past)
{
	JsonbContainer *key = wuzapi_find_object(reaction, "key");
	WuzapiJid person = wuzapi_find_jid(key, "participant");
	char *emoji = wuzapi_text_of(reaction, "text");

	if (emoji == NULL || strlen(emoji) > WUZAPI_MAX_EMOJI_BYTES)
		return;
	if (!past->group)
		person = past->chat;
	wuzapi_open(out, NULL);
	wuzapi_put_text(out, "from", wuzapi_is_true(key, "fromMe") ? "self" : person.text);
	wuzapi_put_text(out, "emoji", emoji);
	wuzapi_put_text(out, "at", wuzapi_time(wuzapi_number(reaction, "senderTimestampMS") / 1000));
	(void) wuzapi_close(out);
}

static void
put_reactions(WuzapiOutput *out, JsonbContainer *message, const WuzapiPast *past)
{
	JsonbContainer *reactions = wuzapi_find_array(message, "reactions");

	if (wuzapi_count(reactions) == 0)
		return;
	wuzapi_open_array(out, "reactions");
	for (uint32 i = 0; i < wuzapi_count(reactions); i++)
		put_reaction(out, wuzapi_element(reactions, i), past);
	wuzapi_close_array(out);
}

/* --- messages ------------------------------------------------------------------------------------- */

/* WhatsApp's numbers for what has no content of its own; those of missed calls become messages. */
static WuzapiContent *
read_stub(double stub)
{
	static const struct
	{
		double number;
		bool video;
	} calls[] = {{40, false}, {41, true}, {45, false}, {46, true}, {169, false}, {170, true}};

	for (int i = 0; i < (int) lengthof(calls); i++)
	{
		if (stub == calls[i].number)
			return wuzapi_content_missed_call(calls[i].video);
	}
	return NULL;
}

/* What a message holds; NULL when it is none that can be stored. */
static WuzapiContent *
read_content(JsonbContainer *message, bool from_me)
{
	double stub = wuzapi_number(message, "messageStubType");
	WuzapiEnvelope envelope = {.event = message};
	const char *reason;
	WuzapiContent *content = stub == 0 ? wuzapi_content_read(&envelope, &reason) : read_stub(stub);

	return content != NULL && from_me && wuzapi_content_is_call(content) ? NULL : content;
}

/* Notes an edit that cannot be read. */
static void
note_edit(WuzapiPast *past, const WuzapiContent *content, bool from_me)
{
	past->edits[past->edit_count] = *wuzapi_content_target(content);
	past->edits_by_me[past->edit_count++] = from_me;
}

static void
put_metadata(WuzapiOutput *out, JsonbContainer *message, const WuzapiContent *content,
			 const WuzapiPast *past, bool from_me)
{
	WuzapiJid participant = wuzapi_find_jid(wuzapi_find_object(message, "key"), "participant");
	JsonbValue name;

	if (participant.text == NULL)
		participant = wuzapi_find_jid(message, "participant");
	wuzapi_open(out, "metadata");
	if (past->group)
		wuzapi_put_text(out, "participant", participant.text);
	if (past->group && !from_me && wuzapi_find_string(message, "pushName", &name))
		wuzapi_put_text(out, "participantName", wuzapi_cstring(&name, WUZAPI_MAX_IDENTIFIER_BYTES));
	put_reactions(out, message, past);
	wuzapi_content_write_metadata(out, content);
	(void) wuzapi_close(out);
}

/* Notes how the contact calls itself. */
static void
note_name(WuzapiPast *past, JsonbContainer *message, bool from_me)
{
	JsonbValue name;

	if (past->group || from_me || past->name.type != jbvNull)
		return;
	if (wuzapi_find_string(message, "pushName", &name) && name.val.string.len > 0)
		past->name = name;
}

/* Writes one message; false when it is none that can be stored. */
static bool
put_message(WuzapiOutput *out, JsonbContainer *message, WuzapiPast *past)
{
	JsonbContainer *key = wuzapi_find_object(message, "key");
	WuzapiContent *content;
	bool from_me = wuzapi_is_true(key, "fromMe");
	char *time = wuzapi_time(wuzapi_number(message, "messageTimestamp"));
	JsonbValue id;

	if (time == NULL || !wuzapi_find_string(key, "ID", &id) || id.val.string.len == 0 ||
		id.val.string.len > WUZAPI_MAX_IDENTIFIER_BYTES)
		return false;
	content = read_content(message, from_me);
	if (content != NULL && wuzapi_content_change(content) == WUZAPI_PENDING_EDIT)
		note_edit(past, content, from_me);
	if (content == NULL || wuzapi_content_change(content) != WUZAPI_NEW)
		return false;
	note_name(past, message, from_me);
	wuzapi_open(out, NULL);
	wuzapi_put(out, "id", &id);
	wuzapi_put_bool(out, "fromMe", from_me);
	wuzapi_put_text(out, "timestamp", time);
	wuzapi_put_text(out, "status", from_me ? status_of(message) : NULL);
	wuzapi_content_write(out, content);
	put_metadata(out, message, content, past, from_me);
	(void) wuzapi_close(out);
	return true;
}

/* Writes the messages of a conversation. */
static void
put_messages(WuzapiOutput *out, JsonbContainer *messages, WuzapiPast *past)
{
	uint32 size = JsonContainerSize(messages);

	past->edits = palloc(Max(size, 1) * sizeof(JsonbValue));
	past->edits_by_me = palloc(Max(size, 1) * sizeof(bool));
	wuzapi_open_array(out, "messages");
	for (uint32 i = 0; i < size; i++)
	{
		JsonbContainer *item = wuzapi_element(messages, i);
		JsonbContainer *message = wuzapi_find_object(item, "message");

		/* {message: {key, message, …}, msgOrderID}, or without the envelope. */
		if (wuzapi_find_object(message, "key") == NULL)
			message = item;
		if (!put_message(out, message, past))
			past->skipped++;
	}
	wuzapi_close_array(out);
}

/* Writes which messages were edited to a text that cannot be read. */
static void
put_edits(WuzapiOutput *out, const WuzapiPast *past)
{
	if (past->edit_count == 0)
		return;
	wuzapi_open_array(out, "pendingEdits");
	for (uint32 i = 0; i < past->edit_count; i++)
	{
		wuzapi_open(out, NULL);
		wuzapi_put(out, "target", &past->edits[i]);
		wuzapi_put_bool(out, "fromMe", past->edits_by_me[i]);
		(void) wuzapi_close(out);
	}
	wuzapi_close_array(out);
}

/* --- conversations -------------------------------------------------------------------------------- */

/* How many messages are unread; at least one where the owner marked it so. */
static double
unread_of(JsonbContainer *conversation)
{
	double count = wuzapi_number(conversation, "unreadCount");

	if (count >= MARKED_UNREAD)
		count = 0;
	return wuzapi_is_true(conversation, "markedAsUnread") ? fmax(count, 1) : count;
}

/* Writes the conversation's name: what the owner calls it, or the contact itself. */
static void
put_name(WuzapiOutput *out, JsonbContainer *conversation, const WuzapiPast *past)
{
	JsonbValue name;

	if ((wuzapi_find_string(conversation, "name", &name) && name.val.string.len > 0) ||
		(wuzapi_find_string(conversation, "displayName", &name) && name.val.string.len > 0))
		wuzapi_put_text(out, "name", wuzapi_cstring(&name, WUZAPI_MAX_IDENTIFIER_BYTES));
	else if (past->name.type == jbvString)
		wuzapi_put_text(out, "name", wuzapi_cstring(&past->name, WUZAPI_MAX_IDENTIFIER_BYTES));
}

/* Writes one conversation; returns how many messages could not be stored. */
static uint32
put_conversation(WuzapiOutput *out, JsonbContainer *conversation)
{
	JsonbContainer *messages = wuzapi_find_array(conversation, "messages");
	WuzapiJid phone = wuzapi_find_jid(conversation, "pnJID");
	WuzapiJid lid = wuzapi_find_jid(conversation, "lidJID");
	WuzapiPast past = {.chat = wuzapi_find_jid(conversation, "ID"), .name = {.type = jbvNull}};

	if (messages == NULL)
		return 0;
	if (past.chat.server == WUZAPI_LID)
	{
		lid = past.chat;
		if (phone.server == WUZAPI_PHONE)
			past.chat = phone;
	}
	past.group = past.chat.server == WUZAPI_GROUP;
	if (past.chat.server != WUZAPI_PHONE && past.chat.server != WUZAPI_LID && !past.group)
		return JsonContainerSize(messages);
	wuzapi_open(out, NULL);
	wuzapi_put_text(out, "chat", past.chat.text);
	wuzapi_put_text(out, "lid", lid.server == WUZAPI_LID ? lid.text : NULL);
	put_count(out, "unread", unread_of(conversation));
	put_messages(out, messages, &past);
	put_edits(out, &past);
	put_name(out, conversation, &past);
	(void) wuzapi_close(out);
	return past.skipped;
}

/* Writes how contacts call themselves: [[address, name], …]. */
static void
put_names(WuzapiOutput *out, JsonbContainer *names)
{
	uint32 size = names == NULL ? 0 : Min(JsonContainerSize(names), MAX_NAMES);

	if (size == 0)
		return;
	wuzapi_open_array(out, "names");
	for (uint32 i = 0; i < size; i++)
	{
		JsonbContainer *entry = wuzapi_element(names, i);
		WuzapiJid jid = wuzapi_find_jid(entry, "ID");
		JsonbValue name;

		if (jid.text == NULL || !wuzapi_find_string(entry, "pushname", &name) ||
			name.val.string.len == 0)
			continue;
		wuzapi_open_element_array(out);
		wuzapi_add_element(out, jid.text);
		wuzapi_add_element(out, wuzapi_cstring(&name, WUZAPI_MAX_IDENTIFIER_BYTES));
		wuzapi_close_array(out);
	}
	wuzapi_close_array(out);
}

void
wuzapi_handle_history(WuzapiOutput *out, const WuzapiEnvelope *envelope)
{
	JsonbContainer *data = wuzapi_find_object(envelope->event, "Data");
	JsonbContainer *conversations = wuzapi_find_array(data, "conversations");
	JsonbContainer *names = wuzapi_find_array(data, "pushnames");
	uint32 size = conversations == NULL ? 0 : JsonContainerSize(conversations);
	uint32 skipped = 0;

	if (conversations == NULL && names == NULL)
	{
		wuzapi_put_text(out, "kind", "ignored");
		wuzapi_put_text(out, "reason", "history without conversations");
		return;
	}
	wuzapi_put_text(out, "kind", "history");
	wuzapi_open_array(out, "conversations");
	for (uint32 i = 0; i < size; i++)
		skipped += put_conversation(out, wuzapi_element(conversations, i));
	wuzapi_close_array(out);
	put_count(out, "skipped", skipped);
	put_names(out, names);
}
