/*
 * Seats of addresses and users: as many as there are, and nothing is kept of who has none.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/endpoint/seats.h"
#include "require.h"

int
main(void)
{
	struct seats seats;
	struct seat *first, *second;

	seats_init(&seats);
	first = seats_take(&seats, "a", 2);
	second = seats_take(&seats, "a", 2);
	require("two of two", first != NULL && second == first);
	require("no third", seats_take(&seats, "a", 2) == NULL);
	require("another one's are others", seats_take(&seats, "b", 1) != NULL);
	require("none at all", seats_take(&seats, "c", 0) == NULL && seats.table.count == 2);
	seats_give(&seats, second);
	require("one was given back", seats_take(&seats, "a", 2) == first);
	seats_give(&seats, first);
	seats_give(&seats, first);
	seats_give(&seats, NULL);
	require("nothing is kept of who has none", seats.table.count == 1);
	seats_clear(&seats);
	return 0;
}
