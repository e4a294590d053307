/*
 * How many sockets somebody has: an address, or a user. Each takes a seat, and gives it back. No I/O.
 */
#ifndef SIDECAR_ENDPOINT_SEATS_H
#define SIDECAR_ENDPOINT_SEATS_H

#include <stdint.h>

#include "base/table.h"

struct seats
{
	struct table table; /* of those who have one at least */
};

struct seat
{
	struct entry entry; /* key: who */
	uint32_t taken;
};

void seats_init(struct seats *seats);
void seats_clear(struct seats *seats);
/* Takes one of somebody's seats, of which there are so many; NULL: all are taken. */
struct seat *seats_take(struct seats *seats, const char *who, uint32_t most);
/* Gives one back; NULL: there was none. */
void seats_give(struct seats *seats, struct seat *seat);

#endif
