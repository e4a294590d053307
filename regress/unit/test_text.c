/*
 * Text of others made fit to be stored and logged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/base/text.h"

static void
check_copy(const char *name, const char *bytes, size_t len, size_t max, enum text_form form,
		   const char *wanted)
{
	char *text = text_copy(bytes, len, max, form);
	bool good = strcmp(text, wanted) == 0;

	printf("%s %s\n", good ? "ok" : "not ok", name);
	if (!good)
	{
		printf("got %s\nwanted %s\n", text, wanted);
		exit(1);
	}
	free(text);
}

#define CHECK(name, bytes, max, form, wanted)                                                      \
	check_copy(name, bytes, sizeof(bytes) - 1, max, form, wanted)

int
main(void)
{
	CHECK("plain", "abc", 10, TEXT_LINE, "abc");
	CHECK("nothing", "", 10, TEXT_LINE, "");
	CHECK("cut", "abcdef", 4, TEXT_LINE, "abcd");
	CHECK("characters stay whole", "ab\xc3\xa9", 3, TEXT_LINE, "ab");
	CHECK("valid UTF-8", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, TEXT_LINE,
		  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	CHECK("stray and overlong bytes", "\x80\xc0\xaf\xff", 10, TEXT_LINE, "????");
	CHECK("surrogate", "\xed\xa0\x80", 10, TEXT_LINE, "???");
	CHECK("too large", "\xf4\x90\x80\x80", 10, TEXT_LINE, "????");
	CHECK("unfinished", "a\xe2\x82", 10, TEXT_LINE, "a??");
	CHECK("NUL and other control characters", "a\0b\x1b[31mc\x7f", 20, TEXT_LINE, "a b [31mc ");
	CHECK("control characters of two bytes",
		  "a\xc2\x9b"
		  "31mb\xc2\xa0",
		  20, TEXT_LINE, "a 31mb\xc2\xa0");
	CHECK("text turned round, lines ended", "a\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8z", 20, TEXT_LINE,
		  "a   z");
	CHECK("one line", "a\r\nb\tc", 20, TEXT_LINE, "a  b c");
	CHECK("lines", "a\r\nb\tc\x07", 20, TEXT_LINES, "a \nb\tc ");
	return 0;
}
