/*
 * See http.h. A pool owns one curl multi handle, one timer for it with what takes its place at once, and the watches of the
 * descriptors that curl names. A transfer is one easy handle and what belongs to its request; finished ones are kept for the
 * next request, for setting one up costs more than sending.
 *
 * Callbacks are called only from collect(), outside of curl's own callbacks, so they may send again.
 */
#define _GNU_SOURCE
#include "io/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/http_watch.h"

#define KEPT_TRANSFERS 64
#define HEADER_MAX 65536 /* bytes of an answer's header, all of it */

enum header
{
	RETRY_AFTER,
	WEBHOOK_DELIVERY,
	LOCATION,
	HEADERS
};

static char expect_nothing[] = "Expect:";
static const char *const header_names[HEADERS] = {"retry-after", "webhook-delivery", "location"};

struct http
{
	struct app *app;
};

struct http_pool
{
	struct app *app;
	struct http_pool_options options;
	CURLM *multi;
	uv_timer_t timer;
	/*
	 * For what curl wants at once: a timer of 0 ms that curl sets again and again would be all that the loop does. A check
	 * comes after sockets were looked at, and the idle handle keeps the loop from waiting for them.
	 */
	uv_check_t at_once;
	uv_idle_t hurry;
	int handles; /* not closed yet */
	struct http_watches *watches;
	struct transfer *running;
	struct transfer *kept;
	int nkept;
	bool closing;
};

struct transfer
{
	struct transfer *next, **link; /* in the pool's running list; kept ones use next only */
	struct http_pool *pool;
	CURL *easy;
	struct curl_slist *headers; /* chained; curl copies nothing of them */
	size_t headers_size;
	struct buffer header_text; /* what they point into */
	http_callback callback;
	void *arg;
	char *body;
	size_t body_len, body_size, max_body;
	char *answer_headers[HEADERS];
	size_t header_len; /* bytes of the answer's header so far */
	char error[CURL_ERROR_SIZE];
	char refused_address[INET6_ADDRSTRLEN]; /* "": none was, or another one was let through */
	bool address_allowed;
	bool answered; /* something of the answer arrived */
};

struct http *
http_create(struct app *app)
{
	struct http *http = xcalloc(1, sizeof(*http));

	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		memory_gone("the HTTP client");
	http->app = app;
	return http;
}

void
http_destroy(struct http *http)
{
	curl_global_cleanup();
	free(http);
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t len = size * count, room = transfer->max_body - transfer->body_len;
	size_t take = len < room ? len : room;

	if (transfer->body_len + take + 1 > transfer->body_size)
	{
		transfer->body_size = transfer->body_len + take + 256;
		transfer->body = xrealloc(transfer->body, transfer->body_size);
	}
	memcpy(transfer->body + transfer->body_len, bytes, take);
	transfer->body_len += take;
	transfer->body[transfer->body_len] = '\0';
	return take; /* less than len ends the transfer */
}

static void
forget_answer_headers(struct transfer *transfer)
{
	for (int i = 0; i < HEADERS; i++)
	{
		free(transfer->answer_headers[i]);
		transfer->answer_headers[i] = NULL;
	}
}

static void
keep_header(struct transfer *transfer, enum header header, const char *value, size_t len)
{
	while (len > 0 && (*value == ' ' || *value == '\t'))
		value++, len--;
	while (len > 0 && (value[len - 1] == '\r' || value[len - 1] == '\n' || value[len - 1] == ' '))
		len--;
	free(transfer->answer_headers[header]);
	transfer->answer_headers[header] = xstrndup(value, len);
}

static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t len = size * count;

	transfer->answered = true;
	transfer->header_len += len;
	if (transfer->header_len > HEADER_MAX)
		return 0; /* ends the transfer */
	/* The head of a final answer after an interim one. */
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
		forget_answer_headers(transfer);
	for (int i = 0; i < HEADERS; i++)
	{
		size_t name = strlen(header_names[i]);

		if (len > name && line[name] == ':' && strncasecmp(line, header_names[i], name) == 0)
			keep_header(transfer, i, line + name + 1, len - name - 1);
	}
	return len;
}

static void
note_refused(struct transfer *transfer, const struct sockaddr *address)
{
	const void *bytes = address->sa_family == AF_INET6
							? (const void *) &((const struct sockaddr_in6 *) address)->sin6_addr
							: (const void *) &((const struct sockaddr_in *) address)->sin_addr;

	strcpy(transfer->refused_address, "unknown");
	(void) inet_ntop(address->sa_family, bytes, transfer->refused_address,
					 sizeof(transfer->refused_address));
}

/* Opens a socket for an address, unless the filter refuses it: the last moment before the connection. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *transfer = arg;
	const struct http_pool_options *options = &transfer->pool->options;
	int fd;

	(void) purpose;
	if (options->filter != NULL && !options->filter(options->filter_arg, &address->addr))
	{
		note_refused(transfer, &address->addr);
		return CURL_SOCKET_BAD;
	}
	transfer->address_allowed = true;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd >= 0)
		http_watches_open(transfer->pool->watches, fd);
	return fd;
}

static int
on_close_socket(void *arg, curl_socket_t fd)
{
	return http_watches_close(arg, fd);
}

/* Sets what is the same for each request of a pool. */
static void
set_constants(struct transfer *transfer)
{
	CURL *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->pool->watches);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
					 transfer->pool->options.allow_http ? "http,https" : "https");
	if (transfer->pool->options.ca_file != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_CAINFO, transfer->pool->options.ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	/* A proxy from the environment would be what the address filter sees; nor is it asked for exceptions each time. */
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
}

static struct transfer *
create_transfer(struct http_pool *pool)
{
	struct transfer *transfer = xcalloc(1, sizeof(*transfer));

	transfer->pool = pool;
	transfer->easy = curl_easy_init();
	set_constants(transfer);
	return transfer;
}

static void
free_transfer(struct transfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	free(transfer->headers);
	buffer_free(&transfer->header_text);
	forget_answer_headers(transfer);
	free(transfer->body);
	free(transfer);
}

static struct transfer *
obtain_transfer(struct http_pool *pool)
{
	struct transfer *transfer = pool->kept;

	if (transfer == NULL)
		return create_transfer(pool);
	pool->kept = transfer->next;
	pool->nkept--;
	return transfer;
}

/* Keeps a transfer that is done for the next request. */
static void
release_transfer(struct transfer *transfer)
{
	struct http_pool *pool = transfer->pool;

	if (pool->nkept >= KEPT_TRANSFERS || pool->closing)
	{
		free_transfer(transfer);
		return;
	}
	transfer->body_len = 0;
	transfer->next = pool->kept;
	pool->kept = transfer;
	pool->nkept++;
}

static void
link_transfer(struct transfer *transfer)
{
	struct http_pool *pool = transfer->pool;

	transfer->next = pool->running;
	if (transfer->next != NULL)
		transfer->next->link = &transfer->next;
	transfer->link = &pool->running;
	pool->running = transfer;
}

static void
unlink_transfer(struct transfer *transfer)
{
	*transfer->link = transfer->next;
	if (transfer->next != NULL)
		transfer->next->link = transfer->link;
}

/* Makes room for so many headers. */
static void
reserve_headers(struct transfer *transfer, size_t count)
{
	if (count <= transfer->headers_size)
		return;
	transfer->headers = xrealloc(transfer->headers, count * sizeof(*transfer->headers));
	transfer->headers_size = count;
}

static void
set_headers(struct transfer *transfer, const struct http_request *request)
{
	size_t count = 0, bytes = 0;
	char *at;

	while (request->headers != NULL && request->headers[count] != NULL)
		bytes += strlen(request->headers[count++]) + 1;
	reserve_headers(transfer, count + 1);
	transfer->header_text.len = 0;
	at = buffer_reserve(&transfer->header_text, bytes);
	for (size_t i = 0; i < count; i++)
	{
		transfer->headers[i] = (struct curl_slist){at, &transfer->headers[i + 1]};
		at = stpcpy(at, request->headers[i]) + 1;
	}
	/* Without this curl waits for "100 Continue" before a large body. */
	transfer->headers[count] = (struct curl_slist){expect_nothing, NULL};
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static void
set_request(struct transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	if (request->body != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
	}
	else
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, request->timeout_ms);
	transfer->max_body = request->max_response;
	transfer->body_len = 0;
	transfer->error[0] = '\0';
	transfer->header_len = 0;
	transfer->refused_address[0] = '\0';
	transfer->address_allowed = transfer->answered = false;
	forget_answer_headers(transfer);
	set_headers(transfer, request);
}

void
http_send(struct http_pool *pool, const struct http_request *request, http_callback callback,
		  void *arg)
{
	struct transfer *transfer = obtain_transfer(pool);

	transfer->callback = callback;
	transfer->arg = arg;
	set_request(transfer, request);
	link_transfer(transfer);
	/* Sets curl's timer, from which all else follows. */
	if (curl_multi_add_handle(pool->multi, transfer->easy) != CURLM_OK)
		memory_gone("a request");
}

static bool
never_connected(CURLcode code)
{
	switch (code)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_CONNECT:
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_URL_MALFORMAT:
		case CURLE_UNSUPPORTED_PROTOCOL:
			return true;
		default:
			return false;
	}
}

/* Tells whether an old connection ended before anything of the answer arrived. */
static bool
was_closed_when_reused(const struct transfer *transfer, CURLcode code)
{
	long made = 0;

	if (code != CURLE_GOT_NOTHING && code != CURLE_RECV_ERROR && code != CURLE_SEND_ERROR)
		return false;
	curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &made);
	return made == 0 && !transfer->answered;
}

/* Tells whether the header of the answer was longer than we, or curl, wanted to know; curl has no code for it at first. */
static bool
is_header_too_long(const struct transfer *transfer, CURLcode code)
{
#if LIBCURL_VERSION_NUM >= 0x080600
	if (code == CURLE_TOO_LARGE)
		return true;
#endif
	return transfer->header_len > HEADER_MAX || code == CURLE_OUT_OF_MEMORY;
}

/* What went wrong, for people. */
static const char *
error_text(const struct transfer *transfer, CURLcode code)
{
	if (is_header_too_long(transfer, code))
		return "the header of the answer is longer than 64 KiB";
	return transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
}

static void
describe(const struct transfer *transfer, CURLcode code, struct http_response *response)
{
	double seconds = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &response->status);
	curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME, &seconds);
	response->duration_ms = seconds * 1000;
	response->body = transfer->body_len > 0 ? transfer->body : "";
	response->body_len = transfer->body_len;
	response->retry_after = transfer->answer_headers[RETRY_AFTER];
	response->webhook_delivery = transfer->answer_headers[WEBHOOK_DELIVERY];
	response->location = transfer->answer_headers[LOCATION];
	/* The only write error but that of the header is our own: the body was longer than we wanted to know. */
	if (code == CURLE_OK ||
		(code == CURLE_WRITE_ERROR && response->status != 0 && transfer->header_len <= HEADER_MAX))
		return;
	response->status = 0;
	response->error = error_text(transfer, code);
	response->timed_out = code == CURLE_OPERATION_TIMEDOUT;
	/* Where another address could not be reached, it is an outage and no refusal. */
	if (code == CURLE_COULDNT_CONNECT && !transfer->address_allowed &&
		transfer->refused_address[0] != '\0')
		response->refused_address = transfer->refused_address;
	response->connect_failed = never_connected(code);
	response->reused_connection_closed = was_closed_when_reused(transfer, code);
}

static void
finish(struct transfer *transfer, CURLcode code)
{
	struct http_response response = {.status = 0};

	describe(transfer, code, &response);
	curl_multi_remove_handle(transfer->pool->multi, transfer->easy);
	unlink_transfer(transfer);
	transfer->callback(transfer->arg, &response);
	release_transfer(transfer);
}

/* Answers the requests that curl is done with. */
static void
collect(struct http_pool *pool)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(pool->multi, &left)) != NULL)
	{
		struct transfer *transfer;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &transfer);
		finish(transfer, message->data.result);
	}
}

static void
act(struct http_pool *pool)
{
	int running;

	curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(pool);
}

static void
on_timer(uv_timer_t *timer)
{
	act(timer->data);
}

static void
stop_hurry(struct http_pool *pool)
{
	uv_check_stop(&pool->at_once);
	uv_idle_stop(&pool->hurry);
}

static void
on_check(uv_check_t *check)
{
	struct http_pool *pool = check->data;

	stop_hurry(pool);
	act(pool);
}

static void
on_idle(uv_idle_t *idle)
{
	(void) idle;
}

/* Only notes when, even for 0 ms: curl must not be called from its own callback. */
static int
on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_pool *pool = arg;

	(void) multi;
	uv_timer_stop(&pool->timer);
	stop_hurry(pool);
	if (timeout_ms < 0 || pool->closing)
		return 0;
	if (timeout_ms > 0)
		uv_timer_start(&pool->timer, on_timer, (uint64_t) timeout_ms, 0);
	else
	{
		uv_check_start(&pool->at_once, on_check);
		uv_idle_start(&pool->hurry, on_idle);
	}
	return 0;
}

static void
on_watched(void *arg, int fd, int flags)
{
	struct http_pool *pool = arg;
	int running;

	curl_multi_socket_action(pool->multi, fd, flags, &running);
	collect(pool);
}

static int
on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	(void) easy;
	(void) assigned;
	http_watches_set(arg, fd, what);
	return 0;
}

struct http_pool *
http_pool_create(struct http *http, const struct http_pool_options *options)
{
	struct http_pool *pool = xcalloc(1, sizeof(*pool));

	pool->app = http->app;
	pool->options = *options;
	pool->multi = curl_multi_init();
	pool->watches = http_watches_create(http->app->loop, on_watched, pool);
	uv_timer_init(http->app->loop, &pool->timer);
	uv_check_init(http->app->loop, &pool->at_once);
	uv_idle_init(http->app->loop, &pool->hurry);
	pool->timer.data = pool->at_once.data = pool->hurry.data = pool;
	pool->handles = 3;
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool->watches);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) options->max_connections);
	curl_multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long) options->max_per_host);
	curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long) options->max_connections);
	return pool;
}

static void
on_pool_closed(uv_handle_t *handle)
{
	struct http_pool *pool = handle->data;

	if (--pool->handles == 0)
		free(pool);
}

static void
end_running(struct http_pool *pool)
{
	const struct http_response response = {.error = "shutdown"};

	while (pool->running != NULL)
	{
		struct transfer *transfer = pool->running;

		curl_multi_remove_handle(pool->multi, transfer->easy);
		unlink_transfer(transfer);
		transfer->callback(transfer->arg, &response);
		free_transfer(transfer);
	}
}

void
http_pool_destroy(struct http_pool *pool)
{
	pool->closing = true;
	end_running(pool);
	while (pool->kept != NULL)
	{
		struct transfer *transfer = pool->kept;

		pool->kept = transfer->next;
		free_transfer(transfer);
	}
	curl_multi_cleanup(pool->multi);
	http_watches_destroy(pool->watches);
	uv_close((uv_handle_t *) &pool->timer, on_pool_closed);
	uv_close((uv_handle_t *) &pool->at_once, on_pool_closed);
	uv_close((uv_handle_t *) &pool->hurry, on_pool_closed);
}
