/*
 * Tokens: what is taken from good ones, and what is said of the others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As a whole: headers of any kind need its signature. */
#include "../../sidecar/endpoint/jwt.c"

#define SECRET "a secret of at least 32 bytes; as it must be"
#define NOW 1700000000

static void
report(const char *name, const char *error, const char *wanted)
{
	int ok = wanted == NULL ? error == NULL : error != NULL && strcmp(error, wanted) == 0;

	printf("%s %s\n", ok ? "ok" : "not ok", name);
	if (ok)
		return;
	printf("%s\n", error != NULL ? error : "a good one");
	exit(1);
}

/* One that takes SECRET. */
static struct keyring *
ring(const char *secrets)
{
	struct keyring *keyring = keyring_create();

	keyring_set_secrets(keyring, secrets);
	return keyring;
}

static const char *
verify_with(const char *secrets, const char *token, int64_t now, struct jwt *jwt)
{
	struct keyring *keyring = ring(secrets);
	const char *error = jwt_verify(token, keyring, now, jwt);

	keyring_free(keyring);
	return error;
}

static void
check_token(const char *token, const char *wanted)
{
	struct jwt jwt;

	report(token, verify_with(SECRET, token, NOW, &jwt), wanted);
	jwt_free(&jwt);
}

static void
check_claims(const char *claims, const char *wanted)
{
	struct jwt jwt;
	char *token = jwt_mint(claims, SECRET);

	report(claims, verify_with(SECRET, token, NOW, &jwt), wanted);
	jwt_free(&jwt);
	free(token);
}

/* Two texts, as they are, and their signature. */
static void
check_signed(const char *header, const char *claims, const char *wanted)
{
	unsigned char digest[DIGEST_BYTES];
	char token[400];
	int len = snprintf(token, sizeof(token), "%s.%s", header, claims);
	char *signature;

	sign(token, len, SECRET, digest);
	signature = base64_encode_url(digest, DIGEST_BYTES);
	snprintf(token + len, sizeof(token) - len, ".%s", signature);
	free(signature);
	check_token(token, wanted);
}

static void
check_header(const char *header, const char *wanted)
{
	char *first = base64_encode_url((const unsigned char *) header, strlen(header));
	char *second =
		base64_encode_url((const unsigned char *) "{\"role\":\"r\",\"exp\":1700000001}", 29);

	check_signed(first, second, wanted);
	free(first);
	free(second);
}

static void
takes_what_is_there(void)
{
	char *token =
		jwt_mint("{\"role\":\"authenticated\",\"sub\":\"u\",\"exp\":1700000001.9}", SECRET);
	struct jwt jwt;

	report("a good token", verify_with(SECRET, token, NOW, &jwt), NULL);
	report("its role", strcmp(jwt.role, "authenticated") == 0 ? NULL : jwt.role, NULL);
	report("its user", strcmp(jwt.sub, "u") == 0 ? NULL : jwt.sub, NULL);
	report("its end", jwt.expires == NOW + 1 ? NULL : "another", NULL);
	jwt_free(&jwt);
	report("another secret", verify_with("another", token, NOW, &jwt),
		   "Failed to validate JWT signature");
	report("afterwards", verify_with(SECRET, token, NOW + 1, &jwt), JWT_EXPIRED);
	report("its end is told all the same", jwt.expires == NOW + 1 ? NULL : "another", NULL);
	report("and nothing else of it",
		   jwt.claims == NULL && jwt.role == NULL && jwt.sub == NULL ? NULL : "something", NULL);
	token[strlen(token) - 1] = '*';
	report("a signature that is no Base64", verify_with(SECRET, token, NOW, &jwt),
		   "Failed to validate JWT signature");
	*strrchr(token, '.') = '\0';
	check_token(token, NOT_A_JWT);
	strcat(token, ".");
	report("no signature", verify_with(SECRET, token, NOW, &jwt),
		   "Failed to validate JWT signature");
	strcat(token, ".");
	check_token(token, NOT_A_JWT);
	free(token);
}

/* Signed with HS384 by another program, with the second of two secrets. */
static void
checks_secrets(void)
{
	static const char token[] =
		"eyJhbGciOiJIUzM4NCJ9.eyJyb2xlIjoiYW5vbiIsImV4cCI6MTcwMDAwMDAwMX0.LlFZCooEjYf-Iz-RCHwMQwryRvxRCy5ac9wgvkkrfHxsqJRGmycwHJmNn43zxQ_t";
	struct jwt jwt;

	report("a longer digest, an older secret",
		   verify_with("another secret of at least 32 bytes; before,"
					   "a second secret of at least 32 bytes; too",
					   token, NOW, &jwt),
		   NULL);
	jwt_free(&jwt);
	report("an older secret that is gone",
		   verify_with("another secret of at least 32 bytes; before", token, NOW, &jwt),
		   "Failed to validate JWT signature");
}

static void
checks_api_keys(void)
{
	struct keyring *keyring = ring(SECRET);
	struct jwt jwt;

	report("no API keys", jwt_verify("sb_secret_abcdef", keyring, NOW, &jwt), NOT_A_JWT);
	report(
		"API keys",
		keyring_set_api_keys(
			keyring, "# of today\n\nsb_publishable_abcdef\tanon\r\nsb_secret_abcdef  service_role"),
		NULL);
	report("an API key", jwt_verify("sb_secret_abcdef", keyring, NOW, &jwt), NULL);
	report("its role", strcmp(jwt.role, "service_role") == 0 ? NULL : jwt.role, NULL);
	report("its claims", strcmp(jwt.claims, "{\"role\":\"service_role\"}") == 0 ? NULL : jwt.claims,
		   NULL);
	jwt_free(&jwt);
	report("another one", jwt_verify("sb_secret_abcdeg", keyring, NOW, &jwt), NOT_A_JWT);
	report("the beginning of one", jwt_verify("sb_secret_abcde", keyring, NOW, &jwt), NOT_A_JWT);
	report("a line without a role", keyring_set_api_keys(keyring, "sb_secret_abcdef\nanon"),
		   "has a line that is not a key (sb_…) and its role");
	report("three words", keyring_set_api_keys(keyring, "sb_secret_abcdef anon too"),
		   "has a line that is not a key (sb_…) and its role");
	report("something else", keyring_set_api_keys(keyring, "key_of_something anon"),
		   "has a line that is not a key (sb_…) and its role");
	report("another role",
		   keyring_set_api_keys(keyring, "sb_secret_abcdef anon\nsb_secret_x postgres"),
		   "has a role that is none of anon, authenticated, service_role");
	report("what was wrong is not taken over", jwt_verify("sb_secret_abcdef", keyring, NOW, &jwt),
		   NULL);
	report("with its role", strcmp(jwt.role, "service_role") == 0 ? NULL : jwt.role, NULL);
	jwt_free(&jwt);
	report("none any more", keyring_set_api_keys(keyring, ""), NULL);
	report("it is gone", jwt_verify("sb_secret_abcdef", keyring, NOW, &jwt), NOT_A_JWT);
	keyring_free(keyring);
}

/* Its claims are kept while a channel has it: a good one that no head of a request has room for is none. */
static void
takes_no_giant(void)
{
	static char filling[20001], claims[20100];
	struct jwt jwt;

	memset(filling, 'x', sizeof(filling) - 1);
	for (int giant = 0; giant <= 1; giant++)
	{
		char *token;

		snprintf(claims, sizeof(claims), "{\"role\":\"r\",\"exp\":1700000001,\"x\":\"%.*s\"}",
				 giant ? 20000 : 8000, filling);
		token = jwt_mint(claims, SECRET);
		report(giant ? "a giant" : "a large one", verify_with(SECRET, token, NOW, &jwt),
			   giant ? NOT_A_JWT : NULL);
		jwt_free(&jwt);
		free(token);
	}
}

int
main(void)
{
	static const char required[] = "Fields `role` and `exp` are required in JWT";
	static const char early[] = "Token is not yet valid";

	takes_what_is_there();
	check_token("", NOT_A_JWT);
	check_token("a", NOT_A_JWT);
	check_token("..", NOT_A_JWT);
	check_token("*.e30.", NOT_A_JWT);
	check_header("{\"alg\":\"HS256\"}", NULL);
	check_header("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", NULL);
	check_header("{\"alg\":\"none\"}", NOT_A_JWT);
	check_header("{\"alg\":\"HS512\"}", "Failed to validate JWT signature");
	check_header("{\"alg\":\"RS256\"}", "Failed to validate JWT signature");
	check_header("{\"alg\":\"PS256\"}", NOT_A_JWT);
	check_header("{\"alg\":1}", NOT_A_JWT);
	check_header("{}", NOT_A_JWT);
	check_header("[\"HS256\"]", NOT_A_JWT);
	check_header("{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", NOT_A_JWT);
	check_header("{\"alg\":\"none\",\"al\\u0067\":\"HS256\"}", NOT_A_JWT);
	check_header("{\"alg\":\"HS256\"", NOT_A_JWT);
	check_signed("eyJhbGciOiJIUzI1NiJ9", "e*", NOT_A_JWT);
	check_signed("eyJhbGciOiJIUzI1NiJ9", "e30A", NOT_A_JWT); /* {} and a NUL */
	takes_no_giant();
	check_claims("no JSON", NOT_A_JWT);
	check_claims("[]", NOT_A_JWT);
	check_claims("{}", required);
	check_claims("{\"role\":\"r\"}", required);
	check_claims("{\"exp\":1700000001}", required);
	check_claims("{\"role\":1,\"exp\":1700000001}", required);
	check_claims("{\"role\":\"r\",\"exp\":\"1700000001\"}", required);
	check_claims("{\"role\":\"r\",\"exp\":1e300}", NULL);
	check_claims("{\"role\":\"r\",\"exp\":-1e300}", JWT_EXPIRED);
	check_claims("{\"role\":\"r\",\"role\":\"service_role\",\"exp\":1700000001}", NOT_A_JWT);
	check_claims("{\"role\":\"r\",\"exp\":1,\"\\u0065xp\":1700000001}", NOT_A_JWT);
	check_claims("{\"role\":\"r\",\"exp\":1700000001,\"sub\":\"a\",\"sub\":\"b\"}", NOT_A_JWT);
	check_claims("{\"role\":\"r\",\"exp\":1700000001,\"iat\":\"now\"}", "Field `iat` is no number");
	check_claims("{\"role\":\"r\",\"exp\":1700000001,\"iat\":1}", NULL);
	check_claims("{\"role\":\"r\",\"exp\":1700000001,\"nbf\":1700000000}", NULL);
	check_claims("{\"role\":\"r\",\"exp\":1700000001,\"nbf\":1700000001}", early);
	check_claims("{\"role\":\"r\",\"exp\":1700000001,\"nbf\":null}", early);
	check_claims("{\"role\":\"r\",\"exp\":1700000001,\"a\\u0000\":1}", NULL);
	checks_api_keys();
	checks_secrets();
	return 0;
}
