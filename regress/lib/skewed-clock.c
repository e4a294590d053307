/*
 * Preloaded into a program: its wall clock is CLOCK_AHEAD seconds ahead of the machine's, and time of the clock that nobody
 * sets passes CLOCK_FASTER times as fast. The one that goes on while the machine sleeps stays as it is.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

int
clock_gettime(clockid_t id, struct timespec *now)
{
	const char *ahead = getenv("CLOCK_AHEAD");
	const char *faster = getenv("CLOCK_FASTER");
	int result = (int) syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_REALTIME && ahead != NULL)
		now->tv_sec += atol(ahead);
	if ((id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE) && faster != NULL)
	{
		long long time = (now->tv_sec * SECOND + now->tv_nsec) * atol(faster);

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
