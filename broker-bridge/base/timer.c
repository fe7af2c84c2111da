#include "base/timer.h"

#include "base/memory.h"

#include <stdlib.h>

void timers_init(struct timers *timers, uint64_t now_ms)
{
	*timers = (struct timers){.now_ms = now_ms};
}

void timers_set_clock(struct timers *timers, uint64_t (*clock)(const void *context),
                      const void *context)
{
	timers->clock = clock;
	timers->clock_context = context;
}

void timers_done(struct timers *timers)
{
	free(timers->heap);
	timers->heap = NULL;
}

static void put(struct timers *timers, struct timer *timer, size_t place)
{
	timers->heap[place] = timer;
	timer->place = place;
}

static void sift_up(struct timers *timers, struct timer *timer, size_t place)
{
	while (place > 1 && timers->heap[place / 2]->due_ms > timer->due_ms) {
		put(timers, timers->heap[place / 2], place);
		place /= 2;
	}
	put(timers, timer, place);
}

static void sift_down(struct timers *timers, struct timer *timer, size_t place)
{
	for (size_t child = place * 2; child <= timers->count; child = place * 2) {
		if (child < timers->count &&
		    timers->heap[child + 1]->due_ms < timers->heap[child]->due_ms)
			child++;
		if (timers->heap[child]->due_ms >= timer->due_ms)
			break;
		put(timers, timers->heap[child], place);
		place = child;
	}
	put(timers, timer, place);
}

void timer_start(struct timers *timers, struct timer *timer, uint64_t delay_ms)
{
	uint64_t clock_ms = timers->clock ? timers->clock(timers->clock_context) : 0;

	timer_stop(timers, timer);
	/* While calls are made the time told is ahead of the clock: see timers_turn. */
	timer->due_ms = (clock_ms > timers->now_ms ? clock_ms : timers->now_ms) + delay_ms;
	if (timers->count + 1 >= timers->capacity) {
		timers->capacity = timers->capacity ? timers->capacity * 2 : 16;
		timers->heap =
			memory_resize(timers->heap, timers->capacity * sizeof(struct timer *));
	}
	timers->count++;
	sift_up(timers, timer, timers->count);
}

void timer_stop(struct timers *timers, struct timer *timer)
{
	struct timer *last;
	size_t place = timer->place;

	if (!place)
		return;
	timer->place = 0;
	last = timers->heap[timers->count--];
	if (last == timer)
		return;
	if (place > 1 && timers->heap[place / 2]->due_ms > last->due_ms)
		sift_up(timers, last, place);
	else
		sift_down(timers, last, place);
}

bool timer_is_armed(const struct timer *timer)
{
	return timer->place != 0;
}

void timers_turn(struct timers *timers, uint64_t now_ms)
{
	/* What the calls arm is due after this turn began, whatever its delay: see timer_start. */
	timers->now_ms = now_ms + 1;
	while (timers->count && timers->heap[1]->due_ms <= now_ms) {
		struct timer *due = timers->heap[1];

		timer_stop(timers, due);
		due->on_due(due);
	}
	timers->now_ms = now_ms;
}

uint64_t timers_next(const struct timers *timers)
{
	return timers->count ? timers->heap[1]->due_ms : UINT64_MAX;
}
