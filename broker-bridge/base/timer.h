/* timer - deadlines in a heap, with no clock inside.
 *
 * A room arms a timer for a moment; whoever owns the clock (the worker's one uv_timer, or a test that
 * turns it by hand) asks for the next moment and tells the time. Times are milliseconds of a clock
 * that never goes back. Between two tellings time goes on: who can be asked for it in between gives a
 * clock, or a timer armed after a long wait for the network would be due too early.
 *
 * Owns:     the heap's array; never a timer, which lies inside its room's object.
 * Lifetime: timers_init to timers_done; a timer must be stopped before its memory goes.
 * Threads:  one.
 * Fails:    never.
 */
#ifndef MARTLET_BASE_TIMER_H
#define MARTLET_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	/* Called once when the deadline has come; the timer is stopped by then and may be armed again. */
	void (*on_due)(struct timer *timer);
	uint64_t due_ms;
	size_t place; /* in the heap, from 1; 0 while stopped */
};

struct timers {
	struct timer **heap; /* heap[1] is the earliest */
	size_t count;
	size_t capacity;
	uint64_t now_ms;                        /* as told */
	uint64_t (*clock)(const void *context); /* NULL: only what is told */
	const void *clock_context;
};

void timers_init(struct timers *timers, uint64_t now_ms);
void timers_done(struct timers *timers);

/* The clock to be asked when a timer is armed. */
void timers_set_clock(struct timers *timers, uint64_t (*clock)(const void *context),
                      const void *context);

/* Arms the timer for `delay_ms` from now, or moves it there. */
void timer_start(struct timers *timers, struct timer *timer, uint64_t delay_ms);

/* No effect on a stopped timer. */
void timer_stop(struct timers *timers, struct timer *timer);

bool timer_is_armed(const struct timer *timer);

/* Tells the time and calls what is due, earliest first. Timers armed by those calls wait for the next
 * call, even with a delay of 0, so that this always returns. */
void timers_turn(struct timers *timers, uint64_t now_ms);

/* The earliest deadline, or UINT64_MAX if nothing is armed. */
uint64_t timers_next(const struct timers *timers);

#endif
