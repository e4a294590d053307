/*
 * Seats of addresses and users: as many as there are, and nothing is kept of who has none.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/endpoint/seats.h"

static void
check(const char *name, int ok)
{
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (!ok)
		exit(1);
}

int
main(void)
{
	struct seats seats;
	struct seat *first, *second;

	seats_init(&seats);
	first = seats_take(&seats, "a", 2);
	second = seats_take(&seats, "a", 2);
	check("two of two", first != NULL && second == first);
	check("no third", seats_take(&seats, "a", 2) == NULL);
	check("another one's are others", seats_take(&seats, "b", 1) != NULL);
	check("none at all", seats_take(&seats, "c", 0) == NULL && seats.table.count == 2);
	seats_give(&seats, second);
	check("one was given back", seats_take(&seats, "a", 2) == first);
	seats_give(&seats, first);
	seats_give(&seats, first);
	seats_give(&seats, NULL);
	check("nothing is kept of who has none", seats.table.count == 1);
	seats_clear(&seats);
	return 0;
}
