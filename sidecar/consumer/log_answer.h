/*
 * What chat.read_log answers, in the form that extension/log_answer.h describes. Every length is checked before what it
 * measures is looked at: an answer is taken as a whole or not at all. No I/O.
 */
#ifndef SIDECAR_LOG_ANSWER_H
#define SIDECAR_LOG_ANSWER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* What the messages of an answer are. */
enum log_form
{
	LOG_BROADCASTS, /* {"topic":"…","event":"…","payload":…,…}, ready to be sent to Realtime */
	LOG_BODIES, /* {"id":"evt_…","type":"…","event":"…","timestamp":"…","data":…}, of webhooks */
	LOG_PACKETS /* {"packet":…,"opts":…}, what a broadcast of Socket.IO's adapter has as data */
};

/* An event; it points into the answer, whose texts have lengths and no end. Times are microseconds since 1970. */
struct log_event
{
	int64_t id;
	int64_t created_at;
	int64_t expires_at; /* it is of no use after that; 0: never */
	bool state;         /* a later one of its topic and conversation replaces it */
	bool rights;        /* whoever has joined its conversation's topics is to be asked for again */
	bool is_private;    /* it goes to a private topic; not of bodies */
	const char *conversation;
	const char *owner; /* with bodies; its length is owner_length, 0: nobody knows */
	const char *topic; /* not with bodies; in the message, or with packets before it */
	const char *message;
	uint32_t conversation_length, owner_length, message_length;
	/* in the message; of a body name is its type; a packet has none of them but the topic's */
	uint32_t topic_length, id_length, name_length, payload_length;
};

struct log_answer
{
	bool armed; /* the doorbell is, and nothing was found */
	bool more;  /* there is more to read at once */
	int64_t now;
	/* the position behind it */
	int64_t last_id;
	char *snapshot;
	char *target; /* NULL unless late events are being told in portions */
	int64_t late_id;
	struct log_event *events;
	int nevents;
};

/*
 * Reads the rows of an answer of a form, whose one column is in binary form. The events point into them. False: it is none, why says
 * what is wrong (static), and the answer is empty.
 */
bool log_answer_read(struct log_answer *answer, enum log_form form, const PGresult *rows,
					 const char **why);
/* Frees what it holds. */
void log_answer_clear(struct log_answer *answer);

/* As in the message: escaped, without quotes; a packet's as it is. */
const char *log_event_topic(const struct log_event *event);
const char *log_event_name(const struct log_event *event);
/* Of a broadcast: JSON as it is, and digits. */
const char *log_event_payload(const struct log_event *event);
const char *log_event_id(const struct log_event *event);

#define LOG_TIME_LENGTH 24 /* 2026-01-31T12:34:56.789Z */

/* Makes an event of a body that came otherwise, whose type has so many bytes there. False: it is none. */
bool log_body_read(struct log_event *event, const char *body, size_t len, size_t type_length);
/* Of a body. */
const char *log_body_id(const struct log_event *event);
const char *log_body_type(const struct log_event *event);
const char *log_body_time(const struct log_event *event);

#endif
