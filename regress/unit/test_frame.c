/*
 * Frames: which are taken, what is taken from them, and which serializer can carry what.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/endpoint/frame.h"
#include "require.h"

static void
check_text(const char *text, bool v1, bool v2)
{
	for (enum serializer serializer = 0; serializer < SERIALIZERS; serializer++)
	{
		struct frame frame;
		bool taken = frame_parse_text(serializer, text, strlen(text), &frame);

		require(text, taken == (serializer == SERIALIZER_V1 ? v1 : v2));
		require("nothing is left of one that is not", taken || frame.topic == NULL);
		frame_free(&frame);
	}
}

/* A push: the lengths of join_ref, ref, topic, event and metadata, the encoding, then all of it. */
static void
check_push(const char *name, const char *bytes, size_t len, bool wanted)
{
	struct frame frame;
	bool taken = frame_parse_binary((const unsigned char *) bytes, len, &frame);

	require(name, taken == wanted);
	require("nothing is left of one that is not", taken || frame.topic == NULL);
	frame_free(&frame);
}

#define PUSH(name, bytes, wanted) check_push(name, bytes, sizeof(bytes) - 1, wanted)

static void
takes_pushes(void)
{
	static const char good[] = "\3\1\1\2\1\2\1"
							   "12tte{}{\"a\":1}";
	struct frame frame;

	require("a push", frame_parse_binary((const unsigned char *) good, sizeof(good) - 1, &frame));
	require("its references are JSON texts",
			strcmp(frame.join_ref, "\"1\"") == 0 && strcmp(frame.ref, "\"2\"") == 0);
	require("its names", strcmp(frame.topic, "tt") == 0 && strcmp(frame.event, "e") == 0);
	require("its payload", frame.push && frame.payload_json && frame.payload.len == 7 &&
							   memcmp(frame.payload.start, "{\"a\":1}", 7) == 0);
	frame_free(&frame);
	PUSH("octets",
		 "\3\0\0\1\1\0\0"
		 "te\0\xff",
		 true);
	PUSH("less than a head", "\3\0\0\0\0\0", false);
	PUSH("another type", "\4\0\0\1\1\0\1te{}", false);
	PUSH("another encoding", "\3\0\0\1\1\0\2te{}", false);
	PUSH("less than its names", "\3\0\0\1\2\0\1te", false);
	PUSH("a NUL in a name", "\3\0\0\1\1\0\1t\0{}", false);
	PUSH("a reference that is no JSON text", "\3\1\0\1\1\0\1\"te{}", false);
	PUSH("another one", "\3\0\1\1\1\0\1\nte{}", false);
	PUSH("a topic that is no UTF-8",
		 "\3\0\0\1\1\0\1\xff"
		 "e{}",
		 false);
	PUSH("an event that is no UTF-8", "\3\0\0\1\1\0\1t\xff{}", false);
	PUSH("a payload that is no JSON", "\3\0\0\1\1\0\1te{", false);
}

static void
carries(const char *name, enum serializer serializer, const struct broadcast *broadcast,
		const char *wanted, size_t len)
{
	struct message *m = frame_broadcast(serializer, broadcast);

	require(name, wanted == NULL ? m == NULL
								 : m != NULL && message_length(m) == len &&
									   memcmp(message_text(m), wanted, len) == 0);
	if (m != NULL)
		message_release(m);
}

#define CARRIES(name, serializer, broadcast, wanted)                                               \
	carries(name, serializer, broadcast, wanted, sizeof(wanted) - 1)

static void
replays(enum serializer serializer, const struct broadcast *broadcast, const char *wanted)
{
	struct message *m = frame_replay(serializer, "\"1\"", broadcast);

	require(wanted, message_length(m) == strlen(wanted) &&
						memcmp(message_text(m), wanted, strlen(wanted)) == 0);
	message_release(m);
}

static void
carries_what_it_can(void)
{
	struct broadcast broadcast = {.topic = "t", .event = "e", .payload = "{}", .payload_len = 2};
	char name[300];

	carries("octets in 1.0.0", SERIALIZER_V1, &broadcast, NULL, 0);
	carries("octets as text in 2.0.0", SERIALIZER_V2, &broadcast, NULL, 0);
	broadcast.binary = true;
	CARRIES("octets in 2.0.0", SERIALIZER_V2, &broadcast, "\4\12\1\0\0realtime:te{}");
	broadcast.payload_json = true;
	CARRIES("JSON in 2.0.0", SERIALIZER_V2, &broadcast, "\4\12\1\0\1realtime:te{}");
	CARRIES("JSON in 1.0.0", SERIALIZER_V1, &broadcast,
			"{\"ref\":null,\"event\":\"broadcast\",\"topic\":\"realtime:t\",\"payload\":"
			"{\"event\":\"e\",\"payload\":{},\"type\":\"broadcast\"}}");
	broadcast.id = "7";
	replays(SERIALIZER_V2, &broadcast,
			"[\"1\",null,\"realtime:t\",\"broadcast\",{\"event\":\"e\",\"meta\":{\"id\":\"7\","
			"\"replayed\":true},\"payload\":{},\"type\":\"broadcast\"}]");
	replays(
		SERIALIZER_V1, &broadcast,
		"{\"ref\":null,\"event\":\"broadcast\",\"topic\":\"realtime:t\",\"payload\":{\"event\":\"e\","
		"\"meta\":{\"id\":\"7\",\"replayed\":true},\"payload\":{},\"type\":\"broadcast\"}}");
	broadcast.id = NULL;
	memset(name, 'n', 256);
	name[256] = '\0';
	broadcast.event = name;
	broadcast.payload_json = false;
	carries("octets under a name that is too long", SERIALIZER_V2, &broadcast, NULL, 0);
}

/* Channels keep them, and answers carry them: they are no place for megabytes. */
static void
takes_references(void)
{
	char longest[FRAME_MAX_REFERENCE + 2] = "", text[2 * FRAME_MAX_REFERENCE];

	memset(longest, 'x', FRAME_MAX_REFERENCE);
	longest[0] = longest[FRAME_MAX_REFERENCE - 1] = '"';
	for (int extra = 0; extra <= 1; extra++)
	{
		snprintf(text, sizeof(text), "[%s,null,\"t\",\"e\",{}]", longest);
		check_text(text, false, extra == 0);
		snprintf(text, sizeof(text), "[null,%s,\"t\",\"e\",{}]", longest);
		check_text(text, false, extra == 0);
		snprintf(text, sizeof(text), "{\"topic\":\"t\",\"event\":\"e\",\"ref\":%s}", longest);
		check_text(text, extra == 0, false);
		longest[FRAME_MAX_REFERENCE - 1] = 'x';
		longest[FRAME_MAX_REFERENCE] = '"';
	}
}

int
main(void)
{
	check_text("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}", true, false);
	check_text("[null,\"1\",\"t\",\"e\",{}]", false, true);
	check_text("[null,\"1\",\"t\",\"e\"]", false, false);
	check_text("[null,\"1\",null,\"e\",{}]", false, false);
	check_text("[null,\"1\",\"t\",1,{}]", false, false);
	check_text("{\"topic\":\"t\"}", false, false);
	check_text("{\"event\":\"e\"}", false, false);
	check_text("\"t\"", false, false);
	check_text("[", false, false);
	takes_references();
	takes_pushes();
	carries_what_it_can();
	return 0;
}
