/*
 * The machine: descriptors, memory, ports, and whether a sidecar runs already.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/files.h"
#include "io/http.h"
#include "io/listener.h"
#include "watch/doctor_internal.h"
#include "watch/page_url.h"

#define FEW_FILES 4096
#define TIMEOUT_MS 2000
#define RESPONSE_MAX 16384

static void
examine_files(struct doctor *doctor)
{
	int files = files_raise_limit();

	if (files < FEW_FILES)
		findings_add(doctor->findings, FOUND_WARNING, "descriptors",
					 "LimitNOFILE=16384 in the unit, or ulimit -n 16384 before the start",
					 "the process may have %d descriptors, one of which each client and webhook "
					 "takes while it is connected",
					 files);
	else
		findings_add(doctor->findings, FOUND_GOOD, "descriptors", NULL, "%d", files);
}

/* MiB that the system can give; -1: it does not say. */
static long
available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (file != NULL && kib < 0 && fgets(line, sizeof(line), file) != NULL)
	{
		if (sscanf(line, "MemAvailable: %ld kB", &kib) != 1)
			kib = -1;
	}
	if (file != NULL)
		fclose(file);
	return kib < 0 ? -1 : kib / 1024;
}

static void
examine_memory(struct doctor *doctor)
{
	long available = available_memory();
	long needed = doctor->command.config->core_memory_limit;

	if (available >= 0 && available < needed)
		findings_add(doctor->findings, FOUND_WARNING, "memory",
					 "give the machine more, or lower CORE_MEMORY_LIMIT",
					 "%ld MiB are left, and the sidecar may take %ld", available, needed);
	else
		findings_add(doctor->findings, FOUND_GOOD, "memory", NULL, "%ld MiB are left", available);
}

void
doctor_machine(struct doctor *doctor)
{
	examine_files(doctor);
	examine_memory(doctor);
	doctor_next(doctor);
}

/* Ports ------------------------------------------------------------------------------------------- */

static void
examine_port(struct doctor *doctor, const char *variable, const char *listen)
{
	char error[256];
	int fd = listener_try(listen, error, sizeof(error));

	if (fd >= 0)
	{
		close(fd);
		findings_add(doctor->findings, FOUND_GOOD, variable, NULL, "%s is free", listen);
		return;
	}
	findings_add(doctor->findings, FOUND_ERROR, variable, NULL, "%s", error);
}

static void
examine_ports(struct doctor *doctor)
{
	examine_port(doctor, "HTTP_LISTEN", doctor->command.config->http_listen);
	if (!config_has_realtime(doctor->command.config))
		examine_port(doctor, "EMBEDDED_LISTEN", doctor->command.config->embedded_listen);
}

static void
report_sidecar(struct doctor *doctor, const json_t *page)
{
	const char *subject;
	json_t *reason;

	findings_add(doctor->findings, FOUND_GOOD, "sidecar", NULL, "one runs at %s and %s",
				 doctor->command.config->http_listen,
				 json_is_true(json_object_get(page, "ready")) ? "is ready" : "is not ready:");
	json_object_foreach(json_object_get(page, "reasons"), subject, reason)
		findings_add(doctor->findings, FOUND_ERROR, subject, NULL, "%s",
					 json_is_string(reason) ? json_string_value(reason) : "?");
}

static void
on_ready_page(void *arg, const struct http_response *response)
{
	struct doctor *doctor = arg;
	json_t *page = response->status != 0 ? json_loads(response->body, 0, NULL) : NULL;

	if (json_is_boolean(json_object_get(page, "ready")))
		report_sidecar(doctor, page);
	else
	{
		if (response->status == 0)
			findings_add(doctor->findings, FOUND_INFO, "sidecar", NULL,
						 "none runs here with these settings");
		examine_ports(doctor);
	}
	json_decref(page);
	doctor_next(doctor);
}

void
doctor_ports(struct doctor *doctor)
{
	static const struct http_pool_options options = {
		.max_connections = 2, .max_per_host = 2, .allow_http = true};
	char *url = page_url(doctor->command.config->http_listen, "/readyz");
	const struct http_request request = {
		.method = "GET", .url = url, .timeout_ms = TIMEOUT_MS, .max_response = RESPONSE_MAX};

	doctor->pool = http_pool_create(doctor->command.app.http, &options);
	http_send(doctor->pool, &request, on_ready_page, doctor);
	free(url);
}
