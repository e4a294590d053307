/*
 * A loop that turns is left alone, one that does not ends its process with a line, and systemd hears of both. Each
 * loop is that of a child.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../sidecar/watch/watchdog.h"

#define PATIENCE_MS 300

static void
report(const char *name, int ok)
{
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (!ok)
		exit(1);
}

/* Blocks the loop; ends by itself, so that a test fails rather than hangs. */
static void
hang(uv_timer_t *timer)
{
	(void) timer;
	sleep(60);
	_exit(3);
}

/* What the process is stopped in does not count: it stops for longer than the patience, twice. */
static void
stop_oneself(uv_timer_t *timer)
{
	pid_t parent = getpid();

	(void) timer;
	if (fork() == 0)
	{
		usleep(2 * PATIENCE_MS * 1000);
		kill(parent, SIGCONT);
		_exit(0);
	}
	raise(SIGSTOP);
}

/* No socket can be made from here on. */
static void
lack_descriptors(uv_timer_t *timer)
{
	const struct rlimit none = {0, 0};

	(void) timer;
	if (setrlimit(RLIMIT_NOFILE, &none) != 0)
		_exit(4);
}

static void
end(uv_timer_t *timer)
{
	watchdog_stop(timer->data);
	uv_close((uv_handle_t *) timer, NULL);
}

/* Runs a loop with a watchdog, what happens after 20 ms, and an orderly end after a while. Does not return. */
static void
run_loop(uv_timer_cb what, uint64_t end_ms)
{
	uv_loop_t loop;
	uv_timer_t first, last;

	uv_loop_init(&loop);
	uv_timer_init(&loop, &first);
	uv_timer_init(&loop, &last);
	last.data = watchdog_start(&loop, PATIENCE_MS);
	if (what != NULL)
		uv_timer_start(&first, what, 20, 0);
	uv_timer_start(&last, end, end_ms, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *) &first, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(uv_loop_close(&loop) == 0 ? 0 : 2);
}

/* Its status as waitpid gives it, and what it wrote to stderr. */
static int
run_child(uv_timer_cb what, uint64_t end_ms, char *said, size_t size)
{
	int pipes[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t child;

	if (pipe(pipes) != 0 || (child = fork()) < 0)
		abort();
	if (child == 0)
	{
		dup2(pipes[1], STDERR_FILENO);
		close(pipes[0]);
		run_loop(what, end_ms);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], said + len, size - 1 - len)) > 0)
		len += (size_t) n;
	said[len] = '\0';
	close(pipes[0]);
	waitpid(child, &status, 0);
	return status;
}

/* The status of a child whose log is a pipe that is full, and that nobody reads. */
static int
run_mute_child(void)
{
	int pipes[2], status;
	pid_t child;

	if (pipe2(pipes, O_NONBLOCK) != 0)
		abort();
	while (write(pipes[1], "x", 1) == 1)
		;
	fcntl(pipes[1], F_SETFL, 0);
	if ((child = fork()) < 0)
		abort();
	if (child == 0)
	{
		dup2(pipes[1], STDERR_FILENO);
		run_loop(hang, 10000);
	}
	waitpid(child, &status, 0);
	close(pipes[0]);
	close(pipes[1]);
	return status;
}

/* Where there is no room for another thread's stack there is no watchdog, and no harm. */
static int
starts_without_a_thread(void)
{
	pthread_attr_t attributes;
	int status;
	pid_t child = fork();

	if (child == 0)
	{
		uv_loop_t loop;

		uv_loop_init(&loop);
		pthread_attr_init(&attributes);
		if (pthread_attr_setstacksize(&attributes, (size_t) 1 << 50) != 0 ||
			pthread_setattr_default_np(&attributes) != 0)
			_exit(4);
		if (watchdog_start(&loop, PATIENCE_MS) != NULL)
			_exit(5);
		_exit(uv_loop_close(&loop) == 0 ? 0 : 2);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Takes the place of systemd. */
static int
listen_as_systemd(char path[64])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 10};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(path, 64, "@chat_realtime_watchdog_%ld", (long) getpid());
	memcpy(address.sun_path + 1, path + 1, strlen(path) - 1);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address,
					   (socklen_t) (sizeof(sa_family_t) + strlen(path))) != 0)
		abort();
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static int
hears(int fd, const char *wanted)
{
	char text[64];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strcmp(text, wanted) == 0;
}

int
main(void)
{
	char said[4096], path[64];
	int status, fd;

	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	status = run_child(NULL, 3 * PATIENCE_MS, said, sizeof(said));
	report("a loop that turns is left alone",
		   WIFEXITED(status) && WEXITSTATUS(status) == 0 && said[0] == '\0');
	status = run_child(stop_oneself, 4 * PATIENCE_MS, said, sizeof(said));
	report("a process that was stopped, too", WIFEXITED(status) && WEXITSTATUS(status) == 0);
	status = run_child(hang, 10000, said, sizeof(said));
	report("one that hangs ends by SIGABRT", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	report("with a line in the log", strstr(said, "the event loop does not turn") != NULL);

	status = run_mute_child();
	report("and without one where the log is stuck",
		   WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	report("no thread, no watchdog", starts_without_a_thread());

	fd = listen_as_systemd(path);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "100000", 1);
	status = run_child(NULL, PATIENCE_MS, said, sizeof(said));
	report("systemd hears that it is ready", hears(fd, "READY=1"));
	report("and that it lives", hears(fd, "WATCHDOG=1") && hears(fd, "WATCHDOG=1"));
	status = run_child(lack_descriptors, PATIENCE_MS, said, sizeof(said));
	report("a process that can open nothing more goes on",
		   WIFEXITED(status) && WEXITSTATUS(status) == 0 && said[0] == '\0');
	close(fd);
	setenv("WATCHDOG_PID", "1", 1);
	setenv("NOTIFY_SOCKET", "nowhere", 1);
	status = run_child(NULL, PATIENCE_MS, said, sizeof(said));
	report("a socket that is none does no harm", WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}
