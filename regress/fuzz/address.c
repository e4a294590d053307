/* Lists of exempted networks, and addresses of any bytes. With no exemptions, loopback must never be allowed. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/address.h"

static void
judge(const struct address_rules *rules, const uint8_t *data, size_t size)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	memcpy(&v4.sin_addr, data, size < 4 ? size : 4);
	memcpy(&v6.sin6_addr, data, size < 16 ? size : 16);
	(void) address_allowed(rules, (struct sockaddr *) &v4);
	(void) address_allowed(rules, (struct sockaddr *) &v6);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[200];
	char *list = malloc(size + 1);
	struct sockaddr_in loopback = {.sin_family = AF_INET};
	struct address_rules *none = address_rules_create(NULL, error, sizeof(error));
	struct address_rules *some;

	memcpy(list, data, size);
	list[size] = '\0';
	some = address_rules_create(list, error, sizeof(error));
	if (some != NULL)
	{
		judge(some, data, size);
		address_rules_destroy(some);
	}
	judge(none, data, size);
	loopback.sin_addr.s_addr = htonl(0x7f000000u | (size > 2 ? data[0] << 16 | data[1] << 8 | data[2] : 1));
	if (address_allowed(none, (struct sockaddr *) &loopback))
		abort();
	address_rules_destroy(none);
	free(list);
	return 0;
}
