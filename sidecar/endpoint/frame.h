/*
 * Frames of the Phoenix protocol as Supabase Realtime speaks it: serializers 1.0.0 (objects) and 2.0.0 (arrays, and
 * binary frames of type 3 and 4). Pure.
 */
#ifndef SIDECAR_FRAME_H
#define SIDECAR_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "endpoint/json_scan.h"
#include "endpoint/message.h"

enum serializer
{
	SERIALIZER_V1,
	SERIALIZER_V2,
	SERIALIZERS
};

#define FRAME_MAX_REFERENCE                                                                        \
	512 /* bytes of one, as JSON text: answers carry it, and channels keep it */

/* What a client sent. References are kept as JSON text ("1" with its quotes, or null). */
struct frame
{
	char *join_ref;
	char *ref;
	char *topic;
	char *event;
	struct json payload; /* slice of the input; of a binary push: its bytes */
	bool push; /* a binary push: event is the user's event, payload_json tells what payload is */
	bool payload_json;
};

/* What is to be broadcast on a topic, which has no "realtime:" in front. */
struct broadcast
{
	const char *topic;
	const char *event;
	const char *id; /* goes into meta.id; NULL: none */
	const char *payload;
	size_t payload_len;
	bool
		binary; /* serializer 2.0.0 gets a frame of type 4, as from the single endpoint and pushes */
	bool payload_json; /* false: octets, which only serializer 2.0.0 can carry */
};

/* False: malformed; nothing needs to be freed then. */
bool
frame_parse_text(enum serializer serializer, const char *text, size_t len, struct frame *frame);
bool frame_parse_binary(const unsigned char *data, size_t len, struct frame *frame);
void frame_free(struct frame *frame);

/* {"status":"ok"|"error","response":response} to a frame; topic, join_ref and ref as they came. */
struct message *
frame_reply(enum serializer serializer, const struct frame *to, bool ok, const char *response);
/* Any other event. join_ref and ref are JSON texts or NULL for null; payload is JSON. */
struct message *frame_event(enum serializer serializer, const char *join_ref, const char *ref,
							const char *topic, const char *event, const char *payload);
/* An event that was broadcast before the join, which has an id; as a text for every serializer. */
struct message *
frame_replay(enum serializer serializer, const char *join_ref, const struct broadcast *broadcast);
/* NULL: this serializer cannot carry it. */
struct message *frame_broadcast(enum serializer serializer, const struct broadcast *broadcast);

#endif
