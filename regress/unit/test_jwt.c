/*
 * Tokens: what is taken from good ones, and what is said of the others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As a whole: headers of any kind need its signature. */
#include "../../sidecar/endpoint/jwt.c"

#define SECRET "a secret of at least 32 bytes, as it must be"
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

static void
check_token(const char *token, const char *wanted)
{
	struct jwt jwt;

	report(token, jwt_verify(token, SECRET, NOW, &jwt), wanted);
	jwt_free(&jwt);
}

static void
check_claims(const char *claims, const char *wanted)
{
	struct jwt jwt;
	char *token = jwt_mint(claims, SECRET);

	report(claims, jwt_verify(token, SECRET, NOW, &jwt), wanted);
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

	report("a good token", jwt_verify(token, SECRET, NOW, &jwt), NULL);
	report("its role", strcmp(jwt.role, "authenticated") == 0 ? NULL : jwt.role, NULL);
	report("its user", strcmp(jwt.sub, "u") == 0 ? NULL : jwt.sub, NULL);
	report("its end", jwt.expires == NOW + 1 ? NULL : "another", NULL);
	jwt_free(&jwt);
	report("another secret", jwt_verify(token, "another", NOW, &jwt),
		   "Failed to validate JWT signature");
	report("afterwards", jwt_verify(token, SECRET, NOW + 1, &jwt), JWT_EXPIRED);
	report("its end is told all the same", jwt.expires == NOW + 1 ? NULL : "another", NULL);
	report("and nothing else of it",
		   jwt.claims == NULL && jwt.role == NULL && jwt.sub == NULL ? NULL : "something", NULL);
	token[strlen(token) - 1] = '*';
	report("a signature that is no Base64", jwt_verify(token, SECRET, NOW, &jwt),
		   "Failed to validate JWT signature");
	*strrchr(token, '.') = '\0';
	check_token(token, NOT_A_JWT);
	strcat(token, ".");
	report("no signature", jwt_verify(token, SECRET, NOW, &jwt),
		   "Failed to validate JWT signature");
	strcat(token, ".");
	check_token(token, NOT_A_JWT);
	free(token);
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
	check_header("{\"alg\":\"HS512\"}", NOT_A_JWT);
	check_header("{}", NOT_A_JWT);
	check_header("[\"HS256\"]", NOT_A_JWT);
	check_header("{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", NOT_A_JWT);
	check_header("{\"alg\":\"none\",\"al\\u0067\":\"HS256\"}", NOT_A_JWT);
	check_header("{\"alg\":\"HS256\"", NOT_A_JWT);
	check_signed("eyJhbGciOiJIUzI1NiJ9", "e*", NOT_A_JWT);
	check_signed("eyJhbGciOiJIUzI1NiJ9", "e30A", NOT_A_JWT); /* {} and a NUL */
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
	return 0;
}
