/*
 * See log.h. A line is put together in one buffer and written with one call, so that lines of several
 * processes on one stream do not mix. What does not fit is cut, and the line stays valid.
 *
 * The format and the least level are the process's only global state: a log line must be possible anywhere.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define LINE_SIZE 8192
#define TAIL_SIZE 8 /* kept free for closing quote, brace and newline */
#define VALUE_SIZE 1024

struct line
{
	char data[LINE_SIZE];
	size_t len;
	bool json;
};

static struct
{
	bool json;
	enum log_level least;
} settings = {true, LOG_INFO};

void
log_setup(bool json, enum log_level least)
{
	settings.json = json;
	settings.least = least;
}

static void
add(struct line *line, const char *bytes, size_t len)
{
	size_t room = line->len < LINE_SIZE - TAIL_SIZE ? LINE_SIZE - TAIL_SIZE - line->len : 0;

	if (len > room)
		len = room;
	memcpy(line->data + line->len, bytes, len);
	line->len += len;
}

static void
add_text(struct line *line, const char *text)
{
	add(line, text, strlen(text));
}

/* Adds a character or an escape only as a whole. */
static void
add_whole(struct line *line, const char *bytes, size_t len)
{
	if (line->len + len <= LINE_SIZE - TAIL_SIZE)
		add(line, bytes, len);
}

static void
add_escaped(struct line *line, const char *text)
{
	for (size_t len; *text != '\0'; text += len)
	{
		char escape[3] = {'\\', *text};

		len = text_character(text, 4); /* none goes beyond the NUL */
		if (*text == '"' || *text == '\\')
			add_whole(line, escape, 2);
		else
			add_whole(line, text, len);
	}
}

/* Values are what others made of them: one line of good characters, whatever they are. */
static void
add_value(struct line *line, const char *value, bool number)
{
	char clean[VALUE_SIZE];

	text_clean(clean, sizeof(clean), value, strlen(value), TEXT_LINE);
	if (number || !line->json)
		add_text(line, clean);
	else
	{
		add_text(line, "\"");
		add_escaped(line, clean);
		line->data[line->len++] = '"';
	}
}

/* The conversion of a format, with its length; what is in front of and behind it may be anything. */
static const char *
conversion_of(const char *format, size_t *len)
{
	const char *at = strchr(format, '%');

	while (at != NULL && at[1] == '%')
		at = strchr(at + 2, '%');
	*len = at != NULL ? 1 + strspn(at + 1, "-+ #.0123456789lz") + 1 : 0;
	return at;
}

/* Formats the next argument; true: the text is a JSON number. log_event's macro has compared format and argument. */
static bool
format_value(char *out, size_t size, const char *format, va_list *args)
{
	size_t len;
	const char *at = conversion_of(format, &len);
	char conversion = at != NULL ? at[len - 1] : '\0';

	if (conversion == 's')
	{
		const char *text = va_arg(*args, const char *);

		snprintf(out, size, format, text != NULL ? text : "");
		return false;
	}
	if (conversion == 'f')
		snprintf(out, size, format, va_arg(*args, double));
	else if (len > 3 && at[len - 3] == 'l' && at[len - 2] == 'l')
		snprintf(out, size, format, va_arg(*args, long long));
	else if (at[len - 2] == 'l' || at[len - 2] == 'z')
		snprintf(out, size, format, va_arg(*args, long));
	else
		snprintf(out, size, format, va_arg(*args, int));
	return at == format && at[len] == '\0';
}

static void
add_pairs(struct line *line, va_list *args)
{
	const char *key;
	char value[VALUE_SIZE];

	while ((key = va_arg(*args, const char *)) != NULL)
	{
		const char *format = va_arg(*args, const char *);
		bool number = format_value(value, sizeof(value), format, args);

		if (line->len + strlen(key) + 40 > LINE_SIZE - TAIL_SIZE)
			continue;
		add_text(line, line->json ? ",\"" : " ");
		add_text(line, key);
		add_text(line, line->json ? "\":" : "=");
		add_value(line, value, number);
	}
}

static void
add_head(struct line *line, enum log_level level, const char *message)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	struct timespec now;
	struct tm utc;
	char stamp[40], head[80];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(head, sizeof(head),
			 line->json ? "{\"ts\":\"%s.%03ldZ\",\"level\":\"%s\",\"msg\":" : "%s.%03ldZ %s ",
			 stamp, now.tv_nsec / 1000000, levels[level]);
	add_text(line, head);
	add_value(line, message, false);
}

static void
write_line(struct line *line)
{
	const char *rest = line->data;

	if (line->json)
		line->data[line->len++] = '}';
	line->data[line->len++] = '\n';
	while (line->len > 0)
	{
		ssize_t written = write(STDERR_FILENO, rest, line->len);

		if (written <= 0)
			return;
		rest += written;
		line->len -= (size_t) written;
	}
}

void(log_event)(enum log_level level, const char *message, ...)
{
	struct line line = {.len = 0, .json = settings.json};
	va_list args;

	if (level < settings.least)
		return;
	add_head(&line, level, message);
	va_start(args, message);
	add_pairs(&line, &args);
	va_end(args);
	write_line(&line);
}
