/*
 * See link_keys.h.
 */
#include "link/link_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "endpoint/keyring.h"
#include "io/http.h"

#define MOST_BYTES (64 * 1024)
#define REFRESH_MS (5 * 60 * 1000)
#define TIMEOUT_MS 10000
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000

typedef const char *(*check)(struct keyring *keyring, const char *text);

struct link_keys
{
	struct app *app;
	void (*changed)(void *arg);
	void *arg;
	struct http_pool *pool; /* NULL: nothing is asked for */
	uv_timer_t timer;
	struct backoff backoff;
	bool asking;
	bool destroyed;
	char *jwks;
	char *api_keys;
};

static bool
is_url(const char *where)
{
	return strncmp(where, "http://", 7) == 0 || strncmp(where, "https://", 8) == 0;
}

/* All of a file, malloc'ed; NULL: error says why not. */
static char *
read_file(const char *path, char *error, size_t size)
{
	FILE *file = fopen(path, "r");
	char *text;
	size_t len;

	if (file == NULL)
	{
		snprintf(error, size, "%s: %s", path, strerror(errno));
		return NULL;
	}
	text = xmalloc(MOST_BYTES + 1);
	len = fread(text, 1, MOST_BYTES + 1, file);
	fclose(file);
	if (len <= MOST_BYTES && memchr(text, '\0', len) == NULL)
	{
		text[len] = '\0';
		return text;
	}
	snprintf(error, size, "%s: %s", path, len > MOST_BYTES ? "has more than 64 KiB" : "is no text");
	free(text);
	return NULL;
}

static const char *
fault_of(const char *text, check check)
{
	struct keyring *keyring = keyring_create();
	const char *fault = check(keyring, text);

	keyring_free(keyring);
	return fault;
}

/* The text of a file, malloc'ed, if it is good; NULL: error says why not. */
static char *
read_good(const char *path, check check, char *error, size_t size)
{
	char *text = read_file(path, error, size);
	const char *fault = text != NULL ? fault_of(text, check) : NULL;

	if (fault == NULL)
		return text;
	snprintf(error, size, "%s: %s", path, fault);
	free(text);
	return NULL;
}

static bool
is_good(const char *path, check check, char *error, size_t size)
{
	char *text = read_good(path, check, error, size);
	bool good = text != NULL;

	free(text);
	return good;
}

bool
link_keys_check_jwks(const char *where, char *error, size_t size)
{
	return is_url(where) || is_good(where, keyring_set_jwks, error, size);
}

bool
link_keys_check_api_keys(const char *path, char *error, size_t size)
{
	return is_good(path, keyring_set_api_keys, error, size);
}

char *
link_keys_read(const char *where)
{
	char error[512];
	char *text = where == NULL || is_url(where) ? NULL : read_file(where, error, sizeof(error));

	return text != NULL ? text : xstrdup("");
}

/* Takes over a text; true: it is another one. */
static bool
replace(char **text, char *now)
{
	char *former = *text;
	bool changed = former == NULL || strcmp(former, now) != 0;

	*text = now;
	free(former);
	return changed;
}

/* Reads a file again; where it is not good, what was read before stays. True: it changed. */
static bool
renew(const char *name, const char *path, check check, char **text)
{
	char error[512];
	char *now;

	if (path == NULL)
		return false;
	now = read_good(path, check, error, sizeof(error));
	if (now != NULL)
		return replace(text, now);
	log_event(LOG_ERROR, "reloading failed", "setting", "%s", name, "error", "%s", error, NULL);
	return false;
}

/* From a URL -------------------------------------------------------------------------------------- */

static void ask(struct link_keys *keys);

static void
on_timer(uv_timer_t *timer)
{
	ask(timer->data);
}

static void
complain(struct link_keys *keys, const char *why)
{
	log_event(LOG_ERROR, "EMBEDDED_JWKS cannot be used", "url", "%s",
			  keys->app->config->embedded_jwks, "error", "%s", why, "have", "%s",
			  *keys->jwks != '\0' ? "the former keys" : "no keys", NULL);
}

/* NULL: the answer is a JWKS. */
static const char *
fault_of_answer(const struct http_response *response, char *text, size_t size)
{
	if (response->status == 0)
		return response->error;
	if (response->status != 200)
	{
		snprintf(text, size, "answered %ld", response->status);
		return text;
	}
	if (response->body_len == 0 || response->body_len > MOST_BYTES)
		return response->body_len == 0 ? "is empty" : "has more than 64 KiB";
	return fault_of(response->body, keyring_set_jwks);
}

static void
on_answer(void *arg, const struct http_response *response)
{
	struct link_keys *keys = arg;
	char text[32];
	const char *fault;

	keys->asking = false;
	if (keys->destroyed)
		return;
	fault = fault_of_answer(response, text, sizeof(text));
	if (fault != NULL)
	{
		complain(keys, fault);
		uv_timer_start(&keys->timer, on_timer, backoff_next(&keys->backoff, backoff_random()), 0);
		return;
	}
	backoff_reset(&keys->backoff);
	uv_timer_start(&keys->timer, on_timer, REFRESH_MS, 0);
	if (replace(&keys->jwks, xstrdup(response->body)))
	{
		log_event(LOG_INFO, "keys of EMBEDDED_JWKS are new", NULL);
		keys->changed(keys->arg);
	}
}

static void
ask(struct link_keys *keys)
{
	static const char *const headers[] = {"Accept: application/json", NULL};
	const struct http_request request = {
		.method = "GET",
		.url = keys->app->config->embedded_jwks,
		.headers = headers,
		.timeout_ms = TIMEOUT_MS,
		.max_response = MOST_BYTES + 1,
	};

	if (keys->asking)
		return;
	keys->asking = true;
	http_send(keys->pool, &request, on_answer, keys);
}

/* ------------------------------------------------------------------------------------------------- */

/* True: files have changed. */
static bool
read_files(struct link_keys *keys)
{
	const struct config *config = keys->app->config;
	bool jwks = keys->pool == NULL &&
				renew("EMBEDDED_JWKS", config->embedded_jwks, keyring_set_jwks, &keys->jwks);
	bool api_keys = renew("EMBEDDED_API_KEYS", config->embedded_api_keys, keyring_set_api_keys,
						  &keys->api_keys);

	return jwks || api_keys;
}

struct link_keys *
link_keys_create(struct app *app, void (*changed)(void *arg), void *arg)
{
	static const struct http_pool_options options = {
		.max_connections = 1, .max_per_host = 1, .allow_http = true};
	struct link_keys *keys = xcalloc(1, sizeof(*keys));
	const char *jwks = app->config->embedded_jwks;

	keys->app = app;
	keys->changed = changed;
	keys->arg = arg;
	keys->jwks = xstrdup("");
	keys->api_keys = xstrdup("");
	keys->backoff = (struct backoff){.min_ms = RETRY_MIN_MS, .max_ms = RETRY_MAX_MS};
	uv_timer_init(app->loop, &keys->timer);
	keys->timer.data = keys;
	if (jwks != NULL && is_url(jwks))
	{
		keys->pool = http_pool_create(app->http, &options);
		ask(keys);
	}
	(void) read_files(keys);
	return keys;
}

void
link_keys_reload(struct link_keys *keys)
{
	(void) read_files(keys);
	if (keys->pool != NULL)
		ask(keys);
}

const char *
link_keys_jwks(const struct link_keys *keys)
{
	return keys->jwks;
}

const char *
link_keys_api_keys(const struct link_keys *keys)
{
	return keys->api_keys;
}

static void
on_closed(uv_handle_t *timer)
{
	struct link_keys *keys = timer->data;

	free(keys->jwks);
	free(keys->api_keys);
	free(keys);
}

void
link_keys_destroy(struct link_keys *keys)
{
	keys->destroyed = true;
	if (keys->pool != NULL)
		http_pool_destroy(keys->pool);
	uv_close((uv_handle_t *) &keys->timer, on_closed);
}
