/*
 * Reading the event log for a consumer: one call, one answer.
 *
 * The call lets go of the doorbell, takes a new snapshot, and answers what is behind the position: late events first, then
 * fresh ones, each in the order of their ids. Where there is nothing and arming was asked for, it arms, takes another
 * snapshot and looks once more: armed and nothing there means that the next writer rings.
 *
 * An answer is bytea in pieces, of numbers in network byte order and texts without an end of their own:
 *
 *   header  version u8 (1), flags u8 (1 armed, 2 more), 0 u16, events u32, last_id i64, late_id i64, now i64,
 *           lengths of snapshot u32 and of target u32, snapshot, target
 *   event   length u32 of what follows, id i64, created_at i64, expires_at i64 (0: never), flags u32 (1: a state, 2: see below), lengths
 *           of conversation u32 and, as the message has them, of topic u32, name u32 and payload u32; conversation, message
 *
 * Times are microseconds since 1970. The message is one of /api/broadcast, ready to be sent:
 *   {"topic":"…","event":"…","payload":…,"private":true,"id":"…"}
 *
 * For webhooks, where flag 4 asks for it, there are only the events that webhooks get. In place of the topic stands the
 * owner (empty: nobody knows), before the message and not in it; the name is the webhooks', and the message their body:
 *   {"id":"evt_…","type":"…","event":"…","timestamp":"…","data":…}
 * A conversation that is closed is an event more, with the id of the one that said so, flag 2 and "evt_…_closed" in it.
 *
 * The first piece begins with the header. No event is split over pieces.
 *
 * The position after an answer is (last_id, snapshot). Late events have no limit in number, so they are told in portions.
 * While there are more of them the header has a target and late_id: the position is (last_id, snapshot, target, late_id)
 * then, with last_id and snapshot as they were, and fresh events wait. The target is the snapshot at which late events
 * were looked for, and becomes the position's once they are all told. Where the rows are is kept for the next portion; a
 * session that does not have it looks again, and finds the same.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "doorbell.h"
#include "event_log.h"
#include "events.h"
#include "log_scan.h"

#define PROTOCOL 2
#define ANSWER_VERSION 1
#define ANSWER_ARMED 1
#define ANSWER_MORE 2
#define EVENT_STATE 1
#define EVENT_CLOSED 2
#define READ_ARM 1
#define READ_PRIVATE 2
#define READ_WEBHOOKS 4

/* Where these lengths stand in an event. */
#define TOPIC_LENGTH_AT 36
#define NAME_LENGTH_AT 40

#define PIECE_BYTES 32768
#define KEPT_BYTES (4 * 1024 * 1024)
/* Rows that are looked at in one read, whatever becomes of them. */
#define MOST_ROWS 20000

#define PUT(out, literal) appendBinaryStringInfo((out), (literal), sizeof(literal) - 1)

typedef struct Position
{
	int64 last_id;
	char *snapshot;
	char *target; /* NULL: no late events are being told */
	int64 late_id;
} Position;

/* The late rows of a position, kept between its portions. */
typedef struct Late
{
	MemoryContext context;
	Position position; /* late_id of it means nothing */
	ChatLogPartitions partitions;
	ChatLatePlace *places;
	int64 count;
} Late;

typedef struct Read
{
	Position position; /* asked for */
	Position after;
	int max_rows;
	int max_bytes;
	bool is_private;
	bool for_webhooks;
	MemoryContext per_row;
	int64 restored; /* ids up to it count as committed */
	bool is_late;   /* late events are being told */
	int64 beyond;   /* only events with ids above it, */
	int64 up_to;    /* and up to this one */
	StringInfo out;
	int piece; /* where the piece under way begins */
	int rows;
	uint32 count;
	bool more;
} Read;

static Late *late = NULL;
/* The memory of an answer; fresh memory for each costs more than the rest of a read. */
static StringInfoData kept = {0};
static bool kept_in_use = false;

PG_FUNCTION_INFO_V1(chat_read_log);
PG_FUNCTION_INFO_V1(chat_sidecar_protocol);

Datum
chat_sidecar_protocol(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PROTOCOL);
}

/* --- pieces --------------------------------------------------------------------------------------- */

/* Pieces are datums one behind the other: each begins with its length word, at a place where one may. */
static void
begin_piece(Read *read)
{
	int start = INTALIGN(read->out->len);

	enlargeStringInfo(read->out, start - read->out->len + VARHDRSZ);
	memset(read->out->data + read->out->len, 0, start - read->out->len + VARHDRSZ);
	read->out->len = start + VARHDRSZ;
	read->piece = start;
}

static void
end_piece(Read *read)
{
	SET_VARSIZE(read->out->data + read->piece, read->out->len - read->piece);
}

static int64
unix_microseconds(TimestampTz time)
{
	return time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

/* --- events --------------------------------------------------------------------------------------- */

static struct varlena *
text_of(const ChatLogRow *row, AttrNumber column)
{
	if (column == 0 || row->slot->tts_isnull[column - 1])
		return NULL;
	return PG_DETOAST_DATUM_PACKED(row->slot->tts_values[column - 1]);
}

/* 0: there is none, or it never comes. */
static int64
time_of(const ChatLogRow *row, AttrNumber column)
{
	TimestampTz time = row->slot->tts_isnull[column - 1]
						   ? DT_NOEND
						   : DatumGetTimestampTz(row->slot->tts_values[column - 1]);

	return TIMESTAMP_IS_NOEND(time) ? 0 : unix_microseconds(time);
}

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
put_message(const Read *read, int64 id, const struct varlena *topic, const char *name,
			const struct varlena *payload, int *topic_length, int *name_length)
{
	StringInfo out = read->out;

	PUT(out, "{\"topic\":\"");
	*topic_length = put_escaped(out, VARDATA_ANY(topic), VARSIZE_ANY_EXHDR(topic));
	PUT(out, "\",\"event\":\"");
	*name_length = put_escaped(out, name, strlen(name));
	PUT(out, "\",\"payload\":");
	put_text(out, payload);
	if (read->is_private)
		PUT(out, ",\"private\":true,\"id\":\"");
	else
		PUT(out, ",\"private\":false,\"id\":\"");
	appendStringInfo(out, INT64_FORMAT "\"}", id);
}

static void
set_number(StringInfo out, int at, uint32 number)
{
	uint32 wire = pg_hton32(number);

	memcpy(out->data + at, &wire, sizeof(wire));
}

/* An event up to its conversation; answers where it begins. Lengths that stand there as 0 are set at its end. */
static int
begin_event(Read *read, const ChatLogRow *row, int64 id, uint32 flags,
			const struct varlena *payload)
{
	StringInfo out = read->out;
	const struct varlena *conversation = text_of(row, row->columns->conversation);
	int start;

	if (out->len - read->piece >= PIECE_BYTES)
	{
		end_piece(read);
		begin_piece(read);
	}
	start = out->len;
	pq_sendint32(out, 0);
	pq_sendint64(out, id);
	pq_sendint64(out, time_of(row, row->columns->created_at));
	pq_sendint64(out, time_of(row, row->columns->expires_at));
	pq_sendint32(out, flags);
	pq_sendint32(out, conversation != NULL ? VARSIZE_ANY_EXHDR(conversation) : 0);
	pq_sendint32(out, 0);
	pq_sendint32(out, 0);
	pq_sendint32(out, VARSIZE_ANY_EXHDR(payload));
	if (conversation != NULL)
		put_text(out, conversation);
	return start;
}

static void
end_event(Read *read, int start, int topic_length, int name_length)
{
	set_number(read->out, start, read->out->len - start - sizeof(uint32));
	set_number(read->out, start + TOPIC_LENGTH_AT, topic_length);
	set_number(read->out, start + NAME_LENGTH_AT, name_length);
	read->count++;
}

static void
put_event(Read *read, const ChatLogRow *row, int64 id, const struct varlena *topic,
		  const char *name, bool state, const struct varlena *payload)
{
	int start, topic_length, name_length;

	if (topic == NULL || payload == NULL)
		return;
	start = begin_event(read, row, id, state ? EVENT_STATE : 0, payload);
	put_message(read, id, topic, name, payload, &topic_length, &name_length);
	end_event(read, start, topic_length, name_length);
}

/* As to_char gives it: YYYY-MM-DD"T"HH24:MI:SS.MS"Z", in UTC. */
static void
put_time(StringInfo out, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (timestamp2tm(time, NULL, &tm, &fraction, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	appendStringInfo(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year, tm.tm_mon, tm.tm_mday,
					 tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fraction / 1000);
}

/* A body of a webhook. */
static void
put_body(Read *read, const ChatLogRow *row, int64 id, const char *name, bool closed,
		 const struct varlena *payload)
{
	const struct varlena *owner = text_of(row, row->columns->owner);
	StringInfo out = read->out;
	int start, name_length;

	if (payload == NULL)
		return;
	start = begin_event(read, row, id, closed ? EVENT_CLOSED : 0, payload);
	if (owner != NULL)
		put_text(out, owner);
	appendStringInfo(out, "{\"id\":\"evt_" INT64_FORMAT "%s\",\"type\":\"", id,
					 closed ? "_closed" : "");
	name_length = put_escaped(out, name, strlen(name));
	PUT(out, "\",\"event\":\"");
	put_escaped(out, name, strlen(name));
	PUT(out, "\",\"timestamp\":\"");
	put_time(out, DatumGetTimestampTz(row->slot->tts_values[row->columns->created_at - 1]));
	PUT(out, "\",\"data\":");
	put_text(out, payload);
	PUT(out, "}");
	end_event(read, start, owner != NULL ? VARSIZE_ANY_EXHDR(owner) : 0, name_length);
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
	return JB_ROOT_IS_OBJECT(changes) &&
		   getKeyJsonValueFromContainer(&changes->root, "status", 6, &status) != NULL &&
		   status.type == jbvBinary && JsonContainerIsObject(status.val.binary.data) &&
		   getKeyJsonValueFromContainer(status.val.binary.data, "new", 3, &now) != NULL &&
		   now.type == jbvString && now.val.string.len == 8 &&
		   memcmp(now.val.string.val, "resolved", 8) == 0;
}

/* An event as webhooks get it, and one more where it closed its conversation. */
static void
put_bodies(Read *read, const ChatLogRow *row, int64 id, const char *name,
		   const struct varlena *payload, AttrNumber changes)
{
	put_body(read, row, id, name, false, payload);
	if (strcmp(name, chat_events[CHAT_EVENT_CONVERSATION_UPDATED].webhook) == 0 &&
		is_closed(row, changes))
		put_body(read, row, id, chat_events[CHAT_EVENT_CONVERSATION_CLOSED].webhook, true, payload);
}

static bool
is_wanted(const Read *read, int64 id)
{
	return id > read->beyond && id <= read->up_to;
}

/* The event that a row is. */
static void
put_own(Read *read, const ChatLogRow *row)
{
	const ChatLogColumns *columns = row->columns;
	AttrNumber named = read->for_webhooks ? columns->webhook : columns->event;
	const struct varlena *payload = text_of(row, columns->payload);
	struct varlena *own = text_of(row, named);
	char *name;

	if (own == NULL)
		return;
	name = text_to_cstring((text *) own);
	if (read->for_webhooks)
		put_bodies(read, row, row->id, name, payload, columns->changes);
	else
		put_event(read, row, row->id, text_of(row, columns->topic), name, chat_event_is_state(name),
				  payload);
}

/* One that rides on it, to a topic. Webhooks get the first of them: the others say the same to others. */
static void
put_rider(Read *read, const ChatLogRow *row, int number, const struct varlena *topic)
{
	const ChatEventRow *rider = &chat_events[CHAT_EVENT_CONVERSATION_UPDATED];
	const struct varlena *payload = text_of(row, row->columns->conversation_payload);
	int64 id = row->id + 1 + number;

	if (!read->for_webhooks)
		put_event(read, row, id, topic, rider->name, rider->state, payload);
	else if (number == 0)
		put_bodies(read, row, id, rider->webhook, payload, row->columns->conversation_changes);
}

static void
put_row(Read *read, const ChatLogRow *row)
{
	AttrNumber inboxes[CHAT_MOST_RIDERS] = {row->columns->inbox, row->columns->agent_inbox};
	int64 last = row->id;

	if (is_wanted(read, row->id))
		put_own(read, row);
	for (int i = 0; i < CHAT_MOST_RIDERS; i++)
	{
		const struct varlena *topic = text_of(row, inboxes[i]);

		if (topic == NULL)
			continue;
		last = row->id + 1 + i;
		if (is_wanted(read, last))
			put_rider(read, row, i, topic);
	}
	if (read->is_late)
		read->after.late_id = Min(last, read->up_to);
	else
		read->after.last_id = Max(read->after.last_id, last);
}

/* The events of a row that are wanted. False: the answer is full. */
static bool
take_row(void *arg, const ChatLogRow *row)
{
	Read *read = arg;
	MemoryContext old = MemoryContextSwitchTo(read->per_row);

	put_row(read, row);
	MemoryContextSwitchTo(old);
	MemoryContextReset(read->per_row);
	read->more = ++read->rows >= MOST_ROWS || read->count >= (uint32) read->max_rows ||
				 (read->count > 0 && read->out->len >= read->max_bytes);
	return !read->more;
}

/* --- late events ---------------------------------------------------------------------------------- */

static void
forget_late(void)
{
	if (late != NULL)
		MemoryContextDelete(late->context);
	late = NULL;
}

static bool
same_position(const Position *a, const Position *b)
{
	return a->last_id == b->last_id && strcmp(a->snapshot, b->snapshot) == 0 &&
		   strcmp(a->target, b->target) == 0;
}

/* Finds the late rows of a position whose target is set, unless they are known. */
static void
find_late(const Read *read, Snapshot snapshot)
{
	MemoryContext context, old;
	ChatSeen seen, target;
	Late *found;

	if (late != NULL && same_position(&late->position, &read->position))
		return;
	forget_late();
	context = AllocSetContextCreate(CurrentMemoryContext, "chat_realtime late events",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	found = palloc0(sizeof(Late));
	found->context = context;
	found->position.last_id = read->position.last_id;
	found->position.snapshot = pstrdup(read->position.snapshot);
	found->position.target = pstrdup(read->position.target);
	chat_log_partitions(&found->partitions);
	chat_seen_read(&seen, read->position.snapshot);
	chat_seen_read(&target, read->position.target);
	found->places = chat_log_late(&found->partitions, read->restored, read->position.last_id, &seen,
								  &target, snapshot, &found->count);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, TopMemoryContext);
	late = found;
}

/* The first place whose row may have an event above an id. */
static int64
first_place(int64 id)
{
	int64 low = 0, high = late->count;

	while (low < high)
	{
		int64 middle = low + (high - low) / 2;

		if (late->places[middle].id + CHAT_MOST_RIDERS <= id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A portion of the late events. False: there are more. */
static bool
tell_late(Read *read, Snapshot snapshot)
{
	int64 first;

	find_late(read, snapshot);
	read->is_late = true;
	read->beyond = Max(read->position.late_id, read->restored);
	read->up_to = read->position.last_id;
	first = first_place(read->beyond);
	chat_log_visit(&late->partitions, late->places + first, late->count - first, snapshot, take_row,
				   read);
	if (read->more)
		return false;
	forget_late();
	return true;
}

/* --- a read --------------------------------------------------------------------------------------- */

static void
tell_fresh(Read *read, Snapshot snapshot)
{
	ChatLogPartitions partitions;

	chat_log_partitions(&partitions);
	read->is_late = false;
	read->beyond = read->position.last_id;
	read->up_to = PG_INT64_MAX;
	/* The position may lie within a row's events. */
	chat_log_fresh(&partitions, read->beyond - CHAT_MOST_RIDERS, snapshot, take_row, read);
}

/*
 * Fresh events are told under the snapshot that late ones were looked for with: one and the same becomes the position's.
 * Where that was an earlier portion's, the next read tells them.
 */
static void
tell(Read *read, Snapshot snapshot, char *now)
{
	bool resumed = read->position.target != NULL;

	if (!resumed)
	{
		read->position.target = now;
		read->position.late_id = 0;
	}
	read->after = read->position;
	if (!tell_late(read, snapshot))
		return;
	read->after.snapshot = read->position.target;
	read->after.target = NULL;
	if (resumed)
		read->more = true;
	else
		tell_fresh(read, snapshot);
}

/* Room for the header, which is written when the answer is known; its texts come to their place with it. */
static void
put_header(Read *read, StringInfo header, bool armed)
{
	const char *target = read->after.target != NULL ? read->after.target : "";

	pq_sendint8(header, ANSWER_VERSION);
	pq_sendint8(header, (armed ? ANSWER_ARMED : 0) | (read->more ? ANSWER_MORE : 0));
	pq_sendint16(header, 0);
	pq_sendint32(header, read->count);
	pq_sendint64(header, read->after.last_id);
	pq_sendint64(header, read->after.late_id);
	pq_sendint64(header, unix_microseconds(GetCurrentTimestamp()));
	pq_sendint32(header, strlen(read->after.snapshot));
	pq_sendint32(header, strlen(target));
	appendStringInfoString(header, read->after.snapshot);
	appendStringInfoString(header, target);
}

static void
read_once(Read *read)
{
	Snapshot snapshot;
	char *now;

	PushActiveSnapshot(GetLatestSnapshot());
	snapshot = GetActiveSnapshot();
	now = DatumGetCString(
		DirectFunctionCall1(pg_snapshot_out, OidFunctionCall0(F_PG_CURRENT_SNAPSHOT)));
	read->restored = chat_log_restored(snapshot);
	read->rows = 0;
	read->count = 0;
	read->more = false;
	resetStringInfo(read->out);
	begin_piece(read);
	tell(read, snapshot, now);
	end_piece(read);
	PopActiveSnapshot();
}

/* Answers whether the doorbell is armed. */
static bool
read_and_arm(Read *read, bool arm)
{
	Position asked = read->position;

	chat_doorbell_disarm();
	read_once(read);
	if (!arm || read->count > 0 || read->more || !chat_doorbell_arm())
		return false;
	read->position = asked;
	read_once(read);
	if (read->count == 0 && !read->more)
		return true;
	chat_doorbell_disarm();
	return false;
}

/* --- the function --------------------------------------------------------------------------------- */

typedef struct Answer
{
	bytea *header;
	StringInfo out;
	int at;
	MemoryContextCallback release;
} Answer;

static void
release_kept(void *arg)
{
	kept_in_use = false;
	if (kept.maxlen <= KEPT_BYTES)
		return;
	pfree(kept.data);
	kept.data = NULL;
}

/* The kept memory, or in a call within a call memory of its own. */
static StringInfo
take_memory(Answer *answer)
{
	MemoryContext old;

	if (kept_in_use)
		return makeStringInfo();
	if (kept.data == NULL)
	{
		old = MemoryContextSwitchTo(TopMemoryContext);
		initStringInfo(&kept);
		MemoryContextSwitchTo(old);
	}
	kept_in_use = true;
	answer->release.func = release_kept;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &answer->release);
	return &kept;
}

static int
number_argument(FunctionCallInfo fcinfo, int n, const char *name, int most)
{
	int value = PG_GETARG_INT32(n);

	if (value < 1 || value > most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be from 1 to %d", name, most)));
	return value;
}

static void
read_arguments(FunctionCallInfo fcinfo, Read *read)
{
	for (int i = 0; i < 7; i++)
	{
		if (PG_ARGISNULL(i) && i != 2 && i != 3)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("arguments must not be NULL, but for target and late_id")));
	}
	read->position.last_id = Max(PG_GETARG_INT64(0), 0); /* ids are above 0 */
	read->position.snapshot = text_to_cstring(PG_GETARG_TEXT_PP(1));
	read->position.target = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	read->position.late_id = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT64(3);
	read->max_rows = number_argument(fcinfo, 4, "max_rows", 100000);
	read->max_bytes = number_argument(fcinfo, 5, "max_bytes", 64 * 1024 * 1024);
	read->is_private = (PG_GETARG_INT32(6) & READ_PRIVATE) != 0;
	read->for_webhooks = (PG_GETARG_INT32(6) & READ_WEBHOOKS) != 0;
}

/* The header is known last and comes first: the first piece is made anew with it. */
static bytea *
first_piece(Read *read, bool armed)
{
	StringInfoData piece;
	bytea *events = (bytea *) read->out->data;

	initStringInfo(&piece);
	appendStringInfoSpaces(&piece, VARHDRSZ);
	put_header(read, &piece, armed);
	appendBinaryStringInfo(&piece, VARDATA(events), VARSIZE(events) - VARHDRSZ);
	SET_VARSIZE(piece.data, piece.len);
	return (bytea *) piece.data;
}

static Answer *
read_log(FunctionCallInfo fcinfo)
{
	Answer *answer = palloc0(sizeof(Answer));
	Read read = {0};
	bool armed;

	read_arguments(fcinfo, &read);
	read.out = take_memory(answer);
	read.per_row = AllocSetContextCreate(CurrentMemoryContext, "chat_realtime log row",
										 ALLOCSET_DEFAULT_SIZES);
	armed = read_and_arm(&read, (PG_GETARG_INT32(6) & READ_ARM) != 0);
	answer->header = first_piece(&read, armed);
	answer->out = read.out;
	return answer;
}

Datum
chat_read_log(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	Answer *answer;
	bytea *piece;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		call->user_fctx = read_log(fcinfo);
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	answer = call->user_fctx;
	if (answer->at >= answer->out->len)
		SRF_RETURN_DONE(call);
	piece = answer->at == 0 ? answer->header : (bytea *) (answer->out->data + answer->at);
	answer->at = INTALIGN(answer->at + VARSIZE(answer->out->data + answer->at));
	SRF_RETURN_NEXT(call, PointerGetDatum(piece));
}
