/*
 * Preloaded into a program: while the file that FAILING_NAMES names is there, no name can be looked up.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	const char *file = getenv("FAILING_NAMES");

	if (name != NULL && (hints == NULL || !(hints->ai_flags & AI_NUMERICHOST)) && file != NULL &&
		access(file, F_OK) == 0)
		return EAI_AGAIN;
	return ((lookup) dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, result);
}
