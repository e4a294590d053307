/*
 * Signatures against the example of the Standard Webhooks specification and values made with other tools.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/provider.h>
#include <sys/wait.h>
#include <unistd.h>

/* As a whole: what goes on in the cryptographic library is only seen to fail where it is made to. */
#include "../../sidecar/webhook/sign.c"

static void
check(const char *name, const char *got, const char *wanted)
{
	if (strcmp(got, wanted) != 0)
	{
		printf("not ok %s: got %s, wanted %s\n", name, got, wanted);
		exit(1);
	}
	printf("ok %s\n", name);
}

static void
check_standard(struct signer *signer, const char *name, const char *secret, const char *body,
			   const char *wanted)
{
	char out[SIGN_STANDARD_SIZE];

	if (!sign_standard(signer, secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body,
					   strlen(body), out))
		exit(1);
	check(name, out, wanted);
}

static void
check_body(struct signer *signer, const char *name, const char *secret, const char *body,
		   const char *wanted)
{
	char out[SIGN_BODY_SIZE];

	if (!sign_body(signer, secret, body, strlen(body), out))
		exit(1);
	check(name, out, wanted);
}

static void
check_public(const char *name, const char *key, const char *body, const char *wanted)
{
	char out[SIGN_PUBLIC_SIZE] = "refused";

	(void) !sign_public(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body), out);
	check(name, out, wanted);
}

/* With a digest that is not the one that was asked for, nothing may pass as a signature. */
static void
check_failing(void)
{
	struct signer *signer = signer_create();
	OSSL_PARAM params[2] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *) "SHA512", 0),
		OSSL_PARAM_construct_end()};
	char standard[SIGN_STANDARD_SIZE], body[SIGN_BODY_SIZE];

	if (EVP_MAC_CTX_set_params(signer->context, params) != 1)
		exit(1);
	check("no signature by another digest",
		  sign_standard(signer, "secret", "id", 1, "", 0, standard) ? "signed" : "refused",
		  "refused");
	check("no body's signature by another digest",
		  sign_body(signer, "secret", "", 0, body) ? "signed" : "refused", "refused");
	signer_destroy(signer);
}

/* In a process of its own, that has no provider of algorithms. */
static void
check_library(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
	{
		struct signer *signer = NULL;

		if (OSSL_PROVIDER_load(NULL, "null") != NULL)
			signer = signer_create();
		_exit(signer == NULL ? 0 : 1);
	}
	waitpid(child, &status, 0);
	check("a library without HMAC", status == 0 ? "refused" : "made", "refused");
}

int
main(void)
{
	struct signer *signer;
	const char *body = "{\"test\": 2432232314}";
	char longer[KEY_MAX * 2] = "whsec_";

	check_library(); /* first: providers are loaded once */
	signer = signer_create();
	memset(longer + 6, 'A', sizeof(longer) - 7);

	check_standard(signer, "example of the specification", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
				   body, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	check_standard(signer, "padding may be left out", "whsec_c2VjcmV0IQ", body,
				   "v1,Gq5XdHE2IPJAlrMM3WNrNuCIJLFadUOJLHJ55KUjl0A=");
	check_standard(signer, "padding", "whsec_c2VjcmV0IQ==", body,
				   "v1,Gq5XdHE2IPJAlrMM3WNrNuCIJLFadUOJLHJ55KUjl0A=");
	check_standard(signer, "no prefix: the text is the key", "secret!", body,
				   "v1,Gq5XdHE2IPJAlrMM3WNrNuCIJLFadUOJLHJ55KUjl0A=");
	check_standard(signer, "damaged base64: the text is the key", "whsec_!not base64", body,
				   "v1,F0Xov5BTRHt1kiuS8Xjp5I/3vmnbHq6QuK0fyRMBfEQ=");
	check_standard(signer, "base64 of a length that it cannot have", "whsec_ABCDE", body,
				   "v1,wWsAH7C2dEMB1E9NmScYkLnlYrPOHa4KFfbsSrZkpAU=");
	check_standard(signer, "longer than a key can be: the text is the key", longer, body,
				   "v1,btt5UWk1BRoePvgOn4cAMZzT9sYEmtHFnOpAMR5Z3bA=");
	check_standard(signer, "empty secret", "", body,
				   "v1,woH/1mJtZGSMCmpFTxRYbStS24eLLD/oXIYr4PYyZ7g=");
	check_standard(signer, "the key of the one before is forgotten", "whsec_c2VjcmV0IQ==", "",
				   "v1,0FO/7UiHv1cvPcdzr/wJrqwTJcGTDa/DAH1YwSwBf6Q=");
	check_standard(signer, "a key that is kept", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body,
				   "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	check_standard(signer, "the same again", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body,
				   "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	check_body(signer, "body, keyed with the text", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body,
			   "sha256=80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c");
	signer_destroy(signer);
	check_public(
		"Ed25519, with the first key of RFC 8032",
		"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", body,
		"v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw==");
	check_public("an Ed25519 key that is none", "not base64", body, "refused");
	check_public("a key of 31 bytes", "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyufw==", body,
				 "refused");
	check_public("a key of 33 bytes", "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2AA", body,
				 "refused");
	check_failing();
	return 0;
}
