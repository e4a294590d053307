/*
 * What a socket may send: no second has much more than its share, and what was not used comes back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/endpoint/flow.h"
#include "require.h"

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

	require("so many at once", frames(&flow, 100000) == FLOW_FRAMES_AT_ONCE);
	require("no more in the same moment", !flow_take(&flow, 10, 100000));
	require("what came back in 5 ms", frames(&flow, 100005) == 1);
	require("in a second", frames(&flow, 101005) == FLOW_FRAMES);
	require("after a long silence all of it", frames(&flow, 1000000000) == FLOW_FRAMES_AT_ONCE);
	flow = (struct flow){0};
	require("the greatest frame", flow_take(&flow, FLOW_BYTES_AT_ONCE, 1));
	require("nothing behind it", !flow_take(&flow, 1, 1));
	require("a second later its share",
			flow_take(&flow, FLOW_BYTES, 1001) && !flow_take(&flow, 1, 1001));
	require("what is too long for ever", !flow_take(&flow, FLOW_BYTES_AT_ONCE + 1, 100000));

	flow = (struct flow){0};
	flow_spend(&flow, 2 * FLOW_BYTES_AT_ONCE, 1);
	require("what it had sent to it counts", !flow_take(&flow, 1, 1));
	require("and comes back like the rest", !flow_take(&flow, 1, 5001) &&
												flow_take(&flow, 1, 5002) &&
												!flow_take(&flow, 2001, 5003));

	flow = (struct flow){0};
	require("too much once", !flow_is_stubborn(&flow, 5000));
	for (uint64_t now = 5000; now <= 5000 + FLOW_PATIENCE_MS; now += 500)
		require("and for a while", !flow_is_stubborn(&flow, now));
	require("but not for ever", flow_is_stubborn(&flow, 5001 + FLOW_PATIENCE_MS));
	require("a pause makes good", !flow_is_stubborn(&flow, 5002 + 2 * FLOW_PATIENCE_MS));
	return 0;
}
