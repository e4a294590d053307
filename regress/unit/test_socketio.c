/*
 * The Socket.IO sink, with a database that answers what the test says, at times that the test says: what goes out when, and when
 * it counts as delivered.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define db_query stand_in_query
#include "stand_in.h"
#undef db_query

#include "../../sidecar/base/memory.h"
#include "../../sidecar/base/metrics.h"
#include "../../sidecar/config.h"
#include "../../sidecar/socketio/socketio.h"
#include "../../sidecar/socketio/socketio_internal.h"
#include "../../sidecar/socketio/socketio_wire.h"
#include "require.h"

void db_query(struct db *db, const struct db_statement *statement, const char *const *params,
			  db_callback callback, void *arg);

#define EVENTS 12

static uv_loop_t loop;
static struct config config = {.socketio_channel = (char *) "socket.io#/chat",
							   .socketio_table = (char *) "public.t"};
static struct app app = {.loop = &loop, .config = &config};
static struct socketio *sink;

/* The statement under way. */
static struct
{
	const char *name; /* NULL: none */
	char *messages, *bodies;
	db_callback callback;
	void *arg;
} asked;

static void
forget_asked(void)
{
	free(asked.messages);
	free(asked.bodies);
	memset(&asked, 0, sizeof(asked));
}

void
db_query(struct db *db, const struct db_statement *statement, const char *const *params,
		 db_callback callback, void *arg)
{
	(void) db;
	if (asked.name != NULL)
		require("one statement at a time", false);
	asked.name = statement->name;
	if (statement->nparams == 4)
	{
		asked.messages = xstrdup(params[2]);
		asked.bodies = xstrdup(params[3]);
	}
	asked.callback = callback;
	asked.arg = arg;
}

/* Answers it with one row of texts; NULL is NULL. */
static void
answer(const char *first, const char *second)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[2] = {{.name = (char *) "a"}, {.name = (char *) "b"}};
	db_callback callback = asked.callback;
	void *arg = asked.arg;

	if (!PQsetResultAttrs(result, 2, columns) ||
		!PQsetvalue(result, 0, 0, (char *) first, (int) strlen(first)) ||
		!PQsetvalue(result, 0, 1, (char *) second, second != NULL ? (int) strlen(second) : -1))
		abort();
	forget_asked();
	callback(arg, result);
	PQclear(result);
}

static void
answer_error(void)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
	db_callback callback = asked.callback;
	void *arg = asked.arg;

	forget_asked();
	callback(arg, result);
	PQclear(result);
}

static bool
is_asked(const char *name)
{
	return asked.name != NULL && strcmp(asked.name, name) == 0;
}

/* How many events go out. */
static int
count_sent(void)
{
	int count = 0;

	for (const char *at = asked.messages; at != NULL && (at = strstr(at, "\\\"packet\\\"")) != NULL;
		 at++)
		count++;
	return count;
}

static void
pass(uint64_t ms)
{
	loop.time += ms;
	socketio_pump(sink);
}

/* A node answers the question with this number. */
static void
node_answers(const char *uid, uint64_t number)
{
	char *payload = xasprintf("{\"type\":8,\"data\":{\"requestId\":\"%s-%" PRIu64
							  "\",\"sockets\":[]},\"uid\":\"%s\",\"nsp\":\"/chat\"}",
							  sink->token, number, uid);

	socketio_sink.heard(sink, config.socketio_channel, payload);
	free(payload);
}

static void
node_says(const char *uid, int type)
{
	char *payload = xasprintf("{\"type\":%d,\"uid\":\"%s\",\"nsp\":\"/chat\"}", type, uid);

	socketio_sink.heard(sink, config.socketio_channel, payload);
	free(payload);
}

/* --- events --------------------------------------------------------------------------------------- */

static struct log_event events[EVENTS];
static struct read reads[EVENTS];

/* A read of one event: of its conversation, with a message so long. */
static void
deliver(int n, const char *conversation, size_t length, bool state)
{
	static const char head[] = "{\"packet\":{\"type\":2,\"data\":[\"e\",\"";
	static const char tail[] = "\"]},\"opts\":{}}";
	char *message = xmalloc(length);

	memset(message, 'x', length);
	memcpy(message, head, sizeof(head) - 1);
	memcpy(message + length - sizeof(tail) + 1, tail, sizeof(tail) - 1);
	free((char *) events[n].message);
	events[n] = (struct log_event){
		.id = n + 1,
		.state = state,
		.conversation = conversation,
		.conversation_length = (uint32_t) strlen(conversation),
		.topic = "user:1:inbox",
		.topic_length = 12,
		.message = message,
		.message_length = (uint32_t) length,
	};
	reads[n] = (struct read){.consumer = &stand_in, .events = &events[n], .nevents = 1};
	socketio_sink.deliver(sink, &reads[n]);
}

/* Led, listening, and with these nodes known; nothing under way. */
static void
begin(const char *const *uids, int count)
{
	stand_in = (struct consumer){.leads = true};
	if (asked.name != NULL)
		forget_asked();
	if (sink->state != SOCKETIO_OFF)
		socketio_sink.stop(sink);
	sink->orphans = 0;
	memset(&sink->nodes, 0, sizeof(sink->nodes));
	socketio_sink.start(sink);
	require("it listens first", is_asked("socketio_listen"));
	answer("100", NULL);
	require("then asks who is there", is_asked("socketio_send") && count_sent() == 0);
	answer("t", "0");
	for (int i = 0; i < count; i++)
		node_answers(uids[i], sink->number);
	pass(count > 0 ? 400 : 3000);
}

static void
check_order(void)
{
	static const char *const both[] = {"aa", "bb"};

	begin(both, 2);
	require("two servers", nodes_count(&sink->nodes) == 2 && sink->state == SOCKETIO_SENDING);
	deliver(0, "1", 100, false);
	deliver(1, "1", 100, false);
	require("it sends at once", count_sent() == 1 && strstr(asked.messages, "emitter") != NULL);
	node_answers("aa", sink->number);
	answer("t", "0");
	require("not twice within 20 ms", asked.name == NULL);
	require("one of two has answered", stand_in.done == 0);
	node_answers("bb", sink->number);
	require("both have", stand_in.done == 1);
	pass(20);
	require("then the next one", count_sent() == 1);
	answer("t", "0.5");
	node_answers("aa", sink->number);
	node_answers("bb", sink->number);
	deliver(2, "1", 100, false);
	pass(400);
	require("later where the queue is half full", asked.name == NULL);
	pass(200);
	require("but it is sent", count_sent() == 1);
	answer("f", "0.8");
	require("not where it is full, and it says so", socketio_sink.trouble(sink) != NULL);
	pass(999);
	require("for a second", asked.name == NULL);
	pass(1);
	require("then once more", count_sent() == 1);
	answer("t", "0");
	require("and all is well", socketio_sink.trouble(sink) == NULL);
}

static void
check_away(void)
{
	static const char *const both[] = {"aa", "bb"};

	begin(both, 2);
	deliver(0, "1", 100, false);
	answer("t", "0");
	node_answers("aa", sink->number);
	deliver(1, "2", 100, false);
	pass(499);
	require("nothing goes out before both have answered", asked.name == NULL);
	pass(1);
	require("who has not is asked again", is_asked("socketio_send") && count_sent() == 0);
	answer("t", "0");
	node_answers("aa", sink->number);
	require("the other one's answer says nothing", stand_in.done == 0 && sink->batch->sent);
	node_answers("bb", sink->number);
	pass(20);
	require("it was away: the same again",
			count_sent() == 1 && sink->batch->events[0].row == &events[0]);
	answer("t", "0");
	node_answers("bb", sink->number);
	node_answers("aa", sink->number);
	require("now it is there", stand_in.done == 1);
	pass(20);
	require("and the next one goes out",
			count_sent() == 1 && sink->batch->events[0].row == &events[1]);
	node_answers("aa", sink->number);
	node_answers("bb", sink->number);
	require("an answer may come before the word that it is sent", stand_in.done == 1);
	answer("t", "0");
	require("with which it is done", stand_in.done == 2);
}

static void
check_gone(void)
{
	static const char *const both[] = {"aa", "bb"};

	begin(both, 2);
	deliver(0, "1", 100, false);
	answer("t", "0");
	node_answers("aa", sink->number);
	pass(5001);
	require("who is silent is not waited for", stand_in.done == 1 && sink->nodes.awaited == 1);
	begin(both, 2);
	deliver(0, "1", 100, false);
	answer("t", "0");
	node_answers("aa", sink->number);
	node_says("bb", 13);
	require("nor who has said that it ends", stand_in.done == 1 && nodes_count(&sink->nodes) == 1);
	deliver(1, "1", 100, false);
	pass(20);
	answer("t", "0");
	node_says("cc", 1);
	node_answers("aa", sink->number);
	require("who comes later has missed nothing",
			stand_in.done == 2 && nodes_count(&sink->nodes) == 2);
	pass(20);
	require("it is asked", is_asked("socketio_send") && count_sent() == 0);
	answer("t", "0");
	deliver(2, "1", 100, false);
	pass(20);
	answer("t", "0");
	node_answers("aa", sink->number);
	require("and not waited for before it has answered", stand_in.done == 3);
	begin(NULL, 0);
	deliver(0, "1", 100, false);
	require("nobody is there: nobody is told", stand_in.done == 1 && asked.name == NULL);
	require("which is a note", socketio_sink.note(sink) != NULL);
}

static void
check_lost(void)
{
	static const char *const both[] = {"aa", "bb"};

	begin(both, 2);
	deliver(0, "1", 100, false);
	socketio_sink.stop(sink);
	require("stopped, it has forgotten all", sink->batch == NULL && sink->orphans == 1);
	answer("t", "0");
	require("an answer that concerns nobody",
			stand_in.done == 0 && asked.name == NULL && sink->orphans == 0);
	socketio_sink.start(sink);
	answer("1", NULL);
	answer("t", "0");
	node_answers("aa", sink->number);
	deliver(0, "1", 100, false);
	pass(400);
	require("again, it waits for all it knows", count_sent() == 0);
	if (asked.name != NULL)
		answer("t", "0");
	node_answers("bb", sink->number);
	pass(20);
	require("and goes on", count_sent() == 1);
	answer("t", "0");
}

static void
check_sizes(void)
{
	static const char *const one[] = {"aa"};
	const size_t around = wire_broadcast_length("/chat", &(struct log_event){.message_length = 0});

	begin(one, 1);
	deliver(0, "1", 100, false);
	answer("t", "0");
	node_answers("aa", sink->number);
	deliver(1, "1", WIRE_NOTIFY_MAX - around, false);
	deliver(2, "1", WIRE_NOTIFY_MAX - around + 1, false);
	deliver(3, "2", 100, false);
	deliver(4, "1", 100, false);
	pass(20);
	require("an attachment is the last of its conversation",
			count_sent() == 2 && sink->batch->count == 3 && strstr(asked.bodies, "\\\\x") != NULL);
	answer("t", "0");
}

/* What is behind an attachment waits for two answers. */
static void
check_attachment(void)
{
	static const char *const one[] = {"aa"};

	begin(one, 1);
	deliver(0, "1", 9000, false);
	require("an attachment", strstr(asked.bodies, "\\\\x") != NULL);
	answer("t", "0");
	deliver(1, "1", 100, false);
	pass(20);
	require("what is behind it waits", asked.name == NULL);
	node_answers("aa", sink->number);
	require("for an answer", stand_in.done == 1);
	require("and for another", is_asked("socketio_send") && count_sent() == 0);
	answer("t", "0");
	pass(20);
	require("which has not come", asked.name == NULL);
	node_answers("aa", sink->number);
	require("then it goes out", count_sent() == 1);
	answer("t", "0");
}

static void
check_states(void)
{
	static const char *const one[] = {"aa"};

	begin(one, 1);
	deliver(0, "1", 100, false);
	deliver(1, "1", 100, true);
	deliver(2, "2", 100, true);
	deliver(3, "1", 100, true);
	require("of states the last one is sent", stand_in.done == 1 && reads[1].left == 0);
	answer("t", "0");
	node_answers("aa", sink->number);
	pass(20);
	require("with others", count_sent() == 2);
	answer_error();
	require("an error is told", socketio_sink.trouble(sink) != NULL);
	pass(5000);
	require("and what is missing asked for", is_asked("socketio_listen"));
	answer("100", "there is no table: CREATE TABLE t");
	require("which is told", strstr(socketio_sink.trouble(sink), "CREATE TABLE") != NULL);
	pass(5000);
	answer("100", NULL);
	answer("t", "0");
	node_answers("aa", sink->number);
	pass(20);
	require("then they go out", count_sent() == 2 && socketio_sink.trouble(sink) == NULL);
	answer("t", "0");
}

static void
check_wire(void)
{
	struct wire_heard heard;

	require("what an emitter says is no server's",
			!wire_read("{\"uid\":\"emitter\",\"type\":3}", "t", &heard) &&
				!wire_read("{\"type\":3,\"uid\":\"emitter\"}", "t", &heard));
	require("nor is what is no JSON, or has no name",
			!wire_read("x", "t", &heard) && !wire_read("[1]", "t", &heard) &&
				!wire_read("{\"type\":2}", "t", &heard) && !wire_read("{\"uid\":7}", "t", &heard));
	require("a heartbeat",
			wire_read("{\"type\":2,\"uid\":\"aa\",\"nsp\":\"/chat\"}", "t", &heard) &&
				heard.kind == WIRE_OTHER && strcmp(heard.uid, "aa") == 0);
	require("an answer", wire_read("{\"type\":8,\"data\":{\"requestId\":\"t-7\"},\"uid\":\"aa\"}",
								   "t", &heard) &&
							 heard.kind == WIRE_ANSWER && heard.number == 7);
	require(
		"to somebody else",
		wire_read("{\"type\":8,\"data\":{\"requestId\":\"u-7\"},\"uid\":\"aa\"}", "t", &heard) &&
			heard.kind == WIRE_OTHER &&
			wire_read("{\"type\":8,\"data\":{\"requestId\":\"t-7x\"},\"uid\":\"aa\"}", "t",
					  &heard) &&
			heard.kind == WIRE_OTHER);
}

static void
check_nodes(void)
{
	struct nodes nodes = {.awaited = 0};
	char uid[80];
	bool all = true;

	for (int i = 0; i < NODES_STRANGERS; i++)
	{
		snprintf(uid, sizeof(uid), "n%d", i);
		all = all && nodes_hear(&nodes, uid, false, 1) == i;
	}
	require("half of the room is for those that only say that they are there, and are not awaited",
			all && nodes_hear(&nodes, "another", false, 1) < 0 && nodes.awaited == 0 &&
				nodes.unasked);
	for (int i = 0; i < NODES_MOST; i++)
	{
		snprintf(uid, sizeof(uid), "n%d", i);
		all = all && nodes_hear(&nodes, uid, true, 1) == i;
		nodes_answered(&nodes, i);
	}
	require("as many as there is room for",
			all && nodes_hear(&nodes, "another", true, 1) < 0 && nodes.awaited == UINT64_MAX);
	memset(uid, 'x', sizeof(uid) - 1);
	uid[sizeof(uid) - 1] = '\0';
	require("no name, or too long a one",
			nodes_hear(&nodes, "", true, 1) < 0 && nodes_hear(&nodes, uid, true, 1) < 0);
	require("one leaves", nodes_leave(&nodes, "n7") == UINT64_C(1) << 7 &&
							  nodes_leave(&nodes, "n7") == 0 &&
							  nodes_hear(&nodes, "another", true, 1) == 7);
	nodes_give_up(&nodes, 1);
	require("one is not awaited any more", (nodes.awaited & 1) == 0 &&
											   nodes_hear(&nodes, "n0", false, 5) == 0 &&
											   (nodes.awaited & 1) == 0);
	nodes_answered(&nodes, 0);
	require("until it answers", (nodes.awaited & 1) != 0);
	require("those that are silent are forgotten",
			nodes_expire(&nodes, 2 + NODES_FORGET_MS) == (UINT64_MAX & ~UINT64_C(1)) &&
				nodes_count(&nodes) == 1);
}

int
main(void)
{
	log_setup(true, LOG_ERROR + 1);
	uv_loop_init(&loop);
	app.metrics = metrics_create();
	stand_in.leads = true;
	sink = socketio_sink.create(&app, &stand_in);
	loop.time = 100000;
	check_wire();
	check_nodes();
	check_order();
	check_away();
	check_gone();
	check_lost();
	check_sizes();
	check_attachment();
	check_states();
	socketio_sink.destroy(sink);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	metrics_destroy(app.metrics);
	forget_asked();
	for (int i = 0; i < EVENTS; i++)
		free((char *) events[i].message);
	return 0;
}
