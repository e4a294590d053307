/*
 * See link_pipe.h. What is sent goes out at once, as far as the socket takes it; the rest later, whenever it is writable.
 */
#include "link/link_pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"

#define READ_SIZE (256 * 1024) /* in one go, for others have their turn */
#define KEPT_SIZE (1024 * 1024)

struct link_pipe
{
	struct link_pipe_handlers handlers;
	void *arg;
	int fd;
	size_t most;
	uv_poll_t poll;
	struct buffer in;
	struct buffer out;
	size_t sent; /* of out */
	bool ended;
};

static void
end(struct link_pipe *pipe, const char *why)
{
	if (pipe->ended)
		return;
	pipe->ended = true;
	uv_poll_stop(&pipe->poll);
	pipe->handlers.ended(pipe->arg, why);
}

/* Forgets the first so many bytes. Large ones are not kept for long ones that may never come again. */
static void
consume(struct buffer *buffer, size_t len)
{
	buffer->len -= len;
	if (buffer->len > 0)
		memmove(buffer->data, buffer->data + len, buffer->len);
	else if (buffer->size > KEPT_SIZE)
		buffer_free(buffer);
}

/* Handles the frames that are whole. */
static void
take_frames(struct link_pipe *pipe)
{
	size_t at = 0, taken;
	struct link_frame frame;
	enum link_read state = LINK_COMPLETE;

	while (!pipe->ended && (state = link_frame_read(pipe->in.data + at, pipe->in.len - at,
													pipe->most, &frame, &taken)) == LINK_COMPLETE)
	{
		if (!pipe->handlers.frame(pipe->arg, &frame))
			state = LINK_BROKEN;
		if (state == LINK_BROKEN)
			break;
		at += taken;
	}
	consume(&pipe->in, at);
	if (state == LINK_BROKEN)
		end(pipe, "what came over the pair of sockets makes no sense");
}

static void
receive(struct link_pipe *pipe)
{
	ssize_t len = read(pipe->fd, buffer_reserve(&pipe->in, READ_SIZE), READ_SIZE);

	if (len > 0)
	{
		pipe->in.len += (size_t) len;
		take_frames(pipe);
	}
	else if (len == 0)
		end(pipe, "it is gone");
	else if (errno != EAGAIN && errno != EINTR)
		end(pipe, strerror(errno));
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void
watch(struct link_pipe *pipe)
{
	if (!pipe->ended)
		uv_poll_start(&pipe->poll, UV_READABLE | (pipe->out.len > 0 ? UV_WRITABLE : 0), on_poll);
}

/* What is out makes room before it is more than what is not. */
static void
compact(struct link_pipe *pipe)
{
	if (pipe->sent < pipe->out.len / 2)
		return;
	consume(&pipe->out, pipe->sent);
	pipe->sent = 0;
}

static void
transmit(struct link_pipe *pipe)
{
	while (pipe->sent < pipe->out.len)
	{
		ssize_t len = send(pipe->fd, pipe->out.data + pipe->sent, pipe->out.len - pipe->sent,
						   MSG_NOSIGNAL | MSG_DONTWAIT);

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
		{
			compact(pipe);
			return;
		}
		if (len < 0)
		{
			end(pipe, strerror(errno));
			return;
		}
		pipe->sent += (size_t) len;
	}
	consume(&pipe->out, pipe->sent);
	pipe->sent = 0;
	watch(pipe);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct link_pipe *pipe = poll->data;

	if (status < 0)
	{
		end(pipe, uv_strerror(status));
		return;
	}
	if ((events & UV_READABLE) != 0)
		receive(pipe);
	if ((events & UV_WRITABLE) != 0 && !pipe->ended)
		transmit(pipe);
}

struct link_pipe *
link_pipe_create(uv_loop_t *loop, int fd, size_t most, const struct link_pipe_handlers *handlers,
				 void *arg)
{
	struct link_pipe *pipe = xcalloc(1, sizeof(*pipe));

	pipe->handlers = *handlers;
	pipe->arg = arg;
	pipe->fd = fd;
	pipe->most = most;
	/* Makes the descriptor non-blocking. */
	if (uv_poll_init_socket(loop, &pipe->poll, fd) != 0)
		memory_gone("a poll handle");
	pipe->poll.data = pipe;
	watch(pipe);
	return pipe;
}

static void
on_closed(uv_handle_t *handle)
{
	struct link_pipe *pipe = handle->data;

	buffer_free(&pipe->in);
	buffer_free(&pipe->out);
	free(pipe);
}

void
link_pipe_destroy(struct link_pipe *pipe)
{
	pipe->ended = true;
	uv_close((uv_handle_t *) &pipe->poll, on_closed);
	close(pipe->fd);
}

/* Writes what the socket takes of a frame, and answers how much that is. An error shows when it is next written to. */
static size_t
write_at_once(struct link_pipe *pipe, const char *header, const void *body, size_t len)
{
	struct iovec parts[] = {{(void *) (uintptr_t) header, LINK_HEADER_SIZE},
							{(void *) (uintptr_t) body, len}};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = len > 0 ? 2 : 1};
	ssize_t written = sendmsg(pipe->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

	return written > 0 ? (size_t) written : 0;
}

void
link_pipe_send(struct link_pipe *pipe, enum link_kind kind, uint64_t number, const void *body,
			   size_t len)
{
	char header[LINK_HEADER_SIZE];
	size_t written = 0, of_body;

	if (pipe->ended)
		return;
	link_header_write(header, kind, number, len);
	if (pipe->out.len == 0)
		written = write_at_once(pipe, header, body, len);
	if (written < sizeof(header))
		buffer_bytes(&pipe->out, header + written, sizeof(header) - written);
	of_body = written > sizeof(header) ? written - sizeof(header) : 0;
	buffer_bytes(&pipe->out, (const char *) body + of_body, len - of_body);
	if (pipe->out.len > 0)
		watch(pipe);
}
