/* Whether users are there: said once, taken back late, and over all nodes. */
#include "unit/hub/support.h"

#include "base/memory.h"
#include "hub/presence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_MS 5000
#define CONFIRM_MS 2000
#define STORM_USERS 10000
#define NODES 3
#define SEEDS 300
#define STEPS 200

/* What the room told, counted; and the last of it. */
struct told {
	struct timers timers;
	struct presence_room *room;
	int said;
	enum presence last_said;
	int asked;
	int followed;
	int unfollowed;
	int changes;
	enum presence last_change;
	int seen;
	uint64_t last_seen_ago_ms;
};

static void on_say(void *context, const struct user_id *id, enum presence word)
{
	struct told *told = context;

	(void)id;
	told->said++;
	told->last_said = word;
}

static void on_ask(void *context, const struct user_id *id)
{
	(void)id;
	((struct told *)context)->asked++;
}

static void on_followed(void *context, const struct user_id *id)
{
	(void)id;
	((struct told *)context)->followed++;
}

static void on_unfollowed(void *context, const struct user_id *id)
{
	(void)id;
	((struct told *)context)->unfollowed++;
}

static void on_change(void *context, const struct user_id *id, enum presence now)
{
	struct told *told = context;

	(void)id;
	told->changes++;
	told->last_change = now;
}

static void on_seen(void *context, const struct user_id *id, uint64_t ago_ms)
{
	struct told *told = context;

	(void)id;
	told->seen++;
	told->last_seen_ago_ms = ago_ms;
}

static int set_up(void **state)
{
	struct told *told = memory_new(sizeof(*told));
	const struct presence_options options = {GRACE_MS, CONFIRM_MS};
	const struct presence_needs needs = {told,          on_say,    on_ask, on_followed,
	                                     on_unfollowed, on_change, on_seen};

	timers_init(&told->timers, 1);
	told->room = presence_create(&options, &needs, &told->timers);
	*state = told;
	return 0;
}

static int tear_down(void **state)
{
	struct told *told = *state;

	presence_destroy(told->room);
	timers_done(&told->timers);
	free(told);
	return 0;
}

static void pass(struct told *told, uint64_t time_ms)
{
	timers_turn(&told->timers, told->timers.now_ms + time_ms);
}

static void here(struct told *told, const char *name, enum presence now, bool is_gone)
{
	struct user_id id = user(name);

	presence_set_here(told->room, &id, now, is_gone);
}

static void come(struct told *told, const char *name)
{
	here(told, name, PRESENCE_ONLINE, false);
}

static void go(struct told *told, const char *name)
{
	here(told, name, PRESENCE_OFFLINE, true);
}

static void follow(struct told *told, const char *name)
{
	struct user_id id = user(name);

	presence_follow(told->room, &id);
}

static void unfollow(struct told *told, const char *name)
{
	struct user_id id = user(name);

	presence_unfollow(told->room, &id);
}

static void hear(struct told *told, const char *name, const char *node, enum presence word)
{
	struct user_id id = user(name);

	presence_on_word(told->room, &id, node, word);
}

static enum presence now(const struct told *told, const char *name)
{
	struct user_id id = user(name);

	return presence_of(told->room, &id);
}

/* This node's word. */

static void coming_is_said_at_once_and_going_after_the_grace(void **state)
{
	struct told *told = *state;

	come(told, "alice");
	assert_int_equal(told->said, 1);
	assert_int_equal(told->last_said, PRESENCE_ONLINE);
	assert_int_equal(told->seen, 1);
	go(told, "alice");
	pass(told, GRACE_MS - 1);
	assert_int_equal(told->said, 1);
	pass(told, 1);
	assert_int_equal(told->said, 2);
	assert_int_equal(told->last_said, PRESENCE_OFFLINE);
	assert_int_equal(told->seen, 2);
	assert_int_equal(told->last_seen_ago_ms, GRACE_MS);
	assert_int_equal(presence_counts(told->room).here, 0);
}

static void who_comes_back_within_the_grace_is_no_news(void **state)
{
	struct told *told = *state;

	come(told, "alice");
	for (int i = 0; i < 10; i++) {
		go(told, "alice");
		pass(told, GRACE_MS - 1);
		come(told, "alice");
		pass(told, GRACE_MS * 2);
	}
	assert_int_equal(told->said, 1);
	assert_int_equal(told->seen, 1);
}

static void away_is_said_at_once_but_not_when_only_the_other_session_went(void **state)
{
	struct told *told = *state;

	come(told, "alice");
	here(told, "alice", PRESENCE_AWAY, false);
	assert_int_equal(told->said, 2);
	assert_int_equal(told->last_said, PRESENCE_AWAY);
	here(told, "alice", PRESENCE_ONLINE, false);
	assert_int_equal(told->said, 3);
	/* One that is away is left: its user may only have reloaded a page. */
	here(told, "alice", PRESENCE_AWAY, true);
	pass(told, GRACE_MS - 1);
	assert_int_equal(told->said, 3);
	pass(told, 1);
	assert_int_equal(told->said, 4);
	assert_int_equal(told->last_said, PRESENCE_AWAY);
	assert_int_equal(told->seen, 1);
}

static void question_is_answered_for_who_is_here_and_for_nobody_else(void **state)
{
	struct told *told = *state;
	struct user_id alice = user("alice");
	struct user_id bob = user("bob");

	come(told, "alice");
	presence_on_question(told->room, &bob);
	assert_int_equal(told->said, 1);
	presence_on_question(told->room, &alice);
	assert_int_equal(told->said, 2);
	go(told, "alice");
	presence_on_question(told->room, &alice);
	assert_int_equal(told->last_said, PRESENCE_ONLINE);
	pass(told, GRACE_MS);
	told->said = 0;
	presence_on_question(told->room, &alice);
	assert_int_equal(told->said, 0);
}

static void node_that_ends_sees_all_who_are_here(void **state)
{
	struct told *told = *state;

	come(told, "alice");
	come(told, "bob");
	go(told, "bob");
	told->seen = 0;
	presence_see_all(told->room);
	assert_int_equal(told->seen, 2);
	assert_int_equal(told->last_seen_ago_ms, 0);
}

/* Following. */

static void first_follower_asks_and_the_last_one_forgets(void **state)
{
	struct told *told = *state;

	follow(told, "alice");
	follow(told, "alice");
	assert_int_equal(told->asked, 1);
	assert_int_equal(told->followed, 1);
	hear(told, "alice", "n1", PRESENCE_ONLINE);
	unfollow(told, "alice");
	assert_int_equal(told->unfollowed, 0);
	assert_int_equal(presence_counts(told->room).words, 1);
	unfollow(told, "alice");
	assert_int_equal(told->unfollowed, 1);
	assert_int_equal(presence_counts(told->room).words, 0);
	assert_int_equal(now(told, "alice"), PRESENCE_OFFLINE);
}

static void words_about_who_is_not_followed_are_not_kept(void **state)
{
	struct told *told = *state;

	hear(told, "alice", "n1", PRESENCE_ONLINE);
	assert_int_equal(presence_counts(told->room).words, 0);
	assert_int_equal(told->changes, 0);
}

static void greatest_word_of_all_nodes_holds(void **state)
{
	struct told *told = *state;

	follow(told, "alice");
	hear(told, "alice", "n1", PRESENCE_AWAY);
	assert_int_equal(told->last_change, PRESENCE_AWAY);
	hear(told, "alice", "n2", PRESENCE_ONLINE);
	assert_int_equal(told->last_change, PRESENCE_ONLINE);
	hear(told, "alice", "n1", PRESENCE_OFFLINE);
	assert_int_equal(told->changes, 2);
	hear(told, "alice", "n2", PRESENCE_AWAY);
	assert_int_equal(told->last_change, PRESENCE_AWAY);
	come(told, "alice");
	assert_int_equal(told->last_change, PRESENCE_ONLINE);
	hear(told, "alice", "n2", PRESENCE_OFFLINE);
	assert_int_equal(told->changes, 4);
	go(told, "alice");
	pass(told, GRACE_MS);
	assert_int_equal(told->changes, 5);
	assert_int_equal(told->last_change, PRESENCE_OFFLINE);
	hear(told, "alice", "n2", PRESENCE_OFFLINE);
	assert_int_equal(told->changes, 5);
	unfollow(told, "alice");
}

static void who_is_here_is_known_to_a_follower_without_an_answer(void **state)
{
	struct told *told = *state;

	come(told, "alice");
	follow(told, "alice");
	assert_int_equal(now(told, "alice"), PRESENCE_ONLINE);
	assert_int_equal(told->changes, 0);
	unfollow(told, "alice");
}

static void name_that_no_node_can_have_is_dropped(void **state)
{
	struct told *told = *state;
	char name[100];

	memset(name, 'n', sizeof(name));
	name[99] = '\0';
	follow(told, "alice");
	hear(told, "alice", name, PRESENCE_ONLINE);
	assert_int_equal(presence_counts(told->room).words, 0);
	unfollow(told, "alice");
}

/* Nodes that die, and links that break. */

static void words_of_a_lost_node_are_dropped_after_the_grace(void **state)
{
	struct told *told = *state;

	follow(told, "alice");
	follow(told, "bob");
	hear(told, "alice", "n1", PRESENCE_ONLINE);
	hear(told, "bob", "n2", PRESENCE_ONLINE);
	presence_on_node(told->room, "n1");
	pass(told, GRACE_MS - 1);
	assert_int_equal(now(told, "alice"), PRESENCE_ONLINE);
	pass(told, 2);
	assert_int_equal(now(told, "alice"), PRESENCE_OFFLINE);
	assert_int_equal(told->last_change, PRESENCE_OFFLINE);
	assert_int_equal(now(told, "bob"), PRESENCE_ONLINE);
	/* Its node could not note when it was last there. */
	assert_int_equal(told->seen, 1);
	unfollow(told, "alice");
	unfollow(told, "bob");
}

static void who_comes_back_on_another_node_within_the_grace_never_flickers(void **state)
{
	struct told *told = *state;

	follow(told, "alice");
	hear(told, "alice", "n1", PRESENCE_ONLINE);
	presence_on_node(told->room, "n1");
	pass(told, GRACE_MS / 2);
	hear(told, "alice", "n2", PRESENCE_ONLINE);
	pass(told, GRACE_MS * 2);
	assert_int_equal(told->changes, 1);
	assert_int_equal(now(told, "alice"), PRESENCE_ONLINE);
	assert_int_equal(told->seen, 0);
	unfollow(told, "alice");
}

static void node_that_begins_again_is_believed_only_for_what_it_says_again(void **state)
{
	struct told *told = *state;

	follow(told, "alice");
	follow(told, "bob");
	hear(told, "alice", "n1", PRESENCE_ONLINE);
	hear(told, "bob", "n1", PRESENCE_ONLINE);
	/* It dies, and its successor, of the same name, says that it is alive. */
	presence_on_node(told->room, "n1");
	pass(told, 100);
	presence_on_node(told->room, "n1");
	hear(told, "bob", "n1", PRESENCE_ONLINE);
	pass(told, GRACE_MS - 100);
	assert_int_equal(now(told, "alice"), PRESENCE_OFFLINE);
	pass(told, GRACE_MS * 2);
	assert_int_equal(now(told, "bob"), PRESENCE_ONLINE);
	unfollow(told, "alice");
	unfollow(told, "bob");
}

static void node_that_begins_over_and_over_puts_nothing_off(void **state)
{
	struct told *told = *state;

	follow(told, "alice");
	hear(told, "alice", "n1", PRESENCE_ONLINE);
	for (int i = 0; i < 6; i++) {
		presence_on_node(told->room, "n1");
		pass(told, 1000);
	}
	assert_int_equal(now(told, "alice"), PRESENCE_OFFLINE);
	unfollow(told, "alice");
}

static void after_a_broken_link_all_is_said_and_asked_again_and_the_rest_dropped(void **state)
{
	struct told *told = *state;

	come(told, "carol");
	come(told, "dave");
	follow(told, "alice");
	follow(told, "bob");
	hear(told, "alice", "n1", PRESENCE_ONLINE);
	hear(told, "bob", "n2", PRESENCE_ONLINE);
	told->said = 0;
	told->asked = 0;
	presence_on_up(told->room);
	assert_int_equal(told->said, 2);
	assert_int_equal(told->asked, 2);
	hear(told, "bob", "n2", PRESENCE_ONLINE);
	pass(told, CONFIRM_MS - 1);
	assert_int_equal(now(told, "alice"), PRESENCE_ONLINE);
	pass(told, 2);
	assert_int_equal(now(told, "alice"), PRESENCE_OFFLINE);
	assert_int_equal(now(told, "bob"), PRESENCE_ONLINE);
	unfollow(told, "alice");
	unfollow(told, "bob");
}

/* Many at once. */

/* Each of many users by its name. */
static void each_of_many(struct told *told, void (*act)(struct told *told, const char *name))
{
	char name[32];

	for (int i = 0; i < STORM_USERS; i++) {
		snprintf(name, sizeof(name), "user-%d", i);
		act(told, name);
	}
}

static void hear_online(struct told *told, const char *name)
{
	hear(told, name, "n1", PRESENCE_ONLINE);
}

static void storm_of_returning_users_says_no_more_than_one_word_each(void **state)
{
	struct told *told = *state;

	for (int round = 0; round < 3; round++) {
		if (round)
			each_of_many(told, go);
		pass(told, 1000);
		each_of_many(told, come);
		pass(told, GRACE_MS * 2);
	}
	assert_int_equal(told->said, STORM_USERS);
}

static void storm_from_a_dead_node_to_this_one_changes_nothing_for_watchers(void **state)
{
	struct told *told = *state;

	each_of_many(told, follow);
	each_of_many(told, hear_online);
	told->changes = 0;
	presence_on_node(told->room, "n1");
	pass(told, 2000);
	each_of_many(told, come);
	pass(told, GRACE_MS * 2);
	assert_int_equal(told->said, STORM_USERS);
	assert_int_equal(told->changes, 0);
	assert_int_equal(presence_counts(told->room).words, 0);
	each_of_many(told, unfollow);
}

/* Whatever happens, in whatever order: when all is quiet, what is shown is the greatest of what is. */
static void words_in_any_order_come_to_what_is(void **state)
{
	static const char *const nodes[NODES] = {"n0", "n1", "n2"};
	struct told *told = *state;

	follow(told, "alice");
	for (unsigned int seed = 1; seed <= SEEDS; seed++) {
		enum presence words[NODES + 1];
		enum presence expected = PRESENCE_OFFLINE;
		unsigned int random = seed;

		for (int i = 0; i <= NODES; i++)
			words[i] = PRESENCE_OFFLINE;
		for (int step = 0; step < STEPS; step++) {
			int place = rand_r(&random) % (NODES + 1);
			enum presence word = (enum presence)(1 + rand_r(&random) % 3);
			int before = told->changes;

			if (place < NODES && rand_r(&random) % 8 == 0) {
				presence_on_node(told->room, nodes[place]);
				words[place] = PRESENCE_OFFLINE;
			} else if (place < NODES) {
				hear(told, "alice", nodes[place], word);
				words[place] = word;
			} else {
				here(told, "alice", word, word == PRESENCE_OFFLINE);
				words[place] = word;
			}
			pass(told, (uint64_t)rand_r(&random) % GRACE_MS / 4);
			if (told->changes != before)
				assert_int_equal(told->last_change, now(told, "alice"));
		}
		pass(told, GRACE_MS + 1);
		pass(told, 1);
		for (int i = 0; i <= NODES; i++) {
			if (words[i] > expected)
				expected = words[i];
		}
		assert_int_equal(now(told, "alice"), expected);
	}
	unfollow(told, "alice");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(coming_is_said_at_once_and_going_after_the_grace),
		TEST(who_comes_back_within_the_grace_is_no_news),
		TEST(away_is_said_at_once_but_not_when_only_the_other_session_went),
		TEST(question_is_answered_for_who_is_here_and_for_nobody_else),
		TEST(node_that_ends_sees_all_who_are_here),
		TEST(first_follower_asks_and_the_last_one_forgets),
		TEST(words_about_who_is_not_followed_are_not_kept),
		TEST(greatest_word_of_all_nodes_holds),
		TEST(who_is_here_is_known_to_a_follower_without_an_answer),
		TEST(name_that_no_node_can_have_is_dropped),
		TEST(words_of_a_lost_node_are_dropped_after_the_grace),
		TEST(who_comes_back_on_another_node_within_the_grace_never_flickers),
		TEST(node_that_begins_again_is_believed_only_for_what_it_says_again),
		TEST(node_that_begins_over_and_over_puts_nothing_off),
		TEST(after_a_broken_link_all_is_said_and_asked_again_and_the_rest_dropped),
		TEST(storm_of_returning_users_says_no_more_than_one_word_each),
		TEST(storm_from_a_dead_node_to_this_one_changes_nothing_for_watchers),
		TEST(words_in_any_order_come_to_what_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
