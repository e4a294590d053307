/*
 * Many WebSockets of one topic in one process: crowd PORT KEY TOPIC SOCKETS FRAMES [times]
 *
 * Opens them, joins the public topic on each unless TOPIC is "", prints "joined", and ends once each socket has been sent
 * FRAMES broadcasts (0: when stdin ends). Frames are told apart by their headers alone, so that the reader costs little;
 * with times each has a member "at", the nanoseconds of the monotonic clock when it was sent, and how long they took is printed
 * in the end: p50 and p99, milliseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADER_MAX 10
#define BEGINNING 256 /* bytes of a frame that are looked at for its time */

struct client
{
	int fd;
	long frames;
	unsigned char header[HEADER_MAX];
	int have;      /* bytes of the header */
	uint64_t left; /* bytes of the payload */
	char beginning[BEGINNING + 1]; /* of it */
	size_t begun;
};

static struct
{
	bool wanted;
	double *of; /* milliseconds */
	size_t count, size;
} times;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
say(int fd, const char *text, size_t len)
{
	if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t) len)
		fail("send");
}

/* Reads to the end of the answer's head, byte by byte: nothing comes behind it before the join. */
static void
read_head(int fd)
{
	char last[4] = {0};

	while (memcmp(last, "\r\n\r\n", 4) != 0)
	{
		memmove(last, last + 1, 3);
		if (recv(fd, last + 3, 1, 0) != 1)
			fail("handshake");
	}
}

static void
send_text(int fd, const char *text)
{
	unsigned char frame[512] = {0x81};
	size_t len = strlen(text), at = 2;

	frame[1] = 0x80 | (len < 126 ? len : 126);
	if (len >= 126)
	{
		frame[at++] = (unsigned char) (len >> 8);
		frame[at++] = (unsigned char) len;
	}
	memset(frame + at, 0, 4); /* a mask that changes nothing */
	memcpy(frame + at + 4, text, len);
	say(fd, (char *) frame, at + 4 + len);
}

static int
open_socket(int port, const char *key, const char *topic)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), len;
	char text[1024];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0)
		fail("connect");
	len = snprintf(text, sizeof(text),
				   "GET /realtime/v1/websocket?apikey=%s&vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
				   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
				   key);
	say(fd, text, (size_t) len);
	read_head(fd);
	if (*topic == '\0')
		return fd;
	snprintf(text, sizeof(text), "[\"1\",\"1\",\"realtime:%s\",\"phx_join\",{\"config\":{\"private\":false}}]", topic);
	send_text(fd, text);
	return fd;
}

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

/* Keeps the beginning of a frame. */
static void
begin(struct client *client, const unsigned char *at, size_t len)
{
	if (!times.wanted || client->begun == BEGINNING)
		return;
	len = len < BEGINNING - client->begun ? len : BEGINNING - client->begun;
	memcpy(client->beginning + client->begun, at, len);
	client->begun += len;
}

/* A frame is whole. */
static void
finish(struct client *client)
{
	const char *member;

	client->frames++;
	client->beginning[client->begun] = '\0';
	client->begun = 0;
	member = times.wanted ? strstr(client->beginning, "\"at\":") : NULL;
	if (member != NULL && times.count < times.size)
		times.of[times.count++] = (now_ns() - strtod(member + 5, NULL)) / 1e6;
}

static int
compare(const void *a, const void *b)
{
	double left = *(const double *) a, right = *(const double *) b;

	return left < right ? -1 : left > right;
}

static void
print_times(void)
{
	qsort(times.of, times.count, sizeof(*times.of), compare);
	printf("%.2f %.2f\n", times.of[times.count / 2], times.of[times.count * 99 / 100]);
}

/* Counts the frames that end in these bytes. */
static void
count(struct client *client, const unsigned char *at, size_t len)
{
	while (len > 0)
	{
		if (client->left > 0)
		{
			size_t skip = client->left < len ? client->left : len;

			begin(client, at, skip);
			client->left -= skip;
			at += skip;
			len -= skip;
			if (client->left == 0)
				finish(client);
			continue;
		}
		client->header[client->have++] = *at++;
		len--;
		if (client->have >= 2)
		{
			int short_len = client->header[1] & 0x7f;
			int size = short_len < 126 ? 2 : short_len == 126 ? 4 : 10;

			if (client->have < size)
				continue;
			client->left = size == 2 ? (uint64_t) short_len : 0;
			for (int i = 2; i < size; i++)
				client->left = client->left << 8 | client->header[i];
			client->have = 0;
			if (client->left == 0)
				finish(client);
		}
	}
}

static long
hear(struct client *clients, int sockets, int epoll, long until)
{
	static unsigned char bytes[1 << 18];
	struct epoll_event events[256];
	int done = 0;

	while (done < sockets)
	{
		int n = epoll_wait(epoll, events, 256, -1);

		for (int i = 0; i < n; i++)
		{
			struct client *client = &clients[events[i].data.u32];
			bool was = client->frames >= until;
			ssize_t len = recv(client->fd, bytes, sizeof(bytes), 0);

			if (len <= 0)
				fail("a socket was closed");
			count(client, bytes, (size_t) len);
			done += !was && client->frames >= until;
		}
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	int sockets = argc > 5 ? atoi(argv[4]) : 0, epoll = epoll_create1(0);
	long frames = argc > 5 ? atol(argv[5]) : 0;
	struct client *clients = calloc((size_t) sockets + 1, sizeof(*clients));
	char end;

	if (argc < 6 || clients == NULL)
		return 2;
	times.wanted = argc > 6 && strcmp(argv[6], "times") == 0;
	times.size = times.wanted ? (size_t) sockets * (size_t) frames : 1;
	times.of = calloc(times.size + 1, sizeof(*times.of));
	if (times.of == NULL)
		fail("calloc");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < sockets; i++)
	{
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t) i};

		clients[i].fd = open_socket(atoi(argv[1]), argv[2], argv[3]);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) != 0)
			fail("epoll_ctl");
	}
	if (*argv[3] != '\0')
		hear(clients, sockets, epoll, 1); /* the answers to the joins */
	puts("joined");
	fflush(stdout);
	if (frames == 0)
		while (read(STDIN_FILENO, &end, 1) > 0)
			;
	else
		hear(clients, sockets, epoll, frames + 1);
	if (times.count > 0)
		print_times();
	else
		puts("done");
	return 0;
}
