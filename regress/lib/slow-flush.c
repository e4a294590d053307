/*
 * Preloaded into a throw-away server: a flush of the disk takes FLUSH_US microseconds, whatever disk there is. Nothing is
 * flushed.
 */
#include <unistd.h>

static int
flush(void)
{
	usleep(FLUSH_US);
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
