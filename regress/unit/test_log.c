/*
 * Lines of the log: one JSON object each, whatever is in the values and however much of it, and nothing breaks where they
 * cannot be written.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../sidecar/base/log.h"
#include "require.h"

static int ends[2];

/* Takes what was written since. */
static char *
written(void)
{
	static char text[65536];
	ssize_t len = read(ends[0], text, sizeof(text) - 1);

	text[len > 0 ? len : 0] = '\0';
	return text;
}

/* The line as JSON; NULL: it is none, or more than one. */
static json_t *
written_json(void)
{
	char *text = written();
	size_t len = strlen(text);

	if (len == 0 || strchr(text, '\n') != text + len - 1)
		return NULL;
	return json_loads(text, JSON_REJECT_DUPLICATES, NULL);
}

static int
has_text(json_t *line, const char *key, const char *wanted)
{
	const char *value = json_string_value(json_object_get(line, key));

	return value != NULL && strcmp(value, wanted) == 0;
}

static void
check_values(void)
{
	json_t *line;

	log_event(LOG_WARN, "a \"message\"", "text", "%s", "back\\slash \"quoted\"", "none", "%s",
			  (char *) NULL, "int", "%d", -7, "long", "%ld", 8L, "size", "%zu", (size_t) 9,
			  "longer", "%lld", 10LL, "real", "%.3f", 1.5, NULL);
	line = written_json();
	require("values of every kind", line != NULL && has_text(line, "msg", "a \"message\"") &&
										has_text(line, "level", "warn") &&
										has_text(line, "text", "back\\slash \"quoted\"") &&
										has_text(line, "none", "") &&
										json_integer_value(json_object_get(line, "int")) == -7 &&
										json_integer_value(json_object_get(line, "long")) == 8 &&
										json_integer_value(json_object_get(line, "size")) == 9 &&
										json_integer_value(json_object_get(line, "longer")) == 10 &&
										json_real_value(json_object_get(line, "real")) == 1.5);
	json_decref(line);
	log_event(LOG_WARN, "control", "text", "%s",
			  "a\nb\tc\x01"
			  "d\xff"
			  "e",
			  NULL);
	line = written_json();
	require("line feeds and bytes that are no text stay in one line", line != NULL);
	json_decref(line);
}

/* Values longer than the line, of characters and escapes that end at every offset. */
static void
check_lengths(void)
{
	static const char *const pieces[] = {"x", "\"", "\xc3\xa9", "\xf0\x9f\x98\x80"};
	char value[4000];
	int good = 1;

	for (size_t piece = 0; piece < sizeof(pieces) / sizeof(pieces[0]); piece++)
	{
		for (size_t shift = 0; shift < 12; shift++)
		{
			json_t *line;

			memset(value, 'a', shift);
			value[shift] = '\0';
			while (strlen(value) + 5 < sizeof(value))
				strcat(value, pieces[piece]);
			(log_event)(LOG_ERROR, value, "a", "%s", value, "b", "%s", value, "c", "%s", value, "d",
						"%s", value, "e", "%s", value, "f", "%s", value, "g", "%s", value, "h",
						"%s", value, "i", "%s", value, "number", "%d", 5, NULL);
			line = written_json();
			good = good && line != NULL;
			json_decref(line);
		}
	}
	require("lines that are too long are cut, and JSON", good);
}

static void
check_levels(void)
{
	char *text;

	log_setup(true, LOG_ERROR);
	log_event(LOG_WARN, "not wanted", NULL);
	log_event(LOG_ERROR, "wanted", NULL);
	text = written();
	require("what is below the least level is left out",
			strstr(text, "not wanted") == NULL && strstr(text, "\"wanted\"") != NULL);
	log_setup(false, LOG_INFO);
	log_event(LOG_INFO, "for people", "text", "%s", "a\nb", "number", "%d", 1, NULL);
	text = written();
	require("text is one line", strchr(text, '\n') == text + strlen(text) - 1 &&
									strstr(text, "info for people text=") != NULL &&
									strstr(text, "number=1") != NULL);
}

/* Text around a conversion. */
static void
check_formats(void)
{
	const char *text;

	log_setup(true, LOG_INFO);
	log_event(LOG_INFO, "formats", "a", "%s!", "text", "b", "%d %%", 5, "c", "100%% of %lld", 7LL,
			  "d", "%.1f s", 1.25, "e", "%zu", sizeof(char), "g", "%ld", 9L, NULL);
	text = written();
	require("a format may have text around its conversion, and is no number then",
			strstr(text, "\"a\":\"text!\",\"b\":\"5 %\",\"c\":\"100% of 7\",\"d\":\"1.2 s\","
						 "\"e\":1,\"g\":9}") != NULL);
}

/* A disk that is full, or a pipe that nobody reads any more. */
static void
check_unwritable(void)
{
	int full = open("/dev/full", O_WRONLY);

	dup2(full, STDERR_FILENO);
	log_event(LOG_ERROR, "lost", NULL);
	close(STDERR_FILENO);
	log_event(LOG_ERROR, "lost, too", NULL);
	require("a line that cannot be written is lost, and no more", 1);
}

int
main(void)
{
	if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
		exit(1);
	check_values();
	check_lengths();
	check_levels();
	check_formats();
	check_unwritable();
	return 0;
}
