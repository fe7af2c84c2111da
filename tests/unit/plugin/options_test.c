#include "plugin/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* What is needed, and room for one more. */
static struct option_given given[3] = {{"keys", "/keys"}, {"database", "host=127.0.0.1"}};

static void what_is_needed_is_enough(void **state)
{
	struct options options;
	struct outcome outcome = options_read(given, 2, &options);

	(void)state;
	assert_true(outcome_is_ok(&outcome));
	assert_string_equal(options.keys, "/keys");
	assert_string_equal(options.bridge_user, "bridge");
	assert_null(options.bridge_password);
	assert_int_equal(options.shards, 64);
	assert_int_equal(options.reload_s, 300);
	assert_memory_equal(options.node, "mqtt.", 5);
	options_done(&options);
}

static void each_wrong_option_is_named_with_what_would_be_right(void **state)
{
	static const struct {
		struct option_given wrong;
		const char *text;
	} rows[] = {
		{{"keis", "x"}, "plugin_opt_keis is none of keys, "},
		{{"shards", "0"}, "plugin_opt_shards is no number from 1 to 4096"},
		{{"shards", "-1"}, "plugin_opt_shards is no number from 1 to 4096"},
		{{"shards", "64x"}, "plugin_opt_shards is no number from 1 to 4096"},
		{{"shards", ""}, "plugin_opt_shards is no number from 1 to 4096"},
		{{"shards", "99999999999999999999"},
	         "plugin_opt_shards is no number from 1 to 4096"},
		{{"reload_s", "1"}, "plugin_opt_reload_s is no number from 5 to 86400"},
		{{"node", "a/b"}, "plugin_opt_node is not 1 to 64 of "},
		{{"node", ""}, "plugin_opt_node is not 1 to 64 of "},
		{{"bridge_user", ""}, "plugin_opt_bridge_user is empty, or has : or / in it"},
		{{"bridge_user", "service:x"},
	         "plugin_opt_bridge_user is empty, or has : or / in it"},
		{{"bridge_password_file", "/nowhere/there"},
	         "plugin_opt_bridge_password_file can't be read: No such file"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct options options;
		struct outcome outcome;

		given[2] = rows[i].wrong;
		outcome = options_read(given, 3, &options);
		if (outcome_is_ok(&outcome) ||
		    strncmp(outcome.text, rows[i].text, strlen(rows[i].text)) != 0)
			fail_msg("%s: %s", rows[i].wrong.name, outcome.text);
		assert_null(options.keys);
	}
}

static void what_is_missing_is_named(void **state)
{
	const struct option_given wrong[] = {{"keys", "/keys"}, {"database", "nonsense"}};
	struct options options;
	struct outcome outcome = options_read(given + 1, 1, &options);

	(void)state;
	assert_string_equal(outcome.text, "plugin_opt_keys is missing; it is the folder of keys, "
	                                  "[auth] keys of martlet.conf");
	outcome = options_read(given, 1, &options);
	assert_string_equal(outcome.text, "plugin_opt_database is missing; it is [database] "
	                                  "connection of martlet.conf");
	outcome = options_read(wrong, 2, &options);
	assert_memory_equal(outcome.text, "plugin_opt_database: missing \"=\"", 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_needed_is_enough),
		cmocka_unit_test(each_wrong_option_is_named_with_what_would_be_right),
		cmocka_unit_test(what_is_missing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
