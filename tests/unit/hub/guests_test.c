/* Who gives commands without a session has the same allowance as with one, and no second one. */
#include "unit/hub/support.h"

#include "hub/guests.h"

static const struct uuid room = {{1}};
static const struct uuid other_room = {{2}};
static const struct allowances few = {.commands = {1, 3}, .writes = {1, 2}};

static void pass(struct world *world, uint64_t time_ms)
{
	timers_turn(&world->timers, world->timers.now_ms + time_ms);
}

/* How many commands the user may give at once, up to ten. */
static int give(struct world *world, const char *name, bool is_write)
{
	struct user_id id = user(name);
	bool is_too_often;
	int given = 0;

	while (given < 10 &&
	       hub_take_turn(world->hub, &id, is_write, world->timers.now_ms, &is_too_often) == 0)
		given++;
	return given;
}

static void guest_has_the_allowance_of_a_user(void **state)
{
	struct world *world = *state;

	hub_set_allowances(world->hub, &few);
	assert_int_equal(give(world, "alice", true), 2);
	/* The refused write was a command all the same. */
	assert_int_equal(give(world, "alice", false), 0);
	assert_int_equal(give(world, "bob", false), 3);
	pass(world, 1000);
	assert_int_equal(give(world, "alice", false), 1);
}

static void session_brings_along_what_its_user_had_left_and_leaves_it(void **state)
{
	struct world *world = *state;
	struct client alice;
	int given = 0;

	hub_set_allowances(world->hub, &few);
	assert_int_equal(give(world, "alice", false), 3);
	client_open(world, &alice, "alice");
	assert_int_equal(hub_guests(world->hub), 0);
	assert_true(session_take_turn(alice.session, false, world->timers.now_ms) > 0);
	pass(world, 2000);
	while (session_take_turn(alice.session, false, world->timers.now_ms) == 0)
		given++;
	assert_int_equal(given, 2);
	assert_int_equal(give(world, "alice", false), 0);
	client_close(&alice);
	assert_int_equal(hub_guests(world->hub), 1);
	assert_int_equal(give(world, "alice", false), 0);
}

static void who_asks_on_and_on_is_not_answered_any_more(void **state)
{
	struct world *world = *state;
	struct user_id id = user("alice");
	bool is_too_often = false;
	int answered = 0;

	hub_set_allowances(world->hub, &few);
	assert_int_equal(give(world, "alice", false), 3);
	while (!is_too_often) {
		assert_true(hub_take_turn(world->hub, &id, false, world->timers.now_ms,
		                          &is_too_often) > 0);
		answered++;
		assert_true(answered < 1000);
	}
	assert_true(answered > 100);
	pass(world, 1000);
	assert_int_equal(hub_take_turn(world->hub, &id, false, world->timers.now_ms, &is_too_often),
	                 0);
	assert_false(is_too_often);
}

static void longest_silent_guest_is_forgotten_at_the_bound(void **state)
{
	struct world *world = *state;

	hub_set_allowances(world->hub, &few);
	assert_int_equal(give(world, "a", false), 3);
	assert_int_equal(give(world, "b", false), 3);
	assert_int_equal(give(world, "c", false), 3);
	assert_int_equal(give(world, "a", false), 0);
	assert_int_equal(give(world, "d", false), 3);
	assert_int_equal(hub_guests(world->hub), 3);
	assert_int_equal(give(world, "a", false), 0);
	assert_int_equal(give(world, "b", false), 3);
}

static void guest_s_typing_is_told_at_a_pace_and_a_stop_always_if_it_is_not_too_often(void **state)
{
	struct world *world = *state;
	struct user_id alice = user("alice");
	int told = 0;

	assert_true(hub_note_guest_typing(world->hub, &alice, &room, false));
	assert_true(hub_note_guest_typing(world->hub, &alice, &room, true));
	assert_false(hub_note_guest_typing(world->hub, &alice, &room, true));
	pass(world, LIMIT_TYPING_PACE_MS);
	assert_true(hub_note_guest_typing(world->hub, &alice, &room, true));
	assert_true(hub_note_guest_typing(world->hub, &alice, &room, false));
	for (int i = 0; i < 100; i++)
		told += hub_note_guest_typing(world->hub, &alice, i % 2 ? &room : &other_room,
		                              true);
	assert_true(told <= 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(guest_has_the_allowance_of_a_user),
		TEST(session_brings_along_what_its_user_had_left_and_leaves_it),
		TEST(who_asks_on_and_on_is_not_answered_any_more),
		TEST(longest_silent_guest_is_forgotten_at_the_bound),
		TEST(guest_s_typing_is_told_at_a_pace_and_a_stop_always_if_it_is_not_too_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
