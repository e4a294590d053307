/*
 * See realtime_single.h.
 */
#include "realtime/realtime_single.h"

#include <stdio.h>

#include "base/backoff.h"

#define TIMEOUT_MS 15000
#define RESPONSE_MAX 1024
#define URL_SIZE 4096

static const char body[] = "{\"check\":true}";

void
realtime_single_send(struct http_pool *pool, struct realtime_target *target, const char *what,
					 http_callback callback, void *arg)
{
	char url[URL_SIZE];
	struct http_request request = {
		.method = "POST",
		.url = url,
		.headers = realtime_target_headers(target),
		.body = body,
		.body_len = sizeof(body) - 1,
		.timeout_ms = TIMEOUT_MS,
		.max_response = RESPONSE_MAX,
	};

	snprintf(url, sizeof(url), "%s/canary%%3A%08x%08x/events/%s?private=true",
			 realtime_target_url(target), backoff_random(), backoff_random(), what);
	http_send(pool, &request, callback, arg);
}
