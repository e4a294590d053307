/*
 * See config.h. The table is all there is to a setting: its variable is also its long option, in lower case
 * and with dashes. Options win over the environment.
 */
#define _GNU_SOURCE
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"

#define OPTION_NAME_SIZE 64
#define SECRET_MIN 32
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
	 "the tenant's limit, 0: none; unset: 100 with REALTIME_URL, else none"},
	{"REALTIME_PRIVATE", SWITCH, "true", 0, 0, NULL, FIELD(realtime_private),
	 "private channels: clients must join with private: true"},
	{"REALTIME_TRANSPORT", TEXT, "http", 0, 0, "http|database", FIELD(realtime_transport),
	 "how Realtime is reached: http"},
	{"WEBHOOKS", SWITCH, "on", 0, 0, NULL, FIELD(webhooks), "deliver webhooks"},
	{"WEBHOOK_TIMEOUT_MS", NUMBER, "15000", 1, 120000, NULL, FIELD(webhook_timeout_ms),
	 "time for one attempt, all of it"},
	{"WEBHOOK_ALLOW_CIDRS", TEXT, NULL, 0, 0, NULL, FIELD(webhook_allow_cidrs),
	 "private networks that webhooks may reach, e.g. 10.0.0.0/8,fd00::/8"},
	{"WEBHOOK_ALLOW_HTTP", SWITCH, "false", 0, 0, NULL, FIELD(webhook_allow_http),
	 "webhooks may use http, not only https"},
	{"WEBHOOK_MAX_INFLIGHT", NUMBER, "256", 1, 10000, NULL, FIELD(webhook_max_inflight),
	 "webhook requests at a time"},
	{"SOCKETIO_CHANNEL", TEXT, NULL, 0, 0, NULL, FIELD(socketio_channel),
	 "NOTIFY channel of the Socket.IO adapter; not in this version"},
	{"HTTP_LISTEN", TEXT, "127.0.0.1:9464", 0, 0, NULL, FIELD(http_listen),
	 "address of /healthz, /readyz and /metrics"},
	{"EMBEDDED_LISTEN", TEXT, "127.0.0.1:4000", 0, 0, NULL, FIELD(embedded_listen),
	 "address of the embedded Realtime endpoint"},
	{"EMBEDDED_JWT_SECRET", TEXT, NULL, 0, 0, NULL, FIELD(embedded_jwt_secret),
	 "secret of the embedded endpoint's tokens, at least 32 bytes; unset: random for this run"},
	{"EMBEDDED_JWT_SECRET_FILE", TEXT, NULL, 0, 0, NULL, FIELD(embedded_jwt_secret_file),
	 "file that holds EMBEDDED_JWT_SECRET; read again on SIGHUP"},
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

/* Prints what is wrong with a setting and ends. Values of secrets must not get here. */
static void __attribute__((noreturn, format(printf, 2, 3)))
fail(const char *name, const char *format, ...)
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
	char *result = strdup(text);

	if (result == NULL)
		abort();
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
		fail(setting->name, "\"%s\" is none of %s", value, setting->choices);
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
		fail(setting->name, "\"%s\" is not a whole number from %ld to %ld", value, setting->min,
			 setting->max);
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
		fail(setting->name, "\"%s\" is none of on, off, true, false", value);
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
		"chat-sidecar delivers the events of chat_realtime to Realtime and to webhooks.\n\n"
		"Every setting is an environment variable and a long option (HTTP_LISTEN is --http-listen).\n\n");
	for (int i = 0; i < NSETTINGS; i++)
	{
		const struct setting *setting = &settings[i];

		printf("  %-31s %s", setting->name, setting->help);
		if (setting->preset != NULL)
			printf(" (%s)", setting->preset);
		putchar('\n');
	}
	printf(
		"\n  --check-config  say whether the settings are good, and end\n"
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
	else
		set(config, &settings[option], optarg);
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
	for (int i = 0; i < NSETTINGS; i++)
	{
		option_name(&settings[i], names[i]);
		options[i + 3] = (struct option){names[i], required_argument, NULL, i};
	}
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1)
	{
		if (option == '?')
			fail("arguments", "\"%s\" is no option, see --help", argv[optind - 1]);
		if (option == ':')
			fail("arguments", "\"%s\" lacks its value", argv[optind - 1]);
		apply_option(config, option);
	}
	if (optind < argc)
		fail("arguments", "\"%s\" is no option, see --help", argv[optind]);
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
		fail(name, "is set, and %s_FILE, too: one of them is enough", name);
	free(*value);
	*value = read_secret(path);
	if (*value == NULL)
		fail(name, "%s_FILE cannot be read, or is empty: %s", name, path);
}

static void
check_database(const struct config *config)
{
	char *error = NULL;
	PQconninfoOption *options = PQconninfoParse(config->database_url, &error);

	/* The message may quote the password. */
	if (options == NULL)
		fail(
			"DATABASE_URL",
			"cannot be parsed: expected postgresql://user:password@host:port/database or key=value pairs");
	PQconninfoFree(options);
	PQfreemem(error);
}

/* An HTTP header of the key must stay one line and two words. */
static bool
is_token(const char *text)
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

static void
check_realtime(struct config *config)
{
	const char *url = config->realtime_url;

	if (strcmp(config->realtime_transport, "http") != 0)
		fail("REALTIME_TRANSPORT", "\"%s\" is not in this version; http is",
			 config->realtime_transport);
	if (url == NULL)
		return;
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		fail("REALTIME_URL", "\"%s\" begins with neither http:// nor https://", url);
	if (config->realtime_key == NULL)
		fail("REALTIME_KEY", "is needed with REALTIME_URL: a token with role service_role");
	if (!is_token(config->realtime_key))
		fail("REALTIME_KEY", "contains blanks or characters that are not ASCII");
	if (config->realtime_host != NULL && !is_token(config->realtime_host))
		fail("REALTIME_HOST", "\"%s\" is no host name", config->realtime_host);
}

static void
check_webhooks(const struct config *config)
{
	char error[128];
	struct address_rules *rules =
		address_rules_create(config->webhook_allow_cidrs, error, sizeof(error));

	if (rules == NULL)
		fail("WEBHOOK_ALLOW_CIDRS", "%s", error);
	address_rules_destroy(rules);
	if (config->socketio_channel != NULL)
		fail("SOCKETIO_CHANNEL", "is not in this version: leave it unset");
}

static void
check_listen(const char *name, const char *value)
{
	const char *colon = strrchr(value, ':');
	char *end;
	long port;

	if (colon == NULL || !isdigit((unsigned char) colon[1]))
		fail(name, "\"%s\" is not host:port", value);
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || port > 65535)
		fail(name, "\"%s\": the port is not a number from 0 to 65535", value);
}

/* Makes a secret of 64 hexadecimal digits. */
static char *
random_secret(void)
{
	unsigned char bytes[SECRET_MIN];
	char *secret = malloc(2 * sizeof(bytes) + 1);

	if (secret == NULL || RAND_bytes(bytes, sizeof(bytes)) != 1)
		abort();
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(secret + 2 * i, "%02x", bytes[i]);
	return secret;
}

static void
check_secret(struct config *config)
{
	if (config->embedded_jwt_secret == NULL)
	{
		config->embedded_jwt_secret = random_secret();
		config->embedded_secret_random = true;
	}
	else if (strlen(config->embedded_jwt_secret) < SECRET_MIN)
		fail("EMBEDDED_JWT_SECRET", "has %zu bytes, at least %d are needed",
			 strlen(config->embedded_jwt_secret), SECRET_MIN);
}

struct config *
config_load(int argc, char **argv)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		abort();
	config->realtime_max_events_per_second = UNSET;
	read_environment(config);
	read_arguments(config, argc, argv);
	take_secret("DATABASE_URL", config->database_url_file, &config->database_url);
	take_secret("REALTIME_KEY", config->realtime_key_file, &config->realtime_key);
	take_secret("EMBEDDED_JWT_SECRET", config->embedded_jwt_secret_file,
				&config->embedded_jwt_secret);
	if (config->realtime_max_events_per_second == UNSET)
		config->realtime_max_events_per_second = config->realtime_url != NULL ? 100 : 0;
	check_database(config);
	check_realtime(config);
	check_webhooks(config);
	check_listen("HTTP_LISTEN", config->http_listen);
	check_listen("EMBEDDED_LISTEN", config->embedded_listen);
	check_secret(config);
	return config;
}

static bool
is_secret(const char *text)
{
	return strlen(text) >= SECRET_MIN;
}

/* Replaces a value by that of a file, if it is good. */
static bool
renew_secret(const char *path, bool (*good)(const char *text), char **value)
{
	char *now;

	if (path == NULL)
		return true;
	now = read_secret(path);
	if (now == NULL || !good(now))
	{
		free(now);
		return false;
	}
	free(*value);
	*value = now;
	return true;
}

const char *
config_reload(struct config *config)
{
	if (!renew_secret(config->realtime_key_file, is_token, &config->realtime_key))
		return "REALTIME_KEY_FILE holds no token: the old one stays in use";
	if (!renew_secret(config->embedded_jwt_secret_file, is_secret, &config->embedded_jwt_secret))
		return "EMBEDDED_JWT_SECRET_FILE holds no secret of at least 32 bytes: the old one stays in use";
	return NULL;
}

void
config_free(struct config *config)
{
	for (int i = 0; i < NSETTINGS; i++)
	{
		if (settings[i].kind == TEXT)
			free(*(char **) field(config, &settings[i]));
	}
	free(config);
}
