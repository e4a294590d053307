/*
 * See memory.h. The line is written with what the stack holds: the log's own functions may allocate.
 */
#define _GNU_SOURCE
#include "base/memory.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
memory_gone(const char *what)
{
	char line[160];
	int len = snprintf(line, sizeof(line),
					   "{\"level\":\"error\",\"msg\":\"out of memory\",\"for\":\"%s\"}\n", what);

	if (write(STDERR_FILENO, line, len) < 0)
		_exit(1);
	_exit(1);
}

#ifdef __SANITIZE_ADDRESS__
/* Its header is not always there. */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

size_t
memory_in_use(void)
{
#ifdef __SANITIZE_ADDRESS__ /* whose allocator fills no mallinfo */
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#endif
}

static void *
checked(void *memory)
{
	if (memory == NULL)
		memory_gone("an allocation");
	return memory;
}

void *
xmalloc(size_t size)
{
	return checked(malloc(size > 0 ? size : 1));
}

void *
xcalloc(size_t count, size_t size)
{
	return checked(count > 0 && size > 0 ? calloc(count, size) : calloc(1, 1));
}

void *
xrealloc(void *memory, size_t size)
{
	return checked(realloc(memory, size > 0 ? size : 1));
}

char *
xstrdup(const char *text)
{
	return checked(strdup(text));
}

char *
xstrndup(const char *text, size_t len)
{
	return checked(strndup(text, len));
}

char *
xasprintf(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		memory_gone("a text");
	va_end(args);
	return text;
}
