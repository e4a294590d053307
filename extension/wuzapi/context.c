/*
 * What a WhatsApp message says of others, in its contextInfo, for the WUZAPI normaliser; see content.h.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

static JsonbContainer *
context_of(const WuzapiContent *content)
{
	return wuzapi_find_object(content->body, "contextInfo");
}

/* Statuses are in no conversation: what answers one answers no message of ours. */
static bool
answers_status(JsonbContainer *context)
{
	JsonbValue chat;

	return wuzapi_find_string(context, "remoteJID", &chat) && wuzapi_is(&chat, "status@broadcast");
}

bool
wuzapi_answers(const WuzapiContent *content, JsonbValue *id)
{
	JsonbContainer *context = context_of(content);

	return wuzapi_find_string(context, "stanzaID", id) && id->val.string.len > 0 &&
		   id->val.string.len <= WUZAPI_MAX_IDENTIFIER_BYTES && !answers_status(context);
}

/* What a quoted message holds: its type, and the beginning of its text. */
static void
put_quoted(WuzapiOutput *out, JsonbContainer *context)
{
	WuzapiContent quoted = {.quoted = true, .text = {.type = jbvNull}, .raw = {.type = jbvNull}};
	JsonbContainer *message = wuzapi_find_object(context, "quotedMessage");

	if (message == NULL || wuzapi_read_kind(&quoted, wuzapi_unwrap(message, &quoted)) != NULL ||
		quoted.change != WUZAPI_NEW)
		return;
	wuzapi_put_text(out, "type", quoted.type);
	if (quoted.text.type == jbvString && quoted.text.val.string.len > 0)
		wuzapi_put_text(out, "text", wuzapi_cstring(&quoted.text, WUZAPI_MAX_METADATA_BYTES));
}

/* The message that is answered, in case it is not stored; or the status, which never is. */
static void
put_answered(WuzapiOutput *out, JsonbContainer *context)
{
	WuzapiJid participant = wuzapi_find_jid(context, "participant");

	if (answers_status(context))
	{
		wuzapi_open(out, "answeredStatus");
		(void) wuzapi_copy_string(out, "id", context, "stanzaID");
		wuzapi_put_text(out, "participant", participant.text);
		put_quoted(out, context);
		(void) wuzapi_close(out);
		return;
	}
	wuzapi_put_text(out, "replyToParticipant", participant.text);
	if (wuzapi_find_object(context, "quotedMessage") == NULL)
		return;
	wuzapi_open(out, "quoted");
	put_quoted(out, context);
	(void) wuzapi_close(out);
}

/* Who is mentioned; what is no address is left out. */
static void
put_mentions(WuzapiOutput *out, JsonbContainer *context)
{
	JsonbContainer *mentions = wuzapi_find_array(context, "mentionedJID");
	JsonbValue everybody;
	WuzapiJid jid;

	if (wuzapi_count(mentions) > 0)
	{
		wuzapi_open_array(out, "mentions");
		for (uint32 i = 0; i < wuzapi_count(mentions); i++)
		{
			if (wuzapi_jid(getIthJsonbValueFromContainer(mentions, i), &jid))
				wuzapi_add_element(out, jid.text);
		}
		wuzapi_close_array(out);
	}
	if (wuzapi_find_number(context, "nonJIDMentions", &everybody) &&
		wuzapi_number(context, "nonJIDMentions") > 0)
		wuzapi_put_bool(out, "mentionsAll", true);
}

/* The ad that brought the contact here; what brought it, where nothing is said of an ad. */
static void
put_ad(WuzapiOutput *out, JsonbContainer *context)
{
	static const char *const of_reply[][2] = {
		{"title", "title"},         {"body", "body"},
		{"source", "sourceType"},   {"sourceId", "sourceID"},
		{"sourceUrl", "sourceURL"}, {"sourceApp", "sourceApp"},
		{"ctwaClid", "ctwaClid"},   {"ref", "ref"},
	};
	static const char *const of_context[][2] = {
		{"conversionSource", "conversionSource"},
		{"entryPoint", "entryPointConversionSource"},
		{"entryPointApp", "entryPointConversionApp"},
	};
	JsonbContainer *reply = wuzapi_find_object(context, "externalAdReply");

	if (wuzapi_text_of(reply, "title") == NULL && wuzapi_text_of(reply, "sourceURL") == NULL &&
		wuzapi_text_of(context, "conversionSource") == NULL &&
		wuzapi_text_of(context, "entryPointConversionSource") == NULL)
		return;
	wuzapi_open(out, "ad");
	for (int i = 0; i < (int) lengthof(of_reply); i++)
		(void) wuzapi_copy_string(out, of_reply[i][0], reply, of_reply[i][1]);
	for (int i = 0; i < (int) lengthof(of_context); i++)
		(void) wuzapi_copy_string(out, of_context[i][0], context, of_context[i][1]);
	(void) wuzapi_close(out);
}

void
wuzapi_put_context(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *context = context_of(content);
	JsonbValue id;

	if (context == NULL)
		return;
	if (wuzapi_find_string(context, "stanzaID", &id) && id.val.string.len > 0)
		put_answered(out, context);
	if (wuzapi_is_true(context, "isForwarded"))
		wuzapi_put_bool(out, "forwarded", true);
	if (wuzapi_number(context, "forwardingScore") > 0)
		wuzapi_copy_number(out, "forwardingScore", context, "forwardingScore");
	put_mentions(out, context);
	put_ad(out, context);
}
