/*
 * See maintain.h.
 */
#include "watch/maintain.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "io/db.h"
#include "io/db_error.h"
#include "sinks.h"

#define EVERY_MS 60000
#define SOON_MS 100 /* where there is more to do of what goes in portions */
#define FIRST_MS 2000

struct maintain
{
	struct app *app;
	uv_timer_t timer;
	bool asking;
};

static const struct db_statement statement = {
	"maintain", "SELECT object, action FROM chat.maintain()", 0, "object? action?", DB_ANY_ROWS};

/* True for what is done in portions, when there are more. */
static bool
goes_on(const char *action)
{
	static const char words[] = "goes on";
	size_t length = strlen(action);

	return length >= sizeof(words) && strcmp(action + length - (sizeof(words) - 1), words) == 0;
}

static void on_timer(uv_timer_t *timer);

static void
on_answer(void *arg, PGresult *result)
{
	struct maintain *maintain = arg;
	struct db_error error;

	maintain->asking = false;
	if (result == NULL)
		return;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		db_error_of_result(result, &error);
		log_event(LOG_WARN, "maintenance failed", "error", "%s", error.text, "sqlstate", "%s",
				  error.sqlstate, "hint", "%s", error.hint, NULL);
		return;
	}
	for (int row = 0; row < PQntuples(result); row++)
	{
		if (goes_on(PQgetvalue(result, row, 1)))
			uv_timer_start(&maintain->timer, on_timer, SOON_MS, EVERY_MS);
		log_event(strncmp(PQgetvalue(result, row, 1), "failed", 6) == 0 ? LOG_WARN : LOG_INFO,
				  "maintenance", "object", "%s", PQgetvalue(result, row, 0), "action", "%s",
				  PQgetvalue(result, row, 1), NULL);
	}
}

static void
on_timer(uv_timer_t *timer)
{
	struct maintain *maintain = timer->data;
	struct db *db = sinks_db(maintain->app);

	if (maintain->asking || db == NULL)
		return;
	maintain->asking = true;
	db_query(db, &statement, NULL, on_answer, maintain);
}

struct maintain *
maintain_create(struct app *app)
{
	struct maintain *maintain = xcalloc(1, sizeof(*maintain));

	maintain->app = app;
	uv_timer_init(app->loop, &maintain->timer);
	maintain->timer.data = maintain;
	uv_timer_start(&maintain->timer, on_timer, FIRST_MS, EVERY_MS);
	return maintain;
}

static void
on_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void
maintain_destroy(struct maintain *maintain)
{
	uv_close((uv_handle_t *) &maintain->timer, on_closed);
}
