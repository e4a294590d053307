/*
 * See console_files.h. console/page.h is made of the files by sidecar.mk.
 */
#include "console/console_files.h"

#include <string.h>

#include "base/memory.h"
#include "console/page.h"

#define FILE_OF(path, type, bytes)                                                                 \
	{                                                                                              \
		path, type, bytes, sizeof(bytes)                                                           \
	}

static const struct
{
	const char *path, *type;
	const unsigned char *bytes;
	size_t len;
} files[] = {
	FILE_OF("/", "text/html; charset=utf-8", console_html),
	FILE_OF("/console/console.css", "text/css; charset=utf-8", console_css),
	FILE_OF("/console/console.js", "text/javascript; charset=utf-8", console_js),
	FILE_OF("/console/figures.js", "text/javascript; charset=utf-8", figures_js),
	FILE_OF("/console/plot.js", "text/javascript; charset=utf-8", plot_js),
	FILE_OF("/console/icon.svg", "image/svg+xml", icon_svg),
};

bool
console_file(struct slice path, struct reply *reply)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
	{
		if (!slice_is(path, files[i].path))
			continue;
		*reply = (struct reply){200, files[i].type, xmalloc(files[i].len), files[i].len};
		memcpy(reply->body, files[i].bytes, files[i].len);
		return true;
	}
	return false;
}
