/*
 * See socketio_nodes.h.
 */
#include "socketio/socketio_nodes.h"

#include <string.h>

static uint64_t
bit(int place)
{
	return (uint64_t) 1 << place;
}

/* The place of a name, of the first free one for the empty name; -1: none. */
static int
find(const struct nodes *nodes, const char *uid)
{
	for (int i = 0; i < NODES_MOST; i++)
	{
		if (strcmp(nodes->list[i].uid, uid) == 0)
			return i;
	}
	return -1;
}

static uint64_t
forget(struct nodes *nodes, int place)
{
	nodes->list[place].uid[0] = '\0';
	nodes->awaited &= ~bit(place);
	return bit(place);
}

static int
count_strangers(const struct nodes *nodes)
{
	int count = 0;

	for (int i = 0; i < NODES_MOST; i++)
		count += nodes->list[i].uid[0] != '\0' && !nodes->list[i].answered;
	return count;
}

/* A place for a new one; -1: none. */
static int
make_place(struct nodes *nodes, const char *uid, bool answers)
{
	int place = answers || count_strangers(nodes) < NODES_STRANGERS ? find(nodes, "") : -1;

	if (place < 0)
		return -1;
	strcpy(nodes->list[place].uid, uid);
	nodes->list[place].answered = false;
	nodes->unasked |= !answers;
	return place;
}

int
nodes_hear(struct nodes *nodes, const char *uid, bool answers, uint64_t now)
{
	int place;

	if (*uid == '\0' || strlen(uid) >= NODE_UID_SIZE)
		return -1;
	place = find(nodes, uid);
	if (place < 0)
		place = make_place(nodes, uid, answers);
	if (place < 0)
		return -1;
	nodes->list[place].heard_at = now;
	return place;
}

void
nodes_answered(struct nodes *nodes, int place)
{
	nodes->awaited |= bit(place);
	nodes->list[place].answered = true;
}

uint64_t
nodes_leave(struct nodes *nodes, const char *uid)
{
	int place = *uid != '\0' ? find(nodes, uid) : -1;

	return place >= 0 ? forget(nodes, place) : 0;
}

void
nodes_give_up(struct nodes *nodes, uint64_t places)
{
	nodes->awaited &= ~places;
}

uint64_t
nodes_expire(struct nodes *nodes, uint64_t now)
{
	uint64_t freed = 0;

	for (int i = 0; i < NODES_MOST; i++)
	{
		if (nodes->list[i].uid[0] != '\0' && now - nodes->list[i].heard_at > NODES_FORGET_MS)
			freed |= forget(nodes, i);
	}
	return freed;
}

void
nodes_touch(struct nodes *nodes, uint64_t now)
{
	for (int i = 0; i < NODES_MOST; i++)
		nodes->list[i].heard_at = now;
}

int
nodes_count(const struct nodes *nodes)
{
	int count = 0;

	for (int i = 0; i < NODES_MOST; i++)
		count += nodes->list[i].uid[0] != '\0';
	return count;
}
