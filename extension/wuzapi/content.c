/*
 * What a WhatsApp message holds, for the WUZAPI normaliser; see wuzapi.h.
 *
 * Wrappers (view once, disappearing, edited …) hold the message proper one level deeper; the kinds of content are
 * read by kinds.c.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "wuzapi/wuzapi.h"
#include "wuzapi/content.h"

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

uint32
wuzapi_count(JsonbContainer *list)
{
	return list == NULL ? 0 : Min(JsonContainerSize(list), WUZAPI_MAX_ELEMENTS);
}

JsonbContainer *
wuzapi_element(JsonbContainer *list, uint32 i)
{
	return wuzapi_as_object(getIthJsonbValueFromContainer(list, i));
}

/* --- finding the content -------------------------------------------------------------------------- */

typedef struct WuzapiWrapper
{
	const char *key;
	bool view_once;
	bool ephemeral;
	bool edited;
	bool spoiler;
} WuzapiWrapper;

/* Those that say something of what is in them; the others only hold it. */
static const WuzapiWrapper wrappers[] = {
	{.key = "ephemeralmessage", .ephemeral = true},
	{.key = "viewoncemessage", .view_once = true},
	{.key = "viewoncemessagev2", .view_once = true},
	{.key = "viewoncemessagev2extension", .view_once = true},
	{.key = "editedmessage", .edited = true},
	{.key = "spoilermessage", .spoiler = true},
};

static void
note_wrapper(WuzapiContent *content, const JsonbValue *key)
{
	for (int i = 0; i < (int) lengthof(wrappers); i++)
	{
		if (!wuzapi_is(key, wrappers[i].key))
			continue;
		content->view_once |= wrappers[i].view_once;
		content->ephemeral |= wrappers[i].ephemeral;
		content->edited |= wrappers[i].edited;
		content->spoiler |= wrappers[i].spoiler;
	}
}

/*
 * Takes one wrapper away; NULL when there is none. WhatsApp makes new ones of one form, {name: {message: {…}}}, so that whoever
 * does not know them finds the content all the same; a comment has that form, too, and is content.
 */
static JsonbContainer *
unwrap_once(JsonbContainer *message, WuzapiContent *content)
{
	JsonbIterator *it = JsonbIteratorInit(message);
	JsonbValue key;
	JsonbValue value;

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		JsonbContainer *inner;

		(void) JsonbIteratorNext(&it, &value, true);
		inner = wuzapi_find_object(wuzapi_as_object(&value), "message");
		if (inner == NULL || wuzapi_is(&key, "commentmessage"))
			continue;
		note_wrapper(content, &key);
		return inner;
	}
	return NULL;
}

JsonbContainer *
wuzapi_unwrap(JsonbContainer *message, WuzapiContent *content)
{
	for (int i = 0; i <= MAX_WRAPPERS; i++)
	{
		JsonbContainer *association = wuzapi_find_object(
			wuzapi_find_object(message, "messageContextInfo"), "messageAssociation");
		JsonbContainer *inner = i < MAX_WRAPPERS ? unwrap_once(message, content) : NULL;

		if (association != NULL)
			content->association = association;
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

/* How a message belongs to another one, by WhatsApp's numbers. */
static const struct
{
	const char *number;
	const char *name;
	bool variant; /* it is the same picture or video again, for those who can show it */
} associations[] = {
	{"1", "album", false},    {"5", "hd", true},      {"7", "poll", false}, {"10", "hd", true},
	{"11", "sticker", false}, {"12", "motion", true}, {"19", "hevc", true}, {"3", "event", false},
};

/* The row of the association above; -1: none that is known. */
static int
association_of(const WuzapiContent *content)
{
	JsonbValue type;

	if (!wuzapi_find_number(content->association, "associationType", &type))
		return -1;
	for (int i = 0; i < (int) lengthof(associations); i++)
	{
		if (strcmp(numeric_normalize(type.val.numeric), associations[i].number) == 0)
			return i;
	}
	return -1;
}

/* A variant of a message that is here already is no message of its own. */
static void
read_variant(WuzapiContent *content)
{
	int association = association_of(content);

	if (association < 0 || !associations[association].variant || content->media == NULL ||
		!wuzapi_read_target(content, content->association, "parentMessageKey"))
		return;
	content->change = WUZAPI_VARIANT;
	content->variant = associations[association].name;
}

static WuzapiContent *
new_content(JsonbContainer *outer, JsonbContainer *event)
{
	WuzapiContent *content = palloc0(sizeof(WuzapiContent));

	content->outer = outer;
	content->event = event;
	content->text.type = jbvNull;
	content->raw.type = jbvNull;
	return content;
}

WuzapiContent *
wuzapi_content_read(const WuzapiEnvelope *envelope, const char **reason)
{
	WuzapiContent *content = new_content(envelope->outer, envelope->event);
	JsonbContainer *message = message_of(envelope->event);

	if (message == NULL)
		*reason = "no content";
	else
		*reason = wuzapi_read_kind(content, wuzapi_unwrap(message, content));
	if (*reason == NULL)
		*reason = edit_reason(content);
	if (*reason == NULL && content->change == WUZAPI_NEW && is_edit(content))
		read_edit_target(content);
	if (*reason == NULL && content->change == WUZAPI_NEW)
		read_variant(content);
	return *reason == NULL ? content : NULL;
}

/* Marks what may yet come. */
static void
describe_unavailable(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_put_bool(out, "unavailable", true);
}

WuzapiContent *
wuzapi_content_unavailable(const WuzapiEnvelope *envelope)
{
	WuzapiContent *content = new_content(envelope->outer, envelope->event);

	wuzapi_set_view_once(content);
	content->describe = describe_unavailable;
	return content;
}

WuzapiContent *
wuzapi_content_missed_call(bool video)
{
	WuzapiContent *content = new_content(NULL, NULL);

	wuzapi_set_missed_call(content, video);
	return content;
}

const JsonbValue *
wuzapi_content_target(const WuzapiContent *content)
{
	return &content->target;
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
	JsonbContainer *body = content->media;
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
	count = wuzapi_count(options);
	wuzapi_open_array(out, "options");
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *option = getIthJsonbValueFromContainer(options, i);

		if (option->type == jbvString)
			wuzapi_add_element(out, wuzapi_cstring(option, WUZAPI_MAX_METADATA_BYTES));
	}
	wuzapi_close_array(out);
}

/* Whether it has content of its own to be stored. */
static bool
has_content(const WuzapiContent *content)
{
	return content->change == WUZAPI_NEW || content->change == WUZAPI_EDIT ||
		   content->change == WUZAPI_VARIANT;
}

/* Which message is changed, and how. */
static void
write_change(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_put(out, "target", &content->target);
	wuzapi_open_array(out, "ids");
	wuzapi_add_element(out, wuzapi_cstring(&content->target, INT_MAX));
	wuzapi_close_array(out);
	wuzapi_put_text(out, "variant", content->variant);
	if (content->change == WUZAPI_REACTION)
		wuzapi_put(out, "emoji", &content->text);
	if (content->change == WUZAPI_VOTE)
		put_vote(out, content->body);
	if (content->change == WUZAPI_REACTION || content->change == WUZAPI_VOTE)
		wuzapi_put_text(out, "sentAt", wuzapi_time(content->sent_at / 1000));
}

void
wuzapi_content_write(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbValue answered;

	if (content->change != WUZAPI_NEW)
		write_change(out, content);
	if (!has_content(content))
		return;
	wuzapi_put_text(out, "type", content->type);
	wuzapi_put(out, "content", &content->text);
	if (content->media_type)
		put_media(out, content);
	if (wuzapi_answers(content, &answered))
		wuzapi_put(out, "replyTo", &answered);
}

/* What is needed to fetch an encrypted file again. */
static void
put_media_keys(WuzapiOutput *out, JsonbContainer *body)
{
	static const char *const texts[][2] = {
		{"url", "URL"},           {"directPath", "directPath"}, {"mediaKey", "mediaKey"},
		{"mimetype", "mimetype"}, {"fileSha256", "fileSHA256"}, {"fileEncSha256", "fileEncSHA256"},
		{"waveform", "waveform"},
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

/* To which message it belongs. */
static void
put_association(WuzapiOutput *out, const WuzapiContent *content)
{
	int association = association_of(content);

	if (association < 0)
		return;
	wuzapi_open(out, "association");
	wuzapi_put_text(out, "type", associations[association].name);
	(void) wuzapi_copy_string(out, "parent",
							  wuzapi_find_object(content->association, "parentMessageKey"), "ID");
	(void) wuzapi_close(out);
}

void
wuzapi_content_write_metadata(WuzapiOutput *out, const WuzapiContent *content)
{
	if (!has_content(content))
		return;
	if (content->media != NULL)
		put_media_keys(out, content->media);
	wuzapi_put_context(out, content);
	put_association(out, content);
	wuzapi_put_text(out, "whatsappType", content->whatsapp_type);
	if (content->describe != NULL)
		content->describe(out, content);
	if (content->view_once || wuzapi_is_true(content->event, "IsViewOnce") ||
		wuzapi_is_true(content->media, "viewOnce"))
		wuzapi_put_bool(out, "viewOnce", true);
	if (content->ephemeral || wuzapi_is_true(content->event, "IsEphemeral"))
		wuzapi_put_bool(out, "ephemeral", true);
	if (content->spoiler ||
		wuzapi_is_true(wuzapi_find_object(content->body, "contextInfo"), "isSpoiler"))
		wuzapi_put_bool(out, "spoiler", true);
}
