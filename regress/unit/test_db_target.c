/*
 * Where a connection goes: which names are looked up, and what libpq is told of addresses and of what the URL says.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "../../sidecar/io/db_target.h"
#include "require.h"

static void
looks_up(const char *url, const char *wanted)
{
	struct db_target *target = db_target_create(url, "test");
	const char *name = target != NULL ? db_target_name(target) : "no target";

	require(url, wanted == NULL ? name == NULL : name != NULL && strcmp(name, wanted) == 0);
	db_target_destroy(target);
}

static void
check_names(void)
{
	char url[400], label[300];

	looks_up("postgresql://u@db.example/d", "db.example");
	looks_up("host=db.example dbname=d", "db.example");
	looks_up("postgresql://u@127.0.0.1/d", NULL);
	looks_up("postgresql://u@[::1]/d", NULL);
	looks_up("postgresql://u@a.example,b.example/d", NULL);
	looks_up("host=db.example hostaddr=127.0.0.1", NULL);
	looks_up("host=/var/run/postgresql", NULL);
	looks_up("host=@socket", NULL);
	looks_up("postgresql:///d", NULL);
	memset(label, 'a', 256);
	label[256] = '\0';
	snprintf(url, sizeof(url), "host=%s", label);
	looks_up(url, NULL);
	setenv("PGHOST", "env.example", 1);
	looks_up("postgresql:///d", "env.example");
	setenv("PGHOSTADDR", "127.0.0.1", 1);
	looks_up("postgresql:///d", NULL);
	unsetenv("PGHOST");
	unsetenv("PGHOSTADDR");
	require("a URL that cannot be parsed", db_target_create("postgresql://[half", "test") == NULL);
}

static void
told(PGconn *conn, const char *keyword, const char *wanted)
{
	PQconninfoOption *options = PQconninfo(conn), *option = options;

	while (option->keyword != NULL && strcmp(option->keyword, keyword) != 0)
		option++;
	if (option->val == NULL || strcmp(option->val, wanted) != 0)
		printf("%s\n", option->val != NULL ? option->val : "none");
	require(keyword, option->val != NULL && strcmp(option->val, wanted) == 0);
	PQconninfoFree(options);
}

/* Nothing listens on port 1, and nothing of this waits. */
static void
check_addresses(void)
{
	struct db_target *target = db_target_create(
		"postgresql://u@db.example:1/d?keepalives_idle=7&client_encoding=LATIN1", "test");
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_un other = {.sun_family = AF_UNIX};
	struct addrinfo list[7];
	PGconn *conn, *beside;

	inet_pton(AF_INET, "127.0.0.1", &v4.sin_addr);
	inet_pton(AF_INET6, "::1", &v6.sin6_addr);
	memset(list, 0, sizeof(list));
	for (int i = 0; i < 7; i++)
	{
		list[i].ai_family = i == 0 ? AF_UNIX : i == 2 ? AF_INET6 : AF_INET;
		list[i].ai_addr = i == 0   ? (struct sockaddr *) &other
						  : i == 2 ? (struct sockaddr *) &v6
								   : (struct sockaddr *) &v4;
		list[i].ai_next = i < 6 ? &list[i + 1] : NULL;
	}
	conn = db_target_connect(target, list);
	told(conn, "host", "db.example,db.example,db.example,db.example");
	told(conn, "hostaddr", "127.0.0.1,::1,127.0.0.1,127.0.0.1");
	told(conn, "port", "1");
	told(conn, "keepalives_idle", "7");
	told(conn, "keepalives_count", "3");
	told(conn, "client_encoding", "UTF8");
	told(conn, "fallback_application_name", "test");
	told(conn, "gssencmode", "disable");
	beside = db_target_connect_beside(target, conn);
	told(beside, "host", "db.example");
	told(beside, "hostaddr", "127.0.0.1");
	told(beside, "port", "1");
	told(beside, "dbname", "d");
	PQfinish(beside);
	PQfinish(conn);
	db_target_destroy(target);
}

int
main(void)
{
	unsetenv("PGHOST");
	unsetenv("PGHOSTADDR");
	unsetenv("PGPORT");
	unsetenv("PGGSSENCMODE");
	check_names();
	check_addresses();
	return 0;
}
