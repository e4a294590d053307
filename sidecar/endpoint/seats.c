/*
 * See seats.h.
 */
#include "endpoint/seats.h"

#include <stdlib.h>

#include "base/memory.h"

void
seats_init(struct seats *seats)
{
	table_init(&seats->table);
}

static void
forget(struct entry *entry)
{
	free(entry);
}

void
seats_clear(struct seats *seats)
{
	table_clear(&seats->table, forget);
}

struct seat *
seats_take(struct seats *seats, const char *who, uint32_t most)
{
	struct seat *seat = (struct seat *) table_find(&seats->table, who);

	if (most == 0 || (seat != NULL && seat->taken >= most))
		return NULL;
	if (seat == NULL)
	{
		seat = xcalloc(1, sizeof(*seat));
		table_add(&seats->table, &seat->entry, who);
	}
	seat->taken++;
	return seat;
}

void
seats_give(struct seats *seats, struct seat *seat)
{
	if (seat == NULL || --seat->taken > 0)
		return;
	table_remove(&seats->table, &seat->entry);
	free(seat);
}
