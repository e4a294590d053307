/*
 * See process.h. Settings that are no secrets are in the environment, the others in the first frame.
 *
 * What happens to the core's process group is the core's to decide: the signals that end or reload it are ignored, and
 * this process ends when its end of the pair is closed, or, where it hangs, by the signal that the kernel sends when its
 * parent is gone.
 */
#define _GNU_SOURCE
#include "endpoint/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "config.h"
#include "endpoint/feed.h"
#include "endpoint/internal.h"
#include "endpoint/websockets.h"
#include "io/files.h"
#include "io/listener.h"
#include "link/link_wire.h"

#define OWN_FILES 64         /* the process's own */
#define MOST_CONNECTIONS 512 /* that are no WebSockets (yet) */

struct endpoint
{
	struct app app;
	uv_loop_t loop;
	struct config *config;
	struct keyring *keyring;
	struct listener *listener;
	bool ending;
};

/* Takes from this process what it does not need. False: its parent is gone. */
static bool
confine(const char *parent)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef __SANITIZE_ADDRESS__ /* which looks for leaks as a debugger does */
	prctl(PR_SET_DUMPABLE, 0);
#endif
#ifdef SYS_close_range
	syscall(SYS_close_range, LINK_PORT_FD + 1, ~0U, 0);
#endif
	return getppid() == strtol(parent, NULL, 10);
}

static bool
read_fully(void *to, size_t len)
{
	while (len > 0)
	{
		ssize_t got = read(LINK_FD, to, len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to = (char *) to + got;
		len -= (size_t) got;
	}
	return true;
}

/* The core has judged them. */
static void
take_keys(void *arg, const struct link_settings *settings)
{
	struct endpoint *endpoint = arg;

	keyring_set_secrets(endpoint->keyring, settings->jwt_secrets);
	(void) keyring_set_jwks(endpoint->keyring, settings->jwks);
	(void) keyring_set_api_keys(endpoint->keyring, settings->api_keys);
}

/* Reads the first frame; nothing else is to be done meanwhile. */
static bool
read_settings(struct endpoint *endpoint)
{
	struct buffer in = {0};
	struct link_frame frame;
	struct link_settings settings;
	size_t taken;
	enum link_read state = LINK_INCOMPLETE;

	/* A byte at a time: what is behind the frame is the feed's. */
	while (state == LINK_INCOMPLETE && read_fully(buffer_reserve(&in, 1), 1))
	{
		in.len++;
		state = link_frame_read(in.data, in.len, LINK_MOST_TO_ENDPOINT, &frame, &taken);
	}
	if (state == LINK_COMPLETE && link_settings_read(&frame, &settings))
	{
		config_take_database(endpoint->config, settings.database_url);
		take_keys(endpoint, &settings);
	}
	else
		state = LINK_BROKEN;
	if (in.data != NULL)
		explicit_bzero(in.data, in.len);
	buffer_free(&in);
	return state == LINK_COMPLETE;
}

static void
end(void *arg)
{
	struct endpoint *endpoint = arg;

	if (endpoint->ending)
		return;
	endpoint->ending = true;
	feed_destroy(endpoint->app.embedded->feed);
	endpoint->app.embedded->feed = NULL;
	listener_close(endpoint->listener);
	embedded_stop(endpoint->app.embedded);
}

/* Descriptors for clients are what the process leaves. Answers how many connections that are no WebSockets there may be. */
static int
share_files(struct embedded *embedded, int files)
{
	int clients = files - OWN_FILES > files / 4 ? files - OWN_FILES : files / 4;
	int connections = clients / 4 < MOST_CONNECTIONS ? clients / 4 : MOST_CONNECTIONS;

	embedded->most_sockets = clients - connections;
	log_event(LOG_INFO, "limits by the number of descriptors", "descriptors", "%d", files,
			  "websockets", "%d", embedded->most_sockets, "connections", "%d", connections, NULL);
	return connections;
}

static bool
create(struct endpoint *endpoint)
{
	struct app *app = &endpoint->app;

	app->loop = &endpoint->loop;
	app->config = endpoint->config;
	app->metrics = metrics_create();
	app->embedded = embedded_create(app);
	if (app->embedded == NULL)
		return false;
	app->embedded->keyring = endpoint->keyring;
	endpoint->listener = listener_open(
		app, LINK_PORT_FD, share_files(app->embedded, files_raise_limit()), &embedded_rules, app);
	app->embedded->feed = feed_create(app, LINK_FD, take_keys, end, endpoint);
	return true;
}

int
endpoint_process(char **argv, const char *parent)
{
	struct endpoint endpoint = {.ending = false};

	if (!confine(parent))
		return 1;
	endpoint.config = config_load(1, argv);
	log_setup(config_log_json(endpoint.config), config_log_level(endpoint.config));
	endpoint.keyring = keyring_create();
	if (!read_settings(&endpoint))
		return 1;
	if (uv_loop_init(&endpoint.loop) != 0)
		memory_gone("the event loop");
	if (!create(&endpoint))
		return 1;
	uv_run(&endpoint.loop, UV_RUN_DEFAULT);
	(void) uv_loop_close(&endpoint.loop);
	embedded_destroy(endpoint.app.embedded);
	metrics_destroy(endpoint.app.metrics);
	keyring_free(endpoint.keyring);
	config_free(endpoint.config);
	return 0;
}
