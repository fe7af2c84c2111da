#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char digits[] = "0123456789";

static void appended_bytes_are_kept_in_order_over_growth(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 100000);
	for (size_t i = 0; i < 10000; i++)
		assert_true(buffer_append(&buffer, &digits[i % 7], 3));
	assert_int_equal(buffer.size, 30000);
	for (size_t i = 0; i < 10000; i++)
		assert_memory_equal(buffer.bytes + 3 * i, &digits[i % 7], 3);
	buffer_done(&buffer);
}

static void append_beyond_the_maximum_changes_nothing(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 1000);
	assert_true(buffer_append(&buffer, "abc", 3));
	assert_non_null(buffer_extend(&buffer, 997));
	assert_false(buffer_append(&buffer, "x", 1));
	assert_null(buffer_extend(&buffer, 1));
	assert_null(buffer_extend(&buffer, SIZE_MAX));
	assert_int_equal(buffer.size, 1000);
	assert_memory_equal(buffer.bytes, "abc", 3);
	assert_true(buffer_append(&buffer, NULL, 0));
	assert_true(buffer.capacity <= 1000);
	buffer_done(&buffer);
}

static void cleared_buffer_keeps_its_memory_and_its_maximum(void **state)
{
	struct buffer buffer;
	size_t capacity;

	(void)state;
	buffer_init(&buffer, 2000);
	assert_non_null(buffer_extend(&buffer, 1500));
	capacity = buffer.capacity;
	buffer_clear(&buffer);
	assert_int_equal(buffer.size, 0);
	assert_int_equal(buffer.capacity, capacity);
	assert_null(buffer_extend(&buffer, 2001));
	assert_non_null(buffer_extend(&buffer, 2000));
	buffer_done(&buffer);
	/* Done is empty, and may be used again. */
	assert_null(buffer.bytes);
	assert_true(buffer_append(&buffer, "again", 5));
	assert_memory_equal(buffer.bytes, "again", 5);
	buffer_done(&buffer);
}

static void buffer_of_nothing_holds_nothing(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 0);
	assert_false(buffer_append(&buffer, "x", 1));
	assert_true(buffer_append(&buffer, "", 0));
	assert_int_equal(buffer.size, 0);
	buffer_done(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_bytes_are_kept_in_order_over_growth),
		cmocka_unit_test(append_beyond_the_maximum_changes_nothing),
		cmocka_unit_test(cleared_buffer_keeps_its_memory_and_its_maximum),
		cmocka_unit_test(buffer_of_nothing_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
