/* Frames that clients send: parsed, and answered in the same serializer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/frame.h"

static void
answer(enum serializer serializer, struct frame *frame)
{
	struct broadcast broadcast = {
		.topic = frame->topic ? frame->topic : "",
		.event = frame->event ? frame->event : "",
		.payload = frame->payload.start ? frame->payload.start : "",
		.payload_len = frame->payload.len,
		.binary = frame->push,
		.payload_json = !frame->push || frame->payload_json,
	};
	struct message *reply = frame_reply(serializer, frame, true, "{}");
	struct message *copy = frame_broadcast(serializer, &broadcast);

	if (reply != NULL)
		message_release(reply);
	if (copy != NULL)
		message_release(copy);
	frame_free(frame);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame;

	for (enum serializer serializer = 0; serializer < SERIALIZERS; serializer++)
	{
		if (frame_parse_text(serializer, (const char *) data, size, &frame))
			answer(serializer, &frame);
	}
	if (frame_parse_binary(data, size, &frame))
		answer(SERIALIZER_V2, &frame);
	return 0;
}
