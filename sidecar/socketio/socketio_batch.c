/*
 * See socketio_batch.h.
 */
#include "socketio/socketio_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "socketio/msgpack.h"
#include "socketio/socketio_wire.h"

void
load_begin(struct socketio_load *load)
{
	pgarray_begin(&load->messages);
	pgarray_begin(&load->bodies);
	load->bytes = 0;
	load->attachments = 0;
}

void
load_free(struct socketio_load *load)
{
	buffer_free(&load->messages.text);
	buffer_free(&load->bodies.text);
	buffer_free(&load->text);
	buffer_free(&load->packed);
}

static void
add_message(struct socketio_load *load)
{
	buffer_bytes(&load->text, "", 1);
	pgarray_text(&load->messages, load->text.data);
	pgarray_null(&load->bodies);
}

/* As bytea is written: \x and digits. */
static bool
add_attachment(struct socketio_load *load)
{
	static const char digits[] = "0123456789abcdef";
	size_t start;
	char *at;

	load->packed.len = 0;
	if (!msgpack_from_json(&load->packed, load->text.data, load->text.len))
		return false;
	start = load->text.len;
	at = buffer_reserve(&load->text, 2 * load->packed.len + 3);
	*at++ = '\\';
	*at++ = 'x';
	for (size_t i = 0; i < load->packed.len; i++)
	{
		unsigned char byte = (unsigned char) load->packed.data[i];

		*at++ = digits[byte >> 4];
		*at++ = digits[byte & 15];
	}
	*at = '\0';
	pgarray_null(&load->messages);
	pgarray_text(&load->bodies, load->text.data + start);
	load->attachments++;
	return true;
}

bool
load_event(struct socketio_load *load, const char *namespace, const struct log_event *event)
{
	load->text.len = 0;
	wire_broadcast(&load->text, namespace, event);
	if (load->text.len > WIRE_NOTIFY_MAX)
		return add_attachment(load);
	add_message(load);
	return true;
}

void
load_question(struct socketio_load *load, const char *namespace, const char *token, uint64_t number)
{
	load->text.len = 0;
	wire_ask(&load->text, namespace, token, number);
	add_message(load);
}

static bool
same_conversation(const struct log_event *a, const struct log_event *b)
{
	return a->conversation_length == b->conversation_length &&
		   memcmp(a->conversation, b->conversation, a->conversation_length) == 0;
}

/* Events that are being taken. */
struct taking
{
	struct event events[BATCH_MOST];
	const struct log_event *attached[BATCH_BYTES / WIRE_NOTIFY_MAX + 1];
	int count, nattached;
	size_t bytes;
};

/* Whether an attachment of its conversation is among them. */
static bool
is_behind(const struct taking *taking, const struct log_event *row)
{
	for (int i = 0; i < taking->nattached; i++)
	{
		if (same_conversation(taking->attached[i], row))
			return true;
	}
	return false;
}

static void
take(struct taking *taking, const char *namespace, struct event event)
{
	size_t length = wire_broadcast_length(namespace, event.row);

	taking->events[taking->count++] = event;
	taking->bytes += length;
	if (length > WIRE_NOTIFY_MAX)
		taking->attached[taking->nattached++] = event.row;
}

static struct socketio_batch *
make_batch(const struct event *events, int count, bool attached)
{
	struct socketio_batch *batch = xcalloc(1, sizeof(*batch) + (size_t) count * sizeof(*events));

	batch->count = count;
	batch->attached = attached;
	memcpy(batch->events, events, (size_t) count * sizeof(*events));
	return batch;
}

struct socketio_batch *
batch_take(struct realtime_queue *queue, const char *namespace, int most)
{
	struct taking taking = {.count = 0};

	while (taking.count < most && taking.count < BATCH_MOST && taking.bytes < BATCH_BYTES)
	{
		struct event event = realtime_queue_peek(queue);

		if (event.row == NULL || is_behind(&taking, event.row))
			break;
		realtime_queue_pop(queue);
		take(&taking, namespace, event);
	}
	return taking.count > 0 ? make_batch(taking.events, taking.count, taking.nattached > 0) : NULL;
}

void
batch_split(struct socketio_batch *batch)
{
	int kept = batch->count / 2;
	struct socketio_batch *second =
		make_batch(batch->events + kept, batch->count - kept, batch->attached);

	second->next = batch->next;
	batch->next = second;
	batch->count = kept;
}
