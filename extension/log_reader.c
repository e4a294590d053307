/*
 * Reading the event log for a consumer: one call, one answer.
 *
 * The call lets go of the doorbell, takes a new snapshot, and answers what is behind the position: late events first, then
 * fresh ones, each in the order of their ids. Where there is nothing and arming was asked for, it arms, takes another
 * snapshot and looks once more: armed and nothing there means that the next writer rings.
 *
 * log_answer.h tells how an answer is laid out, log_forms.h what events look like in it.
 *
 * The position after an answer is (last_id, snapshot). Late events have no limit in number, so they are told in portions.
 * While there are more of them the header has a target and late_id: the position is (last_id, snapshot, target, late_id)
 * then, with last_id and snapshot as they were, and fresh events wait. The target is the snapshot at which late events
 * were looked for, and becomes the position's once they are all told. Where the rows are is kept for the next portion; a
 * session that does not have it looks again, and finds the same.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "doorbell.h"
#include "event_log.h"
#include "log_answer.h"
#include "log_forms.h"
#include "log_packets.h"
#include "log_scan.h"

#define PROTOCOL 2
#define READ_ARM 1
#define READ_PRIVATE 2
#define READ_WEBHOOKS 4
#define READ_PACKETS 8

#define KEPT_BYTES (4 * 1024 * 1024)
/* Rows that are looked at in one read, whatever becomes of them. */
#define MOST_ROWS 20000

/* The late rows of a position, kept between its portions. */
typedef struct Late
{
	MemoryContext context;
	ChatLogPosition position; /* late_id of it means nothing */
	ChatLogPartitions partitions;
	ChatLatePlace *places;
	int64 count;
} Late;

typedef struct Read
{
	ChatLogPosition position; /* asked for */
	ChatLogPosition after;
	int max_rows;
	int max_bytes;
	ChatLogForm form;
	MemoryContext per_row;
	int64 restored; /* ids up to it count as committed */
	bool is_late;   /* late events are being told */
	int64 beyond;   /* only events with ids above it, */
	int64 up_to;    /* and up to this one */
	ChatLogAnswer answer;
	int rows;
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

/* The events of a row that are wanted. False: the answer is full. */
static bool
take_row(void *arg, const ChatLogRow *row)
{
	Read *read = arg;
	int64 last;
	MemoryContext old = MemoryContextSwitchTo(read->per_row);

	last = chat_log_put(&read->answer, read->form, row, read->beyond, read->up_to);
	if (read->is_late)
		read->after.late_id = Min(last, read->up_to);
	else
		read->after.last_id = Max(read->after.last_id, last);
	MemoryContextSwitchTo(old);
	MemoryContextReset(read->per_row);
	read->more = ++read->rows >= MOST_ROWS || read->answer.count >= (uint32) read->max_rows ||
				 (read->answer.count > 0 && read->answer.out->len >= read->max_bytes);
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
same_position(const ChatLogPosition *a, const ChatLogPosition *b)
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
	read->more = false;
	chat_answer_begin(&read->answer);
	tell(read, snapshot, now);
	chat_answer_end(&read->answer);
	PopActiveSnapshot();
}

/* Answers whether the doorbell is armed. */
static bool
read_and_arm(Read *read, bool arm)
{
	ChatLogPosition asked = read->position;

	chat_doorbell_disarm();
	read_once(read);
	if (!arm || read->answer.count > 0 || read->more || !chat_doorbell_arm())
		return false;
	read->position = asked;
	read_once(read);
	if (read->answer.count == 0 && !read->more)
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

static ChatLogForm
form_of(int32 flags)
{
	if ((flags & READ_WEBHOOKS) != 0)
		return CHAT_FORM_WEBHOOK;
	if ((flags & READ_PACKETS) != 0)
		return CHAT_FORM_PACKET;
	return (flags & READ_PRIVATE) != 0 ? CHAT_FORM_PRIVATE : CHAT_FORM_PUBLIC;
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
	read->form = form_of(PG_GETARG_INT32(6));
}

static Answer *
read_log(FunctionCallInfo fcinfo)
{
	Answer *answer = palloc0(sizeof(Answer));
	Read read = {0};
	bool armed;

	read_arguments(fcinfo, &read);
	read.answer.out = take_memory(answer);
	read.per_row = AllocSetContextCreate(CurrentMemoryContext, "chat_realtime log row",
										 ALLOCSET_DEFAULT_SIZES);
	if (read.form == CHAT_FORM_PACKET)
		read.answer.packets = chat_packets_create();
	armed = read_and_arm(&read, (PG_GETARG_INT32(6) & READ_ARM) != 0);
	answer->header = chat_answer_first(
		&read.answer, (armed ? CHAT_ANSWER_ARMED : 0) | (read.more ? CHAT_ANSWER_MORE : 0),
		&read.after);
	answer->out = read.answer.out;
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
