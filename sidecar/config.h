/*
 * Configuration: environment variables, the same names as long options (REALTIME_URL is --realtime-url), except for
 * secrets: arguments can be read by everybody on the machine.
 * One table in config.c names every setting, its type and default.
 */
#ifndef SIDECAR_CONFIG_H
#define SIDECAR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

struct config
{
	char *database_url;
	char *database_url_file; /* the files' contents are in the fields without _file */
	char *realtime_url;      /* NULL: the embedded endpoint */
	char *realtime_host;
	char *realtime_key;
	char *realtime_key_file;
	int realtime_max_events_per_second; /* 0: unlimited */
	bool realtime_private;
	char *realtime_transport; /* "http" or "database" */
	int realtime_fallback_seconds;
	bool realtime_canary;
	bool webhooks;
	int webhook_timeout_ms;
	char *webhook_allow_cidrs; /* comma separated, or NULL */
	bool webhook_allow_http;
	char *webhook_ca_file; /* PEM; NULL: the system's authorities */
	int webhook_max_inflight;
	int webhook_max_per_host; /* requests at a time to one host name */
	int core_memory_limit;    /* MiB */
	char *socketio_channel;   /* of the adapter, with its namespace behind #; NULL: none */
	char *socketio_table;     /* the adapter's, of attachments */
	char *http_listen;        /* host:port */
	bool console;             /* the page on http_listen */
	char *console_token;      /* NULL: there is none */
	char *console_token_file;
	char *console_hosts;         /* comma separated, or NULL */
	char *embedded_listen;       /* host:port */
	char *endpoint_database_url; /* NULL: database_url */
	char *endpoint_database_url_file;
	char *embedded_jwt_secret_file;
	char
		*embedded_jwt_secret; /* comma separated; never NULL after config_load: random when unset */
	bool embedded_secret_random;
	char *embedded_jwks;          /* file or URL, or NULL */
	char *embedded_api_keys;      /* file, or NULL */
	int embedded_max_per_address; /* WebSockets */
	int embedded_refusal_delay_ms;
	char *embedded_trusted_proxies; /* comma separated, or NULL */
	int endpoint_memory_limit;      /* MiB */
	char *log_format;               /* "json" or "text" */
	char *log_level;                /* "debug", "info", "warn", "error" */
	bool check_only;
};

/*
 * Reads environment and arguments. --help and --version print and exit 0; a bad or unknown setting prints
 * one line that names it and what is allowed, and exits 2.
 */
struct config *config_load(int argc, char **argv);

/* Says what may be meant otherwise: variables nearly of a name of ours, settings that go together. */
void config_warn(const struct config *config, void (*warn)(void *arg, const char *text), void *arg);

/*
 * Reads REALTIME_KEY_FILE, EMBEDDED_JWT_SECRET_FILE and CONSOLE_TOKEN_FILE again. False: error says what is wrong with
 * which of them; the old value of those stays.
 */
bool config_reload(struct config *config, char *error, size_t size);
/* In the endpoint, which is told it by the core. */
void config_take_database(struct config *config, const char *database_url);
/* Whether clients are connected to Supabase Realtime, not to the embedded endpoint. */
bool config_has_realtime(const struct config *config);
/* Whether it is reached through the database. */
bool config_inserts(const struct config *config);
bool config_log_json(const struct config *config);
enum log_level config_log_level(const struct config *config);
void config_free(struct config *config);

#endif
