/*
 * The webhooks sink.
 *
 * A load is one read of the log; it is done when each of its messages is delivered or stored. That takes no
 * longer than our patience: a message that has been under way for PATIENCE_MS is noted in the database and
 * goes on, and what waits is left to the database, after PATIENCE_MS where the endpoint makes no progress,
 * and after LONG_PATIENCE_MS where it is slow or there is hardly room for more. So neither a dead nor a slow
 * endpoint keeps the position, and with it all others, back. What merely waits for its turn at a fast one is
 * cheaper to keep: it has LONGEST_PATIENCE_MS, and as much is read as can be delivered meanwhile.
 *
 * Stored messages come back through chat.webhook_due. A message under way belongs to its request when the
 * lease or the connection is lost (pair is NULL then): the answer only frees it, and it is delivered again.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "config.h"
#include "consumer/consumer.h"
#include "io/address.h"
#include "io/http.h"
#include "io/own_addresses.h"
#include "webhook/sign.h"
#include "webhook/webhook.h"
#include "base/memory.h"
#include "webhook/webhook_internal.h"
#include "webhook/webhook_terms.h"

#define PATIENCE_MS 1000
#define LONG_PATIENCE_MS 3000
#define LONGEST_PATIENCE_MS 30000
#define TICK_MS 100
#define COUNT_MS 15000
#define OWN_ADDRESSES_MS 60000
#define SWEEP_MS 60000
#define READ_ROWS 256
#define READ_AHEAD 256
#define MIB 1048576

/* Tells the consumer about loads of which nothing is left to do. */
static void
finish_loads(struct webhook *webhook)
{
	struct load **link = &webhook->loads;

	while (*link != NULL)
	{
		struct load *load = *link;

		if (load->asked || load->unfinished > 0)
		{
			link = &load->next;
			continue;
		}
		*link = load->next;
		if (*link == NULL)
			webhook->loads_tail = link;
		webhook->nloads--;
		consumer_done(load->read);
		free(load);
	}
}

void
webhook_take(struct webhook *webhook, struct load *load, struct pair *pair, struct parcel *parcel,
			 bool paused)
{
	struct message *message = message_make(parcel);

	queue_own(webhook->queue, pair, message);
	message->load = load;
	webhook_link(&load->messages, message);
	load->unfinished++;
	/* What comes before it goes to the database before it: after a crash what is stored is sent at once, and the log is read again. */
	if (!pair->parked && (paused || pair->endpoint->paused_until > load->started ||
						  queue_is_full(webhook->queue, pair->endpoint)))
		webhook_park(webhook, pair);
	if (pair->parked)
		webhook_leave(webhook, message);
	else
		queue_push(webhook->queue, message);
}

void
webhook_loaded(struct webhook *webhook, struct load *load)
{
	load->asked = false;
	load->started = uv_now(webhook->app->loop);
	consumer_release(load->read);
	webhook_dispatch(webhook);
	finish_loads(webhook);
}

static void
on_deliver(void *arg, struct read *read)
{
	struct webhook *webhook = arg;
	struct load *load = xcalloc(1, sizeof(*load));

	load->read = read;
	load->started = uv_now(webhook->app->loop);
	*webhook->loads_tail = load;
	webhook->loads_tail = &load->next;
	webhook->nloads++;
	webhook_terms_ask(webhook, load);
}

/* Whether what waits makes the others wait, or soon will. */
static bool
is_pressed(const struct webhook *webhook)
{
	return webhook->nloads >= READ_AHEAD / 2 || queue_has_no_room(webhook->queue);
}

/* How long a message may wait in memory for an endpoint, or its rate limit. */
static uint64_t
patience_with(const struct webhook *webhook, const struct endpoint *endpoint, uint64_t now)
{
	if (endpoint->seat.waits)
		return PATIENCE_MS;
	if (endpoint->failures == 0 && endpoint->seat.speed == FAST)
		return is_pressed(webhook) ? LONG_PATIENCE_MS : LONGEST_PATIENCE_MS;
	return endpoint->succeeded_at + PATIENCE_MS <= now ? PATIENCE_MS : LONG_PATIENCE_MS;
}

/* Answers whether a message of a load that was read at that time has had its chance. */
static bool
is_stuck(const struct webhook *webhook, const struct message *message, uint64_t read_at,
		 uint64_t now)
{
	const struct pair *pair = message->pair;

	if (message->outcome.action != ACTION_NONE)
		return false;
	if (pair->active == message)
		return message->started + PATIENCE_MS <= now;
	return read_at + patience_with(webhook, pair->endpoint, now) <= now;
}

/* Hands over to the database what loads have waited for too long. */
static void
lose_patience(struct webhook *webhook, uint64_t now)
{
	for (struct load *load = webhook->loads; load != NULL && load->started + PATIENCE_MS <= now;
		 load = load->next)
	{
		for (struct message *message = load->messages; message != NULL;
			 message = message->load_next)
		{
			if (is_stuck(webhook, message, load->started, now))
				webhook_park(webhook, message->pair);
		}
	}
}

static bool
is_time(uint64_t *next, uint64_t now, uint64_t every)
{
	if (now < *next)
		return false;
	*next = now + every;
	return true;
}

static void
on_tick(uv_timer_t *timer)
{
	struct webhook *webhook = timer->data;
	uint64_t now = uv_now(webhook->app->loop);

	if (is_time(&webhook->next_addresses, now, OWN_ADDRESSES_MS))
		own_addresses_learn(webhook->rules);
	if (is_time(&webhook->next_sweep, now, SWEEP_MS))
		queue_sweep(webhook->queue, now);
	if (!webhook->leading)
		return;
	queue_tick(webhook->queue, now);
	lose_patience(webhook, now);
	if (now >= webhook->next_poll && !webhook->polling && !webhook->app->draining)
		webhook_poll(webhook);
	if (is_time(&webhook->next_count, now, COUNT_MS))
		webhook_count(webhook);
	webhook_dispatch(webhook);
	consumer_advance(webhook->consumer);
}

static void
on_saved(void *arg, struct message *message, enum message_action action)
{
	webhook_saved(arg, message, action);
}

static void
on_settled(void *arg, bool due)
{
	struct webhook *webhook = arg;

	finish_loads(webhook);
	if ((due || webhook->more_due) && webhook->leading && !webhook->polling &&
		!webhook->app->draining)
		webhook_poll(webhook);
}

static void
on_start(void *arg)
{
	struct webhook *webhook = arg;

	webhook->leading = true;
	webhook->next_poll = webhook->next_count = 0;
	webhook_terms_begin(webhook);
	store_begin(webhook->store, consumer_db(webhook->consumer), consumer_epoch(webhook->consumer));
}

static struct webhook_queue *
make_queue(const struct config *config)
{
	const struct webhook_limits limits = {
		.inflight = config->webhook_max_inflight,
		.per_host = config->webhook_max_per_host,
		.bytes = (size_t) config->core_memory_limit * MIB / 4,
	};

	return queue_create(&limits);
}

/* What is under way belongs to its requests from here on; all else is read or found due again. */
static void
on_stop(void *arg)
{
	struct webhook *webhook = arg;
	struct load *load;

	webhook->leading = webhook->polling = webhook->more_due = false;
	webhook->generation++;
	store_reset(webhook->store);
	queue_destroy(webhook->queue);
	webhook->queue = make_queue(webhook->app->config);
	webhook->due = NULL;
	while ((load = webhook->loads) != NULL)
	{
		webhook->loads = load->next;
		free(load);
	}
	webhook->nloads = 0;
	webhook->loads_tail = &webhook->loads;
	metric_set(webhook->inflight, 0);
}

static bool
is_full(void *arg)
{
	struct webhook *webhook = arg;

	return queue_has_no_room(webhook->queue) || queue_is_ahead(webhook->queue);
}

static bool
filter_address(void *arg, const struct sockaddr *address)
{
	struct webhook *webhook = arg;

	return address_allowed(webhook->rules, address);
}

static void
register_metrics(struct webhook *webhook, struct metrics *metrics)
{
	static const char *const name = "chat_realtime_webhook_attempts_total";
	static const char *const help = "Attempts to deliver to a webhook.";

	webhook->attempts[WEBHOOK_OK] = metrics_counter(metrics, name, "result=\"ok\"", help);
	webhook->attempts[WEBHOOK_FAILED] = metrics_counter(metrics, name, "result=\"failed\"", help);
	webhook->attempts[WEBHOOK_REFUSED] = metrics_counter(metrics, name, "result=\"refused\"", help);
	webhook->inflight =
		metrics_gauge(metrics, "chat_realtime_webhook_inflight", "", "Webhook requests under way.");
	webhook->pending = metrics_gauge(metrics, "chat_realtime_webhook_pending", "",
									 "Stored webhook deliveries that are not done.");
}

/* Makes what can fail because of settings or the machine. */
static bool
create_rules(struct webhook *webhook)
{
	char error[128];

	webhook->rules =
		address_rules_create(webhook->app->config->webhook_allow_cidrs, error, sizeof(error));
	if (webhook->rules == NULL)
	{
		log_event(LOG_ERROR, "WEBHOOK_ALLOW_CIDRS is damaged", "error", "%s", error, NULL);
		return false;
	}
	webhook->signer = signer_create();
	if (webhook->signer == NULL)
		log_event(LOG_ERROR, "the cryptographic library has no HMAC-SHA256", NULL);
	return webhook->signer != NULL;
}

static struct http_pool *
create_pool(struct webhook *webhook)
{
	const struct http_pool_options options = {
		.max_connections = webhook->app->config->webhook_max_inflight,
		.max_per_host = webhook->app->config->webhook_max_per_host,
		.filter = filter_address,
		.filter_arg = webhook,
		.allow_http = webhook->app->config->webhook_allow_http,
		.ca_file = webhook->app->config->webhook_ca_file,
	};

	return http_pool_create(webhook->app->http, &options);
}

static void
start_timer(struct webhook *webhook)
{
	uv_timer_init(webhook->app->loop, &webhook->tick);
	webhook->tick.data = webhook;
	uv_timer_start(&webhook->tick, on_tick, 0, TICK_MS);
}

static bool
is_wanted(const struct config *config)
{
	return config->webhooks;
}

static void *
create(struct app *app, struct consumer *consumer)
{
	static const struct store_handlers handlers = {on_saved, on_settled};
	struct webhook *webhook = xcalloc(1, sizeof(*webhook));

	webhook->app = app;
	webhook->consumer = consumer;
	webhook->loads_tail = &webhook->loads;
	if (!create_rules(webhook))
		return NULL;
	own_addresses_learn(webhook->rules);
	register_metrics(webhook, app->metrics);
	webhook->queue = make_queue(app->config);
	webhook->store = store_create(app, &handlers, webhook);
	webhook->pool = create_pool(webhook);
	start_timer(webhook);
	return webhook;
}

static void
on_closed(uv_handle_t *tick)
{
	struct webhook *webhook = tick->data;

	queue_destroy(webhook->queue);
	address_rules_destroy(webhook->rules);
	signer_destroy(webhook->signer);
	free(webhook);
}

static void
destroy(void *arg)
{
	struct webhook *webhook = arg;

	on_stop(webhook);
	http_pool_destroy(webhook->pool);
	store_destroy(webhook->store);
	uv_close((uv_handle_t *) &webhook->tick, on_closed);
}

const struct sink webhook_sink = {
	.name = "webhooks",
	.part = "webhooks",
	.form = LOG_BODIES,
	.max_rows = READ_ROWS,
	.max_reads = READ_AHEAD,
	.wanted = is_wanted,
	.create = create,
	.destroy = destroy,
	.start = on_start,
	.deliver = on_deliver,
	.stop = on_stop,
	.full = is_full,
};
