/*
 * The port: accepting, making room, and the time that a connection is given; see listener.h.
 */
#define _GNU_SOURCE /* accept4 */

#include "io/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "io/listener_internal.h"

#define BACKLOG 1024
#define ACCEPTS_AT_ONCE 16
#define TICK_MS 1000

/* host:port, [host]:port; false: it is neither. */
static bool
split_listen(const char *listen, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(listen, ':');
	size_t len;

	if (colon == NULL || colon == listen)
		return false;
	len = colon - listen;
	if (*listen == '[' && len > 2 && listen[len - 1] == ']')
	{
		listen++;
		len -= 2;
	}
	if (len >= size)
		return false;
	memcpy(host, listen, len);
	host[len] = '\0';
	*port = colon + 1;
	return true;
}

static int
bind_and_listen(const struct addrinfo *address)
{
	int on = 1;
	int error;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
listener_try(const char *listen, char *error, size_t size)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char host[128];
	const char *port;
	int fd;

	if (!split_listen(listen, host, sizeof(host), &port))
	{
		snprintf(error, size, "\"%s\" is not host:port", listen);
		return -1;
	}
	if (getaddrinfo(host, port, &hints, &found) != 0)
	{
		snprintf(error, size, "%s is not an address to listen on; use 127.0.0.1:PORT", listen);
		return -1;
	}
	fd = bind_and_listen(found);
	if (fd < 0 && errno == EADDRINUSE)
		snprintf(error, size, "%s is already in use; set another address", listen);
	else if (fd < 0)
		snprintf(error, size, "cannot listen on %s: %s", listen, strerror(errno));
	freeaddrinfo(found);
	return fd;
}

int
listener_bind(const char *variable, const char *listen)
{
	char error[256];
	int fd = listener_try(listen, error, sizeof(error));

	if (fd < 0)
		fprintf(stderr, "chat-sidecar: %s: %s\n", variable, error);
	return fd;
}

static void
tell_full(struct listener *l, const char *what)
{
	int times = log_pace_due(&l->full, uv_now(l->app->loop));

	metric_add(l->metrics.refused_full, 1);
	if (times > 0)
		log_event(LOG_WARN, "no room for more connections", "port", "%s", l->rules->name, "reason",
				  "%s", what, "most", "%d", l->most, "times", "%d", times, NULL);
}

/* Closes one that has its answer, else the one that has kept waiting longest; false: all of them are trusted. */
static bool
make_room(struct listener *l)
{
	struct connection *longest = NULL;

	for (struct connection *c = l->first; c != NULL; c = c->next)
	{
		if (c->trusted)
			continue;
		if (longest == NULL)
			longest = c;
		if (c->state != LINGERING)
			continue;
		longest = c;
		break;
	}
	if (longest == NULL)
		return false;
	connection_destroy(longest);
	return true;
}

/* accept failed for want of something: the port rests, since it would be asked again at once. */
static void
pause_accepting(struct listener *l)
{
	tell_full(l, strerror(errno));
	l->paused = true;
	uv_poll_stop(&l->poll);
}

static void
on_connection(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;
	int on = 1;

	(void) status;
	(void) events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++)
	{
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
			pause_accepting(l);
		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (l->count >= l->most)
		{
			tell_full(l, "limit");
			if (!make_room(l))
			{
				close(fd);
				continue;
			}
		}
		connection_create(l, fd);
	}
}

static void
on_tick(uv_timer_t *timer)
{
	struct listener *l = timer->data;
	uint64_t now = uv_now(l->app->loop);
	struct connection *next;

	for (struct connection *c = l->first; c != NULL; c = next)
	{
		next = c->next;
		if (c->deadline > now)
			continue;
		if (c->state != LINGERING && !(c->state == READING_HEAD && c->in_len == 0))
			metric_add(l->metrics.refused_late, 1);
		connection_destroy(c);
	}
	if (l->paused)
	{
		l->paused = false;
		uv_poll_start(&l->poll, UV_READABLE, on_connection);
	}
}

static struct metric *
refusals(struct metrics *metrics, const char *port, const char *reason)
{
	char labels[80];

	snprintf(labels, sizeof(labels), "port=\"%s\",reason=\"%s\"", port, reason);
	return metrics_counter(metrics, "chat_realtime_port_refused_total", labels,
						   "Connections and requests refused for want of room, time or memory.");
}

struct listener_metrics
listener_register_metrics(struct metrics *metrics, const char *port)
{
	struct listener_metrics of;
	char labels[40];

	snprintf(labels, sizeof(labels), "port=\"%s\"", port);
	of.connections = metrics_gauge(metrics, "chat_realtime_port_connections", labels,
								   "HTTP connections to a port, but for WebSockets.");
	of.refused_full = refusals(metrics, port, "full");
	of.refused_late = refusals(metrics, port, "late");
	of.refused_memory = refusals(metrics, port, "memory");
	return of;
}

struct listener *
listener_open(struct app *app, int fd, int most, const struct listener_rules *rules, void *arg)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->app = app;
	l->rules = rules;
	l->arg = arg;
	l->fd = fd;
	l->most = most;
	l->metrics = listener_register_metrics(app->metrics, rules->name);
	if (uv_poll_init_socket(app->loop, &l->poll, fd) != 0)
		memory_gone("a poll handle");
	l->poll.data = l;
	uv_poll_start(&l->poll, UV_READABLE, on_connection);
	uv_timer_init(app->loop, &l->tick);
	l->tick.data = l;
	uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS);
	l->handles = 2;
	return l;
}

static void
handle_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	if (--l->handles == 0)
		free(l);
}

void
listener_close(struct listener *l)
{
	uv_close((uv_handle_t *) &l->tick, handle_closed);
	uv_close((uv_handle_t *) &l->poll, handle_closed);
	close(l->fd);
	while (l->first != NULL)
		connection_destroy(l->first);
}
