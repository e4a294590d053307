/*
 * Broadcasts on their way from one endpoint to another: a version, then one behind the other. No I/O.
 */
#ifndef SIDECAR_ENDPOINT_RELAY_WIRE_H
#define SIDECAR_ENDPOINT_RELAY_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "endpoint/frame.h"

/* How many bytes a broadcast has there. */
size_t relay_wire_length(const struct broadcast *broadcast);
/* Appends one, and the version before the first. */
void relay_wire_put(struct buffer *out, bool is_private, const struct broadcast *broadcast);

/* Whether bytes begin with the version that this endpoint knows; takes it. */
bool relay_wire_begin(const char **at, size_t *left);
/* Takes the first broadcast, which points into the bytes. False: there is none, or none that is whole, and *left is not 0 then. */
bool relay_wire_take(const char **at, size_t *left, struct broadcast *broadcast, bool *is_private);

#endif
