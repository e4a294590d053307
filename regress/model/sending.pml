/*
 * What becomes of events between a read of the log and its end (sidecar/realtime/, sidecar/link/): lanes with a request under way in
 * each, a Realtime that accepts and drops, and the canary; or, with -DENDPOINT, the endpoint's process and its acknowledgements.
 *
 * What is shown, for every interleaving within the bounds below:
 *   - what is done was delivered, whatever answers got lost and whenever the database of Realtime was away;
 *   - events of a topic are first delivered in order, but for those that Realtime dropped, and the newest one comes last in the end;
 *   - an endpoint's clients get all from the first event on that they get, without a gap, for as long as it lives.
 *
 * Realtime's database, once it is away and something was dropped for that, is not back before a canary was told so: what it loses
 * between two canaries, and keeps to itself, nobody can know. An event is a request, a topic a lane. Core and peer are
 * processes; who has lost the lease forgets what is under way, and reads again what is not done, by itself or by another leader in between.
 *
 * Bounds: -DEVENTS, -DLANES, -DOUTAGES (of Realtime's database), -DFAULTS (answers that say nothing), -DLAPSES (of the lease), -DDEATHS
 * (of the endpoint), -DUNDER_WAY (batches to it). BROKEN_… leaves a part of the protocol out: the model has to find the damage.
 */
#ifndef EVENTS
#define EVENTS 4
#endif
#ifdef ENDPOINT
#define LANES 1
#endif
#ifndef LANES
#define LANES 2
#endif
#ifndef OUTAGES
#define OUTAGES 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef LAPSES
#define LAPSES 1
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef UNDER_WAY
#define UNDER_WAY 2
#endif

/* Events are 1 to EVENTS. */
#define LANE(e) ((e) % LANES)
#define BIT(e) (1 << (e))
#define HAS(set, e) (((set) >> (e)) & 1)
#define ALL (BIT(EVENTS + 1) - 2)

mtype = { ACCEPTED, FAILED, CONFIRMED, LOST, LATER };

/* For the assertions. */
byte delivered; /* sets of events */
byte dropped;
byte done;
byte last[LANES]; /* what was delivered last */

byte outages, faults, lapses;

/*
 * The core's lists: pending, accepted and not confirmed, accepted in vain. With what is accepted goes what will confirm it: whether the
 * canary under way was sent after it (a serial in the code), or its batch's number.
 */
chan pending[LANES] = [EVENTS] of { byte };
chan accepted[LANES] = [EVENTS] of { byte, byte };
chan lost[LANES] = [EVENTS] of { byte };
bool doubtful[LANES]; /* what is under way may be dropped like that which is known to be */

/* realtime_lane.c: what was accepted in vain goes before what was not sent yet. */
inline resend_lost(l)
{
	do
	:: empty(lost[l]) -> break
	:: nempty(lost[l]) ->
#ifdef BROKEN_LOST_BEHIND
		lost[l]?e; pending[l]!e
#else
		n = len(pending[l]);
		k = len(lost[l]);
		do
		:: k > 0 -> lost[l]?e; pending[l]!e; k--
		:: else -> break
		od;
		do
		:: n > 0 -> pending[l]?e; pending[l]!e; n--
		:: else -> break
		od
#endif
	od;
	e = 0; n = 0; k = 0
}

/* lane_lose() */
inline lose(l)
{
	do
	:: nempty(accepted[l]) -> accepted[l]?e,n; lost[l]!e
	:: empty(accepted[l]) -> break
	od;
	e = 0; n = 0
}

/* lane_accept() */
inline accept(l, by)
{
	pending[l]?e;
#ifdef BROKEN_DONE_WHEN_ACCEPTED
	finish(e);
#else
	if
	:: nempty(lost[l]) || doubtful[l] -> lost[l]!e
	:: empty(lost[l]) && !doubtful[l] -> accepted[l]!e,by
	fi;
#endif
	e = 0
}

/* Nothing of it needs to be delivered any more. */
inline finish(x)
{
	assert(HAS(delivered, x));
	done = done | BIT(x);
	if
	:: done == ALL ->
		for (k : 0 .. LANES - 1) {
			assert(last[k] == 0 || last[k] + LANES > EVENTS)
		}
	:: else
	fi;
	k = 0
}

/* The lease is lost: all is forgotten, and what is not done is read again. */
inline start_again()
{
	for (l : 0 .. LANES - 1) {
		do :: nempty(pending[l]) -> pending[l]?_ :: empty(pending[l]) -> break od;
		do :: nempty(accepted[l]) -> accepted[l]?_,_ :: empty(accepted[l]) -> break od;
		do :: nempty(lost[l]) -> lost[l]?_ :: empty(lost[l]) -> break od
	};
	for (e : 1 .. EVENTS) {
		if :: !HAS(done, e) -> pending[LANE(e)]!e :: else fi
	};
	e = 0; l = 0
}

#ifndef ENDPOINT

/* realtime_canary.c: one is sent, behind all that is accepted. */
inline cover(l)
{
	k = len(accepted[l]);
	do
	:: k > 0 -> accepted[l]?e,_; accepted[l]!e,1; k--
	:: else -> break
	od;
	e = 0; k = 0
}

/* lane_confirm() */
inline confirm(l)
{
	do
	:: nempty(accepted[l]) ->
		accepted[l]?<e,n>;
		if
#ifdef BROKEN_CANARY_CONFIRMS_LATER
		:: true -> accepted[l]?e,n; finish(e)
#else
		:: n == 1 -> accepted[l]?e,n; finish(e)
		:: else -> break
#endif
		fi
	:: empty(accepted[l]) -> break
	od;
	e = 0; n = 0
}

bool down, told = true; /* told: a canary, since something was dropped */
chan request[LANES] = [2] of { byte };
chan answer[LANES] = [2] of { mtype };
chan canary = [1] of { bit };
chan verdict = [1] of { mtype };

inline reach_clients(x)
{
	for (k : 1 .. EVENTS) {
		assert(!(k < x && LANE(k) == LANE(x) && !HAS(delivered, k) && !HAS(dropped, k)))
	};
	delivered = delivered | BIT(x);
	last[LANE(x)] = x;
	k = 0
}

/* Another sidecar has the lease for a while: it delivers what is next of each lane, and does not hear of what is under way. */
inline another_leads()
{
	for (l : 0 .. LANES - 1) {
		e = 1;
		do
		:: e <= EVENTS && (HAS(done, e) || LANE(e) != l) -> e++
		:: else -> break
		od;
		if
		:: e <= EVENTS -> reach_clients(e); finish(e)
		:: else
		fi
	}
	l = 0; e = 0
}

active proctype realtime()
{
	byte l, x, k;

end:
	do
	:: atomic {
		l = 0;
		do :: l < LANES - 1 -> l++ :: break od;
		if
		:: nempty(request[l]) ->
			request[l]?x;
			if
			:: !down -> d_step { reach_clients(x) }; answer[l]!ACCEPTED
			:: !down && faults < FAULTS -> faults++; d_step { reach_clients(x) }; answer[l]!FAILED
			:: down -> dropped = dropped | BIT(x); told = false; answer[l]!ACCEPTED
			:: faults < FAULTS -> faults++; answer[l]!FAILED
			fi
		:: empty(request[l])
		fi;
		l = 0; x = 0
	}
	:: atomic { nempty(canary) -> canary?_;
		if
		:: !down -> verdict!CONFIRMED
		:: down -> told = true; verdict!LOST
		:: faults < FAULTS -> faults++; verdict!LATER
		fi
	}
	:: !down && outages < OUTAGES -> outages++; down = true
	:: down && told -> down = false
	od
}

active proctype core()
{
	byte l, e, n, k;
	bool inflight[LANES], orphaned[LANES], asking;
	mtype what;

	d_step { start_again() };
end:
	do
	:: atomic {
		l = 0;
		do :: l < LANES - 1 -> l++ :: break od;
		if
#ifdef BROKEN_TWO_IN_A_LANE
		:: len(request[l]) + len(answer[l]) < 2 && len(request[l]) + len(answer[l]) < len(pending[l]) ->
			d_step {
				n = len(request[l]) + len(answer[l]);
				k = len(pending[l]);
				do
				:: k > 0 ->
					pending[l]?e; pending[l]!e;
					if :: n == 0 -> request[l]!e :: else fi;
					n--; k--
				:: else -> break
				od;
				e = 0; n = 0; k = 0
			}
#else
		:: !inflight[l] && nempty(pending[l]) -> pending[l]?<e>; inflight[l] = true; request[l]!e; e = 0
#endif
		:: nempty(answer[l]) ->
			answer[l]?what;
			d_step {
				if
				:: what == ACCEPTED && !orphaned[l] -> accept(l, 0)
				:: else
				fi;
				inflight[l] = false; orphaned[l] = false; doubtful[l] = false;
				resend_lost(l); what = 0
			}
		fi;
		l = 0
	}
	:: atomic { !asking && (nempty(accepted[0]) || nempty(accepted[LANES - 1])) ->
		d_step {
			asking = true;
			for (l : 0 .. LANES - 1) { cover(l) }
			l = 0
		};
		canary!1
	}
	:: atomic { nempty(verdict) -> verdict?what;
		d_step {
			asking = false;
			if
			:: what == CONFIRMED ->
				for (l : 0 .. LANES - 1) { confirm(l) }
			:: what == LOST ->
				for (l : 0 .. LANES - 1) {
					lose(l);
#ifndef BROKEN_NO_DOUBT
					doubtful[l] = inflight[l];
#endif
					if :: !inflight[l] -> resend_lost(l) :: else fi
				}
			:: else
			fi;
			what = 0; l = 0
		}
	}
	:: atomic { lapses < LAPSES -> lapses++;
		if
		:: true
		:: !down -> d_step { another_leads() }
		fi;
		d_step { start_again() };
		for (l : 0 .. LANES - 1) {
#ifdef BROKEN_ORPHANS_ANSWER
			orphaned[l] = false
#else
			orphaned[l] = inflight[l]
#endif
		};
		l = 0
	}
	od
}

#else

byte deaths, newest; /* of this life: the event that clients got last */
chan pipe = [UNDER_WAY] of { byte, byte }; /* number, event */
chan acks = [UNDER_WAY] of { byte };

/* lane_confirm() */
inline confirm(l, number)
{
	do
	:: empty(accepted[l]) -> break
	:: nempty(accepted[l]) ->
		accepted[l]?<e,n>;
		if
		:: n <= number -> accepted[l]?e,n; finish(e)
		:: else -> break
		fi
	od;
	e = 0; n = 0
}

active proctype endpoint()
{
	byte x, n;

end:
	do
	:: atomic { nempty(pipe) && nfull(acks) ->
		pipe?n,x;
		assert(newest == 0 || x == newest + 1);
		newest = x;
		delivered = delivered | BIT(x);
		last[0] = x;
		acks!n; x = 0; n = 0
	}
	od
}

active proctype core()
{
	byte l, e, n, k, sent, confirmed, number;

	d_step { start_again() };
end:
	do
	:: d_step { nempty(pending[0]) && sent - confirmed < UNDER_WAY && nfull(pipe) ->
		pending[0]?<e>;
		sent++;
		pipe!sent,e;
		accept(0, sent);
		e = 0
	}
	:: d_step { nempty(acks) ->
		acks?number;
		if
		:: number > confirmed -> confirmed = number; confirm(0, number)
		:: else
		fi;
		number = 0
	}
	:: d_step { deaths < DEATHS -> deaths++; /* on_down(): it is gone with what was in the pipe, and another one begins */
		do :: nempty(pipe) -> pipe?_,_ :: empty(pipe) -> break od;
#ifndef BROKEN_ACKS_OUTLIVE
		do :: nempty(acks) -> acks?_ :: empty(acks) -> break od;
		confirmed = sent;
#else
		sent = 0; confirmed = 0;
#endif
		newest = 0;
		lose(0);
		resend_lost(0);
		l = 0
	}
	:: d_step { lapses < LAPSES -> lapses++; /* a connection to the database that is lost: clients are told to join again */
		do :: nempty(pipe) -> pipe?_,_ :: empty(pipe) -> break od;
		start_again();
		confirmed = sent; newest = 0
	}
	od
}

#endif
