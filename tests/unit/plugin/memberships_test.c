#include "plugin/memberships.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct uuid one = {{1}};
static const struct uuid two = {{2}};
static const struct user_id alice = {"alice"};
static const struct user_id bob = {"bob"};
static const struct user_id carol = {"carol"};

/* Loaded, with alice and bob in `one`, up to number 10. */
static struct memberships *loaded(void)
{
	struct memberships *memberships = memberships_create();

	memberships_pass_begin(memberships);
	memberships_pass_row(memberships, &one, &alice, 10);
	memberships_pass_row(memberships, &one, &bob, 10);
	memberships_pass_end(memberships);
	return memberships;
}

static void nobody_is_a_member_before_the_first_pass_has_ended(void **state)
{
	struct memberships *memberships = memberships_create();

	(void)state;
	memberships_join(memberships, &two, &alice, 1);
	memberships_pass_begin(memberships);
	memberships_pass_row(memberships, &one, &alice, 10);
	assert_false(memberships_is_loaded(memberships));
	assert_false(memberships_has(memberships, &alice, &one));
	assert_false(memberships_has(memberships, &alice, &two));
	memberships_join(memberships, &two, &alice, 2);
	memberships_pass_end(memberships);
	assert_true(memberships_has(memberships, &alice, &one));
	assert_true(memberships_has(memberships, &alice, &two));
	assert_false(memberships_has(memberships, &bob, &one));
	memberships_destroy(memberships);
}

static void events_are_followed(void **state)
{
	struct memberships *memberships = loaded();

	(void)state;
	memberships_join(memberships, &one, &carol, 11);
	assert_true(memberships_has(memberships, &carol, &one));
	memberships_leave(memberships, &one, &alice, 12);
	assert_false(memberships_has(memberships, &alice, &one));
	memberships_join(memberships, &one, &alice, 13);
	assert_true(memberships_has(memberships, &alice, &one));
	assert_true(memberships_has(memberships, &bob, &one));
	memberships_destroy(memberships);
}

static void the_number_decides_not_the_order_of_arrival(void **state)
{
	struct memberships *memberships = loaded();

	(void)state;
	memberships_leave(memberships, &one, &carol, 12);
	memberships_join(memberships, &one, &carol, 11);
	assert_false(memberships_has(memberships, &carol, &one));
	memberships_join(memberships, &one, &bob, 14);
	memberships_leave(memberships, &one, &bob, 13);
	assert_true(memberships_has(memberships, &bob, &one));
	/* Another's newer change does not hide an older one. */
	memberships_leave(memberships, &one, &alice, 12);
	assert_false(memberships_has(memberships, &alice, &one));
	memberships_destroy(memberships);
}

static void what_a_pass_knew_already_changes_nothing(void **state)
{
	struct memberships *memberships = loaded();

	(void)state;
	memberships_join(memberships, &one, &carol, 9);
	memberships_leave(memberships, &one, &alice, 10);
	assert_false(memberships_has(memberships, &carol, &one));
	assert_true(memberships_has(memberships, &alice, &one));
	memberships_destroy(memberships);
}

static void a_lost_removal_is_found_by_the_next_pass(void **state)
{
	struct memberships *memberships = loaded();

	(void)state;
	memberships_pass_begin(memberships);
	memberships_pass_row(memberships, &one, &bob, 20);
	assert_true(memberships_has(memberships, &alice, &one));
	memberships_pass_end(memberships);
	assert_false(memberships_has(memberships, &alice, &one));
	assert_true(memberships_has(memberships, &bob, &one));
	assert_int_equal(memberships_counts(memberships).users, 1);
	/* And a beginning that was held up for long does not undo it. */
	memberships_join(memberships, &one, &alice, 15);
	assert_false(memberships_has(memberships, &alice, &one));
	memberships_destroy(memberships);
}

static void an_event_newer_than_the_row_of_a_pass_holds(void **state)
{
	struct memberships *memberships = loaded();

	(void)state;
	memberships_pass_begin(memberships);
	/* These happen while the page, which is older, is on its way. */
	memberships_leave(memberships, &one, &alice, 21);
	memberships_join(memberships, &one, &carol, 22);
	memberships_pass_row(memberships, &one, &alice, 20);
	memberships_pass_row(memberships, &one, &bob, 20);
	memberships_pass_end(memberships);
	assert_false(memberships_has(memberships, &alice, &one));
	assert_true(memberships_has(memberships, &bob, &one));
	assert_true(memberships_has(memberships, &carol, &one));
	memberships_destroy(memberships);
}

static void conversations_without_a_row_are_forgotten_unless_they_are_new(void **state)
{
	struct memberships *memberships = loaded();

	(void)state;
	memberships_pass_begin(memberships);
	memberships_join(memberships, &two, &bob, 1);
	memberships_pass_end(memberships);
	assert_false(memberships_has(memberships, &alice, &one));
	assert_true(memberships_has(memberships, &bob, &two));
	assert_int_equal(memberships_counts(memberships).conversations, 1);
	memberships_destroy(memberships);
}

static void a_pass_that_was_broken_off_takes_nothing_away(void **state)
{
	struct memberships *memberships = loaded();

	(void)state;
	memberships_pass_begin(memberships);
	memberships_pass_row(memberships, &one, &alice, 10);
	memberships_pass_begin(memberships);
	assert_true(memberships_has(memberships, &bob, &one));
	memberships_pass_row(memberships, &one, &bob, 10);
	memberships_pass_end(memberships);
	assert_false(memberships_has(memberships, &alice, &one));
	memberships_destroy(memberships);
}

static void distrust_lasts_until_a_pass_that_begins_after_it(void **state)
{
	struct memberships *memberships = loaded();

	(void)state;
	memberships_pass_begin(memberships);
	memberships_pass_row(memberships, &one, &alice, 10);
	memberships_distrust(memberships);
	assert_false(memberships_has(memberships, &alice, &one));
	memberships_pass_end(memberships);
	assert_false(memberships_has(memberships, &alice, &one));
	memberships_pass_begin(memberships);
	memberships_pass_row(memberships, &one, &alice, 10);
	memberships_pass_end(memberships);
	assert_true(memberships_has(memberships, &alice, &one));
	memberships_destroy(memberships);
}

static void large_groups_come_in_several_pages(void **state)
{
	struct memberships *memberships = loaded();
	struct user_id user = {""};

	(void)state;
	memberships_pass_begin(memberships);
	for (unsigned int i = 0; i < 10000; i++) {
		snprintf(user.text, sizeof(user.text), "user-%05u", i);
		memberships_pass_row(memberships, &two, &user, 100 + i / 2000);
	}
	memberships_pass_end(memberships);
	for (unsigned int i = 0; i < 10000; i++) {
		snprintf(user.text, sizeof(user.text), "user-%05u", i);
		assert_true(memberships_has(memberships, &user, &two));
	}
	assert_int_equal(memberships_counts(memberships).memberships, 10000);
	memberships_destroy(memberships);
}

/* What it says in docs/mqtt.md. */
static void two_hundred_thousand_memberships_take_little_memory(void **state)
{
	struct memberships *memberships = memberships_create();
	struct memberships_counts counts;
	struct user_id user = {""};
	struct uuid conversation = {{0}};

	(void)state;
	memberships_pass_begin(memberships);
	for (unsigned int i = 0; i < 10000; i++) {
		memcpy(conversation.bytes, &i, sizeof(i));
		for (unsigned int j = 0; j < 20; j++) {
			memset(&user, 0, sizeof(user));
			snprintf(user.text, sizeof(user.text), "user-%05u",
			         (i * 20 + j * 7919) % 10000);
			memberships_pass_row(memberships, &conversation, &user, 1);
		}
	}
	memberships_pass_end(memberships);
	counts = memberships_counts(memberships);
	print_message(
		"%zu memberships of %zu users in %zu conversations: %zu KiB, %zu bytes each\n",
		counts.memberships, counts.users, counts.conversations, counts.bytes / 1024,
		counts.bytes / counts.memberships);
	assert_int_equal(counts.memberships, 200000);
	assert_true(counts.bytes < 12 * 1024 * 1024);
	memberships_destroy(memberships);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_a_member_before_the_first_pass_has_ended),
		cmocka_unit_test(events_are_followed),
		cmocka_unit_test(the_number_decides_not_the_order_of_arrival),
		cmocka_unit_test(what_a_pass_knew_already_changes_nothing),
		cmocka_unit_test(a_lost_removal_is_found_by_the_next_pass),
		cmocka_unit_test(an_event_newer_than_the_row_of_a_pass_holds),
		cmocka_unit_test(conversations_without_a_row_are_forgotten_unless_they_are_new),
		cmocka_unit_test(a_pass_that_was_broken_off_takes_nothing_away),
		cmocka_unit_test(distrust_lasts_until_a_pass_that_begins_after_it),
		cmocka_unit_test(large_groups_come_in_several_pages),
		cmocka_unit_test(two_hundred_thousand_memberships_take_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
