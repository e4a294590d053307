/*
 * See request_head.h.
 */
#define _GNU_SOURCE /* memmem */

#include "io/request_head.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

#define MAX_HEADERS 100
#define MAX_LENGTH_DIGITS 15
#define WEBSOCKET_KEY_LEN 24

/* What a head has said so far. */
struct parser
{
	struct request_head *head;
	int headers;
	bool http10;
	bool has_length;
	bool coded; /* Transfer-Encoding */
	bool chunked;
	bool says_close;
	bool says_upgrade;
	bool upgrade_websocket;
	bool version_13;
	bool expects;
};

bool
slice_is(struct slice slice, const char *text)
{
	return slice.start != NULL && slice.len == strlen(text) &&
		   memcmp(slice.start, text, slice.len) == 0;
}

static bool
is_word(struct slice slice, const char *word)
{
	return slice.len == strlen(word) && strncasecmp(slice.start, word, slice.len) == 0;
}

char *
slice_text(struct slice slice)
{
	char *text;

	if (slice.start == NULL)
		return NULL;
	text = xmalloc(slice.len + 1);
	memcpy(text, slice.start, slice.len);
	text[slice.len] = '\0';
	return text;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *
slice_decoded(struct slice slice, bool plus)
{
	char *text = slice_text(slice);
	char *out = text;

	if (text == NULL)
		return NULL;
	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p == '%')
		{
			*out++ = (char) (hex_digit(p[1]) << 4 | hex_digit(p[2]));
			p += 2;
		}
		else
			*out++ = plus && *p == '+' ? ' ' : *p;
	}
	*out = '\0';
	return text;
}

/* Cuts off what is in front of a character; all of it when the character is not there. */
static struct slice
cut(struct slice *rest, char at)
{
	const char *end = memchr(rest->start, at, rest->len);
	struct slice part = {rest->start, end ? (size_t) (end - rest->start) : rest->len};
	size_t used = part.len + (end != NULL);

	rest->start += used;
	rest->len -= used;
	return part;
}

char *
request_argument(const struct request_head *head, const char *name)
{
	struct slice rest = head->query;
	char *found = NULL;

	while (rest.len > 0)
	{
		struct slice value = cut(&rest, '&');
		struct slice key = cut(&value, '=');
		char *key_text = slice_decoded(key, true);

		if (strcmp(key_text, name) == 0)
		{
			free(found);
			found = slice_decoded(value, true);
		}
		free(key_text);
	}
	return found;
}

size_t
request_head_end(const char *bytes, size_t len)
{
	const char *end = len < 4 ? NULL : memmem(bytes, len, "\r\n\r\n", 4);

	return end == NULL ? 0 : (size_t) (end - bytes) + 4;
}

/* RFC 9110's token. */
static bool
is_token(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
	{
		char c = name.start[i];

		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
			memchr("!#$%&'*+-.^_`|~", c, 15) == NULL)
			return false;
	}
	return name.len > 0;
}

static bool
is_value(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
	{
		unsigned char c = value.start[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Visible ASCII, and escapes of two digits that are no NUL: a text of C holds it. */
static bool
is_target(struct slice target)
{
	for (size_t i = 0; i < target.len; i++)
	{
		unsigned char c = target.start[i];

		if (c <= ' ' || c >= 0x7f || c == '#')
			return false;
		if (c != '%')
			continue;
		if (i + 2 >= target.len || hex_digit(target.start[i + 1]) < 0 ||
			hex_digit(target.start[i + 2]) < 0 || memcmp(target.start + i, "%00", 3) == 0)
			return false;
		i += 2;
	}
	return target.len > 0 && target.start[0] == '/';
}

static enum request_method
method_of(struct slice name)
{
	static const char *const names[] = {"GET", "HEAD", "POST", "OPTIONS"};
	int i = 0;

	while (i < METHOD_OTHER && !slice_is(name, names[i]))
		i++;
	return (enum request_method) i;
}

/* METHOD target HTTP/1.x */
static int
parse_request_line(struct parser *p, struct slice line)
{
	struct slice method = cut(&line, ' ');
	struct slice target = cut(&line, ' ');

	if (!is_token(method) || !is_target(target) || line.len != 8 ||
		memcmp(line.start, "HTTP/", 5) != 0)
		return 400;
	p->http10 = slice_is(line, "HTTP/1.0");
	if (!p->http10 && !slice_is(line, "HTTP/1.1"))
		return 505;
	p->head->method = method_of(method);
	p->head->path = cut(&target, '?');
	p->head->query = target;
	return 0;
}

/* Keeps a value; a second one of its name is refused. */
static int
keep(struct slice *where, struct slice value)
{
	if (where->start != NULL)
		return 400;
	*where = value;
	return 0;
}

static int
parse_length(struct parser *p, struct slice value)
{
	if (p->has_length || value.len == 0 || value.len > MAX_LENGTH_DIGITS)
		return 400;
	p->has_length = true;
	for (size_t i = 0; i < value.len; i++)
	{
		if (value.start[i] < '0' || value.start[i] > '9')
			return 400;
		p->head->body_len = p->head->body_len * 10 + (value.start[i] - '0');
	}
	return 0;
}

static struct slice
trimmed(struct slice value)
{
	while (value.len > 0 && (*value.start == ' ' || *value.start == '\t'))
	{
		value.start++;
		value.len--;
	}
	while (value.len > 0 &&
		   (value.start[value.len - 1] == ' ' || value.start[value.len - 1] == '\t'))
		value.len--;
	return value;
}

/* Whether a list separated by commas has a word. */
static bool
list_has(struct slice list, const char *word)
{
	while (list.len > 0)
	{
		if (is_word(trimmed(cut(&list, ',')), word))
			return true;
	}
	return false;
}

static int
parse_header(struct parser *p, struct slice name, struct slice value)
{
	struct request_head *head = p->head;

	if (is_word(name, "host"))
		return keep(&head->host, value);
	if (is_word(name, "origin"))
		return keep(&head->origin, value);
	if (is_word(name, "content-length"))
		return parse_length(p, value);
	else if (is_word(name, "transfer-encoding"))
	{
		p->chunked = !p->coded && is_word(value, "chunked");
		p->coded = true;
	}
	else if (is_word(name, "connection"))
	{
		p->says_close = p->says_close || list_has(value, "close");
		p->says_upgrade = p->says_upgrade || list_has(value, "upgrade");
	}
	else if (is_word(name, "upgrade"))
		p->upgrade_websocket = p->upgrade_websocket || list_has(value, "websocket");
	else if (is_word(name, "sec-websocket-version"))
		p->version_13 = slice_is(value, "13");
	else if (is_word(name, "expect"))
	{
		p->expects = true;
		head->expects_continue = is_word(value, "100-continue");
	}
	else if (is_word(name, "sec-websocket-key"))
		return keep(&head->websocket_key, value);
	else if (is_word(name, "accept"))
		head->accept = value;
	else if (is_word(name, "authorization"))
		return keep(&head->authorization, value);
	else if (is_word(name, "apikey"))
		return keep(&head->apikey, value);
	else if (is_word(name, "x-api-key"))
		return keep(&head->x_api_key, value);
	else if (is_word(name, "x-forwarded-for"))
		head->forwarded_for = value;
	else if (is_word(name, "content-type"))
		return keep(&head->content_type, value);
	return 0;
}

static int
parse_header_line(struct parser *p, struct slice line)
{
	const char *colon = memchr(line.start, ':', line.len);
	struct slice name;

	if (++p->headers > MAX_HEADERS)
		return 431;
	if (colon == NULL)
		return 400;
	/* A line that goes on with the one before begins with a blank, which no name has. */
	name = cut(&line, ':');
	if (!is_token(name) || !is_value(line))
		return 400;
	return parse_header(p, name, trimmed(line));
}

static bool
is_websocket_key(struct slice key)
{
	if (key.len != WEBSOCKET_KEY_LEN)
		return false;
	for (size_t i = 0; i < key.len; i++)
	{
		char c = key.start[i];

		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' &&
			c != '/' && (c != '=' || i < WEBSOCKET_KEY_LEN - 2))
			return false;
	}
	return true;
}

/* What the lines say together. An upgrade to anything but WebSocket is not taken up. */
static int
judge(struct parser *p)
{
	struct request_head *head = p->head;

	if (!p->http10 && head->host.start == NULL)
		return 400;
	if (p->coded && p->has_length)
		return 400;
	if (p->coded)
		return p->chunked ? 411 : 501;
	if (p->expects && !head->expects_continue)
		return 417;
	if (head->body_len > 0 && head->method != METHOD_POST)
		return 400;
	head->keep_alive = !p->http10 && !p->says_close;
	head->websocket = head->method == METHOD_GET && p->says_upgrade && p->upgrade_websocket;
	if (head->websocket && !p->version_13)
		return 426;
	if (head->websocket && (p->http10 || !is_websocket_key(head->websocket_key)))
		return 400;
	return 0;
}

int
request_head_parse(const char *bytes, size_t len, struct request_head *head)
{
	struct parser p = {.head = head};
	struct slice rest = {bytes, len - 2}; /* without the empty line */
	bool first = true;
	int status = 0;

	memset(head, 0, sizeof(*head));
	while (status == 0 && rest.len > 0)
	{
		struct slice line = cut(&rest, '\n');

		if (line.len == 0 || line.start[line.len - 1] != '\r')
			return 400;
		line.len--;
		status = first ? parse_request_line(&p, line) : parse_header_line(&p, line);
		first = false;
	}
	return status != 0 ? status : judge(&p);
}
