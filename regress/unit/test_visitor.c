/*
 * For which address a connection counts: what a stranger writes into a header changes nothing, what a proxy adds does.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/endpoint/visitor.h"

static const struct visit
{
	const char *peer, *forwarded;
	const char *counts; /* NULL: for nobody */
} visits[] = {
	{"203.0.113.7", NULL, "203.0.113.7"},
	{"203.0.113.7", "198.51.100.1", "203.0.113.7"},
	{"127.0.0.1", NULL, NULL},
	{"127.8.9.1", "", NULL},
	{"::1", NULL, NULL},
	{"::ffff:127.0.0.1", NULL, NULL},
	{"127.0.0.1", "203.0.113.7", "203.0.113.7"},
	{"127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"},
	{"127.0.0.1", "198.51.100.1,203.0.113.7 , 10.1.2.3", "203.0.113.7"},
	{"10.0.0.1", "198.51.100.1,\t203.0.113.7, 127.0.0.1,10.1.2.3", "203.0.113.7"},
	{"11.0.0.1", "198.51.100.1", "11.0.0.1"},
	{"10.0.0.1", "10.1.2.3", NULL},
	{"10.0.0.1", "203.0.113.7:443", "203.0.113.7"},
	{"10.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
	{"10.0.0.1", "[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::"},
	{"10.0.0.1", "[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::"},
	{"10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"},
	{"fd00::9", "203.0.113.7", "203.0.113.7"},
	{"2001:db8:1:2:ffff::1", NULL, "2001:db8:1:2::"},
	{"10.0.0.1", "unknown", NULL},
	{"10.0.0.1", "203.0.113.7, unknown", NULL},
	{"10.0.0.1", "203.0.113.7,", NULL},
	{"10.0.0.1", ",,,", NULL},
	{"10.0.0.1", "[", NULL},
	{"10.0.0.1", ":", NULL},
	{"10.0.0.1", "1.2.3.4.5", NULL},
	{"10.0.0.1", "203.0.113.7 198.51.100.1", NULL},
	{"10.0.0.1",
	 "1111111111111111111111111111111111111111111111111111111111111111111111111111111111", NULL},
};

static void
read_peer(const char *text, struct sockaddr_storage *peer)
{
	memset(peer, 0, sizeof(*peer));
	if (inet_pton(AF_INET, text, &((struct sockaddr_in *) peer)->sin_addr) == 1)
	{
		peer->ss_family = AF_INET;
		return;
	}
	peer->ss_family = AF_INET6;
	if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *) peer)->sin6_addr) != 1)
		abort();
}

int
main(void)
{
	char error[128], text[VISITOR_SIZE];
	struct address_rules *proxies = address_rules_create("10.0.0.0/8, fd00::/8", error, 128);
	struct sockaddr_storage peer;

	for (size_t i = 0; i < sizeof(visits) / sizeof(visits[0]); i++)
	{
		const struct visit *v = &visits[i];
		struct slice forwarded = {v->forwarded, v->forwarded != NULL ? strlen(v->forwarded) : 0};
		bool counts, good;

		read_peer(v->peer, &peer);
		counts = visitor_address(proxies, (struct sockaddr *) &peer, forwarded, text);
		good = counts == (v->counts != NULL) && (!counts || strcmp(text, v->counts) == 0);
		printf("%s %s, forwarded for %s\n", good ? "ok" : "not ok", v->peer,
			   v->forwarded != NULL ? v->forwarded : "nobody");
		if (!good)
			return 1;
	}
	peer.ss_family = AF_UNIX;
	if (visitor_address(proxies, (struct sockaddr *) &peer, (struct slice){NULL, 0}, text))
		return 1;
	puts("ok what is no address of the Internet counts for nobody");
	address_rules_destroy(proxies);
	return 0;
}
