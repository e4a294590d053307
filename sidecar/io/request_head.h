/*
 * The head of an HTTP/1 request, read strictly: what two programs could read in two ways is refused. Pure.
 *
 * Everything points into the bytes that were parsed.
 */
#ifndef SIDECAR_REQUEST_HEAD_H
#define SIDECAR_REQUEST_HEAD_H

#include <stdbool.h>
#include <stddef.h>

enum request_method
{
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_OPTIONS,
	METHOD_OTHER
};

struct slice
{
	const char *start; /* NULL: nothing */
	size_t len;
};

struct request_head
{
	enum request_method method;
	struct slice path;  /* with its escapes, which are valid and no NUL */
	struct slice query; /* the same; behind the question mark */
	bool keep_alive;
	bool expects_continue;
	bool websocket; /* asks for WebSocket, version 13 */
	size_t body_len;
	struct slice host; /* with its port */
	struct slice origin;
	struct slice accept; /* of several the last one */
	struct slice authorization;
	struct slice apikey;
	struct slice x_api_key;
	struct slice content_type;
	struct slice websocket_key;
	struct slice forwarded_for; /* the last one */
};

/* How many bytes the head has, its empty line included; 0: it is not complete. */
size_t request_head_end(const char *bytes, size_t len);

/* len is what request_head_end said. 0, or the status that refuses it: 400, 411, 417, 426, 431, 501 or 505. */
int request_head_parse(const char *bytes, size_t len, struct request_head *head);

bool slice_is(struct slice slice, const char *text);
/* A copy; malloc'ed, NULL for nothing. */
char *slice_text(struct slice slice);
/* Without escapes, of the path (%2F is a slash then) or, with plus as a blank, of the query; malloc'ed. */
char *slice_decoded(struct slice slice, bool plus);
/* An argument of the query, the last one of its name; malloc'ed, NULL: it is not there. */
char *request_argument(const struct request_head *head, const char *name);

#endif
