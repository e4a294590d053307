/*
 * What the files of the Socket.IO sink share: socketio.c holds its life, socketio_send.c what goes out and when,
 * socketio_hear.c what servers say, and what that means for what went out.
 */
#ifndef SIDECAR_SOCKETIO_INTERNAL_H
#define SIDECAR_SOCKETIO_INTERNAL_H

#include "app.h"
#include "consumer/consumer.h"
#include "socketio/socketio_batch.h"
#include "socketio/socketio_nodes.h"

#define SOCKETIO_TOKEN_SIZE 20
#define SOCKETIO_TROUBLE_SIZE 640

struct metric;

enum socketio_result
{
	SOCKETIO_OK,
	SOCKETIO_COALESCED, /* a later one of the same state is there */
	SOCKETIO_EXPIRED,   /* it is of no use any more */
	SOCKETIO_UNHEARD,   /* no server is there */
	SOCKETIO_FAILED,    /* it cannot be sent */
	SOCKETIO_RESULTS
};

/* Questions to all servers that go out alone. */
struct socketio_question
{
	uint64_t from;     /* number of the first since it began to ask; 0: none was sent */
	uint64_t answered; /* places of nodes that answered it or a later one */
	uint64_t sent_at;  /* the last one; loop time */
};

enum socketio_state
{
	SOCKETIO_OFF,       /* no lease, or no connection */
	SOCKETIO_LISTENING, /* listening, or what is needed for sending is not there yet */
	SOCKETIO_ASKING,    /* nothing is sent before every awaited node has answered the question */
	SOCKETIO_SENDING
};

struct socketio
{
	struct app *app;
	struct consumer *consumer;
	const char *namespace;           /* in the channel */
	char token[SOCKETIO_TOKEN_SIZE]; /* of our questions, and nobody else's */
	enum socketio_state state;
	struct realtime_queue *queue; /* of what was not sent yet */
	struct socketio_batch *batch; /* that is on its way, or to be sent next; NULL: none */
	struct socketio_load load;
	bool busy;          /* a statement is under way */
	int orphans;        /* statements under way whose answers concern nobody any more */
	bool carries_batch; /* and it carries the batch, not a question alone */
	int most;           /* events of a batch */
	uint64_t number;    /* of the last question */
	uint64_t next_at;   /* loop time before which nothing is sent */

	struct nodes nodes;
	struct socketio_question question;
	uint64_t ask_until; /* loop time; who has not answered then is not waited for */
	bool strangers;     /* none were known when it began to ask */

	uv_timer_t timer;
	char trouble[SOCKETIO_TROUBLE_SIZE]; /* empty: none */
	struct metric *events[SOCKETIO_RESULTS];
	struct metric *attachments, *repeated, *servers, *latency;
};

/* socketio.c */

/* An event is done. */
void socketio_finish(struct socketio *socketio, struct event event, enum socketio_result result);
/* What keeps events from arriving; told once. */
void socketio_report(struct socketio *socketio, const char *trouble);
void socketio_recovered(struct socketio *socketio);

/* socketio_send.c */

/* Listens to the channel, then sends what there is. */
void socketio_listen(struct socketio *socketio);
/* Sends what may be sent now, and sets the timer for what may not yet. */
void socketio_pump(struct socketio *socketio);

/* socketio_hear.c */

/* Waits until all that are known have answered a question, at most so long. */
void socketio_ask(struct socketio *socketio, uint64_t ms);
/* Something was said on the channel. */
void socketio_hear(struct socketio *socketio, const char *payload);
/* What time alone decides: who is not waited for any more. */
void socketio_look(struct socketio *socketio);
/* Finishes the batch, if every node that has to has answered for it. */
void socketio_confirm(struct socketio *socketio);

#endif
