/*
 * Preloaded into a program: its wall clock is CLOCK_AHEAD seconds ahead of the machine's. Clocks that nobody sets stay
 * as they are.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int
clock_gettime(clockid_t id, struct timespec *now)
{
	const char *ahead = getenv("CLOCK_AHEAD");
	int result = (int) syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_REALTIME && ahead != NULL)
		now->tv_sec += atol(ahead);
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
