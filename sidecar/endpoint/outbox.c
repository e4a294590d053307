/*
 * See outbox.h.
 */
#include "endpoint/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/memory.h"

#define AT_ONCE 256 /* messages of one sendmsg */
#define RING_MIN 8
#define RING_KEPT 64 /* a longer ring is given back once it is empty */

static struct message **
slot(const struct outbox *outbox, uint32_t number)
{
	return &outbox->ring[number & (outbox->size - 1)];
}

static void
grow(struct outbox *outbox)
{
	struct outbox larger = *outbox;

	larger.size = outbox->size == 0 ? RING_MIN : outbox->size * 2;
	larger.ring = xmalloc(larger.size * sizeof(*larger.ring));
	for (uint32_t i = outbox->first; i != outbox->end; i++)
		*slot(&larger, i) = *slot(outbox, i);
	free(outbox->ring);
	*outbox = larger;
}

void
outbox_put(struct outbox *outbox, struct message *message)
{
	if (outbox->end - outbox->first == outbox->size)
		grow(outbox);
	message_seal(message);
	*slot(outbox, outbox->end++) = message;
	outbox->bytes += message_wire_length(message);
}

static void
drop_first(struct outbox *outbox)
{
	struct message *message = *slot(outbox, outbox->first++);

	outbox->bytes -= message_wire_length(message);
	outbox->sent = 0;
	message_release(message);
}

/* The first messages, from where the kernel stopped. */
static int
gather(const struct outbox *outbox, struct iovec *parts)
{
	int n = 0;

	for (uint32_t i = outbox->first; i != outbox->end && n < AT_ONCE; i++, n++)
	{
		const struct message *message = *slot(outbox, i);
		size_t skip = n == 0 ? outbox->sent : 0;

		parts[n].iov_base = (char *) message_wire(message) + skip;
		parts[n].iov_len = message_wire_length(message) - skip;
	}
	return n;
}

static void
account(struct outbox *outbox, size_t sent)
{
	while (sent > 0)
	{
		size_t left = message_wire_length(*slot(outbox, outbox->first)) - outbox->sent;

		if (sent < left)
		{
			outbox->sent += sent;
			return;
		}
		sent -= left;
		drop_first(outbox);
	}
}

static void
forget_ring(struct outbox *outbox)
{
	free(outbox->ring);
	*outbox = (struct outbox){0};
}

enum outbox_state
outbox_write(struct outbox *outbox, int fd)
{
	struct iovec parts[AT_ONCE];
	struct msghdr header = {.msg_iov = parts};

	while (!outbox_is_empty(outbox))
	{
		ssize_t sent;

		header.msg_iovlen = (size_t) gather(outbox, parts);
		sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0)
			account(outbox, (size_t) sent);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return OUTBOX_WAITS;
		else if (errno != EINTR)
			return OUTBOX_BROKEN;
	}
	if (outbox->size > RING_KEPT)
		forget_ring(outbox);
	return OUTBOX_EMPTY;
}

const char *
outbox_rest(const struct outbox *outbox, size_t *len)
{
	const struct message *message;

	if (outbox->sent == 0)
		return NULL;
	message = *slot(outbox, outbox->first);
	*len = message_wire_length(message) - outbox->sent;
	return message_wire(message) + outbox->sent;
}

void
outbox_rest_taken(struct outbox *outbox)
{
	drop_first(outbox);
}

void
outbox_clear(struct outbox *outbox)
{
	while (!outbox_is_empty(outbox))
		drop_first(outbox);
	forget_ring(outbox);
}
