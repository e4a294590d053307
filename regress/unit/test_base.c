/*
 * What all of the sidecar stands on: base64, growing buffers, and memory that runs out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../sidecar/base/base64.h"
#include "../../sidecar/base/buffer.h"
#include "../../sidecar/base/memory.h"
#include "require.h"

static int
decodes(const char *text, enum base64_alphabet alphabet, const char *wanted, ssize_t len)
{
	unsigned char out[64];
	ssize_t n = base64_decode(out, sizeof(out), text, strlen(text), alphabet);

	return n == len && (n <= 0 || memcmp(out, wanted, (size_t) n) == 0);
}

static void
check_base64(void)
{
	unsigned char out[3];
	char *text = base64_encode_url((const unsigned char *) "\xfb\xff\xfe?", 4);

	require("base64 of URLs is written without padding", strcmp(text, "-__-Pw") == 0);
	require("and read again", decodes(text, BASE64_URL, "\xfb\xff\xfe?", 4));
	free(text);
	require("the standard alphabet, with padding",
			decodes("+//+Pw==", BASE64_STANDARD, "\xfb\xff\xfe?", 4));
	require("and without", decodes("+//+Pw", BASE64_STANDARD, "\xfb\xff\xfe?", 4));
	require("nothing is nothing", decodes("", BASE64_URL, "", 0));
	require("one character stands for no byte", decodes("A", BASE64_URL, "", -1));
	require("the other alphabet is refused", decodes("+//+", BASE64_URL, "", -1));
	require("and in the other direction", decodes("-__-", BASE64_STANDARD, "", -1));
	require("padding in between is refused", decodes("AA==AA", BASE64_STANDARD, "", -1));
	require("what fits is taken", base64_decode(out, sizeof(out), "AAAA", 4, BASE64_URL) == 3);
	require("what does not is refused",
			base64_decode(out, sizeof(out), "AAAAAA", 6, BASE64_URL) == -1);
}

static void
check_buffer(void)
{
	struct buffer buffer = {0};

	buffer_bytes(&buffer, NULL, 0);
	require("an empty buffer has no memory", buffer.data == NULL && buffer.len == 0);
	for (int i = 0; i < 1000; i++)
		buffer_text(&buffer, "0123456789");
	require("it grows", buffer.len == 10000 && memcmp(buffer.data + 9990, "0123456789", 10) == 0);
	buffer.len = 0;
	buffer_json(&buffer, "a\"b\\c\n\x01é");
	buffer_bytes(&buffer, "", 1);
	require("JSON strings", strcmp(buffer.data, "\"a\\u0022b\\u005cc\\u000a\\u0001é\"") == 0);
	buffer_free(&buffer);
	require("freed, it is empty", buffer.data == NULL && buffer.len == 0 && buffer.size == 0);
}

/* What a child that asks for more than there is writes, and how it ends. */
static int
runs_out(char *line, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t child;

	if (pipe(ends) != 0 || (child = fork()) < 0)
		return -1;
	if (child == 0)
	{
		dup2(ends[1], STDERR_FILENO);
#ifndef __SANITIZE_ADDRESS__ /* which ends the process itself */
		free(xmalloc((size_t) 1 << 62));
#endif
		memory_gone("an allocation");
	}
	close(ends[1]);
	n = read(ends[0], line, size - 1);
	line[n < 0 ? 0 : n] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
check_memory(void)
{
	char line[200];
	char *text = xasprintf("%s-%d", "a", 1);
	char *part = xstrndup("abcdef", 3);
	void *none = xcalloc(0, 8);

	require("texts", strcmp(text, "a-1") == 0 && strcmp(part, "abc") == 0);
	require("nothing can be freed too", none != NULL);
	free(none);
	free(part);
	free(text);
	require("memory that is gone ends the process", runs_out(line, sizeof(line)) == 1);
	require("with a line",
			strcmp(line,
				   "{\"level\":\"error\",\"msg\":\"out of memory\",\"for\":\"an allocation\"}\n") ==
				0);
}

int
main(void)
{
	check_base64();
	check_buffer();
	check_memory();
	return 0;
}
