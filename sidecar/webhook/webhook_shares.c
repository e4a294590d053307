/*
 * A tree of turns for each speed: owners, their visits to hosts, seats. A visit whose host has no room
 * is set aside at the host and comes back when a request there is over. It may then not use the room that it was given,
 * while others wait: what is set aside at a host with room is asked again at each tick.
 *
 * An owner that may not start another slow request has at least as many under way as are free, so that looking past those
 * takes no more steps than there are slots.
 */
#include "webhook/webhook_shares.h"

#include <stdlib.h>
#include <string.h>

#define SLOW_MESSAGES                                                                              \
	1024 /* of an owner in memory, beyond which those of slow endpoints are better stored */

#define FEWEST_AHEAD 2048 /* messages in memory that are never too many, by their number */

#define OF_TURN(turn, type, member) ((type *) (void *) ((char *) (turn) -offsetof(type, member)))

void
shares_init(struct shares *shares, const struct webhook_limits *limits)
{
	memset(shares, 0, sizeof(*shares));
	shares->limits = *limits;
	table_init(&shares->owners);
	table_init(&shares->hosts);
	table_init(&shares->visits);
}

static void
free_entry(struct entry *entry)
{
	free(entry);
}

void
shares_clear(struct shares *shares)
{
	table_clear(&shares->visits, free_entry);
	table_clear(&shares->hosts, free_entry);
	table_clear(&shares->owners, free_entry);
}

/* --- seats ---------------------------------------------------------------------------------------- */

/* A seat takes its turns elsewhere from now on. */
static void
move_home(struct seat *seat)
{
	bool listed = seat->turn.ring != NULL;

	turn_unlist(&seat->turn);
	seat->turn.home = &seat->visit->turns[seat->speed];
	if (listed)
		turn_list(&seat->turn);
}

void
seat_take(struct shares *shares, struct seat *seat, struct visit *visit)
{
	struct visit *before = seat->visit;

	if (before == visit)
		return;
	visit_keep(visit);
	seat->visit = visit;
	if (before == NULL)
	{
		seat->speed = NEW;
		seat->average_ms = -1;
	}
	move_home(seat);
	if (before != NULL)
		visit_let_go(shares, before);
}

void
seat_leave(struct shares *shares, struct seat *seat)
{
	turn_unlist(&seat->turn);
	visit_let_go(shares, seat->visit);
	seat->visit = NULL;
}

void
seat_ready(struct seat *seat)
{
	if (!seat->waits && seat->inflight < seat->most)
		turn_list(&seat->turn);
}

void
seat_not_ready(struct seat *seat)
{
	turn_unlist(&seat->turn);
}

static void
learn(struct shares *shares, struct seat *seat, double took_ms)
{
	enum speed before = seat->speed;

	seat->average_ms = seat->average_ms < 0 ? took_ms : (3 * seat->average_ms + took_ms) / 4;
	seat->speed = seat->average_ms <= SLOW_MS ? FAST : seat->average_ms <= LATE_MS ? SLOW : LATE;
	if (seat->speed == before)
		return;
	if (seat->speed == FAST)
		shares->quick += seat->messages;
	else if (before == FAST)
		shares->quick -= seat->messages;
	move_home(seat);
}

/* --- whose turn it is ----------------------------------------------------------------------------- */

static int
least(int a, int b)
{
	return a < b ? a : b;
}

/* Slots that slow endpoints may have: those of the fast ones are kept, of a small number half. */
static int
slow_slots(const struct shares *shares)
{
	return shares->limits.inflight - least(FAST_SLOTS, shares->limits.inflight / 2);
}

int
shares_inflight(const struct shares *shares)
{
	int count = 0;

	for (int speed = 0; speed < SPEEDS; speed++)
		count += shares->inflight[speed];
	return count;
}

static int
free_slow_slots(const struct shares *shares)
{
	return slow_slots(shares) - (shares_inflight(shares) - shares->inflight[FAST]);
}

static bool
has_slot(const struct shares *shares, enum speed speed)
{
	if (shares_inflight(shares) >= shares->limits.inflight)
		return false;
	if (speed == FAST)
		return shares->inflight[FAST] < FAST_SLOTS;
	return free_slow_slots(shares) > 0 && (speed != NEW || shares->inflight[NEW] < NEW_SLOTS);
}

/* How many of a host's slots endpoints of a speed leave to others. */
static int
kept_at_host(const struct shares *shares, enum speed speed)
{
	static const int parts[SPEEDS] = {[SLOW] = 8, [NEW] = 4, [LATE] = 2};
	int slots = shares->limits.per_host;

	if (speed == FAST || slots == 1)
		return 0;
	return slots / parts[speed] > 0 ? slots / parts[speed] : 1;
}

static int
room_at_host(const struct shares *shares, const struct host *host, enum speed speed)
{
	return shares->limits.per_host - kept_at_host(shares, speed) - host->inflight;
}

static bool
has_room_at_host(const struct shares *shares, const struct visit *visit, enum speed speed)
{
	return room_at_host(shares, visit->host, speed) > 0 &&
		   (speed == FAST ||
			visit->inflight < 3 * (shares->limits.per_host - visit->host->inflight));
}

static struct seat *
next_at(const struct shares *shares, const struct visit *visit, enum speed speed)
{
	for (struct turn *turn = visit->turns[speed].first; turn != NULL; turn = turn->after)
	{
		struct seat *seat = OF_TURN(turn, struct seat, turn);

		if (speed == FAST || visit->owner->slow + seat->inflight < free_slow_slots(shares))
			return seat;
	}
	return NULL;
}

static struct seat *
next_of(const struct shares *shares, struct owner *owner, enum speed speed)
{
	struct turn *after;

	if (speed != FAST && owner->slow >= free_slow_slots(shares))
		return NULL;
	if (speed == NEW && owner->fresh >= NEW_SLOTS - shares->inflight[NEW])
		return NULL;
	for (struct turn *turn = owner->turns[speed].first; turn != NULL; turn = after)
	{
		struct visit *visit = OF_TURN(turn, struct visit, turns[speed]);
		struct seat *seat;

		after = turn->after;
		if (!has_room_at_host(shares, visit, speed))
			turn_set_aside(turn, &visit->host->waiting[speed]);
		else if ((seat = next_at(shares, visit, speed)) != NULL)
			return seat;
	}
	return NULL;
}

static struct seat *
next_in(const struct shares *shares, enum speed speed)
{
	struct turn *after;

	if (!has_slot(shares, speed))
		return NULL;
	for (struct turn *turn = shares->roots[speed].first; turn != NULL; turn = after)
	{
		struct seat *seat;

		after = turn->after;
		seat = next_of(shares, OF_TURN(turn, struct owner, turns[speed]), speed);
		if (seat != NULL)
			return seat;
	}
	return NULL;
}

static void
leave_list(struct slot *slot)
{
	struct slots *list = slot->list;

	if (list == NULL)
		return;
	if (slot->before != NULL)
		slot->before->after = slot->after;
	else
		list->first = slot->after;
	if (slot->after != NULL)
		slot->after->before = slot->before;
	else
		list->last = slot->before;
	slot->before = slot->after = NULL;
	slot->list = NULL;
}

static void
enter_list(struct slots *list, struct slot *slot)
{
	slot->list = list;
	slot->after = NULL;
	slot->before = list->last;
	if (list->last != NULL)
		list->last->after = slot;
	else
		list->first = slot;
	list->last = slot;
}

static void
count(struct shares *shares, struct slot *slot, enum speed speed)
{
	slot->speed = speed;
	shares->inflight[speed]++;
	slot->visit->owner->slow += speed != FAST;
	slot->visit->owner->fresh += speed == NEW;
}

static void
uncount(struct shares *shares, struct slot *slot)
{
	shares->inflight[slot->speed]--;
	slot->visit->owner->slow -= slot->speed != FAST;
	slot->visit->owner->fresh -= slot->speed == NEW;
}

/*
 * Whoever is first of a list and has been under way for so long, with its endpoint, is of that speed, or goes on being of a
 * worse one. An endpoint that has never answered is late until it does.
 */
static struct slot *
next_aged(struct shares *shares, struct slots *list, int ms, enum speed speed, uint64_t now)
{
	struct slot *slot = list->first;
	int least = 4 * ms;

	if (slot == NULL || slot->since + (uint64_t) ms >= now)
		return NULL;
	leave_list(slot);
	if (slot->speed < speed)
	{
		uncount(shares, slot);
		count(shares, slot, speed);
	}
	if (slot->seat->speed == NEW)
		least += LATE_MS;
	learn(shares, slot->seat, least + (double) (now - slot->since));
	return slot;
}

static void
note_late(struct shares *shares, uint64_t now)
{
	struct slot *slot;

	while ((slot = next_aged(shares, &shares->young, SLOW_MS, SLOW, now)) != NULL)
		enter_list(&shares->grown, slot);
	while (next_aged(shares, &shares->grown, LATE_MS, LATE, now) != NULL)
		;
}

struct seat *
shares_next(struct shares *shares, uint64_t now)
{
	struct seat *seat = NULL;

	note_late(shares, now);
	for (int speed = 0; seat == NULL && speed < SPEEDS; speed++)
		seat = next_in(shares, speed);
	return seat;
}

void
shares_begin(struct shares *shares, struct seat *seat, struct slot *slot, uint64_t now)
{
	struct visit *visit = seat->visit;

	slot->seat = seat;
	slot->visit = visit;
	slot->since = now;
	visit_keep(visit);
	enter_list(&shares->young, slot);
	count(shares, slot, seat->speed);
	seat->inflight++;
	visit->inflight++;
	visit->host->inflight++;
	if (seat->turn.ring == NULL)
		return;
	turn_rotate(&seat->turn);
	turn_rotate(&visit->turns[seat->speed]);
	turn_rotate(&visit->owner->turns[seat->speed]);
	if (seat->inflight >= seat->most)
		turn_unlist(&seat->turn);
}

/* Asks those again that wait for a host, as many as it has room for. */
static void
ask_again(const struct shares *shares, struct host *host)
{
	for (int speed = 0; speed < SPEEDS; speed++)
	{
		for (int room = room_at_host(shares, host, speed);
			 room > 0 && host->waiting[speed].first != NULL; room--)
			turn_return(host->waiting[speed].first);
	}
}

void
shares_end(struct shares *shares, struct slot *slot, uint64_t now)
{
	struct visit *visit = slot->visit;

	shares->ended++;
	leave_list(slot);
	uncount(shares, slot);
	slot->seat->inflight--;
	visit->inflight--;
	visit->host->inflight--;
	learn(shares, slot->seat, (double) (now - slot->since));
	ask_again(shares, visit->host);
	visit_let_go(shares, visit);
	slot->visit = NULL;
}

static void
ask_host(void *arg, struct entry *entry)
{
	ask_again(arg, (struct host *) entry);
}

/* How many requests end in a second: half of it is of the time since the last tick. */
static void
learn_rate(struct shares *shares, uint64_t now)
{
	if (now <= shares->ticked_at)
		return;
	shares->a_second =
		(shares->a_second + shares->ended * 1000.0 / (double) (now - shares->ticked_at)) / 2;
	shares->ticked_at = now;
	shares->ended = 0;
}

void
shares_tick(struct shares *shares, uint64_t now)
{
	learn_rate(shares, now);
	note_late(shares, now);
	table_each(&shares->hosts, ask_host, shares);
}

/* --- memory --------------------------------------------------------------------------------------- */

void
shares_hold(struct shares *shares, struct owner *owner, size_t bytes)
{
	owner->bytes += bytes;
	shares->bytes += bytes;
}

void
shares_free(struct shares *shares, struct owner *owner, size_t bytes)
{
	owner->bytes -= bytes;
	shares->bytes -= bytes;
}

void
shares_count(struct shares *shares, struct seat *seat, int by)
{
	seat->messages += by;
	if (seat->speed == FAST)
		shares->quick += by;
}

bool
shares_are_ahead(const struct shares *shares)
{
	return shares->quick > FEWEST_AHEAD && shares->quick > shares->a_second;
}

bool
shares_is_full(const struct shares *shares, const struct seat *seat)
{
	const struct owner *owner = seat->visit->owner;

	return seat->average_ms > SLOW_MS &&
		   (owner->messages >= SLOW_MESSAGES || shares_are_full(shares) ||
			owner->bytes >= shares->limits.bytes - shares->bytes);
}

bool
shares_are_full(const struct shares *shares)
{
	return shares->bytes >= shares->limits.bytes;
}
