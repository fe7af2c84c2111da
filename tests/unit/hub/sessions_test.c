/* What the sessions of one user come to: the word that presence is told. */
#include "unit/hub/support.h"

static void assert_word(const struct world *world, int told, enum presence now, bool is_gone)
{
	assert_int_equal(world->told, told);
	assert_int_equal(world->word, now);
	assert_int_equal(world->is_gone, is_gone);
}

static void first_session_is_there_and_the_last_ones_end_is_gone(void **state)
{
	struct world *world = *state;
	struct client alice[2];

	client_open(world, &alice[0], "alice");
	assert_word(world, 1, PRESENCE_ONLINE, false);
	client_open_catching_up(world, &alice[1], "alice");
	client_close(&alice[0]);
	assert_word(world, 1, PRESENCE_ONLINE, false);
	client_close(&alice[1]);
	assert_word(world, 2, PRESENCE_OFFLINE, true);
}

static void user_is_away_when_each_session_says_so(void **state)
{
	struct world *world = *state;
	struct client alice[2];

	client_open(world, &alice[0], "alice");
	client_open(world, &alice[1], "alice");
	session_set_away(alice[0].session, true);
	assert_word(world, 1, PRESENCE_ONLINE, false);
	session_set_away(alice[1].session, true);
	assert_word(world, 2, PRESENCE_AWAY, false);
	session_set_away(alice[1].session, true);
	assert_word(world, 2, PRESENCE_AWAY, false);
	session_set_away(alice[0].session, false);
	assert_word(world, 3, PRESENCE_ONLINE, false);
	client_close(&alice[0]);
	assert_word(world, 4, PRESENCE_AWAY, true);
	client_close(&alice[1]);
	assert_word(world, 5, PRESENCE_OFFLINE, true);
}

static void session_that_closes_says_nothing_more(void **state)
{
	struct world *world = *state;
	struct client alice;

	client_open(world, &alice, "alice");
	session_close(alice.session, CLOSE_DONE, "done");
	assert_word(world, 2, PRESENCE_OFFLINE, true);
	session_set_away(alice.session, true);
	assert_word(world, 2, PRESENCE_OFFLINE, true);
	client_close(&alice);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_session_is_there_and_the_last_ones_end_is_gone),
		TEST(user_is_away_when_each_session_says_so),
		TEST(session_that_closes_says_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
