/*
 * See waiting.h.
 */
#include "io/waiting.h"

#include <stdlib.h>

#include "base/memory.h"

struct waiting
{
	struct waiting *next;
	struct waiting_list *list;
	struct exchange *exchange;
	uint64_t number;
};

void
waiting_add(struct waiting_list *list, struct exchange *exchange, uint64_t number)
{
	struct waiting *waiting = xcalloc(1, sizeof(*waiting));

	*waiting = (struct waiting){list->first, list, exchange, number};
	list->first = waiting;
	exchange->state = waiting;
}

struct exchange *
waiting_take(struct waiting_list *list, uint64_t number)
{
	struct waiting *waiting = list->first;
	struct exchange *exchange;

	while (waiting != NULL && waiting->number > number)
		waiting = waiting->next;
	if (waiting == NULL)
		return NULL;
	exchange = waiting->exchange;
	waiting_forget(exchange);
	return exchange;
}

void
waiting_forget(struct exchange *exchange)
{
	struct waiting *waiting = exchange->state, **link;

	if (waiting == NULL)
		return;
	link = &waiting->list->first;
	while (*link != waiting)
		link = &(*link)->next;
	*link = waiting->next;
	free(waiting);
	exchange->state = NULL;
}
