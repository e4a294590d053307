/*
 * What a WebSocket still has to be sent: frames as RFC 6455 has them, in order and whole, through a kernel that takes
 * little at a time; and what becomes of them where the peer is gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../sidecar/base/memory.h"
#include "../../sidecar/endpoint/outbox.h"
#include "require.h"

#define MESSAGES 3000

static struct message *
message_of(size_t len, char fill)
{
	struct message *message = message_create(false);
	char *text = xmalloc(len);

	memset(text, fill, len);
	message_bytes(message, text, len);
	free(text);
	return message;
}

static void
check_header(size_t len, const unsigned char *wanted, size_t wanted_len, bool binary)
{
	struct message *message = message_create(binary);
	char name[60];
	char *text = xcalloc(1, len);

	message_bytes(message, text, len);
	free(text);
	message_seal(message);
	message_seal(message);
	snprintf(name, sizeof(name), "the header of a frame of %zu bytes", len);
	require(name, message->header == wanted_len &&
					  memcmp(message_wire(message), wanted, wanted_len) == 0 &&
					  message_wire_length(message) == len + wanted_len);
	message_release(message);
}

static void
check_headers(void)
{
	check_header(0, (const unsigned char *) "\x81\x00", 2, false);
	check_header(125, (const unsigned char *) "\x82\x7d", 2, true);
	check_header(126, (const unsigned char *) "\x81\x7e\x00\x7e", 4, false);
	check_header(65535, (const unsigned char *) "\x81\x7e\xff\xff", 4, false);
	check_header(65536, (const unsigned char *) "\x81\x7f\0\0\0\0\0\x01\0\0", 10, false);
}

/* Everything that was written so far; the descriptor does not block. */
static size_t
drain(int fd, char *into)
{
	size_t all = 0;
	ssize_t n;

	while ((n = recv(fd, into + all, 1 << 16, MSG_DONTWAIT)) > 0)
		all += (size_t) n;
	return all;
}

/* Lengths that cross the borders of headers, and that the kernel cuts anywhere. */
static size_t
length_of(int i)
{
	return (size_t) (i % 7 == 0 ? 70000 : i % 3 == 0 ? 300 : i % 50);
}

static void
check_order(void)
{
	struct outbox outbox = {0};
	int ends[2], size = 4096, waits = 0, partial = 0;
	size_t wanted_len = 0, got_len = 0, rest;
	char *wanted, *got;

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	wanted = xmalloc((size_t) MESSAGES * 71000 / 6);
	got = xmalloc((size_t) MESSAGES * 71000 / 6 + (1 << 16));
	require("an empty one is empty",
			outbox_is_empty(&outbox) && outbox_write(&outbox, ends[0]) == OUTBOX_EMPTY);
	for (int i = 0; i < MESSAGES; i++)
	{
		struct message *message = message_of(length_of(i), (char) ('a' + i % 26));

		message_seal(message);
		memcpy(wanted + wanted_len, message_wire(message), message_wire_length(message));
		wanted_len += message_wire_length(message);
		outbox_put(&outbox, message);
	}
	require("it counts the bytes of frames", outbox.bytes == wanted_len);
	for (;;)
	{
		enum outbox_state state = outbox_write(&outbox, ends[0]);

		partial += (outbox_rest(&outbox, &rest) != NULL);
		got_len += drain(ends[1], got + got_len);
		if (state == OUTBOX_EMPTY)
			break;
		require("it waits", state == OUTBOX_WAITS || waits > 0);
		waits++;
	}
	require("the kernel stopped it, within a frame too", waits > 10 && partial > 10);
	require("all of it came, in order", got_len == wanted_len && memcmp(got, wanted, got_len) == 0);
	require("nothing is left, and no memory", outbox_is_empty(&outbox) && outbox.bytes == 0 &&
												  !(outbox_rest(&outbox, &rest) != NULL) &&
												  outbox.ring == NULL);
	free(wanted);
	free(got);
	close(ends[0]);
	close(ends[1]);
}

/* Another writer takes over what is missing of a frame. */
static void
check_rest(void)
{
	struct outbox outbox = {0};
	char *got = xmalloc(1 << 21);
	int ends[2], size = 4096;
	size_t len = 0, got_len;
	const char *rest;

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	outbox_put(&outbox, message_of(500000, 'a'));
	outbox_put(&outbox, message_of(10, 'b'));
	require("no rest before the first byte", outbox_rest(&outbox, &len) == NULL);
	require("it waits within the first frame", outbox_write(&outbox, ends[0]) == OUTBOX_WAITS);
	rest = outbox_rest(&outbox, &len);
	got_len = drain(ends[1], got);
	require("the rest is what did not come", rest != NULL && got_len + len == 500010);
	memcpy(got + got_len, rest, len);
	got_len += len;
	outbox_rest_taken(&outbox);
	require("the second frame follows", outbox_write(&outbox, ends[0]) == OUTBOX_EMPTY);
	got_len += drain(ends[1], got + got_len);
	require("all is whole", got_len == 500022 && got[10] == 'a' && got[500009] == 'a' &&
								memcmp(got + 500010, "\x81\x0a\x62\x62\x62", 5) == 0);
	outbox_clear(&outbox);
	free(got);
	close(ends[0]);
	close(ends[1]);
}

static void
check_shared(void)
{
	struct message *message = message_of(10, 'x');
	struct outbox one = {0}, other = {0};
	int ends[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	outbox_put(&one, message_share(message));
	outbox_put(&other, message_share(message));
	require("one message in two", message->refs == 3);
	require("written", outbox_write(&one, ends[0]) == OUTBOX_EMPTY && message->refs == 2);
	outbox_clear(&other);
	require("or given up", message->refs == 1 && outbox_is_empty(&other));
	close(ends[1]);
	outbox_put(&one, message_share(message));
	require("a peer that is gone breaks it", outbox_write(&one, ends[0]) == OUTBOX_BROKEN);
	outbox_clear(&one);
	message_release(message);
	close(ends[0]);
}

int
main(void)
{
	check_headers();
	check_order();
	check_rest();
	check_shared();
	return 0;
}
