/*
 * The adaptive doorbell; the protocol is described in doorbell.h.
 *
 * What was written is counted per nesting level, so that a transaction whose events were all rolled back to a
 * savepoint does not ring.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "compat.h"
#include "doorbell.h"
#include "settings.h"

#define CHANNEL "chat_realtime"
#define MAX_NOTIFY_PAYLOAD 7999

/* Beyond this part of it NOTIFY's queue is left to others: one that is full makes every commit with a NOTIFY fail. */
#define MAX_QUEUE_USAGE 0.9
#define QUEUE_ENTRY_OVERHEAD 24 /* at most, of a notification in the queue, beside its texts */

/* Any fixed number; one lock per database. chat.status has it, too. */
#define DOORBELL_KEY UINT64CONST(7163378422610750313)

typedef struct Ring
{
	int level; /* nesting level that wrote the events */
	int64 first_id;
	List *notices; /* payloads to send at commit, in mode "always" */
	struct Ring *outer;
} Ring;

/* Innermost level first; in TopTransactionContext. NULL: no events. */
static Ring *rings = NULL;

/* The event itself as a NOTIFY's payload, for listeners other than the sidecar. */
static char *
notice_of(int64 id, const ChatEvent *event)
{
	StringInfoData buf;
	int without;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"id\":" INT64_FORMAT ",\"topic\":", id);
	escape_json(&buf, event->topic);
	appendStringInfoString(&buf, ",\"event\":");
	escape_json(&buf, event->event);
	without = buf.len;
	appendStringInfoString(&buf, ",\"payload\":");
	appendBinaryStringInfo(&buf, event->payload, event->payload_length);
	appendStringInfoChar(&buf, '}');
	if (buf.len > MAX_NOTIFY_PAYLOAD)
	{
		buf.data[without] = '}';
		buf.data[without + 1] = '\0';
	}
	return buf.data;
}

void
chat_doorbell_event(int64 id, const ChatEvent *event)
{
	int level = GetCurrentTransactionNestLevel();
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	if (rings == NULL || rings->level < level)
	{
		Ring *ring = palloc0(sizeof(Ring));

		ring->level = level;
		ring->first_id = id;
		ring->outer = rings;
		rings = ring;
	}
	if (chat_notify == CHAT_NOTIFY_ALWAYS)
		rings->notices = lappend(rings->notices, notice_of(id, event));
	MemoryContextSwitchTo(old);
}

static LOCKTAG
doorbell_tag(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (DOORBELL_KEY >> 32), (uint32) DOORBELL_KEY,
						 1);
	return tag;
}

bool
chat_doorbell_arm(void)
{
	LOCKTAG tag = doorbell_tag();

	return LockAcquire(&tag, ShareLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
chat_doorbell_disarm(void)
{
	LOCKTAG tag = doorbell_tag();

	while (chat_lock_held_by_me(&tag, ShareLock))
		(void) LockRelease(&tag, ShareLock, true);
}

PG_FUNCTION_INFO_V1(chat_arm);
PG_FUNCTION_INFO_V1(chat_disarm);

Datum
chat_arm(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(chat_doorbell_arm());
}

Datum
chat_disarm(PG_FUNCTION_ARGS)
{
	chat_doorbell_disarm();
	PG_RETURN_VOID();
}

/* True when no sidecar sleeps; then none can fall asleep before this transaction is visible. */
static bool
nobody_sleeps(void)
{
	LOCKTAG tag = doorbell_tag();

	return LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* How many pages of the queue notifications take: none is split, so what is left of a page is lost. */
static double
queue_pages(List *payloads)
{
	double pages = 0;
	Size left = 0;
	ListCell *cell;

	foreach (cell, payloads)
	{
		Size size = QUEUE_ENTRY_OVERHEAD + strlen(CHANNEL) + strlen(lfirst(cell));

		if (size > left)
		{
			pages++;
			left = BLCKSZ;
		}
		left -= Min(size, left);
	}
	return pages;
}

/*
 * Whether the queue has room for so many pages. The doorbell is a hint, so what cannot be rung is not: the sidecar polls.
 * Looking also moves the queue's tail past what every listener has read, which nobody does where sending fails.
 */
static bool
queue_has_room(double pages)
{
	double usage = DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE));

	return usage + pages / chat_notify_queue_pages() <= MAX_QUEUE_USAGE;
}

/* Sends every event's own NOTIFY. At commit, not earlier: a transaction that sent one cannot be prepared. */
static void
send_notices(void)
{
	ListCell *cell;

	foreach (cell, rings->notices)
		Async_Notify(CHANNEL, lfirst(cell));
}

/* Rings, if somebody sleeps. */
static void
wake_sleepers(void)
{
	char payload[64];

	if (nobody_sleeps() || !queue_has_room(1))
		return;
	snprintf(payload, sizeof(payload), "{\"id\":" INT64_FORMAT "}", rings->first_id);
	Async_Notify(CHANNEL, payload);
}

/* At pre-commit every surviving event is in the outermost ring. */
static void
ring_at_commit(void)
{
	if (rings->notices != NIL && queue_has_room(queue_pages(rings->notices)))
		send_notices();
	else if (chat_notify != CHAT_NOTIFY_OFF)
		wake_sleepers();
}

/*
 * A prepared transaction neither rings nor takes the lock: NOTIFY cannot be prepared, and a lock would stay until
 * COMMIT PREPARED. The sidecar's slow poll finds its events.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	if (rings == NULL)
		return;
	if (event == XACT_EVENT_PRE_COMMIT)
		ring_at_commit();
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		rings = NULL;
}

/* Keeps the levels: a commit hands them to the parent, an abort forgets them. */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	if (rings == NULL || rings->level < level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		rings = rings->outer;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		if (rings->outer != NULL && rings->outer->level == level - 1)
		{
			rings->outer->notices = list_concat(rings->outer->notices, rings->notices);
			rings = rings->outer;
		}
		else
			rings->level = level - 1;
	}
}

/* Registers the callbacks, once per backend. */
void
chat_doorbell_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
}
