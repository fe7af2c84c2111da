/* Signals reach who is there and may know, and hurt nobody. */
#include "unit/hub/support.h"

#include "hub/blocked.h"
#include "hub/signal.h"

static const struct uuid room = {{1}};

static void tell(struct world *world, const char *about, uint64_t after_seq, uint64_t number)
{
	struct frame *frame = number_frame(number);
	struct user_id id = user(about);

	hub_signal_conversation(world->hub, &room, after_seq, &id, frame);
	frame_unref(frame);
}

static void tell_user(struct world *world, const char *name, const struct client *except,
                      uint64_t number)
{
	struct frame *frame = number_frame(number);
	struct user_id id = user(name);

	hub_signal_user(world->hub, &id, frame, except ? except->session : NULL);
	frame_unref(frame);
}

static void assert_seen(struct client *client, size_t count, uint64_t last)
{
	client_read(client);
	assert_int_equal(client->count, count);
	if (count)
		assert_int_equal(client->seen[count - 1], last);
}

static void signal_reaches_each_seat_but_those_whom_it_is_about(void **state)
{
	struct world *world = *state;
	struct client alice[2];
	struct client bob;

	for (size_t i = 0; i < 2; i++) {
		client_open(world, &alice[i], "alice");
		client_sit(world, &alice[i], &room, 5);
	}
	client_open(world, &bob, "bob");
	client_sit(world, &bob, &room, 5);
	tell(world, "alice", 5, 7);
	assert_seen(&bob, 1, 7);
	tell(world, "bob", 5, 8);
	for (size_t i = 0; i < 2; i++) {
		assert_seen(&alice[i], 1, 8);
		client_close(&alice[i]);
	}
	client_close(&bob);
}

static void signal_from_beyond_what_this_node_knows_is_dropped(void **state)
{
	struct world *world = *state;
	struct client alice;
	struct frame *event = number_frame(6);

	client_open(world, &alice, "alice");
	client_sit(world, &alice, &room, 5);
	tell(world, "bob", 6, 7);
	assert_seen(&alice, 0, 0);
	hub_offer(world->hub, &room, 6, event);
	frame_unref(event);
	tell(world, "bob", 6, 8);
	assert_seen(&alice, 2, 8);
	client_close(&alice);
}

static void signal_to_a_conversation_that_is_not_live_is_dropped(void **state)
{
	struct world *world = *state;

	tell(world, "bob", 0, 7);
	assert_null(hub_find_conversation(world->hub, &room));
	hub_get_conversation(world->hub, &room);
	tell(world, "bob", 0, 7);
}

static void session_that_is_not_live_or_lags_hears_no_conversation(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client catching_up;
	struct client lagging;

	conversation_learn_head(conversation, 50);
	client_open_catching_up(world, &catching_up, "alice");
	conversation_join(conversation, catching_up.session, 50, 0);
	client_open(world, &lagging, "bob");
	assert_true(seat_is_lagging(conversation_join(conversation, lagging.session, 3, 0)));
	tell(world, "carol", 50, 7);
	assert_seen(&catching_up, 0, 0);
	assert_seen(&lagging, 0, 0);
	client_close(&catching_up);
	client_close(&lagging);
}

static void who_left_hears_nothing_more(void **state)
{
	struct world *world = *state;
	struct client alice;
	struct seat *seat;

	client_open(world, &alice, "alice");
	seat = client_sit(world, &alice, &room, 5);
	seat_leave(seat);
	tell(world, "bob", 5, 7);
	assert_seen(&alice, 0, 0);
	client_close(&alice);
}

static void slow_reader_loses_signals_and_is_not_closed_by_them(void **state)
{
	struct world *world = *state;
	struct client slow;

	client_open(world, &slow, "slow");
	client_sit(world, &slow, &room, 5);
	for (uint64_t i = 1; i <= 100; i++)
		tell(world, "bob", 5, i);
	assert_int_equal(slow.closed, 0);
	assert_int_equal(hub_counts(world->hub)->missed, 95);
	assert_seen(&slow, 5, 5);
	tell(world, "bob", 5, 101);
	assert_seen(&slow, 6, 101);
	client_close(&slow);
}

static void signal_goes_across_no_block(void **state)
{
	const struct user_id blocked[] = {user("Zoe"), user("bob"), user("carol")};
	struct world *world = *state;
	struct client alice;
	struct user_id id = user("alice");

	client_open(world, &alice, "alice");
	client_sit(world, &alice, &room, 5);
	hub_set_blocked(world->hub, &id, blocked, 3);
	tell(world, "bob", 5, 7);
	tell(world, "carol", 5, 7);
	tell(world, "Zoe", 5, 7);
	assert_seen(&alice, 0, 0);
	tell(world, "dave", 5, 8);
	assert_seen(&alice, 1, 8);
	hub_set_blocked(world->hub, &id, blocked, 1);
	tell(world, "carol", 5, 9);
	assert_seen(&alice, 2, 9);
	client_close(&alice);
}

static void signal_waits_for_no_block_to_be_known(void **state)
{
	struct world *world = *state;
	struct client alice;
	struct user_id id = user("alice");

	client_open_catching_up(world, &alice, "alice");
	session_set_live(alice.session);
	client_sit(world, &alice, &room, 5);
	tell(world, "bob", 5, 7);
	assert_seen(&alice, 0, 0);
	hub_set_blocked(world->hub, &id, NULL, 0);
	tell(world, "bob", 5, 8);
	assert_seen(&alice, 1, 8);
	hub_forget_blocked(world->hub, &id);
	tell(world, "bob", 5, 9);
	assert_seen(&alice, 1, 8);
	client_close(&alice);
}

static void who_has_too_many_blocks_to_be_kept_hears_no_signal_of_others(void **state)
{
	struct world *world = *state;
	struct client alice;
	struct user_id id = user("alice");

	client_open(world, &alice, "alice");
	client_sit(world, &alice, &room, 5);
	hub_set_all_blocked(world->hub, &id);
	tell(world, "bob", 5, 7);
	assert_seen(&alice, 0, 0);
	tell_user(world, "alice", NULL, 8);
	assert_seen(&alice, 1, 8);
	client_close(&alice);
}

static void blocks_of_who_is_not_here_are_not_kept(void **state)
{
	const struct user_id bob = user("bob");
	struct world *world = *state;
	struct client alice;
	struct user_id id = user("alice");

	hub_set_blocked(world->hub, &id, &bob, 1);
	hub_set_all_blocked(world->hub, &id);
	hub_forget_blocked(world->hub, &id);
	client_open(world, &alice, "alice");
	client_sit(world, &alice, &room, 5);
	tell(world, "bob", 5, 7);
	assert_seen(&alice, 1, 7);
	client_close(&alice);
}

static void news_of_a_user_reaches_all_its_sessions_but_the_one_that_made_it(void **state)
{
	struct world *world = *state;
	struct client first;
	struct client second;
	struct client catching_up;
	struct client other;

	client_open(world, &first, "alice");
	client_open(world, &second, "alice");
	client_open_catching_up(world, &catching_up, "alice");
	client_open(world, &other, "bob");
	tell_user(world, "alice", &first, 7);
	assert_seen(&first, 0, 0);
	assert_seen(&second, 1, 7);
	assert_seen(&catching_up, 1, 7);
	assert_seen(&other, 0, 0);
	tell_user(world, "alice", NULL, 8);
	assert_seen(&first, 1, 8);
	client_close(&first);
	client_close(&second);
	client_close(&catching_up);
	client_close(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signal_reaches_each_seat_but_those_whom_it_is_about),
		TEST(signal_from_beyond_what_this_node_knows_is_dropped),
		TEST(signal_to_a_conversation_that_is_not_live_is_dropped),
		TEST(session_that_is_not_live_or_lags_hears_no_conversation),
		TEST(who_left_hears_nothing_more),
		TEST(slow_reader_loses_signals_and_is_not_closed_by_them),
		TEST(signal_goes_across_no_block),
		TEST(signal_waits_for_no_block_to_be_known),
		TEST(who_has_too_many_blocks_to_be_kept_hears_no_signal_of_others),
		TEST(blocks_of_who_is_not_here_are_not_kept),
		TEST(news_of_a_user_reaches_all_its_sessions_but_the_one_that_made_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
