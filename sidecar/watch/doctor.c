/*
 * See doctor.h.
 */
#include "watch/doctor.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "io/http.h"
#include "watch/doctor_internal.h"

#define BAD_USE 2

static const char usage[] =
	"chat-sidecar doctor examines settings, machine, database and Realtime, and says what mends what is wrong.\n"
	"It reads the settings that the sidecar runs with from the environment, and changes nothing.\n\n"
	"  --json  print an array of {severity, subject, text, mend}\n"
	"  --help  print this\n\n"
	"Exit status: 0 nothing is wrong, 1 something is, 2 bad option or setting.\n";

static void (*const examinations[])(struct doctor *doctor) = {
	doctor_machine, doctor_ports, doctor_database, doctor_endpoint_database, doctor_realtime};

#define NEXAMINATIONS ((int) (sizeof(examinations) / sizeof(examinations[0])))

static void
on_timer(uv_timer_t *timer)
{
	struct doctor *doctor = timer->data;

	examinations[doctor->step++](doctor);
}

/* From the loop: an examination may end within the call that began it. */
void
doctor_next(struct doctor *doctor)
{
	if (doctor->step < NEXAMINATIONS)
		uv_timer_start(&doctor->timer, on_timer, 0, 0);
	else
		uv_close((uv_handle_t *) &doctor->timer, NULL);
}

static void
note_warning(void *arg, const char *text)
{
	findings_add(arg, FOUND_WARNING, "settings", NULL, "%s", text);
}

static void
examine_settings(struct doctor *doctor)
{
	config_warn(doctor->config, note_warning, doctor->findings);
	findings_add(doctor->findings, FOUND_GOOD, "settings", NULL,
				 "the settings can be used: events go to %s, webhooks are %s",
				 config_has_realtime(doctor->config) ? "Realtime" : "the embedded endpoint",
				 doctor->config->webhooks ? "on" : "off");
}

static void
examine(struct doctor *doctor)
{
	struct app *app = &doctor->app;

	if (uv_loop_init(&doctor->loop) != 0)
		memory_gone("the event loop");
	app->loop = &doctor->loop;
	app->config = doctor->config;
	app->metrics = metrics_create();
	app->http = http_create(app);
	uv_timer_init(&doctor->loop, &doctor->timer);
	doctor->timer.data = doctor;
	examine_settings(doctor);
	doctor_next(doctor);
	uv_run(&doctor->loop, UV_RUN_DEFAULT);
	(void) uv_loop_close(&doctor->loop);
	http_destroy(app->http);
	metrics_destroy(app->metrics);
}

/* False: it has said what is wrong. */
static bool
read_options(int argc, char **argv, bool *json)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) == 'j')
		*json = true;
	if (option == 'h')
	{
		fputs(usage, stdout);
		exit(0);
	}
	if (option == -1 && optind == argc)
		return true;
	fputs(
		"chat-sidecar: doctor: there is an argument that it does not know; see chat-sidecar doctor --help\n",
		stderr);
	return false;
}

int
doctor_command(int argc, char **argv)
{
	struct doctor doctor = {.step = 0};
	bool json = false;
	int status;

	if (!read_options(argc - 1, argv + 1, &json))
		return BAD_USE;
	optind = 0; /* getopt begins anew */
	doctor.config = config_load(1, argv);
	log_setup(false, LOG_OFF);
	doctor.findings = findings_create();
	examine(&doctor);
	if (json)
		findings_print_json(doctor.findings, stdout);
	else
		findings_print(doctor.findings, stdout);
	status = findings_worst(doctor.findings) == FOUND_ERROR ? 1 : 0;
	findings_free(doctor.findings);
	config_free(doctor.config);
	return status;
}
