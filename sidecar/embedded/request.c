/*
 * HTTP requests of the endpoint: headers and body in, one answer out, connection kept alive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded/internal.h"

#define MAX_BODY 8000000
#define MAX_HEADER 8192

struct request
{
	struct entry entry; /* key: id; in the table only while it waits */
	bool waits;
	struct embedded *embedded;
	struct lws *wsi;
	uint64_t id;
	const char *method;
	char *path;
	char *token;
	char *content_type;
	bool is_private;
	char *body;
	size_t len;
	size_t size;
	bool too_long;
	struct reply reply;
	bool answered;
};

static void
destroy(struct request *request)
{
	if (request->waits)
		table_remove(&request->embedded->requests, &request->entry);
	free(request->path);
	free(request->token);
	free(request->content_type);
	free(request->body);
	free(request->reply.body);
	free(request);
}

/* A header's value, malloc'ed; NULL: it is not there. */
static char *
header(struct lws *wsi, enum lws_token_indexes index)
{
	int len = lws_hdr_total_length(wsi, index);
	char *value;

	if (len <= 0 || len > MAX_HEADER)
		return NULL;
	value = malloc(len + 1);
	if (lws_hdr_copy(wsi, value, len + 1, index) >= 0)
		return value;
	free(value);
	return NULL;
}

/* The token: "Bearer <token>" of Authorization, else apikey. */
static char *
read_token(struct lws *wsi)
{
	static const char apikey[] = "apikey:";
	char *value = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
	int len;

	if (value != NULL)
	{
		if (strncasecmp(value, "Bearer ", 7) == 0)
		{
			memmove(value, value + 7, strlen(value + 7) + 1);
			return value;
		}
		free(value);
		return NULL;
	}
	len = lws_hdr_custom_length(wsi, apikey, strlen(apikey));
	if (len <= 0 || len > MAX_HEADER)
		return NULL;
	value = malloc(len + 1);
	if (lws_hdr_custom_copy(wsi, value, len + 1, apikey, strlen(apikey)) >= 0)
		return value;
	free(value);
	return NULL;
}

static const char *
method_of(struct lws *wsi)
{
	if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0)
		return "POST";
	return lws_hdr_total_length(wsi, WSI_TOKEN_OPTIONS_URI) > 0 ? "OPTIONS" : "GET";
}

static struct request *
create(struct embedded *embedded, struct lws *wsi, const char *path)
{
	struct request *request = calloc(1, sizeof(*request));
	char buf[32];
	const char *flag = lws_get_urlarg_by_name(wsi, "private=", buf, sizeof(buf));

	request->embedded = embedded;
	request->wsi = wsi;
	request->id = ++embedded->next_id;
	request->method = method_of(wsi);
	request->path = strdup(path);
	request->token = read_token(wsi);
	request->content_type = header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
	request->is_private = flag != NULL && strcmp(flag, "true") == 0;
	return request;
}

static void
collect(struct request *request, const void *in, size_t len)
{
	if (request->len + len > MAX_BODY)
	{
		request->too_long = true;
		return;
	}
	if (request->len + len > request->size)
	{
		request->size = (request->len + len) * 2;
		request->body = realloc(request->body, request->size);
	}
	memcpy(request->body + request->len, in, len);
	request->len += len;
}

/* Writes the answer's head; the body follows when the socket is writable. */
static int
write_head(struct request *request)
{
	unsigned char buf[LWS_PRE + 1024];
	unsigned char *start = buf + LWS_PRE;
	unsigned char *p = start;
	unsigned char *end = buf + sizeof(buf) - 1;
	static const char *const cors[][2] = {
		{"access-control-allow-origin:", "*"},
		{"access-control-allow-headers:", "authorization, x-client-info, apikey, content-type"},
		{"access-control-allow-methods:", "GET, POST, OPTIONS"},
	};

	if (lws_add_http_header_status(request->wsi, request->reply.status, &p, end))
		return -1;
	if (request->reply.type != NULL &&
		lws_add_http_header_by_token(request->wsi, WSI_TOKEN_HTTP_CONTENT_TYPE,
									 (const unsigned char *) request->reply.type,
									 strlen(request->reply.type), &p, end))
		return -1;
	for (size_t i = 0; i < sizeof(cors) / sizeof(cors[0]); i++)
	{
		if (lws_add_http_header_by_name(request->wsi, (const unsigned char *) cors[i][0],
										(const unsigned char *) cors[i][1], strlen(cors[i][1]), &p,
										end))
			return -1;
	}
	if (lws_add_http_header_content_length(request->wsi, request->reply.body_len, &p, end))
		return -1;
	return lws_finalize_write_http_header(request->wsi, start, &p, end) ? -1 : 0;
}

/* Sends the answer that is ready. */
static int
answer(struct request **slot)
{
	struct request *request = *slot;
	struct lws *wsi = request->wsi;
	int result = write_head(request);

	if (result == 0 && request->reply.body_len > 0)
	{
		lws_callback_on_writable(wsi);
		return 0;
	}
	destroy(request);
	*slot = NULL;
	return result != 0 || lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* Sends the answer's body, and ends the transaction. */
static int
write_body(struct request **slot)
{
	struct request *request = *slot;
	struct lws *wsi = request->wsi;
	unsigned char *buf = malloc(LWS_PRE + request->reply.body_len);
	int n;

	memcpy(buf + LWS_PRE, request->reply.body, request->reply.body_len);
	n = lws_write(wsi, buf + LWS_PRE, request->reply.body_len, LWS_WRITE_HTTP_FINAL);
	free(buf);
	destroy(request);
	*slot = NULL;
	return n < 0 || lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* The request is complete. */
static int
complete(struct request **slot)
{
	struct request *request = *slot;
	char key[ID_TEXT];

	if (request->too_long)
		request->reply =
			(struct reply){413, "text/html; charset=utf-8", strdup("Request Entity Too Large"), 24};
	else
	{
		/* In the table first: the answer may come at once. */
		snprintf(key, sizeof(key), "%llu", (unsigned long long) request->id);
		table_add(&request->embedded->requests, &request->entry, key);
		request->waits = true;
		request->reply =
			broadcast_request(request->embedded, request->id, request->method, request->path,
							  request->token, request->content_type ? request->content_type : "",
							  request->is_private, request->body, request->len);
		if (request->reply.status == 0)
			return 0;
		table_remove(&request->embedded->requests, &request->entry);
		request->waits = false;
	}
	return answer(slot);
}

void
request_answer(struct embedded *embedded, uint64_t request_id, struct reply reply)
{
	char key[ID_TEXT];
	struct request *request;

	snprintf(key, sizeof(key), "%llu", (unsigned long long) request_id);
	request = (struct request *) table_find(&embedded->requests, key);
	if (request == NULL)
	{
		free(reply.body);
		return;
	}
	request->reply = reply;
	request->answered = true;
	lws_callback_on_writable(request->wsi);
}

/* Writable: the head of an answer that waited, or a body. */
static int
writable(struct request **slot)
{
	struct request *request = *slot;

	if (request->answered)
	{
		request->answered = false;
		return answer(slot);
	}
	return request->reply.body_len > 0 ? write_body(slot) : 0;
}

int
request_callback(struct embedded *embedded, struct lws *wsi, enum lws_callback_reasons reason,
				 struct request **request, void *in, size_t len)
{
	switch (reason)
	{
		case LWS_CALLBACK_HTTP:
			if (*request != NULL)
				destroy(*request);
			*request = create(embedded, wsi, in);
			/* A POST with a body is complete later. */
			if (strcmp((*request)->method, "POST") == 0 &&
				lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0)
				return 0;
			if (strcmp((*request)->method, "POST") == 0 &&
				lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
				return 0;
			return complete(request);
		case LWS_CALLBACK_HTTP_BODY:
			if (*request != NULL)
				collect(*request, in, len);
			return 0;
		case LWS_CALLBACK_HTTP_BODY_COMPLETION:
			return *request == NULL ? -1 : complete(request);
		case LWS_CALLBACK_HTTP_WRITEABLE:
			return *request == NULL ? 0 : writable(request);
		case LWS_CALLBACK_CLOSED_HTTP:
		case LWS_CALLBACK_WSI_DESTROY:
			if (*request != NULL)
				destroy(*request);
			*request = NULL;
			return 0;
		default:
			return 0;
	}
}
