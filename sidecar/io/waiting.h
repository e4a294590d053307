/*
 * Requests whose answers come later: each waits for a number. Who has such a list answers what it takes from it.
 */
#ifndef SIDECAR_WAITING_H
#define SIDECAR_WAITING_H

#include <stdint.h>

#include "io/listener.h"

struct waiting;

/* All zero: nobody waits. Those that wait when it goes away are forgotten with their connections, before it does. */
struct waiting_list
{
	struct waiting *first;
};

/* It waits for this number; exchange->state is taken. */
void waiting_add(struct waiting_list *list, struct exchange *exchange, uint64_t number);
/* One that waits for this number or a lower one, which is on no list any more; NULL: there is none. */
struct exchange *waiting_take(struct waiting_list *list, uint64_t number);
/* The exchange is over, whether it waits or not. */
void waiting_forget(struct exchange *exchange);

#endif
