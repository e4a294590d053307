/*
 * Signatures against the example of the Standard Webhooks specification and values made with other tools.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/sign.h"

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

int
main(void)
{
	struct signer *signer = signer_create();
	const char *body = "{\"test\": 2432232314}";

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
	check_standard(signer, "empty secret", "", body,
				   "v1,woH/1mJtZGSMCmpFTxRYbStS24eLLD/oXIYr4PYyZ7g=");
	check_standard(signer, "the key of the one before is forgotten", "whsec_c2VjcmV0IQ==", "",
				   "v1,0FO/7UiHv1cvPcdzr/wJrqwTJcGTDa/DAH1YwSwBf6Q=");
	check_body(signer, "body, keyed with the text", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body,
			   "sha256=80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c");
	signer_destroy(signer);
	return 0;
}
