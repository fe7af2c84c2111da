#include "base/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void wait_grows_to_its_limit_and_is_never_less_than_a_quarter(void **state)
{
	struct backoff backoff = {100, 1000, 0};
	unsigned int random = 3;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t limit = i < 4 ? 100u << i : 1000;
		uint32_t wait = backoff_next_ms(&backoff, (uint32_t)rand_r(&random));

		assert_in_range(wait, limit / 4, limit);
	}
}

static void success_makes_the_next_wait_short_again(void **state)
{
	struct backoff backoff = {100, 1000, 0};

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		(void)backoff_next_ms(&backoff, i);
	backoff_reset(&backoff);
	assert_int_equal(backoff_next_ms(&backoff, 0), 25);
	assert_int_equal(backoff_next_ms(&backoff, 150), 200);
}

static void whole_span_is_drawn(void **state)
{
	uint32_t least = UINT32_MAX;
	uint32_t most = 0;

	(void)state;
	for (uint32_t random = 0; random < 1000; random++) {
		struct backoff backoff = {100, 1000, 0};
		uint32_t wait = backoff_next_ms(&backoff, random);

		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	assert_int_equal(least, 25);
	assert_int_equal(most, 100);
}

static void largest_numbers_do_not_overflow(void **state)
{
	struct backoff backoff = {UINT32_MAX, UINT32_MAX, UINT32_MAX};

	(void)state;
	assert_true(backoff_next_ms(&backoff, UINT32_MAX) >= UINT32_MAX / 4);
	assert_int_equal(backoff.failures, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wait_grows_to_its_limit_and_is_never_less_than_a_quarter),
		cmocka_unit_test(success_makes_the_next_wait_short_again),
		cmocka_unit_test(whole_span_is_drawn),
		cmocka_unit_test(largest_numbers_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
