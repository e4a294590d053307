/*
 * What a join asks to be replayed: config.broadcast.replay, {since, limit} as in Realtime or, here alone, {since_id, limit}. Pure.
 */
#ifndef SIDECAR_REPLAY_WISH_H
#define SIDECAR_REPLAY_WISH_H

#include <stdint.h>

#include "endpoint/json_scan.h"

enum replay_kind
{
	REPLAY_NONE,
	REPLAY_BAD,     /* what it says means nothing */
	REPLAY_BY_TIME, /* the newest since a millisecond */
	REPLAY_BY_ID    /* the first after an event */
};

struct replay_wish
{
	enum replay_kind kind;
	int64_t since; /* milliseconds since 1970, or an event's id */
	int64_t limit; /* whatever the client said */
};

struct replay_wish replay_wish_read(struct json broadcast);

#endif
