/*
 * See webhook_visits.h.
 */
#include "webhook/webhook_visits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "webhook/webhook_shares.h"

#define HOST_SIZE 256

/* Copies the name of a URL's host, in lower case. */
static void
copy_host(char host[HOST_SIZE], const char *url)
{
	const char *name = strstr(url, "://");
	size_t len;

	name = name != NULL ? name + 3 : url;
	len = strcspn(name, "/?#\\");
	for (size_t i = len; i > 0; i--)
	{
		if (name[i - 1] != '@')
			continue;
		name += i;
		len -= i;
		break;
	}
	if (*name == '[')
		len = strcspn(name, "]/?#\\");
	else if (len > strcspn(name, ":"))
		len = strcspn(name, ":");
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len > HOST_SIZE - 1)
		len = HOST_SIZE - 1;
	for (size_t i = 0; i < len; i++)
		host[i] = (char) tolower((unsigned char) name[i]);
	host[len] = '\0';
}

static struct owner *
find_owner(struct shares *shares, const char *name)
{
	struct owner *owner = (struct owner *) table_find(&shares->owners, name);

	if (owner == NULL)
	{
		owner = xcalloc(1, sizeof(*owner));
		for (int speed = 0; speed < SPEEDS; speed++)
			owner->turns[speed].home = &shares->roots[speed];
		table_add(&shares->owners, &owner->entry, name);
	}
	return owner;
}

static struct host *
find_host(struct shares *shares, const char *name)
{
	struct host *host = (struct host *) table_find(&shares->hosts, name);

	if (host == NULL)
	{
		host = xcalloc(1, sizeof(*host));
		table_add(&shares->hosts, &host->entry, name);
	}
	return host;
}

static struct visit *
make_visit(struct shares *shares, const char *key, const char *owner, const char *host)
{
	struct visit *visit = xcalloc(1, sizeof(*visit));

	visit->owner = find_owner(shares, owner);
	visit->owner->visits++;
	visit->host = find_host(shares, host);
	visit->host->visits++;
	for (int speed = 0; speed < SPEEDS; speed++)
		visit->turns[speed].home = &visit->owner->turns[speed];
	table_add(&shares->visits, &visit->entry, key);
	return visit;
}

struct visit *
visit_find(struct shares *shares, const char *owner, const char *url)
{
	char host[HOST_SIZE];
	struct visit *visit;
	char *key;

	copy_host(host, url);
	key = xasprintf("%s %s", host, owner);
	visit = (struct visit *) table_find(&shares->visits, key);
	if (visit == NULL)
		visit = make_visit(shares, key, owner, host);
	free(key);
	visit->references++;
	return visit;
}

void
visit_keep(struct visit *visit)
{
	visit->references++;
}

void
visit_let_go(struct shares *shares, struct visit *visit)
{
	if (--visit->references > 0)
		return;
	if (--visit->owner->visits == 0)
	{
		table_remove(&shares->owners, &visit->owner->entry);
		free(visit->owner);
	}
	if (--visit->host->visits == 0)
	{
		table_remove(&shares->hosts, &visit->host->entry);
		free(visit->host);
	}
	table_remove(&shares->visits, &visit->entry);
	free(visit);
}
