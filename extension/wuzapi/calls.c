/*
 * Calls; see content.h. Of most there is nothing to say.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

static void
describe_call(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "call");
	wuzapi_put_text(out, "outcome", "missed");
	wuzapi_put_bool(out, "video", content->video);
	(void) wuzapi_close(out);
}

void
wuzapi_set_missed_call(WuzapiContent *content, bool video)
{
	content->type = "text";
	content->whatsapp_type = "call";
	content->video = video;
	content->describe = describe_call;
	wuzapi_set_text(content, video ? "📹 Chamada de vídeo perdida" : "📞 Chamada perdida");
}

bool
wuzapi_content_is_call(const WuzapiContent *content)
{
	return content->describe == describe_call;
}

/* A call that nobody took; of the others there is nothing to say. */
const char *
wuzapi_read_call(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	/* WhatsApp's numbers: missed, and silenced for one of two reasons */
	static const double missed[] = {1, 6, 7};
	const char *reason = wuzapi_read_object(content, kind, value);
	double outcome = wuzapi_number(content->body, "callOutcome");

	for (int i = 0; i < (int) lengthof(missed) && reason == NULL; i++)
	{
		if (outcome != missed[i])
			continue;
		wuzapi_set_missed_call(content, wuzapi_is_true(content->body, "isVideo"));
		return NULL;
	}
	return reason ? reason : "call";
}
