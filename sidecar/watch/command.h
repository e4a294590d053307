/*
 * What the commands have that look at a running system: their options, and an event loop with a database that is asked
 * once. Nothing is tried again: what a person mends, a person tries again.
 */
#ifndef SIDECAR_COMMAND_H
#define SIDECAR_COMMAND_H

#include <stdbool.h>

#include "app.h"
#include "config.h"

#define COMMAND_BAD_USE 2

struct db;

struct command
{
	struct app app;
	uv_loop_t loop;
	uv_timer_t timer; /* free for use once connected, or where nothing is connected to */
	struct config *config;
	struct db *db;
	/* While it connects. */
	void (*ready)(void *arg);
	void (*failed)(void *arg, const char *trouble, const char *hint);
	void *arg; /* the command's own, for callbacks; the timer's data is this struct */
};

/* A switch of a command. */
struct command_switch
{
	const char *name; /* without -- */
	bool *on;
};

/* argv[1] is the command's name; --help prints usage and ends the process. False: stderr says what is wrong. */
bool command_options(int argc, char **argv, const char *usage,
					 const struct command_switch *switches, int count);

/* Reads the settings, silences the log, and makes the loop and what requests need. A bad setting ends the process with 2. */
void command_begin(struct command *command, char **argv, void *arg);
/* Runs the loop to its end, and frees all but the settings. */
void command_run(struct command *command);
/* Closes the timer, without which the loop ends when nothing else is left. */
void command_end(struct command *command);

/* Connects to DATABASE_URL as the sidecar does; calls one of both, once. name: for logs of the server. */
void command_connect(struct command *command, const char *name, void (*ready)(void *arg),
					 void (*failed)(void *arg, const char *trouble, const char *hint));
void command_disconnect(struct command *command);

#endif
