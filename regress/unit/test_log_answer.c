/*
 * Answers of chat.read_log: as they are, cut off at every byte, and with every number in them changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/base/buffer.h"
#include "../../sidecar/consumer/log_answer.h"
#include "require.h"

static void
put_number(struct buffer *out, uint64_t number, int size)
{
	while (size-- > 0)
	{
		char byte = (char) (number >> (8 * size));

		buffer_bytes(out, &byte, 1);
	}
}

static void
put_header(struct buffer *out, uint32_t events, const char *snapshot, const char *target)
{
	put_number(out, 1, 1);
	put_number(out, 2, 1);
	put_number(out, 0, 2);
	put_number(out, events, 4);
	put_number(out, 77, 8);
	put_number(out, 66, 8);
	put_number(out, 1700000000000000, 8);
	put_number(out, strlen(snapshot), 4);
	put_number(out, strlen(target), 4);
	buffer_text(out, snapshot);
	buffer_text(out, target);
}

static void
put_event(struct buffer *out, int64_t id, const char *conversation, const char *topic,
		  const char *name, const char *payload)
{
	struct buffer message = {0};

	buffer_text(&message, "{\"topic\":\"");
	buffer_text(&message, topic);
	buffer_text(&message, "\",\"event\":\"");
	buffer_text(&message, name);
	buffer_text(&message, "\",\"payload\":");
	buffer_text(&message, payload);
	buffer_text(&message, ",\"private\":true,\"id\":\"1\"}");
	put_number(out, 44 + strlen(conversation) + message.len, 4);
	put_number(out, (uint64_t) id, 8);
	put_number(out, 5, 8);
	put_number(out, 6, 8);
	put_number(out, id == 71 ? 4 : 1, 4);
	put_number(out, strlen(conversation), 4);
	put_number(out, strlen(topic), 4);
	put_number(out, strlen(name), 4);
	put_number(out, strlen(payload), 4);
	buffer_text(out, conversation);
	buffer_bytes(out, message.data, message.len);
	buffer_free(&message);
}

/* The pieces of an answer as rows. Each is a copy, so that a checker of memory sees what is read beyond it. */
static PGresult *
rows_of(const struct buffer *pieces, int count)
{
	PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc column = {.name = (char *) "piece", .format = 1};

	if (!PQsetResultAttrs(rows, 1, &column))
		abort();
	for (int i = 0; i < count; i++)
	{
		if (!PQsetvalue(rows, i, 0, pieces[i].data, (int) pieces[i].len))
			abort();
	}
	return rows;
}

static const char *
refusal_of(enum log_form form, const struct buffer *pieces, int count)
{
	PGresult *rows = rows_of(pieces, count);
	struct log_answer answer;
	const char *why = NULL;

	if (log_answer_read(&answer, form, rows, &why))
		log_answer_clear(&answer);
	PQclear(rows);
	return why;
}

static const char *
refusal(const struct buffer *pieces, int count)
{
	return refusal_of(LOG_BROADCASTS, pieces, count);
}

/* Three events in two pieces. */
static void
make_pieces(struct buffer *pieces)
{
	memset(pieces, 0, 2 * sizeof(*pieces));
	put_header(&pieces[0], 3, "10:20:15", "12:22:");
	put_event(&pieces[0], 70, "c1", "conversation:1", "message.new", "{\"a\":1}");
	put_event(&pieces[0], 71, "", "t", "e", "{}");
	put_event(&pieces[1], 72, "c\"2", "user:\\\"x", "e", "{}");
}

static void
free_pieces(struct buffer *pieces)
{
	buffer_free(&pieces[0]);
	buffer_free(&pieces[1]);
}

static bool
has(const char *bytes, uint32_t length, const char *text)
{
	return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

static void
check_whole(void)
{
	struct buffer pieces[2];
	struct log_answer answer;
	const char *why;
	PGresult *rows;

	make_pieces(pieces);
	rows = rows_of(pieces, 2);
	require("an answer", log_answer_read(&answer, LOG_BROADCASTS, rows, &why));
	require("its header", !answer.armed && answer.more && answer.last_id == 77 &&
							  answer.late_id == 66 && answer.now == 1700000000000000 &&
							  strcmp(answer.snapshot, "10:20:15") == 0 &&
							  strcmp(answer.target, "12:22:") == 0 && answer.nevents == 3);
	require(
		"an event",
		answer.events[0].id == 70 && answer.events[0].created_at == 5 &&
			answer.events[0].expires_at == 6 && answer.events[0].state &&
			has(answer.events[0].conversation, answer.events[0].conversation_length, "c1") &&
			has(log_event_topic(&answer.events[0]), answer.events[0].topic_length,
				"conversation:1") &&
			has(log_event_id(&answer.events[0]), answer.events[0].id_length, "1") &&
			answer.events[0].is_private &&
			has(log_event_name(&answer.events[0]), answer.events[0].name_length, "message.new") &&
			answer.events[0].payload_length == strlen("{\"a\":1}") &&
			answer.events[0].message[0] == '{' &&
			answer.events[0].message[answer.events[0].message_length - 1] == '}');
	require("a state is no change of rights", !answer.events[0].rights);
	require("nor the other way round", answer.events[1].rights && !answer.events[1].state);
	require("one of the next piece",
			answer.events[2].id == 72 && has(log_event_topic(&answer.events[2]),
											 answer.events[2].topic_length, "user:\\\"x"));
	log_answer_clear(&answer);
	PQclear(rows);
	free_pieces(pieces);
}

static void
check_empty(void)
{
	struct buffer piece = {0};
	struct log_answer answer;
	const char *why;
	PGresult *rows;

	put_header(&piece, 0, "10:20:", "");
	piece.data[1] = 1;
	rows = rows_of(&piece, 1);
	require("an answer without events, and armed",
			log_answer_read(&answer, LOG_BROADCASTS, rows, &why) && answer.armed && !answer.more &&
				answer.nevents == 0 && answer.target == NULL);
	log_answer_clear(&answer);
	PQclear(rows);
	require("no piece at all", strcmp(refusal(&piece, 0), "read: no answer") == 0);
	piece.data[0] = 2;
	require("another version", strcmp(refusal(&piece, 1), "read: its version is another") == 0);
	buffer_free(&piece);
	put_header(&piece, 0, "", "");
	require("no snapshot", strcmp(refusal(&piece, 1), "read: its position has no snapshot") == 0);
	buffer_free(&piece);
}

static void
check_cut_off(void)
{
	struct buffer pieces[2];
	bool refused = true;

	make_pieces(pieces);
	for (int i = 0; i < 2; i++)
	{
		struct buffer whole = pieces[i];

		for (pieces[i].len = 0; pieces[i].len < whole.len; pieces[i].len++)
			refused = refused && refusal(pieces, 2) != NULL;
		pieces[i] = whole;
	}
	require("cut off at any byte it is none", refused && refusal(pieces, 2) == NULL);
	require("nor without its second piece",
			strcmp(refusal(pieces, 1), "read: events are missing") == 0);
	free_pieces(pieces);
}

static void
check_more(void)
{
	struct buffer pieces[2];

	make_pieces(pieces);
	put_event(&pieces[1], 73, "", "t", "e", "{}");
	require("an event more",
			strcmp(refusal(pieces, 2), "read: there are more events than it says") == 0);
	free_pieces(pieces);
	make_pieces(pieces);
	buffer_bytes(&pieces[1], "x", 1);
	require("a byte more", refusal(pieces, 2) != NULL);
	free_pieces(pieces);
}

/* Lengths that are wrong, however much: those of the header at 4, 32 and 36, those of the first event behind it. */
static void
check_lengths(void)
{
	static const size_t header[] = {4, 32, 36}, event[] = {0, 32, 36, 40, 44};
	static const uint32_t wrong[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xffffffd4};
	const size_t first = 40 + strlen("10:20:15") + strlen("12:22:");
	struct buffer pieces[2];
	bool refused = true;

	make_pieces(pieces);
	for (size_t i = 0; i < 8; i++)
	{
		char *at = pieces[0].data + (i < 3 ? header[i] : first + event[i - 3]);
		char right[4];

		memcpy(right, at, 4);
		for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
		{
			for (int byte = 0; byte < 4; byte++)
				at[byte] = (char) (wrong[n] >> (24 - 8 * byte));
			refused = refused && refusal(pieces, 2) != NULL;
		}
		memcpy(at, right, 4);
	}
	require("a wrong length", refused && refusal(pieces, 2) == NULL);
	free_pieces(pieces);
}

/* Whatever a byte is, nothing is read that is not there. */
static void
check_any_byte(void)
{
	struct buffer pieces[2];
	int taken = 0;

	make_pieces(pieces);
	for (int i = 0; i < 2; i++)
	{
		for (size_t at = 0; at < pieces[i].len; at++)
		{
			char right = pieces[i].data[at];

			for (int value = 0; value < 256; value += 5)
			{
				pieces[i].data[at] = (char) value;
				taken += refusal(pieces, 2) == NULL;
			}
			pieces[i].data[at] = right;
		}
	}
	require("any byte changed", taken > 0);
	free_pieces(pieces);
}

/* An event as webhooks get it; its body may be another than it should be. */
static void
put_webhook_event(struct buffer *out, const char *owner, const char *type, const char *body)
{
	put_number(out, 44 + strlen("c1") + strlen(owner) + strlen(body), 4);
	put_number(out, 70, 8);
	put_number(out, 5, 8);
	put_number(out, 0, 8);
	put_number(out, 0, 4);
	put_number(out, strlen("c1"), 4);
	put_number(out, strlen(owner), 4);
	put_number(out, strlen(type), 4);
	put_number(out, strlen("{\"a\":1}"), 4);
	buffer_text(out, "c1");
	buffer_text(out, owner);
	buffer_text(out, body);
}

static void
check_packets(void)
{
	static const char packet[] = "{\"packet\":{\"type\":2},\"opts\":{}}";
	struct buffer piece = {0};
	struct log_answer answer;
	size_t whole;
	bool refused = true;
	const char *why;
	PGresult *rows;

	put_header(&piece, 1, "10:20:", "");
	put_webhook_event(&piece, "user:1:inbox", "new_message", packet);
	rows = rows_of(&piece, 1);
	require("a packet", log_answer_read(&answer, LOG_PACKETS, rows, &why) && answer.nevents == 1);
	require("its parts",
			has(log_event_topic(answer.events), answer.events->topic_length, "user:1:inbox") &&
				has(answer.events->conversation, answer.events->conversation_length, "c1") &&
				has(answer.events->message, answer.events->message_length, packet));
	log_answer_clear(&answer);
	PQclear(rows);
	require("it is no broadcast, and no body",
			refusal(&piece, 1) != NULL && refusal_of(LOG_BODIES, &piece, 1) != NULL);
	whole = piece.len;
	for (piece.len = 0; piece.len < whole; piece.len++)
		refused = refused && refusal_of(LOG_PACKETS, &piece, 1) != NULL;
	require("a packet that is cut off at any byte", refused);
	buffer_free(&piece);
}

#define BODY(id, type, event, time, rest)                                                          \
	"{\"id\":\"" id "\",\"type\":\"" type "\",\"event\":\"" event "\",\"timestamp\":\"" time       \
	"\",\"data\":" rest
#define TIME "2026-01-31T12:34:56.789Z"

static void
check_bodies(void)
{
	static const char *const bad[] = {
		BODY("evt_70", "a.b", "a.c", TIME, "{\"a\":1}}"),
		BODY("", "a.b", "a.b", TIME, "{\"a\":1}}"),
		BODY("evt_\\n", "a.b", "a.b", TIME, "{\"a\":1}}"),
		BODY("evt_7000000000000000000000000000000000000000000000000000000000000000", "a.b", "a.b",
			 TIME, "{\"a\":1}}"),
		BODY("evt_70", "a.b", "a.b", "2026", "{\"a\":1}}"),
		BODY("evt_70", "a.b", "a.b", TIME, "{\"a\":1}"),
		BODY("evt_70", "a.b", "a.b", TIME, "{\"a\":1}}}"),
		BODY("evt_70", "a.bc", "a.bc", TIME, "{\"a\":1}}"),
		"{\"id\":\"evt_70",
		"",
	};
	struct buffer piece = {0};
	struct log_answer answer;
	const struct log_event *event;
	size_t whole;
	bool refused = true;
	const char *why;
	PGresult *rows;

	put_header(&piece, 1, "10:20:", "");
	put_webhook_event(&piece, "owner", "a.b",
					  BODY("evt_70_closed", "a.b", "a.b", TIME, "{\"a\":1}}"));
	rows = rows_of(&piece, 1);
	require("a body", log_answer_read(&answer, LOG_BODIES, rows, &why) && answer.nevents == 1);
	event = answer.events;
	require("its parts", has(event->owner, event->owner_length, "owner") &&
							 has(event->conversation, event->conversation_length, "c1") &&
							 has(log_body_id(event), event->id_length, "evt_70_closed") &&
							 has(log_body_type(event), event->name_length, "a.b") &&
							 has(log_body_time(event), LOG_TIME_LENGTH, TIME));
	log_answer_clear(&answer);
	PQclear(rows);
	require("it is no broadcast", refusal(&piece, 1) != NULL);
	whole = piece.len;
	for (piece.len = 0; piece.len < whole; piece.len++)
		refused = refused && refusal_of(LOG_BODIES, &piece, 1) != NULL;
	require("a body that is cut off at any byte", refused);
	buffer_free(&piece);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		put_header(&piece, 1, "10:20:", "");
		put_webhook_event(&piece, "", "a.b", bad[i]);
		refused = refused && refusal_of(LOG_BODIES, &piece, 1) != NULL;
		buffer_free(&piece);
	}
	require("bodies of another form", refused);
}

static void
check_stored_body(void)
{
	static const char body[] = BODY("evt_70", "a.b", "a.b", TIME, "{\"a\":1}}");
	static const char escaped[] = BODY("evt_\\n", "a.b", "a.b", TIME, "{}}");
	struct log_event event;
	bool refused = true;

	require("a body alone", log_body_read(&event, body, strlen(body), 3));
	require("its parts", has(event.message, event.message_length, body) &&
							 has(log_body_id(&event), event.id_length, "evt_70") &&
							 has(log_body_type(&event), event.name_length, "a.b") &&
							 has(log_body_time(&event), LOG_TIME_LENGTH, TIME) &&
							 event.payload_length == strlen("{\"a\":1}"));
	for (size_t len = 0; len < sizeof(body) - sizeof("{\"a\":1}"); len++)
		refused = refused && !log_body_read(&event, body, len, 3);
	require("cut off before its data", refused);
	require("with another type's length", !log_body_read(&event, body, strlen(body), 2) &&
											  !log_body_read(&event, body, strlen(body), 4) &&
											  !log_body_read(&event, body, strlen(body), SIZE_MAX));
	require("without its end", !log_body_read(&event, body, strlen(body) - 2, 3));
	require("an id that is escaped there is another one",
			!log_body_read(&event, escaped, strlen(escaped), 3));
}

int
main(void)
{
	check_bodies();
	check_stored_body();
	check_packets();
	check_whole();
	check_empty();
	check_cut_off();
	check_more();
	check_lengths();
	check_any_byte();
	return 0;
}
