/*
 * What a user may broadcast: no second has more, whatever else is counted, and nothing is kept of who is silent.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/endpoint/rate.h"

static void
check(const char *name, int ok)
{
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (!ok)
		exit(1);
}

/* The most that pass in any second of ten, when one is tried each so many milliseconds. */
static int
worst(struct rates *rates, const char *user, uint64_t every)
{
	uint64_t passed[1000];
	int count = 0;
	int most = 0;

	for (uint64_t now = 50000; now < 60000; now += every)
	{
		int within = 0;

		if (!rates_messages(rates, user, 1, now))
			continue;
		passed[count++] = now;
		for (int i = 0; i < count; i++)
			within += now - passed[i] < 1000;
		if (within > most)
			most = within;
	}
	return most;
}

int
main(void)
{
	struct rates rates;
	int passed = 0;

	rates_init(&rates);
	for (int i = 0; i < 30; i++)
		passed += rates_messages(&rates, "ann", 1, 5000 + i);
	check("ten of 30", passed == 10);
	check("another user has their own", rates_messages(&rates, "bob", 10, 5030));
	check("the first is free a second after it", rates_messages(&rates, "ann", 1, 6000));
	check("and not yet the second", !rates_messages(&rates, "ann", 1, 6000));
	check("as many at once as are free", rates_messages(&rates, "ann", 9, 6009));
	check("none of eleven", !rates_messages(&rates, "eve", 11, 6009));
	check("and nothing of them was counted", rates_messages(&rates, "eve", 10, 6009));
	check("the worst second", worst(&rates, "ann", 7) == 10);
	check("ten a second at that pace all pass", worst(&rates, "mia", 100) == 10);
	check("calls of presence are counted alone", rates_presence(&rates, "ann", 6009));
	check("whatever a user is called",
		  rates_messages(&rates, "presence ann", 10, 6009) &&
			  rates_messages(&rates, "3 typing 1 ann presence:1", 10, 6009));
	check("typing", rates_typing(&rates, "ann", "presence:1", true, 60000));
	check("typing again", !rates_typing(&rates, "ann", "presence:1", true, 60999));
	check("it stopped", rates_typing(&rates, "ann", "presence:1", false, 60999));
	check("typing elsewhere", rates_typing(&rates, "ann", "presence:2", true, 60999));
	check("a second later", rates_typing(&rates, "ann", "presence:1", true, 61000));
	check("a name that looks like another's",
		  rates_typing(&rates, "ann presence:1", "x", true, 61000));
	rates_sweep(&rates, 61500);
	check("who was not silent is kept", !rates_typing(&rates, "ann", "presence:1", true, 61500));
	rates_sweep(&rates, 70000);
	check("who was silent is forgotten", rates.windows.count == 0);
	rates_clear(&rates);
	return 0;
}
