/*
 * What a WhatsApp message holds, for the WUZAPI normaliser; see wuzapi.h.
 *
 * Wrappers (view once, disappearing, edited …) hold the message proper one level deeper; the kinds of content are
 * read by wuzapi_kinds.c.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/jsonb.h"

#include "wuzapi/wuzapi.h"
#include "wuzapi/content.h"

#define MAX_MENTIONS 100
#define MAX_WRAPPERS 8

/* --- copying -------------------------------------------------------------------------------------- */

void
wuzapi_copy_number(WuzapiOutput *out, const char *key, JsonbContainer *object, const char *field)
{
	JsonbValue number;

	if (wuzapi_find_number(object, field, &number))
		wuzapi_put(out, key, &number);
}

bool
wuzapi_copy_string(WuzapiOutput *out, const char *key, JsonbContainer *object, const char *field)
{
	JsonbValue text;

	if (!wuzapi_find_string(object, field, &text) || text.val.string.len == 0 ||
		text.val.string.len > WUZAPI_MAX_METADATA_BYTES)
		return false;
	wuzapi_put(out, key, &text);
	return true;
}

/* --- finding the content -------------------------------------------------------------------------- */

static const struct
{
	const char *key;
	bool view_once;
	bool ephemeral;
	bool edited;
} wrappers[] = {
	{.key = "ephemeralMessage", .ephemeral = true},
	{.key = "viewOnceMessage", .view_once = true},
	{.key = "viewOnceMessageV2", .view_once = true},
	{.key = "viewOnceMessageV2Extension", .view_once = true},
	{.key = "documentWithCaptionMessage"},
	{.key = "deviceSentMessage"},
	{.key = "lottieStickerMessage"},
	{.key = "groupMentionedMessage"},
	{.key = "botInvokeMessage"},
	{.key = "editedMessage", .edited = true},
};

/* Takes one wrapper away; NULL when there is none. */
static JsonbContainer *
unwrap_once(JsonbContainer *message, WuzapiContent *content)
{
	for (int i = 0; i < (int) lengthof(wrappers); i++)
	{
		JsonbContainer *inner =
			wuzapi_find_object(wuzapi_find_object(message, wrappers[i].key), "message");

		if (inner == NULL)
			continue;
		content->view_once |= wrappers[i].view_once;
		content->ephemeral |= wrappers[i].ephemeral;
		content->edited |= wrappers[i].edited;
		return inner;
	}
	return NULL;
}

JsonbContainer *
wuzapi_unwrap(JsonbContainer *message, WuzapiContent *content)
{
	for (int i = 0; i < MAX_WRAPPERS; i++)
	{
		JsonbContainer *inner = unwrap_once(message, content);

		if (inner == NULL)
			break;
		message = inner;
	}
	return message;
}

/* The event's Info; its fields may also stand beside Message. */
static JsonbContainer *
info_of(JsonbContainer *event)
{
	JsonbContainer *info = wuzapi_find_object(event, "Info");

	return info != NULL ? info : event;
}

/* True when the event says that it changes an earlier message: "1" and "3" are edits. */
static bool
is_edit(const WuzapiContent *content)
{
	JsonbValue edit;

	return content->edited || wuzapi_is_true(content->event, "IsEdit") ||
		   (wuzapi_find_string(info_of(content->event), "Edit", &edit) &&
			(wuzapi_is(&edit, "1") || wuzapi_is(&edit, "3")));
}

/* Which message an edit that is no protocol message replaces: itself, unless Info names another. */
static void
read_edit_target(WuzapiContent *content)
{
	static const char *const places[][2] = {{"MsgBotInfo", "EditTargetID"},
											{"MsgMetaInfo", "TargetID"}};
	JsonbContainer *info = info_of(content->event);

	content->change = WUZAPI_EDIT;
	for (int i = 0; i < (int) lengthof(places); i++)
	{
		if (wuzapi_find_string(wuzapi_find_object(info, places[i][0]), places[i][1],
							   &content->target) &&
			content->target.val.string.len > 0)
			return;
	}
	if (!wuzapi_find_string(info, "ID", &content->target))
		content->change = WUZAPI_NEW;
}

/* What Info says that the content does not: pins and revokes without their message. */
static const char *
edit_reason(const WuzapiContent *content)
{
	JsonbValue edit;

	if (content->change != WUZAPI_NEW ||
		!wuzapi_find_string(info_of(content->event), "Edit", &edit))
		return NULL;
	if (wuzapi_is(&edit, "2"))
		return "pin";
	return wuzapi_is(&edit, "7") || wuzapi_is(&edit, "8") ? "revoke without a target" : NULL;
}

/* The message's object: unwrapped by WUZAPI, or as it came. */
static JsonbContainer *
message_of(JsonbContainer *event)
{
	JsonbValue message;

	if (wuzapi_find(event, "Message", &message))
		return wuzapi_require_object(event, "Message", "event.Message");
	return wuzapi_find_object(event, "RawMessage");
}

WuzapiContent *
wuzapi_content_read(const WuzapiEnvelope *envelope, const char **reason)
{
	WuzapiContent *content = palloc0(sizeof(WuzapiContent));
	JsonbContainer *message = message_of(envelope->event);

	content->outer = envelope->outer;
	content->event = envelope->event;
	content->text.type = jbvNull;
	content->raw.type = jbvNull;
	if (message == NULL)
		*reason = "no content";
	else
		*reason = wuzapi_read_kind(content, wuzapi_unwrap(message, content));
	if (*reason == NULL)
		*reason = edit_reason(content);
	if (*reason == NULL && content->change == WUZAPI_NEW && is_edit(content))
		read_edit_target(content);
	return *reason == NULL ? content : NULL;
}

WuzapiChange
wuzapi_content_change(const WuzapiContent *content)
{
	return content->change;
}

/* --- writing -------------------------------------------------------------------------------------- */

/* What is said of a file: by the message, by WUZAPI beside the event, or by its store. */
static void
put_media(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *body = content->body;
	JsonbContainer *store = wuzapi_find_object(content->outer, "s3");
	JsonbValue size;

	wuzapi_open(out, "media");
	if (!wuzapi_copy_string(out, "url", store, "url"))
		(void) wuzapi_copy_string(out, "url", body, "URL");
	if (!wuzapi_copy_string(out, "mimeType", body, "mimetype") &&
		!wuzapi_copy_string(out, "mimeType", content->outer, "mimeType"))
		(void) wuzapi_copy_string(out, "mimeType", store, "mimeType");
	if (!wuzapi_copy_string(out, "fileName", body, "fileName") &&
		!wuzapi_copy_string(out, "fileName", body, "title") &&
		!wuzapi_copy_string(out, "fileName", content->outer, "fileName"))
		(void) wuzapi_copy_string(out, "fileName", store, "fileName");
	if (wuzapi_find_number(body, "fileLength", &size))
		wuzapi_put(out, "sizeBytes", &size);
	else
		wuzapi_copy_number(out, "sizeBytes", store, "size");
	wuzapi_copy_number(out, "seconds", body, "seconds");
	if (wuzapi_is_true(body, "PTT"))
		wuzapi_put_bool(out, "ptt", true);
	(void) wuzapi_close(out);
}

/* What a vote chose, by name; WUZAPI knows only hashes where it has not seen the poll. */
static void
put_vote(WuzapiOutput *out, JsonbContainer *vote)
{
	JsonbContainer *options = wuzapi_find_array(vote, "selectedOptions");
	uint32 count;

	if (options == NULL)
		options = wuzapi_find_array(vote, "selectedHashesB64");
	count = options == NULL ? 0 : Min(JsonContainerSize(options), MAX_MENTIONS);
	wuzapi_open_array(out, "options");
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *option = getIthJsonbValueFromContainer(options, i);

		if (option->type == jbvString)
			wuzapi_add_element(out, wuzapi_cstring(option, WUZAPI_MAX_METADATA_BYTES));
	}
	wuzapi_close_array(out);
}

void
wuzapi_content_write(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *context = wuzapi_find_object(content->body, "contextInfo");

	if (content->change != WUZAPI_NEW)
	{
		wuzapi_put(out, "target", &content->target);
		wuzapi_open_array(out, "ids");
		wuzapi_add_element(out, wuzapi_cstring(&content->target, INT_MAX));
		wuzapi_close_array(out);
	}
	if (content->change == WUZAPI_REACTION)
		wuzapi_put(out, "emoji", &content->text);
	if (content->change == WUZAPI_VOTE)
		put_vote(out, content->body);
	if (content->change != WUZAPI_NEW && content->change != WUZAPI_EDIT)
		return;
	wuzapi_put_text(out, "type", content->type);
	wuzapi_put(out, "content", &content->text);
	if (content->media)
		put_media(out, content);
	(void) wuzapi_copy_string(out, "replyTo", context, "stanzaID");
}

/* What is needed to fetch an encrypted file again. */
static void
put_media_keys(WuzapiOutput *out, JsonbContainer *body)
{
	static const char *const texts[][2] = {
		{"url", "URL"},           {"directPath", "directPath"}, {"mediaKey", "mediaKey"},
		{"mimetype", "mimetype"}, {"fileSha256", "fileSHA256"}, {"fileEncSha256", "fileEncSHA256"},
	};
	static const char *const numbers[] = {"fileLength", "seconds", "height", "width", "pageCount"};

	wuzapi_open(out, "media");
	for (int i = 0; i < (int) lengthof(texts); i++)
		(void) wuzapi_copy_string(out, texts[i][0], body, texts[i][1]);
	for (int i = 0; i < (int) lengthof(numbers); i++)
		wuzapi_copy_number(out, numbers[i], body, numbers[i]);
	if (wuzapi_is_true(body, "PTT"))
		wuzapi_put_bool(out, "ptt", true);
	if (wuzapi_is_true(body, "isAnimated"))
		wuzapi_put_bool(out, "animated", true);
	if (wuzapi_is_true(body, "gifPlayback"))
		wuzapi_put_bool(out, "gif", true);
	(void) wuzapi_close(out);
}

/* Who is mentioned; what is no address is left out. */
static void
put_mentions(WuzapiOutput *out, JsonbContainer *context)
{
	JsonbContainer *mentions = wuzapi_find_array(context, "mentionedJID");
	uint32 count = mentions == NULL ? 0 : Min(JsonContainerSize(mentions), MAX_MENTIONS);
	WuzapiJid jid;

	if (count == 0)
		return;
	wuzapi_open_array(out, "mentions");
	for (uint32 i = 0; i < count; i++)
	{
		if (wuzapi_jid(getIthJsonbValueFromContainer(mentions, i), &jid))
			wuzapi_add_element(out, jid.text);
	}
	wuzapi_close_array(out);
}

/* What a message says of the one it answers or forwards. */
static void
put_context(WuzapiOutput *out, JsonbContainer *context)
{
	JsonbValue participant;
	WuzapiJid jid;

	if (wuzapi_find(context, "stanzaID", &participant) &&
		wuzapi_find(context, "participant", &participant) && wuzapi_jid(&participant, &jid))
		wuzapi_put_text(out, "replyToParticipant", jid.text);
	if (wuzapi_is_true(context, "isForwarded"))
		wuzapi_put_bool(out, "forwarded", true);
	put_mentions(out, context);
}

void
wuzapi_content_write_metadata(WuzapiOutput *out, const WuzapiContent *content)
{
	if (content->change != WUZAPI_NEW && content->change != WUZAPI_EDIT)
		return;
	if (content->media)
		put_media_keys(out, content->body);
	put_context(out, wuzapi_find_object(content->body, "contextInfo"));
	wuzapi_put_text(out, "whatsappType", content->whatsapp_type);
	if (content->describe != NULL)
		content->describe(out, content);
	if (content->view_once || wuzapi_is_true(content->event, "IsViewOnce"))
		wuzapi_put_bool(out, "viewOnce", true);
	if (content->ephemeral || wuzapi_is_true(content->event, "IsEphemeral"))
		wuzapi_put_bool(out, "ephemeral", true);
}
