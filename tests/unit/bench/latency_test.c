/* The ruler itself. It stands on no floor, so it is compiled in. */
#include "bench/latency.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static int create(void **state)
{
	*state = calloc(1, sizeof(struct latency));
	return *state ? 0 : -1;
}

static int destroy(void **state)
{
	free(*state);
	return 0;
}

static void assert_near(double told, double right)
{
	/* Milliseconds and back cost a last digit. */
	if (told < right * (1 - 1e-9) || told > right * (1 + 1.0 / 64 + 1e-9))
		fail_msg("%f was told for %f", told, right);
}

static void nothing_measured_is_nothing(void **state)
{
	assert_true(latency_ms(*state, .99) == 0);
}

static void a_percentile_is_the_time_that_so_many_did_not_exceed(void **state)
{
	for (uint64_t ms = 1; ms <= 1000; ms++)
		latency_add(*state, ms * 1000000);
	assert_near(latency_ms(*state, .001), 1);
	assert_near(latency_ms(*state, .5), 500);
	assert_near(latency_ms(*state, .99), 990);
	assert_near(latency_ms(*state, .999), 999);
	assert_true(latency_ms(*state, 1) == 1000);
}

static void one_slow_of_a_hundred_is_beyond_p99(void **state)
{
	for (int i = 0; i < 99; i++)
		latency_add(*state, 1000);
	latency_add(*state, 5000000000);
	assert_near(latency_ms(*state, .99), 0.001);
	assert_true(latency_ms(*state, .999) == 5000);
}

static void every_size_is_kept_within_its_error(void **state)
{
	for (unsigned bit = 0; bit < 63; bit++) {
		const uint64_t near[] = {(1ull << bit) - 1, 1ull << bit, (1ull << bit) + 1};

		for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
			struct latency *latency = *state;

			*latency = (struct latency){0};
			latency_add(latency, near[i]);
			/* So that the bucket's own end is told. */
			latency->longest_ns = UINT64_MAX;
			assert_near(latency_ms(latency, 1) * 1e6, (double)near[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_measured_is_nothing, create, destroy),
		cmocka_unit_test_setup_teardown(
			a_percentile_is_the_time_that_so_many_did_not_exceed, create, destroy),
		cmocka_unit_test_setup_teardown(one_slow_of_a_hundred_is_beyond_p99, create,
	                                        destroy),
		cmocka_unit_test_setup_teardown(every_size_is_kept_within_its_error, create,
	                                        destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
