/* Typing is told at a pace, by members only, in small conversations only. */
#include "unit/hub/support.h"

#include "hub/typing.h"

static const struct uuid room = {{1}};
static const struct uuid other_room = {{2}};

static enum typing type(struct world *world, const struct client *client, bool is_typing)
{
	return hub_note_typing(world->hub, &room, client->session, is_typing, 100);
}

static void pass(struct world *world, uint64_t time_ms)
{
	timers_turn(&world->timers, world->timers.now_ms + time_ms);
}

static void start_is_told_at_a_pace_and_a_stop_at_once_but_only_after_a_start(void **state)
{
	static const struct {
		uint64_t after_ms;
		bool is_typing;
		enum typing expected;
	} steps[] = {
		{0, false, TYPING_UNTOLD},    {0, true, TYPING_TOLD},
		{0, true, TYPING_UNTOLD},     {1999, true, TYPING_UNTOLD},
		{1, true, TYPING_TOLD},       {0, false, TYPING_TOLD},
		{0, false, TYPING_UNTOLD},    {0, true, TYPING_UNTOLD},
		{1000, false, TYPING_UNTOLD}, {1000, true, TYPING_TOLD},
		{100000, false, TYPING_TOLD}, {0, true, TYPING_TOLD},
	};
	struct world *world = *state;
	struct client alice;

	client_open(world, &alice, "alice");
	client_sit(world, &alice, &room, 5);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		print_message("step %zu\n", i);
		pass(world, steps[i].after_ms);
		assert_int_equal(type(world, &alice, steps[i].is_typing), steps[i].expected);
	}
	client_close(&alice);
}

static void each_session_and_each_conversation_has_its_own_pace(void **state)
{
	struct world *world = *state;
	struct client clients[2];

	for (size_t i = 0; i < 2; i++) {
		client_open(world, &clients[i], "alice");
		client_sit(world, &clients[i], &room, 5);
		client_sit(world, &clients[i], &other_room, 5);
	}
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(type(world, &clients[i], true), TYPING_TOLD);
		assert_int_equal(
			hub_note_typing(world->hub, &other_room, clients[i].session, true, 100),
			TYPING_TOLD);
	}
	for (size_t i = 0; i < 2; i++)
		client_close(&clients[i]);
}

static void who_has_no_seat_is_told_that_there_is_nothing(void **state)
{
	struct world *world = *state;
	struct client alice;
	struct client mallory;

	client_open(world, &alice, "alice");
	client_open(world, &mallory, "mallory");
	assert_int_equal(type(world, &mallory, true), TYPING_ABSENT);
	client_sit(world, &alice, &room, 5);
	assert_int_equal(type(world, &mallory, true), TYPING_ABSENT);
	client_close(&alice);
	client_close(&mallory);
}

static void large_group_and_a_seat_that_lags_tell_nothing(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client alice;
	struct client lagging;

	conversation_learn_head(conversation, 50);
	conversation_learn_members(conversation, 101);
	client_open(world, &alice, "alice");
	client_open(world, &lagging, "bob");
	client_sit(world, &alice, &room, 50);
	conversation_join(conversation, lagging.session, 3, 0);
	assert_int_equal(type(world, &alice, true), TYPING_UNTOLD);
	conversation_learn_members(conversation, 100);
	assert_int_equal(type(world, &alice, true), TYPING_TOLD);
	assert_int_equal(type(world, &lagging, true), TYPING_UNTOLD);
	client_close(&alice);
	client_close(&lagging);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_is_told_at_a_pace_and_a_stop_at_once_but_only_after_a_start),
		TEST(each_session_and_each_conversation_has_its_own_pace),
		TEST(who_has_no_seat_is_told_that_there_is_nothing),
		TEST(large_group_and_a_seat_that_lags_tell_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
