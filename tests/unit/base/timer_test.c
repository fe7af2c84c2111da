#include "base/arena.h"
#include "base/buffer.h"
#include "base/pace.h"
#include "base/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS 500

static struct timers timers;
static uint64_t last_due_ms;
static size_t fired;

static void on_due(struct timer *timer)
{
	assert_true(timer->due_ms >= last_due_ms);
	assert_true(timer->due_ms <= timers.now_ms);
	last_due_ms = timer->due_ms;
	fired++;
}

static void timers_fire_in_order_whatever_is_armed_and_stopped(void **state)
{
	static struct timer all[TIMERS];
	unsigned int random = 7;
	size_t armed = 0;

	(void)state;
	timers_init(&timers, 0);
	for (size_t i = 0; i < TIMERS; i++) {
		all[i].on_due = on_due;
		timer_start(&timers, &all[i], (uint64_t)rand_r(&random) % 1000);
	}
	for (size_t i = 0; i < TIMERS; i++) {
		if (rand_r(&random) % 3 == 0)
			timer_stop(&timers, &all[i]);
		else if (rand_r(&random) % 3 == 0)
			timer_start(&timers, &all[i], (uint64_t)rand_r(&random) % 1000);
		armed += timer_is_armed(&all[i]);
	}
	for (uint64_t now = 0; now <= 1000; now += 7)
		timers_turn(&timers, now);
	timers_turn(&timers, 1000);
	assert_int_equal(fired, armed);
	assert_int_equal(timers_next(&timers), UINT64_MAX);
	timers_done(&timers);
}

static void arm_again(struct timer *timer)
{
	fired++;
	timer_start(&timers, timer, 0);
}

static void timer_armed_by_its_own_call_waits_for_the_next_turn(void **state)
{
	struct timer timer = {.on_due = arm_again};

	(void)state;
	fired = 0;
	timers_init(&timers, 0);
	timer_start(&timers, &timer, 0);
	timers_turn(&timers, 10);
	assert_int_equal(fired, 1);
	timers_turn(&timers, 11);
	assert_int_equal(fired, 2);
	timers_done(&timers);
}

static void arena_and_buffer_keep_their_maximum(void **state)
{
	struct arena *arena = arena_create(10000);
	struct buffer buffer;

	(void)state;
	assert_non_null(arena_get(arena, 1));
	assert_int_equal((uintptr_t)arena_get(arena, 9000) % _Alignof(max_align_t), 0);
	assert_null(arena_get(arena, 1000));
	assert_non_null(arena_get(arena, 999));
	arena_destroy(arena);
	buffer_init(&buffer, 1000);
	assert_true(buffer_append(&buffer, "abc", 3));
	assert_non_null(buffer_extend(&buffer, 997));
	assert_false(buffer_append(&buffer, "x", 1));
	assert_int_equal(buffer.size, 1000);
	buffer_done(&buffer);
}

static void backoff_grows_to_its_limit_and_is_never_nothing(void **state)
{
	struct backoff backoff = {100, 1000, 0};
	unsigned int random = 3;

	(void)state;
	for (int i = 0; i < 100; i++) {
		uint64_t limit = i < 4 ? 100u << i : 1000;
		uint32_t wait = backoff_next_ms(&backoff, (uint32_t)rand_r(&random));

		assert_in_range(wait, limit / 4, limit);
	}
	backoff_reset(&backoff);
	assert_in_range(backoff_next_ms(&backoff, 12345), 25, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order_whatever_is_armed_and_stopped),
		cmocka_unit_test(timer_armed_by_its_own_call_waits_for_the_next_turn),
		cmocka_unit_test(arena_and_buffer_keep_their_maximum),
		cmocka_unit_test(backoff_grows_to_its_limit_and_is_never_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
