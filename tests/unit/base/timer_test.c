/* The heap against a plain list that is searched, with a clock turned by hand. */
#include "base/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS 500
#define TURNS 2000
#define SEEDS 5

static struct timers timers;
static struct timer all[TIMERS];
static uint64_t last_due_ms;
static uint64_t turn_ms;
static size_t fired;

static void on_due(struct timer *timer)
{
	assert_true(timer->due_ms >= last_due_ms);
	assert_true(timer->due_ms <= turn_ms);
	assert_false(timer_is_armed(timer));
	last_due_ms = timer->due_ms;
	fired++;
}

static void begin(void)
{
	timers_init(&timers, 0);
	for (size_t i = 0; i < TIMERS; i++)
		all[i] = (struct timer){.on_due = on_due};
	fired = 0;
}

static void turn(uint64_t now_ms)
{
	turn_ms = now_ms;
	last_due_ms = 0;
	timers_turn(&timers, now_ms);
}

/* What the heap must answer, by looking at every timer. */
static uint64_t search_next(void)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < TIMERS; i++) {
		if (timer_is_armed(&all[i]) && all[i].due_ms < next)
			next = all[i].due_ms;
	}
	return next;
}

static size_t count_due(uint64_t now_ms)
{
	size_t count = 0;

	for (size_t i = 0; i < TIMERS; i++)
		count += timer_is_armed(&all[i]) && all[i].due_ms <= now_ms;
	return count;
}

static void timers_fire_in_order_under_a_random_load(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= SEEDS; seed++) {
		unsigned int random = seed;
		uint64_t now_ms = 0;

		begin();
		for (size_t i = 0; i < TURNS; i++) {
			size_t due;

			for (size_t change = 0; change < 20; change++) {
				struct timer *timer = &all[(size_t)rand_r(&random) % TIMERS];

				if (rand_r(&random) % 3 == 0)
					timer_stop(&timers, timer);
				else
					timer_start(&timers, timer,
					            (uint64_t)rand_r(&random) % 300);
			}
			assert_int_equal(timers_next(&timers), search_next());
			now_ms += (uint64_t)rand_r(&random) % 10;
			due = count_due(now_ms);
			fired = 0;
			turn(now_ms);
			if (fired != due)
				fail_msg("seed %u, turn %zu: %zu fired of %zu", seed, i, fired,
				         due);
		}
		turn(now_ms + 300);
		assert_int_equal(timers_next(&timers), UINT64_MAX);
		timers_done(&timers);
	}
}

static void timer_fires_at_its_moment_and_once(void **state)
{
	(void)state;
	begin();
	timer_start(&timers, &all[0], 10);
	turn(9);
	assert_int_equal(fired, 0);
	assert_int_equal(timers_next(&timers), 10);
	turn(10);
	assert_int_equal(fired, 1);
	turn(100);
	assert_int_equal(fired, 1);
	timers_done(&timers);
}

static void started_again_moves_and_stopped_twice_is_nothing(void **state)
{
	(void)state;
	begin();
	timer_start(&timers, &all[0], 10);
	timer_start(&timers, &all[0], 50);
	assert_int_equal(timers_next(&timers), 50);
	timer_start(&timers, &all[0], 5);
	assert_int_equal(timers_next(&timers), 5);
	timer_stop(&timers, &all[0]);
	timer_stop(&timers, &all[0]);
	assert_false(timer_is_armed(&all[0]));
	turn(100);
	assert_int_equal(fired, 0);
	timers_done(&timers);
}

static void arm_again(struct timer *timer)
{
	fired++;
	timer_start(&timers, timer, 0);
}

static void timer_armed_by_its_own_call_waits_for_the_next_turn(void **state)
{
	(void)state;
	begin();
	all[0].on_due = arm_again;
	timer_start(&timers, &all[0], 0);
	turn(10);
	assert_int_equal(fired, 1);
	assert_true(timer_is_armed(&all[0]));
	turn(11);
	assert_int_equal(fired, 2);
	timers_done(&timers);
}

static void arm_next(struct timer *timer)
{
	fired++;
	timer_start(&timers, timer + 1, 0);
}

/* Or a chain of calls that arm each other would never let the loop go on. */
static void timer_armed_by_anothers_call_waits_for_the_next_turn(void **state)
{
	(void)state;
	begin();
	for (size_t i = 0; i + 1 < TIMERS; i++)
		all[i].on_due = arm_next;
	timer_start(&timers, &all[0], 0);
	for (uint64_t now = 1; now < 100; now++) {
		turn(now);
		assert_int_equal(fired, now);
	}
	timers_done(&timers);
}

static void stop_next(struct timer *timer)
{
	fired++;
	timer_stop(&timers, timer + 1);
}

static void timer_stopped_by_a_call_of_the_same_turn_does_not_fire(void **state)
{
	(void)state;
	begin();
	all[0].on_due = stop_next;
	timer_start(&timers, &all[0], 1);
	timer_start(&timers, &all[1], 2);
	timer_start(&timers, &all[2], 3);
	turn(10);
	assert_int_equal(fired, 2);
	timers_done(&timers);
}

static uint64_t read_clock(const void *context)
{
	return *(const uint64_t *)context;
}

static void timer_armed_long_after_the_last_telling_has_its_whole_delay(void **state)
{
	uint64_t clock_ms = 1000;

	(void)state;
	begin();
	timers_set_clock(&timers, read_clock, &clock_ms);
	turn(1000);
	clock_ms = 1090;
	timer_start(&timers, &all[0], 20);
	turn(1109);
	assert_int_equal(fired, 0);
	clock_ms = 1110;
	turn(1110);
	assert_int_equal(fired, 1);
	/* A timer that arms itself again at once waits for the next turn here too. */
	all[1].on_due = arm_again;
	timer_start(&timers, &all[1], 0);
	turn(1110);
	assert_int_equal(fired, 2);
	timer_stop(&timers, &all[1]);
	timers_done(&timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_fires_at_its_moment_and_once),
		cmocka_unit_test(started_again_moves_and_stopped_twice_is_nothing),
		cmocka_unit_test(timers_fire_in_order_under_a_random_load),
		cmocka_unit_test(timer_armed_by_its_own_call_waits_for_the_next_turn),
		cmocka_unit_test(timer_armed_by_anothers_call_waits_for_the_next_turn),
		cmocka_unit_test(timer_stopped_by_a_call_of_the_same_turn_does_not_fire),
		cmocka_unit_test(timer_armed_long_after_the_last_telling_has_its_whole_delay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
