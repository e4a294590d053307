/*
 * What a socket may send: no second has much more than its share, and what was not used comes back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/endpoint/flow.h"

static void
check(const char *name, int ok)
{
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (!ok)
		exit(1);
}

static int
frames(struct flow *flow, uint64_t now)
{
	int n = 0;

	while (flow_take(flow, 10, now))
		n++;
	return n;
}

int
main(void)
{
	struct flow flow = {0};

	check("so many at once", frames(&flow, 100000) == FLOW_FRAMES_AT_ONCE);
	check("no more in the same moment", !flow_take(&flow, 10, 100000));
	check("what came back in 5 ms", frames(&flow, 100005) == 1);
	check("in a second", frames(&flow, 101005) == FLOW_FRAMES);
	check("after a long silence all of it", frames(&flow, 1000000000) == FLOW_FRAMES_AT_ONCE);
	flow = (struct flow){0};
	check("the greatest frame", flow_take(&flow, FLOW_BYTES_AT_ONCE, 1));
	check("nothing behind it", !flow_take(&flow, 1, 1));
	check("a second later its share",
		  flow_take(&flow, FLOW_BYTES, 1001) && !flow_take(&flow, 1, 1001));
	check("what is too long for ever", !flow_take(&flow, FLOW_BYTES_AT_ONCE + 1, 100000));

	flow = (struct flow){0};
	flow_spend(&flow, 2 * FLOW_BYTES_AT_ONCE, 1);
	check("what it had sent to it counts", !flow_take(&flow, 1, 1));
	check("and comes back like the rest",
		  !flow_take(&flow, 1, 5001) && flow_take(&flow, 1, 5002) && !flow_take(&flow, 2001, 5003));

	flow = (struct flow){0};
	check("too much once", !flow_is_stubborn(&flow, 5000));
	for (uint64_t now = 5000; now <= 5000 + FLOW_PATIENCE_MS; now += 500)
		check("and for a while", !flow_is_stubborn(&flow, now));
	check("but not for ever", flow_is_stubborn(&flow, 5001 + FLOW_PATIENCE_MS));
	check("a pause makes good", !flow_is_stubborn(&flow, 5002 + 2 * FLOW_PATIENCE_MS));
	return 0;
}
