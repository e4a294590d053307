/*
 * Preloaded into a program: each look-up of a name takes LOOKUP_MS longer, and is told of on stderr when it begins.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	if (name != NULL && (hints == NULL || !(hints->ai_flags & AI_NUMERICHOST)))
	{
		dprintf(STDERR_FILENO, "looking up %s\n", name);
		usleep(LOOKUP_MS * 1000);
	}
	return ((lookup) dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, result);
}
