/*
 * Address rules. Every address is looked at as 16 bytes, IPv4 as v4-mapped IPv6, so that one comparison of
 * leading bits serves both; the prefix lengths of IPv4 ranges count from bit 96.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#include "io/address.h"

struct range
{
	uint8_t bytes[16];
	int bits;
};

struct ranges
{
	struct range *items;
	size_t count;
};

struct address_rules
{
	struct ranges exempt;
	struct ranges own;
};

#define V4(a, b, c, d, length)                                                                     \
	{                                                                                              \
		{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, 96 + (length)                      \
	}

static const struct range v4_mapped = V4(0, 0, 0, 0, 0);

static const struct range refused_v4[] = {
	V4(0, 0, 0, 0, 8),        /* this network; 0.0.0.0 reaches this host */
	V4(10, 0, 0, 0, 8),       /* private */
	V4(100, 64, 0, 0, 10),    /* carrier-grade NAT, some clouds' metadata */
	V4(127, 0, 0, 0, 8),      /* loopback */
	V4(168, 63, 129, 16, 32), /* a cloud's platform service on a public address */
	V4(169, 254, 0, 0, 16),   /* link local, metadata */
	V4(172, 16, 0, 0, 12),    /* private */
	V4(192, 0, 0, 0, 24),     /* IETF protocols */
	V4(192, 0, 2, 0, 24),     /* documentation */
	V4(192, 88, 99, 0, 24),   /* 6to4 relays */
	V4(192, 168, 0, 0, 16),   /* private */
	V4(198, 18, 0, 0, 15),    /* benchmarks */
	V4(198, 51, 100, 0, 24),  /* documentation */
	V4(203, 0, 113, 0, 24),   /* documentation */
	V4(224, 0, 0, 0, 4),      /* multicast */
	V4(240, 0, 0, 0, 4),      /* reserved, broadcast */
};

/* Global unicast is the only part of IPv6 that can be public: all else needs no list. */
static const struct range global_v6 = {{0x20}, 3};

static const struct range refused_v6[] = {
	{{0x20, 0x01, 0x00}, 23},       /* IETF protocols: Teredo, ORCHID, benchmarks … */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x20, 0x02}, 16},             /* 6to4 */
	{{0x3f, 0xff, 0x00}, 20},       /* documentation */
};

/* Answers whether the first bits of two addresses are equal. */
static bool
range_has(const struct range *range, const uint8_t *bytes)
{
	int whole = range->bits / 8;
	int rest = range->bits % 8;

	if (memcmp(range->bytes, bytes, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	return ((range->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

static bool
any_has(const struct range *ranges, size_t count, const uint8_t *bytes)
{
	for (size_t i = 0; i < count; i++)
	{
		if (range_has(&ranges[i], bytes))
			return true;
	}
	return false;
}

/* Brings an address into 16 bytes; false for families that are not of the Internet. */
static bool
bytes_of(const struct sockaddr *address, uint8_t *bytes)
{
	if (address->sa_family == AF_INET)
	{
		memcpy(bytes, v4_mapped.bytes, 12);
		memcpy(bytes + 12, &((const struct sockaddr_in *) address)->sin_addr, 4);
		return true;
	}
	if (address->sa_family == AF_INET6)
	{
		memcpy(bytes, &((const struct sockaddr_in6 *) address)->sin6_addr, 16);
		return true;
	}
	return false;
}

static bool
is_public(const uint8_t *bytes)
{
	if (range_has(&v4_mapped, bytes))
		return !any_has(refused_v4, sizeof(refused_v4) / sizeof(refused_v4[0]), bytes);
	return range_has(&global_v6, bytes) &&
		   !any_has(refused_v6, sizeof(refused_v6) / sizeof(refused_v6[0]), bytes);
}

bool
address_exempt(const struct address_rules *rules, const struct sockaddr *address)
{
	uint8_t bytes[16];

	return bytes_of(address, bytes) && any_has(rules->exempt.items, rules->exempt.count, bytes);
}

bool
address_allowed(const struct address_rules *rules, const struct sockaddr *address)
{
	uint8_t bytes[16];

	if (!bytes_of(address, bytes))
		return false;
	if (any_has(rules->exempt.items, rules->exempt.count, bytes))
		return true;
	return is_public(bytes) && !any_has(rules->own.items, rules->own.count, bytes);
}

static void
ranges_add(struct ranges *ranges, const struct range *range)
{
	struct range *grown = xrealloc(ranges->items, (ranges->count + 1) * sizeof(*grown));

	grown[ranges->count++] = *range;
	ranges->items = grown;
}

/* Reads the length behind the slash; without one the range is a single address. */
static bool
parse_length(const char *text, int most, int *length)
{
	char *end;
	long value;

	if (text == NULL)
	{
		*length = most;
		return true;
	}
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > most)
		return false;
	*length = (int) value;
	return true;
}

static bool
parse_range(char *text, struct range *range)
{
	char *slash = strchr(text, '/');
	int length;

	if (slash != NULL)
		*slash++ = '\0';
	*range = v4_mapped;
	if (inet_pton(AF_INET, text, range->bytes + 12) == 1)
	{
		if (!parse_length(slash, 32, &length))
			return false;
		range->bits = 96 + length;
		return true;
	}
	if (inet_pton(AF_INET6, text, range->bytes) != 1)
		return false;
	return parse_length(slash, 128, &range->bits);
}

/* Adds every entry of a list that is cut up on the way. */
static bool
parse_list(struct ranges *ranges, char *list, char *error, size_t error_size)
{
	char *position;

	for (char *entry = strtok_r(list, ", \t", &position); entry != NULL;
		 entry = strtok_r(NULL, ", \t", &position))
	{
		struct range range;
		char shown[64];

		snprintf(shown, sizeof(shown), "%s", entry);
		if (!parse_range(entry, &range))
		{
			snprintf(error, error_size, "\"%s\" is no address or network in CIDR notation", shown);
			return false;
		}
		ranges_add(ranges, &range);
	}
	return true;
}

struct address_rules *
address_rules_create(const char *allow_cidrs, char *error, size_t error_size)
{
	struct address_rules *rules = xcalloc(1, sizeof(*rules));
	char *list = xstrdup(allow_cidrs != NULL ? allow_cidrs : "");
	bool valid;

	valid = parse_list(&rules->exempt, list, error, error_size);
	free(list);
	if (valid)
		return rules;
	address_rules_destroy(rules);
	return NULL;
}

void
address_rules_destroy(struct address_rules *rules)
{
	free(rules->exempt.items);
	free(rules->own.items);
	free(rules);
}

void
address_rules_forget_own(struct address_rules *rules)
{
	rules->own.count = 0;
}

void
address_rules_add_own(struct address_rules *rules, const struct sockaddr *address)
{
	struct range range = {.bits = 128};

	if (bytes_of(address, range.bytes))
		ranges_add(&rules->own, &range);
}
