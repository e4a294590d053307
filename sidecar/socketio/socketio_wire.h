/*
 * The protocol of @socket.io/postgres-adapter, as far as a program speaks it that is no server: broadcasts, and the question
 * who of a room is there, which every server answers. With the name "emitter" servers do not count it among themselves. No I/O.
 */
#ifndef SIDECAR_SOCKETIO_WIRE_H
#define SIDECAR_SOCKETIO_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "consumer/log_answer.h"

#define WIRE_NOTIFY_MAX 7999 /* bytes of a NOTIFY, of PostgreSQL's own making */

/* A broadcast of a packet to a namespace, whose name needs no escaping. */
void wire_broadcast(struct buffer *out, const char *namespace, const struct log_event *event);
/* How long it is. */
size_t wire_broadcast_length(const char *namespace, const struct log_event *event);
/* Asks the servers of a namespace for the members of a room that has none. Their answers have its number. */
void wire_ask(struct buffer *out, const char *namespace, const char *token, uint64_t number);

enum wire_kind
{
	WIRE_OTHER,  /* whatever a server says */
	WIRE_ANSWER, /* to a question with the token */
	WIRE_LEAVES  /* it ends */
};

#define WIRE_UID_SIZE 64

struct wire_heard
{
	char uid[WIRE_UID_SIZE];
	enum wire_kind kind;
	uint64_t number; /* of the question */
};

/* What a server said. False: it was no server. */
bool wire_read(const char *payload, const char *token, struct wire_heard *heard);

#endif
