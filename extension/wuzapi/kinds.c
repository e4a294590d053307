/*
 * The kinds of WhatsApp messages; see content.h.
 *
 * A message is an object with one key per kind of content, beside keys that are no content. The table says in which
 * order kinds are looked for and who reads each; a new kind is a row of it. Message types are those that a
 * messages table allows; what WhatsApp has beyond them is stored as text, with its own type beside it.
 */
#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

/* Longest name of an option of a poll that goes into metadata. */
#define MAX_OPTION_BYTES 256

void
wuzapi_set_text(WuzapiContent *content, const char *text)
{
	content->text.type = jbvString;
	content->text.val.string.val = unconstify(char *, text);
	content->text.val.string.len = strlen(text);
}

char *
wuzapi_text_of(JsonbContainer *object, const char *field)
{
	JsonbValue value;

	if (!wuzapi_find_string(object, field, &value) || value.val.string.len == 0)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* What is wrong with a message is an error; with what it quotes, only a reason to leave that out. */
static const char *
unusable(const WuzapiContent *content, const char *path, const char *wanted)
{
	if (!content->quoted)
		wuzapi_wrong_type(path, wanted);
	return "of the wrong type";
}

/* --- plain kinds ---------------------------------------------------------------------------------- */

static const char *
read_text(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	if (value->type != jbvString)
		return unusable(content, "event.Message.conversation", "a string");
	if (value->val.string.len == 0)
		return "no content";
	content->type = kind->type;
	content->text = *value;
	return NULL;
}

const char *
wuzapi_read_object(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbValue text;

	content->body = wuzapi_as_object(value);
	if (content->body == NULL)
		return unusable(content, psprintf("event.Message.%s", kind->key), "an object");
	content->type = kind->type;
	content->whatsapp_type = kind->whatsapp_type;
	if (kind->placeholder != NULL)
		wuzapi_set_text(content, kind->placeholder);
	if (kind->text == NULL || !wuzapi_find(content->body, kind->text, &text))
		return NULL;
	if (text.type != jbvString)
		return unusable(content, psprintf("event.Message.%s.%s", kind->key, kind->text),
						"a string");
	if (kind->placeholder == NULL || text.val.string.len > 0)
		content->text = text;
	return NULL;
}

/* Text, or a link without one. */
static const char *
read_extended(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	static const char *const others[] = {"matchedText", "title", "description"};
	const char *reason = wuzapi_read_object(content, kind, value);

	if (reason != NULL || (content->text.type == jbvString && content->text.val.string.len > 0))
		return reason;
	for (int i = 0; i < (int) lengthof(others); i++)
	{
		char *text = wuzapi_text_of(content->body, others[i]);

		if (text == NULL)
			continue;
		wuzapi_set_text(content, text);
		return NULL;
	}
	return "no content";
}

/* A file that is stored elsewhere. */
static const char *
read_media(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	content->media_type = true;
	content->media = content->body;
	return reason;
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
	const char *reason = wuzapi_read_object(content, kind, value);

	content->describe = describe_place;
	wuzapi_open(&place, NULL);
	put_place(&place, content->body);
	json = JsonbValueToJsonb(wuzapi_close(&place));
	wuzapi_set_text(content, JsonbToCString(NULL, &json->root, VARSIZE(json)));
	return reason;
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
	return wuzapi_read_object(content, kind, value);
}

/* Several contacts: their cards, one after the other. */
static const char *
read_contacts(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *contacts;
	StringInfoData cards;
	const char *reason = read_contact(content, kind, value);

	contacts = wuzapi_find_array(content->body, "contacts");
	initStringInfo(&cards);
	for (uint32 i = 0; i < wuzapi_count(contacts); i++)
	{
		char *card = wuzapi_text_of(wuzapi_element(contacts, i), "vcard");

		if (card != NULL)
			appendStringInfo(&cards, "%s%s", cards.len > 0 ? "\n" : "", card);
	}
	wuzapi_set_text(content, cards.data);
	return reason;
}

/* --- polls and events ----------------------------------------------------------------------------- */

/* Walks over a list whose elements have a name. */
static void
put_names(WuzapiOutput *out, JsonbContainer *list, const char *field)
{
	wuzapi_open_array(out, "options");
	for (uint32 i = 0; i < wuzapi_count(list); i++)
	{
		char *name = wuzapi_text_of(wuzapi_element(list, i), field);

		if (name != NULL && strlen(name) <= MAX_OPTION_BYTES)
			wuzapi_add_element(out, name);
	}
	wuzapi_close_array(out);
}

static void
describe_poll(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "poll");
	(void) wuzapi_copy_string(out, "question", content->body, "name");
	put_names(out, wuzapi_find_array(content->body, "options"), "optionName");
	wuzapi_copy_number(out, "selectableCount", content->body, "selectableOptionsCount");
	(void) wuzapi_close(out);
}

/* A poll: its question, and its options with numbers. */
static const char *
read_poll(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *question = wuzapi_text_of(content->body, "name");
	JsonbContainer *options = wuzapi_find_array(content->body, "options");
	StringInfoData text;

	content->describe = describe_poll;
	initStringInfo(&text);
	appendStringInfo(&text, "📊 %s", question ? question : "");
	for (uint32 i = 0; i < wuzapi_count(options); i++)
	{
		char *name = wuzapi_text_of(wuzapi_element(options, i), "optionName");

		appendStringInfo(&text, "\n%u. %s", i + 1, name ? name : "");
	}
	wuzapi_set_text(content, text.data);
	return reason;
}

static void
describe_result(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *votes = wuzapi_find_array(content->body, "pollVotes");

	wuzapi_open(out, "poll");
	(void) wuzapi_copy_string(out, "question", content->body, "name");
	put_names(out, votes, "optionName");
	wuzapi_close(out);
}

/* What came out of a poll: its question, and how many chose each option. */
static const char *
read_result(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *question = wuzapi_text_of(content->body, "name");
	JsonbContainer *votes = wuzapi_find_array(content->body, "pollVotes");
	StringInfoData text;

	content->describe = describe_result;
	initStringInfo(&text);
	appendStringInfo(&text, "📊 %s", question ? question : "");
	for (uint32 i = 0; i < wuzapi_count(votes); i++)
	{
		JsonbContainer *vote = wuzapi_element(votes, i);
		char *name = wuzapi_text_of(vote, "optionName");

		appendStringInfo(&text, "\n%s: %.0f", name ? name : "",
						 wuzapi_number(vote, "optionVoteCount"));
	}
	wuzapi_set_text(content, text.data);
	return reason;
}

static void
describe_event(WuzapiOutput *out, const WuzapiContent *content)
{
	static const char *const names[] = {"name", "eventTitle", "title"};
	JsonbContainer *body = content->body;
	double start = wuzapi_number(body, "startTime");

	wuzapi_open(out, "event");
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (wuzapi_copy_string(out, "name", body, names[i]))
			break;
	}
	(void) wuzapi_copy_string(out, "description", body, "description");
	(void) wuzapi_copy_string(out, "location", wuzapi_find_object(body, "location"), "name");
	(void) wuzapi_copy_string(out, "link", body, "joinLink");
	if (start <= 0)
		start = wuzapi_number(body, "scheduledTimestampMS") / 1000;
	wuzapi_put_text(out, "startsAt", wuzapi_time(start));
	wuzapi_put_text(out, "endsAt", wuzapi_time(wuzapi_number(body, "endTime")));
	if (wuzapi_is_true(body, "isCanceled"))
		wuzapi_put_bool(out, "canceled", true);
	(void) wuzapi_close(out);
}

/* An event or a call that somebody plans: its name, and what it is about. */
static const char *
read_event(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *name = kind->text == NULL ? NULL : wuzapi_text_of(content->body, kind->text);
	char *description = wuzapi_text_of(content->body, "description");

	content->describe = describe_event;
	wuzapi_set_text(content,
					psprintf("%s%s%s%s%s", kind->placeholder, name ? " " : "", name ? name : "",
							 description ? "\n" : "", description ? description : ""));
	return reason;
}

/* --- calls ---------------------------------------------------------------------------------------- */

static void
describe_call(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "call");
	wuzapi_put_text(out, "outcome", "missed");
	wuzapi_put_bool(out, "video", content->video);
	(void) wuzapi_close(out);
}

void
wuzapi_set_missed_call(WuzapiContent *content, bool video)
{
	content->type = "text";
	content->whatsapp_type = "call";
	content->video = video;
	content->describe = describe_call;
	wuzapi_set_text(content, video ? "📹 Chamada de vídeo perdida" : "📞 Chamada perdida");
}

bool
wuzapi_content_is_call(const WuzapiContent *content)
{
	return content->describe == describe_call;
}

/* A call that nobody took; of the others there is nothing to say. */
static const char *
read_call(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	/* WhatsApp's numbers: missed, and silenced for one of two reasons */
	static const double missed[] = {1, 6, 7};
	const char *reason = wuzapi_read_object(content, kind, value);
	double outcome = wuzapi_number(content->body, "callOutcome");

	for (int i = 0; i < (int) lengthof(missed) && reason == NULL; i++)
	{
		if (outcome != missed[i])
			continue;
		wuzapi_set_missed_call(content, wuzapi_is_true(content->body, "isVideo"));
		return NULL;
	}
	return reason ? reason : "call";
}

/* --- trade ---------------------------------------------------------------------------------------- */

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
	return wuzapi_read_object(content, kind, value);
}

static void
describe_product(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *product = wuzapi_find_object(content->body, "product");

	wuzapi_open(out, "product");
	(void) wuzapi_copy_string(out, "id", product, "productID");
	(void) wuzapi_copy_string(out, "title", product, "title");
	(void) wuzapi_copy_string(out, "description", product, "description");
	(void) wuzapi_copy_string(out, "currency", product, "currencyCode");
	wuzapi_copy_number(out, "priceAmount1000", product, "priceAmount1000");
	(void) wuzapi_copy_string(out, "url", product, "URL");
	(void) wuzapi_copy_string(out, "seller", content->body, "businessOwnerJID");
	(void) wuzapi_close(out);
}

/* A product of a catalogue: what is written beside it, or its name. */
static const char *
read_product(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *title = wuzapi_text_of(wuzapi_find_object(content->body, "product"), "title");

	content->describe = describe_product;
	if (wuzapi_text_of(content->body, "body") == NULL && title != NULL)
		wuzapi_set_text(content, psprintf("🛍️ %s", title));
	return reason;
}

static void
describe_payment(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *amount = wuzapi_find_object(content->body, "amount");

	if (amount == NULL && wuzapi_number(content->body, "amount1000") == 0)
		return;
	wuzapi_open(out, "payment");
	wuzapi_copy_number(out, "amount1000", content->body, "amount1000");
	wuzapi_copy_number(out, "value", amount, "value");
	wuzapi_copy_number(out, "offset", amount, "offset");
	if (!wuzapi_copy_string(out, "currency", content->body, "currencyCodeIso4217"))
		(void) wuzapi_copy_string(out, "currency", amount, "currencyCode");
	(void) wuzapi_close(out);
}

/* Takes the text of a message that stands inside; of one inside that, nothing. */
static void
take_inner_text(WuzapiContent *content, const char *field)
{
	WuzapiContent inner = {.quoted = true, .text = {.type = jbvNull}, .raw = {.type = jbvNull}};
	JsonbContainer *message = wuzapi_find_object(content->body, field);

	if (content->quoted || message == NULL ||
		wuzapi_read_kind(&inner, wuzapi_unwrap(message, &inner)) != NULL)
		return;
	if (inner.change == WUZAPI_NEW && inner.text.type == jbvString && inner.text.val.string.len > 0)
		content->text = inner.text;
}

/* A payment, or the wish for one: what is written beside it. */
static const char *
read_payment(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	content->describe = describe_payment;
	take_inner_text(content, "noteMessage");
	return reason;
}

/* A name or a note behind a word that says what it is. */
static const char *
read_named(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *name = wuzapi_text_of(content->body, kind->text);

	if (name != NULL)
		wuzapi_set_text(content, psprintf("%s: %s", kind->placeholder, name));
	return reason;
}

/* --- changes of an earlier message ---------------------------------------------------------------- */

bool
wuzapi_read_target(WuzapiContent *content, JsonbContainer *body, const char *field)
{
	return wuzapi_find_string(wuzapi_find_object(body, field), "ID", &content->target) &&
		   content->target.val.string.len > 0 &&
		   content->target.val.string.len <= WUZAPI_MAX_IDENTIFIER_BYTES;
}

static const char *
read_edit(WuzapiContent *content, JsonbContainer *body)
{
	JsonbContainer *edited = wuzapi_find_object(body, "editedMessage");

	if (content->change == WUZAPI_EDIT)
		return "edit of an edit";
	if (!wuzapi_read_target(content, body, "key"))
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
	return wuzapi_read_target(content, body, "key") ? NULL : "revoke without a target";
}

static const char *
read_reaction(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *body = wuzapi_as_object(value);

	content->change = WUZAPI_REACTION;
	content->sent_at = wuzapi_number(body, "senderTimestampMS");
	if (!wuzapi_find_string(body, "text", &content->text) ||
		content->text.val.string.len > WUZAPI_MAX_EMOJI_BYTES)
		wuzapi_set_text(content, "");
	return wuzapi_read_target(content, body, "key") ? NULL : "reaction without a target";
}

/*
 * A change that only the phones can read, with the key of what it changes. WhatsApp's numbers: edits of an event, of a message
 * and of a poll. Who the key calls "me" is who edits.
 */
static const char *
read_secret(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	static const double edits[] = {1, 2, 4};
	JsonbContainer *body = wuzapi_as_object(value);
	double type = wuzapi_number(body, "secretEncType");

	content->change = WUZAPI_PENDING_EDIT;
	for (int i = 0; i < (int) lengthof(edits); i++)
	{
		if (type == edits[i] && wuzapi_read_target(content, body, "targetMessageKey"))
			return NULL;
	}
	return kind->type;
}

/* A comment holds a message, and whose it is. */
static const char *
read_comment(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	take_inner_text(content, "message");
	return reason;
}

/* A vote is encrypted; WUZAPI tells beside the event what it decrypted. */
static const char *
read_vote(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->body = wuzapi_find_object(content->outer, "pollVote");
	if (content->body == NULL)
		return "poll vote that was not decrypted";
	content->change = WUZAPI_VOTE;
	content->sent_at = wuzapi_number(wuzapi_as_object(value), "senderTimestampMS");
	if (wuzapi_find_string(content->body, "pollCreationMsgID", &content->target) &&
		content->target.val.string.len > 0 && content->target.val.string.len <= 255)
		return NULL;
	return wuzapi_read_target(content, wuzapi_as_object(value), "pollCreationMessageKey")
			   ? NULL
			   : "poll vote without a target";
}

/* --- the table ------------------------------------------------------------------------------------ */

#define READ(name, reader)                                                                         \
	{                                                                                              \
		.key = name, .read = reader                                                                \
	}
#define NOTHING(name, reason)                                                                      \
	{                                                                                              \
		.key = name, .read = read_ignored, .type = reason                                          \
	}
#define POLL(name)                                                                                 \
	{                                                                                              \
		.key = name, .read = read_poll, .type = "poll"                                             \
	}
#define MEDIA(name, kind)                                                                          \
	{                                                                                              \
		.key = name, .read = read_media, .type = kind, .text = "caption"                           \
	}
/* What no messages table has a type for: text, of a field or a placeholder. */
#define TEXT(name, reader, field, whatsapp, words)                                                 \
	{                                                                                              \
		.key = name, .read = reader, .type = "text", .text = field, .whatsapp_type = whatsapp,     \
		.placeholder = words                                                                       \
	}
#define ANSWER(name, kind, field, whatsapp)                                                        \
	{                                                                                              \
		.key = name, .read = wuzapi_read_answer, .type = kind, .text = field,                      \
		.whatsapp_type = whatsapp, .placeholder = "📩 Resposta"                                  \
	}

static const WuzapiKind kinds[] = {
	/* what changes an earlier message */
	{.key = "protocolMessage", .read = read_protocol, .type = "protocol message"},
	READ("reactionMessage", read_reaction),
	READ("pollUpdateMessage", read_vote),
	{.key = "secretEncryptedMessage", .read = read_secret, .type = "encrypted change"},

	POLL("pollCreationMessage"),
	POLL("pollCreationMessageV2"),
	POLL("pollCreationMessageV3"),
	POLL("pollCreationMessageV4"),
	POLL("pollCreationMessageV5"),
	POLL("pollCreationMessageV6"),
	TEXT("pollResultSnapshotMessage", read_result, NULL, "poll_result", NULL),
	TEXT("pollResultSnapshotMessageV3", read_result, NULL, "poll_result", NULL),
	{.key = "conversation", .read = read_text, .type = "text"},
	{.key = "extendedTextMessage", .read = read_extended, .type = "text", .text = "text"},
	MEDIA("imageMessage", "image"),
	MEDIA("videoMessage", "video"),
	MEDIA("ptvMessage", "video"),
	{.key = "audioMessage", .read = read_media, .type = "audio"},
	MEDIA("documentMessage", "document"),
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
	TEXT("buttonsMessage", wuzapi_read_buttons, NULL, "buttons", "📩 Botões"),
	ANSWER("buttonsResponseMessage", "button_response", NULL, "buttons_response"),
	ANSWER("templateButtonReplyMessage", "button_response", "selectedDisplayText",
		   "template_response"),
	TEXT("listMessage", wuzapi_read_list, NULL, "list", "📩 Lista"),
	ANSWER("listResponseMessage", "list_response", "title", "list_response"),
	TEXT("templateMessage", wuzapi_read_template, NULL, "template", "📩 Modelo"),
	TEXT("highlyStructuredMessage", wuzapi_read_structured, NULL, "template", "📩 Modelo"),
	TEXT("interactiveMessage", wuzapi_read_interactive, NULL, "interactive",
		 "📩 Mensagem interativa"),
	TEXT("interactiveResponseMessage", wuzapi_read_flow_answer, NULL, "interactive_response",
		 "📩 Resposta"),
	{.key = "orderMessage", .read = read_order, .type = "order", .text = "message"},
	TEXT("productMessage", read_product, "body", "product", "🛍️ Produto"),
	TEXT("invoiceMessage", read_named, "note", "invoice", "📩 Fatura"),
	TEXT("sendPaymentMessage", read_payment, NULL, "payment", "💸 Pagamento"),
	TEXT("requestPaymentMessage", read_payment, NULL, "payment_request", "💸 Pedido de pagamento"),
	TEXT("paymentInviteMessage", wuzapi_read_object, NULL, "payment_invite",
		 "💸 Convite para pagamentos"),
	TEXT("paymentReminderMessage", read_named, "description", "payment_reminder",
		 "💸 Lembrete de pagamento"),
	TEXT("splitPaymentMessage", read_named, "description", "split_payment",
		 "💸 Divisão de pagamento"),
	TEXT("eventMessage", read_event, "name", "event", "📅"),
	TEXT("eventInviteMessage", read_event, "eventTitle", "event_invite", "📅"),
	TEXT("scheduledCallCreationMessage", read_event, "title", "scheduled_call",
		 "📞 Chamada agendada:"),
	/* whatsmeow has it with three s */
	READ("callLogMesssage", read_call),
	READ("callLogMessage", read_call),
	TEXT("encCommentMessage", wuzapi_read_object, NULL, "comment", "💬 Comentário"),
	TEXT("commentMessage", read_comment, NULL, "comment", "💬 Comentário"),
	TEXT("questionResponseMessage", wuzapi_read_object, "text", "question_response", "📩 Resposta"),
	TEXT("statusQuestionAnswerMessage", wuzapi_read_object, "text", "question_response",
		 "📩 Resposta"),
	TEXT("statusQuotedMessage", wuzapi_read_object, "text", "status_quoted", "📩 Resposta"),
	TEXT("groupInviteMessage", wuzapi_read_object, "caption", "group_invite",
		 "📩 Convite para grupo"),
	TEXT("newsletterAdminInviteMessage", wuzapi_read_object, "caption", "newsletter_invite",
		 "📩 Convite para canal"),
	TEXT("newsletterFollowerInviteMessageV2", wuzapi_read_object, "caption", "newsletter_invite",
		 "📩 Convite para canal"),
	TEXT("requestPhoneNumberMessage", wuzapi_read_object, NULL, "phone_number_request",
		 "📩 Pedido do número de telefone"),
	TEXT("stickerPackMessage", read_named, "name", "sticker_pack", "📩 Pacote de figurinhas"),

	/* what shows nothing, if it stands alone: bookkeeping of phones, and changes that are encrypted or of no use here */
	NOTHING("encReactionMessage", "encrypted reaction"),
	NOTHING("encEventResponseMessage", "event response"),
	NOTHING("albumMessage", "album"), /* its pictures come by themselves */
	NOTHING("pinInChatMessage", "pin"),
	NOTHING("keepInChatMessage", "keep in chat"),
	NOTHING("placeholderMessage", "placeholder"),
	NOTHING("groupRootKeyShare", "key"),
	NOTHING("rootSecretDistributeMessage", "key"),
	NOTHING("stickerSyncRmrMessage", "sticker sync"),
	NOTHING("messageHistoryNotice", "history notice"),
	NOTHING("messageHistoryBundle", "history notice"),
	NOTHING("limitSharingMessage", "limit sharing"),
	NOTHING("call", "call"),
	NOTHING("bcallMessage", "call"),
	NOTHING("scheduledCallEditMessage", "call"),
	NOTHING("chat", "chat"),
	NOTHING("statusNotificationMessage", "status notification"),
	NOTHING("statusStickerInteractionMessage", "status notification"),
	NOTHING("statusLinkPreviewMetadata", "status notification"),
	NOTHING("pollAddOptionMessage", "poll option"),
	NOTHING("conditionalRevealMessage", "scheduled message"),
	NOTHING("splitPaymentUpdateMessage", "payment update"),
	NOTHING("declinePaymentRequestMessage", "payment update"),
	NOTHING("cancelPaymentRequestMessage", "payment update"),
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

void
wuzapi_set_view_once(WuzapiContent *content)
{
	content->type = "text";
	content->whatsapp_type = "view_once";
	content->view_once = true;
	wuzapi_set_text(content, "📩 Visualização única");
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
		wuzapi_set_text(content, name_of_kind(content->whatsapp_type));
		content->raw = value;
		content->describe = describe_unknown;
		return NULL;
	}
	if (!content->view_once)
		return "no content";
	wuzapi_set_view_once(content);
	return NULL;
}

/* The row of a key, in whatever case; the number of rows when it is none of them. */
static int
kind_of(const JsonbValue *key)
{
	int kind = 0;

	while (kind < (int) lengthof(kinds) && !wuzapi_is(key, kinds[kind].key))
		kind++;
	return kind;
}

const char *
wuzapi_read_kind(WuzapiContent *content, JsonbContainer *message)
{
	JsonbIterator *it = JsonbIteratorInit(message);
	JsonbValue key;
	JsonbValue value;
	JsonbValue found;
	int first = lengthof(kinds);

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		int kind = kind_of(&key);

		(void) JsonbIteratorNext(&it, &value, true);
		if (kind >= first || value.type == jbvNull)
			continue;
		first = kind;
		found = value;
	}
	return first < (int) lengthof(kinds) ? kinds[first].read(content, &kinds[first], &found)
										 : read_unknown(content, message);
}
