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

/* Each kind, as it is built and as it is spelled. */

static const struct uuid conversation = {{0x01, 0x98, 0xab, 0xcd, 0xef, 0x01, 0x72, 0x34, 0x85,
                                          0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23}};
#define CONVERSATION "0198abcd-ef01-7234-8567-89abcdef0123"

static const struct user_id user = {"alice@example.org"};
static const struct user_id device = {"phone"};
static const struct user_id service = {"shop"};

static void every_topic_is_built_and_taken_apart(void **state)
{
	const struct {
		struct topic built;
		const char *text;
		struct topic_parts parts;
	} rows[] = {
		{topic_bus(9), "martlet/v1/bus/9", {TOPIC_BUS, .shard = 9}},
		{topic_conversation_events(&conversation),
	         "martlet/v1/c/" CONVERSATION "/e",
	         {TOPIC_CONVERSATION_EVENTS, .conversation = conversation}},
		{topic_conversation_signals(&conversation),
	         "martlet/v1/c/" CONVERSATION "/s",
	         {TOPIC_CONVERSATION_SIGNALS, .conversation = conversation}},
		{topic_user_events(&user),
	         "martlet/v1/u/alice@example.org/e",
	         {TOPIC_USER_EVENTS, .user = user}},
		{topic_device(&user, &device),
	         "martlet/v1/d/alice@example.org/phone",
	         {TOPIC_DEVICE, .user = user, .device = device}},
		{topic_up(&user, &device),
	         "martlet/v1/up/alice@example.org/phone",
	         {TOPIC_UP, .user = user, .device = device}},
		{topic_presence(&user, "host.1"),
	         "martlet/v1/presence/alice@example.org/host.1",
	         {TOPIC_PRESENCE, .user = user, .node = "host.1"}},
		{topic_node("host.1"), "martlet/v1/node/host.1", {TOPIC_NODE, .node = "host.1"}},
		{topic_node_in("host.1"),
	         "martlet/v1/node/host.1/in",
	         {TOPIC_NODE_IN, .node = "host.1"}},
		{topic_notify(&service),
	         "martlet/v1/svc/shop/notify",
	         {TOPIC_NOTIFY, .service = service}},
		{topic_notify_user(&service, &user),
	         "martlet/v1/svc/shop/notify/alice@example.org",
	         {TOPIC_NOTIFY_USER, .service = service, .user = user}},
		{topic_response(&service),
	         "martlet/v1/svc/shop/response",
	         {TOPIC_RESPONSE, .service = service}},
		{{"martlet/v1/svc/shop/response/7"},
	         "martlet/v1/svc/shop/response/7",
	         {TOPIC_RESPONSE, .service = service}},
		{topic_offline(&user),
	         "martlet/v1/offline/alice@example.org",
	         {TOPIC_OFFLINE, .user = user}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct topic_parts parts;
		struct topic_parts filter;

		assert_string_equal(rows[i].built.text, rows[i].text);
		if (!topic_parse(rows[i].text, &parts) ||
		    !topic_parse_filter(rows[i].text, &filter))
			fail_msg("%s", rows[i].text);
		assert_memory_equal(&parts, &rows[i].parts, sizeof(parts));
		assert_memory_equal(&filter, &rows[i].parts, sizeof(filter));
	}
}

static void what_bridges_deal_out_is_shared_among_them(void **state)
{
	(void)state;
	assert_string_equal(topic_all_up().text, "$share/bridges/martlet/v1/up/+/+");
	assert_string_equal(topic_all_notify().text, "$share/bridges/martlet/v1/svc/+/notify");
	assert_string_equal(topic_all_notify_user().text,
	                    "$share/bridges/martlet/v1/svc/+/notify/+");
}

static void longest_names_fit_every_topic(void **state)
{
	struct user_id name = {""};
	struct topic_parts parts;

	(void)state;
	memset(name.text, 'n', LIMIT_USER_BYTES);
	assert_true(topic_parse(topic_up(&name, &name).text, &parts));
	assert_memory_equal(&parts.device, &name, sizeof(name));
	assert_true(topic_parse(topic_presence(&name, name.text).text, &parts));
	assert_string_equal(parts.node, name.text);
	assert_true(topic_parse(topic_notify_user(&name, &name).text, &parts));
}

#define LONG_NAME                                                                                  \
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

static void what_is_spelled_otherwise_is_no_topic(void **state)
{
	static const char *const others[] = {
		"",
		"martlet/v1",
		"martlet/v1/",
		"martlet/v1//",
		"/martlet/v1/u/alice/e",
		"martlet/v1/u/alice",
		"martlet/v1/u/alice/",
		"martlet/v1/u//e",
		"martlet/v1/u/alice/e/",
		"martlet/v1/u/alice/e/x",
		"martlet/v1/u/alice/f",
		"martlet/v1/u/alice/#",
		"martlet/v1/u/+/e",
		"martlet/v1/u/al ice/e",
		"martlet/v1/u/" LONG_NAME "/e",
		"martlet/v1/up/alice",
		"martlet/v1/up/alice/phone/x",
		"martlet/v1/up/alice/+",
		"martlet/v1/c/0198ABCD-EF01-7234-8567-89ABCDEF0123/e",
		"martlet/v1/c/0198abcdef017234856789abcdef0123/e",
		"martlet/v1/c/" CONVERSATION "/x",
		"martlet/v1/c/" CONVERSATION,
		"martlet/v1/bus/01",
		"martlet/v1/bus/4294967296",
		"martlet/v1/svc/shop",
		"martlet/v1/svc/shop/notify/",
		"martlet/v1/svc/shop/notify/a/b",
		"martlet/v1/svc/shop/response/a/b",
		"martlet/v1/offline",
		"martlet/v1/offline/a/b",
		"martlet/v1/node/a/out",
		"martlet/v1/node/" LONG_NAME,
		"$SYS/broker/uptime",
		"$share/g/martlet/v1/u/alice/e",
		"martlet/v2/u/alice/e",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct topic_parts parts = {.kind = TOPIC_BUS};

		if (topic_parse(others[i], &parts))
			fail_msg("%s", others[i]);
		assert_int_equal(parts.kind, TOPIC_NONE);
	}
}

static void filters_that_stay_with_one_owner_are_known(void **state)
{
	static const struct {
		const char *text;
		struct topic_parts parts;
	} rows[] = {
		{"martlet/v1/c/" CONVERSATION "/#",
	         {TOPIC_CONVERSATION_EVENTS, .conversation = conversation, .is_wide = true}},
		{"martlet/v1/c/" CONVERSATION "/+",
	         {TOPIC_CONVERSATION_EVENTS, .conversation = conversation, .is_wide = true}},
		{"martlet/v1/u/alice@example.org/#",
	         {TOPIC_USER_EVENTS, .user = user, .is_wide = true}},
		{"martlet/v1/u/alice@example.org/+",
	         {TOPIC_USER_EVENTS, .user = user, .is_wide = true}},
		{"martlet/v1/d/alice@example.org/#", {TOPIC_DEVICE, .user = user, .is_wide = true}},
		{"martlet/v1/d/alice@example.org/+", {TOPIC_DEVICE, .user = user, .is_wide = true}},
		{"martlet/v1/svc/shop/#", {TOPIC_NOTIFY, .service = service, .is_wide = true}},
		{"martlet/v1/svc/shop/response/#",
	         {TOPIC_RESPONSE, .service = service, .is_wide = true}},
		{"martlet/v1/svc/shop/response/+",
	         {TOPIC_RESPONSE, .service = service, .is_wide = true}},
		{"martlet/v1/offline/+", {TOPIC_OFFLINE, .is_wide = true}},
		{"martlet/v1/offline/#", {TOPIC_OFFLINE, .is_wide = true}},
		{"$share/push/martlet/v1/offline/+",
	         {TOPIC_OFFLINE, .is_shared = true, .is_wide = true}},
		{"$share/g/martlet/v1/u/alice@example.org/e",
	         {TOPIC_USER_EVENTS, .user = user, .is_shared = true}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct topic_parts parts;

		if (!topic_parse_filter(rows[i].text, &parts))
			fail_msg("%s", rows[i].text);
		if (memcmp(&parts, &rows[i].parts, sizeof(parts)) != 0)
			fail_msg("%s", rows[i].text);
	}
}

static void filters_that_reach_further_are_none(void **state)
{
	static const char *const others[] = {
		"#",
		"+",
		"+/#",
		"+/+/+",
		"martlet/#",
		"martlet/v1/#",
		"martlet/+/u/alice/e",
		"+/v1/u/alice/e",
		"martlet/v1/u/#",
		"martlet/v1/u/+",
		"martlet/v1/u/+/e",
		"martlet/v1/u/+/#",
		"martlet/v1/+/alice/e",
		"martlet/v1/+/alice/#",
		"martlet/v1/c/#",
		"martlet/v1/c/+/e",
		"martlet/v1/c/+/#",
		"martlet/v1/c/" CONVERSATION "/+/#",
		"martlet/v1/up/+/+",
		"martlet/v1/up/alice/#",
		"martlet/v1/d/+/phone",
		"martlet/v1/svc/+/notify",
		"martlet/v1/svc/#",
		"martlet/v1/presence/alice/+",
		"martlet/v1/bus/+",
		"martlet/v1/node/+",
		"martlet/v1/offline/+/#",
		"martlet/v1/offline/+/+",
		"$SYS/#",
		"$SYS/broker/uptime",
		"$share/g",
		"$share/g/",
		"$share//martlet/v1/u/alice/e",
		"$share/g/#",
		"$share/g/$share/g/martlet/v1/u/alice/e",
		"$share/g/martlet/v1/up/+/+",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct topic_parts parts = {.kind = TOPIC_BUS};

		if (topic_parse_filter(others[i], &parts))
			fail_msg("%s", others[i]);
		assert_int_equal(parts.kind, TOPIC_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topic_of_the_bus_is_known_again),
		cmocka_unit_test(other_topics_are_not_of_the_bus),
		cmocka_unit_test(topic_of_a_node_has_its_name_and_an_end),
		cmocka_unit_test(topic_of_a_node_is_known_again),
		cmocka_unit_test(every_topic_is_built_and_taken_apart),
		cmocka_unit_test(what_bridges_deal_out_is_shared_among_them),
		cmocka_unit_test(longest_names_fit_every_topic),
		cmocka_unit_test(what_is_spelled_otherwise_is_no_topic),
		cmocka_unit_test(filters_that_stay_with_one_owner_are_known),
		cmocka_unit_test(filters_that_reach_further_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
