/*
 * See files.h.
 */
#include "io/files.h"

#include <sys/resource.h>

#define MOST_FILES 16384 /* as many as are asked of the system */

int
files_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	if (limit.rlim_cur < MOST_FILES)
	{
		limit.rlim_cur = limit.rlim_max < MOST_FILES ? limit.rlim_max : MOST_FILES;
		(void) setrlimit(RLIMIT_NOFILE, &limit);
		(void) getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur < MOST_FILES ? (int) limit.rlim_cur : MOST_FILES;
}
