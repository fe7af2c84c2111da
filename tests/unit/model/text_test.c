#include "model/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void malformed_utf8_is_told(void **state)
{
	static const char *const malformed[] = {
		"\x80",
		"\xbf",
		"\xff",
		"\xfe",
		"a\xc3",
		"\xc3(",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xe2\x82",
		"\xe2(\xa1",
		"\xe0\x80\xaf",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x9f\x90",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xf8\x88\x80\x80\x80",
	};
	static const char *const good[] = {
		"",
		"abc",
		"\x7f",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf",
		"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		if (text_is_utf8(malformed[i]))
			fail_msg("malformed %zu", i);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!text_is_utf8(good[i]))
			fail_msg("good %zu", i);
	}
}

static void text_that_shows_nothing_is_told(void **state)
{
	static const char *const invisible[] = {
		"",
		"  \t\n",
		"\x7f",
		"\xc2\xa0",
		"\xc2\xad",
		"\xe2\x80\x8b",
		"\xe2\x80\xae",
		"\xe3\x80\x80",
		"\xef\xbb\xbf\xc2\xa0",
		"\xef\xb8\x8f",
		"\xf3\xa0\x80\xa0",
		"\xe3\x85\xa4",
	};
	static const char *const visible[] = {"a", " . ", "\xc3\xa9",
	                                      "\xe2\x80\x8b\xf0\x9f\x90\xa6"};

	(void)state;
	for (size_t i = 0; i < sizeof(invisible) / sizeof(invisible[0]); i++) {
		if (text_is_visible(invisible[i]))
			fail_msg("invisible %zu", i);
	}
	for (size_t i = 0; i < sizeof(visible) / sizeof(visible[0]); i++) {
		if (!text_is_visible(visible[i]))
			fail_msg("visible %zu", i);
	}
}

static void controls_and_what_is_no_ascii_are_told(void **state)
{
	(void)state;
	assert_false(text_has_controls(""));
	assert_false(text_has_controls("a b\xc3\xa9"));
	assert_true(text_has_controls("a\nb"));
	assert_true(text_has_controls("\x7f"));
	assert_true(text_has_controls("\x1f"));
	assert_true(text_is_printable_ascii(""));
	assert_true(text_is_printable_ascii(" ~"));
	assert_false(text_is_printable_ascii("\x7f"));
	assert_false(text_is_printable_ascii("\t"));
	assert_false(text_is_printable_ascii("\xc3\xa9"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_utf8_is_told),
		cmocka_unit_test(text_that_shows_nothing_is_told),
		cmocka_unit_test(controls_and_what_is_no_ascii_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
