#include "model/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void topic_of_the_bus_is_known_again(void **state)
{
	static const uint32_t shards[] = {0, 1, 63, 4095, UINT32_MAX};

	(void)state;
	assert_string_equal(topic_bus(7).text, "martlet/v1/bus/7");
	for (size_t i = 0; i < sizeof(shards) / sizeof(shards[0]); i++) {
		uint32_t shard = 12345;

		assert_true(topic_is_bus(topic_bus(shards[i]).text, &shard));
		assert_int_equal(shard, shards[i]);
	}
}

static void other_topics_are_not_of_the_bus(void **state)
{
	static const char *const others[] = {
		"",
		"martlet/v1/bus",
		"martlet/v1/bus/",
		"martlet/v1/bus/-1",
		"martlet/v1/bus/+",
		"martlet/v1/bus/#",
		"martlet/v1/bus/+1",
		"martlet/v1/bus/ 1",
		"martlet/v1/bus/1/2",
		"martlet/v1/bus/1x",
		"martlet/v1/bus/4294967296",
		"martlet/v1/bus/99999999999999999999999",
		"martlet/v2/bus/1",
		"Martlet/v1/bus/1",
		"/martlet/v1/bus/1",
		"martlet/v1/node/1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		uint32_t shard = 12345;

		if (topic_is_bus(others[i], &shard))
			fail_msg("%s", others[i]);
		assert_int_equal(shard, 12345);
	}
}

static void topic_of_a_node_has_its_name_and_an_end(void **state)
{
	char name[1000];

	(void)state;
	assert_string_equal(topic_node("host.1").text, "martlet/v1/node/host.1");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(strlen(topic_node(name).text), TOPIC_BYTES - 1);
}

static void topic_of_a_node_is_known_again(void **state)
{
	static const char *const others[] = {
		"",
		"martlet/v1/node/",
		"martlet/v1/node",
		"martlet/v1/node/a/in",
		"martlet/v1/bus/1",
		"Martlet/v1/node/a",
	};

	(void)state;
	assert_string_equal(topic_find_node(topic_node("host.1").text), "host.1");
	assert_string_equal(topic_all_nodes().text, "martlet/v1/node/+");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_null(topic_find_node(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topic_of_the_bus_is_known_again),
		cmocka_unit_test(other_topics_are_not_of_the_bus),
		cmocka_unit_test(topic_of_a_node_has_its_name_and_an_end),
		cmocka_unit_test(topic_of_a_node_is_known_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
