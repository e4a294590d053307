/*
 * For the benchmarks of deliveries: a receiver that only counts, and the least that can post the same bodies.
 *
 *   posts serve COUNT STATUS   prints its port, and, when COUNT requests have come, the seconds since the first of them
 *   posts send URL COUNT BODY  posts COUNT times with libcurl, 32 at a time; prints the seconds
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INFLIGHT 32
#define CONNECTION_BYTES (4 * 1024 * 1024)

struct connection
{
	int fd;
	size_t len;
	char bytes[CONNECTION_BYTES + 1];
};

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* Takes whole requests out of a connection's bytes; answers how many. */
static int
take_requests(struct connection *connection)
{
	int count = 0;

	for (;;)
	{
		char *end, *length;
		size_t whole;

		connection->bytes[connection->len] = '\0';
		end = strstr(connection->bytes, "\r\n\r\n");
		if (end == NULL)
			return count;
		length = strcasestr(connection->bytes, "\r\ncontent-length:");
		whole = (size_t) (end - connection->bytes) + 4 +
				(length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
		if (connection->len < whole)
			return count;
		memmove(connection->bytes, connection->bytes + whole, connection->len - whole);
		connection->len -= whole;
		count++;
	}
}

static void
serve(long wanted, const char *status)
{
	char answer[64];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0), yes = 1;
	struct epoll_event event = {.events = EPOLLIN};
	double began = 0;
	long count = 0;

	snprintf(answer, sizeof(answer), "HTTP/1.1 %s OK\r\nContent-Length: 2\r\n\r\nok", status);
	if (bind(listener, (struct sockaddr *) &address, size) != 0 || listen(listener, 4096) != 0)
		exit(1);
	getsockname(listener, (struct sockaddr *) &address, &size);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	for (;;)
	{
		struct epoll_event events[256];
		int ready = epoll_wait(poll, events, 256, -1);

		for (int i = 0; i < ready; i++)
		{
			struct connection *connection = events[i].data.ptr;
			ssize_t got;

			if (connection == NULL)
			{
				connection = calloc(1, sizeof(*connection)); /* untouched pages cost nothing */
				connection->fd = accept(listener, NULL, NULL);
				setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
				event.data.ptr = connection;
				epoll_ctl(poll, EPOLL_CTL_ADD, connection->fd, &event);
				continue;
			}
			got = read(connection->fd, connection->bytes + connection->len,
					   CONNECTION_BYTES - connection->len);
			if (got <= 0)
			{
				close(connection->fd);
				free(connection);
				continue;
			}
			connection->len += (size_t) got;
			for (int taken = take_requests(connection); taken > 0; taken--)
			{
				if (count++ == 0)
					began = seconds();
				if (write(connection->fd, answer, strlen(answer)) < 0)
					break;
				if (count == wanted)
				{
					printf("%.6f\n", seconds() - began);
					fflush(stdout);
				}
			}
		}
	}
}

static size_t
ignore(char *bytes, size_t size, size_t count, void *arg)
{
	(void) bytes;
	(void) arg;
	return size * count;
}

static void
send_all(const char *url, long wanted, const char *body)
{
	static const char *const lines[] = {
		"Expect:",
		"Content-Type: application/json",
		"User-Agent: posts",
		"webhook-id: evt_1234567",
		"webhook-timestamp: 1767225600",
		"X-Webhook-Event: message.received",
		"X-Webhook-Delivery: evt_1234567",
		"X-Webhook-Timestamp: 2026-01-01T00:00:00.000Z",
		"webhook-signature: v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"X-Webhook-Signature: "
		"sha256=0000000000000000000000000000000000000000000000000000000000000000"};
	CURLM *multi = curl_multi_init();
	struct curl_slist *headers = NULL;
	long started = 0, done = 0;
	double began = seconds();

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		headers = curl_slist_append(headers, lines[i]);
	for (; started < INFLIGHT && started < wanted; started++)
	{
		CURL *easy = curl_easy_init();

		curl_easy_setopt(easy, CURLOPT_URL, url);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
		curl_multi_add_handle(multi, easy);
	}
	while (done < wanted)
	{
		CURLMsg *message;
		int running, left;

		curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left)) != NULL)
		{
			CURL *easy = message->easy_handle;

			if (message->data.result != CURLE_OK)
				exit(1);
			done++;
			curl_multi_remove_handle(multi, easy);
			if (started++ < wanted)
				curl_multi_add_handle(multi, easy);
		}
		if (done < wanted)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	printf("%.6f\n", seconds() - began);
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		serve(atol(argv[2]), argv[3]);
	else if (argc == 5 && strcmp(argv[1], "send") == 0)
		send_all(argv[2], atol(argv[3]), argv[4]);
	else
		return 2;
	return 0;
}
