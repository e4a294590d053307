/*
 * Heads of requests: what is taken from good ones, and which status refuses the others.
 */
#include "../../sidecar/io/request_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEBSOCKET                                                                                  \
	"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"                                    \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"

static int failures;

static void
check(const char *name, int good)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	failures += !good;
}

static void
refused(const char *name, int status, const char *bytes)
{
	struct request_head head;
	size_t len = request_head_end(bytes, strlen(bytes));

	check(name, len > 0 && request_head_parse(bytes, len, &head) == status);
}

static void
takes_what_is_there(void)
{
	static const char bytes[] =
		"POST /a%2Fb/c?x=1&private=false&y&private=tr%75e&z=a+b HTTP/1.1\r\n"
		"host: h\r\nCONTENT-LENGTH: 12\r\nAuthorization:  Bearer t \r\n"
		"apikey:k\r\nContent-Type: application/json\r\n\r\nbody";
	struct request_head head;
	size_t len = request_head_end(bytes, strlen(bytes));
	char *path;
	char *argument;

	check("a head ends at its empty line", len == strlen(bytes) - 4);
	check("a head without one has no end", request_head_end(bytes, len - 1) == 0);
	check("a good head", request_head_parse(bytes, len, &head) == 0 && head.keep_alive &&
							 head.method == METHOD_POST && head.body_len == 12);
	check("values without the blanks around them",
		  slice_is(head.authorization, "Bearer t") && slice_is(head.apikey, "k"));
	path = slice_decoded(head.path, false);
	check("the path", slice_is(head.path, "/a%2Fb/c") && strcmp(path, "/a/b/c") == 0);
	free(path);
	argument = request_argument(&head, "private");
	check("the last argument of a name", strcmp(argument, "true") == 0);
	free(argument);
	argument = request_argument(&head, "z");
	check("plus is a blank", strcmp(argument, "a b") == 0);
	free(argument);
	argument = request_argument(&head, "y");
	check("an argument without a value", strcmp(argument, "") == 0);
	free(argument);
	check("an argument that is not there", request_argument(&head, "w") == NULL);
}

/* The number of lines, and lengths, at their bounds. */
static void
knows_its_bounds(void)
{
	char bytes[8192] = "GET / HTTP/1.1\r\nHost: h\r\n";
	struct request_head head;

	for (int i = 1; i < 100; i++)
		strcat(bytes, "a: b\r\n");
	strcat(bytes, "\r\n");
	check("a hundred lines", request_head_parse(bytes, strlen(bytes), &head) == 0);
	strcpy(bytes + strlen(bytes) - 2, "a: b\r\n\r\n");
	refused("one more", 431, bytes);
	check(
		"the largest length",
		request_head_parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999999\r\n\r\n",
						   61, &head) == 0 &&
			head.body_len == 999999999999999);
	check("what is not there has no text", head.apikey.start == NULL &&
											   slice_text(head.apikey) == NULL &&
											   slice_decoded(head.apikey, false) == NULL);
}

static void
knows_upgrades(void)
{
	struct request_head head;
	static const char good[] =
		"GET / HTTP/1.1\r\nHost: h\r\n" WEBSOCKET "Sec-WebSocket-Version: 13\r\n\r\n";
	static const char h2c[] =
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
	static const char old[] = "GET / HTTP/1.0\r\n\r\n";

	check("a WebSocket", request_head_parse(good, strlen(good), &head) == 0 && head.websocket);
	check("h2c is not taken up",
		  request_head_parse(h2c, strlen(h2c), &head) == 0 && !head.websocket && head.keep_alive);
	check("HTTP/1.0 is closed",
		  request_head_parse(old, strlen(old), &head) == 0 && !head.keep_alive);
	refused("a WebSocket of another version", 426,
			"GET / HTTP/1.1\r\nHost: h\r\n" WEBSOCKET "Sec-WebSocket-Version: 8\r\n\r\n");
	refused("a WebSocket of HTTP/1.0", 400,
			"GET / HTTP/1.0\r\n" WEBSOCKET "Sec-WebSocket-Version: 13\r\n\r\n");
	refused("a WebSocket without a key", 400, "GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n");
	refused("a key that is too short", 400,
			"GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE "Sec-WebSocket-Key: dGhl\r\n\r\n");
	refused("a key with another letter", 400,
			"GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n\r\n");
	refused("a key with padding in the middle", 400,
			"GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE
			"Sec-WebSocket-Key: dGhlIHNhbXBs=SBub25jZQ==\r\n\r\n");
	refused("two keys", 400,
			"GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
}

int
main(void)
{
	takes_what_is_there();
	knows_its_bounds();
	knows_upgrades();
	refused("no host", 400, "GET / HTTP/1.1\r\n\r\n");
	refused("two hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
	refused("two lengths", 400,
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n");
	refused("a length that is no number", 400,
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n");
	refused(
		"length and coding", 400,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n");
	refused("chunked", 411, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
	refused("another coding", 501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n");
	refused("a body of GET", 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
	refused("two tokens", 400,
			"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nauthorization: a\r\n\r\n");
	refused("a line that goes on", 400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n");
	refused("a blank before the colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n");
	refused("a line without CR", 400, "GET / HTTP/1.1\nHost: a\r\n\r\n");
	refused("a CR within a line", 400, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n");
	refused("NUL in the path", 400, "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("half an escape", 400, "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("an escape that is none", 400, "GET /%4x HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("a fragment", 400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("a letter that is not ASCII", 400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("no method", 400, " / HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("a method that is no word", 400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("no version", 400, "GET /\r\nHost: a\r\n\r\n");
	refused("another protocol", 400, "GET / HTCP/1.1\r\nHost: a\r\n\r\n");
	refused("an empty line first", 400, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("an LF alone", 400, "GET / HTTP/1.1\r\n\nHost: a\r\n\r\n");
	refused("a line without a colon", 400, "GET / HTTP/1.1\r\nHost\r\n\r\n");
	refused("a line without a name", 400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n");
	refused("no length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n");
	refused("a length with a sign", 400,
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n");
	refused("a length beyond any", 400,
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000\r\n\r\n");
	refused("chunked twice", 501,
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
			"Transfer-Encoding: chunked\r\n\r\n");
	refused("two apikeys", 400, "GET / HTTP/1.1\r\nHost: a\r\napikey: a\r\napikey: a\r\n\r\n");
	refused("no path", 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n");
	refused("an unknown expectation", 417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n");
	refused("HTTP/2", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n");
	return failures == 0 ? 0 : 1;
}
