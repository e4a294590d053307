/*
 * See link_environment.h.
 */
#include "link/link_environment.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define MOST 64

/* Of the system, of the C library, and of what a build was instrumented with. */
static const char *const always[] = {
	"HOME", "LANG", "LC_ALL",       "LD_LIBRARY_PATH", "LD_PRELOAD",    "LLVM_PROFILE_FILE",
	"PATH", "TZ",   "ASAN_OPTIONS", "LSAN_OPTIONS",    "UBSAN_OPTIONS",
};

static bool
is_one_of(const char *variable, size_t len)
{
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
	{
		if (strlen(always[i]) == len && strncmp(always[i], variable, len) == 0)
			return true;
	}
	return false;
}

/* libpq's variables belong to the core's connection: a URL of the endpoint's own says everything. */
static bool
is_passed_on(const char *variable, bool own_url)
{
	return is_one_of(variable, strcspn(variable, "=")) ||
		   (!own_url && strncmp(variable, "PG", 2) == 0);
}

char **
link_environment_create(const struct config *config, char *const *own)
{
	char **environment = xcalloc(MOST + 1, sizeof(*environment));
	int n = 0;

	environment[n++] = xasprintf("LOG_FORMAT=%s", config->log_format);
	environment[n++] = xasprintf("LOG_LEVEL=%s", config->log_level);
	environment[n++] = xasprintf("EMBEDDED_LISTEN=%s", config->embedded_listen);
	environment[n++] = xasprintf("REALTIME_PRIVATE=%s", config->realtime_private ? "on" : "off");
	environment[n++] = xasprintf("EMBEDDED_REFUSAL_DELAY_MS=%d", config->embedded_refusal_delay_ms);
	environment[n++] = xasprintf("EMBEDDED_MAX_PER_ADDRESS=%d", config->embedded_max_per_address);
	environment[n++] = xasprintf("ENDPOINT_MEMORY_LIMIT=%d", config->endpoint_memory_limit);
	if (config->embedded_trusted_proxies != NULL)
		environment[n++] =
			xasprintf("EMBEDDED_TRUSTED_PROXIES=%s", config->embedded_trusted_proxies);
	for (; *own != NULL && n < MOST; own++)
	{
		if (is_passed_on(*own, config->endpoint_database_url != NULL))
			environment[n++] = xstrdup(*own);
	}
	return environment;
}

void
link_environment_free(char **environment)
{
	for (char **variable = environment; *variable != NULL; variable++)
		free(*variable);
	free(environment);
}
