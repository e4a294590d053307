/*
 * How large batches get, by how long answers take: servers of several kinds, in virtual time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/realtime/realtime_size.h"
#include "require.h"

/* How long a server takes for a batch: so much for any, so many microseconds for each event of it. */
struct server
{
	uint64_t any, each;
	uint64_t patience; /* after which a batch is given up; 0: never */
};

/* Sends so many full batches; answers the events that went through, a second. */
static double
send(struct batch_size *size, struct server server, int batches)
{
	uint64_t all = 0;
	long events = 0;

	for (int i = 0; i < batches; i++)
	{
		uint64_t ms = server.any + server.each * (uint64_t) size->now / 1000;
		bool late = server.patience > 0 && ms > server.patience;
		int count = size->now;

		ms = late ? server.patience : ms;
		all += ms;
		events += late ? 0 : count;
		batch_size_note(size, count, ms, !late);
	}
	return all > 0 ? 1000.0 * (double) events / (double) all : 0;
}

int
main(void)
{
	struct batch_size size = batch_size_adapted(500);
	double rate;

	require("it begins small", size.now == SIZE_FIRST && size.most == 500);
	send(&size, (struct server){2, 10, 0}, 3);
	require("a quick server gets the largest after a few", size.now == 500);
	send(&size, (struct server){2, 10, 0}, 100);
	require("and no more than that", size.now == 500);

	batch_size_note(&size, 500, SIZE_LATE_MS, true);
	require("an answer in time changes nothing", size.now == 500);
	batch_size_note(&size, 500, SIZE_LATE_MS + 1, true);
	require("a late one halves", size.now == 250);
	batch_size_note(&size, 3, 1, true);
	require("a small batch says nothing about a large one", size.now == 250);
	batch_size_note(&size, 250, SIZE_LATE_MS / 2 + 1, true);
	require("twice as many would be late", size.now == 250);
	batch_size_note(&size, 250, 1, false);
	require("a quick refusal says nothing", size.now == 250);

	/* 10 ms for each event: 100 are answered in a second. */
	size = batch_size_adapted(500);
	send(&size, (struct server){1, 10000, 0}, 50);
	require("a slow server gets what it answers in time", size.now == 50);
	send(&size, (struct server){1, 10000, 0}, 50);
	require("steadily", size.now == 50);
	send(&size, (struct server){1, 1000, 0}, 50);
	require("and more once it is quicker", size.now == 500);

	/* A batch of 500 takes longer than is waited for. */
	rate = send(&size, (struct server){1, 1000000, 15000}, 60);
	require("a batch that is given up gets smaller until it goes through", rate > 0.5);
	require("and is not tried too large again", size.now <= 15);
	send(&size, (struct server){1, 100, 0}, 10);
	require("until answers are quick again", size.now == 500);

	/* 3 s for any batch, as over a bad line. */
	rate = send(&size, (struct server){3000, 1, 0}, 100);
	require("where any batch takes long they stay large enough",
			size.now == SIZE_LEAST && rate > 15);

	size = batch_size_adapted(10);
	send(&size, (struct server){3000, 1, 0}, 10);
	require("under a low limit late answers change nothing", size.now == 10);
	send(&size, (struct server){15000, 1, 14000}, 10);
	require("but for those that never come", size.now == 1);
	send(&size, (struct server){1, 1, 0}, 10);
	require("and back to the limit", size.now == 10);

	size = batch_size_fixed(500);
	require("one that is fixed begins with all", size.now == 500);
	return 0;
}
