/*
 * See doctor.h.
 */
#include "watch/doctor.h"

#include "watch/doctor_internal.h"

static const char usage[] =
	"chat-sidecar doctor examines settings, machine, database and Realtime, and says what mends what is wrong.\n"
	"It reads the settings that the sidecar runs with from the environment, and changes nothing.\n\n"
	"  --canary  join as a client, and hear an event of one's own; so with REALTIME_CANARY\n"
	"  --json    print an array of {severity, subject, text, mend}\n"
	"  --help    print this\n\n"
	"Exit status: 0 nothing is wrong, 1 something is, 2 bad option or setting.\n";

static void (*const examinations[])(struct doctor *doctor) = {
	doctor_machine, doctor_ports,     doctor_webhooks,          doctor_database,
	doctor_egress,  doctor_inserts,   doctor_endpoint_database, doctor_realtime,
	doctor_canary,  doctor_canary_end};

#define NEXAMINATIONS ((int) (sizeof(examinations) / sizeof(examinations[0])))

static void
on_timer(uv_timer_t *timer)
{
	struct command *command = timer->data;
	struct doctor *doctor = command->arg;

	examinations[doctor->step++](doctor);
}

/* From the loop: an examination may end within the call that began it. */
void
doctor_next(struct doctor *doctor)
{
	if (doctor->step < NEXAMINATIONS)
		uv_timer_start(&doctor->command.timer, on_timer, 0, 0);
	else
		command_end(&doctor->command);
}

static void
note_warning(void *arg, const char *text)
{
	findings_add(arg, FOUND_WARNING, "settings", NULL, "%s", text);
}

static void
examine_settings(struct doctor *doctor)
{
	config_warn(doctor->command.config, note_warning, doctor->findings);
	findings_add(doctor->findings, FOUND_GOOD, "settings", NULL,
				 "the settings can be used: events go to %s, webhooks are %s",
				 config_has_realtime(doctor->command.config) ? "Realtime" : "the embedded endpoint",
				 doctor->command.config->webhooks ? "on" : "off");
}

int
doctor_command(int argc, char **argv)
{
	struct doctor doctor = {.step = 0};
	bool json = false;
	const struct command_switch switches[] = {{"json", &json}, {"canary", &doctor.with_canary}};
	int status;

	if (!command_options(argc, argv, usage, switches, 2))
		return COMMAND_BAD_USE;
	command_begin(&doctor.command, argv, &doctor);
	doctor.findings = findings_create();
	examine_settings(&doctor);
	doctor_next(&doctor);
	command_run(&doctor.command);
	doctor_canary_free(&doctor);
	if (json)
		findings_print_json(doctor.findings, stdout);
	else
		findings_print(doctor.findings, stdout);
	status = findings_worst(doctor.findings) == FOUND_ERROR ? 1 : 0;
	findings_free(doctor.findings);
	config_free(doctor.command.config);
	return status;
}
