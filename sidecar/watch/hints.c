/*
 * See hints.h. A standby asks as well.
 */
#include "watch/hints.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "io/db.h"
#include "sinks.h"

#define EVERY_MS 30000
#define FIRST_MS 500 /* and while there is no connection */

struct hints
{
	struct app *app;
	uv_timer_t timer;
	bool asking;
	json_t *list;
};

static const struct db_statement statement = {
	"hints", "SELECT h AS hint FROM chat.channel_hints() h ORDER BY h", 0, "hint?", DB_ANY_ROWS};

/* Says what was not said before. */
static void
log_news(const json_t *old, const json_t *fresh)
{
	size_t i;
	json_t *hint;

	if (json_equal(old, fresh))
		return;
	json_array_foreach(fresh, i, hint)
		log_event(LOG_WARN, "the database has a hint", "hint", "%s", json_string_value(hint), NULL);
}

static void
on_answer(void *arg, PGresult *result)
{
	struct hints *hints = arg;
	json_t *list;

	hints->asking = false;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return;
	list = json_array();
	for (int row = 0; row < PQntuples(result); row++)
		json_array_append_new(list, json_string(PQgetvalue(result, row, 0)));
	log_news(hints->list, list);
	json_decref(hints->list);
	hints->list = list;
}

static void
on_timer(uv_timer_t *timer)
{
	struct hints *hints = timer->data;
	struct db *db = sinks_db(hints->app);

	if (hints->asking || db == NULL)
		return;
	uv_timer_start(timer, on_timer, EVERY_MS, FIRST_MS);
	hints->asking = true;
	db_query(db, &statement, NULL, on_answer, hints);
}

struct hints *
hints_create(struct app *app)
{
	struct hints *hints = xcalloc(1, sizeof(*hints));

	hints->app = app;
	hints->list = json_array();
	uv_timer_init(app->loop, &hints->timer);
	hints->timer.data = hints;
	uv_timer_start(&hints->timer, on_timer, FIRST_MS, FIRST_MS);
	return hints;
}

static void
on_closed(uv_handle_t *timer)
{
	struct hints *hints = timer->data;

	json_decref(hints->list);
	free(hints);
}

void
hints_destroy(struct hints *hints)
{
	uv_close((uv_handle_t *) &hints->timer, on_closed);
}

json_t *
hints_list(const struct hints *hints)
{
	return hints != NULL ? json_deep_copy(hints->list) : json_array();
}
