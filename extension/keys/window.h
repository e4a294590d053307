/*
 * A sliding window: of what has passed, how much passed within the last period.
 *
 * No stretch of time as long as the period has more than max_calls in it, wherever it begins. That is exact for up to
 * WINDOW_GROUPS calls a period. Above, calls are remembered in groups of equal size, ceil(max_calls / WINDOW_GROUPS), which
 * leave together, when the last one does: then up to a group fewer pass at a steady pace, never more. Times are kept in
 * ticks of 1/60,000 of the period, rounded so that nothing leaves early.
 *
 * Each group has the ticks between its last call and that of the group before. Nothing here reads a clock or takes a
 * lock. A window whose `until` is not after now holds nothing, and may be used for something else.
 */
#ifndef CHAT_WINDOW_H
#define CHAT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_GROUPS 52

/* What is kept of a window; `until` is kept beside it. All zero: nothing passed. */
typedef struct ChatWindow
{
	uint32_t calls;  /* that passed within the period */
	uint32_t newest; /* those of the newest group; all others are complete */
	uint32_t span;   /* ticks from the oldest group to the newest: the sum of the gaps between */
	uint16_t oldest; /* its place in gaps, which is a ring */
	uint16_t groups;
	uint16_t gaps[WINDOW_GROUPS]; /* that of the oldest group means nothing */
} ChatWindow;

/* A limit: max_calls (at least 1) within a period of as many nanoseconds. */
typedef struct ChatLimit
{
	uint32_t max_calls;
	uint64_t period;
} ChatLimit;

/*
 * Lets a call at `now` (nanoseconds) pass, if the limit allows it. *until: when the window is empty again. A time before
 * that of the last call counts as that. Returns 0, or the nanoseconds until it would pass.
 */
extern uint64_t
chat_window_take(ChatWindow *window, uint64_t *until, const ChatLimit *limit, uint64_t now);

#endif
