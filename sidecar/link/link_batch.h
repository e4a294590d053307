/*
 * The body of LINK_BATCH: events one behind the other, so laid out that the endpoint has nothing to parse. No I/O.
 */
#ifndef SIDECAR_LINK_BATCH_H
#define SIDECAR_LINK_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "realtime/realtime_body.h"

/* An event; it points into the body. Each text has an end. */
struct link_event
{
	const char *topic, *name; /* as in JSON: escaped, without quotes */
	const char *id;
	const char
		*rights; /* a conversation, whose topics' subscribers are to be asked for again; "": none */
	const char *payload; /* JSON */
	size_t payload_length;
	bool is_private;
};

extern const struct body_form link_batch;

/* Takes the first event of what is left of a body. False: there is none, or none that is whole, and *left is not 0 then. */
bool link_batch_take(const char **at, size_t *left, struct link_event *event);

#endif
