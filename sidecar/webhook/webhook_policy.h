/*
 * What an answer of a webhook means, and when to try again: rules without any I/O.
 */
#ifndef SIDECAR_WEBHOOK_POLICY_H
#define SIDECAR_WEBHOOK_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "io/http.h"

#define WEBHOOK_ERROR_SIZE 512

enum webhook_result
{
	WEBHOOK_OK,
	WEBHOOK_FAILED,
	WEBHOOK_REFUSED /* we may not call that URL */
};

struct webhook_verdict
{
	enum webhook_result result;
	bool again; /* to be tried again after delay_ms */
	int64_t delay_ms;
	int64_t pause_ms;               /* the whole endpoint gets nothing for so long; 0: no pause */
	bool counted;                   /* a failure of the endpoint, and a step of the schedule */
	bool slow;                      /* the endpoint kept us waiting or could not be reached */
	const char *disable;            /* reason to disable the endpoint, or NULL */
	char error[WEBHOOK_ERROR_SIZE]; /* empty when it succeeded */
};

/* The error of a response that stands for an endpoint whose URL is no https, where that is needed: a refusal, too. */
extern const char webhook_scheme_refused[];
/* allow_http: WEBHOOK_ALLOW_HTTP. */
bool webhook_scheme_allowed(const char *url, bool allow_http);

/*
 * Judges an answer. attempt: number of this attempt, from 1. age_s: since the event was made; after the span
 * of the whole schedule not even a busy endpoint is asked again. random: any 32 bits, for the jitter.
 */
void webhook_judge(const struct http_response *response, int attempt, int64_t age_s, time_t now,
				   uint32_t random, struct webhook_verdict *verdict);

/* Reads Retry-After (seconds or a date), clamped to 1 s … 1 h; 0 when it is absent or no such value. */
int64_t webhook_retry_after_ms(const char *text, time_t now);

#endif
