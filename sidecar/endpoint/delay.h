/*
 * Refusals that are told later, as Realtime does, so that who is refused does not ask again at once. They hold up no other frame
 * of the socket. Bounded in number and bytes: what is above it is told at once.
 */
#ifndef SIDECAR_ENDPOINT_DELAY_H
#define SIDECAR_ENDPOINT_DELAY_H

#include <stddef.h>
#include <uv.h>

#define DELAY_MOST 10000      /* that wait, of all sockets */
#define DELAY_MOST_OF_ONE 100 /* of one */
#define DELAY_MOST_BYTES 4096 /* of one refusal, which says again what was asked for */

struct app;
struct embedded;
struct message;
struct socket;

struct delays
{
	struct delayed *first, **end; /* in the order in which they are due */
	size_t count;
	uv_timer_t *timer;
};

void delays_init(struct delays *delays, struct app *app);
/* Forgets what waits, and closes the loop's handle. */
void delays_stop(struct delays *delays);
/* Sends a message after EMBEDDED_REFUSAL_DELAY_MS, if the socket is still there; takes over one reference. */
void delay_send(struct socket *socket, struct message *message);

#endif
