/*
 * How much a user broadcasts: 10 messages a second, and one typing event a second that starts and one that stops, in each
 * topic. Counted is by the token's sub, over all of its sockets and requests; a socket whose token has none counts alone.
 *
 * Sliding windows: no second has more. Whoever was silent for a second is forgotten.
 */
#ifndef SIDECAR_EMBEDDED_RATE_H
#define SIDECAR_EMBEDDED_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"

#define RATE_MESSAGES 10 /* a second */
#define RATE_PRESENCE 50 /* a second, over all of a user's channels */

struct rates
{
	struct table windows;
};

void rates_init(struct rates *rates);
void rates_clear(struct rates *rates);
/* Forgets those that are empty; now: milliseconds. */
void rates_sweep(struct rates *rates, uint64_t now);

/* Counts so many messages of a user at once; false: they are too many, and none is counted. */
bool rates_messages(struct rates *rates, const char *user, uint64_t count, uint64_t now);
/* The same for one typing event. */
bool
rates_typing(struct rates *rates, const char *user, const char *topic, bool typing, uint64_t now);
/* The same for one call of presence. */
bool rates_presence(struct rates *rates, const char *user, uint64_t now);

#endif
