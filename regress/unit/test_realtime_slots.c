/*
 * What the slots say of what was inserted: what went through, what is lost, and who has to stream for more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/realtime/realtime_slots.h"
#include "require.h"

static void
check_confirmed(void)
{
	struct slots slots = {0};

	require("at first anybody may stream", strcmp(slots_expected(&slots), "") == 0 &&
											   !slots_has_lost(&slots, NULL) &&
											   !slots_has_unconfirmed(&slots));
	require("serials count", slots_insert(&slots, "a/1") == 1 && slots_insert(&slots, "a/1") == 2);
	require("then those who do have to", strcmp(slots_expected(&slots), "a/1") == 0);
	require("what they have not confirmed is open",
			slots_advance(&slots, 2, 99, 100) == 0 && slots_has_unconfirmed(&slots));
	require("what was written later is not waited for", slots_advance(&slots, 2, 100, 500) == 2);
	require("then anybody may stream again", strcmp(slots_expected(&slots), "") == 0 &&
												 !slots_has_unconfirmed(&slots) &&
												 !slots_has_lost(&slots, "b/2"));
	slots_free(&slots);
}

static void
check_overtaken(void)
{
	struct slots slots = {0};

	(void) slots_insert(&slots, "a/1");
	require("a place is that of what was committed when it was asked for",
			slots_advance(&slots, 0, 1000, 1000) == 0);
	(void) slots_advance(&slots, 1, 50, 100);
	(void) slots_insert(&slots, "a/1");
	require("a later insertion is not confirmed with an earlier one",
			slots_advance(&slots, 2, 100, 200) == 1 && slots_has_unconfirmed(&slots));
	require("and waits for a place of its own", slots_advance(&slots, 2, 199, 300) == 0);
	require("which is kept", slots_advance(&slots, 2, 200, 400) == 2);
	(void) slots_insert(&slots, "a/1");
	require("where all is confirmed that is written, one answer is enough",
			slots_advance(&slots, 3, 500, 500) == 3);
	slots_free(&slots);
}

static void
check_lost(void)
{
	struct slots slots = {0};

	(void) slots_insert(&slots, "a/1");
	(void) slots_advance(&slots, 1, 50, 100);
	require("the same slot loses nothing", !slots_has_lost(&slots, "a/1"));
	require("one of another process does", slots_has_lost(&slots, "a/2"));
	require("and none at all", slots_has_lost(&slots, NULL));
	require("one more beside it counts as another", slots_has_lost(&slots, "a/1 b/2"));
	slots_give_up(&slots);
	require("what is given up is nobody's any more",
			!slots_has_unconfirmed(&slots) && !slots_has_lost(&slots, "a/2"));
	require("an old place confirms nothing", slots_advance(&slots, 1, 1000, 1000) == 0);
	require("serials go on", slots_insert(&slots, "a/2") == 2);
	require("an answer that was asked for before says nothing of it",
			slots_advance(&slots, 1, 1000, 1000) == 0 && slots_has_unconfirmed(&slots));
	require("the next one does", slots_advance(&slots, 2, 1000, 1000) == 2);
	slots_free(&slots);
}

int
main(void)
{
	check_confirmed();
	check_overtaken();
	check_lost();
	return 0;
}
