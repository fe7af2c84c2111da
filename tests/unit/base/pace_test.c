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

static void bucket_gives_its_burst_and_then_its_rate(void **state)
{
	const struct rate rate = {.per_second = 10, .burst = 3};
	struct bucket bucket = {0};
	uint64_t now = 1000000;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(bucket_take(&bucket, &rate, now), 0);
	assert_int_equal(bucket_take(&bucket, &rate, now), 100);
	/* Asking in vain costs nothing. */
	assert_int_equal(bucket_take(&bucket, &rate, now + 40), 60);
	assert_int_equal(bucket_take(&bucket, &rate, now + 100), 0);
	assert_int_equal(bucket_take(&bucket, &rate, now + 100), 100);
	/* A long rest fills it to the burst and not beyond. */
	now += 3600000;
	for (int i = 0; i < 3; i++)
		assert_int_equal(bucket_take(&bucket, &rate, now), 0);
	assert_int_not_equal(bucket_take(&bucket, &rate, now), 0);
}

static void bucket_never_gives_more_than_burst_and_rate(void **state)
{
	const struct rate rate = {.per_second = 7, .burst = 5};
	unsigned int random = 7;
	struct bucket bucket = {0};
	uint64_t now = 1;
	uint32_t given = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t wait = bucket_take(&bucket, &rate, now);

		given += wait == 0;
		/* Waiting as long as it says is always enough. */
		if (wait) {
			struct bucket copy = bucket;

			assert_int_equal(bucket_take(&copy, &rate, now + wait), 0);
		}
		now += (uint64_t)(rand_r(&random) % 50);
	}
	assert_true(given <= rate.burst + now * rate.per_second / 1000 + 1);
	assert_true(given > now * rate.per_second / 1000 / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wait_grows_to_its_limit_and_is_never_less_than_a_quarter),
		cmocka_unit_test(success_makes_the_next_wait_short_again),
		cmocka_unit_test(whole_span_is_drawn),
		cmocka_unit_test(largest_numbers_do_not_overflow),
		cmocka_unit_test(bucket_gives_its_burst_and_then_its_rate),
		cmocka_unit_test(bucket_never_gives_more_than_burst_and_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
