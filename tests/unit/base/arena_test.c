#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PIECES 2000

static void pieces_are_aligned_and_do_not_overlap(void **state)
{
	struct arena *arena = arena_create(16 * 1024 * 1024);
	static unsigned char *pieces[PIECES];
	static size_t sizes[PIECES];
	unsigned int random = 11;

	(void)state;
	for (size_t i = 0; i < PIECES; i++) {
		/* Mostly small ones, some around and above a block. */
		sizes[i] = (size_t)rand_r(&random) % (i % 10 ? 100 : 5000);
		pieces[i] = arena_get(arena, sizes[i]);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)(i % 251), sizes[i]);
	}
	for (size_t i = 0; i < PIECES; i++) {
		for (size_t at = 0; at < sizes[i]; at++)
			assert_int_equal(pieces[i][at], i % 251);
	}
	arena_destroy(arena);
}

static void maximum_is_kept_and_what_still_fits_is_given(void **state)
{
	struct arena *arena = arena_create(10000);

	(void)state;
	assert_non_null(arena_get(arena, 9008));
	assert_null(arena_get(arena, 993));
	assert_null(arena_get(arena, SIZE_MAX));
	assert_null(arena_get(arena, SIZE_MAX - 10000));
	assert_non_null(arena_get(arena, 992));
	assert_null(arena_get(arena, 1));
	assert_non_null(arena_get(arena, 0));
	arena_destroy(arena);
}

/* Or a frame of a million empty strings would cost sixteen times what was allowed. */
static void tiny_pieces_count_for_what_they_cost(void **state)
{
	const size_t align = _Alignof(max_align_t);
	struct arena *arena = arena_create(100 * align);
	size_t given = 0;

	(void)state;
	while (arena_get(arena, 1))
		given++;
	assert_int_equal(given, 100);
	arena_destroy(arena);
}

static void arena_of_nothing_gives_nothing(void **state)
{
	struct arena *arena = arena_create(0);

	(void)state;
	assert_null(arena_get(arena, 1));
	arena_destroy(arena);
	arena_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
		cmocka_unit_test(maximum_is_kept_and_what_still_fits_is_given),
		cmocka_unit_test(tiny_pieces_count_for_what_they_cost),
		cmocka_unit_test(arena_of_nothing_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
