/*
 * Realtime: one private message to a topic that nobody can join, whose answer says what would become of others.
 */
#include "io/http.h"
#include "realtime/realtime_answer.h"
#include "realtime/realtime_single.h"
#include "watch/doctor_internal.h"

static void
finish(struct doctor *doctor)
{
	http_pool_destroy(doctor->pool);
	if (doctor->target != NULL)
		realtime_target_destroy(doctor->target);
	doctor_next(doctor);
}

static void
judge(struct doctor *doctor, const struct http_response *response)
{
	struct findings *findings = doctor->findings;
	const char *url = realtime_target_shown(doctor->target);

	if (response->status != 0 && answer_knows_no_tenant(response))
	{
		findings_add(findings, FOUND_ERROR, "realtime",
					 "set REALTIME_HOST to the tenant's host (self-hosted: realtime-dev)",
					 "%s knows no tenant of this host name", url);
		return;
	}
	switch (response->status)
	{
		case 202:
			findings_add(findings, FOUND_GOOD, "realtime", NULL, "%s accepts private messages",
						 url);
			return;
		case 0:
			findings_add(findings, FOUND_ERROR, "realtime",
						 "check REALTIME_URL, and that Realtime (or the gateway before it) runs",
						 "nothing answers at %s: %s", url, response->error);
			return;
		case 401:
		case 403:
			findings_add(
				findings, FOUND_ERROR, "realtime",
				"REALTIME_KEY must be the service_role key of this project, signed with the secret of "
				"this tenant",
				"%s refuses REALTIME_KEY (%ld)", url, response->status);
			return;
		case 404:
			findings_add(findings, FOUND_WARNING, "realtime",
						 "Realtime 2.97 or later; or, where it is later, another REALTIME_URL",
						 "%s has no way to confirm messages (404): it is an earlier Realtime, or "
						 "another service",
						 url);
			return;
		case 429:
			findings_add(findings, FOUND_WARNING, "realtime",
						 "raise the tenant's limit, and REALTIME_MAX_EVENTS_PER_SECOND with it",
						 "%s is at its limit", url);
			return;
		default:
			findings_add(
				findings, response->status >= 500 ? FOUND_WARNING : FOUND_ERROR, "realtime",
				"check REALTIME_URL: self-hosted http://HOST:4000, through a gateway "
				"https://HOST/realtime/v1",
				"%s answers %ld, which Realtime does not where all is well", url, response->status);
	}
}

static void
on_answer(void *arg, const struct http_response *response)
{
	struct doctor *doctor = arg;

	judge(doctor, response);
	finish(doctor);
}

void
doctor_realtime(struct doctor *doctor)
{
	if (doctor->command.config->realtime_url == NULL || config_inserts(doctor->command.config))
	{
		finish(doctor);
		return;
	}
	doctor->target = realtime_target_create(&doctor->command.app);
	realtime_single_send(doctor->pool, doctor->target, "doctor", on_answer, doctor);
}
