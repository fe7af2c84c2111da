#include "model/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void only_plain_names_are_ids(void **state)
{
	static const char *const good[] = {"a", "Alice.B_c~d@e-9", "AZaz09", "..", "-"};
	static const char *const bad[] = {"",    "a b", "a/b", "a+b", "a#",       "$a",
	                                  "a\n", " a",  "a ",  "a,b", "\xc3\xa9", "a:b",
	                                  "a%b", "a\"", "a'",  "\x7f"};
	char longest[LIMIT_USER_BYTES + 2];
	struct user_id id = {"before"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(id_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (id_is_valid(bad[i]) || user_id_from_text(bad[i], &id))
			fail_msg("'%s'", bad[i]);
		assert_string_equal(id.text, "before");
	}
	memset(longest, 'a', sizeof(longest));
	longest[LIMIT_USER_BYTES + 1] = '\0';
	assert_false(id_is_valid(longest));
	longest[LIMIT_USER_BYTES] = '\0';
	assert_true(id_is_valid(longest));
	assert_false(id_is_valid(NULL));
	assert_false(user_id_from_text(NULL, &id));
}

/* They are keys of hash tables, as whole structs. */
static void equal_ids_are_equal_byte_by_byte(void **state)
{
	struct user_id a;
	struct user_id b;

	(void)state;
	memset(&a, 0xaa, sizeof(a));
	memset(&b, 0x55, sizeof(b));
	assert_true(user_id_from_text("bob", &a));
	assert_true(user_id_from_text("bob", &b));
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(user_id_is_equal(&a, &b));
	assert_true(user_id_from_text("bo", &b));
	assert_false(user_id_is_equal(&a, &b));
	assert_true(user_id_from_text("Bob", &b));
	assert_false(user_id_is_equal(&a, &b));
}

static void uuid_comes_back_as_it_went(void **state)
{
	unsigned int random = 5;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct uuid uuid;
		struct uuid back;

		for (size_t at = 0; at < sizeof(uuid.bytes); at++)
			uuid.bytes[at] = (uint8_t)rand_r(&random);
		assert_int_equal(strlen(uuid_to_text(&uuid).text), UUID_TEXT_BYTES - 1);
		assert_true(uuid_from_text(uuid_to_text(&uuid).text, &back));
		assert_true(uuid_is_equal(&uuid, &back));
	}
}

static void what_is_no_uuid_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"-",
		"01890a5d",
		"01890a5d-ac96-774b-bcce-b302099a805",
		"01890a5d-ac96-774b-bcce-b302099a80577",
		"01890a5d-ac96-774b-bcce-b302099a8057 ",
		" 01890a5d-ac96-774b-bcce-b302099a8057",
		"01890a5d-ac96-774b-bcce-b302099a8057\n",
		"01890a5dac96774bbcceb302099a8057",
		"01890a5dac96-774b-bcce-b302099a8057-",
		"01890a5-dac96-774b-bcce-b302099a8057",
		"01890a5d--c96-774b-bcce-b302099a8057",
		"01890a5d_ac96_774b_bcce_b302099a8057",
		"01890a5d-ac96-774b-bcce-b302099a805g",
		"0x890a5d-ac96-774b-bcce-b302099a8057",
		"+1890a5d-ac96-774b-bcce-b302099a8057",
		"{1890a5d-ac96-774b-bcce-b302099a805}",
		"urn:uuid:01890a5d-ac96-774b-bcce-b30",
		"01890a5d-ac96-774b-bcce-b302099a80\xc3\xa9",
		"------------------------------------",
	};
	const struct uuid before = {{1, 2, 3}};
	struct uuid uuid = before;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (uuid_from_text(bad[i], &uuid))
			fail_msg("'%s'", bad[i]);
		assert_true(uuid_is_equal(&uuid, &before));
	}
	assert_false(uuid_from_text(NULL, &uuid));
}

/* Under the sanitizer: never a byte beyond the closing zero, wherever it stands. */
static void cut_uuid_is_not_read_beyond_its_end(void **state)
{
	static const char whole[] = "01890A5D-ac96-774b-bcce-b302099a8057";
	struct uuid uuid;

	(void)state;
	for (size_t size = 0; size < strlen(whole); size++) {
		char *cut = malloc(size + 1);

		assert_non_null(cut);
		memcpy(cut, whole, size);
		cut[size] = '\0';
		assert_false(uuid_from_text(cut, &uuid));
		free(cut);
	}
	assert_true(uuid_from_text(whole, &uuid));
	assert_string_equal(uuid_to_text(&uuid).text, "01890a5d-ac96-774b-bcce-b302099a8057");
}

static void nil_is_known(void **state)
{
	struct uuid uuid;

	(void)state;
	assert_true(uuid_from_text("00000000-0000-0000-0000-000000000000", &uuid));
	assert_true(uuid_is_nil(&uuid));
	assert_true(uuid_from_text("00000000-0000-0000-0000-000000000001", &uuid));
	assert_false(uuid_is_nil(&uuid));
}

static void uuid_v7_is_ordered_by_time_and_says_its_version(void **state)
{
	const uint8_t random[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	const uint8_t zero[10] = {0};
	struct uuid earlier = uuid_v7(1000, random);
	struct uuid later = uuid_v7(1001, zero);
	/* The example of RFC 9562, appendix A.6. */
	const uint8_t example[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
	struct uuid known = uuid_v7(UINT64_C(0x017F22E279B0), example);

	(void)state;
	assert_true(memcmp(&earlier, &later, sizeof(later)) < 0);
	assert_int_equal(later.bytes[6] >> 4, 7);
	assert_int_equal(later.bytes[8] >> 6, 2);
	assert_int_equal(earlier.bytes[6] >> 4, 7);
	assert_int_equal(earlier.bytes[8] >> 6, 2);
	assert_string_equal(uuid_to_text(&known).text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

/* Nodes of two releases meet on the bus: these numbers never change. */
static void shards_are_those_of_every_release(void **state)
{
	struct uuid uuid;
	struct user_id user;
	uint32_t seen[64] = {0};
	unsigned int seed = 9;

	(void)state;
	assert_true(uuid_from_text("00000000-0000-0000-0000-000000000000", &uuid));
	assert_int_equal(shard_of_conversation(&uuid, 1), 0);
	/* FNV-1a, 32 bits: sixteen zero bytes, "a" and "foobar" (the last two are its published vectors). */
	assert_int_equal(shard_of_conversation(&uuid, UINT32_MAX), 0x69691905u);
	assert_true(user_id_from_text("a", &user));
	assert_int_equal(shard_of_user(&user, UINT32_MAX), 0xe40c292cu);
	assert_true(user_id_from_text("foobar", &user));
	assert_int_equal(shard_of_user(&user, UINT32_MAX), 0xbf9cf968u);
	for (uint64_t i = 0; i < 6400; i++) {
		uint8_t random[10];
		struct uuid id;

		for (size_t at = 0; at < sizeof(random); at++)
			random[at] = (uint8_t)rand_r(&seed);
		id = uuid_v7(1800000000000 + i, random);

		seen[shard_of_conversation(&id, 64)]++;
	}
	for (size_t i = 0; i < 64; i++)
		assert_in_range(seen[i], 50, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_plain_names_are_ids),
		cmocka_unit_test(equal_ids_are_equal_byte_by_byte),
		cmocka_unit_test(uuid_comes_back_as_it_went),
		cmocka_unit_test(what_is_no_uuid_is_refused_and_changes_nothing),
		cmocka_unit_test(cut_uuid_is_not_read_beyond_its_end),
		cmocka_unit_test(nil_is_known),
		cmocka_unit_test(uuid_v7_is_ordered_by_time_and_says_its_version),
		cmocka_unit_test(shards_are_those_of_every_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
