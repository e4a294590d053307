/*
 * What the parts of the doctor share. Each examination adds findings and calls doctor_next once, then or later.
 */
#ifndef SIDECAR_DOCTOR_INTERNAL_H
#define SIDECAR_DOCTOR_INTERNAL_H

#include "watch/command.h"
#include "watch/findings.h"

struct doctor
{
	struct command command;
	struct findings *findings;
	int step;
	bool with_canary;   /* it was asked for */
	bool asks_database; /* there is an extension that this sidecar can ask */
	struct doctor_canary *canary;
	/* doctor_realtime.c */
	struct http_pool *pool;
	struct realtime_target *target;
};

void doctor_next(struct doctor *doctor);

/* doctor_machine.c: descriptors, memory; ports, and whether a sidecar runs. */
void doctor_machine(struct doctor *doctor);
void doctor_ports(struct doctor *doctor);

/* doctor_database.c */
void doctor_database(struct doctor *doctor);
void doctor_endpoint_database(struct doctor *doctor);

/* doctor_webhooks.c */
void doctor_webhooks(struct doctor *doctor);

/* doctor_egress.c */
void doctor_egress(struct doctor *doctor);

/* doctor_inserts.c */
void doctor_inserts(struct doctor *doctor);

/* doctor_realtime.c */
void doctor_realtime(struct doctor *doctor);

/* doctor_canary.c; freed when the loop has ended. The end is an examination of its own. */
void doctor_canary(struct doctor *doctor);
void doctor_canary_end(struct doctor *doctor);
void doctor_canary_free(struct doctor *doctor);

#endif
