/*
 * The descriptors that curl wants watched. A connection of ours stays watched, as it is, between two requests: nothing is
 * asked of the kernel for that. Others, such as those of curl's resolver, are forgotten as soon as curl says so, for nobody
 * tells when they are closed.
 */
#ifndef SIDECAR_HTTP_WATCH_H
#define SIDECAR_HTTP_WATCH_H

#include <uv.h>

struct http_watches;

/* Something of a descriptor is to be looked at. flags: CURL_CSELECT_…, any of them. */
typedef void (*http_watch_callback)(void *arg, int fd, int flags);

struct http_watches *http_watches_create(uv_loop_t *loop, http_watch_callback callback, void *arg);
/* Forgets all; those of ours must be closed by then. */
void http_watches_destroy(struct http_watches *watches);

/* A socket is ours from its opening to its closing, and is not closed elsewhere. */
void http_watches_open(struct http_watches *watches, int fd);
int http_watches_close(struct http_watches *watches, int fd);

/* What curl wants of a descriptor from now on: CURL_POLL_…. */
void http_watches_set(struct http_watches *watches, int fd, int what);

#endif
