/*
 * Defining, checking and overriding settings; see settings.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/numeric.h"

#include "json_members.h"
#include "media_type.h"
#include "settings.h"

#define PREFIX "chat_realtime"
#define DAY 86400
#define MAX_INBOXES 1000
#define MAX_INBOX_BYTES 255

/* What becomes of a conversation that was merged into another one. */
enum
{
	MERGED_KEEP,
	MERGED_REMOVE
};

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

/* Their values come with their definition. */
int chat_notify;
bool chat_check_outgoing;
bool chat_import;
bool chat_reopening;
int chat_phone_rules;
bool chat_rate_limits;
bool chat_cache_checks;
double chat_limit_clock;
int chat_max_payload_bytes;
ChatSettings chat_settings;

/* Only SQL reads these. */
static int retention;
static int audit_retention;
static int merged_conversations;
static int max_webhooks;
static bool presence_events;

static const struct config_enum_entry notify_modes[] = {{"adaptive", CHAT_NOTIFY_ADAPTIVE, false},
														{"always", CHAT_NOTIFY_ALWAYS, false},
														{"off", CHAT_NOTIFY_OFF, false},
														{NULL, 0, false}};

static const struct config_enum_entry sanitize_modes[] = {
	{"text", CHAT_SANITIZE_TEXT, false}, {"off", CHAT_SANITIZE_OFF, false}, {NULL, 0, false}};

static const struct config_enum_entry phone_rules[] = {
	{"br", CHAT_PHONE_RULES_BR, false}, {"none", CHAT_PHONE_RULES_NONE, false}, {NULL, 0, false}};

static const struct config_enum_entry merged_modes[] = {
	{"keep", MERGED_KEEP, false}, {"remove", MERGED_REMOVE, false}, {NULL, 0, false}};

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

static bool
check_statuses(char **value, void **extra, GucSource source)
{
	size_t length = strlen(*value);

	if (strspn(*value, "abcdefghijklmnopqrstuvwxyz_, ") == length)
		return true;
	GUC_check_errdetail("\"%.*s\" is no list of statuses.", (int) Min(length, 100), *value);
	GUC_check_errhint("Separate statuses by commas, such as resolved,snoozed.");
	return false;
}

static const char *
reopened_statuses(const ChatSettings *overrides)
{
	return overrides->reopen ? overrides->reopen : chat_settings.reopen;
}

bool
chat_triggers_reopen(const ChatSettings *overrides)
{
	return *reopened_statuses(overrides) != '\0';
}

bool
chat_reopens(const ChatSettings *overrides, const char *status)
{
	const char *list = reopened_statuses(overrides);

	while (status != NULL && *list != '\0')
	{
		size_t length = strcspn(list, ", ");

		if (length > 0 && length == strlen(status) && memcmp(list, status, length) == 0)
			return true;
		list += length;
		list += strspn(list, ", ");
	}
	return false;
}

typedef enum SettingType
{
	SETTING_BOOL,
	SETTING_INT,
	SETTING_REAL,
	SETTING_ENUM,
	SETTING_STRING,
	/* No settings of the server: a pair of tables alone can have these. */
	SETTING_OF_PAIR,         /* true or false */
	SETTING_OF_PAIR_STRINGS, /* an object of strings */
} SettingType;

/*
 * One setting. Where a pair of tables can override it, its value is a member of ChatSettings; the same member holds the
 * override.
 */
typedef struct Setting
{
	const char *name; /* without prefix */
	const char *what;
	const char *more;
	SettingType type;
	void *value; /* bool, int, double or char pointer, by type; NULL: a member of chat_settings */
	int member;  /* its offset there */
	double boot; /* default, and bounds of numbers */
	double least;
	double most;
	const char *boot_text;                  /* of a string */
	const struct config_enum_entry *choice; /* of an enum */
	int flags;                              /* GUC_… */
	GucStringCheckHook check;               /* of a string */
} Setting;

#define MEMBER(name) .member = offsetof(ChatSettings, name)
#define BYTES .flags = GUC_UNIT_BYTE
#define SECONDS .flags = GUC_UNIT_S

static const Setting settings[] = {
	{"notify", "When a transaction that wrote events sends NOTIFY chat_realtime.",
	 "adaptive: when a sidecar sleeps; always: for every event, with its payload; "
	 "off: never, the sidecar polls.",
	 SETTING_ENUM, &chat_notify, .boot = CHAT_NOTIFY_ADAPTIVE, .choice = notify_modes},
	{"check_outgoing", "Refuses outgoing messages that are beyond the limits.",
	 "Off where messages that were sent elsewhere are recorded.", SETTING_BOOL,
	 &chat_check_outgoing, .boot = true},
	{"max_content_bytes", "Largest content of an outgoing message, and of any message in an event.",
	 "A longer incoming one is stored whole; its events carry what fits, and say contentTruncated.",
	 SETTING_INT, MEMBER(max_content_bytes), .boot = 4096, .least = 64, .most = 1024 * 1024, BYTES},
	{"max_payload_bytes", "Largest payload of an event.",
	 "A column of more than a quarter of it is refused in outgoing messages; in events it is null, "
	 "with a mark such as metadataTruncated. Supabase Realtime takes 256 kB or more.",
	 SETTING_INT, &chat_max_payload_bytes, .boot = 256000, .least = 16384, .most = 64 * 1024 * 1024,
	 BYTES},
	{"max_media_bytes", "Largest media of an outgoing message.", NULL, SETTING_INT,
	 MEMBER(max_media_bytes), .boot = 100 * 1024 * 1024, .most = PG_INT32_MAX, BYTES},
	{"sanitize", "What is done to the content of messages.",
	 "text: what would start markup in HTML is removed; off: nothing.", SETTING_ENUM,
	 MEMBER(sanitize), .boot = CHAT_SANITIZE_TEXT, .choice = sanitize_modes},
	{"allowed_media_types", "Media types that outgoing messages may have.",
	 "Separated by commas; one may end in * after its slash.", SETTING_STRING,
	 MEMBER(allowed_media_types), .boot_text = DEFAULT_MEDIA_TYPES, .check = check_media_types},
	{"preview_labels", "What a conversation shows of media without a caption.",
	 "type=label pairs separated by semicolons; % is the file's name.", SETTING_STRING,
	 MEMBER(preview_labels), .boot_text = DEFAULT_PREVIEW_LABELS, .check = check_preview_labels},
	{"reopen", "Statuses of conversations that are opened again by what the contact writes.",
	 "Separated by commas. Empty: only the API and chat.ingest_wuzapi open conversations, those "
	 "that are resolved.",
	 SETTING_STRING, MEMBER(reopen), .boot_text = "resolved,snoozed", .check = check_statuses},
	{"reopening", "Whether messages open conversations again.",
	 "Off while what is written is no news, such as an edit of a message that is not here.",
	 SETTING_BOOL, &chat_reopening, .boot = true, .flags = GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE},
	{"agents_write", "Whether an assigned agent may do more than read.", NULL, SETTING_OF_PAIR,
	 .value = NULL},
	{"unsigned",
	 "Whether webhooks without a secret are delivered unsigned, instead of getting one.", NULL,
	 SETTING_OF_PAIR, .value = NULL},
	{"inboxes", "Inboxes by the name, user id or token of WUZAPI's instance.",
	 "An object: whose messages they are, and the inbox's id.", SETTING_OF_PAIR_STRINGS,
	 .value = NULL},
	{"phone_rules", "By which rule of a country two phone numbers are one contact.",
	 "br: Brazilian mobile numbers with and without the ninth digit; none: no two are.",
	 SETTING_ENUM, &chat_phone_rules, .boot = CHAT_PHONE_RULES_BR, .choice = phone_rules},
	{"merged_conversations", "What becomes of a conversation that was merged into another one.",
	 "keep: it stays, resolved and empty; remove: it is deleted.", SETTING_ENUM,
	 &merged_conversations, .boot = MERGED_KEEP, .choice = merged_modes},
	{"max_webhooks", "How many webhooks an owner may have.",
	 "What exists stays; chat.create_webhook makes no more.", SETTING_INT, &max_webhooks,
	 .boot = 100, .most = 100000},
	{"presence_events", "Whether users who come to a conversation and go become events.",
	 "On: who tracks presence there at the embedded endpoint causes presence.join and "
	 "presence.leave, as chat.presence does.",
	 SETTING_BOOL, &presence_events, .boot = false},
	{"import", "Whether rows that are written are old history.",
	 "on: events are recorded of conversations only, for nobody's webhooks, and wake no sidecar.",
	 SETTING_BOOL, &chat_import, .boot = false},
	{"rate_limits", "Whether rate limits are kept.",
	 "off: every call is let through, for tests and for servers without shared memory.",
	 SETTING_BOOL, &chat_rate_limits, .boot = true},
	{"cache_checks", "Whether a session keeps the planned CHECK constraints of attached tables.",
	 "off: PostgreSQL plans them anew in each statement.", SETTING_BOOL, &chat_cache_checks,
	 .boot = true},
	{"limit_clock", "Time that rate limits go by, in seconds.",
	 "For tests: it stands still where it is set. -1: the server's monotonic clock.", SETTING_REAL,
	 &chat_limit_clock, .boot = -1, .least = -1, .most = 1e9,
	 .flags = GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE},
	{"retention", "How long events are kept in the log.",
	 "Whole partitions are dropped, so some are kept up to a quarter longer; "
	 "none before every enabled consumer is past it.",
	 SETTING_INT, &retention, .boot = DAY, .least = 1, .most = PG_INT32_MAX, SECONDS},
	{"audit_retention", "How long rows of the audit log are kept.", "0: for ever.", SETTING_INT,
	 &audit_retention, .boot = 365 * DAY, .most = PG_INT32_MAX, SECONDS},
};

/* True when a pair of tables can have its own value. */
static bool
is_of_pair(const Setting *setting)
{
	return setting->value == NULL;
}

/* A setting's place among the values of the server or the overrides of a pair. */
static void *
place_of(const Setting *setting, ChatSettings *values)
{
	return setting->value != NULL ? setting->value : (char *) values + setting->member;
}

static void
define(const Setting *setting)
{
	char *name = psprintf(PREFIX ".%s", setting->name);
	void *place = place_of(setting, &chat_settings);

	switch (setting->type)
	{
		case SETTING_BOOL:
			DefineCustomBoolVariable(name, setting->what, setting->more, place, setting->boot != 0,
									 PGC_SUSET, setting->flags, NULL, NULL, NULL);
			break;
		case SETTING_INT:
			DefineCustomIntVariable(name, setting->what, setting->more, place, (int) setting->boot,
									(int) setting->least, (int) setting->most, PGC_SUSET,
									setting->flags, NULL, NULL, NULL);
			break;
		case SETTING_REAL:
			DefineCustomRealVariable(name, setting->what, setting->more, place, setting->boot,
									 setting->least, setting->most, PGC_SUSET, setting->flags, NULL,
									 NULL, NULL);
			break;
		case SETTING_ENUM:
			DefineCustomEnumVariable(name, setting->what, setting->more, place, (int) setting->boot,
									 setting->choice, PGC_SUSET, setting->flags, NULL, NULL, NULL);
			break;
		case SETTING_STRING:
			DefineCustomStringVariable(name, setting->what, setting->more, place,
									   setting->boot_text, PGC_SUSET, setting->flags,
									   setting->check, NULL, NULL);
			break;
		case SETTING_OF_PAIR:
		case SETTING_OF_PAIR_STRINGS:
			break;
	}
	pfree(name);
}

/* Defines all settings, once per backend. */
void
chat_settings_init(void)
{
	for (int i = 0; i < (int) lengthof(settings); i++)
		define(&settings[i]);
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
	JsonbValue value;

	return chat_json_find(given, name, &value) ? value_text(&value) : NULL;
}

/* Reads the override of one setting; what is not given, or is none, leaves it as the setting. */
static void
read_override(const Setting *setting, const char *text, void *place)
{
	if (setting->type == SETTING_STRING)
		*(char **) place = unconstify(char *, text);
	else if (setting->type == SETTING_INT)
	{
		if (text == NULL || !parse_int(text, place, setting->flags & GUC_UNIT, NULL))
			*(int *) place = -1;
	}
	else if (setting->type == SETTING_ENUM)
	{
		*(int *) place = -1;
		for (const struct config_enum_entry *entry = setting->choice; text && entry->name; entry++)
		{
			if (pg_strcasecmp(text, entry->name) == 0)
				*(int *) place = entry->val;
		}
	}
}

/* True for a switch that is false; one that is not there is true. */
static bool
is_off(Jsonb *given, const char *name)
{
	JsonbValue value;

	return chat_json_find(given, name, &value) && value.type == jbvBool && !value.val.boolean;
}

void
chat_settings_read(ChatSettings *overrides, Jsonb *given)
{
	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		const Setting *setting = &settings[i];

		if (is_of_pair(setting) && setting->type < SETTING_OF_PAIR)
			read_override(setting, member(given, setting->name), place_of(setting, overrides));
	}
	overrides->agents_read_only = is_off(given, "agents_write");
}

/* The setting of this name that a pair can have; error 22023 when there is none. */
static const Setting *
setting_of_pair(const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (!is_of_pair(&settings[i]))
			continue;
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", settings[i].name);
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%s\" is no setting that a pair of tables can have", name),
					errhint("There are: %s.", names.data)));
}

/* Refuses what is no object of strings. */
static void
check_strings(const char *name, const JsonbValue *value)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue item;
	bool right = value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) &&
				 JsonContainerSize(value->val.binary.data) <= MAX_INBOXES;

	iterator = right ? JsonbIteratorInit(value->val.binary.data) : NULL;
	while (right && (token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
		right = (token != WJB_KEY && token != WJB_VALUE) ||
				(item.type == jbvString && item.val.string.len > 0 &&
				 item.val.string.len <= MAX_INBOX_BYTES);
	if (!right)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("setting \"%s\" must be an object of at most %d strings", name, MAX_INBOXES),
			 errhint("Such as {\"sales\": \"5a7c...\"}: an instance's name, and its inbox's id.")));
}

/* Checks one override as SET would check the setting; null, which takes one away, by its name alone. */
static void
check_override(const JsonbValue *key, const JsonbValue *value)
{
	char *name = pnstrdup(key->val.string.val, key->val.string.len);
	const Setting *setting = setting_of_pair(name);
	char *text = value_text(value);

	if (value->type == jbvNull)
		return;
	if (setting->type == SETTING_OF_PAIR_STRINGS)
	{
		check_strings(name, value);
		return;
	}
	if (setting->type == SETTING_OF_PAIR)
	{
		if (value->type != jbvBool)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("setting \"%s\" must be true or false", name)));
		return;
	}
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

PG_FUNCTION_INFO_V1(chat_setting_kinds);

/* SQL: chat.setting_kinds() */
Datum
chat_setting_kinds(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		const Setting *setting = &settings[i];
		Datum values[4] = {
			CStringGetTextDatum(setting->name),
			BoolGetDatum(setting->type < SETTING_OF_PAIR),
			BoolGetDatum(is_of_pair(setting)),
			CStringGetTextDatum(setting->what),
		};
		bool nulls[4] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
