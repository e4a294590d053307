/*
 * One end of the pair of sockets, on the event loop: bytes go out as the kernel takes them, frames come in whole. Both
 * processes have one.
 */
#ifndef SIDECAR_LINK_PIPE_H
#define SIDECAR_LINK_PIPE_H

#include <uv.h>

#include "link/link_wire.h"

struct link_pipe;

struct link_pipe_handlers
{
	/* A frame came; what it points to is gone afterwards. False: it makes no sense, and the end is told. */
	bool (*frame)(void *arg, const struct link_frame *frame);
	/* The other side is gone, or sends what are no frames. Told once, never from within a call of link_pipe_send. */
	void (*ended)(void *arg, const char *why);
};

/* Takes over the descriptor. most: bytes of a frame that comes in. */
struct link_pipe *link_pipe_create(uv_loop_t *loop, int fd, size_t most,
								   const struct link_pipe_handlers *handlers, void *arg);
/* Frees itself when its handle is closed. The descriptor is closed at once. */
void link_pipe_destroy(struct link_pipe *pipe);

void link_pipe_send(struct link_pipe *pipe, enum link_kind kind, uint64_t number, const void *body,
					size_t len);

#endif
