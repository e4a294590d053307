/*
 * See log_forms.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "event_log.h"
#include "events.h"
#include "json_members.h"
#include "log_forms.h"
#include "log_packets.h"

#define PUT(out, literal) appendBinaryStringInfo((out), (literal), sizeof(literal) - 1)
#define MESSAGE_ID_SIZE 40 /* evt_…_closed */

PG_FUNCTION_INFO_V1(chat_hook_body);

static void
put_text(StringInfo out, const struct varlena *text)
{
	appendBinaryStringInfo(out, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
}

/* As in a JSON string, without its quotes; the length. Topics and names seldom have what must be escaped. */
static int
put_escaped(StringInfo out, const char *bytes, int len)
{
	int start = out->len;
	StringInfoData escaped;

	for (int i = 0; i < len; i++)
	{
		if ((unsigned char) bytes[i] >= ' ' && bytes[i] != '"' && bytes[i] != '\\')
			continue;
		initStringInfo(&escaped);
		escape_json(&escaped, pnstrdup(bytes, len));
		appendBinaryStringInfo(out, escaped.data + 1, escaped.len - 2);
		return out->len - start;
	}
	appendBinaryStringInfo(out, bytes, len);
	return len;
}

/* {"topic":"…","event":"…","payload":…,"private":true,"id":"…"}; tells how long topic and name are in it. */
static void
put_message(ChatLogAnswer *answer, ChatLogForm form, int64 id, const struct varlena *topic,
			const char *name, const struct varlena *payload, int *topic_length, int *name_length)
{
	StringInfo out = answer->out;

	PUT(out, "{\"topic\":\"");
	*topic_length = put_escaped(out, VARDATA_ANY(topic), VARSIZE_ANY_EXHDR(topic));
	PUT(out, "\",\"event\":\"");
	*name_length = put_escaped(out, name, strlen(name));
	PUT(out, "\",\"payload\":");
	put_text(out, payload);
	if (form == CHAT_FORM_PRIVATE)
		PUT(out, ",\"private\":true,\"id\":\"");
	else
		PUT(out, ",\"private\":false,\"id\":\"");
	appendStringInfo(out, INT64_FORMAT "\"}", id);
}

static void
put_event(ChatLogAnswer *answer, ChatLogForm form, const ChatLogRow *row, int64 id,
		  const struct varlena *topic, const char *name, uint32 flags,
		  const struct varlena *payload)
{
	int start, topic_length, name_length;

	if (topic == NULL || payload == NULL)
		return;
	start = chat_answer_begin_event(answer, row, id, flags, payload);
	put_message(answer, form, id, topic, name, payload, &topic_length, &name_length);
	chat_answer_end_event(answer, start, topic_length, name_length);
}

/* As to_char gives it: YYYY-MM-DD"T"HH24:MI:SS.MS"Z", in UTC; always as long. */
static void
put_time(StringInfo out, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (TIMESTAMP_NOT_FINITE(time) || timestamp2tm(time, NULL, &tm, &fraction, NULL, NULL) != 0 ||
		tm.tm_year < 1 || tm.tm_year > 9999)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	appendStringInfo(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year, tm.tm_mon, tm.tm_mday,
					 tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fraction / 1000);
}

/* The body of a webhook, whose id needs no escaping; tells how long its type is in it. */
static int
put_body(StringInfo out, const char *id, int id_length, const char *type, int type_length,
		 TimestampTz time, const struct varlena *payload)
{
	int start, length;

	PUT(out, "{\"id\":\"");
	appendBinaryStringInfo(out, id, id_length);
	PUT(out, "\",\"type\":\"");
	start = out->len;
	length = put_escaped(out, type, type_length);
	PUT(out, "\",\"event\":\"");
	enlargeStringInfo(out, length);
	appendBinaryStringInfo(out, out->data + start, length);
	PUT(out, "\",\"timestamp\":\"");
	put_time(out, time);
	PUT(out, "\",\"data\":");
	put_text(out, payload);
	PUT(out, "}");
	return length;
}

/* An event as a webhook gets it. */
static void
put_hook_event(ChatLogAnswer *answer, const ChatLogRow *row, int64 id, const char *name,
			   bool closed, const struct varlena *payload)
{
	const struct varlena *owner = chat_log_text(row, row->columns->owner);
	TimestampTz time = DatumGetTimestampTz(row->slot->tts_values[row->columns->created_at - 1]);
	char message_id[MESSAGE_ID_SIZE];
	int start, id_length, name_length;

	if (payload == NULL)
		return;
	start = chat_answer_begin_event(answer, row, id, closed ? CHAT_EVENT_CLOSED : 0, payload);
	if (owner != NULL)
		put_text(answer->out, owner);
	id_length = snprintf(message_id, sizeof(message_id), "evt_" INT64_FORMAT "%s", id,
						 closed ? "_closed" : "");
	name_length = put_body(answer->out, message_id, id_length, name, strlen(name), time, payload);
	chat_answer_end_event(answer, start, owner != NULL ? VARSIZE_ANY_EXHDR(owner) : 0, name_length);
}

/* chat.hook_body: what a webhook is sent, of a stored delivery or an attempt. */
Datum
chat_hook_body(PG_FUNCTION_ARGS)
{
	text *id = PG_GETARG_TEXT_PP(0), *type = PG_GETARG_TEXT_PP(1), *payload = PG_GETARG_TEXT_PP(3);
	StringInfoData body, escaped;

	initStringInfo(&escaped);
	put_escaped(&escaped, VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id));
	initStringInfo(&body);
	put_body(&body, escaped.data, escaped.len, VARDATA_ANY(type), VARSIZE_ANY_EXHDR(type),
			 PG_GETARG_TIMESTAMPTZ(2), payload);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(body.data, body.len));
}

/* Whether what changed is that the status became resolved. */
static bool
is_closed(const ChatLogRow *row, AttrNumber column)
{
	JsonbValue status, now;
	Jsonb *changes;

	if (column == 0 || row->slot->tts_isnull[column - 1])
		return false;
	changes = DatumGetJsonbP(row->slot->tts_values[column - 1]);
	return chat_json_find(changes, "status", &status) && status.type == jbvBinary &&
		   JsonContainerIsObject(status.val.binary.data) &&
		   getKeyJsonValueFromContainer(status.val.binary.data, "new", 3, &now) != NULL &&
		   now.type == jbvString && now.val.string.len == 8 &&
		   memcmp(now.val.string.val, "resolved", 8) == 0;
}

/* An event as webhooks get it, and one more where it closed its conversation. */
static void
put_bodies(ChatLogAnswer *answer, const ChatLogRow *row, int64 id, const char *name,
		   const struct varlena *payload, AttrNumber changes)
{
	put_hook_event(answer, row, id, name, false, payload);
	if (strcmp(name, chat_events[CHAT_EVENT_CONVERSATION_UPDATED].webhook) == 0 &&
		is_closed(row, changes))
		put_hook_event(answer, row, id, chat_events[CHAT_EVENT_CONVERSATION_CLOSED].webhook, true,
					   payload);
}

/* One that says whose rights changed is no state: a later one does not say it, and must not take its place. */
static uint32
flags_of(const ChatLogRow *row, const char *name)
{
	if (chat_log_text(row, row->columns->rights) != NULL)
		return CHAT_EVENT_RIGHTS;
	return chat_event_is_state(name) ? CHAT_EVENT_STATE : 0;
}

/* The event that a row is. */
static void
put_own(ChatLogAnswer *answer, ChatLogForm form, const ChatLogRow *row)
{
	const ChatLogColumns *columns = row->columns;
	AttrNumber named = form == CHAT_FORM_WEBHOOK ? columns->webhook : columns->event;
	const struct varlena *payload = chat_log_text(row, columns->payload);
	struct varlena *own = chat_log_text(row, named);
	char *name;

	if (own == NULL)
		return;
	name = text_to_cstring((text *) own);
	if (form == CHAT_FORM_WEBHOOK)
		put_bodies(answer, row, row->id, name, payload, columns->changes);
	else if (form == CHAT_FORM_PACKET)
		chat_packets_put(answer, row, row->id, chat_log_text(row, columns->topic), name, payload);
	else
		put_event(answer, form, row, row->id, chat_log_text(row, columns->topic), name,
				  flags_of(row, name), payload);
}

/* One that rides on it, to a topic. Webhooks get the first of them: the others say the same to others. */
static void
put_rider(ChatLogAnswer *answer, ChatLogForm form, const ChatLogRow *row, int number,
		  const struct varlena *topic)
{
	const ChatEventRow *rider = &chat_events[CHAT_EVENT_CONVERSATION_UPDATED];
	const struct varlena *payload = chat_log_text(row, row->columns->conversation_payload);
	int64 id = row->id + 1 + number;

	if (form == CHAT_FORM_PACKET)
		chat_packets_put(answer, row, id, topic, rider->name, payload);
	else if (form != CHAT_FORM_WEBHOOK)
		put_event(answer, form, row, id, topic, rider->name, rider->state ? CHAT_EVENT_STATE : 0,
				  payload);
	else if (number == 0)
		put_bodies(answer, row, id, rider->webhook, payload, row->columns->conversation_changes);
}

int64
chat_log_put(ChatLogAnswer *answer, ChatLogForm form, const ChatLogRow *row, int64 beyond,
			 int64 up_to)
{
	AttrNumber inboxes[CHAT_MOST_RIDERS] = {row->columns->inbox, row->columns->agent_inbox};
	int64 last = row->id;

	if (last > beyond && last <= up_to)
		put_own(answer, form, row);
	for (int i = 0; i < CHAT_MOST_RIDERS; i++)
	{
		const struct varlena *topic = chat_log_text(row, inboxes[i]);

		if (topic == NULL)
			continue;
		last = row->id + 1 + i;
		if (last > beyond && last <= up_to)
			put_rider(answer, form, row, i, topic);
	}
	return last;
}
