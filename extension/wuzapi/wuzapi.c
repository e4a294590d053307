/*
 * chat.wuzapi_parse: turns the body of a WUZAPI webhook, of any generation, into one form; see wuzapi.h.
 *
 * Three envelopes: {"type":"Message","event":{…}}, {"event":"Message","data":{…}} and {"jsonData":"…"}, whose string
 * (or object) holds one of the others. An event of a kind without a handler is {"kind":"ignored","reason":"…"};
 * a new kind is a row of the table of handlers. Error (class 22) only when an event that we know lacks what
 * makes it usable.
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "wuzapi/wuzapi.h"

PG_FUNCTION_INFO_V1(chat_wuzapi_parse);
PG_FUNCTION_INFO_V1(chat_wuzapi_jid);

static const char *const id_keys[] = {"ID", "MessageId", NULL};

/* Writes that an event is of no use to us. */
static void
ignore(WuzapiOutput *out, const char *reason)
{
	wuzapi_put_text(out, "kind", "ignored");
	wuzapi_put_text(out, "reason", reason);
}

/* --- envelope ------------------------------------------------------------------------------------ */

/* Says which field the JSON error is about. */
static void
json_error_context(void *path)
{
	if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
		return;
	errmsg("field \"%s\" of the WUZAPI event holds no valid JSON", (const char *) path);
	errhint("Pass the form field as it was received, url-decoded once.");
}

/* Parses JSON text that came as a string. */
static JsonbContainer *
parse_inner(const JsonbValue *text, const char *path)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = json_error_context,
		.arg = unconstify(char *, path),
	};
	Jsonb *inner;

	error_context_stack = &callback;
	inner = DatumGetJsonbP(
		DirectFunctionCall1(jsonb_in, CStringGetDatum(wuzapi_cstring(text, INT_MAX))));
	error_context_stack = callback.previous;
	if (!JB_ROOT_IS_OBJECT(inner))
		wuzapi_wrong_type(path, "a JSON object");
	return &inner->root;
}

/* Takes the form field away, if there is one. */
static JsonbContainer *
open_form(JsonbContainer *root)
{
	JsonbValue inner;

	if (!wuzapi_find(root, "jsonData", &inner))
		return root;
	if (inner.type == jbvString)
		return parse_inner(&inner, "jsonData");
	return wuzapi_require_object(root, "jsonData", "jsonData");
}

/* Finds the event's name and body. */
static WuzapiEnvelope
open_envelope(JsonbContainer *root)
{
	WuzapiEnvelope envelope = {.type = {.type = jbvNull}};
	JsonbValue event;

	envelope.outer = open_form(root);
	if (!wuzapi_find_string(envelope.outer, "type", &envelope.type))
		envelope.type.type = jbvNull;
	if (!wuzapi_find(envelope.outer, "event", &event))
		event.type = jbvNull;
	envelope.event = wuzapi_as_object(&event);
	if (event.type == jbvString && envelope.type.type == jbvNull)
		envelope.type = event;
	if (envelope.event == NULL)
		envelope.event = wuzapi_find_object(envelope.outer, "data");
	return envelope;
}

/* Writes which of the owner's numbers the event came in by, as WUZAPI names it. Form fields stand beside jsonData. */
static void
put_instance(WuzapiOutput *out, JsonbContainer *root, const WuzapiEnvelope *envelope)
{
	static const char *const fields[][2] = {
		{"name", "instanceName"}, {"userId", "userID"}, {"token", "token"}};

	wuzapi_open(out, "instance");
	for (int i = 0; i < (int) lengthof(fields); i++)
	{
		JsonbValue value;

		if ((wuzapi_find_string(root, fields[i][1], &value) ||
			 wuzapi_find_string(envelope->outer, fields[i][1], &value)) &&
			value.val.string.len > 0)
			wuzapi_put_text(out, fields[i][0], wuzapi_cstring(&value, WUZAPI_MAX_IDENTIFIER_BYTES));
	}
	(void) wuzapi_close(out);
}

/* The event's body, which a handler needs. */
static JsonbContainer *
require_event(const WuzapiEnvelope *envelope)
{
	JsonbValue named;

	if (envelope->event != NULL)
		return envelope->event;
	/* {"event":"Message","data":{…}}: a type beside it says that the event itself should be the body. */
	if (!wuzapi_find(envelope->outer, "type", &named) &&
		wuzapi_find_string(envelope->outer, "event", &named))
		return wuzapi_require_object(envelope->outer, "data", "data");
	return wuzapi_require_object(envelope->outer, "event", "event");
}

/* --- times ------------------------------------------------------------------------------------- */

/* Writes the time of an event. Go's zero time is none; a time without a zone is UTC. */
static void
put_timestamp(WuzapiOutput *out, JsonbContainer *info, const char *path, bool required)
{
	static const char *const keys[] = {"Timestamp", NULL};
	JsonbValue value;
	char *text;

	if (!required && !wuzapi_find(info, keys[0], &value))
		return;
	value = wuzapi_require_string(info, keys, path);
	text = wuzapi_cstring(&value, INT_MAX);
	if (!wuzapi_is_timestamp(text))
	{
		text = psprintf("%sZ", text);
		if (!wuzapi_is_timestamp(text))
			wuzapi_wrong_type(path, "a time such as 2026-06-18T13:19:38+02:00");
	}
	if (strncmp(text, "0001-01-01T00:00:00", strlen("0001-01-01T00:00:00")) != 0)
		wuzapi_put_text(out, "timestamp", text);
}

/* --- handlers ------------------------------------------------------------------------------------ */

/* Writes the name that a person gave itself, or WhatsApp a business: the contact's, or in a group the participant's. */
static void
put_name(WuzapiOutput *out, JsonbContainer *info, const char *key)
{
	JsonbContainer *verified =
		wuzapi_find_object(wuzapi_find_object(info, "VerifiedName"), "Details");
	JsonbValue name;

	if ((wuzapi_find_string(info, "PushName", &name) && name.val.string.len > 0) ||
		(wuzapi_find_string(verified, "verifiedName", &name) && name.val.string.len > 0))
		wuzapi_put_text(out, key, wuzapi_cstring(&name, WUZAPI_MAX_IDENTIFIER_BYTES));
}

/* Writes the metadata of a message; it is stored as it is. */
static void
put_metadata(WuzapiOutput *out, JsonbContainer *info, const WuzapiSource *source,
			 const WuzapiContent *content)
{
	wuzapi_open(out, "metadata");
	wuzapi_put_text(out, "participant", source->participant.text);
	if (source->group && !source->from_me)
		put_name(out, info, "participantName");
	wuzapi_content_write_metadata(out, content);
	(void) wuzapi_close(out);
}

/* Writes what a message or a change of one holds. */
static void
put_content(WuzapiOutput *out, JsonbContainer *info, const WuzapiSource *source,
			const WuzapiContent *content)
{
	static const char *const kinds[] = {
		[WUZAPI_NEW] = "message",     [WUZAPI_EDIT] = "edit",
		[WUZAPI_REVOKE] = "revoke",   [WUZAPI_REACTION] = "reaction",
		[WUZAPI_VOTE] = "vote",       [WUZAPI_PENDING_EDIT] = "pendingEdit",
		[WUZAPI_VARIANT] = "variant",
	};

	wuzapi_put_text(out, "kind", kinds[wuzapi_content_change(content)]);
	wuzapi_put_source(out, source);
	if (!source->group && !source->from_me)
		put_name(out, info, "pushName");
	wuzapi_content_write(out, content);
	put_metadata(out, info, source, content);
}

/* Where an event says whose and when it is: in Info, whose fields may also stand beside Message. */
static JsonbContainer *
info_of(JsonbContainer *event)
{
	JsonbValue info;

	return wuzapi_find(event, "Info", &info) ? wuzapi_require_object(event, "Info", "event.Info")
											 : event;
}

/* Whether it is of a contact's call: the owner's own are no news. */
static bool
is_own_call(const WuzapiSource *source, const WuzapiContent *content)
{
	return source->from_me && wuzapi_content_is_call(content);
}

/* Writes a message that was read; NULL: why it was not. */
static void
put_message(WuzapiOutput *out, JsonbContainer *info, const WuzapiSource *source,
			const WuzapiContent *content, const char *reason)
{
	JsonbValue id = wuzapi_require_string(info, id_keys, "event.Info.ID");

	if (content == NULL || is_own_call(source, content))
	{
		ignore(out, content ? "call" : reason);
		return;
	}
	wuzapi_put(out, "id", &id);
	put_timestamp(out, info, "event.Info.Timestamp", true);
	put_content(out, info, source, content);
}

/* {Info, Message, …} */
static void
handle_message(WuzapiOutput *out, const WuzapiEnvelope *envelope)
{
	JsonbContainer *info = info_of(require_event(envelope));
	WuzapiSource source;
	WuzapiContent *content = NULL;
	const char *reason;

	if (wuzapi_read_source(info, "event.Info.Chat", &source, &reason))
		content = wuzapi_content_read(envelope, &reason);
	put_message(out, info, &source, content, reason);
}

/* {Info, IsUnavailable, UnavailableType}: what can be read later comes again, as a message; what is shown once, never. */
static void
handle_undecryptable(WuzapiOutput *out, const WuzapiEnvelope *envelope)
{
	JsonbContainer *event = require_event(envelope);
	JsonbContainer *info = info_of(event);
	WuzapiSource source;
	WuzapiContent *content = NULL;
	const char *reason;
	JsonbValue type;

	if (wuzapi_read_source(info, "event.Info.Chat", &source, &reason))
	{
		reason = "message that was not decrypted";
		if (wuzapi_is_true(event, "IsUnavailable") &&
			wuzapi_find_string(event, "UnavailableType", &type) && wuzapi_is(&type, "view_once"))
			content = wuzapi_content_unavailable(envelope);
	}
	put_message(out, info, &source, content, reason);
}

/* The word for a receipt's state: WUZAPI's, where that is not empty, else WhatsApp's. */
static bool
find_state(const WuzapiEnvelope *envelope, JsonbValue *state)
{
	bool found = wuzapi_find_string(envelope->outer, "state", state) ||
				 wuzapi_find_string(envelope->event, "state", state);
	JsonbValue type;

	if (found && state->val.string.len > 0)
		return true;
	if (!wuzapi_find_string(envelope->event, "Type", &type))
		return found;
	*state = type;
	return true;
}

/* The state a receipt tells, or NULL. What the owner's own devices tell is no news of the contact. */
static const char *
receipt_state(const WuzapiEnvelope *envelope, bool from_me, const char **reason)
{
	JsonbValue state;

	*reason = "receipt of another kind";
	if (!find_state(envelope, &state))
		return NULL;
	if (wuzapi_is(&state, "readself") || wuzapi_is(&state, "read-self") ||
		wuzapi_is(&state, "played-self"))
		return "read-self";
	/* With read receipts switched on, reading on another device arrives as an ordinary "read" by oneself. */
	if (wuzapi_is(&state, "read") || wuzapi_is(&state, "played"))
		return from_me ? "read-self" : "read";
	if (!wuzapi_is(&state, "delivered") && !wuzapi_is(&state, ""))
		return NULL;
	*reason = "receipt of an own device";
	return from_me ? NULL : "delivered";
}

/* Writes the ids a receipt is about. */
static void
put_ids(WuzapiOutput *out, JsonbContainer *event)
{
	JsonbContainer *ids = wuzapi_find_array(event, "MessageIDs");
	JsonbValue any;
	uint32 count;

	if (ids == NULL && wuzapi_find(event, "MessageIDs", &any))
		wuzapi_wrong_type("event.MessageIDs", "an array of strings");
	if (ids == NULL)
		wuzapi_missing("event.MessageIDs");
	count = JsonContainerSize(ids);
	wuzapi_open_array(out, "ids");
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *id = getIthJsonbValueFromContainer(ids, i);

		if (id->type != jbvString)
			wuzapi_wrong_type("event.MessageIDs", "an array of strings");
		wuzapi_add_element(out, wuzapi_cstring(id, INT_MAX));
	}
	wuzapi_close_array(out);
}

/* {Chat, Sender, IsFromMe, MessageIDs, Timestamp, Type}, with state beside the event. */
static void
handle_receipt(WuzapiOutput *out, const WuzapiEnvelope *envelope)
{
	JsonbContainer *event = require_event(envelope);
	WuzapiSource source;
	const char *reason;
	const char *state = NULL;

	if (wuzapi_read_source(event, "event.Chat", &source, &reason))
		state = receipt_state(envelope, source.from_me, &reason);
	if (state == NULL)
	{
		ignore(out, reason);
		return;
	}
	wuzapi_put_text(out, "kind", "receipt");
	wuzapi_put_text(out, "state", state);
	wuzapi_put_source(out, &source);
	put_ids(out, event);
	put_timestamp(out, event, "event.Timestamp", false);
}

/* {Chat, Sender, State, Media} */
static void
handle_typing(WuzapiOutput *out, const WuzapiEnvelope *envelope)
{
	static const char *const state_keys[] = {"State", NULL};
	JsonbContainer *event = require_event(envelope);
	WuzapiSource source;
	const char *reason;
	JsonbValue state;
	JsonbValue media;

	if (!wuzapi_read_source(event, "event.Chat", &source, &reason))
	{
		ignore(out, reason);
		return;
	}
	state = wuzapi_require_string(event, state_keys, "event.State");
	if (!wuzapi_is(&state, "composing") && !wuzapi_is(&state, "paused"))
	{
		ignore(out, "chat presence of another kind");
		return;
	}
	wuzapi_put_text(out, "kind", "typing");
	wuzapi_put_text(out, "state", wuzapi_is(&state, "composing") ? "composing" : "paused");
	wuzapi_put_source(out, &source);
	if (wuzapi_find_string(event, "Media", &media) && wuzapi_is(&media, "audio"))
		wuzapi_put_text(out, "media", "audio");
}

/* {JID, Name: "…"} of JoinedGroup, {JID, Name: {Name, …}} of GroupInfo, where null means that it did not change. */
static void
handle_group(WuzapiOutput *out, const WuzapiEnvelope *envelope)
{
	static const char *const keys[] = {"JID", NULL};
	JsonbContainer *event = require_event(envelope);
	JsonbValue jid = wuzapi_require_string(event, keys, "event.JID");
	JsonbValue name;
	WuzapiJid chat;

	if (!wuzapi_find_string(event, "Name", &name) &&
		!wuzapi_find_string(wuzapi_find_object(event, "Name"), "Name", &name))
		ignore(out, "no name of a group");
	else if (name.val.string.len == 0 || !wuzapi_jid(&jid, &chat) || chat.server != WUZAPI_GROUP)
		ignore(out, "no name of a group");
	else
	{
		wuzapi_put_text(out, "kind", "group");
		wuzapi_put_text(out, "chat", chat.text);
		wuzapi_put_text(out, "name", wuzapi_cstring(&name, 255));
	}
}

static const struct
{
	const char *type;
	void (*handle)(WuzapiOutput *out, const WuzapiEnvelope *envelope);
} handlers[] = {
	{"message", handle_message},     {"undecryptablemessage", handle_undecryptable},
	{"readreceipt", handle_receipt}, {"receipt", handle_receipt},
	{"chatpresence", handle_typing}, {"groupinfo", handle_group},
	{"joinedgroup", handle_group},   {"historysync", wuzapi_handle_history},
};

static void
dispatch(WuzapiOutput *out, const WuzapiEnvelope *envelope)
{
	for (int i = 0; i < (int) lengthof(handlers); i++)
	{
		if (!wuzapi_is(&envelope->type, handlers[i].type))
			continue;
		handlers[i].handle(out, envelope);
		return;
	}
	if (envelope->type.type == jbvNull)
		ignore(out, "event without a type");
	else
		ignore(out, psprintf("unsupported event: %s", wuzapi_cstring(&envelope->type, 64)));
}

/* SQL: chat.wuzapi_parse(payload) */
Datum
chat_wuzapi_parse(PG_FUNCTION_ARGS)
{
	Jsonb *payload = PG_GETARG_JSONB_P(0);
	WuzapiOutput out = {NULL};
	WuzapiEnvelope envelope;

	if (!JB_ROOT_IS_OBJECT(payload))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the WUZAPI payload must be a JSON object"),
			 errhint(
				 "Pass the body of WUZAPI's webhook; form fields as an object with jsonData.")));
	envelope = open_envelope(&payload->root);
	wuzapi_open(&out, NULL);
	dispatch(&out, &envelope);
	put_instance(&out, &payload->root, &envelope);
	wuzapi_put_pairs(&out, envelope.event);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(wuzapi_close(&out)));
}

/* SQL: chat.wuzapi_jid(address) */
Datum
chat_wuzapi_jid(PG_FUNCTION_ARGS)
{
	text *address = PG_GETARG_TEXT_PP(0);
	JsonbValue value = {.type = jbvString};
	WuzapiJid jid;

	value.val.string.val = VARDATA_ANY(address);
	value.val.string.len = VARSIZE_ANY_EXHDR(address);
	if (!wuzapi_jid(&value, &jid))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(jid.text));
}
