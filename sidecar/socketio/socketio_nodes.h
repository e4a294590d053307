/*
 * The servers of a Socket.IO cluster, as they are heard on the adapter's channel. They are known by what they say; those that
 * are awaited have to answer for what was sent before it counts as delivered. No I/O; times are the loop's, ms.
 */
#ifndef SIDECAR_SOCKETIO_NODES_H
#define SIDECAR_SOCKETIO_NODES_H

#include <stdbool.h>
#include <stdint.h>

#define NODES_MOST 64 /* bits of a mask */
#define NODES_STRANGERS                                                                            \
	(NODES_MOST / 2) /* of them, for those that have not answered yet: anyone may send a NOTIFY */
#define NODES_FORGET_MS                                                                            \
	15000 /* silent for so long: its heartbeat comes every 5 s, and its like give it 10 s */
#define NODE_UID_SIZE 64

struct node
{
	char uid[NODE_UID_SIZE]; /* empty: this place is free */
	bool answered;           /* once at least */
	uint64_t heard_at;
};

struct nodes
{
	struct node list[NODES_MOST];
	uint64_t awaited; /* by their places */
	bool unasked;     /* one is new: it is awaited once it has answered a question */
};

/* One was heard, as it answered or spoke otherwise: its place. -1: there are too many, or it has no name. */
int nodes_hear(struct nodes *nodes, const char *uid, bool answers, uint64_t now);
/* It answered: it is awaited from now on. */
void nodes_answered(struct nodes *nodes, int place);
/* It has said that it ends. Answers which places are free again. */
uint64_t nodes_leave(struct nodes *nodes, const char *uid);
/* These do not answer: they are not awaited until they do. */
void nodes_give_up(struct nodes *nodes, uint64_t places);
/* Forgets those that are not heard any more. Answers which places are free again. */
uint64_t nodes_expire(struct nodes *nodes, uint64_t now);
/* All are heard now: what they said meanwhile could not be. */
void nodes_touch(struct nodes *nodes, uint64_t now);
/* How many are known, awaited or not. */
int nodes_count(const struct nodes *nodes);

#endif
