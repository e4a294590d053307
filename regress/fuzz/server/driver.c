/*
 * libFuzzer inside a server, for what needs one: chat_fuzz(target, arguments) runs it in the backend that calls it. The
 * extension is built with coverage, and with undefined behaviour trapped.
 *
 * libFuzzer ends the process when it is done, and with it the session.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "targets.h"

extern int LLVMFuzzerRunDriver(int *argc, char ***argv,
							   int (*one_input)(const uint8_t *data, size_t size));

PG_FUNCTION_INFO_V1(chat_fuzz);

static const FuzzTarget *target;
static MemoryContext context;

/* An error is an answer, unless the server itself is at fault. */
static void
judge_error(void)
{
	int category = ERRCODE_TO_CATEGORY(geterrcode());

	if (category == ERRCODE_INTERNAL_ERROR)
	{
		EmitErrorReport();
		abort();
	}
	FlushErrorState();
}

static int
one_input(const uint8_t *data, size_t size)
{
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		target->run((const char *) data, size);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		judge_error();
	}
	PG_END_TRY();
	MemoryContextReset(context);
	return 0;
}

/* SQL: chat_fuzz(target text, arguments text[]) */
Datum
chat_fuzz(PG_FUNCTION_ARGS)
{
	Datum *words;
	int count;
	char **arguments;

	target = fuzz_target(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &words, NULL,
					  &count);
	arguments = palloc0((count + 2) * sizeof(char *));
	arguments[0] = "chat_fuzz";
	for (int i = 0; i < count; i++)
		arguments[i + 1] = TextDatumGetCString(words[i]);
	context = AllocSetContextCreate(TopMemoryContext, "fuzzing", ALLOCSET_DEFAULT_SIZES);
	count++;
	PG_RETURN_INT32(LLVMFuzzerRunDriver(&count, &arguments, one_input));
}
