/*
 * Clients: an event that is sent and heard over one WebSocket, as a client's, at Realtime or at a sidecar that runs.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "canary/canary_channel.h"
#include "watch/doctor_internal.h"

#define HEARD_MS 5000
#define NUMBER 1

struct doctor_canary
{
	struct doctor *doctor;
	struct websocket_client *client;
	struct canary_channel *channel;
	char topic[CANARY_TOPIC_SIZE];
	uint64_t pushed_at;
};

/* From within libwebsockets, perhaps, whose end comes later. */
static void
finish(struct doctor_canary *canary)
{
	if (canary->channel != NULL)
		canary_channel_close(canary->channel);
	canary->channel = NULL;
	uv_timer_stop(&canary->doctor->command.timer);
	canary->doctor->command.timer.data = &canary->doctor->command;
	doctor_next(canary->doctor);
}

static void
on_silence(uv_timer_t *timer)
{
	struct doctor_canary *canary = timer->data;

	findings_add(
		canary->doctor->findings, FOUND_ERROR, "canary",
		"look at Realtime's own log: its limit (TENANT_MAX_EVENTS_PER_SECOND), its database",
		"a client joined, and did not hear within %d s what it sent itself", HEARD_MS / 1000);
	finish(canary);
}

static void
on_joined(void *arg)
{
	struct doctor_canary *canary = arg;

	canary->pushed_at = uv_now(canary->doctor->command.app.loop);
	uv_timer_start(&canary->doctor->command.timer, on_silence, HEARD_MS, 0);
	canary_channel_push(canary->channel, NUMBER);
}

static void
on_heard(void *arg, uint64_t number)
{
	struct doctor_canary *canary = arg;

	if (number != NUMBER)
		return;
	findings_add(canary->doctor->findings, FOUND_GOOD, "canary", NULL,
				 "a client joined, and heard what it sent itself after %d ms",
				 (int) (uv_now(canary->doctor->command.app.loop) - canary->pushed_at));
	finish(canary);
}

static void
on_ended(void *arg, const char *where, const char *why)
{
	struct doctor_canary *canary = arg;

	canary->channel = NULL;
	findings_add(
		canary->doctor->findings, FOUND_ERROR, "canary",
		config_has_realtime(canary->doctor->command.config)
			? "clients connect there, too: check REALTIME_URL, REALTIME_KEY, and the gateway's "
			  "route for WebSockets"
			: "a sidecar must run for it, with this EMBEDDED_LISTEN and EMBEDDED_JWT_SECRET",
		"no client can join at %s: %s", where, why);
	finish(canary);
}

static void
begin(struct doctor_canary *canary)
{
	static const struct canary_channel_handlers handlers = {on_joined, on_heard, on_ended};
	struct command *command = &canary->doctor->command;

	canary_topic(canary->topic);
	command->timer.data = canary;
	canary->channel =
		canary_channel_open(&command->app, canary->client, canary->topic, &handlers, canary);
}

/* What there must be to join with; the rest of the settings was checked. */
static bool
has_key(struct doctor *doctor)
{
	const struct config *config = doctor->command.config;
	bool realtime = config_has_realtime(config);

	if (realtime ? config->realtime_url != NULL && config->realtime_key != NULL
				 : !config->embedded_secret_random)
		return true;
	findings_add(doctor->findings, FOUND_WARNING, "canary",
				 realtime ? "set REALTIME_URL and REALTIME_KEY"
						  : "set EMBEDDED_JWT_SECRET, for the sidecar and here",
				 "%s",
				 realtime ? "nobody says where clients connect, and with which key"
						  : "without the endpoint's secret there is no token to join with");
	return false;
}

void
doctor_canary(struct doctor *doctor)
{
	struct doctor_canary *canary;

	if ((!doctor->with_canary && !doctor->command.config->realtime_canary) || !has_key(doctor))
	{
		doctor_next(doctor);
		return;
	}
	canary = doctor->canary = xcalloc(1, sizeof(*canary));
	canary->doctor = doctor;
	canary->client = websocket_client_create(&doctor->command.app);
	if (canary->client == NULL)
		exit(1); /* stderr says what is missing */
	begin(canary);
}

void
doctor_canary_end(struct doctor *doctor)
{
	if (doctor->canary != NULL)
		websocket_client_close(doctor->canary->client);
	doctor_next(doctor);
}

void
doctor_canary_free(struct doctor *doctor)
{
	if (doctor->canary == NULL)
		return;
	websocket_client_free(doctor->canary->client);
	free(doctor->canary);
}
