/*
 * What a user may broadcast: no second has more, whatever else is counted, and nothing is kept of who is silent.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/endpoint/rate.h"
#include "require.h"

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
	require("ten of 30", passed == 10);
	require("another user has their own", rates_messages(&rates, "bob", 10, 5030));
	require("the first is free a second after it", rates_messages(&rates, "ann", 1, 6000));
	require("and not yet the second", !rates_messages(&rates, "ann", 1, 6000));
	require("as many at once as are free", rates_messages(&rates, "ann", 9, 6009));
	require("none of eleven", !rates_messages(&rates, "eve", 11, 6009));
	require("and nothing of them was counted", rates_messages(&rates, "eve", 10, 6009));
	require("the worst second", worst(&rates, "ann", 7) == 10);
	require("ten a second at that pace all pass", worst(&rates, "mia", 100) == 10);
	require("calls of presence are counted alone", rates_presence(&rates, "ann", 6009));
	require("whatever a user is called",
			rates_messages(&rates, "presence ann", 10, 6009) &&
				rates_messages(&rates, "3 typing 1 ann presence:1", 10, 6009));
	require("typing", rates_typing(&rates, "ann", "presence:1", true, 60000));
	require("typing again", !rates_typing(&rates, "ann", "presence:1", true, 60999));
	require("it stopped", rates_typing(&rates, "ann", "presence:1", false, 60999));
	require("typing elsewhere", rates_typing(&rates, "ann", "presence:2", true, 60999));
	require("a second later", rates_typing(&rates, "ann", "presence:1", true, 61000));
	require("a name that looks like another's",
			rates_typing(&rates, "ann presence:1", "x", true, 61000));
	rates_sweep(&rates, 61500);
	require("who was not silent is kept", !rates_typing(&rates, "ann", "presence:1", true, 61500));
	rates_sweep(&rates, 70000);
	require("who was silent is forgotten", rates.windows.count == 0);
	rates_clear(&rates);
	return 0;
}
