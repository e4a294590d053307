/*
 * The JSON reader: what it accepts and refuses, and texts without their escapes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/endpoint/json_scan.h"

static void
require(const char *name, const char *what, bool holds)
{
	printf("%s %s %s\n", holds ? "ok" : "not ok", name, what);
	if (!holds)
		exit(1);
}

static bool
valid(const char *text, size_t len)
{
	struct json value;

	return json_validate(text, len, &value);
}

static void
check_refused(void)
{
	static const char *const texts[] = {
		"",
		" ",
		"nul",
		"true1",
		"tru",
		"[1",
		"[1,",
		"[1,]",
		"[1 2]",
		"{",
		"{\"a\"",
		"{\"a\" 1}",
		"{\"a\":1,}",
		"{\"a\":}",
		"{a:1}",
		"{\"a\":1",
		"1 2",
		"01",
		"-",
		"1.",
		".5",
		"+1",
		"1e",
		"1e+",
		"1E-",
		"1e999",
		"-1e999",
		"\"",
		"\"a",
		"\"\\",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u12g4\"",
		"\"\\ud800\"",
		"\"\\ud800x\"",
		"\"\\ud800\\n\"",
		"\"\\ud800\\u0041\"",
		"\"\\udc00\"",
		"\"\\ud800\\u12",
		"\"a\nb\"",
		"\"\x01\"",
		"\"\x80\"",
		"\"\xc0\x80\"",
		"\"\xc3\"",
		"\"\xc3x\"",
		"\"\xe0\x80\x80\"",
		"\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"",
		"\"\xf5\x80\x80\x80\"",
		"\"\xf0\x9f\x98\"",
		"NaN",
		"Infinity",
		"'a'",
		"// a\n1",
	};
	char deep[2 * JSON_MAX_DEPTH + 4], digits[400];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		char name[24];

		snprintf(name, sizeof(name), "number %zu", i);
		require("refused:", name, !valid(texts[i], strlen(texts[i])));
	}
	require("refused:", "a NUL", !valid("[1]\0", 4) && !valid("\"\0\"", 3));
	memset(deep, '[', JSON_MAX_DEPTH + 1);
	memset(deep + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
	require("refused:", "deeper than the limit", !valid(deep, 2 * JSON_MAX_DEPTH + 2));
	require("accepted:", "as deep as the limit", valid(deep + 1, 2 * JSON_MAX_DEPTH));
	memset(digits, '1', sizeof(digits));
	require("accepted:", "many digits", valid(digits, sizeof(digits)));
	memcpy(digits + sizeof(digits) - 2, "e1", 2);
	require("refused:", "an exponent behind more digits than a double has",
			!valid(digits, sizeof(digits)));
}

static void
check_accepted(void)
{
	static const char *const texts[] = {
		"null",
		" true ",
		"\t[ ]\r\n",
		"{ }",
		"-0",
		"0.5",
		"10",
		"1e2",
		"1E+2",
		"1.5e-2",
		"1e308",
		"[1,\"a\",{\"b\":[null]}]",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\uD83D\\uDE00\"",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"\"\x7f\"",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		require("accepted:", texts[i], valid(texts[i], strlen(texts[i])));
}

static void
check_text(const char *name, const char *text, const char *wanted)
{
	struct json value;
	char *got = json_validate(text, strlen(text), &value) ? json_text(value) : NULL;

	require("text:", name, wanted == NULL ? got == NULL : got != NULL && strcmp(got, wanted) == 0);
	free(got);
}

int
main(void)
{
	check_refused();
	check_accepted();
	check_text("short escapes", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
	check_text("one to four bytes", "\"\\u0041\\u00E9\\u20ac\\ud83d\\ude00\"",
			   "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	check_text("no string", "[\"a\"]", NULL);
	check_text("a NUL, which would cut it", "\"a\\u0000b\"", NULL);
	return 0;
}
