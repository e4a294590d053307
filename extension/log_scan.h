/*
 * Rows of the event log behind a position, by index scans alone: no planner, whatever statistics say.
 *
 * A position is a pair: every event with an id up to last_id that is visible in its snapshot is done. What is not done is
 * late (last_id and below, written by a transaction that the snapshot did not see) or fresh (above last_id). A row of the
 * log is an event, or that of a message with the conversation's events that ride on it, whose ids follow its own.
 */
#ifndef CHAT_LOG_SCAN_H
#define CHAT_LOG_SCAN_H

#include "postgres.h"

#include "access/transam.h"
#include "executor/tuptable.h"
#include "utils/snapshot.h"

/* What a snapshot, as text, saw of other transactions. */
typedef struct ChatSeen
{
	uint64 xmax;
	uint64 *running; /* in order */
	int nrunning;
} ChatSeen;

/* In the current memory context. Error 22P02 for what is no snapshot. */
extern void chat_seen_read(ChatSeen *seen, const char *snapshot);
extern bool chat_seen_has(const ChatSeen *seen, uint64 xid);

/* Columns of a partition, found by name; 0: it has none such. */
typedef struct ChatLogColumns
{
	AttrNumber id, xid, created_at, expires_at, conversation, topic, event, payload;
	AttrNumber inbox, agent_inbox, conversation_payload, conversation_changes;
	AttrNumber owner, webhook, changes, rights;
} ChatLogColumns;

/* A row that is looked at; what it points to lives until the next one. */
typedef struct ChatLogRow
{
	int64 id;
	TupleTableSlot *slot; /* all of its columns are at hand */
	const ChatLogColumns *columns;
} ChatLogRow;

/* A text of a row; NULL: it has none, or there is no such column. */
extern struct varlena *chat_log_text(const ChatLogRow *row, AttrNumber column);

/* False: no more rows are wanted. */
typedef bool (*ChatLogVisit)(void *arg, const ChatLogRow *row);

/* Partitions of the log, in the order of their ids; in the current memory context. */
typedef struct ChatLogPartition
{
	Oid relid;
	int64 lower; /* first id */
	int64 upper; /* one past the last */
} ChatLogPartition;

typedef struct ChatLogPartitions
{
	int count;
	ChatLogPartition *items;
} ChatLogPartitions;

/* Events up to this id came with a restore: they count as committed, whatever their transactions' ids are. */
extern int64 chat_log_restored(Snapshot snapshot);
extern void chat_log_partitions(ChatLogPartitions *partitions);

/* Rows with ids above after, in their order. */
extern void chat_log_fresh(const ChatLogPartitions *partitions, int64 after, Snapshot snapshot,
						   ChatLogVisit visit, void *arg);

/* Where a late row is. */
typedef struct ChatLatePlace
{
	int64 id;
	ItemPointerData tid;
	uint16 partition;
} ChatLatePlace;

/*
 * Finds the rows that may have late events: ids from floor (exclusive) to last_id, written by transactions that seen did
 * not see and target did; target NULL: all that the snapshot sees. In id order, in the current memory context.
 */
extern ChatLatePlace *
chat_log_late(const ChatLogPartitions *partitions, int64 floor, int64 last_id, const ChatSeen *seen,
			  const ChatSeen *target, Snapshot snapshot, int64 *count);
/* Visits the rows at places from the first one on. A row that is gone was dropped with its partition. */
extern void chat_log_visit(const ChatLogPartitions *partitions, const ChatLatePlace *places,
						   int64 count, Snapshot snapshot, ChatLogVisit visit, void *arg);

#endif
