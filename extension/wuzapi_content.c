/*
 * What a WhatsApp message holds, for the WUZAPI normaliser; see wuzapi.h.
 *
 * A message is an object with one key per kind of content, beside keys that are no content; the table of kinds
 * says in which order they are looked for and who reads each. A reader fills the content, or returns the reason
 * why it cannot be stored. Wrappers (view once, disappearing …) hold the message proper one level deeper.
 */
#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "wuzapi.h"

/* Longest text that goes into metadata: keys of media are short, and events carry the metadata. */
#define MAX_METADATA_BYTES 4096
#define MAX_MENTIONS 100
#define MAX_WRAPPERS 8

struct WuzapiContent
{
	JsonbContainer *outer; /* extras beside the event */
	JsonbContainer *event;
	JsonbContainer *body; /* the kind's object; NULL for plain text */
	const char *type;     /* message type as it is stored */
	JsonbValue text;      /* jbvNull: none */
	bool media;
	bool view_once;
	bool ephemeral;
};

typedef struct WuzapiKind
{
	const char *key;
	/* Returns NULL, or why the content cannot be stored. */
	const char *(*read)(WuzapiContent *content, const struct WuzapiKind *kind,
						const JsonbValue *value);
	const char *type; /* message type, or for ignored kinds the reason */
	const char *text; /* field that becomes the content */
} WuzapiKind;

/* --- readers ------------------------------------------------------------------------------------- */

/* A plain string. */
static const char *
read_text(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	if (value->type != jbvString)
		wuzapi_wrong_type("event.Message.conversation", "a string");
	content->type = kind->type;
	content->text = *value;
	return NULL;
}

/* An object of which one field is the content. */
static const char *
read_object(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbValue text;

	content->body = wuzapi_as_object(value);
	if (content->body == NULL)
		wuzapi_wrong_type(psprintf("event.Message.%s", kind->key), "an object");
	content->type = kind->type;
	if (kind->text == NULL || !wuzapi_find(content->body, kind->text, &text))
		return NULL;
	if (text.type != jbvString)
		wuzapi_wrong_type(psprintf("event.Message.%s.%s", kind->key, kind->text), "a string");
	content->text = text;
	return NULL;
}

/* A file that is stored elsewhere. */
static const char *
read_media(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->media = true;
	return read_object(content, kind, value);
}

/* Copies a number under another name. */
static void
put_number(WuzapiOutput *out, const char *key, JsonbContainer *object, const char *field)
{
	JsonbValue number;

	if (wuzapi_find_number(object, field, &number))
		wuzapi_put(out, key, &number);
}

/* Copies a text that is neither empty nor overlong under another name. */
static bool
put_string(WuzapiOutput *out, const char *key, JsonbContainer *object, const char *field)
{
	JsonbValue text;

	if (!wuzapi_find_string(object, field, &text) || text.val.string.len == 0 ||
		text.val.string.len > MAX_METADATA_BYTES)
		return false;
	wuzapi_put(out, key, &text);
	return true;
}

/* Writes where something is. */
static void
put_place(WuzapiOutput *out, JsonbContainer *body)
{
	put_number(out, "latitude", body, "degreesLatitude");
	put_number(out, "longitude", body, "degreesLongitude");
	(void) put_string(out, "name", body, "name");
	(void) put_string(out, "address", body, "address");
	(void) put_string(out, "url", body, "URL");
}

/* A place: the content is JSON, as clients of the existing system read it. */
static const char *
read_location(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	WuzapiOutput place = {NULL};
	Jsonb *json;

	(void) read_object(content, kind, value);
	wuzapi_open(&place, NULL);
	put_place(&place, content->body);
	json = JsonbValueToJsonb(wuzapi_close(&place));
	content->text.type = jbvString;
	content->text.val.string.val = JsonbToCString(NULL, &json->root, VARSIZE(json));
	content->text.val.string.len = strlen(content->text.val.string.val);
	return NULL;
}

/* A change of an earlier message. */
static const char *
read_protocol(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *body = wuzapi_as_object(value);
	JsonbValue type;
	const char *number;

	if (!wuzapi_find_number(body, "type", &type))
		return "revoke"; /* 0, which may be left out */
	number = numeric_normalize(type.val.numeric);
	if (strcmp(number, "0") == 0)
		return "revoke";
	return strcmp(number, "14") == 0 ? "edit" : kind->type;
}

static const char *
read_ignored(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	return kind->type;
}

static const WuzapiKind kinds[] = {
	{"protocolMessage", read_protocol, "protocol message", NULL},
	{"editedMessage", read_ignored, "edit", NULL},
	{"reactionMessage", read_ignored, "reaction", NULL},
	{"encReactionMessage", read_ignored, "reaction", NULL},
	{"pollCreationMessage", read_ignored, "poll", NULL},
	{"pollCreationMessageV2", read_ignored, "poll", NULL},
	{"pollCreationMessageV3", read_ignored, "poll", NULL},
	{"pollUpdateMessage", read_ignored, "poll vote", NULL},
	{"conversation", read_text, "text", NULL},
	{"extendedTextMessage", read_object, "text", "text"},
	{"imageMessage", read_media, "image", "caption"},
	{"videoMessage", read_media, "video", "caption"},
	{"ptvMessage", read_media, "video", "caption"},
	{"audioMessage", read_media, "audio", NULL},
	{"documentMessage", read_media, "document", "caption"},
	{"stickerMessage", read_media, "sticker", NULL},
	{"locationMessage", read_location, "location", NULL},
	{"liveLocationMessage", read_location, "location", NULL},
	{"contactMessage", read_object, "contact", "vcard"},
	{"listResponseMessage", read_object, "list_response", "title"},
	{"templateButtonReplyMessage", read_object, "button_response", "selectedDisplayText"},
};

/* Keys of a message that are no content. */
static const char *const companions[] = {"messageContextInfo", "senderKeyDistributionMessage",
										 "fastRatchetKeySenderKeyDistributionMessage"};

static const struct
{
	const char *key;
	bool view_once;
	bool ephemeral;
} wrappers[] = {
	{"ephemeralMessage", false, true},
	{"viewOnceMessage", true, false},
	{"viewOnceMessageV2", true, false},
	{"viewOnceMessageV2Extension", true, false},
	{"documentWithCaptionMessage", false, false},
	{"deviceSentMessage", false, false},
	{"lottieStickerMessage", false, false},
	{"groupMentionedMessage", false, false},
	{"botInvokeMessage", false, false},
};

/* --- finding the content -------------------------------------------------------------------------- */

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
		return inner;
	}
	return NULL;
}

/* Takes the wrappers away, which may be nested. */
static JsonbContainer *
unwrap(JsonbContainer *message, WuzapiContent *content)
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

static bool
is_companion(const JsonbValue *key)
{
	for (int i = 0; i < (int) lengthof(companions); i++)
	{
		/* companions are matched as they are spelled now: a wrong guess only changes a reason */
		if (key->val.string.len == (int) strlen(companions[i]) &&
			memcmp(key->val.string.val, companions[i], key->val.string.len) == 0)
			return true;
	}
	return false;
}

/* Says why a message without a known kind of content is ignored. */
static const char *
unknown_content(JsonbContainer *message)
{
	JsonbIterator *it = JsonbIteratorInit(message);
	JsonbValue item;

	(void) JsonbIteratorNext(&it, &item, true);
	while (JsonbIteratorNext(&it, &item, true) == WJB_KEY)
	{
		if (!is_companion(&item))
			return psprintf("unsupported content: %s", wuzapi_cstring(&item, 64));
		(void) JsonbIteratorNext(&it, &item, true);
	}
	return "no content";
}

/* What Info says of the message as a whole: "1" is an edit, "7" and "8" take a message back. */
static const char *
edit_reason(JsonbContainer *event)
{
	JsonbContainer *info = wuzapi_find_object(event, "Info");
	JsonbValue edit;

	if (wuzapi_is_true(event, "IsEdit"))
		return "edit";
	if (!wuzapi_find_string(info, "Edit", &edit) || edit.val.string.len == 0 ||
		wuzapi_is(&edit, "0"))
		return NULL;
	if (wuzapi_is(&edit, "1") || wuzapi_is(&edit, "3"))
		return "edit";
	return wuzapi_is(&edit, "2") ? "pin" : "revoke";
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

/* Lets the first kind that is there read the message. */
static const char *
read_kind(WuzapiContent *content, JsonbContainer *message)
{
	JsonbValue value;

	for (int i = 0; i < (int) lengthof(kinds); i++)
	{
		if (wuzapi_find(message, kinds[i].key, &value))
			return kinds[i].read(content, &kinds[i], &value);
	}
	return unknown_content(message);
}

WuzapiContent *
wuzapi_content_read(const WuzapiEnvelope *envelope, const char **reason)
{
	WuzapiContent *content = palloc0(sizeof(WuzapiContent));
	JsonbContainer *message = message_of(envelope->event);

	content->outer = envelope->outer;
	content->event = envelope->event;
	content->text.type = jbvNull;
	if (message == NULL)
		*reason = "no content";
	else
		*reason = read_kind(content, unwrap(message, content));
	if (*reason == NULL)
		*reason = edit_reason(envelope->event);
	return *reason == NULL ? content : NULL;
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
	if (!put_string(out, "url", store, "url"))
		(void) put_string(out, "url", body, "URL");
	if (!put_string(out, "mimeType", body, "mimetype") &&
		!put_string(out, "mimeType", content->outer, "mimeType"))
		(void) put_string(out, "mimeType", store, "mimeType");
	if (!put_string(out, "fileName", body, "fileName") &&
		!put_string(out, "fileName", body, "title") &&
		!put_string(out, "fileName", content->outer, "fileName"))
		(void) put_string(out, "fileName", store, "fileName");
	if (wuzapi_find_number(body, "fileLength", &size))
		wuzapi_put(out, "sizeBytes", &size);
	else
		put_number(out, "sizeBytes", store, "size");
	put_number(out, "seconds", body, "seconds");
	if (wuzapi_is_true(body, "PTT"))
		wuzapi_put_bool(out, "ptt", true);
	(void) wuzapi_close(out);
}

void
wuzapi_content_write(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *context = wuzapi_find_object(content->body, "contextInfo");

	wuzapi_put_text(out, "type", content->type);
	wuzapi_put(out, "content", &content->text);
	if (content->media)
		put_media(out, content);
	(void) put_string(out, "replyTo", context, "stanzaID");
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
		(void) put_string(out, texts[i][0], body, texts[i][1]);
	for (int i = 0; i < (int) lengthof(numbers); i++)
		put_number(out, numbers[i], body, numbers[i]);
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
	if (content->media)
		put_media_keys(out, content->body);
	put_context(out, wuzapi_find_object(content->body, "contextInfo"));
	if (strcmp(content->type, "contact") == 0)
		(void) put_string(out, "contactName", content->body, "displayName");
	if (strcmp(content->type, "location") == 0)
	{
		wuzapi_open(out, "location");
		put_place(out, content->body);
		(void) wuzapi_close(out);
	}
	if (content->view_once || wuzapi_is_true(content->event, "IsViewOnce"))
		wuzapi_put_bool(out, "viewOnce", true);
	if (content->ephemeral || wuzapi_is_true(content->event, "IsEphemeral"))
		wuzapi_put_bool(out, "ephemeral", true);
}
