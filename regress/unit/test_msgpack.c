/*
 * MessagePack made of JSON texts, and texts that are none, cut off at every byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/base/buffer.h"
#include "../../sidecar/socketio/msgpack.h"
#include "require.h"

/* Of a copy, so that a checker of memory sees what is read beyond it. */
static bool
makes(struct buffer *out, const char *json, size_t len)
{
	char *copy = malloc(len + 1);
	bool good;

	memcpy(copy, json, len);
	copy[len] = '\xff';
	out->len = 0;
	good = msgpack_from_json(out, copy, len);
	free(copy);
	return good;
}

static bool
is(const char *json, const char *wanted, size_t len)
{
	struct buffer out = {0};
	bool good =
		makes(&out, json, strlen(json)) && out.len == len && memcmp(out.data, wanted, len) == 0;

	buffer_free(&out);
	return good;
}

#define IS(json, wanted) is(json, wanted, sizeof(wanted) - 1)

static bool
is_refused(const char *json)
{
	struct buffer out = {0};
	bool good = !makes(&out, json, strlen(json));

	buffer_free(&out);
	return good;
}

static void
check_values(void)
{
	require("words", IS("null", "\xc0") && IS("true", "\xc3") && IS("false", "\xc2"));
	require("small numbers", IS("0", "\x00") && IS("127", "\x7f"));
	require("whole numbers", IS("128", "\xd3\0\0\0\0\0\0\0\x80") &&
								 IS("-1", "\xd3\xff\xff\xff\xff\xff\xff\xff\xff") &&
								 IS("9007199254740993", "\xd3\0\x20\0\0\0\0\0\x01"));
	require("beyond 63 bits", IS("18446744073709551615", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
	require("others are doubles", IS("1.5", "\xcb\x3f\xf8\0\0\0\0\0\0") &&
									  IS("1e3", "\xcb\x40\x8f\x40\0\0\0\0\0") &&
									  IS("-0", "\xcb\x80\0\0\0\0\0\0\0") &&
									  IS("18446744073709551616", "\xcb\x43\xf0\0\0\0\0\0\0") &&
									  IS("-9223372036854775809", "\xcb\xc3\xe0\0\0\0\0\0\0"));
	require("texts", IS("\"\"", "\xdb\0\0\0\0") && IS("\"a\"", "\xdb\0\0\0\x01"
															   "a"));
	require("escapes", IS("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\xdb\0\0\0\x08\"\\/\b\f\n\r\t"));
	require("characters by their numbers", IS("\"\\u0041\\u00e9\\u20AC\\ud83d\\udc4b\"",
											  "\xdb\0\0\0\x0a"
											  "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x91\x8b") &&
											   IS("\"\\u0000\"", "\xdb\0\0\0\x01\0"));
	require("half of a pair", IS("\"\\ud83d\"", "\xdb\0\0\0\x03\xef\xbf\xbd") &&
								  IS("\"\\ud83d\\u0041\"", "\xdb\0\0\0\x04\xef\xbf\xbd"
														   "A"));
	require("arrays",
			IS("[]", "\xdd\0\0\0\0") && IS(" [ 1 , [ ] ] ", "\xdd\0\0\0\x02\x01\xdd\0\0\0\0"));
	require("objects", IS("{}", "\xdf\0\0\0\0") && IS("{\"a\":{\"b\":[1,2]},\"c\":null}",
													  "\xdf\0\0\0\x02\xdb\0\0\0\x01"
													  "a\xdf\0\0\0\x01\xdb\0\0\0\x01"
													  "b\xdd\0\0\0\x02\x01\x02\xdb\0\0\0\x01"
													  "c\xc0"));
}

static void
check_size(void)
{
	struct buffer json = {0}, out = {0};
	const int depth = 20000;

	for (int i = 0; i < depth; i++)
		buffer_text(&json, "[");
	for (int i = 0; i < depth; i++)
		buffer_text(&json, "]");
	require("deep ones", makes(&out, json.data, json.len) && out.len == 5 * (size_t) depth);
	json.len = 0;
	for (int i = 0; i < 1000; i++)
		buffer_text(&json, "9");
	buffer_text(&json, ".0");
	require("a number without end", makes(&out, json.data, json.len) && out.len == 9);
	buffer_free(&json);
	buffer_free(&out);
}

static void
check_refusals(void)
{
	static const char *const bad[] = {
		"",         "nul",        "truE",      "+",         "1x",          "--1",
		"\"",       "\"\\\"",     "\"\\x\"",   "\"\\u12\"", "\"\\u12g4\"", "[",
		"[1",       "[1,]",       "[,1]",      "[1 2]",     "{1:2}",       "{\"a\"}",
		"{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "1 2",       "[]]",         "}",
		"[}",       "{]",         "nan",       "1.2.3",     "e",           "\"\\ud83d\\u\"",
	};
	static const char whole[] = "{\"a\":[1,-2.5,\"\\u00e9\\n\",true,null,{\"b\":{}}]}";
	struct buffer out = {0};
	bool all = true;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (!is_refused(bad[i]))
		{
			printf("# taken: %s\n", bad[i]);
			all = false;
		}
	}
	require("what is no JSON is refused", all);
	for (size_t len = 0; len < sizeof(whole) - 1; len++)
		all = all && !makes(&out, whole, len);
	require("and what is cut off", all && makes(&out, whole, sizeof(whole) - 1));
	buffer_free(&out);
}

int
main(void)
{
	check_values();
	check_size();
	check_refusals();
	return 0;
}
