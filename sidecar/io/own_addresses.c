/*
 * See own_addresses.h.
 */
#include "io/own_addresses.h"

#include <uv.h>

void
own_addresses_learn(struct address_rules *rules)
{
	uv_interface_address_t *addresses;
	int count;

	if (uv_interface_addresses(&addresses, &count) != 0)
		return;
	address_rules_forget_own(rules);
	for (int i = 0; i < count; i++)
		address_rules_add_own(rules, (const struct sockaddr *) &addresses[i].address);
	uv_free_interface_addresses(addresses, count);
}
