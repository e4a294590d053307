/*
 * Address rules: every range that must be refused at both of its ends, what lies just outside, and exemptions.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "../../sidecar/io/address.h"

static struct sockaddr_storage
parse(const char *text)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *) &storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &storage;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		v4->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		v6->sin6_family = AF_INET6;
	else
		abort();
	return storage;
}

static void
check(const struct address_rules *rules, const char *text, bool wanted)
{
	struct sockaddr_storage address = parse(text);

	if (address_allowed(rules, (struct sockaddr *) &address) != wanted)
	{
		printf("not ok %s: must be %s\n", text, wanted ? "allowed" : "refused");
		exit(1);
	}
}

static void
check_all(const struct address_rules *rules, const char *name, const char *const *texts,
		  bool wanted)
{
	for (; *texts != NULL; texts++)
		check(rules, *texts, wanted);
	printf("ok %s\n", name);
}

static const char *const refused[] = {
	"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
	"100.100.100.200", "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.0",
	"169.254.169.254", "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0",
	"192.0.0.255", "192.0.2.0", "192.0.2.255", "192.88.99.0", "192.88.99.255", "192.168.0.0",
	"192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.0", "198.51.100.255",
	"203.0.113.0", "203.0.113.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
	/* IPv6 and what hides IPv4 in it */
	"::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
	"::ffff:169.254.169.254", "64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "100::1",
	"2001::1", "2001:0:4136:e378::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
	"2001:db8:ffff:ffff::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "3fff:fff:ffff::1",
	"5f00::1", "fc00::", "fd00:ec2::254", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1",
	"ff02::1", "ff0e::1", "4000::1", "1fff:ffff::1", NULL};

static const char *const allowed[] = {"1.0.0.0",
									  "8.8.8.8",
									  "9.255.255.255",
									  "11.0.0.0",
									  "100.63.255.255",
									  "100.128.0.0",
									  "126.255.255.255",
									  "128.0.0.0",
									  "168.63.129.15",
									  "168.63.129.17",
									  "169.253.255.255",
									  "169.255.0.0",
									  "172.15.255.255",
									  "172.32.0.0",
									  "191.255.255.255",
									  "192.0.1.0",
									  "192.0.3.0",
									  "192.88.98.255",
									  "192.88.100.0",
									  "192.167.255.255",
									  "192.169.0.0",
									  "198.17.255.255",
									  "198.20.0.0",
									  "198.51.99.255",
									  "198.51.101.0",
									  "203.0.112.255",
									  "203.0.114.0",
									  "223.255.255.255",
									  "::ffff:8.8.8.8",
									  "2001:200::1",
									  "2001:4860:4860::8888",
									  "2001:db7:ffff::1",
									  "2001:db9::1",
									  "2003::1",
									  "2600::1",
									  "2a00:1450::1",
									  "3ffe:ffff::1",
									  "3fff:1000::1",
									  NULL};

static void
check_exemptions(void)
{
	char error[128];
	struct address_rules *rules = address_rules_create(
		" 10.1.0.0/16,127.0.0.1\tfd00:1::/32, ::ffff:192.168.0.0/112,", error, sizeof(error));
	static const char *const inside[] = {
		"10.1.0.0",       "10.1.255.255",  "127.0.0.1", "::ffff:127.0.0.1",
		"fd00:1:ffff::1", "192.168.255.1", "8.8.8.8",   NULL};
	static const char *const outside[] = {"10.0.255.255", "10.2.0.0", "127.0.0.2", "fd00:2::1",
										  NULL};

	check_all(rules, "exempt", inside, true);
	check_all(rules, "not exempt", outside, false);
	address_rules_destroy(rules);
	rules = address_rules_create("0.0.0.0/0", error, sizeof(error));
	check(rules, "10.0.0.1", true);
	check(rules, "fd00::1", false);
	printf("ok whole of IPv4\n");
	address_rules_destroy(rules);
}

static void
check_damaged(void)
{
	static const char *const lists[] = {"10.0.0.0/33", "10.0.0.0/",  "10.0.0.0/-1", "10.0.0.0/8x",
										"10.0.0",      "fd00::/129", "example.com", "10.0.0.1, /8",
										"10.0.0.0/+8", NULL};
	char error[128];

	for (int i = 0; lists[i] != NULL; i++)
	{
		if (address_rules_create(lists[i], error, sizeof(error)) != NULL ||
			strchr(error, '"') == NULL)
		{
			printf("not ok damaged list %s\n", lists[i]);
			exit(1);
		}
	}
	printf("ok damaged lists are refused\n");
}

static void
check_own(struct address_rules *rules)
{
	struct sockaddr_storage own = parse("93.184.216.34");

	address_rules_add_own(rules, (struct sockaddr *) &own);
	check(rules, "93.184.216.34", false);
	check(rules, "::ffff:93.184.216.34", false);
	check(rules, "93.184.216.35", true);
	address_rules_forget_own(rules);
	check(rules, "93.184.216.34", true);
	printf("ok addresses of this host\n");
}

int
main(void)
{
	char error[128];
	struct address_rules *rules = address_rules_create(NULL, error, sizeof(error));
	struct sockaddr_un local = {.sun_family = AF_UNIX};

	check_all(rules, "refused", refused, false);
	check_all(rules, "allowed", allowed, true);
	check_own(rules);
	if (address_allowed(rules, (struct sockaddr *) &local))
		return 1;
	printf("ok no local sockets\n");
	address_rules_destroy(rules);
	check_exemptions();
	check_damaged();
	return 0;
}
