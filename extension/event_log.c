/*
 * Rows of chat.event, written set-wise; see event_log.h.
 *
 * Partition n of the log holds the ids n·2^32 … (n+1)·2^32−1 and is called event_n, so the partition follows
 * from the id. Retention makes the next one ahead and then moves the sequence into it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "attachment.h"
#include "compat.h"
#include "doorbell.h"
#include "event_log.h"
#include "events.h"
#include "indexes.h"
#include "input.h"
#include "settings.h"

#define PARTITION_BITS 32
#define ROWS_AT_ONCE 200
/* Longest names that Realtime's binary frames can carry, without its "realtime:" prefix. */
#define MAX_TOPIC_BYTES 246
#define MAX_EVENT_BYTES 255

PG_FUNCTION_INFO_V1(chat_emit);

enum
{
	COL_ID,
	COL_XID,
	COL_SNAPSHOT_XMIN,
	COL_NEXT_XID,
	COL_CREATED_AT,
	COL_EXPIRES_AT,
	COL_OWNER,
	COL_CONVERSATION,
	COL_TOPIC,
	COL_EVENT,
	COL_WEBHOOK,
	COL_CHANGES,
	COL_PAYLOAD,
	COL_RIGHTS,
	COL_INBOX,
	COL_AGENT_INBOX,
	COL_CONVERSATION_PAYLOAD,
	COL_CONVERSATION_CHANGES,
	COLUMNS
};

struct ChatLog
{
	Oid sequence;
	int64 partition; /* number of the open one, -1: none */
	Relation relation;
	bool
		can_carry; /* its rows have room for riders; not before the extension's update, when the library is newer */
	ChatIndexes *indexes;
	FullTransactionId xid;
	FullTransactionId xmin;
	TimestampTz now;
	MemoryContext home;    /* of the log itself, its slots and indexes */
	MemoryContext context; /* of the slots' tuples; emptied after each write */
	Datum *values;         /* of a row: one for each column of the partition */
	bool *nulls;
	const char *shared[COLUMNS]; /* what set_shared made the column's value of */
	int nslots;                  /* made so far */
	int nrows;                   /* filled */
	TupleTableSlot *slots[ROWS_AT_ONCE];
};

/* The full form of the oldest transaction that our snapshot sees as running. */
static FullTransactionId
snapshot_xmin(FullTransactionId own)
{
	Snapshot snapshot = ActiveSnapshotSet() ? GetActiveSnapshot() : GetLatestSnapshot();
	TransactionId xmin = snapshot->xmin;
	uint32 epoch = EpochFromFullTransactionId(own);

	/* xmin is never ahead of our own id, so a larger number belongs to the epoch before. */
	if (xmin > XidFromFullTransactionId(own))
		epoch--;
	return FullTransactionIdFromEpochAndXid(epoch, xmin);
}

ChatLog *
chat_log_begin(void)
{
	ChatLog *log = palloc0(offsetof(ChatLog, slots) + sizeof(TupleTableSlot *) * ROWS_AT_ONCE);

	log->home = CurrentMemoryContext;
	log->sequence = chat_own_table("event_seq");
	log->partition = -1;
	log->xid = GetTopFullTransactionId();
	log->xmin = snapshot_xmin(log->xid);
	log->now = GetCurrentTimestamp();
	log->context =
		AllocSetContextCreate(CurrentMemoryContext, "chat_realtime log", ALLOCSET_DEFAULT_SIZES);
	return log;
}

/* Writes the filled slots. */
static void
write_rows(ChatLog *log)
{
	if (log->nrows == 0)
		return;
	heap_multi_insert(log->relation, log->slots, log->nrows, GetCurrentCommandId(true), 0, NULL);
	chat_indexes_insert(log->indexes, log->slots, log->nrows, NULL);
	for (int i = 0; i < log->nrows; i++)
		ExecClearTuple(log->slots[i]);
	MemoryContextReset(log->context);
	log->nrows = 0;
}

/* Closes the open partition; its lock stays until the end of the transaction. */
static void
close_partition(ChatLog *log)
{
	write_rows(log);
	for (int i = 0; i < log->nslots; i++)
		ExecDropSingleTupleTableSlot(log->slots[i]);
	log->nslots = 0;
	if (log->partition >= 0)
	{
		chat_indexes_close(log->indexes);
		table_close(log->relation, NoLock);
		memset(log->shared, 0, sizeof(log->shared));
		pfree(log->values);
		pfree(log->nulls);
	}
	log->partition = -1;
}

/* Partitions are made ahead, so one is missing only where chat.maintain has not been called for 2^32 events. */
static Oid
partition_oid(const char *name)
{
	Oid relid = get_relname_relid(name, get_namespace_oid("chat", false));

	if (!OidIsValid(relid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the event log has no partition \"%s\"", name),
						errhint("Run SELECT * FROM chat.maintain().")));
	return relid;
}

/*
 * Draws as many ids as an event and its riders need, one after the other in one partition; the first one. Others draw
 * from the sequence meanwhile, seldom between two of ours: then it is begun anew at the last one.
 */
static int64
draw_ids(ChatLog *log, int count)
{
	int64 first = nextval_internal(log->sequence, false);
	int64 last = first;

	while (last < first + count - 1)
	{
		int64 next = nextval_internal(log->sequence, false);

		if (next != last + 1 || next >> PARTITION_BITS != first >> PARTITION_BITS)
			first = next;
		last = next;
	}
	return first;
}

/*
 * Room for a row. A newer version's script may have added columns that this library, loaded before, does not know:
 * they stay NULL.
 */
static void
make_row(ChatLog *log)
{
	int columns = Max(RelationGetDescr(log->relation)->natts, COLUMNS);

	log->values = palloc0(sizeof(Datum) * columns);
	log->nulls = palloc0(sizeof(bool) * columns);
	memset(log->nulls + COLUMNS, true, columns - COLUMNS);
}

/* Opens the partition that an id belongs to. */
static void
open_partition(ChatLog *log, int64 id)
{
	int64 partition = id >> PARTITION_BITS;
	char name[NAMEDATALEN];
	MemoryContext old;

	if (log->partition == partition)
		return;
	close_partition(log);
	old = MemoryContextSwitchTo(log->home);
	snprintf(name, sizeof(name), "event_" INT64_FORMAT, partition);
	log->relation = table_open(partition_oid(name), RowExclusiveLock);
	log->indexes = chat_indexes_open(log->relation);
	make_row(log);
	log->can_carry = RelationGetDescr(log->relation)->natts >= COLUMNS;
	log->partition = partition;
	MemoryContextSwitchTo(old);
}

/* The next free slot. */
static TupleTableSlot *
next_slot(ChatLog *log)
{
	if (log->nrows == ROWS_AT_ONCE)
		write_rows(log);
	if (log->nrows == log->nslots)
		log->slots[log->nslots++] =
			MakeSingleTupleTableSlot(RelationGetDescr(log->relation), &TTSOpsHeapTuple);
	return log->slots[log->nrows++];
}

/* A text column's value; NULL text is SQL NULL. */
static void
set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	if (text != NULL)
		values[column] = CStringGetTextDatum(text);
}

/* The same for a text that events of a flush share, which then is made once: one that is at the same place is the same text. */
static void
set_shared(ChatLog *log, int column, const char *text)
{
	MemoryContext old;

	log->nulls[column] = text == NULL;
	if (text == NULL || text == log->shared[column])
		return;
	if (log->shared[column] != NULL)
		pfree(DatumGetPointer(log->values[column]));
	old = MemoryContextSwitchTo(log->home);
	log->values[column] = CStringGetTextDatum(text);
	log->shared[column] = text;
	MemoryContextSwitchTo(old);
}

/* A column of type jsonb; 0 is SQL NULL. */
static void
set_json(Datum *values, bool *nulls, int column, Datum json)
{
	values[column] = json;
	nulls[column] = json == (Datum) 0;
}

static void
set_rider(Datum *values, bool *nulls, const ChatRider *rider)
{
	set_text(values, nulls, COL_INBOX, rider->inbox);
	set_text(values, nulls, COL_AGENT_INBOX, rider->agent_inbox);
	nulls[COL_CONVERSATION_PAYLOAD] = false;
	values[COL_CONVERSATION_PAYLOAD] =
		PointerGetDatum(cstring_to_text_with_len(rider->payload, rider->payload_length));
	set_json(values, nulls, COL_CONVERSATION_CHANGES, rider->changes);
}

/*
 * A row without riders ends before their columns, which then are NULL: it costs what it would cost if there were none. These
 * columns are the same in every partition, for ever.
 */
static TupleDesc
plain_row(ChatLog *log)
{
	static TupleDesc desc = NULL;
	Form_pg_attribute attributes[COL_INBOX];
	int columns = Min(RelationGetDescr(log->relation)->natts, COL_INBOX);
	MemoryContext old;

	if (desc != NULL && desc->natts == columns)
		return desc;
	if (desc != NULL)
		FreeTupleDesc(desc); /* the extension was updated meanwhile */
	desc = NULL;
	for (int i = 0; i < columns; i++)
		attributes[i] = TupleDescAttr(RelationGetDescr(log->relation), i);
	old = MemoryContextSwitchTo(CacheMemoryContext);
	desc = CreateTupleDesc(columns, attributes);
	MemoryContextSwitchTo(old);
	return desc;
}

/* Adds a row of the open partition. rider: only where its rows have room for one. */
static void
add_row(ChatLog *log, int64 id, const ChatEvent *event, const ChatRider *rider)
{
	MemoryContext old = MemoryContextSwitchTo(log->home);
	TupleTableSlot *slot = next_slot(log);
	Datum *values = log->values;
	bool *nulls = log->nulls;
	TupleDesc desc;

	MemoryContextSwitchTo(log->context);
	values[COL_ID] = Int64GetDatum(id);
	values[COL_XID] = FullTransactionIdGetDatum(log->xid);
	values[COL_SNAPSHOT_XMIN] = FullTransactionIdGetDatum(log->xmin);
	values[COL_NEXT_XID] = FullTransactionIdGetDatum(chat_next_xid());
	values[COL_CREATED_AT] = TimestampTzGetDatum(log->now);
	values[COL_EXPIRES_AT] = TimestampTzGetDatum(event->expires_at);
	nulls[COL_EXPIRES_AT] = event->expires_at == 0;
	set_shared(log, COL_OWNER, event->owner);
	set_text(values, nulls, COL_CONVERSATION, event->conversation);
	set_text(values, nulls, COL_TOPIC, event->topic);
	set_shared(log, COL_EVENT, event->event);
	set_shared(log, COL_WEBHOOK, event->webhook);
	set_json(values, nulls, COL_CHANGES, event->changes);
	set_text(values, nulls, COL_RIGHTS, event->rights);
	values[COL_PAYLOAD] =
		PointerGetDatum(cstring_to_text_with_len(event->payload, event->payload_length));
	if (rider != NULL)
		set_rider(values, nulls, rider);
	desc = rider != NULL ? RelationGetDescr(log->relation) : plain_row(log);
	/* The tuple is formed in our context: not to be freed with the slot. */
	ExecForceStoreHeapTuple(heap_form_tuple(desc, values, nulls), slot, false);
	MemoryContextSwitchTo(old);
}

/* What rides on an event as the events that readers see, in the order of their ids; how many there are. */
static int
unpack_rider(const ChatEvent *event, ChatEvent riders[CHAT_MOST_RIDERS])
{
	const ChatRider *rider = event->rider;
	ChatEvent told;

	if (rider == NULL)
		return 0;
	told = (ChatEvent){
		.topic = rider->inbox,
		.event = chat_events[CHAT_EVENT_CONVERSATION_UPDATED].name,
		.owner = event->owner,
		.conversation = event->conversation,
		.webhook = chat_events[CHAT_EVENT_CONVERSATION_UPDATED].webhook,
		.changes = rider->changes,
		.payload = rider->payload,
		.payload_length = rider->payload_length,
	};
	riders[0] = told;
	if (rider->agent_inbox == NULL)
		return 1;
	told.topic = rider->agent_inbox;
	told.webhook = NULL; /* webhooks are the owner's */
	riders[1] = told;
	return 2;
}

int64
chat_log_add(ChatLog *log, const ChatEvent *event)
{
	ChatEvent riders[CHAT_MOST_RIDERS];
	int nriders = unpack_rider(event, riders);
	int64 id = draw_ids(log, 1 + nriders);

	open_partition(log, id);
	add_row(log, id, event, log->can_carry ? event->rider : NULL);
	for (int i = 0; i < nriders && !log->can_carry; i++)
		add_row(log, id + 1 + i, &riders[i], NULL);
	if (!chat_import)
	{
		chat_doorbell_event(id, event);
		for (int i = 0; i < nriders; i++)
			chat_doorbell_event(id + 1 + i, &riders[i]);
	}
	return id;
}

void
chat_log_end(ChatLog *log)
{
	close_partition(log);
	MemoryContextDelete(log->context);
	pfree(log);
}

/* Refuses a name that is missing or longer than Realtime can carry. */
static void
check_name(const char *what, const char *name, size_t most)
{
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", what)));
	if (*name == '\0' || strlen(name) > most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be from 1 to %zu bytes long", what, most)));
}

/* When an event with the given time to live expires. */
static TimestampTz
expiry(Datum ttl)
{
	return DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()), ttl));
}

/* SQL: chat.emit(topic, event, owner, conversation, webhook, payload, ttl), and chat.emit_change with changes and rights */
Datum
chat_emit(PG_FUNCTION_ARGS)
{
	ChatEvent event = {
		.topic = chat_text_argument(fcinfo, 0),
		.event = chat_text_argument(fcinfo, 1),
		.owner = chat_text_argument(fcinfo, 2),
		.conversation = chat_text_argument(fcinfo, 3),
		.webhook = chat_text_argument(fcinfo, 4),
	};
	Jsonb *payload;
	ChatLog *log;
	int64 id;

	check_name("topic", event.topic, MAX_TOPIC_BYTES);
	check_name("event", event.event, MAX_EVENT_BYTES);
	chat_require_argument(fcinfo, 5, "payload");
	payload = PG_GETARG_JSONB_P(5);
	if (!JB_ROOT_IS_OBJECT(payload))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("payload must be a JSON object")));
	event.payload = JsonbToCString(NULL, &payload->root, VARSIZE(payload));
	event.payload_length = strlen(event.payload);
	if (!PG_ARGISNULL(6))
		event.expires_at = expiry(PG_GETARG_DATUM(6));
	if (PG_NARGS() > 7)
	{
		event.changes = PG_ARGISNULL(7) ? (Datum) 0 : PG_GETARG_DATUM(7);
		event.rights = chat_text_argument(fcinfo, 8);
	}
	log = chat_log_begin();
	id = chat_log_add(log, &event);
	chat_log_end(log);
	PG_RETURN_INT64(id);
}
