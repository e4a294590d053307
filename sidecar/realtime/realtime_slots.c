/*
 * See realtime_slots.h. Where a commit stands in the WAL nobody says; but what was written when it was asked for after the
 * commit lies behind it.
 */
#include "realtime/realtime_slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

const char *
slots_expected(const struct slots *slots)
{
	return slots->names != NULL ? slots->names : "";
}

bool
slots_has_unconfirmed(const struct slots *slots)
{
	return slots->confirmed < slots->inserted;
}

bool
slots_has_lost(const struct slots *slots, const char *now)
{
	return slots->names != NULL && (now == NULL || strcmp(slots->names, now) != 0);
}

uint64_t
slots_insert(struct slots *slots, const char *names)
{
	if (slots->names == NULL)
		slots->names = xstrdup(names);
	return ++slots->inserted;
}

static void
confirm(struct slots *slots, uint64_t serial)
{
	slots->confirmed = serial;
	slots->mark = 0;
	if (slots_has_unconfirmed(slots))
		return;
	free(slots->names);
	slots->names = NULL;
}

/* All up to a serial committed below a place. */
static void
set_mark(struct slots *slots, uint64_t serial, int64_t place)
{
	if (slots->mark != 0 || serial <= slots->confirmed)
		return;
	slots->mark = serial;
	slots->mark_place = place;
}

uint64_t
slots_advance(struct slots *slots, uint64_t asked, int64_t confirmed, int64_t written)
{
	uint64_t before = slots->confirmed;

	if (slots->mark != 0 && confirmed >= slots->mark_place)
		confirm(slots, slots->mark);
	set_mark(slots, asked, written);
	if (slots->mark != 0 && confirmed >= slots->mark_place)
		confirm(slots, slots->mark);
	return slots->confirmed > before ? slots->confirmed : 0;
}

void
slots_give_up(struct slots *slots)
{
	confirm(slots, slots->inserted);
}

void
slots_free(struct slots *slots)
{
	slots_give_up(slots);
}
