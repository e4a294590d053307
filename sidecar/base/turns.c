/*
 * Rings as doubly linked lists.
 */
#include "base/turns.h"

#include <stddef.h>

static void
append(struct turn *ring, struct turn *turn)
{
	turn->ring = ring;
	turn->after = NULL;
	turn->before = ring->last;
	if (ring->last != NULL)
		ring->last->after = turn;
	else
		ring->first = turn;
	ring->last = turn;
}

static void
take_out(struct turn *turn)
{
	struct turn *ring = turn->ring;

	if (turn->before != NULL)
		turn->before->after = turn->after;
	else
		ring->first = turn->after;
	if (turn->after != NULL)
		turn->after->before = turn->before;
	else
		ring->last = turn->before;
	turn->ring = turn->before = turn->after = NULL;
}

void
turn_list(struct turn *turn)
{
	while (turn->home != NULL && turn->ring == NULL)
	{
		append(turn->home, turn);
		turn = turn->home;
	}
}

void
turn_unlist(struct turn *turn)
{
	while (turn->ring != NULL)
	{
		struct turn *ring = turn->ring;

		take_out(turn);
		if (ring->first != NULL)
			return;
		turn = ring;
	}
}

void
turn_rotate(struct turn *turn)
{
	struct turn *ring = turn->ring;

	if (turn->after == NULL)
		return;
	take_out(turn);
	append(ring, turn);
}

void
turn_set_aside(struct turn *turn, struct turn *ring)
{
	turn_unlist(turn);
	append(ring, turn);
}

void
turn_return(struct turn *turn)
{
	take_out(turn);
	turn_list(turn);
}
