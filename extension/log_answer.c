/*
 * See log_answer.h.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/timestamp.h"

#include "log_answer.h"

#define ANSWER_VERSION 1

/* Where these lengths stand in an event. */
#define TOPIC_LENGTH_AT 36
#define NAME_LENGTH_AT 40

#define PIECE_BYTES 32768

/* Pieces are datums one behind the other: each begins with its length word, at a place where one may. */
static void
begin_piece(ChatLogAnswer *answer)
{
	int start = INTALIGN(answer->out->len);

	enlargeStringInfo(answer->out, start - answer->out->len + VARHDRSZ);
	memset(answer->out->data + answer->out->len, 0, start - answer->out->len + VARHDRSZ);
	answer->out->len = start + VARHDRSZ;
	answer->piece = start;
}

void
chat_answer_end(ChatLogAnswer *answer)
{
	SET_VARSIZE(answer->out->data + answer->piece, answer->out->len - answer->piece);
}

void
chat_answer_begin(ChatLogAnswer *answer)
{
	answer->count = 0;
	resetStringInfo(answer->out);
	begin_piece(answer);
}

static int64
unix_microseconds(TimestampTz time)
{
	return time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

static void
put_header(const ChatLogAnswer *answer, StringInfo header, uint8 flags,
		   const ChatLogPosition *after)
{
	const char *target = after->target != NULL ? after->target : "";

	pq_sendint8(header, ANSWER_VERSION);
	pq_sendint8(header, flags);
	pq_sendint16(header, 0);
	pq_sendint32(header, answer->count);
	pq_sendint64(header, after->last_id);
	pq_sendint64(header, after->late_id);
	pq_sendint64(header, unix_microseconds(GetCurrentTimestamp()));
	pq_sendint32(header, strlen(after->snapshot));
	pq_sendint32(header, strlen(target));
	appendStringInfoString(header, after->snapshot);
	appendStringInfoString(header, target);
}

/* The header is known last and comes first: the first piece is made anew with it. */
bytea *
chat_answer_first(const ChatLogAnswer *answer, uint8 flags, const ChatLogPosition *after)
{
	StringInfoData piece;
	bytea *events = (bytea *) answer->out->data;

	initStringInfo(&piece);
	appendStringInfoSpaces(&piece, VARHDRSZ);
	put_header(answer, &piece, flags, after);
	appendBinaryStringInfo(&piece, VARDATA(events), VARSIZE(events) - VARHDRSZ);
	SET_VARSIZE(piece.data, piece.len);
	return (bytea *) piece.data;
}

/* --- events --------------------------------------------------------------------------------------- */

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
set_number(StringInfo out, int at, uint32 number)
{
	uint32 wire = pg_hton32(number);

	memcpy(out->data + at, &wire, sizeof(wire));
}

int
chat_answer_begin_event(ChatLogAnswer *answer, const ChatLogRow *row, int64 id, uint32 flags,
						const struct varlena *payload)
{
	StringInfo out = answer->out;
	const struct varlena *conversation = chat_log_text(row, row->columns->conversation);
	int start;

	if (out->len - answer->piece >= PIECE_BYTES)
	{
		chat_answer_end(answer);
		begin_piece(answer);
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
		appendBinaryStringInfo(out, VARDATA_ANY(conversation), VARSIZE_ANY_EXHDR(conversation));
	return start;
}

void
chat_answer_end_event(ChatLogAnswer *answer, int start, int topic_length, int name_length)
{
	set_number(answer->out, start, answer->out->len - start - sizeof(uint32));
	set_number(answer->out, start + TOPIC_LENGTH_AT, topic_length);
	set_number(answer->out, start + NAME_LENGTH_AT, name_length);
	answer->count++;
}
