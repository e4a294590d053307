/*
 * The kinds of WhatsApp messages; see wuzapi_content.h.
 *
 * A message is an object with one key per kind of content, beside keys that are no content. The table says in which
 * order kinds are looked for and who reads each; a new kind is a row of it. Message types are those that a
 * messages table allows; what WhatsApp has beyond them is stored as text, with its own type beside it.
 */
#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "wuzapi/wuzapi.h"
#include "wuzapi/content.h"

#define MAX_OPTIONS 100
#define MAX_CONTACTS 100

typedef struct WuzapiKind
{
	const char *key;
	/* Returns NULL, or why the content cannot be stored. */
	const char *(*read)(WuzapiContent *content, const struct WuzapiKind *kind,
						const JsonbValue *value);
	const char *type;          /* message type, or for ignored kinds the reason */
	const char *text;          /* field that becomes the content */
	const char *whatsapp_type; /* where the type does not say it */
	const char *placeholder;   /* content where there is none */
} WuzapiKind;

static void
set_text(WuzapiContent *content, const char *text)
{
	content->text.type = jbvString;
	content->text.val.string.val = unconstify(char *, text);
	content->text.val.string.len = strlen(text);
}

/* A text that is not empty, or NULL. */
static char *
text_of(JsonbContainer *object, const char *field)
{
	JsonbValue value;

	if (!wuzapi_find_string(object, field, &value) || value.val.string.len == 0)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* --- plain kinds ---------------------------------------------------------------------------------- */

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
	content->whatsapp_type = kind->whatsapp_type;
	if (kind->placeholder != NULL)
		set_text(content, kind->placeholder);
	if (kind->text == NULL || !wuzapi_find(content->body, kind->text, &text))
		return NULL;
	if (text.type != jbvString)
		wuzapi_wrong_type(psprintf("event.Message.%s.%s", kind->key, kind->text), "a string");
	if (kind->placeholder == NULL || text.val.string.len > 0)
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

static const char *
read_ignored(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	return kind->type;
}

/* --- places and contacts -------------------------------------------------------------------------- */

static void
put_place(WuzapiOutput *out, JsonbContainer *body)
{
	wuzapi_copy_number(out, "latitude", body, "degreesLatitude");
	wuzapi_copy_number(out, "longitude", body, "degreesLongitude");
	(void) wuzapi_copy_string(out, "name", body, "name");
	(void) wuzapi_copy_string(out, "address", body, "address");
	(void) wuzapi_copy_string(out, "url", body, "URL");
}

static void
describe_place(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "location");
	put_place(out, content->body);
	(void) wuzapi_close(out);
}

/* A place: the content is JSON, as clients of the existing system read it. */
static const char *
read_location(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	WuzapiOutput place = {NULL};
	Jsonb *json;

	(void) read_object(content, kind, value);
	content->describe = describe_place;
	wuzapi_open(&place, NULL);
	put_place(&place, content->body);
	json = JsonbValueToJsonb(wuzapi_close(&place));
	set_text(content, JsonbToCString(NULL, &json->root, VARSIZE(json)));
	return NULL;
}

static void
describe_contact(WuzapiOutput *out, const WuzapiContent *content)
{
	(void) wuzapi_copy_string(out, "contactName", content->body, "displayName");
}

static const char *
read_contact(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->describe = describe_contact;
	return read_object(content, kind, value);
}

/* Several contacts: their cards, one after the other. */
static const char *
read_contacts(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *contacts;
	StringInfoData cards;
	uint32 count;

	(void) read_contact(content, kind, value);
	contacts = wuzapi_find_array(content->body, "contacts");
	count = contacts == NULL ? 0 : Min(JsonContainerSize(contacts), MAX_CONTACTS);
	initStringInfo(&cards);
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *contact = getIthJsonbValueFromContainer(contacts, i);
		char *card = text_of(wuzapi_as_object(contact), "vcard");

		if (card != NULL)
			appendStringInfo(&cards, "%s%s", cards.len > 0 ? "\n" : "", card);
	}
	set_text(content, cards.data);
	return NULL;
}

/* --- what can be chosen --------------------------------------------------------------------------- */

/* Walks over the names of what can be chosen: a field of each element, or of an object in it. */
static char *
option_at(JsonbContainer *options, uint32 i, const char *object, const char *field)
{
	JsonbContainer *option = wuzapi_as_object(getIthJsonbValueFromContainer(options, i));

	return text_of(object ? wuzapi_find_object(option, object) : option, field);
}

static void
put_options(WuzapiOutput *out, JsonbContainer *options, const char *object, const char *field)
{
	uint32 count = options == NULL ? 0 : Min(JsonContainerSize(options), MAX_OPTIONS);

	for (uint32 i = 0; i < count; i++)
	{
		char *name = option_at(options, i, object, field);

		if (name != NULL && strlen(name) <= WUZAPI_MAX_METADATA_BYTES)
			wuzapi_add_element(out, name);
	}
}

static void
describe_poll(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "poll");
	(void) wuzapi_copy_string(out, "question", content->body, "name");
	wuzapi_open_array(out, "options");
	put_options(out, wuzapi_find_array(content->body, "options"), NULL, "optionName");
	wuzapi_close_array(out);
	wuzapi_copy_number(out, "selectableCount", content->body, "selectableOptionsCount");
	(void) wuzapi_close(out);
}

/* A poll: its question, and its options with numbers. */
static const char *
read_poll(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *options;
	StringInfoData text;
	uint32 count;
	char *question;

	(void) read_object(content, kind, value);
	content->describe = describe_poll;
	question = text_of(content->body, "name");
	options = wuzapi_find_array(content->body, "options");
	count = options == NULL ? 0 : Min(JsonContainerSize(options), MAX_OPTIONS);
	initStringInfo(&text);
	appendStringInfo(&text, "📊 %s", question ? question : "");
	for (uint32 i = 0; i < count; i++)
	{
		char *name = option_at(options, i, NULL, "optionName");

		appendStringInfo(&text, "\n%u. %s", i + 1, name ? name : "");
	}
	set_text(content, text.data);
	return NULL;
}

/* The rows of a list's sections, or a message's buttons. */
static void
describe_choice(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *sections = wuzapi_find_array(content->body, "sections");
	uint32 count = sections == NULL ? 0 : Min(JsonContainerSize(sections), MAX_OPTIONS);

	wuzapi_open(out, "interactive");
	wuzapi_put_text(out, "type", content->whatsapp_type);
	wuzapi_open_array(out, "options");
	put_options(out, wuzapi_find_array(content->body, "buttons"), "buttonText", "displayText");
	for (uint32 i = 0; i < count; i++)
		put_options(
			out,
			wuzapi_find_array(wuzapi_as_object(getIthJsonbValueFromContainer(sections, i)), "rows"),
			NULL, "title");
	wuzapi_close_array(out);
	(void) wuzapi_copy_string(out, "footer", content->body, "footerText");
	(void) wuzapi_close(out);
}

static const char *
read_choice(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->describe = describe_choice;
	return read_object(content, kind, value);
}

/* A list has a title and a description. */
static const char *
read_list(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	char *title;
	char *description;

	(void) read_choice(content, kind, value);
	title = text_of(content->body, "title");
	description = text_of(content->body, "description");
	if (title != NULL && description != NULL)
		set_text(content, psprintf("%s\n%s", title, description));
	else if (title != NULL || description != NULL)
		set_text(content, title ? title : description);
	return NULL;
}

/* A message made from a template: its text is one level deeper, under one of several names. */
static const char *
read_template(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	static const char *const forms[] = {"hydratedTemplate", "hydratedFourRowTemplate"};
	static const char *const texts[] = {"hydratedContentText", "hydratedTitleText"};

	(void) read_object(content, kind, value);
	for (int i = 0; i < (int) lengthof(forms); i++)
	{
		JsonbContainer *form = wuzapi_find_object(content->body, forms[i]);

		for (int k = 0; k < (int) lengthof(texts); k++)
		{
			char *text = text_of(form, texts[k]);

			if (text == NULL)
				continue;
			set_text(content, text);
			return NULL;
		}
	}
	return NULL;
}

/* Interactive messages and their answers: the text is in their body. */
static const char *
read_interactive(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	char *text;

	(void) read_object(content, kind, value);
	text = text_of(wuzapi_find_object(content->body, "body"), "text");
	if (text == NULL)
		text = text_of(wuzapi_find_object(content->body, "header"), "title");
	if (text != NULL)
		set_text(content, text);
	return NULL;
}

/* What was chosen. */
static void
describe_answer(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "interactive");
	wuzapi_put_text(out, "type", content->whatsapp_type);
	if (!wuzapi_copy_string(out, "id", content->body, "selectedButtonID") &&
		!wuzapi_copy_string(out, "id", content->body, "selectedID"))
		(void) wuzapi_copy_string(out, "id", wuzapi_find_object(content->body, "singleSelectReply"),
								  "selectedRowID");
	(void) wuzapi_close(out);
}

static const char *
read_answer(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->describe = describe_answer;
	return read_object(content, kind, value);
}

static void
describe_order(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "order");
	(void) wuzapi_copy_string(out, "id", content->body, "orderID");
	(void) wuzapi_copy_string(out, "title", content->body, "orderTitle");
	(void) wuzapi_copy_string(out, "currency", content->body, "totalCurrencyCode");
	wuzapi_copy_number(out, "itemCount", content->body, "itemCount");
	wuzapi_copy_number(out, "totalAmount1000", content->body, "totalAmount1000");
	(void) wuzapi_close(out);
}

static const char *
read_order(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->describe = describe_order;
	return read_object(content, kind, value);
}

/* --- changes of an earlier message ---------------------------------------------------------------- */

/* Notes which message is meant; false when the key does not say. */
static bool
read_target(WuzapiContent *content, JsonbContainer *body, const char *field)
{
	return wuzapi_find_string(wuzapi_find_object(body, field), "ID", &content->target) &&
		   content->target.val.string.len > 0 && content->target.val.string.len <= 255;
}

static const char *
read_edit(WuzapiContent *content, JsonbContainer *body)
{
	JsonbContainer *edited = wuzapi_find_object(body, "editedMessage");

	if (content->change == WUZAPI_EDIT)
		return "edit of an edit";
	if (!read_target(content, body, "key"))
		return "edit without a target";
	if (edited == NULL)
		return "edit without content";
	content->change = WUZAPI_EDIT;
	return wuzapi_read_kind(content, wuzapi_unwrap(edited, content));
}

static const char *
read_protocol(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *body = wuzapi_as_object(value);
	JsonbValue type;
	const char *number = "0"; /* which may be left out */

	if (wuzapi_find_number(body, "type", &type))
		number = numeric_normalize(type.val.numeric);
	if (strcmp(number, "14") == 0)
		return read_edit(content, body);
	if (strcmp(number, "0") != 0)
		return kind->type;
	content->change = WUZAPI_REVOKE;
	return read_target(content, body, "key") ? NULL : "revoke without a target";
}

static const char *
read_reaction(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *body = wuzapi_as_object(value);

	content->change = WUZAPI_REACTION;
	if (!wuzapi_find_string(body, "text", &content->text) || content->text.val.string.len > 64)
		set_text(content, "");
	return read_target(content, body, "key") ? NULL : "reaction without a target";
}

/* A vote is encrypted; WUZAPI tells beside the event what it decrypted. */
static const char *
read_vote(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->body = wuzapi_find_object(content->outer, "pollVote");
	if (content->body == NULL)
		return "poll vote that was not decrypted";
	content->change = WUZAPI_VOTE;
	if (wuzapi_find_string(content->body, "pollCreationMsgID", &content->target) &&
		content->target.val.string.len > 0 && content->target.val.string.len <= 255)
		return NULL;
	return read_target(content, wuzapi_as_object(value), "pollCreationMessageKey")
			   ? NULL
			   : "poll vote without a target";
}

/* --- the table ------------------------------------------------------------------------------------ */

static const WuzapiKind kinds[] = {
	{.key = "protocolMessage", .read = read_protocol, .type = "protocol message"},
	{.key = "reactionMessage", .read = read_reaction},
	{.key = "encReactionMessage", .read = read_ignored, .type = "encrypted reaction"},
	{.key = "pollCreationMessage", .read = read_poll, .type = "poll"},
	{.key = "pollCreationMessageV2", .read = read_poll, .type = "poll"},
	{.key = "pollCreationMessageV3", .read = read_poll, .type = "poll"},
	{.key = "pollCreationMessageV5", .read = read_poll, .type = "poll"},
	{.key = "pollUpdateMessage", .read = read_vote},
	{.key = "albumMessage",
	 .read = read_ignored,
	 .type = "album"}, /* its pictures come by themselves */
	{.key = "pinInChatMessage", .read = read_ignored, .type = "pin"},
	{.key = "keepInChatMessage", .read = read_ignored, .type = "keep in chat"},
	{.key = "conversation", .read = read_text, .type = "text"},
	{.key = "extendedTextMessage", .read = read_object, .type = "text", .text = "text"},
	{.key = "imageMessage", .read = read_media, .type = "image", .text = "caption"},
	{.key = "videoMessage", .read = read_media, .type = "video", .text = "caption"},
	{.key = "ptvMessage", .read = read_media, .type = "video", .text = "caption"},
	{.key = "audioMessage", .read = read_media, .type = "audio"},
	{.key = "documentMessage", .read = read_media, .type = "document", .text = "caption"},
	{.key = "stickerMessage", .read = read_media, .type = "sticker"},
	{.key = "locationMessage", .read = read_location, .type = "location"},
	{.key = "liveLocationMessage",
	 .read = read_location,
	 .type = "location",
	 .whatsapp_type = "live_location"},
	{.key = "contactMessage", .read = read_contact, .type = "contact", .text = "vcard"},
	{.key = "contactsArrayMessage",
	 .read = read_contacts,
	 .type = "contact",
	 .whatsapp_type = "contacts"},
	{.key = "buttonsMessage",
	 .read = read_choice,
	 .type = "text",
	 .text = "contentText",
	 .whatsapp_type = "buttons",
	 .placeholder = "📩 Botões"},
	{.key = "buttonsResponseMessage",
	 .read = read_answer,
	 .type = "button_response",
	 .text = "selectedDisplayText",
	 .whatsapp_type = "buttons_response",
	 .placeholder = "📩 Resposta"},
	{.key = "templateButtonReplyMessage",
	 .read = read_answer,
	 .type = "button_response",
	 .text = "selectedDisplayText",
	 .whatsapp_type = "template_response",
	 .placeholder = "📩 Resposta"},
	{.key = "listMessage",
	 .read = read_list,
	 .type = "text",
	 .whatsapp_type = "list",
	 .placeholder = "📩 Lista"},
	{.key = "listResponseMessage",
	 .read = read_answer,
	 .type = "list_response",
	 .text = "title",
	 .whatsapp_type = "list_response",
	 .placeholder = "📩 Resposta"},
	{.key = "templateMessage",
	 .read = read_template,
	 .type = "text",
	 .whatsapp_type = "template",
	 .placeholder = "📩 Modelo"},
	{.key = "highlyStructuredMessage",
	 .read = read_object,
	 .type = "text",
	 .whatsapp_type = "template",
	 .placeholder = "📩 Modelo"},
	{.key = "interactiveMessage",
	 .read = read_interactive,
	 .type = "text",
	 .whatsapp_type = "interactive",
	 .placeholder = "📩 Mensagem interativa"},
	{.key = "interactiveResponseMessage",
	 .read = read_interactive,
	 .type = "text",
	 .whatsapp_type = "interactive_response",
	 .placeholder = "📩 Resposta"},
	{.key = "orderMessage", .read = read_order, .type = "order", .text = "message"},
	{.key = "encCommentMessage",
	 .read = read_object,
	 .type = "text",
	 .whatsapp_type = "comment",
	 .placeholder = "💬 Comentário"},
	{.key = "commentMessage",
	 .read = read_object,
	 .type = "text",
	 .whatsapp_type = "comment",
	 .placeholder = "💬 Comentário"},
	{.key = "groupInviteMessage",
	 .read = read_object,
	 .type = "text",
	 .text = "caption",
	 .whatsapp_type = "group_invite",
	 .placeholder = "📩 Convite para grupo"},
};

/* Keys of a message that are no content. */
static const char *const companions[] = {"messageContextInfo", "senderKeyDistributionMessage",
										 "fastRatchetKeySenderKeyDistributionMessage"};

static bool
is_companion(const JsonbValue *key)
{
	for (int i = 0; i < (int) lengthof(companions); i++)
	{
		/* companions are matched as they are spelled now: a wrong guess only shows one more message */
		if (key->val.string.len == (int) strlen(companions[i]) &&
			memcmp(key->val.string.val, companions[i], key->val.string.len) == 0)
			return true;
	}
	return false;
}

/* Turns scheduledCallCreationMessage into "📩 Scheduled Call Creation". */
static char *
name_of_kind(const char *key)
{
	size_t length = strlen(key);
	size_t suffix = strlen("Message");
	StringInfoData name;

	if (length > suffix && strcmp(key + length - suffix, "Message") == 0)
		length -= suffix;
	initStringInfo(&name);
	appendStringInfoString(&name, "📩 ");
	for (size_t i = 0; i < length; i++)
	{
		bool upper = key[i] >= 'A' && key[i] <= 'Z';

		if (i > 0 && upper && !(key[i - 1] >= 'A' && key[i - 1] <= 'Z'))
			appendStringInfoChar(&name, ' ');
		appendStringInfoChar(&name, i == 0 ? pg_ascii_toupper((unsigned char) key[i]) : key[i]);
	}
	return name.data;
}

/* Keeps what is not understood, if it is small. */
static void
describe_unknown(WuzapiOutput *out, const WuzapiContent *content)
{
	const JsonbValue *raw = &content->raw;
	int size = raw->type == jbvBinary   ? raw->val.binary.len
			   : raw->type == jbvString ? raw->val.string.len
										: 0;

	if (size <= WUZAPI_MAX_METADATA_BYTES)
		wuzapi_put(out, "raw", raw);
	else
		wuzapi_put_bool(out, "rawTruncated", true);
}

/* A kind that is newer than this file: shown by its name. */
static const char *
read_unknown(WuzapiContent *content, JsonbContainer *message)
{
	JsonbIterator *it = JsonbIteratorInit(message);
	JsonbValue key;
	JsonbValue value;

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (is_companion(&key) || value.type == jbvNull)
			continue;
		content->type = "text";
		content->whatsapp_type = wuzapi_cstring(&key, 64);
		set_text(content, name_of_kind(content->whatsapp_type));
		content->raw = value;
		content->describe = describe_unknown;
		return NULL;
	}
	if (!content->view_once)
		return "no content";
	content->type = "text";
	content->whatsapp_type = "view_once";
	set_text(content, "📩 Visualização única");
	return NULL;
}

const char *
wuzapi_read_kind(WuzapiContent *content, JsonbContainer *message)
{
	JsonbValue value;

	for (int i = 0; i < (int) lengthof(kinds); i++)
	{
		if (wuzapi_find(message, kinds[i].key, &value))
			return kinds[i].read(content, &kinds[i], &value);
	}
	return read_unknown(content, message);
}
