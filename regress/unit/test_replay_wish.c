/*
 * What a join asks to be replayed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/endpoint/replay_wish.h"

static void
check(const char *broadcast, enum replay_kind kind, int64_t since, int64_t limit)
{
	struct json value;
	struct replay_wish wish = {.kind = REPLAY_NONE};
	int ok = json_validate(broadcast, strlen(broadcast), &value);

	if (ok)
		wish = replay_wish_read(value);
	ok =
		ok && wish.kind == kind &&
		(kind == REPLAY_NONE || kind == REPLAY_BAD || (wish.since == since && wish.limit == limit));
	printf("%s %s\n", ok ? "ok" : "not ok", broadcast);
	if (!ok)
		exit(1);
}

int
main(void)
{
	check("{}", REPLAY_NONE, 0, 0);
	check("[]", REPLAY_NONE, 0, 0);
	check("{\"replay\":null}", REPLAY_NONE, 0, 0);
	check("{\"replay\":true}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{}}", REPLAY_BY_TIME, 0, 10);
	check("{\"replay\":{\"since\":1699999999999,\"limit\":25}}", REPLAY_BY_TIME, 1699999999999, 25);
	check("{\"replay\":{\"since\":null,\"limit\":null}}", REPLAY_BY_TIME, 0, 10);
	check("{\"replay\":{\"since\":-5,\"limit\":-1}}", REPLAY_BY_TIME, -5, -1);
	check("{\"replay\":{\"since\":1.5}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since\":1e3}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since\":\"1699999999999\"}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since\":1,\"limit\":\"5\"}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since\":1,\"limit\":[]}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since\":999999999999999999}}", REPLAY_BY_TIME, 999999999999999999, 10);
	check("{\"replay\":{\"since\":9999999999999999999}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since_id\":7}}", REPLAY_BY_ID, 7, 10);
	check("{\"replay\":{\"since_id\":\"4294967297\",\"limit\":100}}", REPLAY_BY_ID, 4294967297,
		  100);
	check("{\"replay\":{\"since\":\"x\",\"since_id\":7}}", REPLAY_BY_ID, 7, 10);
	check("{\"replay\":{\"since\":3,\"since_id\":null}}", REPLAY_BY_TIME, 3, 10);
	check("{\"replay\":{\"since_id\":\"\"}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since_id\":\"-\"}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since_id\":\"1x\"}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since_id\":{}}}", REPLAY_BAD, 0, 0);
	check("{\"replay\":{\"since_id\":false}}", REPLAY_BAD, 0, 0);
	return 0;
}
