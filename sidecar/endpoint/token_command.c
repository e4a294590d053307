/*
 * See token_command.h. Secrets and keys are those of the environment, as the sidecar itself would read them; a JWKS at a
 * URL is not asked for.
 */
#include "endpoint/token_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/text.h"
#include "config.h"
#include "endpoint/jwt.h"
#include "endpoint/keyring.h"
#include "link/link_keys.h"

#define EXPIRES 3600
#define EXPIRES_MAX (365L * 24 * 3600)
#define TOKEN_MAX 16384
#define BAD_USE 2

struct wish
{
	const char *role;
	const char *sub;
	long expires; /* seconds */
	bool check;
};

static const char usage[] =
	"chat-sidecar token prints a token for the embedded endpoint, signed with EMBEDDED_JWT_SECRET.\n\n"
	"  --role ROLE        anon, authenticated or service_role (authenticated)\n"
	"  --sub USER         the user's id; needed for role authenticated\n"
	"  --expires SECONDS  how long it is good, at most a year (3600)\n"
	"  --check            read a token from standard input instead, and say whether it is good\n"
	"  --help             print this\n\n"
	"Exit status: 0 good, 1 the token is not good, 2 bad option or setting.\n";

static bool
complain(const char *text)
{
	fprintf(stderr, "chat-sidecar: token: %s; see chat-sidecar token --help\n", text);
	return false;
}

static bool
read_expires(const char *text, long *seconds)
{
	char *end;

	errno = 0;
	*seconds = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *seconds > 0 && *seconds <= EXPIRES_MAX;
}

static bool
is_plain(const char *text)
{
	char *clean = text_copy(text, strlen(text), strlen(text), TEXT_LINE);
	bool plain = strcmp(clean, text) == 0;

	free(clean);
	return plain;
}

static bool
judge(const struct wish *wish)
{
	if (wish->check)
		return true;
	if (!keyring_role_exists(wish->role))
		return complain("--role is none of anon, authenticated, service_role");
	if (strcmp(wish->role, "authenticated") == 0 && (wish->sub == NULL || *wish->sub == '\0'))
		return complain("--sub is needed for role authenticated: the id of the user");
	if (wish->sub != NULL && !is_plain(wish->sub))
		return complain("--sub holds control characters, or is not UTF-8");
	return true;
}

/* False: it has said what is wrong. */
static bool
read_options(int argc, char **argv, struct wish *wish)
{
	static const struct option options[] = {
		{"role", required_argument, NULL, 'r'},    {"sub", required_argument, NULL, 's'},
		{"expires", required_argument, NULL, 'e'}, {"check", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1)
	{
		switch (option)
		{
			case 'r':
				wish->role = optarg;
				break;
			case 's':
				wish->sub = optarg;
				break;
			case 'e':
				if (!read_expires(optarg, &wish->expires))
					return complain("--expires is not a number of seconds from 1 to 31536000");
				break;
			case 'c':
				wish->check = true;
				break;
			case 'h':
				fputs(usage, stdout);
				exit(0);
			case ':':
				return complain("an option lacks its value");
			default:
				return complain("there is an option that it does not know");
		}
	}
	if (optind < argc)
		return complain(
			"there is an argument that is no option (a token to check comes on standard input)");
	return judge(wish);
}

/* Making ------------------------------------------------------------------------------------------ */

static int
print_token(const struct wish *wish, const struct keyring *keyring)
{
	long long now = time(NULL);
	struct buffer claims = {0};
	char *text = xasprintf("{\"role\":\"%s\",\"iat\":%lld,\"exp\":%lld", wish->role, now,
						   now + wish->expires);
	char *token;

	buffer_text(&claims, text);
	free(text);
	if (wish->sub != NULL)
	{
		buffer_text(&claims, ",\"sub\":");
		buffer_json(&claims, wish->sub);
	}
	if (strcmp(wish->role, "authenticated") == 0)
		buffer_text(&claims, ",\"aud\":\"authenticated\"");
	buffer_bytes(&claims, "}", 2);
	token = jwt_mint(claims.data, keyring_secret(keyring));
	puts(token);
	free(token);
	buffer_free(&claims);
	return 0;
}

/* Checking ---------------------------------------------------------------------------------------- */

/* The first word of standard input. */
static void
read_token(char *token, size_t size)
{
	size_t len = fread(token, 1, size - 1, stdin), first;

	token[len] = '\0';
	first = strspn(token, " \t\r\n");
	memmove(token, token + first, len - first + 1);
	token[strcspn(token, " \t\r\n")] = '\0';
}

static const char *
advice_for(const char *token, const char *error, const struct config *config)
{
	if (*token == '\0')
		return "standard input is empty: pipe the token into this command";
	if (strncmp(token, "sb_", 3) == 0)
		return "it is an API key, and EMBEDDED_API_KEYS names no file that has it";
	if (strncmp(token, "eyJ", 3) != 0)
		return "a token is three parts with dots between, the first one beginning with eyJ";
	if (strstr(error, "signature") != NULL)
		return config->embedded_jwks != NULL
				   ? "it was signed with another secret or key than EMBEDDED_JWT_SECRET and EMBEDDED_JWKS (a URL is not asked by this command)"
				   : "it was signed with another secret than EMBEDDED_JWT_SECRET, or with a key, which EMBEDDED_JWKS would have to name";
	if (strstr(error, "not a valid") != NULL)
		return "its algorithm is none of HS256, HS384, HS512, RS256, ES256, EdDSA, or it is cut off";
	if (strcmp(error, JWT_EXPIRED) == 0)
		return "a new one is needed: the client's library renews it where the user is signed in";
	if (strstr(error, "required") != NULL)
		return "the claims must have role (anon, authenticated or service_role) and exp (Unix seconds)";
	return NULL;
}

static int
check_token(const struct config *config, const struct keyring *keyring)
{
	char token[TOKEN_MAX];
	int64_t now = time(NULL);
	struct jwt jwt;
	const char *error, *advice;

	read_token(token, sizeof(token));
	error = jwt_verify(token, keyring, now, &jwt);
	if (error == NULL)
	{
		printf("the token is good: role %s, user %s", jwt.role, jwt.sub != NULL ? jwt.sub : "none");
		if (strncmp(token, "sb_", 3) != 0)
			printf(", expires in %lld s", (long long) (jwt.expires - now));
		putchar('\n');
		jwt_free(&jwt);
		return 0;
	}
	printf("the token is not good: %s", error);
	if (jwt.expires != 0 && jwt.expires <= now)
		printf(" %lld s ago", (long long) (now - jwt.expires));
	putchar('\n');
	advice = advice_for(token, error, config);
	if (advice != NULL)
		puts(advice);
	return 1;
}

/* ------------------------------------------------------------------------------------------------- */

static struct keyring *
create_keyring(const struct config *config)
{
	struct keyring *keyring = keyring_create();
	char *jwks = link_keys_read(config->embedded_jwks);
	char *api_keys = link_keys_read(config->embedded_api_keys);

	keyring_set_secrets(keyring, config->embedded_jwt_secret);
	(void) keyring_set_jwks(keyring, jwks);
	(void) keyring_set_api_keys(keyring, api_keys);
	free(jwks);
	free(api_keys);
	return keyring;
}

int
token_command(int argc, char **argv)
{
	struct wish wish = {.role = "authenticated", .expires = EXPIRES};
	struct config *config;
	struct keyring *keyring;
	int status;

	if (!read_options(argc - 1, argv + 1, &wish))
		return BAD_USE;
	config = config_load(1, argv);
	if (config->embedded_secret_random && !(wish.check && config->embedded_jwks != NULL))
	{
		fputs(
			"chat-sidecar: EMBEDDED_JWT_SECRET: is not set: it must be the one that the sidecar runs with\n",
			stderr);
		config_free(config);
		return BAD_USE;
	}
	keyring = create_keyring(config);
	status = wish.check ? check_token(config, keyring) : print_token(&wish, keyring);
	keyring_free(keyring);
	config_free(config);
	return status;
}
