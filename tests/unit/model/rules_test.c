/* The access table over MQTT: every kind of principal at every topic. */
#include "model/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROOT "martlet/v1/"
#define CONVERSATION "0198abcd-ef01-7234-8567-89abcdef0123"

/* Whom the rows below are about; each with all that could be taken for the other's. */
static const struct {
	const char *user_name;
	const char *client_id;
} people[] = {
	{"alice", "alice/phone"},
	{"service:alice", "service:alice/phone"},
	{"push:alice", "push:alice/phone"},
	{"bridge", "whatever"},
};

#define PEOPLE (sizeof(people) / sizeof(people[0]))

/* What each may, in the order of `people`: '-' nothing, 'p' publish, 'r' subscribe and receive, 's' that and shared
 * too, 'm' subscribe and receive as a member, '*' all of it and retain. */
static const struct {
	const char *topic;
	const char *may;
} table[] = {
	{ROOT "bus/1", "---*"},
	{ROOT "c/" CONVERSATION "/e", "m--*"},
	{ROOT "c/" CONVERSATION "/s", "m--*"},
	{ROOT "u/alice/e", "r--*"},
	{ROOT "u/bob/e", "---*"},
	{ROOT "d/alice/phone", "r--*"},
	{ROOT "d/alice/laptop", "---*"},
	{ROOT "d/bob/phone", "---*"},
	{ROOT "up/alice/phone", "p--*"},
	{ROOT "up/alice/laptop", "---*"},
	{ROOT "up/bob/phone", "---*"},
	{ROOT "presence/alice/node", "---*"},
	{ROOT "node/alice", "---*"},
	{ROOT "node/alice/in", "---*"},
	{ROOT "svc/alice/notify", "-p-*"},
	{ROOT "svc/bob/notify", "---*"},
	{ROOT "svc/alice/notify/bob", "-p-*"},
	{ROOT "svc/bob/notify/alice", "---*"},
	{ROOT "svc/alice/response", "-s-*"},
	{ROOT "svc/alice/response/7", "-s-*"},
	{ROOT "svc/bob/response", "---*"},
	{ROOT "offline/alice", "--s*"},
	{ROOT "offline/bob", "--s*"},
	{ROOT "other", "---*"},
	{"other", "---*"},
	{"$SYS/broker/uptime", "---*"},
	{"", "---*"},
};

static enum verdict expected(char may, enum action action, bool is_shared)
{
	if (may == '*' || (may == 'p' && action == ACTION_PUBLISH))
		return VERDICT_ALLOWED;
	if (action != ACTION_SUBSCRIBE && action != ACTION_RECEIVE)
		return VERDICT_DENIED;
	if (may == 's' || (may == 'r' && !is_shared))
		return VERDICT_ALLOWED;
	return may == 'm' && !is_shared ? VERDICT_MEMBERS : VERDICT_DENIED;
}

static struct principal person(size_t i)
{
	struct principal principal;

	if (!principal_from_names(people[i].user_name, people[i].client_id, "bridge", &principal))
		fail_msg("%s is nobody", people[i].user_name);
	return principal;
}

static void check(size_t who, const char *topic, char may, enum action action, bool is_shared)
{
	struct principal principal = person(who);
	struct topic_parts parts;

	if (rules_judge(&principal, action, topic, &parts) != expected(may, action, is_shared))
		fail_msg("%s, action %d, %s", people[who].user_name, action, topic);
}

static void everybody_may_what_the_table_says_and_nothing_else(void **state)
{
	char shared[256];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(shared, sizeof(shared), "$share/g/%s", table[i].topic);
		for (size_t who = 0; who < PEOPLE; who++) {
			for (enum action action = ACTION_PUBLISH; action <= ACTION_RECEIVE;
			     action++)
				check(who, table[i].topic, table[i].may[who], action, false);
			check(who, shared, table[i].may[who], ACTION_SUBSCRIBE, true);
		}
	}
}

static const struct {
	const char *filter;
	const char *may;
} filters[] = {
	{ROOT "c/" CONVERSATION "/#", "m--*"},
	{ROOT "c/" CONVERSATION "/+", "m--*"},
	{ROOT "u/alice/#", "r--*"},
	{ROOT "u/alice/+", "r--*"},
	{ROOT "u/bob/#", "---*"},
	{ROOT "d/alice/#", "---*"},
	{ROOT "d/alice/+", "---*"},
	{ROOT "svc/alice/#", "---*"},
	{ROOT "svc/alice/response/#", "-s-*"},
	{ROOT "svc/alice/response/+", "-s-*"},
	{ROOT "svc/bob/response/#", "---*"},
	{ROOT "offline/+", "--s*"},
	{ROOT "offline/#", "--s*"},
	{ROOT "#", "---*"},
	{"#", "---*"},
	{"+/+/+/+/+", "---*"},
	{ROOT "+/alice/#", "---*"},
	{ROOT "c/+/e", "---*"},
	{ROOT "c/#", "---*"},
	{ROOT "up/alice/phone/#", "---*"},
	{"$SYS/#", "---*"},
	{ROOT "u/+/e", "---*"},
	{ROOT "bus/+", "---*"},
	{ROOT "presence/alice/+", "---*"},
};

static void wildcards_reach_no_further_than_the_table(void **state)
{
	char shared[256];

	(void)state;
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		snprintf(shared, sizeof(shared), "$share/g/%s", filters[i].filter);
		for (size_t who = 0; who < PEOPLE; who++) {
			check(who, filters[i].filter, filters[i].may[who], ACTION_SUBSCRIBE, false);
			check(who, shared, filters[i].may[who], ACTION_SUBSCRIBE, true);
		}
	}
}

static void nobody_may_anything(void **state)
{
	const struct principal nobody = {.kind = PRINCIPAL_NOBODY};
	struct topic_parts parts;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (enum action action = ACTION_PUBLISH; action <= ACTION_RECEIVE; action++)
			assert_int_equal(rules_judge(&nobody, action, table[i].topic, &parts),
			                 VERDICT_DENIED);
	}
}

static void names_that_do_not_belong_together_are_nobody(void **state)
{
	static const struct {
		const char *user_name;
		const char *client_id;
	} rows[] = {
		{NULL, NULL},
		{NULL, "alice/phone"},
		{"alice", NULL},
		{"", "/phone"},
		{"alice", "alice"},
		{"alice", "alice/"},
		{"alice", "/phone"},
		{"alice", "bob/phone"},
		{"alice", "alice2/phone"},
		{"alice2", "alice/phone"},
		{"alice", "alice/phone/x"},
		{"alice", "alice/pho ne"},
		{"alice", "Alice/phone"},
		{"al/ice", "al/ice/phone"},
		{"al:ice", "al:ice/phone"},
		{"service:", "service:/1"},
		{"service:shop", "shop/1"},
		{"service:shop", "service:shop"},
		{"service:a/b", "service:a/b/1"},
		{"push:gate", "service:gate/1"},
		{"pull:gate", "pull:gate/1"},
		{"alice+", "alice+/phone"},
		{"alice", "alice/#"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct principal principal = {.kind = PRINCIPAL_BRIDGE};

		if (principal_from_names(rows[i].user_name, rows[i].client_id, "bridge",
		                         &principal))
			fail_msg("%s %s", rows[i].user_name, rows[i].client_id);
		assert_int_equal(principal.kind, PRINCIPAL_NOBODY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_may_what_the_table_says_and_nothing_else),
		cmocka_unit_test(wildcards_reach_no_further_than_the_table),
		cmocka_unit_test(nobody_may_anything),
		cmocka_unit_test(names_that_do_not_belong_together_are_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
