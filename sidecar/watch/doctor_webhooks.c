/*
 * Webhooks: what the settings let them reach, and whether a sidecar that runs refuses or has given up any.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "base/memory.h"
#include "io/address.h"
#include "io/http.h"
#include "watch/doctor_internal.h"
#include "watch/page_url.h"
#include "watch/status_page.h"

#define TIMEOUT_MS 2000
#define RESPONSE_MAX 262144
#define CREDENTIALS "169.254.169.254" /* where clouds keep those of their machines */

/* The settings were checked: the networks can be read. */
static void
examine_networks(struct doctor *doctor)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char error[128];
	struct address_rules *rules =
		address_rules_create(doctor->command.config->webhook_allow_cidrs, error, sizeof(error));

	inet_pton(AF_INET, CREDENTIALS, &address.sin_addr);
	if (rules != NULL && address_allowed(rules, (const struct sockaddr *) &address))
		findings_add(doctor->findings, FOUND_WARNING, "WEBHOOK_ALLOW_CIDRS",
					 "name the networks that receivers are in, and no larger ones",
					 "webhooks may reach " CREDENTIALS ", where clouds keep the credentials of "
					 "their machines");
	address_rules_destroy(rules);
}

static void
judge(struct findings *findings, const char *metrics)
{
	double refused =
		status_metric(metrics, "chat_realtime_webhook_attempts_total", "result=\"refused\"");
	double failing = status_metric(metrics, "chat_realtime_webhooks_failing", "");
	double disabled = status_metric(metrics, "chat_realtime_webhooks_disabled", "");

	if (refused > 0)
		findings_add(
			findings, FOUND_WARNING, "webhooks",
			"WEBHOOK_ALLOW_CIDRS, WEBHOOK_ALLOW_HTTP where that is meant; "
			"chat.list_webhook_attempts says which",
			"%.0f attempts were refused since the sidecar's start: the address is private, "
			"or the URL's scheme is http",
			refused);
	if (failing > 0 || disabled > 0)
		findings_add(
			findings, FOUND_WARNING, "webhooks",
			"SELECT chat.webhook_health(owner) has the last error; chat.enable_webhook(id) "
			"begins again",
			"%.0f fail at every attempt, %.0f are disabled", failing > 0 ? failing : 0,
			disabled > 0 ? disabled : 0);
}

static void
on_metrics(void *arg, const struct http_response *response)
{
	struct doctor *doctor = arg;

	if (response->status == 200)
		judge(doctor->findings, response->body);
	doctor_next(doctor);
}

/* doctor_ports has made the pool. */
void
doctor_webhooks(struct doctor *doctor)
{
	char *url;

	if (!doctor->command.config->webhooks)
	{
		doctor_next(doctor);
		return;
	}
	examine_networks(doctor);
	url = page_url(doctor->command.config->http_listen, "/metrics");
	http_send(
		doctor->pool,
		&(const struct http_request){
			.method = "GET", .url = url, .timeout_ms = TIMEOUT_MS, .max_response = RESPONSE_MAX},
		on_metrics, doctor);
	free(url);
}
