/*
 * What the canary says to Realtime and hears of it, in the second version of its protocol. Nothing that arrives is trusted: it
 * is no message, or says one of few things. No I/O.
 */
#ifndef SIDECAR_CANARY_FRAMES_H
#define SIDECAR_CANARY_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum canary_message
{
	CANARY_NOTHING, /* that concerns us */
	CANARY_JOINED,
	CANARY_REFUSED, /* the join; reason says why */
	CANARY_BEATS,   /* the heartbeat is answered */
	CANARY_EVENT,   /* with a number */
	CANARY_CLOSED   /* the channel was; reason says why, where that is known */
};

struct canary_frame
{
	enum canary_message message;
	uint64_t number;
	char reason[256]; /* fit for a log; "": none was given */
};

/* Texts to be sent, malloc'ed. token: NULL or a token that stands for the key. */
char *canary_frame_join(const char *topic, bool is_private, const char *token);
char *canary_frame_heartbeat(void);
char *canary_frame_token(const char *topic, const char *token);
/* An event that comes back. */
char *canary_frame_push(const char *topic, uint64_t number);

/* Reads one message; binary: not a text. */
void canary_frame_read(struct canary_frame *frame, const char *topic, const char *bytes, size_t len,
					   bool binary);

#endif
