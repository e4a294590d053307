/*
 * See watchdog.h. A timer on the loop counts; a thread looks, some times within its patience, whether it has. It counts
 * its own looks instead of reading a clock, so that a process that was stopped, or a machine that slept, is given as
 * much time as before.
 */
#define _GNU_SOURCE
#include "watch/watchdog.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

#define LOOKS 30 /* within the patience */

struct watchdog
{
	uv_timer_t timer;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	bool stopping;      /* under the mutex */
	atomic_uint turns;  /* of the loop */
	unsigned every_ms;  /* between two looks */
	unsigned notify_ms; /* between two messages to systemd; 0: it wants none */
	unsigned unnotified_ms;
};

/* Tells systemd, where it asked for it. Datagrams: no connection, and what cannot be sent is left out. */
static void
notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = path != NULL ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void) sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *) &address,
				  (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

/* Half of the time that systemd waits for, if it is this process that it waits for. */
static unsigned
notify_interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long) getpid()))
		return 0;
	return (unsigned) (strtoull(usec, NULL, 10) / 2000);
}

static void
on_timer(uv_timer_t *timer)
{
	struct watchdog *watchdog = timer->data;

	atomic_fetch_add(&watchdog->turns, 1);
	watchdog->unnotified_ms += watchdog->every_ms;
	if (watchdog->notify_ms == 0 || watchdog->unnotified_ms < watchdog->notify_ms)
		return;
	watchdog->unnotified_ms = 0;
	notify("WATCHDOG=1");
}

static void __attribute__((noreturn)) end_process(const struct watchdog *watchdog)
{
	struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};

	/* A log that nobody reads may be what the loop hangs on. */
	if (poll(&log, 1, 0) == 1)
		log_event(LOG_ERROR, "the event loop does not turn: ending", "milliseconds", "%d",
				  (int) (watchdog->every_ms * LOOKS), NULL);
	abort();
}

/* Waits for the next look; false: it is to stop. */
static bool
wait_for_look(struct watchdog *watchdog)
{
	struct timespec until;
	bool going;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += watchdog->every_ms / 1000;
	until.tv_nsec += (long) (watchdog->every_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&watchdog->mutex);
	while (!watchdog->stopping &&
		   pthread_cond_timedwait(&watchdog->condition, &watchdog->mutex, &until) == 0)
		;
	going = !watchdog->stopping;
	pthread_mutex_unlock(&watchdog->mutex);
	return going;
}

static void *
look(void *arg)
{
	struct watchdog *watchdog = arg;
	unsigned seen = atomic_load(&watchdog->turns);

	for (int missed = 0; wait_for_look(watchdog);)
	{
		unsigned turns = atomic_load(&watchdog->turns);

		missed = turns == seen ? missed + 1 : 0;
		seen = turns;
		if (missed > LOOKS)
			end_process(watchdog);
	}
	return NULL;
}

static void
init_waiting(struct watchdog *watchdog)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&watchdog->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&watchdog->condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* Signals are for the loop's thread. */
static bool
start_thread(struct watchdog *watchdog)
{
	sigset_t all, before;
	bool started;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(&watchdog->thread, NULL, look, watchdog) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

struct watchdog *
watchdog_start(uv_loop_t *loop, unsigned patience_ms)
{
	struct watchdog *watchdog = xcalloc(1, sizeof(*watchdog));

	watchdog->every_ms = patience_ms / LOOKS;
	watchdog->notify_ms = notify_interval();
	init_waiting(watchdog);
	if (!start_thread(watchdog))
	{
		free(watchdog);
		return NULL;
	}
	uv_timer_init(loop, &watchdog->timer);
	watchdog->timer.data = watchdog;
	uv_timer_start(&watchdog->timer, on_timer, 0, watchdog->every_ms);
	/* It is no reason for the loop to go on. */
	uv_unref((uv_handle_t *) &watchdog->timer);
	notify("READY=1");
	return watchdog;
}

static void
on_closed(uv_handle_t *timer)
{
	struct watchdog *watchdog = timer->data;

	pthread_cond_destroy(&watchdog->condition);
	pthread_mutex_destroy(&watchdog->mutex);
	free(watchdog);
}

void
watchdog_stop(struct watchdog *watchdog)
{
	notify("STOPPING=1");
	pthread_mutex_lock(&watchdog->mutex);
	watchdog->stopping = true;
	pthread_cond_signal(&watchdog->condition);
	pthread_mutex_unlock(&watchdog->mutex);
	pthread_join(watchdog->thread, NULL);
	uv_close((uv_handle_t *) &watchdog->timer, on_closed);
}
