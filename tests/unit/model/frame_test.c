/* The sanitizer is the judge of what is freed, once and in time. */
#include "model/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void frame_lives_until_its_last_reference(void **state)
{
	struct frame *frame = frame_create(1000);

	(void)state;
	assert_int_equal(frame->size, 1000);
	memset(frame->bytes, 7, 1000);
	assert_ptr_equal(frame_ref(frame), frame);
	assert_ptr_equal(frame_ref(frame), frame);
	frame_unref(frame);
	frame_unref(frame);
	assert_int_equal(frame->references, 1);
	assert_int_equal(frame->bytes[999], 7);
	frame_unref(frame);
	frame_unref(NULL);
}

static void headroom_stands_directly_before_the_bytes(void **state)
{
	struct frame *frame = frame_create(4);

	(void)state;
	assert_ptr_equal(frame->headroom + FRAME_HEADROOM, frame->bytes);
	memset(frame->headroom, 0xff, FRAME_HEADROOM);
	assert_int_equal(frame->size, 4);
	assert_int_equal(frame->references, 1);
	assert_int_equal(frame->bytes[0], 0);
	frame_unref(frame);
}

static void frame_of_nothing_is_a_frame(void **state)
{
	struct frame *frame = frame_create(0);

	(void)state;
	assert_int_equal(frame->size, 0);
	frame_unref(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_lives_until_its_last_reference),
		cmocka_unit_test(headroom_stands_directly_before_the_bytes),
		cmocka_unit_test(frame_of_nothing_is_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
