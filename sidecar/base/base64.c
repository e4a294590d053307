/*
 * See base64.h.
 */
#include "base/base64.h"

#include <openssl/evp.h>
#include <stdint.h>

#include "base/memory.h"

static int
digit(char c, enum base64_alphabet alphabet)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (alphabet == BASE64_URL ? '-' : '+'))
		return 62;
	return c == (alphabet == BASE64_URL ? '_' : '/') ? 63 : -1;
}

ssize_t
base64_decode(unsigned char *out, size_t size, const char *text, size_t len,
			  enum base64_alphabet alphabet)
{
	uint32_t bits = 0;
	int held = 0;
	size_t n = 0;

	while (len > 0 && text[len - 1] == '=')
		len--;
	if (len % 4 == 1)
		return -1;
	for (size_t i = 0; i < len; i++)
	{
		int value = digit(text[i], alphabet);

		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t) value;
		held += 6;
		if (held < 8)
			continue;
		if (n == size)
			return -1;
		held -= 8;
		out[n++] = (unsigned char) (bits >> held);
	}
	return (ssize_t) n;
}

char *
base64_encode_url(const unsigned char *data, size_t len)
{
	char *text = xmalloc(4 * ((len + 2) / 3) + 1);
	int n = EVP_EncodeBlock((unsigned char *) text, data, (int) len);

	while (n > 0 && text[n - 1] == '=')
		text[--n] = '\0';
	for (char *p = text; *p != '\0'; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	return text;
}
