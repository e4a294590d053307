/*
 * MessagePack of a JSON text. No I/O.
 */
#ifndef SIDECAR_MSGPACK_H
#define SIDECAR_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/*
 * Appends a JSON value of len bytes; whole numbers become integers where they fit into 64 bits, others doubles. False: it
 * is no JSON, and what was appended is no MessagePack.
 */
bool msgpack_from_json(struct buffer *out, const char *json, size_t len)
	__attribute__((warn_unused_result));

#endif
