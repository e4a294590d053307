/*
 * The flush at the end of a statement; see flush.h.
 *
 * Rule R1: unread_count is kept by adding what changed. Rule R2: the newest message by (time, created_at, id) gives
 * last_message_at and the preview. The usual case, one newer message, is one UPDATE that checks the time itself;
 * everything else (equal times, deletions, edits) locks the conversation and looks the newest message up.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "emit.h"
#include "flush.h"
#include "payload.h"
#include "pending.h"
#include "plans.h"

/* Reads the message that becomes the newest, for its preview. */
static char *
preview_of_row(ChatFlush *flush, const ChatConversation *conversation)
{
	const ChatPending *row = &flush->rows[conversation->candidate];
	TupleTableSlot *slot = chat_reader_fetch(&flush->reader, conversation->attachment, row->relid,
											 row->tid, true);
	ChatLayout *layout = flush->reader.layout;
	ChatRole	roles[] = {CHAT_M_TYPE, CHAT_M_CONTENT, CHAT_M_FILENAME};
	char	   *texts[3];

	for (int i = 0; i < 3; i++)
		texts[i] = chat_reader_text(slot, layout, roles[i]);
	return chat_preview(texts[0], texts[1], texts[2]);
}

/* Takes the version of the conversation's row that an own statement returned. */
static void
take_row(ChatConversation *conversation)
{
	bool		isnull;

	conversation->found = true;
	conversation->relid = DatumGetObjectId(chat_plan_result(CHAT_COL_TABLEOID, &isnull));
	conversation->tid = *(ItemPointer) DatumGetPointer(chat_plan_result(CHAT_COL_CTID, &isnull));
	conversation->owner = chat_plan_text(CHAT_COL_OWNER);
}

/* The usual case: a newer message. False: not so, or no such conversation. */
static bool
settle_append(ChatFlush *flush, ChatConversation *conversation)
{
	ChatAttachment *attachment = conversation->attachment;
	Datum		values[4];

	values[0] = chat_key_to_datum(conversation->key, attachment->key_type);
	values[1] = Int64GetDatum(conversation->unread);
	values[2] = TimestampTzGetDatum(conversation->candidate_time);
	values[3] = CStringGetTextDatum(preview_of_row(flush, conversation));
	if (chat_plan_run(attachment, CHAT_PLAN_APPEND, values, NULL) == 0)
		return false;
	take_row(conversation);
	conversation->changed = true;
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* Counters and last message as they are, and as they have to be. */
typedef struct Counters
{
	int64		unread;
	bool		has_last;
	TimestampTz last_at;
	char	   *preview;
} Counters;

/* Locks the conversation and reads its counters; false: there is no such row (any more). */
static bool
lock_conversation(ChatConversation *conversation, Counters *counters)
{
	Datum		key = chat_key_to_datum(conversation->key, conversation->attachment->key_type);
	bool		isnull;
	Datum		value;

	if (chat_plan_run(conversation->attachment, CHAT_PLAN_LOCK, &key, NULL) == 0)
		return false;
	take_row(conversation);
	value = chat_plan_result(CHAT_COL_UNREAD, &isnull);
	counters->unread = isnull ? 0 : DatumGetInt64(value);
	value = chat_plan_result(CHAT_COL_LAST_AT, &isnull);
	counters->has_last = !isnull;
	counters->last_at = isnull ? 0 : DatumGetTimestampTz(value);
	counters->preview = chat_plan_text(CHAT_COL_PREVIEW);
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* Looks the newest message up. */
static void
find_newest(ChatConversation *conversation, Counters *counters)
{
	Datum		key = chat_key_to_datum(conversation->key, conversation->attachment->key_type);
	bool		isnull;

	counters->has_last = chat_plan_run(conversation->attachment, CHAT_PLAN_NEWEST, &key, NULL) > 0;
	counters->last_at = 0;
	counters->preview = NULL;
	if (counters->has_last)
	{
		counters->last_at = DatumGetTimestampTz(chat_plan_result(CHAT_COL_TIME, &isnull));
		counters->preview = chat_preview(chat_plan_text(CHAT_COL_TYPE),
										 chat_plan_text(CHAT_COL_CONTENT),
										 chat_plan_text(CHAT_COL_FILENAME));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Counts the unread messages. */
static int64
count_unread(ChatConversation *conversation)
{
	Datum		key = chat_key_to_datum(conversation->key, conversation->attachment->key_type);
	bool		isnull;
	int64		count;

	(void) chat_plan_run(conversation->attachment, CHAT_PLAN_UNREAD, &key, NULL);
	count = DatumGetInt64(chat_plan_result(1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* True when only a look-up tells which message is the newest now. */
static bool
newest_is_open(const ChatConversation *conversation, const Counters *current)
{
	TimestampTz last_at = current->last_at;

	if (conversation->recount || conversation->attachment->column[CHAT_C_LAST_AT] == NULL)
		return true;
	if (conversation->recheck && (!current->has_last || conversation->recheck_time >= last_at))
		return true;
	if (conversation->candidate < 0 || (current->has_last && conversation->candidate_time < last_at))
		return false;
	return conversation->tie || (current->has_last && conversation->candidate_time == last_at);
}

static bool
counters_equal(const Counters *a, const Counters *b)
{
	bool		same_preview = a->preview == NULL || b->preview == NULL ?
		a->preview == b->preview : strcmp(a->preview, b->preview) == 0;

	return a->unread == b->unread && a->has_last == b->has_last && a->last_at == b->last_at &&
		same_preview;
}

/* Writes counters and last message. */
static void
write_counters(ChatConversation *conversation, const Counters *counters)
{
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};

	values[0] = chat_key_to_datum(conversation->key, conversation->attachment->key_type);
	values[1] = Int64GetDatum(counters->unread);
	values[2] = TimestampTzGetDatum(counters->last_at);
	values[3] = counters->preview ? CStringGetTextDatum(counters->preview) : (Datum) 0;
	if (!counters->has_last)
		nulls[2] = 'n';
	if (counters->preview == NULL)
		nulls[3] = 'n';
	if (chat_plan_run(conversation->attachment, CHAT_PLAN_SET, values, nulls) > 0)
		take_row(conversation);
	SPI_freetuptable(SPI_tuptable);
	conversation->changed = true;
}

/* What the table can hold: columns that it lacks stay as they were read. */
static void
drop_missing_columns(const ChatAttachment *attachment, const Counters *current, Counters *wanted)
{
	if (attachment->column[CHAT_C_UNREAD] == NULL)
		wanted->unread = current->unread;
	if (attachment->column[CHAT_C_LAST_AT] == NULL)
	{
		wanted->has_last = current->has_last;
		wanted->last_at = current->last_at;
	}
	if (attachment->column[CHAT_C_PREVIEW] == NULL)
		wanted->preview = current->preview;
}

/* Every other case: lock, work out, write if something differs. */
static void
settle_exactly(ChatFlush *flush, ChatConversation *conversation)
{
	Counters	current;
	Counters	wanted;

	if (!lock_conversation(conversation, &current))
	{
		conversation->owner = chat_pending_deleted_owner(conversation->attachment->id,
														 conversation->key);
		return;
	}
	wanted = current;
	wanted.unread = conversation->recount ? count_unread(conversation) :
		Max(current.unread + conversation->unread, 0);
	if (newest_is_open(conversation, &current))
		find_newest(conversation, &wanted);
	else if (conversation->candidate >= 0 &&
			 (!current.has_last || conversation->candidate_time > current.last_at))
	{
		wanted.has_last = true;
		wanted.last_at = conversation->candidate_time;
		wanted.preview = preview_of_row(flush, conversation);
	}
	drop_missing_columns(conversation->attachment, &current, &wanted);
	if (!counters_equal(&current, &wanted))
		write_counters(conversation, &wanted);
}

static void
settle(ChatFlush *flush, ChatConversation *conversation)
{
	bool		append = conversation->candidate >= 0 && !conversation->tie &&
		!conversation->recheck && !conversation->recount &&
		conversation->attachment->column[CHAT_C_LAST_AT] != NULL;

	if (!conversation->has_messages)
		return;					/* its own statement has locked it */
	if (!append || !settle_append(flush, conversation))
		settle_exactly(flush, conversation);
}

/* Adds one pending row to its conversation's sum. */
static void
add_row(ChatConversation *conversation, const ChatPending *row, int index)
{
	conversation->unread += row->unread;
	if (row->flags & (CHAT_MESSAGE_EVENTS | CHAT_RECOUNT | CHAT_IS_CANDIDATE | CHAT_WAS_NEWEST) ||
		row->unread != 0)
		conversation->has_messages = true;
	if (row->flags & CHAT_RECOUNT)
		conversation->recount = true;
	if (row->flags & CHAT_WAS_NEWEST)
	{
		conversation->recheck_time = conversation->recheck ?
			Max(conversation->recheck_time, row->time) : row->time;
		conversation->recheck = true;
	}
	if (row->flags & CHAT_IS_CANDIDATE)
	{
		if (conversation->candidate < 0 || row->time > conversation->candidate_time)
		{
			conversation->candidate = index;
			conversation->candidate_time = row->time;
			conversation->tie = false;
		}
		else if (row->time == conversation->candidate_time)
			conversation->tie = true;
	}
}

/* Sorts by attachment and conversation, keeping the order of arrival. */
static int
compare_rows(const void *a, const void *b, void *arg)
{
	const ChatPending *rows = arg;
	int			first = *(const int *) a;
	int			second = *(const int *) b;
	int			order;

	if (rows[first].attachment != rows[second].attachment)
		return rows[first].attachment < rows[second].attachment ? -1 : 1;
	order = chat_key_compare(&rows[first].conversation, &rows[second].conversation);
	return order != 0 ? order : (first < second ? -1 : 1);
}

/* Sums the rows up per conversation; conversations come out in id order. */
static void
group_rows(ChatFlush *flush)
{
	int		   *order = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * (Size) flush->nrows);
	ChatConversation *conversation = NULL;

	flush->conversation_of = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * (Size) flush->nrows);
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
		}
		add_row(conversation, row, order[i]);
		flush->conversation_of[order[i]] = flush->nconversations - 1;
	}
}

int
chat_flush_pending(void)
{
	ChatFlush	flush = {0};
	int			changed = 0;

	SPI_connect();
	flush.reader.context = CurrentMemoryContext;
	flush.rows = chat_pending_take(&flush.nrows);
	if (flush.nrows > 0)
	{
		group_rows(&flush);
		for (int i = 0; i < flush.nconversations; i++)
			settle(&flush, &flush.conversations[i]);
		changed = chat_emit_flush(&flush);
		chat_reader_close(&flush.reader);
	}
	SPI_finish();
	return changed;
}
