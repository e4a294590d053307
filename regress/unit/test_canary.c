/*
 * The canary: what it says and hears, how long its events take, and where it goes. Time is the test's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/canary/canary_frames.h"
#include "../../sidecar/canary/canary_target.h"
#include "../../sidecar/canary/canary_trips.h"
#include "../../sidecar/config.h"
#include "require.h"

#define TOPIC "canary:0123456789abcdef"
#define OURS "realtime:" TOPIC

static bool
says(char *frame, const char *expected)
{
	bool same = strcmp(frame, expected) == 0;

	if (!same)
		printf("# %s\n", frame);
	free(frame);
	return same;
}

static void
test_said(void)
{
	require("said: a join, private, with a token",
			says(canary_frame_join(TOPIC, true, "t"),
				 "[\"1\",\"1\",\"" OURS "\",\"phx_join\",{\"config\":{\"broadcast\":{\"ack\":false,"
				 "\"self\":true},\"presence\":{\"enabled\":false},\"postgres_changes\":[],"
				 "\"private\":true},\"access_token\":\"t\"}]"));
	require("said: a join, public, without",
			says(canary_frame_join(TOPIC, false, NULL),
				 "[\"1\",\"1\",\"" OURS "\",\"phx_join\",{\"config\":{\"broadcast\":{\"ack\":false,"
				 "\"self\":true},\"presence\":{\"enabled\":false},\"postgres_changes\":[],"
				 "\"private\":false}}]"));
	require("said: a heartbeat",
			says(canary_frame_heartbeat(), "[null,\"2\",\"phoenix\",\"heartbeat\",{}]"));
	require("said: a token",
			says(canary_frame_token(TOPIC, "t"),
				 "[\"1\",\"3\",\"" OURS "\",\"access_token\",{\"access_token\":\"t\"}]"));
	require("said: an event",
			says(canary_frame_push(TOPIC, 7),
				 "[\"1\",\"4\",\"" OURS "\",\"broadcast\",{\"type\":\"broadcast\",\"event\":"
				 "\"canary\",\"payload\":{\"number\":7}}]"));
}

static struct canary_frame frame;

static enum canary_message
hears(const char *text)
{
	canary_frame_read(&frame, TOPIC, text, strlen(text), false);
	return frame.message;
}

static enum canary_message
hears_bytes(const char *bytes, size_t len)
{
	canary_frame_read(&frame, TOPIC, bytes, len, true);
	return frame.message;
}

#define BROADCAST(payload)                                                                         \
	"[\"1\",null,\"" OURS "\",\"broadcast\",{\"type\":\"broadcast\",\"event\":\"canary\","         \
	"\"payload\":" payload "}]"

static void
test_heard(void)
{
	require("heard: joined",
			hears("[\"1\",\"1\",\"" OURS "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]") ==
				CANARY_JOINED);
	require("heard: refused, and why, in one line",
			hears("[\"1\",\"1\",\"" OURS "\",\"phx_reply\",{\"status\":\"error\",\"response\":"
				  "{\"reason\":\"Unauthorized:\\nno\"}}]") == CANARY_REFUSED &&
				strcmp(frame.reason, "Unauthorized: no") == 0);
	require("heard: the heartbeat's answer",
			hears("[null,\"2\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]") ==
				CANARY_BEATS);
	require("heard: an event",
			hears(BROADCAST("{\"number\":41}")) == CANARY_EVENT && frame.number == 41);
	require("heard: one without a number", hears(BROADCAST("{}")) == CANARY_NOTHING);
	require("heard: one below zero", hears(BROADCAST("{\"number\":-1}")) == CANARY_NOTHING);
	require("heard: one that is too large",
			hears(BROADCAST("{\"number\":99999999999999999999}")) == CANARY_NOTHING);
	require("heard: closed", hears("[\"1\",null,\"" OURS "\",\"phx_close\",{}]") == CANARY_CLOSED &&
								 frame.reason[0] == '\0');
	require("heard: an error of the system",
			hears("[\"1\",null,\"" OURS
				  "\",\"system\",{\"status\":\"error\",\"message\":\"x\"}]") == CANARY_CLOSED &&
				strcmp(frame.reason, "x") == 0);
	require("heard: no error of the system",
			hears("[\"1\",null,\"" OURS "\",\"system\",{\"status\":\"ok\"}]") == CANARY_NOTHING);
	require("heard: another's close",
			hears("[\"1\",null,\"realtime:other\",\"phx_close\",{}]") == CANARY_NOTHING);
	require("heard: nothing", hears("") == CANARY_NOTHING);
	require("heard: half an array", hears("[\"1\",") == CANARY_NOTHING);
	require("heard: another length", hears("[1,2,3,4]") == CANARY_NOTHING);
	require("heard: an object", hears("{\"topic\":\"" OURS "\"}") == CANARY_NOTHING);
}

#define HEAD "\x04\x20\x06\x00\x01"

static void
test_heard_in_binary(void)
{
	static const char whole[] = HEAD OURS "canary{\"number\":41}";
	static const char other[] = HEAD "realtime:canary:0123456789abcdee"
									 "canary{\"number\":41}";
	size_t len = sizeof(whole) - 1;

	require("binary: an event", hears_bytes(whole, len) == CANARY_EVENT && frame.number == 41);
	for (size_t cut = 0; cut < len; cut++)
	{
		if (hears_bytes(whole, cut) != CANARY_NOTHING)
			require("binary: a part of it is nothing", false);
	}
	require("binary: another topic", hears_bytes(other, sizeof(other) - 1) == CANARY_NOTHING);
	require("binary: lengths beyond it", hears_bytes("\x04\xff\xff\xff\x01", 5) == CANARY_NOTHING);
}

static void
test_trips(void)
{
	struct canary_trips trips = {.last = 0};
	bool missing;
	uint64_t number = canary_trips_begin(&trips, &missing);

	require("trips: the first one misses none", number == 1 && !missing);
	require("trips: written, and under way", canary_trips_written(&trips, 1, 100.0) < 0);
	require("trips: arrived", canary_trips_arrived(&trips, 1, 100.25) == 0.25);
	require("trips: arrived again", canary_trips_arrived(&trips, 1, 100.5) < 0);
	require("trips: nobody sent it", canary_trips_arrived(&trips, 2, 100.5) < 0 &&
										 canary_trips_arrived(&trips, 0, 100.5) < 0);
	number = canary_trips_begin(&trips, &missing);
	require("trips: none is missing", number == 2 && !missing);
	require("trips: it may arrive before it is known to be written",
			canary_trips_arrived(&trips, 2, 110.5) < 0 &&
				canary_trips_written(&trips, 2, 110.0) == 0.5);
	(void) canary_trips_begin(&trips, &missing);
	(void) canary_trips_written(&trips, 3, 120.0);
	require("trips: a clock that was set", canary_trips_arrived(&trips, 3, 119.0) == 0);
	(void) canary_trips_begin(&trips, &missing);
	(void) canary_trips_written(&trips, 4, 130.0);
	(void) canary_trips_begin(&trips, &missing);
	require("trips: one is missing", missing && trips.missing_in_row == 1);
	(void) canary_trips_begin(&trips, &missing);
	require("trips: two are", missing && trips.missing_in_row == 2);
	require("trips: it comes late",
			canary_trips_arrived(&trips, 4, 155.0) == 25.0 && trips.missing_in_row == 0);
	canary_trips_forget(&trips, 6);
	number = canary_trips_begin(&trips, &missing);
	require("trips: one that was not written is not missed", number == 7 && !missing);
	for (int i = 0; i < CANARY_TRIPS; i++)
		(void) canary_trips_begin(&trips, &missing);
	require("trips: one that is too late", canary_trips_arrived(&trips, 7, 300.0) < 0);
	canary_trips_clear(&trips);
	number = canary_trips_begin(&trips, &missing);
	require("trips: after a break none is missing, and numbers go on",
			number == 16 && !missing && trips.missing_in_row == 0);
}

static struct canary_target target;

static bool
goes(const char *url, const char *host, const char *key)
{
	const struct config config = {.realtime_url = (char *) url,
								  .realtime_host = (char *) host,
								  .realtime_key = (char *) key,
								  .realtime_transport = (char *) "http"};
	char error[128];

	canary_target_free(&target);
	return canary_target_make(&target, &config, 0, error, sizeof(error));
}

static bool
is_at(const char *name, int port, const char *host, const char *path)
{
	return strcmp(target.name, name) == 0 && target.port == port &&
		   strcmp(target.host, host) == 0 && strcmp(target.path, path) == 0;
}

static void
test_target(void)
{
	char *long_key = calloc(1, 3001);

	require("target: Realtime itself", goes("http://realtime:4000", NULL, "a.b.c") && !target.tls &&
										   is_at("realtime", 4000, "realtime:4000",
												 "/socket/websocket?apikey=a.b.c&vsn=2.0.0") &&
										   strcmp(target.token, "a.b.c") == 0);
	require("target: through a gateway, with TLS",
			goes("https://x.example/realtime/v1/", NULL, "sb_secret_a+b") && target.tls &&
				is_at("x.example", 443, "x.example",
					  "/realtime/v1/websocket?apikey=sb_secret_a%2Bb&vsn=2.0.0") &&
				target.token == NULL);
	require("target: the tenant's host",
			goes("http://[::1]:4000/", "realtime-dev", "a.b.c") &&
				is_at("::1", 4000, "realtime-dev", "/socket/websocket?apikey=a.b.c&vsn=2.0.0"));
	require("target: user and password are not shown",
			goes("http://me:secret@realtime:4000", NULL, "a.b.c") &&
				strcmp(target.shown, "ws://realtime:4000") == 0);
	require("target: no URL", !goes("http://", NULL, "a.b.c"));
	memset(long_key, 'a', 3000);
	long_key[10] = long_key[20] = '.';
	require("target: a key that is too long", !goes("http://realtime", NULL, long_key));
	free(long_key);
	canary_target_free(&target);
}

static void
test_endpoint(void)
{
	struct config config = {.realtime_transport = (char *) "http",
							.embedded_listen = (char *) "0.0.0.0:4000",
							.embedded_jwt_secret =
								(char *) "01234567890123456789012345678901,other"};
	char error[128];

	require("endpoint: on this machine, with a token of ours",
			canary_target_make(&target, &config, 1000, error, sizeof(error)) && target.expires &&
				target.token != NULL && strcmp(target.shown, "ws://127.0.0.1:4000") == 0);
	canary_target_free(&target);
	config.embedded_listen = (char *) "[::]:4000";
	require("endpoint: the other family",
			canary_target_make(&target, &config, 1000, error, sizeof(error)) &&
				strcmp(target.name, "::1") == 0);
	canary_target_free(&target);
	config.embedded_listen = (char *) "10.0.0.1:80";
	require("endpoint: an address",
			canary_target_make(&target, &config, 1000, error, sizeof(error)) &&
				strcmp(target.name, "10.0.0.1") == 0);
	canary_target_free(&target);
}

int
main(void)
{
	test_said();
	test_heard();
	test_heard_in_binary();
	test_trips();
	test_target();
	test_endpoint();
	return 0;
}
