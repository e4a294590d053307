/*
 * What a parsed event becomes: when it was, and a message as values by role.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "fragments.h"
#include "json_members.h"
#include "json_text.h"
#include "place.h"
#include "wuzapi/wuzapi.h"

PG_FUNCTION_INFO_V1(chat_wuzapi_timed);
PG_FUNCTION_INFO_V1(chat_wuzapi_values);

/* --- times ------------------------------------------------------------------------------------------- */

/* There was no WhatsApp before 2009. */
#define FIRST_TIME (INT64CONST(3288) * USECS_PER_DAY)

/* A member of an event that is a time, or false. */
static bool
read_time(Jsonb *event, const char *key, TimestampTz *time)
{
	char *text = chat_json_member(event, key);

	if (text == NULL)
		return false;
	*time = DatumGetTimestampTz(DirectFunctionCall3(
		timestamptz_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return true;
}

static Datum
with_time(Datum event, TimestampTz time)
{
	StringInfoData given;

	initStringInfo(&given);
	appendStringInfoString(&given, "{\"timestamp\": ");
	chat_append_time(&given, time);
	appendStringInfoChar(&given, '}');
	return DirectFunctionCall2(jsonb_concat, event,
							   DirectFunctionCall1(jsonb_in, CStringGetDatum(given.data)));
}

/*
 * SQL: chat.wuzapi_timed(event). What was sent when there was no WhatsApp yet, or will be, was sent now: somebody's clock is wrong,
 * and a message of 2031 would stay the last one for years.
 */
Datum
chat_wuzapi_timed(PG_FUNCTION_ARGS)
{
	Datum event = PG_GETARG_DATUM(0);
	Jsonb *parsed = PG_GETARG_JSONB_P(0);
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	TimestampTz at, sent;
	bool possible = read_time(parsed, "timestamp", &at);

	if (!possible || at < FIRST_TIME || at > now + USECS_PER_DAY)
	{
		at = now;
		event = with_time(event, at);
	}
	/* Reactions and votes of one person are in the order of that person's clock. */
	if (read_time(parsed, "sentAt", &sent) && sent >= FIRST_TIME && sent <= at + USECS_PER_DAY)
		event = with_time(event, sent);
	PG_RETURN_DATUM(event);
}

/* --- a message as values by role --------------------------------------------------------------------- */

/* What is looked up for a message. */
typedef struct Known
{
	bool quotes_stored; /* what it quotes is in the conversation */
	char *reply_to;
} Known;

/* The column that holds what a message answers is a key of this table, instead of WhatsApp's id. */
static bool
reply_is_key(const ChatAttachment *attachment)
{
	const char *column = attachment->column[CHAT_M_REPLY_TO];
	Oid type;

	if (column == NULL)
		return false;
	type = get_atttype(attachment->messages, get_attnum(attachment->messages, column));
	return type != TEXTOID && type != VARCHAROID;
}

static Known
look_up(ChatAttachment *attachment, const char *conversation, Jsonb *event)
{
	MemoryContext context = CurrentMemoryContext;
	Known known = {.reply_to = chat_json_member(event, "replyTo")};
	char *key;

	if (known.reply_to == NULL)
		return known;
	SPI_connect();
	key = chat_place_message(attachment, conversation, known.reply_to);
	known.quotes_stored = key != NULL;
	if (reply_is_key(attachment))
		known.reply_to = key == NULL ? NULL : MemoryContextStrdup(context, key);
	SPI_finish();
	return known;
}

static void
put_text(WuzapiOutput *out, const char *role, const char *text)
{
	JsonbValue null = {.type = jbvNull};

	if (text != NULL)
		wuzapi_put_text(out, role, text);
	else
		wuzapi_put(out, role, &null);
}

/* A member of an object, which may be NULL, as text. */
static char *
member(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	return object != NULL && wuzapi_find(object, key, &value) ? chat_json_text(&value) : NULL;
}

/* A number that an integer column can hold, else null. */
static void
put_integer(WuzapiOutput *out, const char *role, JsonbContainer *object, const char *key)
{
	JsonbValue value = {.type = jbvNull};
	double number = -1;

	if (object != NULL && wuzapi_find_number(object, key, &value))
		number =
			DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value.val.numeric)));
	if (number >= 0 && number <= PG_INT32_MAX)
	{
		value.type = jbvNumeric;
		value.val.numeric = int64_to_numeric((int64) number);
	}
	else
		value.type = jbvNull;
	wuzapi_put(out, role, &value);
}

/* What it quotes is kept where the original is not: that one may be edited or deleted. */
static bool
keeps_quoted(JsonbContainer *metadata, const Known *known)
{
	JsonbContainer *quoted = wuzapi_find_object(metadata, "quoted");

	return !known->quotes_stored && (quoted == NULL || JsonContainerSize(quoted) > 0);
}

/* The metadata, and by which of the owner's numbers the message came: {instance, inboxId}, as far as that is known. */
static void
put_metadata(WuzapiOutput *out, Jsonb *event, const Known *known)
{
	JsonbContainer *metadata = wuzapi_find_object(&event->root, "metadata");
	JsonbContainer *instance = wuzapi_find_object(&event->root, "instance");
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue item;
	bool skipped = false;

	if (metadata == NULL)
	{
		put_text(out, "metadata", NULL);
		return;
	}
	wuzapi_open(out, "metadata");
	it = JsonbIteratorInit(metadata);
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			skipped = item.val.string.len == 6 && memcmp(item.val.string.val, "quoted", 6) == 0 &&
					  !keeps_quoted(metadata, known);
		if ((token == WJB_KEY || token == WJB_VALUE) && !skipped)
			(void) pushJsonbValue(&out->state, token, &item);
	}
	wuzapi_put_text(out, "instance", member(instance, "name"));
	if (wuzapi_find(&event->root, "inbox", &item) && item.type != jbvNull)
		wuzapi_put(out, "inboxId", &item);
	(void) wuzapi_close(out);
}

static char *
content_of(const ChatAttachment *attachment, Jsonb *event)
{
	char *content = chat_json_member(event, "content");

	return content == NULL &&
				   chat_is_not_null(attachment->messages, attachment->column[CHAT_M_CONTENT])
			   ? pstrdup("")
			   : content;
}

/* SQL: chat.wuzapi_values(attachment, conversation, event) */
Datum
chat_wuzapi_values(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_attachment_get(PG_GETARG_INT32(0));
	char *conversation = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Jsonb *event = PG_GETARG_JSONB_P(2);
	bool outgoing = wuzapi_is_true(&event->root, "fromMe");
	char *status = chat_json_member(event, "status");
	JsonbContainer *media = wuzapi_find_object(&event->root, "media");
	Known known = look_up(attachment, conversation, event);
	WuzapiOutput out = {0};

	wuzapi_open(&out, NULL);
	put_text(&out, "conversation", conversation);
	put_text(&out, "external_id", chat_json_member(event, "id"));
	put_text(&out, "direction", outgoing ? "outgoing" : "incoming");
	put_text(&out, "status", status != NULL ? status : outgoing ? "sent" : "delivered");
	put_text(&out, "sender_type", outgoing ? "user" : "contact");
	put_text(&out, "type", chat_json_member(event, "type"));
	put_text(&out, "content", content_of(attachment, event));
	put_metadata(&out, event, &known);
	put_text(&out, "time", chat_json_member(event, "timestamp"));
	put_text(&out, "reply_to", known.reply_to);
	put_text(&out, "media_url", member(media, "url"));
	put_text(&out, "media_mime_type", member(media, "mimeType"));
	put_text(&out, "media_filename", member(media, "fileName"));
	put_integer(&out, "media_size_bytes", media, "sizeBytes");
	put_integer(&out, "media_duration_seconds", media, "seconds");
	PG_RETURN_JSONB_P(JsonbValueToJsonb(wuzapi_close(&out)));
}
