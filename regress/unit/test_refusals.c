/*
 * Refusals that are remembered: of one user, one topic and one right, for a second, and so many.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/endpoint/refusals.h"
#include "require.h"

static void
refuse(struct refusals *refusals, const char *user, const char *topic, bool write, uint64_t now,
	   int times)
{
	while (times-- > 0)
		refusals_note(refusals, user, topic, write, now);
}

int
main(void)
{
	struct refusals refusals;
	char topic[32];

	refusals_init(&refusals);
	refuse(&refusals, "u", "t", false, 1000, REFUSALS_TIMES - 1);
	require("not at once", !refusals_has(&refusals, "u", "t", false, 1000));
	refuse(&refusals, "u", "t", false, 1500, 1);
	require("it is remembered", refusals_has(&refusals, "u", "t", false, 1000 + REFUSALS_MS - 1));
	require("of this right", !refusals_has(&refusals, "u", "t", true, 1000));
	require("of this user", !refusals_has(&refusals, "u t", "t", false, 1000));
	require("and topic", !refusals_has(&refusals, "u", "t t", false, 1000));
	require("for a second", !refusals_has(&refusals, "u", "t", false, 1000 + REFUSALS_MS));
	require("nothing is kept of it", refusals.table.count == 0 && refusals.last == NULL);
	for (int n = 0; n <= REFUSALS_KEPT; n++)
	{
		snprintf(topic, sizeof(topic), "%d", n);
		refuse(&refusals, "u", topic, false, 5000, REFUSALS_TIMES);
	}
	require("so many", refusals.table.count == REFUSALS_KEPT);
	require("the oldest gave way", !refusals_has(&refusals, "u", "0", false, 5000));
	require("the newest is there", refusals_has(&refusals, "u", topic, false, 5000));
	refusals_forget(&refusals);
	require("all forgotten",
			!refusals_has(&refusals, "u", topic, false, 5000) && refusals.table.count == 0);
	refuse(&refusals, "u", "t", true, 6000, 1);
	refusals_clear(&refusals);
	return 0;
}
