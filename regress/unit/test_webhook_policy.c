/*
 * What answers mean: classes of status, the schedule with its jitter, Retry-After, and an endpoint's wishes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/webhook/webhook_policy.h"
#include "require.h"

#define NOW 1700000000 /* Tue, 14 Nov 2023 22:13:20 GMT */

static struct webhook_verdict
judge(struct http_response response, int attempt, uint32_t random)
{
	struct webhook_verdict verdict;

	webhook_judge(&response, attempt, 10, NOW, random, &verdict);
	return verdict;
}

static void
check_success(void)
{
	struct webhook_verdict v = judge((struct http_response){.status = 204}, 1, 0);

	require("2xx succeeds",
			v.result == WEBHOOK_OK && !v.again && v.error[0] == '\0' && v.disable == NULL);
	v = judge((struct http_response){.status = 200, .webhook_delivery = "disable"}, 1, 0);
	require("2xx that wants no more", v.result == WEBHOOK_OK && v.disable != NULL);
}

static void
check_schedule(void)
{
	static const int64_t wanted_s[] = {5, 300, 1800, 7200, 18000, 36000, 36000};
	struct webhook_verdict v;

	for (int attempt = 1; attempt <= 7; attempt++)
	{
		int64_t ms = wanted_s[attempt - 1] * 1000;

		v = judge((struct http_response){.status = 500}, attempt, 0);
		require("earliest", v.again && v.counted && v.delay_ms == ms * 8 / 10);
		v = judge((struct http_response){.status = 500}, attempt, UINT32_MAX);
		require("latest", v.again && v.delay_ms == ms * 12 / 10);
	}
	v = judge((struct http_response){.status = 500}, 8, 0);
	require("given up after eight", !v.again && v.result == WEBHOOK_FAILED);
}

static void
check_classes(void)
{
	struct webhook_verdict v = judge((struct http_response){.status = 404}, 1, 0);

	require("other 4xx is tried again",
			v.again && v.delay_ms == 4000 && strcmp(v.error, "HTTP 404") == 0);
	v = judge((struct http_response){.status = 302, .location = "https://x.example/"}, 1, 0);
	require("redirect", v.again && strstr(v.error, "https://x.example/") != NULL);
	v = judge((struct http_response){.status = 502}, 1, 0);
	require("502 gets a minute", v.again && v.counted && v.delay_ms == 60000);
	v = judge((struct http_response){.error = "timed out", .timed_out = true}, 2, 0);
	require("timeout later in the schedule", v.again && v.slow && v.delay_ms == 240000);
	v = judge((struct http_response){.error = "connection refused", .connect_failed = true}, 1, 0);
	require("no connection", v.again && strcmp(v.error, "connection refused") == 0);
	v = judge((struct http_response){.error = "no", .refused_address = "10.0.0.1"}, 1, 0);
	require("refused address", v.result == WEBHOOK_REFUSED && !v.again && v.counted);
	require("what refused addresses need, without the address",
			strstr(v.error, "not public") != NULL &&
				strstr(v.error, "WEBHOOK_ALLOW_CIDRS") != NULL &&
				strstr(v.error, "10.0.0.1") == NULL);
	v = judge((struct http_response){.error = webhook_scheme_refused}, 1, 0);
	require("schemes", webhook_scheme_allowed("HTTPS://a", false) &&
						   !webhook_scheme_allowed("http://a", false) &&
						   webhook_scheme_allowed("http://a", true) &&
						   !webhook_scheme_allowed("ftp://a", true));
	require("refused scheme", v.result == WEBHOOK_REFUSED && !v.again && v.counted &&
								  strstr(v.error, "WEBHOOK_ALLOW_HTTP") != NULL);
	v = judge((struct http_response){.status = 410}, 1, 0);
	require("410 disables", !v.again && v.disable != NULL);
	v = judge((struct http_response){.status = 500, .webhook_delivery = "Disable"}, 1, 0);
	require("wish to be disabled", !v.again && v.disable != NULL);
	v = judge((struct http_response){.status = 500, .webhook_delivery = "abort-message"}, 1, 0);
	require("wish to abort", !v.again && v.disable == NULL && v.counted);
}

static void
check_busy(void)
{
	struct webhook_verdict v =
		judge((struct http_response){.status = 429, .retry_after = "7"}, 8, 0);
	struct http_response busy = {.status = 429, .retry_after = "7"};

	require("429 pauses and uses nothing up",
			v.again && !v.counted && v.pause_ms == 7000 && v.delay_ms == 7000);
	v = judge((struct http_response){.status = 503, .retry_after = "0"}, 1, 0);
	require("503 with Retry-After", v.again && !v.counted && v.pause_ms == 1000);
	v = judge((struct http_response){.status = 503}, 1, 0);
	require("503 without", v.again && v.counted && v.pause_ms == 0 && v.delay_ms == 4000);
	v = judge((struct http_response){.status = 429}, 1, 0);
	require("429 without", v.again && !v.counted && v.pause_ms == 0 && v.delay_ms == 60000);
	webhook_judge(&busy, 1, 99306, NOW, 0, &v);
	require("not for ever", !v.again);
}

static void
check_retry_after(void)
{
	require("absent", webhook_retry_after_ms(NULL, NOW) == 0);
	require("empty", webhook_retry_after_ms("", NOW) == 0);
	require("words", webhook_retry_after_ms("soon", NOW) == 0);
	require("trailing text", webhook_retry_after_ms("5 s", NOW) == 0);
	require("negative", webhook_retry_after_ms("-5", NOW) == 0);
	require("zero", webhook_retry_after_ms("0", NOW) == 1000);
	require("huge", webhook_retry_after_ms("99999999999999999999999", NOW) == 3600000);
	require("date", webhook_retry_after_ms("Tue, 14 Nov 2023 22:13:50 GMT", NOW) == 30000);
	require("date in the past",
			webhook_retry_after_ms("Tue, 14 Nov 2023 22:13:00 GMT", NOW) == 1000);
	require("far date", webhook_retry_after_ms("Thu, 14 Nov 2024 22:13:00 GMT", NOW) == 3600000);
	require("damaged date", webhook_retry_after_ms("Tue, 14 Nov 2023", NOW) == 0);
}

int
main(void)
{
	check_success();
	check_schedule();
	check_classes();
	check_busy();
	check_retry_after();
	return 0;
}
