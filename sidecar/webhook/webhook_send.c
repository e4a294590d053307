/*
 * Sending webhook messages: starting requests, taking answers in, and leaving to the database what cannot go
 * out now.
 *
 * A message is in exactly one place: waiting in its pair, under way, or with the store (where it can be while
 * it is under way, too: then it was held).
 */
#define _GNU_SOURCE
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <time.h>

#include "config.h"
#include "consumer/consumer.h"
#include "io/http.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "webhook/webhook_internal.h"
#include "webhook/webhook_request.h"

#define HOLD_MARGIN_MS 10000
#define RESPONSE_MAX 1024
#define REPORT_GAP_MS 60000 /* doubled with each line */
#define REPORT_GAP_MAX_MS 3600000
#define DISABLED_PAUSE_MS 5000 /* longer than what was read before lives in memory */

void
webhook_link(struct message **list, struct message *message)
{
	message->load_next = *list;
	if (*list != NULL)
		(*list)->load_link = &message->load_next;
	message->load_link = list;
	*list = message;
}

static void
unlink_message(struct message *message)
{
	if (message->load_link == NULL)
		return;
	*message->load_link = message->load_next;
	if (message->load_next != NULL)
		message->load_next->load_link = message->load_link;
	message->load_link = NULL;
}

static void
leave_load(struct message *message)
{
	if (message->load == NULL)
		return;
	unlink_message(message);
	message->load->unfinished--;
	message->load = NULL;
}

static void
forget_message(struct webhook *webhook, struct message *message)
{
	leave_load(message);
	unlink_message(message);
	queue_release(webhook->queue, message, uv_now(webhook->app->loop));
}

/* Leaves a message that waits to the database. */
void
webhook_leave(struct webhook *webhook, struct message *message)
{
	if (message->stored)
	{
		forget_message(webhook, message);
		return;
	}
	message->outcome.action = ACTION_STORE;
	store_add(webhook->store, message, false);
}

/* Notes a message that is under way in the database, so that its load need not wait for it. */
static void
hold_active(struct webhook *webhook, struct message *message)
{
	if (message->stored || message->outcome.action != ACTION_NONE)
		return;
	message->outcome.action = ACTION_HOLD;
	message->outcome.delay_ms = webhook->app->config->webhook_timeout_ms + HOLD_MARGIN_MS;
	store_add(webhook->store, message, false);
}

/* From now on everything of the pair goes through the database, in order. */
void
webhook_park(struct webhook *webhook, struct pair *pair)
{
	struct message *message;

	pair->parked = true;
	if (pair->active != NULL)
		hold_active(webhook, pair->active);
	/* The last message that is forgotten would take the pair with it. */
	queue_retain(webhook->queue, pair);
	while ((message = queue_take(pair)) != NULL)
		webhook_leave(webhook, message);
	queue_drop(webhook->queue, pair);
}

static void
pause_endpoint(struct webhook *webhook, struct endpoint *endpoint, int64_t pause_ms)
{
	endpoint->paused_until = uv_now(webhook->app->loop) + (uint64_t) pause_ms;
	while (endpoint->ready != NULL)
		webhook_park(webhook, endpoint->ready);
}

static uint32_t
random_bits(void)
{
	uint32_t bits = 0;

	/* Without randomness there is merely no jitter. */
	(void) RAND_bytes((unsigned char *) &bits, sizeof(bits));
	return bits;
}

static void
note_outcome(struct message *message, const struct webhook_verdict *verdict,
			 const struct http_response *response)
{
	message->outcome = (struct outcome){
		.action = verdict->again ? ACTION_RETRY : ACTION_DONE,
		.status = (int) response->status,
		.duration_ms = (int) response->duration_ms,
		.attempted = true,
		.counted = verdict->counted,
		.delay_ms = verdict->delay_ms,
		.pause_ms = verdict->pause_ms,
		.disable = verdict->disable,
	};
	if (verdict->error[0] != '\0')
		message->outcome.error =
			text_copy(verdict->error, strlen(verdict->error), WEBHOOK_ERROR_SIZE, TEXT_LINE);
	if (response->body_len > 0)
		message->outcome.response =
			text_copy(response->body, response->body_len, RESPONSE_MAX, TEXT_LINES);
}

/* Copies what of a URL is no secret: scheme, host and port. */
static void
copy_origin(char *out, size_t size, const char *url)
{
	const char *authority = strstr(url, "://");
	const char *host, *end;

	authority = authority != NULL ? authority + 3 : url;
	end = authority + strcspn(authority, "/?#\\");
	host = memrchr(authority, '@', (size_t) (end - authority));
	host = host != NULL ? host + 1 : authority;
	snprintf(out, size, "%.*s%.*s", (int) (authority - url), url, (int) (end - host), host);
}

/* The first failure of an endpoint leaves a line in the log, and those that follow ever fewer. */
static void
report_failure(struct endpoint *endpoint, const struct webhook_verdict *verdict,
			   const struct http_response *response, uint64_t now)
{
	char origin[256];

	endpoint->unreported++;
	if (now < endpoint->next_report)
		return;
	endpoint->report_gap = endpoint->report_gap == 0 ? REPORT_GAP_MS : 2 * endpoint->report_gap;
	if (endpoint->report_gap > REPORT_GAP_MAX_MS)
		endpoint->report_gap = REPORT_GAP_MAX_MS;
	endpoint->next_report = now + endpoint->report_gap;
	copy_origin(origin, sizeof(origin), endpoint->url);
	/* Where a redirect points to may be as secret as the URL. */
	log_event(LOG_WARN, "a webhook fails", "webhook", "%s", endpoint->entry.key, "url", "%s",
			  origin, "status", "%ld", response->status, "error", "%s",
			  response->status == 0 ? verdict->error : "", "address", "%s",
			  response->refused_address, "failures", "%d", endpoint->unreported, NULL);
	endpoint->unreported = 0;
}

/* Takes an answer in: what it means for the message, its pair and its endpoint. */
static void
complete(struct webhook *webhook, struct message *message, const struct http_response *response)
{
	struct webhook_verdict verdict;
	struct pair *pair = message->pair;
	int64_t now = (int64_t) consumer_now(webhook->consumer);
	/* What succeeded is not tried again after a while. */
	uint32_t jitter = response->status / 100 == 2 ? 0 : random_bits();

	webhook_judge(response, message->attempts + 1, now - message->parcel->created_at, now, jitter,
				  &verdict);
	metric_add(webhook->attempts[verdict.result], 1);
	note_outcome(message, &verdict, response);
	if (verdict.result == WEBHOOK_OK)
		pair->endpoint->succeeded_at = uv_now(webhook->app->loop);
	else
		report_failure(pair->endpoint, &verdict, response, uv_now(webhook->app->loop));
	queue_finished(webhook->queue, message, verdict.result != WEBHOOK_OK && verdict.counted,
				   uv_now(webhook->app->loop));
	store_add(webhook->store, message, message->stored);
	if (verdict.again)
		webhook_park(webhook, pair);
	if (verdict.disable != NULL)
		pause_endpoint(webhook, pair->endpoint, DISABLED_PAUSE_MS);
	else if (verdict.pause_ms > 0)
		pause_endpoint(webhook, pair->endpoint, verdict.pause_ms);
}

static void send_message(struct webhook *webhook, struct message *message);

static void
on_response(void *arg, const struct http_response *response)
{
	struct message *message = arg;
	struct webhook *webhook = message->owner;

	if (message->pair == NULL)
	{
		message_free(message);
		return;
	}
	/*
	 * The endpoint ended an idle connection just as we used it: that says nothing about the message. Without the lease
	 * nothing is sent any more, and what becomes of this one is not saved either.
	 */
	if (response->reused_connection_closed && !message->again && consumer_leads(webhook->consumer))
	{
		message->again = true;
		send_message(webhook, message);
		return;
	}
	complete(webhook, message, response);
	webhook_dispatch(webhook);
	if (queue_inflight(webhook->queue) == 0)
		store_flush(webhook->store);
	metric_set(webhook->inflight, queue_inflight(webhook->queue));
}

/* Answers in place of an endpoint that is not asked. */
static void
refuse(struct webhook *webhook, struct message *message, const char *why)
{
	const struct http_response response = {.error = why};

	complete(webhook, message, &response);
}

/* Sends a message, or settles it where it must not be sent. */
static void
send_message(struct webhook *webhook, struct message *message)
{
	const struct config *config = webhook->app->config;
	struct request_headers headers;
	struct http_request request = {
		.method = "POST",
		.url = message->pair->endpoint->url,
		.headers = headers.list,
		.body = message->parcel->body,
		.body_len = message->parcel->body_len,
		.timeout_ms = config->webhook_timeout_ms,
		.max_response = RESPONSE_MAX,
	};

	if (!webhook_scheme_allowed(request.url, config->webhook_allow_http))
		refuse(webhook, message, webhook_scheme_refused);
	else if (!request_headers(&headers, webhook->signer, message,
							  (int64_t) consumer_now(webhook->consumer)))
		refuse(webhook, message, "the message could not be signed");
	else
	{
		message->owner = webhook;
		http_send(webhook->pool, &request, on_response, message);
	}
}

/* Starts what may be started. */
void
webhook_dispatch(struct webhook *webhook)
{
	struct message *message;

	while (webhook->leading && consumer_leads(webhook->consumer) &&
		   (message = queue_next(webhook->queue, uv_now(webhook->app->loop))) != NULL)
		send_message(webhook, message);
	metric_set(webhook->inflight, queue_inflight(webhook->queue));
}

void
webhook_saved(struct webhook *webhook, struct message *message, enum message_action action)
{
	if (action == ACTION_HOLD)
		leave_load(message);
	else
		forget_message(webhook, message);
}
