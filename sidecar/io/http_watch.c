/*
 * See http_watch.h. Watches stand in an array by descriptor. A handle that is closed is freed in its close callback.
 */
#include "io/http_watch.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"

#define KEPT_READS 16

struct watch
{
	uv_poll_t poll;
	struct http_watches *watches;
	int fd;
	int events;  /* that are watched; 0: none */
	bool ours;   /* until it is closed */
	bool wanted; /* by curl, and not only kept */
};

struct http_watches
{
	uv_loop_t *loop;
	http_watch_callback callback;
	void *arg;
	struct watch **list;
	int size;
};

struct http_watches *
http_watches_create(uv_loop_t *loop, http_watch_callback callback, void *arg)
{
	struct http_watches *watches = xcalloc(1, sizeof(*watches));

	watches->loop = loop;
	watches->callback = callback;
	watches->arg = arg;
	return watches;
}

static struct watch *
find(const struct http_watches *watches, int fd)
{
	return fd < watches->size ? watches->list[fd] : NULL;
}

static void
make_room(struct http_watches *watches, int fd)
{
	int size = 2 * fd + 16;

	if (fd < watches->size)
		return;
	watches->list = xrealloc(watches->list, (size_t) size * sizeof(*watches->list));
	memset(watches->list + watches->size, 0,
		   (size_t) (size - watches->size) * sizeof(*watches->list));
	watches->size = size;
}

static struct watch *
create(struct http_watches *watches, int fd)
{
	struct watch *watch = xcalloc(1, sizeof(*watch));

	make_room(watches, fd);
	if (uv_poll_init_socket(watches->loop, &watch->poll, fd) != 0)
		memory_gone("a poll handle");
	watch->poll.data = watch;
	watch->watches = watches;
	watch->fd = fd;
	watches->list[fd] = watch;
	return watch;
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
forget(struct watch *watch)
{
	watch->watches->list[watch->fd] = NULL;
	uv_close((uv_handle_t *) &watch->poll, on_closed);
}

void
http_watches_destroy(struct http_watches *watches)
{
	for (int fd = 0; fd < watches->size; fd++)
	{
		if (watches->list[fd] != NULL)
			forget(watches->list[fd]);
	}
	free(watches->list);
	free(watches);
}

void
http_watches_open(struct http_watches *watches, int fd)
{
	create(watches, fd)->ours = true;
}

int
http_watches_close(struct http_watches *watches, int fd)
{
	if (find(watches, fd) != NULL)
		forget(find(watches, fd));
	return close(fd);
}

/*
 * The peer closes a kept connection, or talks out of turn. curl looks whether it was closed before it uses it again; an answer
 * that nobody asked for it would take for the one to the next request, and what that lost would count as delivered. So what
 * came is thrown away and the connection ended.
 */
static void
end_kept(int fd)
{
	char bytes[4096];
	ssize_t len = 0;

	for (int i = 0; i < KEPT_READS && (len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0; i++)
		;
	if (len != 0)
		(void) shutdown(fd, SHUT_RDWR);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;

	if (!watch->wanted)
	{
		uv_poll_stop(poll);
		watch->events = 0;
		if ((events & UV_READABLE) != 0)
			end_kept(watch->fd);
		return;
	}
	if ((events & UV_READABLE) != 0)
		flags |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		flags |= CURL_CSELECT_OUT;
	watch->watches->callback(watch->watches->arg, watch->fd, flags);
}

void
http_watches_set(struct http_watches *watches, int fd, int what)
{
	struct watch *watch = find(watches, fd);
	int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
				 ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);

	if (watch != NULL)
		watch->wanted = what != CURL_POLL_REMOVE;
	if (what == CURL_POLL_REMOVE)
	{
		if (watch != NULL && !watch->ours)
			forget(watch);
		return;
	}
	if (watch == NULL)
		watch = create(watches, fd);
	watch->wanted = true;
	if (watch->events != events)
		uv_poll_start(&watch->poll, events, on_poll);
	watch->events = events;
}
