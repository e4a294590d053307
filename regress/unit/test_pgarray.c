/*
 * Array literals and text for PostgreSQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/pgarray.h"

static void
check(const char *name, const char *got, const char *wanted)
{
	printf("%s %s\n", strcmp(got, wanted) == 0 ? "ok" : "not ok", name);
	if (strcmp(got, wanted) != 0)
	{
		printf("got %s\nwanted %s\n", got, wanted);
		exit(1);
	}
}

static void
check_copy(const char *name, const char *bytes, size_t len, size_t max, const char *wanted)
{
	char *text = pgtext_copy(bytes, len, max);

	check(name, text, wanted);
	free(text);
}

int
main(void)
{
	struct pgarray array = {0};

	pgarray_begin(&array);
	check("empty array", pgarray_end(&array), "{}");
	pgarray_begin(&array);
	pgarray_number(&array, -42);
	pgarray_null(&array);
	pgarray_text(&array, "a\"b\\c,{d}");
	pgarray_text(&array, "");
	pgarray_text(&array, NULL);
	pgarray_text(&array, "NULL");
	check("elements", pgarray_end(&array), "{-42,NULL,\"a\\\"b\\\\c,{d}\",\"\",NULL,\"NULL\"}");
	free(array.data);

	check_copy("plain", "abc", 3, 10, "abc");
	check_copy("cut", "abcdef", 6, 4, "abcd");
	check_copy("characters stay whole", "ab\xc3\xa9", 4, 3, "ab");
	check_copy("valid UTF-8", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, 9,
			   "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	check_copy("NUL", "a\0b", 3, 10, "a?b");
	check_copy("stray and overlong bytes", "\x80\xc0\xaf\xff", 4, 10, "????");
	check_copy("surrogate", "\xed\xa0\x80", 3, 10, "???");
	check_copy("too large", "\xf4\x90\x80\x80", 4, 10, "????");
	check_copy("unfinished", "a\xe2\x82", 3, 10, "a??");
	check_copy("nothing", "", 0, 10, "");
	return 0;
}
