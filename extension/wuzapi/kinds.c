/*
 * The kinds of WhatsApp messages; see content.h.
 *
 * A message is an object with one key per kind of content, beside keys that are no content. The table says in which
 * order kinds are looked for and who reads each; a new kind is a row of it. Message types are those that a
 * messages table allows; what WhatsApp has beyond them is stored as text, with its own type beside it.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

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

static const char *
read_ignored(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	return kind->type;
}

void
wuzapi_take_inner_text(WuzapiContent *content, const char *field)
{
	WuzapiContent inner = {.quoted = true, .text = {.type = jbvNull}, .raw = {.type = jbvNull}};
	JsonbContainer *message = wuzapi_find_object(content->body, field);

	if (content->quoted || message == NULL ||
		wuzapi_read_kind(&inner, wuzapi_unwrap(message, &inner)) != NULL)
		return;
	if (inner.change == WUZAPI_NEW && inner.text.type == jbvString && inner.text.val.string.len > 0)
		content->text = inner.text;
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
		.key = name, .read = wuzapi_read_poll, .type = "poll"                                      \
	}
#define MEDIA(name, kind)                                                                          \
	{                                                                                              \
		.key = name, .read = wuzapi_read_media, .type = kind, .text = "caption"                    \
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
	{.key = "protocolMessage", .read = wuzapi_read_protocol, .type = "protocol message"},
	READ("reactionMessage", wuzapi_read_reaction),
	READ("pollUpdateMessage", wuzapi_read_vote),
	{.key = "secretEncryptedMessage", .read = wuzapi_read_secret, .type = "encrypted change"},

	POLL("pollCreationMessage"),
	POLL("pollCreationMessageV2"),
	POLL("pollCreationMessageV3"),
	POLL("pollCreationMessageV4"),
	POLL("pollCreationMessageV5"),
	POLL("pollCreationMessageV6"),
	TEXT("pollResultSnapshotMessage", wuzapi_read_result, NULL, "poll_result", NULL),
	TEXT("pollResultSnapshotMessageV3", wuzapi_read_result, NULL, "poll_result", NULL),
	{.key = "conversation", .read = wuzapi_read_text, .type = "text"},
	{.key = "extendedTextMessage", .read = wuzapi_read_extended, .type = "text", .text = "text"},
	MEDIA("imageMessage", "image"),
	MEDIA("videoMessage", "video"),
	MEDIA("ptvMessage", "video"),
	{.key = "audioMessage", .read = wuzapi_read_media, .type = "audio"},
	MEDIA("documentMessage", "document"),
	{.key = "stickerMessage", .read = wuzapi_read_media, .type = "sticker"},
	{.key = "locationMessage", .read = wuzapi_read_location, .type = "location"},
	{.key = "liveLocationMessage",
	 .read = wuzapi_read_location,
	 .type = "location",
	 .whatsapp_type = "live_location"},
	{.key = "contactMessage", .read = wuzapi_read_contact, .type = "contact", .text = "vcard"},
	{.key = "contactsArrayMessage",
	 .read = wuzapi_read_contacts,
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
	{.key = "orderMessage", .read = wuzapi_read_order, .type = "order", .text = "message"},
	TEXT("productMessage", wuzapi_read_product, "body", "product", "🛍️ Produto"),
	TEXT("invoiceMessage", wuzapi_read_named, "note", "invoice", "📩 Fatura"),
	TEXT("sendPaymentMessage", wuzapi_read_payment, NULL, "payment", "💸 Pagamento"),
	TEXT("requestPaymentMessage", wuzapi_read_payment, NULL, "payment_request",
		 "💸 Pedido de pagamento"),
	TEXT("paymentInviteMessage", wuzapi_read_object, NULL, "payment_invite",
		 "💸 Convite para pagamentos"),
	TEXT("paymentReminderMessage", wuzapi_read_named, "description", "payment_reminder",
		 "💸 Lembrete de pagamento"),
	TEXT("splitPaymentMessage", wuzapi_read_named, "description", "split_payment",
		 "💸 Divisão de pagamento"),
	TEXT("eventMessage", wuzapi_read_event, "name", "event", "📅"),
	TEXT("eventInviteMessage", wuzapi_read_event, "eventTitle", "event_invite", "📅"),
	TEXT("scheduledCallCreationMessage", wuzapi_read_event, "title", "scheduled_call",
		 "📞 Chamada agendada:"),
	/* whatsmeow has it with three s */
	READ("callLogMesssage", wuzapi_read_call),
	READ("callLogMessage", wuzapi_read_call),
	TEXT("encCommentMessage", wuzapi_read_object, NULL, "comment", "💬 Comentário"),
	TEXT("commentMessage", wuzapi_read_comment, NULL, "comment", "💬 Comentário"),
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
	TEXT("stickerPackMessage", wuzapi_read_named, "name", "sticker_pack", "📩 Pacote de figurinhas"),

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
