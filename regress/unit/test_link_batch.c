/*
 * Events on their way from core to endpoint: what was written is what is read, cut off at every byte, and with every
 * byte of a length changed.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/link/link_batch.h"
#include "require.h"

static struct log_event
row(const char *message, bool is_private)
{
	return (struct log_event){.message = message,
							  .message_length = (uint32_t) strlen(message),
							  .topic = message + strlen("{\"topic\":\""),
							  .topic_length = 1,
							  .name_length = 2,
							  .payload_length = 7,
							  .id_length = 3,
							  .conversation = "c1",
							  .conversation_length = 2,
							  .rights = is_private,
							  .is_private = is_private};
}

static bool
is(const struct link_event *event, const char *topic, const char *payload, const char *id,
   bool is_private)
{
	return strcmp(event->topic, topic) == 0 && strcmp(event->name, "ev") == 0 &&
		   strcmp(event->id, id) == 0 && strcmp(event->payload, payload) == 0 &&
		   event->payload_length == strlen(payload) && event->is_private == is_private &&
		   strcmp(event->rights, is_private ? "c1" : "") == 0;
}

/* How many bytes the first event has. */
static size_t
first_length(const struct buffer *text)
{
	const char *at = text->data;
	size_t left = text->len;
	struct link_event event;

	(void) link_batch_take(&at, &left, &event);
	return text->len - left;
}

static void
check_whole(const struct buffer *text)
{
	const char *at = text->data;
	size_t left = text->len;
	struct link_event event;

	require("the first event",
			link_batch_take(&at, &left, &event) && is(&event, "t", "{\"a\":1}", "123", true));
	require("the second one",
			link_batch_take(&at, &left, &event) && is(&event, "u", "{\"b\":2}", "124", false));
	require("and no other", !link_batch_take(&at, &left, &event) && left == 0);
}

/* Takes all that there is of a body that stands alone, so that a read beyond its end is found. */
static size_t
take_all(const char *bytes, size_t len)
{
	char *exact = malloc(len > 0 ? len : 1);
	const char *at = exact;
	struct link_event event;

	memcpy(exact, bytes, len);
	while (link_batch_take(&at, &len, &event))
		continue;
	free(exact);
	return len;
}

static void
check_broken(const struct buffer *text)
{
	size_t first = first_length(text);
	bool refused = true;

	for (size_t len = 1; len < text->len; len++)
		refused = refused && (len == first || take_all(text->data, len) > 0);
	require("what is cut off is not taken", refused);
	for (size_t i = 0; i < 20; i++)
	{
		char kept = text->data[i];

		text->data[i] = (char) (kept ^ 0x81);
		refused = refused && take_all(text->data, text->len) > 0;
		text->data[i] = kept;
	}
	require("nor with another length", refused);
}

int
main(void)
{
	struct log_event rows[] = {
		row("{\"topic\":\"t\",\"event\":\"ev\",\"payload\":{\"a\":1},\"private\":true,\"id\":\"123\"}",
			true),
		row("{\"topic\":\"u\",\"event\":\"ev\",\"payload\":{\"b\":2},\"private\":false,\"id\":\"124\"}",
			false)};
	struct event events[] = {{NULL, &rows[0]}, {NULL, &rows[1]}};
	struct body body = {.count = 0};

	body_write(&body, &link_batch, events, 2);
	check_whole(&body.text);
	check_broken(&body.text);
	buffer_free(&body.text);
	return 0;
}
