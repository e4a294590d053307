/*
 * The doorbell: wakes a sleeping sidecar at commit, without making commits queue.
 *
 * A sleeper holds an advisory lock in ShareLock (chat.arm). At pre-commit a transaction that wrote events tries
 * RowExclusiveLock on the same tag, without waiting. Writers do not exclude each other, sleepers neither, a
 * writer and a sleeper do:
 *   - the writer gets it: nobody sleeps, and nobody can fall asleep before this transaction is visible, since
 *     the lock is held until then. No NOTIFY.
 *   - it does not: somebody sleeps, so the transaction sends NOTIFY.
 * A sleeper reads once more after arming: what committed before it armed is visible to that read, what commits
 * later rings. NOTIFY takes a cluster-wide lock through the commit's flush; under load none is sent.
 *
 * Ringing is a hint and never an error: nobody rings where the queue of NOTIFY is nearly full, in any mode.
 */
#ifndef CHAT_DOORBELL_H
#define CHAT_DOORBELL_H

#include "event_log.h"

extern void chat_doorbell_init(void);
/* Notes that the current subtransaction wrote an event. */
extern void chat_doorbell_event(int64 id, const ChatEvent *event);

/* The sleeper's side, for the session: tries to arm, without waiting; false: writers are committing. */
extern bool chat_doorbell_arm(void);
extern void chat_doorbell_disarm(void);

#endif
