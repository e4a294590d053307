/*
 * Whether settings make sense, by themselves and together.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "config_internal.h"
#include "endpoint/keyring.h"
#include "io/address.h"
#include "io/authorities.h"
#include "link/link_keys.h"
#include "realtime/realtime_key.h"

#define ENCODE                                                                                     \
	"a user or password with one of the characters @ : / ? # % must have it percent-encoded (@ is %40)"

/* The part between scheme and query; NULL: these are key=value pairs. */
static char *
copy_middle(const char *url)
{
	static const char *const schemes[] = {"postgresql://", "postgres://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
	{
		size_t len = strlen(schemes[i]);

		if (strncmp(url, schemes[i], len) == 0)
			return xstrndup(url + len, strcspn(url + len, "?"));
	}
	return NULL;
}

/* libpq would take a piece of the password for a host, a port or a database, and name it in its errors. */
static bool
is_ambiguous(const char *url)
{
	char *middle = copy_middle(url);
	const char *at = middle != NULL ? strchr(middle, '@') : NULL;
	bool ambiguous =
		at != NULL && (strchr(at + 1, '@') != NULL || memchr(middle, '/', at - middle) != NULL);

	free(middle);
	return ambiguous;
}

static const char *
option_value(const PQconninfoOption *options, const char *keyword)
{
	while (options->keyword != NULL && strcmp(options->keyword, keyword) != 0)
		options++;
	return options->val != NULL ? options->val : "";
}

static void
check_database(const char *name, const char *url)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);

	/* libpq's own message may quote the password. */
	if (options == NULL)
		config_fail(name, "%s",
					"cannot be parsed: expected postgresql://user:password@host:port/database or "
					"key=value pairs; " ENCODE);
	if (is_ambiguous(url))
		config_fail(name, "%s", "is ambiguous: " ENCODE);
	if (option_value(options, "port")[strspn(option_value(options, "port"), "0123456789,")] != '\0')
		config_fail(name, "%s", "has a port that is no number: " ENCODE);
	PQconninfoFree(options);
}

/* An HTTP header of it must stay one line and two words. */
static bool
is_word(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
	{
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

const char *
config_key_fault(const char *key)
{
	return is_word(key) ? realtime_key_fault(key, time(NULL))
						: "contains blanks or characters that are not ASCII";
}

const char *
config_secret_fault(const char *secret)
{
	const char *at = secret;

	/* Those that are forgotten would lock out whoever has a token of theirs. */
	for (int count = 1;; count++)
	{
		size_t len = strcspn(at, ",");

		if (len < SECRET_MIN)
			return at == secret && at[len] == '\0'
					   ? "has less than 32 bytes"
					   : "has a part, between commas, of less than 32 bytes";
		if (count > KEYRING_MAX_SECRETS)
			return "has more than 8 secrets";
		if (at[len] == '\0')
			return NULL;
		at += len + 1;
	}
}

const char *
config_token_fault(const char *token)
{
	if (!is_word(token))
		return "contains blanks or characters that are not ASCII";
	return strlen(token) < SECRET_MIN ? "has less than 32 bytes" : NULL;
}

static void
check_console(const struct config *config)
{
	const char *fault =
		config->console_token != NULL ? config_token_fault(config->console_token) : NULL;

	if (fault != NULL)
		config_fail("CONSOLE_TOKEN_FILE", "the token in it %s", fault);
	if (config->console_hosts != NULL && strpbrk(config->console_hosts, "/@*") != NULL)
		config_fail("CONSOLE_HOSTS", "\"%s\" is no list of host names with commas between",
					config->console_hosts);
}

static void
check_realtime(const struct config *config)
{
	const char *url = config->realtime_url;
	const char *fault;

	if (config_inserts(config) && !config->realtime_canary)
		return;
	if (url == NULL && config_inserts(config))
		config_fail("REALTIME_URL", "is needed with REALTIME_CANARY: its client connects there");
	if (url == NULL)
		return;
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		config_fail("REALTIME_URL", "begins with neither http:// nor https://");
	if (config->realtime_key == NULL)
		config_fail("REALTIME_KEY", "is needed with REALTIME_URL: a token with role service_role");
	if ((fault = config_key_fault(config->realtime_key)) != NULL)
		config_fail("REALTIME_KEY", "%s", fault);
	if (config->realtime_host != NULL && !is_word(config->realtime_host))
		config_fail("REALTIME_HOST", "\"%s\" is no host name", config->realtime_host);
	/* libwebsockets takes the header's name for the certificate's. */
	if (config->realtime_canary && config->realtime_host != NULL &&
		strncmp(url, "https://", 8) == 0)
		config_fail("REALTIME_CANARY", "cannot be with https and REALTIME_HOST");
}

static void
check_webhooks(const struct config *config)
{
	char error[128];
	struct address_rules *rules =
		address_rules_create(config->webhook_allow_cidrs, error, sizeof(error));

	if (rules == NULL)
		config_fail("WEBHOOK_ALLOW_CIDRS", "%s", error);
	address_rules_destroy(rules);
	if (config->webhook_ca_file != NULL &&
		!authorities_check(config->webhook_ca_file, error, sizeof(error)))
		config_fail("WEBHOOK_CA_FILE", "%s: %s", config->webhook_ca_file, error);
}

/* PostgreSQL cuts longer names off, and refuses to send to them. */
#define NAME_MAX_BYTES 63

/* The adapter's channels are a prefix, # and the namespace's name. */
static void
check_socketio(const struct config *config)
{
	const char *channel = config->socketio_channel;
	const char *hash = channel != NULL ? strchr(channel, '#') : NULL;

	if (channel == NULL)
		return;
	if (hash == NULL || hash == channel || hash[1] != '/' || !is_word(channel) ||
		strpbrk(channel, "\"\\") != NULL)
		config_fail(
			"SOCKETIO_CHANNEL",
			"\"%s\" is not the adapter's prefix, # and a namespace, such as socket.io#/chat",
			channel);
	if (strlen(channel) > NAME_MAX_BYTES)
		config_fail("SOCKETIO_CHANNEL", "has more than %d bytes", NAME_MAX_BYTES);
	if (!is_word(config->socketio_table) || strchr(config->socketio_table, '.') == NULL)
		config_fail("SOCKETIO_TABLE", "\"%s\" is not schema.table", config->socketio_table);
}

static void
check_proxies(const struct config *config)
{
	char error[128];
	struct address_rules *rules =
		address_rules_create(config->embedded_trusted_proxies, error, sizeof(error));

	if (rules == NULL)
		config_fail("EMBEDDED_TRUSTED_PROXIES", "%s", error);
	address_rules_destroy(rules);
}

static void
check_listen(const char *name, const char *value)
{
	const char *colon = strrchr(value, ':');
	char *end;
	long port;

	if (colon == NULL || !isdigit((unsigned char) colon[1]))
		config_fail(name, "\"%s\" is not host:port", value);
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || port > 65535)
		config_fail(name, "\"%s\": the port is not a number from 0 to 65535", value);
}

static void
check_tokens(const struct config *config)
{
	char error[512];
	const char *fault;

	if (config->embedded_jwt_secret != NULL &&
		(fault = config_secret_fault(config->embedded_jwt_secret)) != NULL)
		config_fail("EMBEDDED_JWT_SECRET", "%s", fault);
	if (config->embedded_jwks != NULL &&
		!link_keys_check_jwks(config->embedded_jwks, error, sizeof(error)))
		config_fail("EMBEDDED_JWKS", "%s", error);
	if (config->embedded_api_keys != NULL &&
		!link_keys_check_api_keys(config->embedded_api_keys, error, sizeof(error)))
		config_fail("EMBEDDED_API_KEYS", "%s", error);
}

void
config_check(struct config *config)
{
	check_database("DATABASE_URL", config->database_url);
	if (config->endpoint_database_url != NULL)
		check_database("ENDPOINT_DATABASE_URL", config->endpoint_database_url);
	check_realtime(config);
	check_webhooks(config);
	check_proxies(config);
	check_socketio(config);
	check_listen("HTTP_LISTEN", config->http_listen);
	check_console(config);
	check_listen("EMBEDDED_LISTEN", config->embedded_listen);
	check_tokens(config);
}
