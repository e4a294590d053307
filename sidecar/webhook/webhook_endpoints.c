/*
 * See webhook_endpoints.h.
 */
#include "webhook/webhook_endpoints.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define REMEMBER_MS 600000

static char *
copy(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

void
endpoint_free(struct entry *entry)
{
	struct endpoint *endpoint = (struct endpoint *) entry;

	free(endpoint->url);
	free(endpoint->secret);
	free(endpoint->old_secret);
	free(endpoint->headers);
	free(endpoint->signing_key);
	free(endpoint);
}

/* Replaces a text that changed. */
static void
refresh(char **kept, const char *now)
{
	if (*kept != NULL && now != NULL && strcmp(*kept, now) == 0)
		return;
	if (*kept == NULL && now == NULL)
		return;
	free(*kept);
	*kept = copy(now);
}

/* The place that an endpoint takes its turns at, by its owner and its URL's host. */
static void
place(struct shares *shares, struct endpoint *endpoint, const struct endpoint_terms *terms)
{
	struct visit *visit;

	if (endpoint->seat.visit != NULL && strcmp(endpoint->url, terms->url) == 0 &&
		strcmp(endpoint->seat.visit->owner->entry.key, terms->owner) == 0)
		return;
	visit = visit_find(shares, terms->owner, terms->url);
	seat_take(shares, &endpoint->seat, visit);
	visit_let_go(shares, visit);
}

struct endpoint *
endpoint_find(struct table *endpoints, struct shares *shares, const struct endpoint_terms *terms)
{
	struct endpoint *endpoint = (struct endpoint *) table_find(endpoints, terms->id);

	if (endpoint == NULL)
	{
		endpoint = xcalloc(1, sizeof(*endpoint));
		endpoint->ready_tail = &endpoint->ready;
		endpoint->seat.most = INT_MAX;
		table_add(endpoints, &endpoint->entry, terms->id);
	}
	place(shares, endpoint, terms);
	refresh(&endpoint->url, terms->url);
	refresh(&endpoint->secret, terms->secret);
	refresh(&endpoint->old_secret, terms->old_secret);
	refresh(&endpoint->headers, terms->headers);
	refresh(&endpoint->signing_key, terms->signing_key);
	endpoint->limit.per_minute = terms->rate_limit;
	return endpoint;
}

struct sweep
{
	uint64_t now;
	struct endpoint *gone; /* the table must not change meanwhile */
};

/*
 * An endpoint that fails or is paused is remembered, or the next message would find it healthy; so is one that the log
 * has just told of, or it would do so again.
 */
static void
sweep_endpoint(void *arg, struct entry *entry)
{
	struct sweep *sweep = arg;
	struct endpoint *endpoint = (struct endpoint *) entry;

	if (endpoint->seat.messages > 0 || endpoint->seat.waits ||
		endpoint->paused_until > sweep->now || endpoint->next_report > sweep->now ||
		endpoint->used_at + REMEMBER_MS > sweep->now)
		return;
	endpoint->next_gone = sweep->gone;
	sweep->gone = endpoint;
}

void
endpoints_sweep(struct table *endpoints, struct shares *shares, uint64_t now)
{
	struct sweep sweep = {now, NULL};
	struct endpoint *endpoint;

	table_each(endpoints, sweep_endpoint, &sweep);
	while ((endpoint = sweep.gone) != NULL)
	{
		sweep.gone = endpoint->next_gone;
		seat_leave(shares, &endpoint->seat);
		table_remove(endpoints, &endpoint->entry);
		endpoint_free(&endpoint->entry);
	}
}
