/*
 * What of libpq's messages may be told: never what is in the connection string.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/io/db_error.h"

static void
check(const char *name, const char *message, const char *text, const char *sqlstate)
{
	struct db_error error;
	int ok;

	db_error_of_connection(message, &error);
	ok = strcmp(error.text, text) == 0 && strcmp(error.sqlstate, sqlstate) == 0;
	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (!ok)
	{
		printf("got %s: %s\nwanted %s: %s\n", error.sqlstate, error.text, sqlstate, text);
		exit(1);
	}
}

int
main(void)
{
	char longest[2000] = "invalid port number: \"", plain[2 * DB_ERROR_SIZE], cut[DB_ERROR_SIZE];
	PGresult *bare = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
	struct db_error error;

	check(
		"host, address and port are left out",
		"connection to server at \"db.example\" (10.0.0.1), port 5432 failed: Connection refused\n"
		"\tIs the server running on that host and accepting TCP/IP connections?\n",
		"Connection refused", "");
	check(
		"a socket, too",
		"connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: No such file or directory\n",
		"No such file or directory", "");
	check("an address without a name",
		  "connection to server at \"10.0.0.1\", port 12 failed: timeout expired\n",
		  "timeout expired", "");
	check(
		"what is quoted is left out",
		"could not translate host name \"ss#w@127.0.0.1\" to address: Name or service not known\n",
		"could not translate host name \"...\" to address: Name or service not known", "");
	check("one letter of it, too", "invalid port number: \"s\"\n", "invalid port number: \"...\"",
		  "");
	check("all between the first and the last quote",
		  "invalid integer value \"a\"secret\"b\" for connection option \"port\"\n",
		  "invalid integer value \"...\"", "");
	check("what quotes nothing is whole", "server closed the connection unexpectedly\n",
		  "server closed the connection unexpectedly", "");
	check(
		"the server's own words are whole, with the code",
		"connection to server at \"h\" (::1), port 5432 failed: FATAL:  3D000: database \"nowhere\" does not exist\n",
		"database \"nowhere\" does not exist", "3D000");
	memset(longest + strlen(longest), 's', sizeof(longest) - 30);
	check("a value longer than any line", longest, "invalid port number: \"...\"", "");
	check("an empty message", "", "", "");
	check("what looks like a code and is none", "FATAL:  42: no code\nmore", "FATAL:  42: no code",
		  "");
	memset(plain, 'x', sizeof(plain) - 1);
	plain[sizeof(plain) - 1] = '\0';
	memset(cut, 'x', sizeof(cut) - 1);
	cut[sizeof(cut) - 1] = '\0';
	check("a long message is cut", plain, cut, "");

	db_error_of_connection("DATABASE_URL leads through a transaction pooler: x", &error);
	printf("%s a pooler's hint\n", strstr(error.hint, "session mode") ? "ok" : "not ok");
	db_error_of_result(NULL, &error);
	printf("%s no result\n", strcmp(error.text, "the connection was lost") == 0 ? "ok" : "not ok");
	db_error_of_result(bare, &error);
	printf("%s a result that says nothing\n", error.text[0] == '\0' ? "ok" : "not ok");
	PQclear(bare);
	return 0;
}
