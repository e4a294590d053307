/*
 * One connection of a listener; see listener.h.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "io/listener_internal.h"

#define MAX_HEAD 16384
#define MAX_DISCARDED (16 * 1024 * 1024)
#define MAX_BUFFERED (64 * 1024 * 1024) /* of a listener's bodies */
#define HEAD_MS 10000
#define IDLE_MS 60000
#define BODY_MS 60000
#define WAIT_MS 30000
#define WRITE_MS 30000
#define LINGER_MS 2000

static void on_poll(uv_poll_t *poll, int status, int events);

static const struct
{
	int status;
	const char *text;
} reasons[] = {
	{200, "OK"},
	{202, "Accepted"},
	{204, "No Content"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{408, "Request Timeout"},
	{411, "Length Required"},
	{413, "Request Entity Too Large"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{422, "Unprocessable Entity"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{503, "Service Unavailable"},
	{505, "HTTP Version Not Supported"},
};

static const char *
reason_of(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
	{
		if (reasons[i].status == status)
			return reasons[i].text;
	}
	return "Unknown";
}

struct reply
reply_text(int status, const char *type, const char *body)
{
	struct reply reply = {status, type, xstrdup(body), strlen(body)};

	return reply;
}

static uint64_t
now_of(const struct connection *c)
{
	return uv_now(c->listener->app->loop);
}

/* Puts it last in the order of those that wait. */
static void
enlist(struct connection *c)
{
	struct listener *l = c->listener;

	c->next = NULL;
	c->previous = l->last;
	if (l->last != NULL)
		l->last->next = c;
	else
		l->first = c;
	l->last = c;
}

static void
delist(struct connection *c)
{
	struct listener *l = c->listener;

	if (c->previous != NULL)
		c->previous->next = c->next;
	else
		l->first = c->next;
	if (c->next != NULL)
		c->next->previous = c->previous;
	else
		l->last = c->previous;
}

/* Goes on with something else, for so long; events: what is polled for, 0 for nothing. */
static void
enter(struct connection *c, enum connection_state state, uint64_t ms, int events)
{
	c->state = state;
	c->deadline = now_of(c) + ms;
	delist(c);
	enlist(c);
	if (events != 0)
		uv_poll_start(&c->poll, events, on_poll);
	else
		uv_poll_stop(&c->poll);
}

static void
end_exchange(struct connection *c)
{
	const struct listener_rules *rules = c->listener->rules;

	if (c->begun && rules->end != NULL)
		rules->end(c->listener->arg, &c->exchange);
	c->begun = false;
	if (!c->exchange.trusted)
		c->listener->buffered -= c->body_size;
	free(c->body);
	c->body = NULL;
	c->body_size = 0;
	memset(&c->exchange, 0, sizeof(c->exchange));
}

static void
freed(uv_handle_t *handle)
{
	struct connection *c = handle->data;

	free(c->in);
	free(c->out);
	free(c);
}

/* Lets go of the descriptor, which is the caller's now. */
static int
release(struct connection *c)
{
	struct listener *l = c->listener;

	end_exchange(c);
	delist(c);
	l->count--;
	metric_set(l->metrics.connections, l->count);
	c->state = CLOSED;
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *) &c->poll, freed);
	return c->fd;
}

void
connection_destroy(struct connection *c)
{
	close(release(c));
}

/* --- answers -------------------------------------------------------------------------------------- */

/* True where the peer has sent more than was asked for, or nothing will come any more. */
static bool
has_more(const struct connection *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void
add_out(struct connection *c, const char *bytes, size_t len)
{
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
}

/* Prints an answer; it is written when the socket is writable. Frees the body. */
static void
answer(struct connection *c, struct reply reply)
{
	const char *headers = c->listener->rules->headers;
	bool has_body = reply.status != 204;
	char head[512];
	size_t len;

	c->close = c->close || c->behind || !c->exchange.head.keep_alive || has_more(c);
	len = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\n", reply.status, reason_of(reply.status));
	if (reply.type != NULL)
		len += snprintf(head + len, sizeof(head) - len, "content-type: %s\r\n", reply.type);
	if (has_body)
		len += snprintf(head + len, sizeof(head) - len, "content-length: %zu\r\n", reply.body_len);
	if (c->close)
		len += snprintf(head + len, sizeof(head) - len, "connection: close\r\n");
	free(c->out);
	c->out_len = c->out_sent = 0;
	c->out = xmalloc(len + strlen(headers) + 2 + reply.body_len);
	add_out(c, head, len);
	add_out(c, headers, strlen(headers));
	add_out(c, "\r\n", 2);
	if (has_body && reply.body_len > 0 && c->exchange.head.method != METHOD_HEAD)
		add_out(c, reply.body, reply.body_len);
	free(reply.body);
	end_exchange(c);
	enter(c, ANSWERING, WRITE_MS, UV_WRITABLE);
}

/* Answers, and takes nothing more from this connection. */
static void
refuse(struct connection *c, struct reply reply)
{
	c->close = true;
	answer(c, reply);
}

static void
refuse_plainly(struct connection *c, int status)
{
	refuse(c, reply_text(status, "text/html; charset=utf-8", reason_of(status)));
}

bool
exchange_peer(const struct exchange *exchange, struct sockaddr_storage *peer)
{
	const struct connection *c =
		(const struct connection *) ((const char *) exchange -
									 offsetof(struct connection, exchange));
	socklen_t len = sizeof(*peer);

	return getpeername(c->fd, (struct sockaddr *) peer, &len) == 0;
}

void
exchange_answer(struct exchange *exchange, struct reply reply)
{
	struct connection *c =
		(struct connection *) ((char *) exchange - offsetof(struct connection, exchange));

	answer(c, reply);
}

static void
write_out(struct connection *c)
{
	ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n < 0)
	{
		connection_destroy(c);
		return;
	}
	c->out_sent += n;
	if (c->out_sent < c->out_len)
		return;
	free(c->out);
	c->out = NULL;
	c->in_len = 0;
	if (c->close)
	{
		shutdown(c->fd, SHUT_WR);
		enter(c, LINGERING, LINGER_MS, UV_READABLE);
	}
	else
		enter(c, READING_HEAD, IDLE_MS, UV_READABLE);
}

/* --- requests ------------------------------------------------------------------------------------- */

static void
complete(struct connection *c)
{
	struct reply reply;

	c->exchange.body = c->body;
	/* First, since the answer may come at once by exchange_answer. */
	enter(c, WAITING, WAIT_MS, 0);
	reply = c->listener->rules->complete(c->listener->arg, &c->exchange);
	if (reply.status != 0)
		answer(c, reply);
}

/* Makes room for the body's next bytes, of which at least one; false: there is no memory for it. */
static bool
make_room(struct connection *c, size_t least)
{
	size_t size = c->body_size == 0 ? 4096 : c->body_size * 2;

	if (c->body_size - c->exchange.body_len >= least)
		return true;
	while (size < c->exchange.body_len + least)
		size *= 2;
	if (size > c->exchange.head.body_len)
		size = c->exchange.head.body_len;
	if (!c->exchange.trusted)
	{
		if (c->listener->buffered + size - c->body_size > MAX_BUFFERED)
			return false;
		c->listener->buffered += size - c->body_size;
	}
	c->body_size = size;
	c->body = xrealloc(c->body, size);
	return true;
}

static void
refuse_for_memory(struct connection *c)
{
	metric_add(c->listener->metrics.refused_memory, 1);
	refuse_plainly(c, 503);
}

static void
read_body(struct connection *c)
{
	size_t left = c->exchange.head.body_len - c->exchange.body_len;
	size_t room;
	ssize_t n;

	if (!make_room(c, 1))
	{
		refuse_for_memory(c);
		return;
	}
	room = c->body_size - c->exchange.body_len;
	n = recv(c->fd, c->body + c->exchange.body_len, room < left ? room : left, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0)
	{
		connection_destroy(c);
		return;
	}
	c->exchange.body_len += n;
	if ((size_t) n == left)
		complete(c);
}

/* The body begins with what came with the head. */
static void
begin_body(struct connection *c, const char *bytes, size_t len)
{
	size_t wanted = c->exchange.head.body_len;

	c->behind = len > wanted;
	if (len > wanted)
		len = wanted;
	if (len > 0 && !make_room(c, len))
	{
		refuse_for_memory(c);
		return;
	}
	if (len > 0)
		memcpy(c->body, bytes, len);
	c->exchange.body_len = len;
	if (len == wanted)
	{
		complete(c);
		return;
	}
	if (c->exchange.head.expects_continue && len == 0)
		(void) send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL | MSG_DONTWAIT);
	enter(c, READING_BODY, BODY_MS, UV_READABLE);
}

/* Gives the connection away, to what speaks WebSocket. */
static void
upgrade(struct connection *c, bool behind)
{
	const struct listener_rules *rules = c->listener->rules;
	struct exchange exchange = c->exchange;
	void *arg = c->listener->arg;
	int fd;

	if (behind)
	{
		/* A client that waits for no answer to its handshake is none. */
		refuse_plainly(c, 400);
		return;
	}
	c->begun = false; /* upgrade ends it */
	fd = release(c);
	rules->upgrade(arg, &exchange, fd);
}

/* A whole head is there. */
static void
begin(struct connection *c, size_t head_len)
{
	const struct listener_rules *rules = c->listener->rules;
	int status = request_head_parse(c->in, head_len, &c->exchange.head);
	struct reply reply;

	c->behind = c->in_len > head_len;
	if (status != 0)
	{
		refuse_plainly(c, status);
		return;
	}
	c->begun = true;
	reply = rules->begin(c->listener->arg, &c->exchange);
	c->trusted = c->trusted || c->exchange.trusted;
	if (reply.status == 101)
		upgrade(c, c->behind);
	else if (reply.status >= 400)
		refuse(c, reply);
	else if (reply.status != 0)
		answer(c, reply);
	else if (c->exchange.head.body_len > rules->max_body)
		refuse_plainly(c, 413);
	else
		begin_body(c, c->in + head_len, c->in_len - head_len);
}

static void
read_head(struct connection *c)
{
	size_t head_len;
	ssize_t n;

	if (c->in_len == c->in_size)
	{
		c->in_size = c->in_size == 0 ? 2048 : c->in_size * 2;
		c->in = xrealloc(c->in, c->in_size);
	}
	n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0)
	{
		connection_destroy(c);
		return;
	}
	if (c->in_len == 0)
		enter(c, READING_HEAD, HEAD_MS, UV_READABLE);
	c->in_len += n;
	head_len = request_head_end(c->in, c->in_len);
	if (head_len > 0)
		begin(c, head_len);
	else if (c->in_len >= MAX_HEAD)
		refuse_plainly(c, 431);
}

static void
discard(struct connection *c)
{
	char buf[65536];
	ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n > 0)
		c->discarded += n;
	if (n <= 0 || c->discarded > MAX_DISCARDED)
		connection_destroy(c);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct connection *c = poll->data;

	(void) events;
	if (status < 0)
		connection_destroy(c);
	else if (c->state == READING_HEAD)
		read_head(c);
	else if (c->state == READING_BODY)
		read_body(c);
	else if (c->state == ANSWERING)
		write_out(c);
	else if (c->state == LINGERING)
		discard(c);
}

void
connection_create(struct listener *listener, int fd)
{
	struct connection *c = xcalloc(1, sizeof(*c));

	c->listener = listener;
	c->fd = fd;
	if (uv_poll_init_socket(listener->app->loop, &c->poll, fd) != 0)
	{
		close(fd);
		free(c);
		return;
	}
	c->poll.data = c;
	listener->count++;
	metric_set(listener->metrics.connections, listener->count);
	enlist(c);
	enter(c, READING_HEAD, HEAD_MS, UV_READABLE);
}
