/*
 * See canary_target.h.
 */
#define _GNU_SOURCE
#include "canary/canary_target.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config.h"
#include "endpoint/jwt.h"
#include "io/websocket.h"
#include "realtime/realtime_key.h"

#define HOST_MAX 120 /* bytes that libwebsockets takes */

/* Clients connect as supabase-js does: below the path of a gateway, or straight to Realtime. */
#define DIRECT_PATH "/socket"

static char *
url_part(CURLU *url, CURLUPart part, unsigned flags)
{
	char *text, *copy = NULL;

	if (curl_url_get(url, part, &text, flags) == CURLUE_OK)
	{
		copy = xstrdup(text);
		curl_free(text);
	}
	return copy;
}

/* An IPv6 address without its brackets. */
static char *
bare_name(const char *host)
{
	size_t len = strlen(host);

	return host[0] == '[' ? xstrndup(host + 1, len - 2) : xstrdup(host);
}

static void
set_path(struct canary_target *target, const char *base, const char *key)
{
	char *escaped = curl_easy_escape(NULL, key, 0);
	size_t len = strlen(base);

	while (len > 0 && base[len - 1] == '/')
		len--;
	target->path = xasprintf("%.*s/websocket?apikey=%s&vsn=2.0.0",
							 len > 0 ? (int) len : (int) strlen(DIRECT_PATH),
							 len > 0 ? base : DIRECT_PATH, escaped != NULL ? escaped : "");
	curl_free(escaped);
}

static void
set_place(struct canary_target *target, CURLU *url, const char *header)
{
	char *host = url_part(url, CURLUPART_HOST, 0);
	char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	char *explicit_port = url_part(url, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
	char *scheme = url_part(url, CURLUPART_SCHEME, 0);

	target->tls = scheme != NULL && strcmp(scheme, "https") == 0;
	target->name = bare_name(host != NULL ? host : "");
	target->port = port != NULL ? atoi(port) : 0;
	if (header != NULL)
		target->host = xstrdup(header);
	else if (explicit_port != NULL)
		target->host = xasprintf("%s:%s", host, explicit_port);
	else
		target->host = xstrdup(host != NULL ? host : "");
	target->shown =
		xasprintf("%s://%s%s%s", target->tls ? "wss" : "ws", host != NULL ? host : "",
				  explicit_port != NULL ? ":" : "", explicit_port != NULL ? explicit_port : "");
	free(host);
	free(port);
	free(explicit_port);
	free(scheme);
}

static bool
set_url(struct canary_target *target, const char *text, const char *header, const char *key)
{
	CURLU *url = curl_url();
	bool good = url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK;

	if (good)
	{
		char *path = url_part(url, CURLUPART_PATH, 0);

		set_place(target, url, header);
		set_path(target, path != NULL ? path : "", key);
		free(path);
	}
	curl_url_cleanup(url);
	return good;
}

static bool
set_realtime(struct canary_target *target, const struct config *config)
{
	const char *key = config->realtime_key;

	if (!realtime_key_is_opaque(key))
		target->token = xstrdup(key);
	return set_url(target, config->realtime_url, config->realtime_host, key);
}

/* The endpoint on this machine: on all addresses it has the loopback's, too. */
static char *
endpoint_url(const char *listen)
{
	const char *port = strrchr(listen, ':');
	int len = (int) (port - listen);

	if (len == 0 || strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "*:", 2) == 0)
		return xasprintf("http://127.0.0.1%s", port);
	if (strncmp(listen, "[::]:", 5) == 0 || strncmp(listen, ":::", 3) == 0)
		return xasprintf("http://[::1]%s", port);
	return xasprintf("http://%.*s%s", len, listen, port);
}

/* The first secret signs. */
static bool
set_endpoint(struct canary_target *target, const struct config *config, int64_t now)
{
	char *url = endpoint_url(config->embedded_listen);
	char *secret = xstrndup(config->embedded_jwt_secret, strcspn(config->embedded_jwt_secret, ","));
	char *claims = xasprintf("{\"role\":\"service_role\",\"iat\":%lld,\"exp\":%lld}",
							 (long long) now, (long long) now + CANARY_TOKEN_S);
	bool good;

	target->token = jwt_mint(claims, secret);
	target->expires = true;
	good = set_url(target, url, NULL, target->token);
	free(url);
	free(secret);
	free(claims);
	return good;
}

bool
canary_target_make(struct canary_target *target, const struct config *config, int64_t now,
				   char *error, size_t size)
{
	const char *wrong = NULL;
	bool good;

	memset(target, 0, sizeof(*target));
	good = config_has_realtime(config) ? set_realtime(target, config)
									   : set_endpoint(target, config, now);
	if (!good)
		wrong = "its address is none that a WebSocket can go to";
	else if (strlen(target->path) > WEBSOCKET_PATH)
		wrong = "REALTIME_KEY is too long to be said in the address of a WebSocket";
	else if (strlen(target->host) > HOST_MAX)
		wrong = "the name of the host is too long";
	if (wrong == NULL)
		return true;
	snprintf(error, size, "%s", wrong);
	canary_target_free(target);
	return false;
}

void
canary_target_free(struct canary_target *target)
{
	free(target->name);
	free(target->host);
	free(target->path);
	free(target->token);
	free(target->shown);
	memset(target, 0, sizeof(*target));
}
