/*
 * See db_target.h. The list of parameters is that of PQconninfoParse, which owns the texts.
 */
#include "io/db_target.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define MAX_ADDRESSES 4
#define MAX_PARAMETERS 80
#define LIST_SIZE 1200

struct db_target
{
	PQconninfoOption *options;
	char *application_name;
	char *name;
};

/* Parameters for PQconnectStartParams. */
struct parameters
{
	const char *keywords[MAX_PARAMETERS + 1];
	const char *values[MAX_PARAMETERS + 1];
	int count;
};

static const char *
option_value(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
	{
		if (strcmp(options->keyword, keyword) == 0)
			return options->val;
	}
	return NULL;
}

static bool
is_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Finds the one name that libpq would have to look up. */
static const char *
find_name(const PQconninfoOption *options)
{
	const char *host = option_value(options, "host");

	if (host == NULL)
		host = getenv("PGHOST");
	if (host == NULL || host[0] == '\0' || host[0] == '/' || host[0] == '@' ||
		strchr(host, ',') != NULL || is_address(host) || strlen(host) > 255)
		return NULL;
	if (option_value(options, "hostaddr") != NULL || getenv("PGHOSTADDR") != NULL)
		return NULL;
	return host;
}

struct db_target *
db_target_create(const char *url, const char *application_name)
{
	struct db_target *target = xcalloc(1, sizeof(*target));
	const char *name;

	target->options = PQconninfoParse(url, NULL);
	if (target->options == NULL)
	{
		free(target);
		return NULL;
	}
	name = find_name(target->options);
	target->name = name != NULL ? xstrdup(name) : NULL;
	target->application_name = xstrdup(application_name);
	return target;
}

void
db_target_destroy(struct db_target *target)
{
	PQconninfoFree(target->options);
	free(target->application_name);
	free(target->name);
	free(target);
}

const char *
db_target_name(const struct db_target *target)
{
	return target->name;
}

static void
add_parameter(struct parameters *parameters, const char *keyword, const char *value)
{
	if (parameters->count == MAX_PARAMETERS)
		abort();
	parameters->keywords[parameters->count] = keyword;
	parameters->values[parameters->count] = value;
	parameters->count++;
}

/* What of the URL is replaced: a name by its addresses, or all that says where the server is. */
static const char *const nothing[] = {NULL}, *const host[] = {"host", NULL},
						 *const place[] = {"host", "hostaddr", "port", NULL};

static bool
is_one_of(const char *const *list, const char *keyword)
{
	while (*list != NULL && strcmp(*list, keyword) != 0)
		list++;
	return *list != NULL;
}

/* Adds what the URL says, except for what is replaced. */
static void
add_given(struct parameters *parameters, const PQconninfoOption *options,
		  const char *const *replaced)
{
	for (; options->keyword != NULL; options++)
	{
		if (options->val != NULL && strcmp(options->keyword, "client_encoding") != 0 &&
			!is_one_of(replaced, options->keyword))
			add_parameter(parameters, options->keyword, options->val);
	}
}

static void
add_preset(struct parameters *parameters, const PQconninfoOption *options, const char *keyword,
		   const char *value)
{
	if (option_value(options, keyword) == NULL)
		add_parameter(parameters, keyword, value);
}

/* A dead peer is noticed within half a minute, whatever the kernel's presets are. */
static void
add_presets(struct parameters *parameters, const struct db_target *target)
{
	const PQconninfoOption *options = target->options;

	add_preset(parameters, options, "keepalives_idle", "10");
	add_preset(parameters, options, "keepalives_interval", "5");
	add_preset(parameters, options, "keepalives_count", "3");
	add_preset(parameters, options, "tcp_user_timeout", "15000");
	/* GSSAPI looks names up in a way that blocks. */
	if (getenv("PGGSSENCMODE") == NULL)
		add_preset(parameters, options, "gssencmode", "disable");
	add_preset(parameters, options, "fallback_application_name", target->application_name);
	add_parameter(parameters, "client_encoding", "UTF8");
}

static bool
address_text(const struct addrinfo *info, char out[INET6_ADDRSTRLEN])
{
	if (info->ai_family == AF_INET)
		return inet_ntop(AF_INET, &((const struct sockaddr_in *) info->ai_addr)->sin_addr, out,
						 INET6_ADDRSTRLEN) != NULL;
	if (info->ai_family == AF_INET6)
		return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *) info->ai_addr)->sin6_addr, out,
						 INET6_ADDRSTRLEN) != NULL;
	return false;
}

/* Makes two lists of the same length: the name over and over, and the addresses. */
static void
list_addresses(const struct db_target *target, const struct addrinfo *addresses,
			   char names[LIST_SIZE], char list[LIST_SIZE])
{
	int count = 0;

	names[0] = list[0] = '\0';
	for (; addresses != NULL && count < MAX_ADDRESSES; addresses = addresses->ai_next)
	{
		char text[INET6_ADDRSTRLEN];

		if (!address_text(addresses, text))
			continue;
		if (count++ > 0)
		{
			strcat(names, ",");
			strcat(list, ",");
		}
		strcat(names, target->name);
		strcat(list, text);
	}
}

PGconn *
db_target_connect(const struct db_target *target, const struct addrinfo *addresses)
{
	struct parameters parameters = {.count = 0};
	char names[LIST_SIZE], list[LIST_SIZE];

	add_given(&parameters, target->options, addresses != NULL ? host : nothing);
	if (addresses != NULL)
	{
		list_addresses(target, addresses, names, list);
		add_parameter(&parameters, "host", names);
		add_parameter(&parameters, "hostaddr", list);
	}
	add_presets(&parameters, target);
	return PQconnectStartParams(parameters.keywords, parameters.values, 0);
}

static void
add_if_known(struct parameters *parameters, const char *keyword, const char *value)
{
	if (value != NULL && value[0] != '\0')
		add_parameter(parameters, keyword, value);
}

PGconn *
db_target_connect_beside(const struct db_target *target, const PGconn *conn)
{
	struct parameters parameters = {.count = 0};

	add_given(&parameters, target->options, place);
	add_if_known(&parameters, "host", PQhost(conn));
	add_if_known(&parameters, "hostaddr", PQhostaddr(conn));
	add_if_known(&parameters, "port", PQport(conn));
	add_presets(&parameters, target);
	return PQconnectStartParams(parameters.keywords, parameters.values, 0);
}
