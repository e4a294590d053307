/*
 * See surroundings.h.
 */
#include "watch/surroundings.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "io/db.h"
#include "sinks.h"

#define LOOK_MS 500 /* for a connection */

const char surroundings_forgotten_url[] =
	"the database has Supabase Realtime's schema, and REALTIME_URL is not set: events go to the embedded endpoint alone";
const char surroundings_mend[] =
	"set REALTIME_URL, or REALTIME_TRANSPORT=database, where clients are connected to Supabase Realtime";

struct surroundings
{
	struct app *app;
	uv_timer_t timer;
};

static const struct db_statement statement = {
	"surroundings", "SELECT pg_catalog.to_regnamespace('realtime') IS NOT NULL AS realtime", 0,
	"realtime", DB_ONE_ROW};

/* Without an answer it is asked again: the timer goes on. */
static void
on_answer(void *arg, PGresult *result)
{
	struct surroundings *surroundings = arg;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return;
	uv_timer_stop(&surroundings->timer);
	if (!config_has_realtime(surroundings->app->config) && PQgetvalue(result, 0, 0)[0] == 't')
		log_event(LOG_WARN, surroundings_forgotten_url, "hint", "%s", surroundings_mend, NULL);
}

static void
on_timer(uv_timer_t *timer)
{
	struct surroundings *surroundings = timer->data;
	struct db *db = sinks_db(surroundings->app);

	if (db == NULL)
		return;
	uv_timer_start(timer, on_timer, 60 * LOOK_MS, LOOK_MS);
	db_query(db, &statement, NULL, on_answer, surroundings);
}

struct surroundings *
surroundings_create(struct app *app)
{
	struct surroundings *surroundings = xcalloc(1, sizeof(*surroundings));

	surroundings->app = app;
	uv_timer_init(app->loop, &surroundings->timer);
	surroundings->timer.data = surroundings;
	uv_timer_start(&surroundings->timer, on_timer, LOOK_MS, LOOK_MS);
	return surroundings;
}

static void
on_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void
surroundings_destroy(struct surroundings *surroundings)
{
	uv_close((uv_handle_t *) &surroundings->timer, on_closed);
}
