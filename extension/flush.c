/*
 * The flush at the end of a statement; see flush.h.
 *
 * Rule R1: unread_count is kept by adding what changed. Rule R2: the newest message by (time, created_at, id) gives
 * last_message_at and the preview. A message whose time is later than the last one's is the newest; where times are
 * equal, and after deletions and edits, the newest is looked up. Rule R7: what the contact writes opens a closed conversation.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#include "emit.h"
#include "flush.h"
#include "list_key.h"
#include "merged.h"
#include "plans.h"
#include "preview.h"
#include "row.h"
#include "settings.h"

/* Age up to which a message is news. */
#define OPENS_FOR (INT64CONST(3600) * USECS_PER_SEC)

/* Reads the message that becomes the newest, for its preview. */
static char *
preview_of_row(ChatFlush *flush, const ChatConversation *conversation)
{
	const ChatPending *row = &flush->rows[conversation->candidate];
	TupleTableSlot *slot =
		chat_reader_fetch(&flush->messages, conversation->attachment, row->relid, row->tid, true);
	ChatLayout *layout = flush->messages.layout;
	ChatRole roles[] = {CHAT_M_TYPE, CHAT_M_CONTENT, CHAT_M_FILENAME};
	char *texts[3];

	for (int i = 0; i < 3; i++)
		texts[i] = chat_row_text(slot, layout, roles[i]);
	return chat_preview(chat_preview_labels(&conversation->attachment->settings), texts[0],
						texts[1], texts[2]);
}

/* Looks the newest message up. */
static void
find_newest(ChatConversation *conversation, ChatCounters *counters)
{
	Datum key = chat_key_to_datum(conversation->key, conversation->attachment->key_type);
	bool isnull;

	counters->has_last = chat_plan_run(conversation->attachment, CHAT_PLAN_NEWEST, &key, NULL) > 0;
	counters->last_at = 0;
	counters->preview = NULL;
	if (counters->has_last)
	{
		counters->last_at = DatumGetTimestampTz(chat_plan_result(CHAT_COL_TIME, &isnull));
		counters->preview = chat_preview(
			chat_preview_labels(&conversation->attachment->settings), chat_plan_text(CHAT_COL_TYPE),
			chat_plan_text(CHAT_COL_CONTENT), chat_plan_text(CHAT_COL_FILENAME));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Counts the unread messages. */
static int64
count_unread(ChatConversation *conversation)
{
	Datum key = chat_key_to_datum(conversation->key, conversation->attachment->key_type);
	bool isnull;
	int64 count;

	(void) chat_plan_run(conversation->attachment, CHAT_PLAN_UNREAD, &key, NULL);
	count = DatumGetInt64(chat_plan_result(1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* By how much the column's time may differ from the message's, for the digits that it does not keep, in microseconds. */
static uint64
blur_of(const ChatLayout *layout)
{
	uint64 blur = 1;

	if (layout->typmod[CHAT_C_LAST_AT] < 0 ||
		layout->typmod[CHAT_C_LAST_AT] >= MAX_TIMESTAMP_PRECISION)
		return 0;
	for (int digits = layout->typmod[CHAT_C_LAST_AT]; digits < MAX_TIMESTAMP_PRECISION; digits++)
		blur *= 10;
	return blur;
}

/* -1: a message's time is before the one that is stored, 1: after it, 0: that is not known, or they are equal. */
static int
compare_times(TimestampTz time, TimestampTz stored, uint64 blur)
{
	uint64 distance =
		time < stored ? (uint64) stored - (uint64) time : (uint64) time - (uint64) stored;

	if (distance <= blur)
		return 0;
	return time < stored ? -1 : 1;
}

/* True when only a look-up tells which message is the newest now. */
static bool
newest_is_open(const ChatConversation *conversation, const ChatLayout *layout,
			   const ChatCounters *current)
{
	TimestampTz last_at = current->last_at;
	uint64 blur = blur_of(layout);

	if (conversation->recount || layout->att[CHAT_C_LAST_AT] == 0 ||
		layout->not_null[CHAT_C_LAST_AT])
		return true; /* what is stored may be of no message */
	if (conversation->recheck &&
		(!current->has_last || compare_times(conversation->recheck_time, last_at, blur) >= 0))
		return true;
	if (conversation->candidate < 0 ||
		(current->has_last && compare_times(conversation->candidate_time, last_at, blur) < 0))
		return false;
	return conversation->tie ||
		   (current->has_last && compare_times(conversation->candidate_time, last_at, blur) == 0);
}

static bool
counters_equal(const ChatCounters *a, const ChatCounters *b)
{
	bool same_preview = a->preview == NULL || b->preview == NULL
							? a->preview == b->preview
							: strcmp(a->preview, b->preview) == 0;

	return a->unread == b->unread && a->has_last == b->has_last && a->last_at == b->last_at &&
		   same_preview;
}

/*
 * What the table can hold: columns that it lacks stay as they were read, and so does a time where it wants one and there is no
 * message; no text of a message that is gone stays. A preview is cut to the column's length, a time to its digits.
 */
static void
keep_what_must_stay(const ChatLayout *layout, const ChatCounters *current, ChatCounters *wanted)
{
	if (layout->not_null[CHAT_C_LAST_AT] && !wanted->has_last)
	{
		wanted->has_last = current->has_last;
		wanted->last_at = current->last_at;
	}
	if (layout->not_null[CHAT_C_PREVIEW] && wanted->preview == NULL)
		wanted->preview = pstrdup("");
	if (layout->att[CHAT_C_UNREAD] == 0)
		wanted->unread = current->unread;
	if (layout->att[CHAT_C_LAST_AT] == 0)
	{
		wanted->has_last = current->has_last;
		wanted->last_at = current->last_at;
	}
	else if (wanted->has_last)
		wanted->last_at = chat_time_held(layout, CHAT_C_LAST_AT, wanted->last_at);
	if (layout->att[CHAT_C_PREVIEW] == 0)
		wanted->preview = current->preview;
	if (wanted->preview != NULL && layout->preview_chars >= 0)
		wanted->preview[pg_mbcharcliplen(wanted->preview, strlen(wanted->preview),
										 layout->preview_chars)] = '\0';
}

/* The largest count that the column holds; more are counted as that many. */
static int64
most_unread(const ChatLayout *layout)
{
	Oid type = layout->type[CHAT_C_UNREAD];

	return type == INT2OID ? PG_INT16_MAX : type == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;
}

/* From a count that was cut nothing can be taken away: it is made anew. */
static int64
unread_after(ChatFlush *flush, ChatConversation *conversation, int64 current)
{
	int64 most = most_unread(flush->table.layout);
	bool unknown = conversation->unread < 0 && current >= most;
	int64 count = conversation->recount || unknown ? count_unread(conversation)
												   : Max(current + conversation->unread, 0);

	return Min(count, most);
}

/* What counters and last message have to be, after the rows of this flush. */
static void
work_out(ChatFlush *flush, ChatConversation *conversation, const ChatCounters *current,
		 ChatCounters *wanted)
{
	*wanted = *current;
	wanted->unread = unread_after(flush, conversation, current->unread);
	if (newest_is_open(conversation, flush->table.layout, current))
		find_newest(conversation, wanted);
	else if (conversation->candidate >= 0 &&
			 (!current->has_last || conversation->candidate_time > current->last_at))
	{
		wanted->has_last = true;
		wanted->last_at = conversation->candidate_time;
		wanted->preview = preview_of_row(flush, conversation);
	}
	conversation->opens =
		conversation->opens && wanted->has_last && wanted->last_at == conversation->candidate_time;
	keep_what_must_stay(flush->table.layout, current, wanted);
}

/*
 * Rule R7: whether the locked conversation has to be opened, by a new message of the contact that is the last one and not older
 * than this. A status that this transaction has written stays, and one that was merged into another is never opened.
 */
static bool
must_open(const ChatTable *table, const ChatConversation *conversation)
{
	const ChatAttachment *attachment = conversation->attachment;

	return conversation->opens && chat_reopening && !chat_import &&
		   table->layout->att[CHAT_C_STATUS] != 0 &&
		   conversation->candidate_time >= GetCurrentTimestamp() - OPENS_FOR &&
		   chat_reopens(&attachment->settings,
						chat_row_text(table->slot, table->layout, CHAT_C_STATUS)) &&
		   !chat_pending_is_status_written(attachment->id, conversation->key) &&
		   !chat_is_merged(attachment, conversation->key);
}

/* Opens it by an UPDATE, as anybody would; false when it is gone. */
static bool
open_again(ChatTable *table, const ChatConversation *conversation)
{
	Datum key = chat_key_to_datum(conversation->key, conversation->attachment->key_type);

	(void) chat_plan_run(conversation->attachment, CHAT_PLAN_OPEN, &key, NULL);
	SPI_freetuptable(SPI_tuptable);
	return chat_conversation_lock(table, conversation->attachment, conversation->key);
}

/* Locks a conversation, brings its counters up to date, and notes whom to tell. */
static void
settle(ChatFlush *flush, ChatConversation *conversation)
{
	ChatCounters current;
	ChatCounters wanted;
	ChatTable *table = &flush->table;

	if (!conversation->has_messages)
		return; /* its own statement has locked it */
	if (!chat_conversation_lock(table, conversation->attachment, conversation->key))
	{
		conversation->owner =
			chat_pending_deleted_owner(conversation->attachment->id, conversation->key);
		if (conversation->owner == NULL)
			chat_pending_awaited(conversation->attachment->id, conversation->key);
		return;
	}
	chat_conversation_counters(table, &current);
	work_out(flush, conversation, &current, &wanted);
	if (must_open(table, conversation) && !open_again(table, conversation))
		return;
	if (!counters_equal(&current, &wanted))
	{
		chat_conversation_write(table, conversation->key, &wanted);
		conversation->changed = true;
	}
	else if (!chat_list_key_fits(table, &wanted))
	{
		chat_conversation_write(table, conversation->key, &wanted);
		flush->keyed++;
	}
	conversation->tid = table->latest->tts_tid;
	conversation->owner = chat_emit_owner(conversation->attachment, table->layout, table->latest);
	if (conversation->changed)
		conversation->agent =
			chat_emit_agent(conversation->attachment, table->layout, table->latest);
}

/* Adds one pending row to its conversation's sum. */
static void
add_row(ChatConversation *conversation, const ChatPending *row, int index)
{
	conversation->unread += row->unread;
	if (row->flags & (CHAT_MESSAGE_EVENTS | CHAT_RECOUNT | CHAT_IS_CANDIDATE | CHAT_WAS_NEWEST) ||
		row->unread != 0)
		conversation->has_messages = true;
	if (row->flags & CHAT_MESSAGE_EVENTS)
		conversation->carrier = index;
	else if (row->flags & CHAT_CONVERSATION_EVENTS)
		conversation->carrier = -1; /* what it tells comes first */
	if (row->flags & CHAT_RECOUNT)
		conversation->recount = true;
	if (row->flags & CHAT_WAS_NEWEST)
	{
		conversation->recheck_time =
			conversation->recheck ? Max(conversation->recheck_time, row->time) : row->time;
		conversation->recheck = true;
	}
	if (row->flags & CHAT_IS_CANDIDATE)
	{
		if (conversation->candidate < 0 || row->time > conversation->candidate_time)
		{
			conversation->candidate = index;
			conversation->candidate_time = row->time;
			conversation->opens = row->flags & CHAT_OPENS;
			conversation->tie = false;
		}
		else if (row->time == conversation->candidate_time)
		{
			conversation->opens = row->flags & CHAT_OPENS; /* ids grow as rows come */
			conversation->tie = true;
		}
	}
}

/* Sorts by attachment and conversation, keeping the order of arrival. */
static int
compare_rows(const void *a, const void *b, void *arg)
{
	const ChatPending *rows = arg;
	int first = *(const int *) a;
	int second = *(const int *) b;
	int order;

	if (rows[first].attachment != rows[second].attachment)
		return rows[first].attachment < rows[second].attachment ? -1 : 1;
	order = chat_key_compare(&rows[first].conversation, &rows[second].conversation);
	return order != 0 ? order : (first < second ? -1 : 1);
}

/* Sums the rows up per conversation; conversations come out in id order. */
static void
group_rows(ChatFlush *flush)
{
	int *order = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * (Size) flush->nrows);
	ChatConversation *conversation = NULL;

	flush->conversation_of =
		MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * (Size) flush->nrows);
	for (int i = 0; i < flush->nrows; i++)
		order[i] = i;
	if (flush->nrows > 1)
		qsort_arg(order, flush->nrows, sizeof(int), compare_rows, flush->rows);
	flush->conversations = MemoryContextAllocHuge(CurrentMemoryContext,
												  sizeof(ChatConversation) * (Size) flush->nrows);
	for (int i = 0; i < flush->nrows; i++)
	{
		const ChatPending *row = &flush->rows[order[i]];

		if (conversation == NULL || conversation->attachment->id != row->attachment ||
			chat_key_compare(&conversation->key, &row->conversation) != 0)
		{
			conversation = &flush->conversations[flush->nconversations++];
			memset(conversation, 0, sizeof(*conversation));
			conversation->attachment = chat_attachment_get(row->attachment);
			conversation->key = row->conversation;
			conversation->candidate = -1;
			conversation->carrier = -1;
		}
		add_row(conversation, row, order[i]);
		flush->conversation_of[order[i]] = flush->nconversations - 1;
	}
}

int
chat_flush_pending(void)
{
	ChatFlush flush = {0};
	int changed = 0;

	SPI_connect();
	flush.messages.context = CurrentMemoryContext;
	flush.conversation_rows.context = CurrentMemoryContext;
	flush.table.context = CurrentMemoryContext;
	flush.rows = chat_pending_take(&flush.nrows);
	if (flush.nrows > 0)
	{
		group_rows(&flush);
		for (int i = 0; i < flush.nconversations; i++)
			settle(&flush, &flush.conversations[i]);
		changed = chat_emit_flush(&flush) + flush.keyed;
		chat_reader_close(&flush.messages);
		chat_reader_close(&flush.conversation_rows);
		chat_conversation_close(&flush.table);
	}
	SPI_finish();
	return changed;
}
