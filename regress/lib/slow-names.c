/*
 * Preloaded into a program: each look-up of a name takes LOOKUP_MS longer, and is told of on stderr when it begins.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	const char *slower = getenv("LOOKUP_MS");

	if (slower != NULL && name != NULL && (hints == NULL || !(hints->ai_flags & AI_NUMERICHOST)))
	{
		dprintf(STDERR_FILENO, "looking up %s\n", name);
		usleep((useconds_t) atol(slower) * 1000);
	}
	return ((lookup) dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, result);
}
