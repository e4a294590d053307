/*
 * See db_error.h. Decisions are made by SQLSTATE, since messages come in the server's language.
 */
#include "io/db_error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define CODE_LEN 5

static const struct
{
	const char *sqlstate;
	const char *hint;
} hints[] = {
	{"28P01", "check user and password in DATABASE_URL"},
	{"28000",
	 "check the user in DATABASE_URL (does the role exist, may it log in?) and pg_hba.conf"},
	{"3D000", "create the database, or change its name in DATABASE_URL"},
	{"42883",
	 "run CREATE EXTENSION chat_realtime (or ALTER EXTENSION chat_realtime UPDATE) in this database"},
	{"42P01", "run CREATE EXTENSION chat_realtime in this database"},
	{"3F000",
	 "run CREATE EXTENSION chat_realtime in this database, and SELECT chat.grant_sidecar('role')"},
	{"42501",
	 "run SELECT chat.grant_sidecar('role') with the role of DATABASE_URL, as a superuser"},
	{"53300",
	 "no connection is left: raise max_connections, or the CONNECTION LIMIT of role and database"},
	{"25006", "DATABASE_URL must name the primary server, not a standby"},
	{"57P03", "the server is starting or stopping; it is tried again"},
};

static const char *
hint_of(const char *sqlstate)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
	{
		if (strcmp(hints[i].sqlstate, sqlstate) == 0)
			return hints[i].hint;
	}
	return "";
}

/* Copies the first line, without its severity and code. */
static void
copy_line(const char *message, char out[DB_ERROR_SIZE])
{
	size_t len = strcspn(message, "\n");

	if (len >= DB_ERROR_SIZE)
		len = DB_ERROR_SIZE - 1;
	memcpy(out, message, len);
	out[len] = '\0';
}

/*
 * Copies the first line of libpq's own message without what may be a piece of the connection string: all that is
 * quoted, and where it tried to connect. A password whose special characters are not encoded is taken for a host, a
 * port or a database.
 */
static void
copy_without_values(const char *message, char out[DB_ERROR_SIZE])
{
	static const char begins[] = "connection to server ", ends[] = " failed: ";
	const char *cause =
		strncmp(message, begins, strlen(begins)) == 0 ? strstr(message, ends) : NULL;
	char line[DB_ERROR_SIZE];
	const char *first, *last;

	copy_line(cause != NULL ? cause + strlen(ends) : message, line);
	first = strchr(line, '"');
	last = strrchr(line, '"');
	if (first == NULL)
		strcpy(out, line);
	else
		snprintf(out, DB_ERROR_SIZE, "%.*s\"...%s", (int) (first - line), line,
				 last > first ? last : "\"");
}

/* What to do about one of libpq's own messages, or of ours, which have no code. */
static const char *
hint_of_text(const char *message)
{
	static const char *const place =
		"check host and port in DATABASE_URL: is PostgreSQL running there?";
	static const struct
	{
		const char *part, *hint;
	} list[] = {
		{"transaction pooler",
		 "connect to PostgreSQL itself, or to the pooler in session mode (Supabase: port 5432, not 6543)"},
		{"does not match host name",
		 "the server's certificate names another host than DATABASE_URL"},
		{"refused", place},
		{"No such file", place},
		{"cannot be resolved", place},
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
	{
		if (strstr(message, list[i].part) != NULL)
			return list[i].hint;
	}
	return "";
}

/* Finds ": <SQLSTATE>: " in a verbose message. */
static const char *
find_code(const char *message)
{
	for (const char *at = strstr(message, ":  "); at != NULL; at = strstr(at + 1, ":  "))
	{
		const char *code = at + 3;
		size_t len = 0;

		while (len < CODE_LEN &&
			   (isdigit((unsigned char) code[len]) || isupper((unsigned char) code[len])))
			len++;
		if (len == CODE_LEN && code[CODE_LEN] == ':')
			return code;
	}
	return NULL;
}

void
db_error_of_connection(const char *message, struct db_error *error)
{
	const char *code = find_code(message);

	error->sqlstate[0] = '\0';
	if (code != NULL)
	{
		memcpy(error->sqlstate, code, CODE_LEN);
		error->sqlstate[CODE_LEN] = '\0';
		copy_line(code + CODE_LEN + 2, error->text);
		error->hint = hint_of(error->sqlstate);
		return;
	}
	copy_without_values(message, error->text);
	error->hint = hint_of_text(message);
}

void
db_error_of_result(const PGresult *result, struct db_error *error)
{
	const char *code = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *text = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	error->sqlstate[0] = '\0';
	if (code != NULL && strlen(code) == CODE_LEN)
		strcpy(error->sqlstate, code);
	if (text == NULL)
		text = result != NULL ? PQresultErrorMessage(result) : "the connection was lost";
	copy_line(text, error->text);
	error->hint = hint_of(error->sqlstate);
}

static bool
field_is(const PGresult *result, int field, const char *wanted)
{
	const char *value = PQresultErrorField(result, field);

	return value != NULL && strcmp(value, wanted) == 0;
}

bool
db_error_is_stale(const PGresult *result)
{
	/* "cached plan must not change result type" has a code that says no more than "not supported". */
	return field_is(result, PG_DIAG_SQLSTATE, "26000") ||
		   field_is(result, PG_DIAG_SQLSTATE, "42P05") ||
		   (field_is(result, PG_DIAG_SQLSTATE, "0A000") &&
			field_is(result, PG_DIAG_SOURCE_FUNCTION, "RevalidateCachedQuery"));
}
