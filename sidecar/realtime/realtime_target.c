/*
 * See realtime_target.h.
 */
#define _GNU_SOURCE
#include "realtime/realtime_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config.h"

#define MAX_HEADERS 6
#define APIKEY "apikey: "

struct realtime_target
{
	struct app *app;
	char *url;
	char *shown; /* the same for people */
	char *host, *authorization, *apikey;
	const char *headers[MAX_HEADERS];
};

static char *
remote_url(const char *base)
{
	size_t len = strlen(base);

	while (len > 0 && base[len - 1] == '/')
		len--;
	return xasprintf("%.*s/api/broadcast", (int) len, base);
}

/* A URL without the user and password that may stand before the host. */
static char *
without_userinfo(const char *url)
{
	const char *authority = strstr(url, "://") + 3;
	const char *end = authority + strcspn(authority, "/?#");
	const char *at = memrchr(authority, '@', (size_t) (end - authority));

	return xasprintf("%.*s%s", (int) (authority - url), url, at != NULL ? at + 1 : authority);
}

static void
set_key(struct realtime_target *target, const char *key)
{
	free(target->authorization);
	free(target->apikey);
	target->apikey = xasprintf(APIKEY "%s", key);
	/* A gateway refuses a secret key that is no token in the place of one. */
	target->authorization =
		strncmp(key, "sb_", 3) != 0 ? xasprintf("Authorization: Bearer %s", key) : NULL;
}

bool
realtime_target_renew(struct realtime_target *target)
{
	const char *key = target->app->config->realtime_key;

	if (strcmp(target->apikey + strlen(APIKEY), key) == 0)
		return false;
	set_key(target, key);
	return true;
}

struct realtime_target *
realtime_target_create(struct app *app)
{
	struct realtime_target *target = xcalloc(1, sizeof(*target));
	const struct config *config = app->config;

	target->app = app;
	target->url = remote_url(config->realtime_url);
	target->shown = without_userinfo(target->url);
	set_key(target, config->realtime_key);
	if (config->realtime_host != NULL)
		target->host = xasprintf("Host: %s", config->realtime_host);
	return target;
}

void
realtime_target_destroy(struct realtime_target *target)
{
	free(target->url);
	free(target->shown);
	free(target->host);
	free(target->authorization);
	free(target->apikey);
	free(target);
}

const char *
realtime_target_url(const struct realtime_target *target)
{
	return target->url;
}

const char *
realtime_target_shown(const struct realtime_target *target)
{
	return target->shown;
}

const char *const *
realtime_target_headers(struct realtime_target *target)
{
	int n = 0;

	target->headers[n++] = "Content-Type: application/json";
	target->headers[n++] = "User-Agent: chat_realtime/" SIDECAR_VERSION;
	target->headers[n++] = target->apikey;
	if (target->authorization != NULL)
		target->headers[n++] = target->authorization;
	if (target->host != NULL)
		target->headers[n++] = target->host;
	target->headers[n] = NULL;
	return target->headers;
}
