/*
 * A presence on its way from one endpoint to another: one JSON object. No I/O.
 */
#ifndef SIDECAR_PRESENCE_WIRE_H
#define SIDECAR_PRESENCE_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct shared_presence
{
	const char *topic; /* without prefix */
	bool is_private;
	const char *key;
	const char *ref;
	const char *user;    /* NULL: nobody that has a name */
	const char *members; /* as presence_state.h has them */
};

void presence_wire_print(struct buffer *out, const struct shared_presence *presence);
/* False: it is none. Else it is freed with presence_wire_free. */
bool presence_wire_read(const char *bytes, size_t len, struct shared_presence *presence);
void presence_wire_free(struct shared_presence *presence);

#endif
