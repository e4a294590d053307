/*
 * libwebsockets as a guest on the event loop; see server.h.
 *
 * The loop belongs to us: the context only adds its handles, and takes them off again some turns after
 * lws_context_destroy, so the loop must run on until then. WebSockets are told 1012 before that.
 */
#include "server.h"

#include <libwebsockets.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "embedded/embedded.h"
#include "log.h"

#define FD_LIMIT 4096
#define GOODBYE_MS 100

struct server
{
	struct app *app;
	server_page page;
	struct lws_context *context;
	struct lws_vhost *http;
	struct lws_vhost *embedded;
	uv_timer_t goodbye;
};

/* One answer of the health vhost on its way. */
struct page
{
	char *body;
	size_t len;
};

/* host:port, [host]:port; false: it is neither. */
static bool
split_listen(const char *listen, char *host, size_t size, int *port)
{
	const char *colon = strrchr(listen, ':');
	size_t len;

	if (colon == NULL || colon == listen)
		return false;
	len = colon - listen;
	if (*listen == '[' && len > 2 && listen[len - 1] == ']')
	{
		listen++;
		len -= 2;
	}
	if (len >= size)
		return false;
	memcpy(host, listen, len);
	host[len] = '\0';
	*port = atoi(colon + 1);
	return true;
}

/* Binds once to find out whether it can be done; libwebsockets would not say why it cannot. */
static bool
probe(const char *variable, const char *listen, const char *host, int port)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char service[8];
	int fd;
	int on = 1;
	bool good;

	snprintf(service, sizeof(service), "%d", port);
	if (getaddrinfo(host, service, &hints, &found) != 0)
	{
		fprintf(stderr, "chat-sidecar: %s: %s is not an address to listen on; use 127.0.0.1:PORT\n",
				variable, listen);
		return false;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	good = fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0;
	if (!good && errno == EADDRINUSE)
		fprintf(stderr, "chat-sidecar: %s: %s is already in use; set another address\n", variable,
				listen);
	else if (!good)
		fprintf(stderr, "chat-sidecar: %s: cannot listen on %s: %s\n", variable, listen,
				strerror(errno));
	close(fd);
	freeaddrinfo(found);
	return good;
}

/* Writes the head of a page; its body follows. */
static int
start_page(struct lws *wsi, struct page *page, int status, const char *type)
{
	unsigned char buf[LWS_PRE + 512];
	unsigned char *start = buf + LWS_PRE;
	unsigned char *p = start;

	if (lws_add_http_common_headers(wsi, status, type, page->len, &p, buf + sizeof(buf) - 1) ||
		lws_finalize_write_http_header(wsi, start, &p, buf + sizeof(buf) - 1))
		return -1;
	lws_callback_on_writable(wsi);
	return 0;
}

static int
end_page(struct lws *wsi, struct page *page)
{
	unsigned char *buf;
	int n;

	if (page->body == NULL)
		return 0;
	buf = malloc(LWS_PRE + page->len);
	memcpy(buf + LWS_PRE, page->body, page->len);
	n = lws_write(wsi, buf + LWS_PRE, page->len, LWS_WRITE_HTTP_FINAL);
	free(buf);
	free(page->body);
	page->body = NULL;
	return n < 0 || lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int
health_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct app *app = lws_context_user(lws_get_context(wsi));
	struct page *page = user;
	const char *type = "text/plain; charset=utf-8";
	int status;

	(void) len;
	switch (reason)
	{
		case LWS_CALLBACK_HTTP:
			free(page->body);
			page->body = NULL;
			page->len = 0;
			status = app->server->page(app, in, &page->body, &page->len, &type);
			if (page->body == NULL)
			{
				page->body = strdup("not found\n");
				page->len = strlen(page->body);
			}
			return start_page(wsi, page, status, type);
		case LWS_CALLBACK_HTTP_WRITEABLE:
			return end_page(wsi, page);
		case LWS_CALLBACK_CLOSED_HTTP:
			if (page != NULL)
			{
				free(page->body);
				page->body = NULL;
			}
			return 0;
		case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
			return -1; /* no WebSocket here */
		default:
			return 0;
	}
}

static void
log_line(int level, const char *line)
{
	char text[256];

	(void) level;
	snprintf(text, sizeof(text), "%.*s", (int) strcspn(line, "\n"), line);
	log_event(LOG_DEBUG, "libwebsockets", "text", "%s", text, NULL);
}

/* Listens; NULL: it cannot, and has said why. */
static struct lws_vhost *
listen_on(struct server *server, const char *variable, const char *listen,
		  const struct lws_protocols *protocols)
{
	struct lws_context_creation_info info = {0};
	struct lws_vhost *vhost;
	char host[128];

	if (!split_listen(listen, host, sizeof(host), &info.port))
	{
		fprintf(stderr, "chat-sidecar: %s: \"%s\" is not host:port\n", variable, listen);
		return NULL;
	}
	if (!probe(variable, listen, host, info.port))
		return NULL;
	info.iface = host;
	info.protocols = protocols;
	info.vhost_name = variable;
	info.keepalive_timeout = 60;
	info.timeout_secs = 20;
	if (strchr(host, ':') == NULL)
		info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
	vhost = lws_create_vhost(server->context, &info);
	if (vhost == NULL)
		fprintf(stderr, "chat-sidecar: %s: cannot listen on %s\n", variable, listen);
	return vhost;
}

static struct lws_context *
create_context(struct app *app)
{
	struct lws_context_creation_info info = {0};
	void *loops[1] = {app->loop};

	lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
	info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.foreign_loops = loops;
	info.user = app;
	info.fd_limit_per_thread = FD_LIMIT;
	info.max_http_header_data = 16384;
	info.max_http_header_pool = 256;
	info.pt_serv_buf_size = 65536;
	return lws_create_context(&info);
}

struct server *
server_create(struct app *app, server_page page)
{
	static struct lws_protocols health[] = {
		{"http", health_callback, sizeof(struct page), 0, 0, NULL, 0}, {0}};
	static struct lws_protocols realtime[] = {
		{"realtime", embedded_callback, sizeof(void *) * 2, 65536, 0, NULL, 0}, {0}};
	struct server *server = calloc(1, sizeof(*server));

	server->app = app;
	server->page = page;
	server->context = create_context(app);
	if (server->context == NULL)
	{
		fputs(
			"chat-sidecar: libwebsockets has no libuv support here; install libwebsockets-evlib-uv\n",
			stderr);
		free(server);
		return NULL;
	}
	uv_timer_init(app->loop, &server->goodbye);
	server->goodbye.data = server;
	server->http = listen_on(server, "HTTP_LISTEN", app->config->http_listen, health);
	if (server->http != NULL && app->config->realtime_url == NULL)
		server->embedded =
			listen_on(server, "EMBEDDED_LISTEN", app->config->embedded_listen, realtime);
	if (server->http != NULL && (app->config->realtime_url != NULL || server->embedded != NULL))
		return server;
	return NULL; /* the process ends: nothing is taken apart */
}

static void
goodbye_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
goodbye(uv_timer_t *timer)
{
	struct server *server = timer->data;

	lws_context_destroy(server->context);
	uv_close((uv_handle_t *) timer, goodbye_closed);
}

void
server_destroy(struct server *server)
{
	if (server->embedded == NULL)
		goodbye(&server->goodbye);
	else
		uv_timer_start(&server->goodbye, goodbye, GOODBYE_MS, 0);
}

int
server_embedded_port(const struct server *server)
{
	return server->embedded ? lws_get_vhost_listen_port(server->embedded) : 0;
}

int
server_http_port(const struct server *server)
{
	return lws_get_vhost_listen_port(server->http);
}
