/*
 * Strangers by the thousand in one process, each of a kind that an endpoint on the internet has to bear.
 *
 *   strangers PORT ANON_KEY USER_TOKEN KIND=COUNT …
 *
 *   idle    opens a WebSocket and only beats
 *   reader  joins the public topic "square", and reads
 *   deaf    the same, and reads nothing after that
 *   flood   the same, and broadcasts there as fast as the kernel takes it
 *   join    joins other topics, public and private ones with the user's token, as fast as the kernel takes it
 *   stall   begins a POST of 8 MB and leaves it at that
 *
 * Prints "ready" once those that behave (idle, reader) have what they want, and goes on until stdin ends. Who is closed
 * comes again. Prints a line of counts then: "KIND opened=… closed=… refused=… sent=…" (frames; closed: by the endpoint,
 * refused: before it was a WebSocket).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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

#define OPENING 64 /* handshakes at a time */
#define AGAIN_MS 200
#define BEAT_MS 20000
#define CYCLE 1000 /* frames that are written again and again */
#define SAID 4096  /* bytes of a broadcast */
#define BODY 100000

enum kind
{
	IDLE,
	READER,
	DEAF,
	FLOOD,
	JOIN,
	STALL,
	KINDS
};

static const char *const names[KINDS] = {"idle", "reader", "deaf", "flood", "join", "stall"};

struct text
{
	char *bytes;
	size_t len, size;
	size_t frames;
};

enum state
{
	CLOSED,
	ASKING, /* for a WebSocket */
	OPEN
};

struct stranger
{
	int fd;
	enum kind kind;
	enum state state;
	uint64_t again;  /* when it comes again */
	char tail[4];    /* of the answer to the handshake */
	bool refused;    /* that answer is no 101 */
	size_t answered; /* bytes of it */
	bool heard;      /* something came after it: the answer to its join */
	const struct text *says;
	size_t said;
	bool endless; /* it says all of that again */
};

static struct
{
	const char *anon, *user;
	struct sockaddr_in address;
	int epoll, opening;
	struct stranger *strangers;
	int count;
	struct
	{
		long opened, closed, refused, sent;
	} of[KINDS];
	struct text handshake, beat, arrive, flood, joins, post;
} world;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void
add(struct text *text, const void *bytes, size_t len)
{
	if (text->len + len > text->size)
	{
		text->size = (text->len + len) * 2;
		text->bytes = realloc(text->bytes, text->size);
		if (text->bytes == NULL)
			fail("realloc");
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

/* A text frame, with a mask that changes nothing. */
static void
add_frame(struct text *text, const char *payload)
{
	size_t len = strlen(payload);
	unsigned char head[8] = {0x81};
	size_t at = 2;

	head[1] = (unsigned char) (0x80 | (len < 126 ? len : 126));
	if (len >= 126)
	{
		head[at++] = (unsigned char) (len >> 8);
		head[at++] = (unsigned char) len;
	}
	add(text, head, at);
	add(text, "\0\0\0\0", 4);
	add(text, payload, len);
	text->frames++;
}

static void
add_join(struct text *text, const char *topic, bool is_private)
{
	char payload[4096];

	snprintf(payload, sizeof(payload),
			 "[\"1\",\"1\",\"realtime:%s\",\"phx_join\",{\"config\":{\"private\":%s}%s%s%s}]", topic,
			 is_private ? "true" : "false", is_private ? ",\"access_token\":\"" : "",
			 is_private ? world.user : "", is_private ? "\"" : "");
	add_frame(text, payload);
}

static void
write_texts(void)
{
	static char words[SAID + 1], payload[SAID + 256], body[BODY];
	char topic[64], head[4096];

	memset(words, 'x', SAID);
	memset(body, 'x', BODY);
	snprintf(payload, sizeof(payload),
			 "[\"1\",\"2\",\"realtime:square\",\"broadcast\",{\"type\":\"broadcast\",\"event\":\"e\","
			 "\"payload\":{\"words\":\"%s\"}}]",
			 words);
	snprintf(head, sizeof(head),
			 "GET /realtime/v1/websocket?apikey=%s&vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
			 "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			 world.anon);
	add(&world.handshake, head, strlen(head));
	snprintf(head, sizeof(head),
			 "POST /api/broadcast HTTP/1.1\r\nHost: x\r\napikey: %s\r\nContent-Type: application/json\r\n"
			 "Content-Length: 8000000\r\n\r\n",
			 world.anon);
	add(&world.post, head, strlen(head));
	add(&world.post, body, BODY);
	add_frame(&world.beat, "[null,\"9\",\"phoenix\",\"heartbeat\",{}]");
	add_join(&world.arrive, "square", false);
	for (int i = 0; i < CYCLE; i++)
	{
		/* Its channel is closed again and again, as one that floods. */
		if (i % 20 == 0)
			add_join(&world.flood, "square", false);
		add_frame(&world.flood, payload);
		snprintf(topic, sizeof(topic), i % 2 == 0 ? "conversation:%d" : "spam:%d", i + 1000000);
		add_join(&world.joins, topic, i % 2 == 0);
	}
}

static void
watch(struct stranger *s)
{
	bool writes = s->says != NULL, reads = s->kind != DEAF || !s->heard;
	struct epoll_event event = {.events = (writes ? EPOLLOUT : 0) | (reads ? EPOLLIN : 0),
								.data.u32 = (uint32_t) (s - world.strangers)};

	if (epoll_ctl(world.epoll, EPOLL_CTL_MOD, s->fd, &event) != 0)
		fail("epoll_ctl");
}

static void
begin(struct stranger *s)
{
	struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t) (s - world.strangers)};
	int small = 4096;

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		fail("socket");
	if (s->kind == DEAF)
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (connect(s->fd, (struct sockaddr *) &world.address, sizeof(world.address)) != 0 &&
		errno != EINPROGRESS)
		fail("connect");
	s->state = s->kind == STALL ? OPEN : ASKING;
	s->says = s->kind == STALL ? &world.post : &world.handshake;
	s->said = s->answered = 0;
	s->heard = s->refused = s->endless = false;
	world.opening += s->state == ASKING;
	if (s->state == OPEN)
		world.of[s->kind].opened++;
	if (epoll_ctl(world.epoll, EPOLL_CTL_ADD, s->fd, &event) != 0)
		fail("epoll_ctl");
}

static void
end(struct stranger *s)
{
	if (s->state == ASKING)
	{
		world.of[s->kind].refused++;
		world.opening--;
	}
	else
		world.of[s->kind].closed++;
	close(s->fd);
	s->state = CLOSED;
	s->again = now_ms() + AGAIN_MS;
}

static void
settle_in(struct stranger *s)
{
	static const struct text *const say[KINDS] = {NULL,          &world.arrive, &world.arrive,
												  &world.flood, &world.joins,  NULL};

	s->state = OPEN;
	world.opening--;
	world.of[s->kind].opened++;
	s->says = say[s->kind];
	s->said = 0;
	s->endless = s->kind == FLOOD || s->kind == JOIN;
	watch(s);
}

/* Looks at the answer to the handshake. False: it is no 101. */
static bool
read_answer(struct stranger *s, const char *bytes, ssize_t len)
{
	for (ssize_t i = 0; i < len; i++)
	{
		memmove(s->tail, s->tail + 1, 3);
		s->tail[3] = bytes[i];
		/* HTTP/1.1 101 */
		s->refused = s->refused || (s->answered == 9 && bytes[i] != '1');
		s->answered++;
		if (memcmp(s->tail, "\r\n\r\n", 4) != 0)
			continue;
		if (!s->refused)
			settle_in(s);
		return !s->refused;
	}
	return true;
}

static void
on_readable(struct stranger *s)
{
	static char bytes[1 << 18];
	ssize_t len = recv(s->fd, bytes, sizeof(bytes), 0);
	bool was_open = s->state == OPEN;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0 || (s->state == ASKING && !read_answer(s, bytes, len)))
	{
		end(s);
		return;
	}
	if (!was_open || s->heard)
		return;
	s->heard = true;
	watch(s); /* who is deaf stops here */
}

static void
on_writable(struct stranger *s)
{
	const struct text *says = s->says;
	ssize_t len = send(s->fd, says->bytes + s->said, says->len - s->said, MSG_NOSIGNAL);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len < 0)
	{
		end(s);
		return;
	}
	s->said += (size_t) len;
	if (s->said < says->len)
		return;
	world.of[s->kind].sent += (long) says->frames;
	s->said = 0;
	if (s->endless)
		return;
	s->says = NULL;
	watch(s);
}

/* Those that are closed come again, so many at a time; those that are there beat. */
static void
tick(bool beats)
{
	uint64_t now = now_ms();

	for (int i = 0; i < world.count; i++)
	{
		struct stranger *s = &world.strangers[i];

		if (s->state == CLOSED && s->again <= now && (s->kind == STALL || world.opening < OPENING))
			begin(s);
		else if (beats && s->state == OPEN && s->says == NULL && s->kind != STALL)
		{
			s->says = &world.beat;
			watch(s);
		}
	}
}

static bool
is_ready(void)
{
	for (int i = 0; i < world.count; i++)
	{
		const struct stranger *s = &world.strangers[i];

		if ((s->kind == IDLE && s->state != OPEN) || (s->kind == READER && !s->heard))
			return false;
	}
	return true;
}

static void
run(void)
{
	struct epoll_event events[256], input = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
	uint64_t beat_at = now_ms() + BEAT_MS, tick_at = 0;
	bool ready = false;

	if (epoll_ctl(world.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0)
		fail("epoll_ctl");
	for (;;)
	{
		int n = epoll_wait(world.epoll, events, 256, 10);
		bool beats = now_ms() >= beat_at;

		for (int i = 0; i < n; i++)
		{
			struct stranger *s = &world.strangers[events[i].data.u32];

			if (events[i].data.u32 == UINT32_MAX)
				return;
			if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
				on_readable(s);
			if (s->state != CLOSED && (events[i].events & EPOLLOUT) != 0 && s->says != NULL)
				on_writable(s);
		}
		if (beats || now_ms() >= tick_at)
		{
			tick(beats);
			tick_at = now_ms() + 5;
			beat_at = beats ? now_ms() + BEAT_MS : beat_at;
		}
		if (!ready && is_ready())
		{
			ready = true;
			puts("ready");
			fflush(stdout);
		}
	}
}

static void
come(const char *word)
{
	for (int kind = 0; kind < KINDS; kind++)
	{
		size_t len = strlen(names[kind]);
		int count;

		if (strncmp(word, names[kind], len) != 0 || word[len] != '=')
			continue;
		count = atoi(word + len + 1);
		world.strangers = realloc(world.strangers,
								  (size_t) (world.count + count + 1) * sizeof(*world.strangers));
		if (world.strangers == NULL)
			fail("realloc");
		for (int i = 0; i < count; i++)
			world.strangers[world.count++] = (struct stranger){.kind = (enum kind) kind};
		return;
	}
	exit(2);
}

int
main(int argc, char **argv)
{
	struct rlimit limit;

	if (argc < 4)
		return 2;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	world.address = (struct sockaddr_in){.sin_family = AF_INET,
										 .sin_port = htons((uint16_t) atoi(argv[1])),
										 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	world.anon = argv[2];
	world.user = argv[3];
	world.epoll = epoll_create1(0);
	write_texts();
	for (int i = 4; i < argc; i++)
		come(argv[i]);
	run();
	for (int kind = 0; kind < KINDS; kind++)
		printf("%s opened=%ld closed=%ld refused=%ld sent=%ld\n", names[kind], world.of[kind].opened,
			   world.of[kind].closed, world.of[kind].refused, world.of[kind].sent);
	return 0;
}
