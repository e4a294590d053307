/*
 * See visitor.h.
 */
#include "endpoint/visitor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Every address as one of IPv6; v4-mapped where it is none. */
static bool
as_v6(const struct sockaddr *address, struct in6_addr *v6)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (address->sa_family == AF_INET6)
	{
		*v6 = ((const struct sockaddr_in6 *) address)->sin6_addr;
		return true;
	}
	if (address->sa_family != AF_INET)
		return false;
	memcpy(v6->s6_addr, mapped, sizeof(mapped));
	memcpy(v6->s6_addr + 12, &((const struct sockaddr_in *) address)->sin_addr, 4);
	return true;
}

static bool
is_loopback(const struct in6_addr *v6)
{
	return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

static bool
is_trusted(const struct address_rules *proxies, const struct in6_addr *v6)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = *v6};

	return is_loopback(v6) || address_exempt(proxies, (struct sockaddr *) &address);
}

/* Cuts the last item off a list, without the blanks around it. */
static struct slice
cut_last(struct slice *list)
{
	struct slice item = *list;

	while (item.len > 0 && list->start[item.len - 1] != ',')
		item.len--;
	item = (struct slice){list->start + item.len, list->len - item.len};
	list->len -= item.len + (item.len < list->len ? 1 : 0);
	while (item.len > 0 && (*item.start == ' ' || *item.start == '\t'))
		item = (struct slice){item.start + 1, item.len - 1};
	while (item.len > 0 && (item.start[item.len - 1] == ' ' || item.start[item.len - 1] == '\t'))
		item.len--;
	return item;
}

/* An address as proxies write it: 192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1], [2001:db8::1]:443. */
static bool
read_address(struct slice item, struct in6_addr *v6)
{
	char text[VISITOR_SIZE], mapped[VISITOR_SIZE + 8];
	char *begin = text, *colon;

	if (item.len == 0 || item.len >= sizeof(text))
		return false;
	memcpy(text, item.start, item.len);
	text[item.len] = '\0';
	colon = strchr(text, ':');
	if (*text == '[')
	{
		begin++;
		text[strcspn(text, "]")] = '\0';
	}
	else if (colon != NULL && strchr(colon + 1, ':') == NULL)
		*colon = '\0';
	if (inet_pton(AF_INET6, begin, v6) == 1)
		return true;
	snprintf(mapped, sizeof(mapped), "::ffff:%s", begin);
	return inet_pton(AF_INET6, mapped, v6) == 1;
}

static void
write_address(const struct in6_addr *v6, char text[VISITOR_SIZE])
{
	struct in6_addr network = *v6;

	if (IN6_IS_ADDR_V4MAPPED(v6))
	{
		inet_ntop(AF_INET, v6->s6_addr + 12, text, VISITOR_SIZE);
		return;
	}
	memset(network.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &network, text, VISITOR_SIZE);
}

bool
visitor_address(const struct address_rules *proxies, const struct sockaddr *peer,
				struct slice forwarded, char text[VISITOR_SIZE])
{
	struct in6_addr v6;
	bool known = as_v6(peer, &v6);

	while (known && is_trusted(proxies, &v6))
		known = forwarded.len > 0 && read_address(cut_last(&forwarded), &v6);
	if (known)
		write_address(&v6, text);
	return known;
}
