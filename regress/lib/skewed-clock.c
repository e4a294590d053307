/*
 * Preloaded into the sidecar: its wall clock is CLOCK_AHEAD seconds ahead of the machine's, and time of the clock that nobody
 * sets passes CLOCK_FASTER times as fast in the endpoint's process, CORE_FASTER times in the core's. The one that goes on
 * while the machine sleeps stays as it is.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

#ifndef CLOCK_AHEAD
#define CLOCK_AHEAD 0
#endif
#ifndef CLOCK_FASTER
#define CLOCK_FASTER 1
#endif
#ifndef CORE_FASTER
#define CORE_FASTER 1
#endif

static long long faster = 1;

static void __attribute__((constructor)) begin(int argc, char **argv)
{
	faster = argc > 1 && strcmp(argv[1], "endpoint") == 0 ? CLOCK_FASTER : CORE_FASTER;
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
	int result = (int) syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_REALTIME)
		now->tv_sec += CLOCK_AHEAD;
	if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)
	{
		long long time = (now->tv_sec * SECOND + now->tv_nsec) * faster;

		now->tv_sec = time / SECOND;
		now->tv_nsec = time % SECOND;
	}
	return result;
}

time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &now);
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return 0;
}
