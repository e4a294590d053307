/*
 * The table that chat-sidecar status prints. No I/O but printing.
 */
#ifndef SIDECAR_STATUS_PAGE_H
#define SIDECAR_STATUS_PAGE_H

#include <jansson.h>
#include <stdio.h>

/* One look: the answer of chat.status(), and what the sidecar's health port says; NULL: it did not answer. */
struct status_page
{
	json_t *database;
	json_t *ready;
	char *metrics;
	double at; /* seconds of any clock */
};

void status_page_clear(struct status_page *page);

/* former: an earlier look, for rates, or NULL. where: of the health port, for people. */
void status_page_print(const struct status_page *page, const struct status_page *former,
					   const char *where, FILE *out);
/* {database, sidecar, metrics: {name{labels}: value}} */
void status_page_print_json(const struct status_page *page, FILE *out);

/* The sum of a metric's series whose labels hold a text; -1: there is none. */
double status_metric(const char *metrics, const char *name, const char *labels);

#endif
