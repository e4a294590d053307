/*
 * Replay: what a channel's topic had before its join, from the event log, with the join.
 *
 * What is broadcast between the join and the answer waits, so that a client hears all in order; and what was replayed and comes
 * live, too, since the log is read for both, is not sent twice.
 */
#ifndef SIDECAR_REPLAY_H
#define SIDECAR_REPLAY_H

#include <stdbool.h>

#include "base/log_pace.h"
#include "endpoint/questions.h"
#include "endpoint/replay_wish.h"

#define REPLAY_MOST_HELD 1000                /* messages that wait for one answer */
#define REPLAY_MOST_HELD_BYTES (1024 * 1024) /* of them */

struct broadcast;
struct embedded;
struct message;
struct metric;
struct metrics;
struct replay;
struct subscription;

struct replays
{
	struct questions questions; /* that wait for their user's turn */
	int asking;                 /* under way */
	struct log_pace failures;
	struct metric *replayed;
};

void replays_init(struct replays *replays);
void replays_register(struct replays *replays, struct metrics *metrics);
/* When nothing waits. */
void replays_clear(struct replays *replays);

/* Begins for a subscription that is live from now on, if its wish names a topic that has events. It may be gone then. */
void replay_begin(struct subscription *subscription, const struct replay_wish *wish);
/* Whether a message that a subscription gets is not to be sent now: it waits, or was replayed. */
bool
replay_keeps(struct replay *replay, const struct broadcast *broadcast, struct message *message);
void replay_free(struct replay *replay);

#endif
