/*
 * The endpoint's process, as the core sees it: started from the same binary, watched, ended when it does not answer for
 * 10 s, and started again whenever it is gone: after 0, 1, 2, 4 … 30 s.
 *
 * It has no environment but what it needs (link_environment.h), the port that is bound here, and its end of a pair of
 * sockets, over which it is told the rest; secrets are in neither its arguments nor its environment. It ends when its
 * parent does, however that ends.
 */
#ifndef SIDECAR_LINK_PROCESS_H
#define SIDECAR_LINK_PROCESS_H

#include "app.h"
#include "link/link_wire.h"

struct link_process;

struct link_process_handlers
{
	/* It serves, and nothing has been sent to it yet. */
	void (*up)(void *arg);
	/* It is gone, or could not be started. */
	void (*down)(void *arg);
	/* Its metrics are those of when this number, or a lower one, was asked for. */
	void (*refreshed)(void *arg, uint64_t number);
	/* An acknowledgement. False: it makes no sense. */
	bool (*acknowledged)(void *arg, uint64_t number);
};

/* port: the socket that listens, which is kept for those that are started later. */
struct link_process *link_process_create(struct app *app, int port,
										 const struct link_process_handlers *handlers, void *arg);
/* Tells it to end, and ends it when it does not within 2 s; the loop runs on until it is gone. Nothing is told any more. */
void link_process_destroy(struct link_process *process);

bool link_process_is_up(const struct link_process *process);
/* What is wrong with it, for people; NULL: nothing. */
const char *link_process_trouble(const struct link_process *process);

/* From now on what is committed is sent to it, or to the one that is started after it: it may admit whoever waits for that. */
void link_process_follows(struct link_process *process);
/* A batch of broadcasts, while it is up. */
void link_process_send(struct link_process *process, uint64_t number, const char *body, size_t len);
/* Asks for its metrics; answers the number. 0: it does not run. */
uint64_t link_process_refresh(struct link_process *process);
/* It is to know settings that were read again. */
void link_process_reload(struct link_process *process);

#endif
