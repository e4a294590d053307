/*
 * The doorbell and the cursor (extension/doorbell.c, extension/log_reader.c, sidecar/consumer/): transactions that write
 * events, and sidecars that read, deliver and sleep.
 *
 * What is shown, for every interleaving within the bounds below:
 *   - what committed is delivered, and a saved position covers nothing that was not;
 *   - nothing that rolled back is delivered;
 *   - events of one conversation are first delivered in the order of their commits;
 *   - no sidecar sleeps while an event waits, but for events of prepared transactions, which do not ring;
 *   - what is saved as done stays done, also with two sidecars, frozen ones and ones that crash anywhere.
 *
 * One transaction writes one event. What a sidecar asks the database is a single step, as a statement with a snapshot of its
 * own is; but a read of the log is several, between which others go on: it disarms, looks, arms, looks again in another
 * snapshot, and disarms where that found something. Time passes as it likes: a lease lapses whenever it may, and the slow poll comes only where nothing else
 * would wake the sidecar, which is what makes "nobody sleeps while an event waits" an assertion.
 *
 * Bounds: -DWRITERS, -DCONVERSATIONS, -DSIDECARS (1 or 2), -DCRASHES, -DLAPSES (of leases), -DROWS (of one read),
 * -DBATCHES (read and not yet done), -DPLAIN_WRITERS (they only commit or roll back). BROKEN_… leaves a part of the
 * protocol out: the model has to find the damage.
 */
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef CONVERSATIONS
#define CONVERSATIONS 2
#endif
#ifndef SIDECARS
#define SIDECARS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef LAPSES
#define LAPSES 1
#endif
#ifndef ROWS
#define ROWS 1
#endif
#ifndef BATCHES
#define BATCHES 1
#endif

#define NOBODY SIDECARS
#define CONVERSATION(t) ((t) % CONVERSATIONS)
#define BIT(t) (1 << (t))
#define HAS(set, t) (((set) >> (t)) & 1)

/* Transactions. An id, like an xid, is 0 until it is drawn. */
mtype = { OPEN, COMMITTED, ABORTED };
mtype status[WRITERS] = OPEN;
byte xid[WRITERS];
byte id[WRITERS];
bool was_prepared[WRITERS];
byte next_xid = 1;
byte next_id = 1;
byte latest_completed;          /* xid */
bool locked[CONVERSATIONS]; /* conversations, FOR NO KEY UPDATE */
bool kept[CONVERSATIONS];   /* for ever, by a transaction that stays open or prepared */
byte finished;                  /* transactions that are over, or stay as they are */

/* The doorbell: an advisory lock. Writers hold it in RowExclusiveLock, sleepers in ShareLock. */
byte writers_hold; /* set of transactions */
bool armed[SIDECARS];
bool notified[SIDECARS]; /* a NOTIFY is on its way */
bool listening[SIDECARS];

/* chat.consumer */
byte epoch;
byte owner = NOBODY;
bool lapsed;
byte saved_id;
byte saved_xmax = 1;
byte saved_xip; /* set of transactions */

/* For the assertions. */
byte delivered; /* set of transactions */
byte crashes, lapses;
bool leads[SIDECARS]; /* by the process's own clock */
byte swept; /* epoch of the leader whose slow poll came after the last commit */

/* Was transaction t over for snapshot (xmax, xip)? */
#define SEEN(t, xmax, xip) (xid[t] != 0 && xid[t] < (xmax) && !HAS(xip, t))

#ifdef BROKEN_CURSOR_BY_ID
#define LATE(t, xmax, xip) false
#else
#ifdef BROKEN_LATE_ONLY_IN_PROGRESS
#define LATE(t, xmax, xip) HAS(xip, t)
#else
#define LATE(t, xmax, xip) (HAS(xip, t) || xid[t] >= (xmax))
#endif
#endif

/* Does a position say that t is done? */
#define COVERS(t, last, xmax, xip) (id[t] != 0 && id[t] <= (last) && SEEN(t, xmax, xip))

/* Its end, as others see it. */
#define COMPLETE(t) \
	if :: xid[t] > latest_completed -> latest_completed = xid[t] :: else fi; \
	locked[CONVERSATION(t)] = false

inline ring()
{
	for (s : 0 .. SIDECARS - 1) {
		if :: listening[s] -> notified[s] = true :: else fi
	}
}

/* The pre-commit callback: nobody sleeps, or a NOTIFY. */
inline before_commit(t)
{
	rings = false;
	for (s : 0 .. SIDECARS - 1) {
		if :: armed[s] -> rings = true :: else fi
	}
#ifndef BROKEN_NO_LOCK_BY_WRITERS
	if :: !rings -> writers_hold = writers_hold | BIT(t) :: else fi
#endif
}

proctype writer(byte t)
{
	byte s;
	bool rings;

	d_step { xid[t] = next_xid; next_xid++ }; /* its first row */
#ifdef BROKEN_ID_BEFORE_LOCK
	d_step { id[t] = next_id; next_id++ };
#endif
	if /* the flush */
	:: d_step {
		!locked[CONVERSATION(t)] -> locked[CONVERSATION(t)] = true;
#ifndef BROKEN_ID_BEFORE_LOCK
		id[t] = next_id; next_id++
#endif
	}
	:: kept[CONVERSATION(t)] -> finished++; goto over /* waits for ever */
	fi;
	if
	:: true -> /* commits */
		d_step { before_commit(t) };
#ifdef BROKEN_LOCK_ENDS_BEFORE_VISIBLE
		d_step { writers_hold = writers_hold & ~BIT(t) };
#endif
		d_step { status[t] = COMMITTED; COMPLETE(t); swept = 0 };
		d_step { /* locks end, or the NOTIFY goes out */
			if :: rings -> ring() :: else -> writers_hold = writers_hold & ~BIT(t) fi;
			finished++; s = 0; rings = false
		}
	:: true -> /* rolls back */
		d_step { status[t] = ABORTED; COMPLETE(t); finished++ }
#ifndef PLAIN_WRITERS
	:: true -> /* prepares, and is committed later */
		was_prepared[t] = true;
		d_step { status[t] = COMMITTED; COMPLETE(t); swept = 0; finished++ }
	:: true -> /* stays open, or prepared */
		d_step { kept[CONVERSATION(t)] = true; finished++ }
#endif
	fi;
over:
	skip
}

/*
 * What a sidecar is about: the states of sidecar/consumer/consumer_log.c, and those of a read in extension/log_reader.c, of which
 * it knows nothing before the answer.
 */
mtype = { IDLE, DISARM, FIRST, ARM, SECOND, RELEASE, ANSWER, ASLEEP, RETRY };

/* read_log() */
#define READ_LOG rung = false; state = (armed[me] -> DISARM : FIRST)

#define MAY_READ (leads[me] && nbatches < BATCHES)

/* consumer_advance(): reads on, unless it is asleep or has its time. */
#ifdef BROKEN_RING_FORGOTTEN
#define ADVANCE if :: MAY_READ && state == IDLE -> READ_LOG :: else fi
#else
#define ADVANCE \
	if \
	:: MAY_READ && (state == IDLE || (state == ASLEEP && rung)) -> READ_LOG \
	:: else \
	fi
#endif

/* rest(): nothing was found. */
#ifdef BROKEN_RING_MEANWHILE
#define REST state = (armed[me] -> ASLEEP : RETRY)
#else
#define REST if :: rung -> READ_LOG :: else -> state = (armed[me] -> ASLEEP : RETRY) fi
#endif

/* A read of the log: one snapshot, which becomes the next position. */
inline read_statement()
{
	xmax = latest_completed + 1;
	xip = 0;
	found = 0;
	for (t : 0 .. WRITERS - 1) {
		if :: status[t] == OPEN && xid[t] != 0 && xid[t] < xmax -> xip = xip | BIT(t) :: else fi
	}
	for (t : 0 .. WRITERS - 1) { /* the late ones, all */
		if
		:: status[t] == COMMITTED && id[t] <= read_id && LATE(t, read_xmax, read_xip) -> found = found | BIT(t)
		:: else
		fi
	}
	rows = 0;
	limit = read_id;
	for (n : 1 .. WRITERS) { /* those after read_id, in id order, so many */
		for (t : 0 .. WRITERS - 1) {
			if
			:: id[t] == n && n > read_id && status[t] == COMMITTED && rows < ROWS ->
				found = found | BIT(t); rows++; limit = n
			:: else
			fi
		}
	}
	moved = (found != 0 || limit != read_id);
	read_id = limit; read_xmax = xmax; read_xip = xip;
	n = 0; t = 0; rows = 0; limit = 0; xmax = 0; xip = 0
}

/* on_read() */
inline take_rows()
{
	state = IDLE;
	if
	:: moved ->
		batch[nbatches] = found; batch_id[nbatches] = read_id;
		batch_xmax[nbatches] = read_xmax; batch_xip[nbatches] = read_xip; nbatches++;
#ifdef BROKEN_SAVED_BEFORE_DELIVERED
		done_id = read_id; done_xmax = read_xmax; done_xip = read_xip;
#endif
		ADVANCE
	:: else -> if :: MAY_READ -> REST :: else fi
	fi;
	found = 0; moved = false
}

/* Any event of a batch. */
inline choose_event()
{
	t = 0;
	do
	:: t < WRITERS - 1 -> t++
	:: break
	od
}

/* May t be sent? Not before what precedes it in its conversation. Leaves the number of its batch in n. */
inline first_in_line(t)
{
	clear = false;
	n = 0;
	do
	:: n < nbatches && HAS(batch[n], t) -> clear = true; break
	:: n < nbatches && !HAS(batch[n], t) ->
		for (k : 0 .. WRITERS - 1) {
			if :: HAS(batch[n], k) && CONVERSATION(k) == CONVERSATION(t) -> earlier = true :: else fi
		};
		n++
	:: n >= nbatches -> break
	od;
	if
	:: clear ->
		for (k : 0 .. WRITERS - 1) {
			if
			:: k != t && HAS(batch[n], k) && CONVERSATION(k) == CONVERSATION(t) && id[k] < id[t] -> earlier = true
			:: else
			fi
		}
	:: else
	fi;
	clear = clear && !earlier;
	earlier = false; k = 0
}

/* Accepted by the endpoint. */
inline deliver(t)
{
	assert(status[t] == COMMITTED);
	if
	:: !HAS(delivered, t) ->
		for (k : 0 .. WRITERS - 1) {
			assert(!(k != t && CONVERSATION(k) == CONVERSATION(t) && status[k] == COMMITTED &&
				id[k] < id[t] && !HAS(delivered, k)));
			assert(!(k != t && CONVERSATION(k) == CONVERSATION(t) && id[k] > id[t] && HAS(delivered, k)))
		};
		delivered = delivered | BIT(t)
	:: else
	fi;
	batch[n] = batch[n] & ~BIT(t);
	k = 0
}

/* collect_done(): the position to save is that of the longest prefix of batches that are done. */
inline collect_done()
{
	do
	:: nbatches > 0 && batch[0] == 0 ->
		done_id = batch_id[0]; done_xmax = batch_xmax[0]; done_xip = batch_xip[0];
		for (k : 1 .. BATCHES - 1) {
			batch[k - 1] = batch[k]; batch_id[k - 1] = batch_id[k];
			batch_xmax[k - 1] = batch_xmax[k]; batch_xip[k - 1] = batch_xip[k]
		};
		nbatches--;
		batch[nbatches] = 0; batch_id[nbatches] = 0; batch_xmax[nbatches] = 0; batch_xip[nbatches] = 0
	:: else -> break
	od;
	k = 0
}

/* chat.consumer_save */
inline save_statement()
{
	if
#ifdef BROKEN_SAVE_WITHOUT_EPOCH
	:: true ->
#else
	:: epoch == my_epoch ->
#endif
		for (t : 0 .. WRITERS - 1) {
			assert(!(COVERS(t, saved_id, saved_xmax, saved_xip) && !COVERS(t, done_id, done_xmax, done_xip)));
			assert(!(COVERS(t, done_id, done_xmax, done_xip) && status[t] == COMMITTED && !HAS(delivered, t)))
		};
		saved_id = done_id; saved_xmax = done_xmax; saved_xip = done_xip
	:: else -> lost = true
	fi;
	done_xmax = 0; done_id = 0; done_xip = 0; t = 0
}

/* Transactions and NOTIFYs have done their part, and this sidecar sleeps: nothing but the slow poll will wake it. */
#define QUIET \
	(state == ASLEEP && leads[me] && finished == WRITERS && !notified[me] && nbatches == 0 && done_xmax == 0)

/* Nobody may sleep for ever while one of these waits. */
inline check_sleep()
{
	for (t : 0 .. WRITERS - 1) {
		assert(!(status[t] == COMMITTED && !HAS(delivered, t) && (swept == my_epoch || !was_prepared[t])))
	};
	t = 0;
	swept = my_epoch
}

/* Connection and memory of a process are gone. */
inline forget()
{
	armed[me] = false; notified[me] = false; listening[me] = false; leads[me] = false;
	state = IDLE; rung = false; moved = false; lost = false;
	found = 0; nbatches = 0; read_id = 0; read_xmax = 0; read_xip = 0; done_id = 0; done_xmax = 0; done_xip = 0;
	for (k : 0 .. BATCHES - 1) {
		batch[k] = 0; batch_id[k] = 0; batch_xmax[k] = 0; batch_xip[k] = 0
	};
	xmax = 0; xip = 0; rows = 0; limit = 0; t = 0; n = 0; k = 0; clear = false; earlier = false;
	my_epoch = 0
}

proctype sidecar(byte me)
{
	mtype state = IDLE;
	bool rung, moved, lost, clear, earlier;
	byte my_epoch, read_id, read_xmax, read_xip, done_id, done_xmax, done_xip, found, nbatches;
	byte batch[BATCHES], batch_id[BATCHES], batch_xmax[BATCHES], batch_xip[BATCHES];
	byte t, n, k, rows, limit, xmax, xip;

start:
		skip;
end_standby:
		d_step { /* chat.consumer_acquire: the lease is free, its own, or has run out. */
			(owner == NOBODY || owner == me || lapsed) ->
			listening[me] = true; /* in truth earlier; a NOTIFY means nothing to one who does not lead */
			epoch++; my_epoch = epoch; owner = me; lapsed = false; leads[me] = true;
			read_id = saved_id; read_xmax = saved_xmax; read_xip = saved_xip;
			READ_LOG
		};
		do
		:: state == DISARM -> d_step { armed[me] = false; state = FIRST }
		:: state == FIRST -> d_step { read_statement(); state = (moved -> ANSWER : ARM) }
		:: state == ARM ->
			d_step {
				armed[me] = (writers_hold == 0);
#ifdef BROKEN_NO_SECOND_READ
				state = ANSWER
#else
				state = (armed[me] -> SECOND : ANSWER)
#endif
			}
		:: state == SECOND -> d_step { read_statement(); state = (moved -> RELEASE : ANSWER) }
		:: state == RELEASE -> d_step { armed[me] = false; state = ANSWER }
		:: state == ANSWER -> d_step { take_rows() }
		:: notified[me] -> /* consumer_rung() */
			d_step {
				notified[me] = false; rung = true;
				if :: armed[me] && MAY_READ && (state == IDLE || state == ASLEEP) -> READ_LOG :: else fi
			}
		:: state == RETRY && MAY_READ -> d_step { READ_LOG }
		:: QUIET -> /* the slow poll */
			d_step { check_sleep(); READ_LOG }
		:: nbatches > 0 && leads[me] ->
			atomic {
				choose_event(); skip;
				d_step { first_in_line(t) };
				if
				:: clear -> d_step { deliver(t); t = 0; n = 0; clear = false; collect_done(); ADVANCE }
				:: else -> d_step { t = 0; n = 0 }
				fi
			}
		:: done_xmax != 0 -> d_step { save_statement() }
		:: lost -> break /* another process took the lease */
		:: lapses < LAPSES && leads[me] -> d_step { lapses++; leads[me] = false } /* too long since it was renewed */
		:: !leads[me] && owner == me && !lapsed -> lapsed = true /* nor was it until it ran out */
		:: !leads[me] && epoch == my_epoch -> d_step { lapsed = false; leads[me] = true; ADVANCE } /* renewed */
		:: !leads[me] -> break
		:: crashes < CRASHES ->
			d_step {
				crashes++;
				if :: owner == me -> lapsed = true :: else fi /* a new process has another name, and waits */
			};
			break
		od;
		skip;
		d_step { forget() };
		goto start
}

init {
	byte i;

	atomic {
		for (i : 0 .. WRITERS - 1) { run writer(i) }
		for (i : 0 .. SIDECARS - 1) { run sidecar(i) }
	}
}
