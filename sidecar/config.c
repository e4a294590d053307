/*
 * See config.h. The table is all there is to a setting: its variable is also its long option, in lower case
 * and with dashes. Options win over the environment.
 */
#define _GNU_SOURCE
#include "config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

#define OPTION_NAME_SIZE 64
#define UNSET (-1)

enum kind
{
	TEXT,
	NUMBER,
	SWITCH /* on, off, true, false, yes, no, 1, 0 */
};

struct setting
{
	const char *name;
	enum kind kind;
	const char *preset;
	long min, max;       /* NUMBER */
	const char *choices; /* TEXT: "json|text", NULL: anything */
	size_t offset;
	const char *help;
};

#define FIELD(name) offsetof(struct config, name)

static const struct setting settings[] = {
	{"DATABASE_URL", TEXT, "postgresql:///", 0, 0, NULL, FIELD(database_url),
	 "PostgreSQL, a direct connection (no transaction pooler)"},
	{"DATABASE_URL_FILE", TEXT, NULL, 0, 0, NULL, FIELD(database_url_file),
	 "file that holds DATABASE_URL"},
	{"REALTIME_URL", TEXT, NULL, 0, 0, NULL, FIELD(realtime_url),
	 "Supabase Realtime; unset: the embedded endpoint"},
	{"REALTIME_HOST", TEXT, NULL, 0, 0, NULL, FIELD(realtime_host),
	 "Host header, which names the Realtime tenant; unset: from the URL"},
	{"REALTIME_KEY", TEXT, NULL, 0, 0, NULL, FIELD(realtime_key),
	 "service_role token for Realtime"},
	{"REALTIME_KEY_FILE", TEXT, NULL, 0, 0, NULL, FIELD(realtime_key_file),
	 "file that holds REALTIME_KEY; read again on SIGHUP"},
	{"REALTIME_MAX_EVENTS_PER_SECOND", NUMBER, NULL, 0, 1000000, NULL,
	 FIELD(realtime_max_events_per_second),
	 "the tenant's limit, 0: none; unset: 100 with Realtime, else none"},
	{"REALTIME_PRIVATE", SWITCH, "true", 0, 0, NULL, FIELD(realtime_private),
	 "private channels: clients must join with private: true"},
	{"REALTIME_TRANSPORT", TEXT, "http", 0, 0, "http|database", FIELD(realtime_transport),
	 "how Realtime is reached: http, or database for rows of realtime.messages"},
	{"REALTIME_FALLBACK_SECONDS", NUMBER, "120", 1, 86400, NULL, FIELD(realtime_fallback_seconds),
	 "users stay on Socket.IO at least so long after Realtime failed"},
	{"REALTIME_CANARY", SWITCH, "false", 0, 0, NULL, FIELD(realtime_canary),
	 "a client of its own, over WebSocket, that measures how long events take to clients"},
	{"WEBHOOKS", SWITCH, "on", 0, 0, NULL, FIELD(webhooks), "deliver webhooks"},
	{"WEBHOOK_TIMEOUT_MS", NUMBER, "15000", 1, 120000, NULL, FIELD(webhook_timeout_ms),
	 "time for one attempt, all of it"},
	{"WEBHOOK_ALLOW_CIDRS", TEXT, NULL, 0, 0, NULL, FIELD(webhook_allow_cidrs),
	 "private networks that webhooks may reach, e.g. 10.0.0.0/8,fd00::/8"},
	{"WEBHOOK_ALLOW_HTTP", SWITCH, "false", 0, 0, NULL, FIELD(webhook_allow_http),
	 "webhooks may use http, not only https"},
	{"WEBHOOK_CA_FILE", TEXT, NULL, 0, 0, NULL, FIELD(webhook_ca_file),
	 "authorities for webhooks' TLS, PEM; unset: the system's"},
	{"WEBHOOK_MAX_INFLIGHT", NUMBER, "256", 1, 10000, NULL, FIELD(webhook_max_inflight),
	 "webhook requests at a time"},
	{"WEBHOOK_MAX_PER_HOST", NUMBER, "32", 1, 10000, NULL, FIELD(webhook_max_per_host),
	 "of these, to one host name"},
	{"CORE_MEMORY_LIMIT", NUMBER, "128", 32, 65536, NULL, FIELD(core_memory_limit),
	 "MiB; a quarter of it for webhooks, beyond which reading waits"},
	{"SOCKETIO_CHANNEL", TEXT, NULL, 0, 0, NULL, FIELD(socketio_channel),
	 "NOTIFY channel of @socket.io/postgres-adapter, e.g. socket.io#/chat; unset: no Socket.IO"},
	{"SOCKETIO_TABLE", TEXT, "public.socket_io_attachments", 0, 0, NULL, FIELD(socketio_table),
	 "its table of attachments, with the schema"},
	{"HTTP_LISTEN", TEXT, "127.0.0.1:9464", 0, 0, NULL, FIELD(http_listen),
	 "address of the console, /healthz, /readyz and /metrics"},
	{"CONSOLE", SWITCH, "on", 0, 0, NULL, FIELD(console),
	 "a page on HTTP_LISTEN that shows how deliveries do"},
	{"CONSOLE_TOKEN_FILE", TEXT, NULL, 0, 0, NULL, FIELD(console_token_file),
	 "file that holds the console's token, at least 32 bytes: needed to see webhooks, to send again, and for all of it beyond loopback; read again on SIGHUP"},
	{"CONSOLE_HOSTS", TEXT, NULL, 0, 0, NULL, FIELD(console_hosts),
	 "names by which browsers may reach the console beside HTTP_LISTEN's and localhost, e.g. chat.example.com"},
	{"EMBEDDED_LISTEN", TEXT, "127.0.0.1:4000", 0, 0, NULL, FIELD(embedded_listen),
	 "address of the embedded Realtime endpoint"},
	{"ENDPOINT_DATABASE_URL", TEXT, NULL, 0, 0, NULL, FIELD(endpoint_database_url),
	 "the embedded endpoint's own role (chat.grant_endpoint); unset: DATABASE_URL"},
	{"ENDPOINT_DATABASE_URL_FILE", TEXT, NULL, 0, 0, NULL, FIELD(endpoint_database_url_file),
	 "file that holds ENDPOINT_DATABASE_URL"},
	{"EMBEDDED_JWT_SECRET", TEXT, NULL, 0, 0, NULL, FIELD(embedded_jwt_secret),
	 "secrets of the embedded endpoint's tokens, each of at least 32 bytes, with commas between: the first one signs; unset: random for this run"},
	{"EMBEDDED_JWT_SECRET_FILE", TEXT, NULL, 0, 0, NULL, FIELD(embedded_jwt_secret_file),
	 "file that holds EMBEDDED_JWT_SECRET; read again on SIGHUP"},
	{"EMBEDDED_JWKS", TEXT, NULL, 0, 0, NULL, FIELD(embedded_jwks),
	 "file or URL of the public keys of users' tokens (RS256, ES256, EdDSA); asked again every 5 minutes and on SIGHUP"},
	{"EMBEDDED_API_KEYS", TEXT, NULL, 0, 0, NULL, FIELD(embedded_api_keys),
	 "file with an API key (sb_...) and its role in each line; read again on SIGHUP"},
	{"EMBEDDED_REFUSAL_DELAY_MS", NUMBER, "5000", 0, 60000, NULL, FIELD(embedded_refusal_delay_ms),
	 "after which the embedded endpoint answers a join that it refuses"},
	{"EMBEDDED_MAX_PER_ADDRESS", NUMBER, "1000", 1, 1000000, NULL, FIELD(embedded_max_per_address),
	 "WebSockets of one address"},
	{"EMBEDDED_TRUSTED_PROXIES", TEXT, NULL, 0, 0, NULL, FIELD(embedded_trusted_proxies),
	 "proxies whose X-Forwarded-For says who connects, e.g. 10.0.0.0/8,fd00::/8; this machine is one"},
	{"ENDPOINT_MEMORY_LIMIT", NUMBER, "256", 32, 65536, NULL, FIELD(endpoint_memory_limit),
	 "MiB, beyond which the endpoint takes no one new and closes readers that are far behind"},
	{"LOG_FORMAT", TEXT, "json", 0, 0, "json|text", FIELD(log_format), "json or text"},
	{"LOG_LEVEL", TEXT, "info", 0, 0, "debug|info|warn|error", FIELD(log_level),
	 "debug, info, warn or error"},
};
#define NSETTINGS ((int) (sizeof(settings) / sizeof(settings[0])))

enum
{
	OPTION_CHECK = 1000,
	OPTION_HELP,
	OPTION_VERSION
};

static void *
field(struct config *config, const struct setting *setting)
{
	return (char *) config + setting->offset;
}

void
config_fail(const char *name, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "chat-sidecar: %s: ", name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static char *
copy(const char *text)
{
	char *result = xstrdup(text);

	return result;
}

/* Tells whether a text is one of "a|b|c". */
static bool
is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *at = choices; at != NULL; at = strchr(at, '|'))
	{
		at += *at == '|';
		if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0'))
			return true;
	}
	return false;
}

static void
set_text(struct config *config, const struct setting *setting, const char *value)
{
	char **text = field(config, setting);

	if (setting->choices != NULL && !is_choice(setting->choices, value))
		config_fail(setting->name, "\"%s\" is none of %s", value, setting->choices);
	free(*text);
	*text = copy(value);
}

static void
set_number(struct config *config, const struct setting *setting, const char *value)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || isspace((unsigned char) *value) ||
		number < setting->min || number > setting->max)
		config_fail(setting->name, "\"%s\" is not a whole number from %ld to %ld", value,
					setting->min, setting->max);
	*(int *) field(config, setting) = (int) number;
}

static void
set_switch(struct config *config, const struct setting *setting, const char *value)
{
	bool *result = field(config, setting);

	if (is_choice("on|true|yes|1", value))
		*result = true;
	else if (is_choice("off|false|no|0", value))
		*result = false;
	else
		config_fail(setting->name, "\"%s\" is none of on, off, true, false", value);
}

static void
set(struct config *config, const struct setting *setting, const char *value)
{
	switch (setting->kind)
	{
		case TEXT:
			set_text(config, setting, value);
			break;
		case NUMBER:
			set_number(config, setting, value);
			break;
		case SWITCH:
			set_switch(config, setting, value);
			break;
	}
}

/* Makes the long option of a setting: WEBHOOK_TIMEOUT_MS is webhook-timeout-ms. */
static void
option_name(const struct setting *setting, char out[OPTION_NAME_SIZE])
{
	size_t i;

	for (i = 0; setting->name[i] != '\0' && i < OPTION_NAME_SIZE - 1; i++)
		out[i] = setting->name[i] == '_' ? '-' : (char) tolower((unsigned char) setting->name[i]);
	out[i] = '\0';
}

static void
print_help(void)
{
	printf(
		"chat-sidecar delivers the events of chat_realtime to Realtime, to webhooks and to Socket.IO.\n\n"
		"Every setting is an environment variable and, unless it is a secret, a long option (HTTP_LISTEN is --http-listen).\n\n");
	for (int i = 0; i < NSETTINGS; i++)
	{
		const struct setting *setting = &settings[i];

		printf("  %-31s %s", setting->name, setting->help);
		if (setting->preset != NULL)
			printf(" (%s)", setting->preset);
		putchar('\n');
	}
	printf(
		"\n  As first argument, each with its own --help:\n"
		"  doctor          examine settings, machine, database and Realtime, and say what mends what is wrong\n"
		"  status          consumers, lag, connections and what should be looked at\n"
		"  token           print or check a token of the embedded endpoint\n\n"
		"  --check-config  say whether the settings are good, and end\n"
		"  --version       print the version\n"
		"  --help          print this\n\n"
		"SIGTERM: finish what is under way and end. SIGHUP: read the files of secrets again. Exit status: 0 clean end, 1 failure, 2 bad setting.\n");
}

static void
read_environment(struct config *config)
{
	for (int i = 0; i < NSETTINGS; i++)
	{
		const char *value = getenv(settings[i].name);

		/* Compose files pass variables that were left out as empty ones. */
		if (value == NULL || *value == '\0')
			value = settings[i].preset;
		if (value != NULL)
			set(config, &settings[i], value);
	}
}

/* A setting that can be read from a file may hold a secret. */
static bool
is_secret(const struct setting *setting)
{
	size_t len = strlen(setting->name);

	for (int i = 0; i < NSETTINGS; i++)
	{
		if (strncmp(settings[i].name, setting->name, len) == 0 &&
			strcmp(settings[i].name + len, "_FILE") == 0)
			return true;
	}
	return false;
}

static void
apply_option(struct config *config, int option)
{
	if (option == OPTION_HELP)
	{
		print_help();
		exit(0);
	}
	if (option == OPTION_VERSION)
	{
		puts("chat-sidecar " SIDECAR_VERSION);
		exit(0);
	}
	if (option == OPTION_CHECK)
		config->check_only = true;
	else if (is_secret(&settings[option]))
		config_fail(
			settings[option].name,
			"must not be an option, which every user of the machine can read: set the variable, or %s_FILE",
			settings[option].name);
	else
		set(config, &settings[option], optarg);
}

/* What follows "=", and what is no option at all, may be a secret. */
static void __attribute__((noreturn)) fail_argument(const char *argument)
{
	if (argument[0] != '-')
		config_fail("arguments", "there is one that is no option, see --help");
	config_fail("arguments", "\"%.*s\" is no option, see --help", (int) strcspn(argument, "="),
				argument);
}

static void
read_arguments(struct config *config, int argc, char **argv)
{
	struct option options[NSETTINGS + 4] = {
		{"check-config", no_argument, NULL, OPTION_CHECK},
		{"help", no_argument, NULL, OPTION_HELP},
		{"version", no_argument, NULL, OPTION_VERSION},
	};
	char names[NSETTINGS][OPTION_NAME_SIZE];
	int option;

	opterr = 0;
	optind = 0; /* a command has read options of its own */
	for (int i = 0; i < NSETTINGS; i++)
	{
		option_name(&settings[i], names[i]);
		options[i + 3] = (struct option){names[i], required_argument, NULL, i};
	}
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1)
	{
		if (option == '?')
			fail_argument(argv[optind - 1]);
		if (option == ':')
			config_fail("arguments", "\"%s\" lacks its value", argv[optind - 1]);
		apply_option(config, option);
	}
	if (optind < argc)
		fail_argument(argv[optind]);
}

/* The first line of a file, malloc'ed; NULL: it cannot be read or is empty. */
static char *
read_secret(const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t len = file != NULL ? getline(&line, &size, file) : -1;

	if (file != NULL)
		fclose(file);
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		line[--len] = '\0';
	if (len > 0)
		return line;
	free(line);
	return NULL;
}

static void
take_secret(const char *name, const char *path, char **value)
{
	if (path == NULL)
		return;
	if (getenv(name) != NULL && *getenv(name) != '\0')
		config_fail(name, "is set, and %s_FILE, too: one of them is enough", name);
	free(*value);
	*value = read_secret(path);
	if (*value == NULL)
		config_fail(name, "%s_FILE names no file that can be read, or an empty one", name);
}

/* Makes a secret of 64 hexadecimal digits. */
static char *
random_secret(void)
{
	unsigned char bytes[SECRET_MIN];
	char *secret = xmalloc(2 * sizeof(bytes) + 1);

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		memory_gone("random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(secret + 2 * i, "%02x", bytes[i]);
	return secret;
}

static void
make_secret(struct config *config)
{
	if (config->embedded_jwt_secret != NULL)
		return;
	config->embedded_jwt_secret = random_secret();
	config->embedded_secret_random = true;
}

struct config *
config_load(int argc, char **argv)
{
	struct config *config = xcalloc(1, sizeof(*config));

	config->realtime_max_events_per_second = UNSET;
	read_environment(config);
	read_arguments(config, argc, argv);
	take_secret("DATABASE_URL", config->database_url_file, &config->database_url);
	take_secret("ENDPOINT_DATABASE_URL", config->endpoint_database_url_file,
				&config->endpoint_database_url);
	take_secret("REALTIME_KEY", config->realtime_key_file, &config->realtime_key);
	take_secret("EMBEDDED_JWT_SECRET", config->embedded_jwt_secret_file,
				&config->embedded_jwt_secret);
	take_secret("CONSOLE_TOKEN", config->console_token_file, &config->console_token);
	if (config->realtime_max_events_per_second == UNSET)
		config->realtime_max_events_per_second = config_has_realtime(config) ? 100 : 0;
	config_check(config);
	make_secret(config);
	return config;
}

/* Replaces a value by that of a file, if it is good; else adds to what is wrong. */
static void
renew_secret(const char *name, const char *path, const char *(*fault)(const char *text),
			 char **value, char *error, size_t size)
{
	const char *wrong = "cannot be read, or is empty";
	size_t len = strlen(error);
	char *now;

	if (path == NULL)
		return;
	now = read_secret(path);
	if (now != NULL)
		wrong = fault(now);
	if (wrong == NULL)
	{
		free(*value);
		*value = now;
		return;
	}
	free(now);
	snprintf(error + len, size - len, "%s%s_FILE %s: the old one stays in use", len > 0 ? "; " : "",
			 name, wrong);
}

bool
config_reload(struct config *config, char *error, size_t size)
{
	error[0] = '\0';
	if (config->realtime_url != NULL)
		renew_secret("REALTIME_KEY", config->realtime_key_file, config_key_fault,
					 &config->realtime_key, error, size);
	renew_secret("EMBEDDED_JWT_SECRET", config->embedded_jwt_secret_file, config_secret_fault,
				 &config->embedded_jwt_secret, error, size);
	renew_secret("CONSOLE_TOKEN", config->console_token_file, config_token_fault,
				 &config->console_token, error, size);
	return error[0] == '\0';
}

static bool
is_ours(const char *variable, size_t len)
{
	for (int i = 0; i < NSETTINGS; i++)
	{
		if (strlen(settings[i].name) == len && strncmp(settings[i].name, variable, len) == 0)
			return true;
	}
	return false;
}

static void
warn_of_names(void (*warn)(void *arg, const char *text), void *arg)
{
	const char *names[NSETTINGS];

	for (int i = 0; i < NSETTINGS; i++)
		names[i] = settings[i].name;
	for (char **variable = environ; *variable != NULL; variable++)
	{
		size_t len = strcspn(*variable, "=");
		char name[OPTION_NAME_SIZE], text[256];
		const char *meant;

		if (len >= sizeof(name) || is_ours(*variable, len))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int) len, *variable);
		meant = config_resembles(name, names, NSETTINGS);
		if (meant == NULL)
			continue;
		snprintf(text, sizeof(text), "the variable %s is none of ours: is %s meant?", name, meant);
		warn(arg, text);
	}
}

void
config_warn(const struct config *config, void (*warn)(void *arg, const char *text), void *arg)
{
	warn_of_names(warn, arg);
	if (config_inserts(config) && !config->realtime_canary &&
		(config->realtime_url != NULL || config->realtime_key != NULL))
		warn(arg, "REALTIME_URL and REALTIME_KEY are of no use with REALTIME_TRANSPORT=database");
	if (!config_has_realtime(config) && config->realtime_key != NULL)
		warn(arg,
			 "REALTIME_KEY is of no use without REALTIME_URL: events go to the embedded endpoint");
	if (!config_has_realtime(config) && config->embedded_secret_random)
		warn(
			arg,
			"EMBEDDED_JWT_SECRET is not set: a random one is used, and no token outlives this run");
	if (!config_has_realtime(config) && config->endpoint_database_url == NULL)
		warn(
			arg,
			"ENDPOINT_DATABASE_URL is not set: the endpoint, which strangers talk to, has the rights of "
			"DATABASE_URL; give it a role of its own, with chat.grant_endpoint");
	if (!config->realtime_private)
		warn(arg,
			 "REALTIME_PRIVATE is false: whoever has the anon key hears every conversation; set it "
			 "to true once all clients join with private: true");
}

void
config_take_database(struct config *config, const char *database_url)
{
	free(config->database_url);
	config->database_url = copy(database_url);
}

bool
config_inserts(const struct config *config)
{
	return strcmp(config->realtime_transport, "database") == 0;
}

bool
config_has_realtime(const struct config *config)
{
	return config->realtime_url != NULL || config_inserts(config);
}

bool
config_log_json(const struct config *config)
{
	return strcmp(config->log_format, "json") == 0;
}

enum log_level
config_log_level(const struct config *config)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	int level = LOG_DEBUG;

	while (level < LOG_ERROR && strcmp(names[level], config->log_level) != 0)
		level++;
	return (enum log_level) level;
}

void
config_free(struct config *config)
{
	for (int i = 0; i < NSETTINGS; i++)
	{
		if (settings[i].kind == TEXT)
			free(*(char **) field(config, &settings[i]));
	}
	free(config->console_token);
	free(config);
}
