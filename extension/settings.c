/*
 * Defining, checking and overriding settings; see settings.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/numeric.h"

#include "media_type.h"
#include "settings.h"

#define PREFIX "chat_realtime"
#define DAY 86400

#define DEFAULT_PREVIEW_LABELS                                                                       \
	"image=[Imagem];video=[Vídeo];audio=[Áudio];document=[Documento: %];location=[Localização];" \
	"contact=[Contato];sticker=[Figurinha];poll=[Enquete];order=[Pedido]"

/* What WhatsApp sends, without what a browser would run (SVG, HTML) or a computer would (programs). */
#define DEFAULT_MEDIA_TYPES                                                                         \
	"image/jpeg, image/png, image/gif, image/webp, image/heic, image/heif, image/bmp, image/tiff, " \
	"video/*, audio/*, text/plain, text/csv, text/vcard, text/x-vcard, text/calendar, "             \
	"text/markdown, application/pdf, application/json, application/rtf, application/ogg, "          \
	"application/msword, application/vnd.ms-excel*, application/vnd.ms-powerpoint*, "               \
	"application/vnd.ms-word*, application/vnd.openxmlformats-officedocument.*, "                   \
	"application/vnd.oasis.opendocument.*, application/epub+zip, application/zip, "                 \
	"application/x-zip-compressed, application/gzip, application/x-7z-compressed, "                 \
	"application/vnd.rar, application/x-rar-compressed, application/octet-stream"

int chat_notify = CHAT_NOTIFY_ADAPTIVE;
bool chat_check_outgoing = true;
bool chat_import = false;
bool chat_rate_limits = true;
double chat_limit_clock = -1;
int chat_max_payload_bytes = 256000;
ChatSettings chat_settings = {
	.max_content_bytes = 4096,
	.max_media_bytes = 100 * 1024 * 1024,
	.sanitize = CHAT_SANITIZE_TEXT,
	.allowed_media_types = DEFAULT_MEDIA_TYPES,
	.preview_labels = DEFAULT_PREVIEW_LABELS,
};

/* Only the SQL of chat.maintain reads these. */
static int retention = DAY;
static int audit_retention = 365 * DAY;

static const struct config_enum_entry notify_modes[] = {{"adaptive", CHAT_NOTIFY_ADAPTIVE, false},
														{"always", CHAT_NOTIFY_ALWAYS, false},
														{"off", CHAT_NOTIFY_OFF, false},
														{NULL, 0, false}};

static const struct config_enum_entry sanitize_modes[] = {
	{"text", CHAT_SANITIZE_TEXT, false}, {"off", CHAT_SANITIZE_OFF, false}, {NULL, 0, false}};

/* Names that chat.attachment.settings can hold. */
static const char *const overridable[] = {"max_content_bytes", "max_media_bytes", "sanitize",
										  "allowed_media_types", "preview_labels"};
/* What a pair alone can have: true or false. */
static const char *const switches[] = {"agents_write", "unsigned"};

static bool
check_media_types(char **value, void **extra, GucSource source)
{
	size_t length;
	const char *bad = chat_media_types_check(*value, &length);

	if (bad == NULL)
		return true;
	GUC_check_errdetail("\"%.*s\" is no media type.", (int) Min(length, 100), bad);
	GUC_check_errhint(
		"Separate types by commas; one may end in * after its slash, such as image/png, audio/*.");
	return false;
}

/* Length of the type in front of an entry's "=", or 0 when there is none. */
static size_t
label_type_length(const char *entry, size_t length)
{
	size_t n = strspn(entry, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return n < length && entry[n] == '=' ? n : 0;
}

static bool
check_preview_labels(char **value, void **extra, GucSource source)
{
	const char *entry = *value;

	while (*entry != '\0')
	{
		size_t length = strcspn(entry, ";");

		if (length > 0 && label_type_length(entry, length) == 0)
		{
			GUC_check_errdetail("\"%.*s\" is no label.", (int) Min(length, 100), entry);
			GUC_check_errhint(
				"Separate labels by semicolons, each as type=label, such as image=[Image].");
			return false;
		}
		entry += length;
		if (*entry == ';')
			entry++;
	}
	return true;
}

/* Defines all settings, once per backend. */
void
chat_settings_init(void)
{
	DefineCustomEnumVariable(
		PREFIX ".notify", "When a transaction that wrote events sends NOTIFY chat_realtime.",
		"adaptive: when a sidecar sleeps; always: for every event, with its payload; "
		"off: never, the sidecar polls.",
		&chat_notify, CHAT_NOTIFY_ADAPTIVE, notify_modes, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable(PREFIX ".check_outgoing",
							 "Refuses outgoing messages that are beyond the limits.",
							 "Off where messages that were sent elsewhere are recorded.",
							 &chat_check_outgoing, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		PREFIX ".max_content_bytes",
		"Largest content of an outgoing message, and of any message in an event.",
		"A longer incoming one is stored whole; its events carry what fits, and say "
		"contentTruncated.",
		&chat_settings.max_content_bytes, 4096, 64, 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, NULL,
		NULL, NULL);
	DefineCustomIntVariable(
		PREFIX ".max_payload_bytes", "Largest payload of an event.",
		"A column of more than a quarter of it is refused in outgoing messages; in events it is null, "
		"with a mark such as metadataTruncated. Supabase Realtime takes 256 kB or more.",
		&chat_max_payload_bytes, 256000, 16384, 64 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, NULL,
		NULL, NULL);
	DefineCustomIntVariable(PREFIX ".max_media_bytes", "Largest media of an outgoing message.",
							NULL, &chat_settings.max_media_bytes, 100 * 1024 * 1024, 0,
							PG_INT32_MAX, PGC_SUSET, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomEnumVariable(PREFIX ".sanitize", "What is done to the content of messages.",
							 "text: what would start markup in HTML is removed; off: nothing.",
							 &chat_settings.sanitize, CHAT_SANITIZE_TEXT, sanitize_modes, PGC_SUSET,
							 0, NULL, NULL, NULL);
	DefineCustomStringVariable(PREFIX ".allowed_media_types",
							   "Media types that outgoing messages may have.",
							   "Separated by commas; one may end in * after its slash.",
							   &chat_settings.allowed_media_types, DEFAULT_MEDIA_TYPES, PGC_SUSET,
							   0, check_media_types, NULL, NULL);
	DefineCustomStringVariable(PREFIX ".preview_labels",
							   "What a conversation shows of media without a caption.",
							   "type=label pairs separated by semicolons; % is the file's name.",
							   &chat_settings.preview_labels, DEFAULT_PREVIEW_LABELS, PGC_SUSET, 0,
							   check_preview_labels, NULL, NULL);
	DefineCustomBoolVariable(
		PREFIX ".import", "Whether rows that are written are old history.",
		"on: events are recorded of conversations only, for nobody's webhooks, and wake no sidecar.",
		&chat_import, false, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable(
		PREFIX ".rate_limits", "Whether rate limits are kept.",
		"off: every call is let through, for tests and for servers without shared memory.",
		&chat_rate_limits, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable(
		PREFIX ".limit_clock", "Time that rate limits go by, in seconds.",
		"For tests: it stands still where it is set. -1: the server's monotonic clock.",
		&chat_limit_clock, -1, -1, 1e9, PGC_SUSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL,
		NULL);
	DefineCustomIntVariable(
		PREFIX ".retention", "How long events are kept in the log.",
		"Whole partitions are dropped, so some are kept up to a quarter longer; "
		"none before every enabled consumer is past it.",
		&retention, DAY, 1, PG_INT32_MAX, PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable(PREFIX ".audit_retention", "How long rows of the audit log are kept.",
							"0: for ever.", &audit_retention, 365 * DAY, 0, PG_INT32_MAX, PGC_SUSET,
							GUC_UNIT_S, NULL, NULL, NULL);
}

/* --- overrides of a pair of tables ------------------------------------------------------------------ */

/* A string or number as text in the current memory context; NULL for other values. */
static char *
value_text(const JsonbValue *value)
{
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	if (value->type == jbvNumeric)
		return DatumGetCString(
			DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	return NULL;
}

/* A member of the object as text, or NULL. */
static char *
member(Jsonb *given, const char *name)
{
	JsonbValue found;
	JsonbValue *value = getKeyJsonValueFromContainer(&given->root, name, strlen(name), &found);

	return value == NULL ? NULL : value_text(value);
}

static int
member_bytes(Jsonb *given, const char *name)
{
	char *text = member(given, name);
	int bytes;

	return text != NULL && parse_int(text, &bytes, GUC_UNIT_BYTE, NULL) ? bytes : -1;
}

void
chat_settings_read(ChatSettings *overrides, Jsonb *given)
{
	char *mode = member(given, "sanitize");

	overrides->max_content_bytes = member_bytes(given, "max_content_bytes");
	overrides->max_media_bytes = member_bytes(given, "max_media_bytes");
	overrides->sanitize = -1;
	for (const struct config_enum_entry *entry = sanitize_modes; mode && entry->name; entry++)
	{
		if (pg_strcasecmp(mode, entry->name) == 0)
			overrides->sanitize = entry->val;
	}
	overrides->allowed_media_types = member(given, "allowed_media_types");
	overrides->preview_labels = member(given, "preview_labels");
}

/* True for a switch, and when its value is none that is an error. */
static bool
check_switch(const char *name, const JsonbValue *value)
{
	int n = 0;

	while (n < (int) lengthof(switches) && strcmp(name, switches[n]) != 0)
		n++;
	if (n == lengthof(switches))
		return false;
	if (value->type != jbvBool && value->type != jbvNull)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("setting \"%s\" must be true or false", name)));
	return true;
}

/* Checks one override as SET would check the setting; null, which takes one away, by its name alone. */
static void
check_override(const JsonbValue *key, const JsonbValue *value)
{
	char *name = pnstrdup(key->val.string.val, key->val.string.len);
	char *text = value_text(value);
	int n = 0;

	if (check_switch(name, value))
		return;
	while (n < (int) lengthof(overridable) && strcmp(name, overridable[n]) != 0)
		n++;
	if (n == lengthof(overridable))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is no setting that a pair of tables can have", name),
						errhint("There are: max_content_bytes, max_media_bytes, sanitize, "
								"allowed_media_types, preview_labels, agents_write, unsigned.")));
	if (value->type == jbvNull)
		return;
	if (text == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("setting \"%s\" must be a string or a number", name)));
	(void) set_config_option(psprintf(PREFIX ".%s", name), text, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SET, false, ERROR, false);
}

PG_FUNCTION_INFO_V1(chat_check_settings);

/* SQL: chat.check_settings(jsonb) */
Datum
chat_check_settings(PG_FUNCTION_ARGS)
{
	Jsonb *given = PG_GETARG_JSONB_P(0);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue key, value;

	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("settings must be a JSON object")));
	iterator = JsonbIteratorInit(&given->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		check_override(&key, &value);
	}
	PG_RETURN_BOOL(true);
}
