/* Frames that clients send: parsed, and answered in the same serializer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/frame.h"
#include "endpoint/presence_state.h"
#include "endpoint/replay_wish.h"

/* What a frame tracks is printed in frames for others, which must be good ones. */
static void
track(enum serializer serializer, const struct frame *frame)
{
	struct presence_state state;
	struct presence_meta *meta;
	struct buffer printed = {0};
	struct json value;
	struct message *message;
	char *members =
		frame->push ? NULL : presence_members(json_member(frame->payload, "payload"));

	if (members == NULL)
		return;
	presence_state_init(&state);
	meta = presence_add(&state, frame->topic, "one", members);
	presence_change(&state, meta, "two", presence_members(json_member(frame->payload, "payload")));
	presence_print_state(&printed, &state);
	/* It is a few levels deeper than what was read. */
	if (!json_validate(printed.data, printed.len, &value) && printed.len < JSON_MAX_DEPTH)
		abort();
	buffer_bytes(&printed, "", 1);
	message = frame_event(serializer, NULL, NULL, frame->topic, "presence_state", printed.data);
	message_release(message);
	buffer_free(&printed);
	presence_remove(&state, meta);
	if (state.count != 0 || state.bytes != 0)
		abort();
	presence_state_clear(&state);
}

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
	struct message *again = frame->push ? NULL : frame_replay(serializer, frame->join_ref, &broadcast);

	if (reply != NULL)
		message_release(reply);
	if (again != NULL)
		message_release(again);
	if (copy != NULL)
		message_release(copy);
	track(serializer, frame);
	if (!frame->push)
		(void) replay_wish_read(
			json_member(json_member(frame->payload, "config"), "broadcast"));
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
