/*
 * What the console shows of the database. It is asked on a connection of its own, which delivers nothing and is there
 * only while somebody looks: once at a time, however many look, and no statement runs longer than 5 s.
 */
#ifndef SIDECAR_CONSOLE_DATA_H
#define SIDECAR_CONSOLE_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"

struct console_data;

/* What was answered last. */
struct console_answers
{
	const char *status;   /* chat.status(), JSON; NULL: never */
	const char *webhooks; /* those in trouble, JSON; NULL: never */
	const char *failing;  /* how many there are, a number; NULL: never */
	double age;           /* seconds since then */
};

/* What became of sending again. */
enum console_again
{
	AGAIN_QUEUED,
	AGAIN_NOTHING, /* there is no such attempt, or nothing of it that can be sent now */
	AGAIN_FAILED   /* the database said no, or nothing */
};

/* answered: see console_data_ask. sent: see console_data_again. */
struct console_data *
console_data_create(struct app *app, void (*answered)(void *arg, uint64_t number),
					void (*sent)(void *arg, uint64_t number, enum console_again what), void *arg);
/* Tells nobody any more. Frees itself when its handles are closed. */
void console_data_destroy(struct console_data *data);

/* Asks, unless the last answer is new, or took so long that the database is to rest. 0: so it is; else answered is told this number or a higher one when there is an answer, or will be none. */
uint64_t console_data_ask(struct console_data *data);
struct console_answers console_data_answers(const struct console_data *data);
/* Why answers are missing or old, one line, into out; false: they are not. */
bool console_data_trouble(const struct console_data *data, char *out, size_t size);

/* Sends an attempt (its id, a number) again; sent is told the number returned, each time a higher one. 0: the database cannot be asked now. */
uint64_t console_data_again(struct console_data *data, const char *attempt);

#endif
