/*
 * See sinks.h. The table is all that a sink is known by.
 */
#include "sinks.h"

#include <string.h>

#include "consumer/consumer.h"
#include "link/link.h"
#include "realtime/realtime.h"
#include "sink.h"
#include "socketio/socketio.h"
#include "webhook/webhook.h"

static const struct sink *const sinks[] = {&realtime_sink, &link_sink, &webhook_sink,
										   &socketio_sink, NULL};

_Static_assert(sizeof(sinks) / sizeof(sinks[0]) - 1 <= APP_CONSUMERS, "room for every consumer");

bool
sinks_create(struct app *app)
{
	for (int i = 0; sinks[i] != NULL; i++)
	{
		struct consumer *consumer;

		if (!sinks[i]->wanted(app->config))
			continue;
		consumer = consumer_create(app, sinks[i]);
		if (consumer == NULL)
			return false;
		app->consumers[app->nconsumers++] = consumer;
	}
	return true;
}

void
sinks_destroy(struct app *app)
{
	while (app->nconsumers > 0)
		consumer_destroy(app->consumers[--app->nconsumers]);
}

const struct sink *const *
sinks_all(void)
{
	return sinks;
}

struct consumer *
sinks_consumer(const struct app *app, const char *name)
{
	for (int i = 0; i < app->nconsumers; i++)
	{
		if (strcmp(consumer_sink(app->consumers[i])->name, name) == 0)
			return app->consumers[i];
	}
	return NULL;
}

struct db *
sinks_db(const struct app *app)
{
	for (int i = 0; i < app->nconsumers; i++)
	{
		if (consumer_connected(app->consumers[i]))
			return consumer_db(app->consumers[i]);
	}
	return NULL;
}
