/*
 * What the parts of the doctor share. Each examination adds findings and calls doctor_next once, then or later.
 */
#ifndef SIDECAR_DOCTOR_INTERNAL_H
#define SIDECAR_DOCTOR_INTERNAL_H

#include "app.h"
#include "config.h"
#include "watch/findings.h"

struct db;

struct doctor
{
	struct app app;
	uv_loop_t loop;
	struct config *config;
	struct findings *findings;
	int step;
	uv_timer_t timer;
	bool running; /* a sidecar answers at HTTP_LISTEN */
	/* doctor_database.c */
	struct db *db;
	bool supabase; /* the database has Realtime's schema */
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

/* doctor_realtime.c */
void doctor_realtime(struct doctor *doctor);

#endif
