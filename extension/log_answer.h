/*
 * The bytes that chat.read_log answers.
 *
 * An answer is bytea in pieces, of numbers in network byte order and texts without an end of their own:
 *
 *   header  version u8 (1), flags u8 (1 armed, 2 more), 0 u16, events u32, last_id i64, late_id i64, now i64,
 *           lengths of snapshot u32 and of target u32, snapshot, target
 *   event   length u32 of what follows, id i64, created_at i64, expires_at i64 (0: never), flags u32 (1: a state,
 *           2: closed its conversation, 4: whoever has joined the conversation's topics is to be asked for again), lengths of conversation u32 and, as the message has them, of topic u32, name u32
 *           and payload u32; conversation, message (log_forms.h)
 *
 * Times are microseconds since 1970. The first piece begins with the header. No event is split over pieces.
 */
#ifndef CHAT_LOG_ANSWER_H
#define CHAT_LOG_ANSWER_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "log_scan.h"

#define CHAT_ANSWER_ARMED 1
#define CHAT_ANSWER_MORE 2
#define CHAT_EVENT_STATE 1
#define CHAT_EVENT_CLOSED 2
#define CHAT_EVENT_RIGHTS 4

/* What a consumer has had: see log_reader.c. */
typedef struct ChatLogPosition
{
	int64 last_id;
	char *snapshot;
	char *target; /* NULL: no late events are being told */
	int64 late_id;
} ChatLogPosition;

typedef struct ChatPackets ChatPackets;

typedef struct ChatLogAnswer
{
	StringInfo out;
	int piece;            /* where the piece under way begins */
	uint32 count;         /* of events */
	ChatPackets *packets; /* of an answer for Socket.IO (log_packets.h) */
} ChatLogAnswer;

/* Begins anew: what is in its memory is overwritten. */
extern void chat_answer_begin(ChatLogAnswer *answer);
extern void chat_answer_end(ChatLogAnswer *answer);
/* The first piece as it is sent, with the header, whose flags these are; in the current memory context. */
extern bytea *
chat_answer_first(const ChatLogAnswer *answer, uint8 flags, const ChatLogPosition *after);

/* Begins an event, whose flags these are, up to its message, which the caller puts; answers where it begins. */
extern int chat_answer_begin_event(ChatLogAnswer *answer, const ChatLogRow *row, int64 id,
								   uint32 flags, const struct varlena *payload);
/* Ends the event that begins at start: how long topic and name are in its message. */
extern void
chat_answer_end_event(ChatLogAnswer *answer, int start, int topic_length, int name_length);

#endif
