/* Heads of requests: what is taken from one lies within it, and is decoded within its length. */
#include "io/request_head.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void
within(struct slice slice, const char *bytes, size_t len)
{
	if (slice.start != NULL && (slice.start < bytes || slice.start + slice.len > bytes + len))
		abort();
}

static void
decode(struct slice slice)
{
	char *text = slice_decoded(slice, true);

	if (text != NULL && strlen(text) > slice.len)
		abort();
	free(text);
}

static void
look(const struct request_head *head, const char *bytes, size_t len)
{
	within(head->path, bytes, len);
	within(head->query, bytes, len);
	within(head->authorization, bytes, len);
	within(head->apikey, bytes, len);
	within(head->x_api_key, bytes, len);
	within(head->content_type, bytes, len);
	within(head->websocket_key, bytes, len);
	if (head->body_len > 0 && head->method != METHOD_POST)
		abort();
	decode(head->path);
	decode(head->query);
	free(request_argument(head, "private"));
	free(request_argument(head, ""));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* On the heap, so that a step over the end is seen. */
	char *bytes = malloc(size + 1);
	struct request_head head;
	size_t len;

	memcpy(bytes, data, size);
	len = request_head_end(bytes, size);
	if (len > size)
		abort();
	if (len > 0)
	{
		char *exact = malloc(len);

		memcpy(exact, bytes, len);
		if (request_head_parse(exact, len, &head) == 0)
			look(&head, exact, len);
		free(exact);
	}
	free(bytes);
	return 0;
}
