/*
 * Where registered webhooks point to: a sample of their hosts is looked up, and judged by the rules that deliveries are
 * held to. Nothing is connected to. One host after the other, and no new one once they took too long.
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/memory.h"
#include "io/address.h"
#include "io/db.h"
#include "io/db_error.h"
#include "io/own_addresses.h"
#include "watch/doctor_internal.h"
#include "webhook/webhook_policy.h"

#define LONGEST_MS 10000

static const struct db_statement origins_statement = {
	"origins", "SELECT o.origin FROM chat.webhook_origins(50) o", 0, "origin", DB_ANY_ROWS};

struct egress
{
	struct doctor *doctor;
	struct address_rules *rules;
	PGresult *origins;
	int next;
	int found; /* that something is wrong with */
	uint64_t since;
	uv_getaddrinfo_t resolve;
};

static void look_up(struct egress *egress);

static void
finish(struct egress *egress)
{
	struct doctor *doctor = egress->doctor;

	address_rules_destroy(egress->rules);
	PQclear(egress->origins);
	free(egress);
	doctor_next(doctor);
}

static const char *
origin_of(const struct egress *egress)
{
	return PQgetvalue(egress->origins, egress->next, 0);
}

static void
go_on(struct egress *egress, bool good)
{
	egress->found += good ? 0 : 1;
	egress->next++;
}

/* As the client that delivers reads it, without the brackets of IPv6; NULL: it is no URL. */
static char *
host_of(const char *origin)
{
	CURLU *url = curl_url();
	char *part, *host = NULL;

	if (url != NULL && curl_url_set(url, CURLUPART_URL, origin, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &part, 0) == CURLUE_OK)
	{
		host = xstrdup(*part == '[' ? part + 1 : part);
		host[strcspn(host, "]")] = '\0';
		curl_free(part);
	}
	curl_url_cleanup(url);
	return host;
}

/* One address that may be connected to is enough. */
static bool
judge_addresses(const struct egress *egress, const struct addrinfo *found)
{
	char address[NI_MAXHOST] = "?";
	char *mend;

	for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
	{
		if (address_allowed(egress->rules, each->ai_addr))
			return true;
	}
	getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), NULL, 0,
				NI_NUMERICHOST);
	mend = xasprintf("WEBHOOK_ALLOW_CIDRS=%s where that is meant", address);
	findings_add(egress->doctor->findings, FOUND_WARNING, "webhooks", mend,
				 "%s is refused: its address %s is not public, and none of the networks in "
				 "WEBHOOK_ALLOW_CIDRS has it",
				 origin_of(egress), address);
	free(mend);
	return false;
}

static void
on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
	struct egress *egress = resolve->data;
	bool good = false;

	if (status == 0 && found != NULL)
		good = judge_addresses(egress, found);
	else
		findings_add(egress->doctor->findings, FOUND_WARNING, "webhooks",
					 "look at the name, and at the resolver of this machine (/etc/resolv.conf)",
					 "%s cannot be resolved: %s", origin_of(egress), uv_strerror(status));
	uv_freeaddrinfo(found);
	go_on(egress, good);
	look_up(egress);
}

/* False: what is wrong shows without a look-up. */
static bool
start_look_up(struct egress *egress)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct doctor *doctor = egress->doctor;
	const char *origin = origin_of(egress);
	char *host;
	bool started;

	if (!webhook_scheme_allowed(origin, doctor->command.config->webhook_allow_http))
	{
		findings_add(doctor->findings, FOUND_WARNING, "webhooks",
					 "https in its URL, or WEBHOOK_ALLOW_HTTP=true where that is meant",
					 "%s is refused: only https is allowed", origin);
		return false;
	}
	host = host_of(origin);
	started = host != NULL && uv_getaddrinfo(&doctor->command.loop, &egress->resolve, on_resolved,
											 host, NULL, &hints) == 0;
	if (!started)
		findings_add(doctor->findings, FOUND_WARNING, "webhooks", "correct its URL",
					 "%s has no host that can be looked up", origin);
	free(host);
	return started;
}

static void
report(struct egress *egress)
{
	int count = PQntuples(egress->origins);

	if (egress->next < count)
		findings_add(egress->doctor->findings, FOUND_WARNING, "webhooks",
					 "look at the resolver of this machine (/etc/resolv.conf)",
					 "%d of %d hosts were not looked up: the others took more than %d s",
					 count - egress->next, count, LONGEST_MS / 1000);
	else if (egress->found == 0 && count > 0)
		findings_add(egress->doctor->findings, FOUND_GOOD, "webhooks", NULL,
					 "%d of their hosts can be resolved, and may be delivered to", count);
}

static void
look_up(struct egress *egress)
{
	while (egress->next < PQntuples(egress->origins) &&
		   uv_now(&egress->doctor->command.loop) - egress->since <= LONGEST_MS)
	{
		if (start_look_up(egress))
			return;
		go_on(egress, false);
	}
	report(egress);
	finish(egress);
}

/* The settings were checked: the networks can be read. */
static void
begin(struct doctor *doctor, PGresult *origins)
{
	struct egress *egress = xcalloc(1, sizeof(*egress));
	char error[128];

	egress->doctor = doctor;
	egress->origins = origins;
	egress->rules =
		address_rules_create(doctor->command.config->webhook_allow_cidrs, error, sizeof(error));
	egress->since = uv_now(&doctor->command.loop);
	egress->resolve.data = egress;
	own_addresses_learn(egress->rules);
	look_up(egress);
}

static void
on_origins(void *arg, PGresult *result)
{
	struct doctor *doctor = arg;
	struct db_error error;
	bool good = PQresultStatus(result) == PGRES_TUPLES_OK;

	if (good)
		db_keep_result(doctor->command.db);
	command_disconnect(&doctor->command);
	if (good)
	{
		begin(doctor, result);
		return;
	}
	db_error_of_result(result, &error);
	findings_add(doctor->findings, FOUND_ERROR, "webhooks", error.hint, "%s", error.text);
	doctor_next(doctor);
}

static void
ready(void *arg)
{
	struct doctor *doctor = arg;

	db_query(doctor->command.db, &origins_statement, NULL, on_origins, doctor);
}

/* What keeps it from being connected to was found before. */
static void
failed(void *arg, const char *trouble, const char *hint)
{
	struct doctor *doctor = arg;

	(void) trouble;
	(void) hint;
	command_disconnect(&doctor->command);
	doctor_next(doctor);
}

void
doctor_egress(struct doctor *doctor)
{
	if (doctor->command.config->webhooks && doctor->asks_database)
		command_connect(&doctor->command, "doctor webhooks", ready, failed);
	else
		doctor_next(doctor);
}
