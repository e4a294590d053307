/*
 * See realtime_target.h. The embedded endpoint is given a short-lived token of its own making, which is renewed
 * long before it ends.
 */
#define _GNU_SOURCE
#include "realtime/realtime_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config.h"
#include "endpoint/embedded.h"
#include "io/server.h"

#define TOKEN_MS 60000
#define MAX_HEADERS 6
#define APIKEY "apikey: "

struct realtime_target
{
	struct app *app;
	char *url;
	char *shown; /* the same for people */
	char *host, *authorization, *apikey;
	uint64_t token_at; /* loop time; 0: there is none */
	const char *headers[MAX_HEADERS];
};

/* The embedded endpoint's address as it can be connected to: what listens on all addresses does on this one. */
static char *
embedded_url(const struct app *app)
{
	const char *listen = app->config->embedded_listen;
	int len = (int) (strrchr(listen, ':') - listen);
	static const char *const any[] = {"", "*", "0.0.0.0", "::", "[::]"};

	for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++)
	{
		if ((int) strlen(any[i]) == len && strncmp(listen, any[i], (size_t) len) == 0)
			return xasprintf("http://127.0.0.1:%d/api/broadcast",
							 server_embedded_port(app->server));
	}
	return xasprintf("http://%.*s:%d/api/broadcast", len, listen,
					 server_embedded_port(app->server));
}

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

static void
renew_token(struct realtime_target *target)
{
	char *token = embedded_service_token(target->app->embedded);

	set_key(target, token);
	free(token);
	target->token_at = uv_now(target->app->loop);
}

bool
realtime_target_renew(struct realtime_target *target)
{
	const char *key = target->app->config->realtime_key;

	if (target->app->embedded != NULL)
	{
		target->token_at = 0;
		return true;
	}
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
	target->url =
		config->realtime_url != NULL ? remote_url(config->realtime_url) : embedded_url(app);
	target->shown = without_userinfo(target->url);
	if (config->realtime_url == NULL)
		return target;
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
	uint64_t now = uv_now(target->app->loop);
	int n = 0;

	if (target->app->embedded != NULL &&
		(target->token_at == 0 || now - target->token_at > TOKEN_MS))
		renew_token(target);
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
