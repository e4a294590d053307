/*
 * Preloaded into a throw-away server: a flush of the disk takes FLUSH_US microseconds, whatever disk there is. Nothing is
 * flushed.
 */
#include <stdlib.h>
#include <unistd.h>

static int
flush(void)
{
	const char *time = getenv("FLUSH_US");

	if (time != NULL)
		usleep((useconds_t) atol(time));
	return 0;
}

int
fsync(int fd)
{
	(void) fd;
	return flush();
}

int
fdatasync(int fd)
{
	(void) fd;
	return flush();
}
