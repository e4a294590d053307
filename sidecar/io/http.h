/*
 * Outgoing HTTP(S) over libcurl's multi interface on the event loop: connection reuse, TLS, one total
 * deadline per request, answers capped, redirects refused.
 */
#ifndef SIDECAR_HTTP_H
#define SIDECAR_HTTP_H

#include <netinet/in.h>
#include <stddef.h>
#include "app.h"

struct http;
struct http_pool;

struct http_response
{
	long status;         /* 0: no answer; error says why */
	const char *error;   /* transport error text, NULL when there was an answer */
	bool connect_failed; /* never connected (refused, DNS, TLS) */
	bool timed_out;
	bool reused_connection_closed; /* a kept-alive connection was closed before the first byte */
	const char *
		refused_address; /* the address filter let none be connected to, such as this one; or NULL */
	const char *body;    /* NUL terminated, at most max_response bytes */
	size_t body_len;
	const char *retry_after;      /* Retry-After header as sent, or NULL */
	const char *webhook_delivery; /* webhook-delivery header, or NULL */
	const char *location;         /* Location header, or NULL */
	double duration_ms;
};

typedef void (*http_callback)(void *arg, const struct http_response *response);

/* Answers whether an address may be connected to; arg is the pool's. */
typedef bool (*http_address_filter)(void *arg, const struct sockaddr *address);

/* A pool is one curl multi handle with its own connection limits and address filter. */
struct http_pool_options
{
	int max_connections; /* in total */
	int max_per_host;
	http_address_filter filter; /* NULL: any address */
	void *filter_arg;
	bool allow_http;     /* else https only */
	const char *ca_file; /* authorities, PEM; NULL: the system's */
};

struct http_request
{
	const char *method; /* "POST" */
	const char *url;
	const char *const *headers; /* "Name: value", NULL terminated; copied */
	const char *body;           /* not copied: must live until the callback */
	size_t body_len;
	long timeout_ms; /* total: connect, headers and body */
	size_t
		max_response; /* bytes of the answer's body that are kept; the rest ends the transfer early without making it an error */
};

struct http *http_create(struct app *app);
void http_destroy(struct http *http);

struct http_pool *http_pool_create(struct http *http, const struct http_pool_options *options);
void http_pool_destroy(
	struct http_pool *pool); /* requests in flight are called back with error "shutdown" */

/* Starts a request; the callback comes later from the loop, exactly once, never from inside this call. */
void http_send(struct http_pool *pool, const struct http_request *request, http_callback callback,
			   void *arg);

#endif
