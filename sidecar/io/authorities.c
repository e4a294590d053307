/*
 * See authorities.h.
 */
#include "io/authorities.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* Reads certificates to the end, or to a damaged one, which leaves an error; answers how many were good. */
static int
count_certificates(BIO *file)
{
	int count = 0;
	X509 *certificate;

	while ((certificate = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL)
	{
		X509_free(certificate);
		count++;
	}
	return count;
}

bool
authorities_check(const char *path, char *error, size_t size)
{
	BIO *file;
	int count;
	bool ended;

	ERR_clear_error();
	errno = 0;
	file = BIO_new_file(path, "r");
	if (file == NULL)
	{
		snprintf(error, size, "cannot be read: %s", strerror(errno));
		ERR_clear_error();
		return false;
	}
	count = count_certificates(file);
	ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	BIO_free(file);
	ERR_clear_error();
	if (!ended)
		snprintf(error, size, "certificate %d is damaged", count + 1);
	else if (count == 0)
		snprintf(error, size, "has no certificate (PEM)");
	return ended && count > 0;
}
