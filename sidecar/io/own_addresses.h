/*
 * This host's addresses, which webhooks may not be delivered to.
 */
#ifndef SIDECAR_OWN_ADDRESSES_H
#define SIDECAR_OWN_ADDRESSES_H

#include "io/address.h"

/* Replaces what the rules know of them; where the machine does not tell, they keep what they know. */
void own_addresses_learn(struct address_rules *rules);

#endif
