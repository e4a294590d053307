/*
 * Classification of answers and the retry schedule.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "webhook/webhook_policy.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define OVERLOAD_DELAY_MS MINUTE
#define RETRY_AFTER_MAX_MS HOUR

/* Delay after the n-th failed attempt; after the last one of the schedule the message is given up. */
static const int64_t schedule_ms[] = {5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR,
									  5 * HOUR,   10 * HOUR,  10 * HOUR};
#define SCHEDULE_LENGTH ((int) (sizeof(schedule_ms) / sizeof(schedule_ms[0])))
#define SCHEDULE_SPAN_S 99305

const char webhook_scheme_refused[] =
	"refused: only https is allowed, unless WEBHOOK_ALLOW_HTTP is true";

static bool
starts_with(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

bool
webhook_scheme_allowed(const char *url, bool allow_http)
{
	return starts_with(url, "https://") || (allow_http && starts_with(url, "http://"));
}

int64_t
webhook_retry_after_ms(const char *text, time_t now)
{
	struct tm date = {0};
	char *end;
	int64_t ms;

	if (text == NULL || *text == '\0')
		return 0;
	ms = strtoll(text, &end, 10);
	if (end != text && *end == '\0' && *text >= '0' && *text <= '9')
		ms = ms > RETRY_AFTER_MAX_MS / SECOND ? RETRY_AFTER_MAX_MS : ms * SECOND;
	else if ((end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &date)) != NULL && *end == '\0')
		ms = (int64_t) (timegm(&date) - now) * SECOND;
	else
		return 0;
	if (ms < SECOND)
		return SECOND;
	return ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : ms;
}

static int64_t
with_jitter(int64_t ms, uint32_t random)
{
	return ms * 8 / 10 + (int64_t) (ms * 4 / 10 * (double) random / UINT32_MAX);
}

/* Sets the next attempt by the schedule, but not before least_ms. */
static void
try_again(struct webhook_verdict *verdict, int attempt, int64_t least_ms, uint32_t random)
{
	int64_t delay;

	if (attempt > SCHEDULE_LENGTH)
		return;
	delay = schedule_ms[attempt - 1];
	verdict->again = true;
	verdict->delay_ms = with_jitter(delay, random);
	if (verdict->delay_ms < least_ms)
		verdict->delay_ms = least_ms + (int64_t) ((uint64_t) random % (uint64_t) (least_ms / 5));
}

/* A busy endpoint says when it wants to be asked again: nothing of the schedule is used up. */
static void
wait_for_endpoint(struct webhook_verdict *verdict, int64_t pause_ms, int64_t age_s, uint32_t random)
{
	verdict->counted = false;
	verdict->pause_ms = pause_ms;
	verdict->again = age_s < SCHEDULE_SPAN_S;
	verdict->delay_ms =
		pause_ms > 0 ? pause_ms : OVERLOAD_DELAY_MS + random % (OVERLOAD_DELAY_MS / 5);
}

static bool
is_refused(const struct http_response *response)
{
	return response->refused_address != NULL || response->error == webhook_scheme_refused;
}

/* Owners of webhooks read it: the address that a name stands for inside is none of their business. */
static void
describe(const struct http_response *response, struct webhook_verdict *verdict)
{
	if (response->refused_address != NULL)
		strcpy(verdict->error, "refused: the address is not public, and none of the networks "
							   "in WEBHOOK_ALLOW_CIDRS has it");
	else if (response->status == 0)
		snprintf(verdict->error, sizeof(verdict->error), "%s",
				 response->error != NULL ? response->error : "no answer");
	else if (response->status >= 300 && response->status < 400)
		snprintf(verdict->error, sizeof(verdict->error), "HTTP %ld: redirect to %s is not followed",
				 response->status, response->location != NULL ? response->location : "nowhere");
	else
		snprintf(verdict->error, sizeof(verdict->error), "HTTP %ld", response->status);
}

static void
judge_failure(const struct http_response *response, int attempt, int64_t age_s, time_t now,
			  uint32_t random, struct webhook_verdict *verdict)
{
	int64_t retry_after = webhook_retry_after_ms(response->retry_after, now);

	verdict->slow = response->status == 0;
	if (response->status == 429 || (response->status == 503 && retry_after > 0))
		wait_for_endpoint(verdict, retry_after, age_s, random);
	else if (response->status == 502 || response->status == 504 || response->timed_out)
		try_again(verdict, attempt, OVERLOAD_DELAY_MS, random);
	else
		try_again(verdict, attempt, 0, random);
}

void
webhook_judge(const struct http_response *response, int attempt, int64_t age_s, time_t now,
			  uint32_t random, struct webhook_verdict *verdict)
{
	const char *wish = response->webhook_delivery != NULL ? response->webhook_delivery : "";

	memset(verdict, 0, sizeof(*verdict));
	verdict->counted = true;
	if (strcasecmp(wish, "disable") == 0)
		verdict->disable = "the endpoint answered webhook-delivery: disable";
	else if (response->status == 410)
		verdict->disable = "the endpoint answered 410 Gone";
	if (response->status >= 200 && response->status < 300)
		return;

	verdict->result = is_refused(response) ? WEBHOOK_REFUSED : WEBHOOK_FAILED;
	describe(response, verdict);
	if (verdict->result == WEBHOOK_REFUSED || verdict->disable != NULL ||
		strcasecmp(wish, "abort-message") == 0)
		return;
	judge_failure(response, attempt, age_s, now, random, verdict);
}
