/*
 * Ends a process whose event loop does not turn any more, with a line in the log: who starts it again gets it going,
 * while a process that hangs looks alive from outside. Under systemd (Type=notify, WatchdogSec) it also says that it
 * is ready, and goes on saying that it lives.
 */
#ifndef SIDECAR_WATCHDOG_H
#define SIDECAR_WATCHDOG_H

#include <uv.h>

#define WATCHDOG_SECONDS 30

struct watchdog;

/*
 * Ends the process (SIGABRT, which leaves a core) when the loop has not turned for so many milliseconds. Time in which
 * the whole process is stopped does not count. NULL: there can be no thread.
 */
struct watchdog *watchdog_start(uv_loop_t *loop, unsigned patience_ms);
/* The loop must still run, for a handle to be closed. */
void watchdog_stop(struct watchdog *watchdog);

#endif
