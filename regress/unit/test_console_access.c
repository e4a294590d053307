/*
 * Who may see the console: names that it is called by, other sites, and the token.
 */
#include "../../sidecar/console/console_access.h"

#include <stdio.h>
#include <string.h>

#define TOKEN "0123456789abcdef0123456789abcdef"

static int failures;

static void
check(const char *name, int good)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	failures += !good;
}

static struct slice
text(const char *text)
{
	return (struct slice){text, text != NULL ? strlen(text) : 0};
}

static bool
addressed(const char *listen, const char *hosts, const char *host, const char *origin)
{
	struct config config = {.http_listen = (char *) listen, .console_hosts = (char *) hosts};
	struct request_head head = {.host = text(host), .origin = text(origin)};

	return console_is_addressed(&config, &head);
}

static void
names(void)
{
	const char *here = "127.0.0.1:9464";

	check("its own address", addressed(here, NULL, "127.0.0.1:9464", NULL));
	check("at another port, as a tunnel has it", addressed(here, NULL, "127.0.0.1:8080", NULL));
	check("without a port", addressed(here, NULL, "127.0.0.1", NULL));
	check("localhost", addressed(here, NULL, "LocalHost:8080", NULL));
	check("an address of IPv6", addressed("[::1]:9464", NULL, "[::1]:9464", NULL));
	check("no other one", !addressed("[::1]:9464", NULL, "[::2]:9464", NULL));
	check("no other name", !addressed(here, NULL, "attacker.example:9464", NULL));
	check("no Host", !addressed(here, NULL, NULL, NULL));
	check("an empty one",
		  !addressed(here, NULL, "", NULL) && !addressed(here, NULL, ":9464", NULL));
	check("no longer name", !addressed(here, NULL, "localhost.attacker.example", NULL) &&
								!addressed(here, NULL, "127.0.0.1.attacker.example", NULL));
	check("nor a shorter one",
		  !addressed(here, NULL, "local", NULL) && !addressed(here, NULL, "127.0.0", NULL));
	check("listed ones",
		  addressed("0.0.0.0:9464", "a.example, b.example:8443", "A.example:1", NULL) &&
			  addressed("0.0.0.0:9464", "a.example, b.example:8443", "b.example", NULL));
	check("no part of the list",
		  !addressed("0.0.0.0:9464", "a.example,b.example", "a.example,b.example", NULL) &&
			  !addressed("0.0.0.0:9464", "a.example,b.example", "example", NULL) &&
			  !addressed("0.0.0.0:9464", ",", "", NULL));
	check("brackets that stay open", !addressed(here, NULL, "[::1", NULL));
}

static void
sites(void)
{
	const char *here = "127.0.0.1:9464";

	check("its own page", addressed(here, NULL, "localhost:9464", "http://localhost:9464"));
	check("behind TLS", addressed(here, "a.example", "a.example", "https://a.example"));
	check("no other site", !addressed(here, NULL, "localhost:9464", "https://attacker.example"));
	check("no other port", !addressed(here, NULL, "localhost:9464", "http://localhost:3000"));
	check("nobody's", !addressed(here, NULL, "localhost:9464", "null"));
	check("no scheme", !addressed(here, NULL, "localhost:9464", "localhost:9464"));
	check("an empty one", !addressed(here, NULL, "localhost:9464", ""));
}

static enum console_access
access_of(const char *listen, const char *token, const char *authorization, const char *forwarded)
{
	struct config config = {.http_listen = (char *) listen, .console_token = (char *) token};
	struct request_head head = {.authorization = text(authorization),
								.forwarded_for = text(forwarded)};

	return console_is_open(&config, &head) ? console_access(&config, &head) : CONSOLE_REFUSED;
}

static void
tokens(void)
{
	const char *here = "127.0.0.1:9464", *everywhere = "0.0.0.0:9464";

	check("counts on loopback", access_of(here, NULL, NULL, NULL) == CONSOLE_COUNTS &&
									access_of(here, TOKEN, NULL, NULL) == CONSOLE_COUNTS &&
									access_of("[::1]:1", TOKEN, NULL, NULL) == CONSOLE_COUNTS &&
									access_of("127.8.9.1:1", NULL, NULL, NULL) == CONSOLE_COUNTS);
	check("all with the token",
		  access_of(here, TOKEN, "Bearer " TOKEN, NULL) == CONSOLE_ALL &&
			  access_of(everywhere, TOKEN, "bearer " TOKEN, NULL) == CONSOLE_ALL);
	check("nothing with a wrong one",
		  access_of(here, TOKEN, "Bearer " TOKEN "0", NULL) == CONSOLE_REFUSED &&
			  access_of(here, TOKEN, "Bearer 1123456789abcdef0123456789abcdef", NULL) ==
				  CONSOLE_REFUSED &&
			  access_of(here, TOKEN, "Bearer ", NULL) == CONSOLE_REFUSED &&
			  access_of(here, TOKEN, "Bearer", NULL) == CONSOLE_REFUSED &&
			  access_of(here, TOKEN, "", NULL) == CONSOLE_REFUSED &&
			  access_of(here, TOKEN, TOKEN, NULL) == CONSOLE_REFUSED &&
			  access_of(here, TOKEN, "Basic " TOKEN, NULL) == CONSOLE_REFUSED);
	check("nothing with one where there is none",
		  access_of(here, NULL, "Bearer ", NULL) == CONSOLE_REFUSED &&
			  access_of(here, NULL, "Bearer " TOKEN, NULL) == CONSOLE_REFUSED);
	check("beyond loopback nothing without",
		  access_of(everywhere, TOKEN, NULL, NULL) == CONSOLE_REFUSED &&
			  access_of("[::]:1", TOKEN, NULL, NULL) == CONSOLE_REFUSED &&
			  access_of("10.127.0.1:1", TOKEN, NULL, NULL) == CONSOLE_REFUSED &&
			  access_of("[::ffff:127.0.0.1]:1", TOKEN, NULL, NULL) == CONSOLE_REFUSED);
	check("and none at all where there is no token",
		  access_of(everywhere, NULL, NULL, NULL) == CONSOLE_REFUSED &&
			  access_of(everywhere, NULL, "Bearer ", NULL) == CONSOLE_REFUSED);
	check("nor through a proxy",
		  access_of(here, TOKEN, NULL, "192.0.2.1") == CONSOLE_REFUSED &&
			  access_of(here, NULL, NULL, "") == CONSOLE_REFUSED &&
			  access_of(here, TOKEN, "Bearer " TOKEN, "192.0.2.1") == CONSOLE_ALL);
}

int
main(void)
{
	names();
	sites();
	tokens();
	return failures != 0;
}
