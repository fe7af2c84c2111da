#include "model/id.h"
#include "model/text.h"
#include "model/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void only_plain_names_are_ids(void **state)
{
	static const char *const good[] = {"a", "Alice.B_c~d@e-9"};
	static const char *const bad[] = {"", "a b", "a/b", "a+b", "a#", "\xc3\xa9", "a\n"};
	char longest[LIMIT_USER_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(id_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(id_is_valid(bad[i]));
	memset(longest, 'a', sizeof(longest));
	longest[LIMIT_USER_BYTES + 1] = '\0';
	assert_false(id_is_valid(longest));
	longest[LIMIT_USER_BYTES] = '\0';
	assert_true(id_is_valid(longest));
	assert_false(id_is_valid(NULL));
}

static void uuid_reads_what_it_prints_and_nothing_else(void **state)
{
	static const char *const bad[] = {
		"",
		"01890a5d-ac96-774b-bcce-b302099a805",
		"01890a5d-ac96-774b-bcce-b302099a80577",
		"01890a5dac96-774b-bcce-b302099a8057-",
		"01890a5d-ac96-774b-bcce-b302099a805g",
		"{1890a5d-ac96-774b-bcce-b302099a805}",
	};
	struct uuid uuid;

	(void)state;
	assert_true(uuid_from_text("01890A5D-ac96-774b-bcce-b302099a8057", &uuid));
	assert_string_equal(uuid_to_text(&uuid).text, "01890a5d-ac96-774b-bcce-b302099a8057");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(uuid_from_text(bad[i], &uuid));
}

static void uuid_v7_is_ordered_by_time_and_says_its_version(void **state)
{
	const uint8_t random[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	const uint8_t zero[10] = {0};
	struct uuid earlier = uuid_v7(1000, random);
	struct uuid later = uuid_v7(1001, zero);

	(void)state;
	assert_true(memcmp(&earlier, &later, sizeof(later)) < 0);
	assert_int_equal(later.bytes[6] >> 4, 7);
	assert_int_equal(later.bytes[8] >> 6, 2);
}

static void text_that_is_no_utf8_or_shows_nothing_is_told(void **state)
{
	static const char *const malformed[] = {"\x80",         "\xc0\xaf",         "\xe0\x80\xaf",
	                                        "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc3",
	                                        "\xff"};
	static const char *const invisible[] = {"", "  \t", "\xe2\x80\x8b", "\xef\xbb\xbf\xc2\xa0"};

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		assert_false(text_is_utf8(malformed[i]));
	for (size_t i = 0; i < sizeof(invisible) / sizeof(invisible[0]); i++)
		assert_false(text_is_visible(invisible[i]));
	assert_true(text_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6"));
	assert_true(text_is_visible(" \xe2\x80\x8b\xf0\x9f\x90\xa6"));
	assert_true(text_has_controls("a\nb"));
	assert_false(text_is_printable_ascii("\xc3\xa9"));
}

static void topic_of_the_bus_is_known_again(void **state)
{
	uint32_t shard = 0;

	(void)state;
	assert_true(topic_is_bus(topic_bus(63).text, &shard));
	assert_int_equal(shard, 63);
	assert_false(topic_is_bus("martlet/v1/bus/", &shard));
	assert_false(topic_is_bus("martlet/v1/bus/-1", &shard));
	assert_false(topic_is_bus("martlet/v1/bus/1/2", &shard));
	assert_false(topic_is_bus("martlet/v1/bus/99999999999", &shard));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_plain_names_are_ids),
		cmocka_unit_test(uuid_reads_what_it_prints_and_nothing_else),
		cmocka_unit_test(uuid_v7_is_ordered_by_time_and_says_its_version),
		cmocka_unit_test(text_that_is_no_utf8_or_shows_nothing_is_told),
		cmocka_unit_test(topic_of_the_bus_is_known_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
