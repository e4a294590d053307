/*
 * What core and endpoint send each other over their pair of sockets: frames of a kind, a number and bytes.
 *
 * Both ends are the same binary on the same machine, so numbers have its byte order; but the endpoint is what strangers
 * talk to, and what it says is read with the care that theirs is. No I/O.
 */
#ifndef SIDECAR_LINK_WIRE_H
#define SIDECAR_LINK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* What the process is called with, and the id of its parent behind it. */
#define LINK_ARGUMENT "endpoint"

/* The endpoint's descriptors: its end of the pair, and the port that the core has bound. */
#define LINK_FD 3
#define LINK_PORT_FD 4

/* Bytes of a frame, at most. */
#define LINK_MOST_TO_ENDPOINT (64 * 1024 * 1024)
#define LINK_MOST_TO_CORE 4096

enum link_kind
{
	/* core → endpoint */
	LINK_SETTINGS =
		1,      /* struct link_settings, each text with a NUL behind it: first of all, and again */
	LINK_BATCH, /* events, see link_batch.h; its number is to be acknowledged */
	LINK_PING,
	LINK_FOLLOWS, /* the core reads the log from now on: what is committed after this is broadcast */
	/* endpoint → core */
	LINK_READY,    /* it serves; its number: metrics_print of its series */
	LINK_DATABASE, /* it can ask the database (1), or cannot any more (0) */
	LINK_ACK,      /* this number, and each below, is queued for every subscriber */
	LINK_PONG,
	LINK_METRICS /* the values of its metrics, as doubles */
};

struct link_frame
{
	enum link_kind kind;
	uint64_t number;
	const char *body;
	size_t len;
};

#define LINK_HEADER_SIZE 16

/* Writes what stands before the bytes of a frame; len: how many these are. */
void link_header_write(char *header, enum link_kind kind, uint64_t number, size_t len);

enum link_read
{
	LINK_INCOMPLETE,
	LINK_COMPLETE,
	LINK_BROKEN /* too long, or of no kind that there is */
};

/* Reads the first frame of some bytes, into which it points; *taken: how many they are. most: bytes of the frame. */
enum link_read link_frame_read(const char *bytes, size_t len, size_t most, struct link_frame *frame,
							   size_t *taken);

/* What the endpoint must not find in its environment. */
struct link_settings
{
	const char *database_url;
	const char *jwt_secrets;
	const char *jwks;     /* "": none */
	const char *api_keys; /* "": none */
};

/* Appends the body of LINK_SETTINGS. */
void link_settings_write(struct buffer *out, const struct link_settings *settings);
/* Reads it; the texts point into the frame. False: it is none. */
bool link_settings_read(const struct link_frame *frame, struct link_settings *settings);

#endif
