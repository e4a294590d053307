/*
 * See page_url.h.
 */
#include "watch/page_url.h"

#include <string.h>

#include "base/memory.h"

char *
page_url(const char *listen, const char *path)
{
	const char *port = strrchr(listen, ':');

	if (strncmp(listen, "0.0.0.0:", 8) == 0)
		return xasprintf("http://127.0.0.1%s%s", port, path);
	if (strncmp(listen, "[::]:", 5) == 0)
		return xasprintf("http://[::1]%s%s", port, path);
	return xasprintf("http://%s%s", listen, path);
}
