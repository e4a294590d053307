/*
 * WebSocket connections: frames in, a bounded queue of shared messages out. A slow client is closed and holds up nobody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/memory.h"
#include "endpoint/internal.h"

#define MAX_FRAME 5000000
#define MAX_RECEIVING (64 * 1024 * 1024) /* bytes of frames that are not complete, of all sockets */
#define KEPT_FRAME 2048                  /* a buffer up to this size is kept for the next frame */
#define SLOW_BEHIND (1024 * 1024)        /* bytes, for SLOW_MS at most */
#define SLOW_MS 10000
#define MOST_BEHIND (4 * 1024 * 1024) /* bytes, before what comes now */
#define SILENCE_MS 66000
#define TOO_MANY "Too many messages per second"
/* libwebsockets' headers leave out this one's name */
#define WRITE_CLOSE ((enum lws_write_protocol) 4)
#define CLOSE_SECONDS 5 /* for what is queued and the reason; who does not read gets neither */

struct socket *
socket_find(struct embedded *embedded, uint64_t id)
{
	char key[ID_TEXT];

	snprintf(key, sizeof(key), "%llu", (unsigned long long) id);
	return (struct socket *) table_find(&embedded->sockets, key);
}

void
socket_close(struct socket *socket, int code)
{
	if (socket->close_code != 0)
		return;
	socket->close_code = code;
	lws_set_timeout(socket->wsi, PENDING_TIMEOUT_USER_REASON_BASE, CLOSE_SECONDS);
	lws_callback_on_writable(socket->wsi);
}

/*
 * The rest of a frame that is out in part is libwebsockets', which copies it: its own answers to pings come behind it
 * then, and not in between. LWS_WRITE_HTTP is its name for bytes that go out as they are.
 */
static bool
hand_over_rest(struct socket *socket)
{
	size_t len;
	const char *rest = outbox_rest(&socket->out, &len);

	if (rest == NULL)
		return true;
	if (lws_write(socket->wsi, (unsigned char *) rest, len, LWS_WRITE_HTTP) < 0)
		return false;
	outbox_rest_taken(&socket->out);
	return true;
}

/*
 * Who does not read is not read from, either. A connection that ends while libwebsockets has something left to write it keeps
 * for 5 s, does not read, and polls all the same: bytes or an end that wait there would have the loop turn without rest.
 */
static void
heed(struct socket *socket)
{
	bool stuck = socket->waits || lws_partial_buffered(socket->wsi);

	if (stuck != socket->unheeded)
		lws_rx_flow_control(socket->wsi, stuck ? 0 : 1);
	socket->unheeded = stuck;
}

/* Writes what the kernel takes; false: the connection is gone. */
static bool
write_out(struct socket *socket)
{
	enum outbox_state state = outbox_write(&socket->out, lws_get_socket_fd(socket->wsi));
	bool good = state != OUTBOX_BROKEN && hand_over_rest(socket);

	socket->waits = state == OUTBOX_WAITS;
	heed(socket);
	return good;
}

/* What libwebsockets has to write of its own comes first. */
static void
flush(struct socket *socket)
{
	if (socket->waits)
		return;
	if (socket->close_code != 0 || lws_partial_buffered(socket->wsi) || !write_out(socket) ||
		socket->waits)
		lws_callback_on_writable(socket->wsi);
}

/* Writes to all that were sent something in this turn of the loop. */
static void
write_all(struct embedded *embedded)
{
	struct socket *socket;

	while ((socket = embedded->to_write) != NULL)
	{
		embedded->to_write = socket->next_to_write;
		socket->to_write = false;
		flush(socket);
	}
}

static void
on_turn_end(uv_prepare_t *writer)
{
	uv_prepare_stop(writer);
	write_all(writer->data);
}

/* To be written to at the end of this turn of the loop: what comes together goes out together. */
static void
write_later(struct socket *socket)
{
	struct embedded *embedded = socket->embedded;

	if (socket->to_write)
		return;
	socket->to_write = true;
	socket->behind = socket->out.bytes;
	socket->next_to_write = embedded->to_write;
	embedded->to_write = socket;
	if (!uv_is_active((uv_handle_t *) embedded->writer))
		uv_prepare_start(embedded->writer, on_turn_end);
}

/* The kernel forgets what it holds of it, too. */
void
socket_give_up(struct socket *socket)
{
	static const struct linger no_longer = {.l_onoff = 1};
	struct embedded *embedded = socket->embedded;
	int fd = lws_get_socket_fd(socket->wsi);
	int times = log_pace_due(&embedded->slow, uv_now(embedded->app->loop));

	metric_add(embedded->metrics.slow_sockets, 1);
	if (times > 0)
		log_event(LOG_WARN, "a WebSocket is closed that does not read what it is sent", "bytes",
				  "%zu", socket->out.bytes, "times", "%d", times, NULL);
	outbox_clear(&socket->out);
	socket_close(socket, LWS_CLOSE_STATUS_POLICY_VIOLATION);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_longer, sizeof(no_longer));
	shutdown(fd, SHUT_RDWR);
}

void
socket_send(struct socket *socket, struct message *message)
{
	/* A batch by itself closes nobody. */
	size_t before = socket->to_write ? socket->behind : socket->out.bytes;

	if (socket->close_code == 0 && before > MOST_BEHIND)
		socket_give_up(socket);
	if (socket->close_code != 0)
	{
		message_release(message);
		return;
	}
	write_later(socket);
	outbox_put(&socket->out, message);
}

/*
 * Says why the connection ends. lws_close_reason does so after what was received; after what was written libwebsockets shuts
 * the connection without a word.
 */
static void
write_close(struct socket *socket)
{
	unsigned char frame[LWS_PRE + 2];

	frame[LWS_PRE] = (unsigned char) (socket->close_code >> 8);
	frame[LWS_PRE + 1] = (unsigned char) socket->close_code;
	(void) lws_write(socket->wsi, frame + LWS_PRE, 2, WRITE_CLOSE);
}

/* The kernel takes something again, so it is there; or the connection is to be closed. */
static int
on_writable(struct socket *socket)
{
	socket->heard_at = uv_now(socket->embedded->app->loop);
	if (!write_out(socket))
		return -1;
	if (socket->waits)
		lws_callback_on_writable(socket->wsi);
	else if (socket->close_code != 0)
	{
		write_close(socket);
		return -1;
	}
	return 0;
}

static struct socket *
create(struct embedded *embedded, struct lws *wsi, const struct admission *admission)
{
	struct socket *socket = xcalloc(1, sizeof(*socket));
	char key[ID_TEXT];

	socket->embedded = embedded;
	socket->wsi = wsi;
	socket->id = ++embedded->next_id;
	socket->serializer = admission->serializer;
	socket->token = admission->token;
	socket->address_seat = admission->address;
	socket->user_seat = admission->user;
	socket->heard_at = uv_now(embedded->app->loop);
	snprintf(key, sizeof(key), "%llu", (unsigned long long) socket->id);
	table_add(&embedded->sockets, &socket->entry, key);
	metric_set(embedded->metrics.connections, embedded->sockets.count);
	return socket;
}

/* Frees the buffer, of which a long frame would otherwise be remembered for as long as the socket lives. */
static void
forget_frame(struct socket *socket)
{
	socket->embedded->receiving -= socket->in_size;
	free(socket->in);
	socket->in = NULL;
	socket->in_len = socket->in_size = 0;
}

static void
forget_write(struct socket *socket)
{
	struct socket **link = &socket->embedded->to_write;

	if (!socket->to_write)
		return;
	while (*link != socket)
		link = &(*link)->next_to_write;
	*link = socket->next_to_write;
}

static void
destroy(struct socket *socket)
{
	struct embedded *embedded = socket->embedded;

	protocol_drop(socket);
	table_remove(&embedded->sockets, &socket->entry);
	metric_set(embedded->metrics.connections, embedded->sockets.count);
	forget_write(socket);
	outbox_clear(&socket->out);
	forget_frame(socket);
	seats_give(&embedded->seats, socket->address_seat);
	seats_give(&embedded->seats, socket->user_seat);
	free(socket->token);
	free(socket);
}

/* Adds a fragment to the frame; false: it grew too long, or all of them together. */
static bool
collect(struct socket *socket, const void *in, size_t len)
{
	struct embedded *embedded = socket->embedded;
	size_t size = (socket->in_len + len) * 2;

	if (socket->in_len + len > MAX_FRAME)
		return false;
	if (socket->in_len + len > socket->in_size)
	{
		if (embedded->receiving + size - socket->in_size > pressure_share(embedded, MAX_RECEIVING))
			return false;
		embedded->receiving += size - socket->in_size;
		socket->in_size = size;
		socket->in = xrealloc(socket->in, size);
	}
	if (len > 0)
		memcpy(socket->in + socket->in_len, in, len);
	socket->in_len += len;
	return true;
}

/*
 * It loses its channels, and where it goes on all the same its connection; the frame is not looked at. Closed at once it would not
 * hear why: what it still sends would have the kernel throw away what it has not read.
 */
static void
stem(struct socket *socket)
{
	struct embedded *embedded = socket->embedded;
	int times = log_pace_due(&embedded->floods, uv_now(embedded->app->loop));

	metric_add(embedded->metrics.floods, 1);
	if (times > 0)
		log_event(LOG_WARN, "a WebSocket sends more than it may", "channels", "%s",
				  socket->subscriptions != NULL ? "closed" : "none", "times", "%d", times, NULL);
	while (socket->subscriptions != NULL)
		subscription_fail(socket->subscriptions, TOO_MANY, "");
	if (flow_is_stubborn(&socket->flow, socket->heard_at))
		socket_close(socket, LWS_CLOSE_STATUS_POLICY_VIOLATION);
}

static bool
take_frame(struct socket *socket, size_t len)
{
	if (socket->trusted || flow_take(&socket->flow, len, socket->heard_at))
		return protocol_frame(socket, socket->in, len, lws_frame_is_binary(socket->wsi));
	stem(socket);
	return true;
}

static int
receive(struct socket *socket, const void *in, size_t len)
{
	size_t frame_len;
	bool good;

	socket->heard_at = uv_now(socket->embedded->app->loop);
	if (socket->close_code != 0)
		return 0;
	if (!collect(socket, in, len))
	{
		lws_close_reason(socket->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, NULL, 0);
		return -1;
	}
	if (!lws_is_final_fragment(socket->wsi) || lws_remaining_packet_payload(socket->wsi) > 0)
		return 0;
	frame_len = socket->in_len;
	socket->in_len = 0;
	good = take_frame(socket, frame_len);
	if (socket->in_size > KEPT_FRAME)
		forget_frame(socket);
	if (good)
		return 0;
	lws_close_reason(socket->wsi, LWS_CLOSE_STATUS_PROTOCOL_ERR, NULL, 0);
	return -1;
}

void
socket_check(struct socket *socket)
{
	uint64_t now = uv_now(socket->embedded->app->loop);

	heed(socket); /* of its own answers to pings libwebsockets tells nobody */
	if (socket->out.bytes <= SLOW_BEHIND)
		socket->slow_since = 0;
	else if (socket->slow_since == 0)
		socket->slow_since = now;
	if (socket->slow_since != 0 && now - socket->slow_since > SLOW_MS && socket->close_code == 0)
		socket_give_up(socket);
	else if (now - socket->heard_at > SILENCE_MS)
		socket_close(socket, LWS_CLOSE_STATUS_NORMAL);
	else
	{
		protocol_check_tokens(socket);
		rights_check(socket);
	}
}

/* Takes over what was admitted. */
static int
establish(struct embedded *embedded, struct lws *wsi, struct socket **socket)
{
	struct admission *admission = embedded->admitted;

	if (admission == NULL)
		return -1;
	embedded->admitted = NULL;
	*socket = create(embedded, wsi, admission);
	free(admission);
	return 0;
}

int
socket_callback(struct embedded *embedded, struct lws *wsi, enum lws_callback_reasons reason,
				struct socket **socket, void *in, size_t len)
{
	switch (reason)
	{
		case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
			return *socket == NULL ? establish(embedded, wsi, socket) : 0;
		case LWS_CALLBACK_RECEIVE:
			return *socket == NULL ? -1 : receive(*socket, in, len);
		case LWS_CALLBACK_SERVER_WRITEABLE:
			return *socket == NULL ? 0 : on_writable(*socket);
		case LWS_CALLBACK_CLOSED:
		case LWS_CALLBACK_WSI_DESTROY:
			if (*socket != NULL)
				destroy(*socket);
			*socket = NULL;
			return 0;
		default:
			return 0;
	}
}
