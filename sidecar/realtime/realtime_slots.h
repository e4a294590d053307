/*
 * What of that which was inserted into realtime.messages went through. Realtime streams it from a replication slot that
 * ends with its connection: what was inserted while somebody streamed went through when the same one has confirmed what
 * was committed by then; where another one streams, or nobody does, it is lost. No I/O.
 */
#ifndef SIDECAR_REALTIME_SLOTS_H
#define SIDECAR_REALTIME_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

/* All zero at first. Serials count what was inserted; places are bytes of the WAL. */
struct slots
{
	char *names; /* who streamed when what is not confirmed was inserted; NULL: all is confirmed */
	uint64_t inserted, confirmed; /* serials */
	uint64_t mark; /* a serial; all up to it committed below the place; 0: no such place is known */
	int64_t mark_place;
};

/* Who must stream for more to be inserted; "": whoever does. */
const char *slots_expected(const struct slots *slots);
bool slots_has_unconfirmed(const struct slots *slots);
/* Whether what is not confirmed was inserted while somebody else streamed than now; now NULL: nobody does. */
bool slots_has_lost(const struct slots *slots, const char *now);

/* Something more was inserted, and is committed: its serial. What was lost before is to be given up first. */
uint64_t slots_insert(struct slots *slots, const char *names);

/*
 * Those who streamed when what is not confirmed was inserted still do. Of an answer that was asked for when serials up to
 * asked were committed: what they have confirmed, and what was written by then. Answers the highest serial that went
 * through; 0: no other than before.
 */
uint64_t slots_advance(struct slots *slots, uint64_t asked, int64_t confirmed, int64_t written);

/* Gives up all that is not confirmed: it is inserted again. */
void slots_give_up(struct slots *slots);
void slots_free(struct slots *slots);

#endif
