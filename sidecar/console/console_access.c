/*
 * See console_access.h.
 */
#include "console/console_access.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* host, host:port, [host]:port without its port; brackets stay. */
static struct slice
without_port(struct slice host)
{
	const char *bracket =
		host.len > 0 && *host.start == '[' ? memchr(host.start, ']', host.len) : NULL;
	const char *from = bracket != NULL ? bracket : host.start;
	const char *colon = memchr(from, ':', host.len - (size_t) (from - host.start));

	if (colon != NULL)
		host.len = (size_t) (colon - host.start);
	return host;
}

static bool
same(struct slice a, struct slice b)
{
	return a.len == b.len && a.len > 0 && strncasecmp(a.start, b.start, a.len) == 0;
}

static struct slice
text(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static bool
is_listed(struct slice host, const char *list)
{
	for (const char *at = list; at != NULL && *at != '\0';)
	{
		size_t len = strcspn(at, ", ");

		if (same(host, without_port((struct slice){at, len})))
			return true;
		at += len + strspn(at + len, ", ");
	}
	return false;
}

static bool
listens_on_loopback(const char *listen)
{
	struct slice host = without_port(text(listen));
	struct in_addr address;
	char name[INET_ADDRSTRLEN];

	if (same(host, text("[::1]")) || strncmp(listen, "::1:", 4) == 0)
		return true;
	if (host.len >= sizeof(name))
		return false;
	memcpy(name, host.start, host.len);
	name[host.len] = '\0';
	return inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* A proxy on this machine speaks for who knows whom. */
static bool
is_local(const struct config *config, const struct request_head *head)
{
	return listens_on_loopback(config->http_listen) && head->forwarded_for.start == NULL;
}

bool
console_is_open(const struct config *config, const struct request_head *head)
{
	return config->console_token != NULL || is_local(config, head);
}

static bool
is_of_host(struct slice origin, struct slice host)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
	{
		size_t len = strlen(schemes[i]);

		if (origin.len > len && strncasecmp(origin.start, schemes[i], len) == 0)
			return same((struct slice){origin.start + len, origin.len - len}, host);
	}
	return false;
}

bool
console_is_addressed(const struct config *config, const struct request_head *head)
{
	struct slice host;

	if (head->host.start == NULL)
		return false;
	if (head->origin.start != NULL && !is_of_host(head->origin, head->host))
		return false;
	host = without_port(head->host);
	return same(host, without_port(text(config->http_listen))) || same(host, text("localhost")) ||
		   is_listed(host, config->console_hosts);
}

static bool
has_token(const char *token, struct slice authorization)
{
	static const char scheme[] = "Bearer ";
	size_t len = sizeof(scheme) - 1;

	/* How long it is may be found out; what it is may not. */
	return token != NULL && authorization.len == len + strlen(token) &&
		   strncasecmp(authorization.start, scheme, len) == 0 &&
		   CRYPTO_memcmp(authorization.start + len, token, strlen(token)) == 0;
}

enum console_access
console_access(const struct config *config, const struct request_head *head)
{
	if (has_token(config->console_token, head->authorization))
		return CONSOLE_ALL;
	return head->authorization.start == NULL && is_local(config, head) ? CONSOLE_COUNTS
																	   : CONSOLE_REFUSED;
}
