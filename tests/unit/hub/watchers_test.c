/* Who watches sees who may be seen, and learns of each change once. */
#include "unit/hub/support.h"

#include "base/memory.h"
#include "hub/watchers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCHED_MOST 5
#define RETRY_MS 500
#define CROWD (WATCHERS_ASKED + 3)

/* A frame says the presence, and 10 more if it is not to be known. */
struct watch_world {
	struct world *world;
	struct presence_room *presence;
	struct watchers *watchers;
	int encoded;
	int asked;
	struct user_id asked_user;
	char others[4096];
	size_t others_count;
};

static void ignore_word(void *context, const struct user_id *id, enum presence word)
{
	(void)context;
	(void)id;
	(void)word;
}

static void ignore_user(void *context, const struct user_id *id)
{
	(void)context;
	(void)id;
}

static void ignore_seen(void *context, const struct user_id *id, uint64_t ago_ms)
{
	(void)context;
	(void)id;
	(void)ago_ms;
}

static void on_change(void *context, const struct user_id *id, enum presence now)
{
	(void)now;
	watchers_on_change(((struct watch_world *)context)->watchers, id);
}

static struct frame *encode(void *context, const struct user_id *id, enum presence presence,
                            bool is_shown)
{
	struct watch_world *world = context;

	(void)id;
	world->encoded++;
	return number_frame((uint64_t)presence + (is_shown ? 0 : 10));
}

static void on_ask(void *context, const struct user_id *id, const struct user_id *others,
                   size_t count)
{
	struct watch_world *world = context;
	size_t size = 0;

	world->asked++;
	world->asked_user = *id;
	world->others_count = count;
	world->others[0] = '\0';
	for (size_t i = 0; i < count && count < 10; i++)
		size += (size_t)snprintf(world->others + size, sizeof(world->others) - size, "%s%s",
		                         i ? " " : "", others[i].text);
}

static int set_up(void **state)
{
	struct watch_world *world = memory_new(sizeof(*world));
	const struct presence_options options = {5000, 2000};
	const struct presence_needs presence_needs = {
		world, ignore_word, ignore_user, ignore_user, ignore_user, on_change, ignore_seen};
	const struct watchers_needs needs = {world, encode, on_ask};
	void *inner;

	assert_int_equal(world_set_up(&inner), 0);
	world->world = inner;
	world->presence = presence_create(&options, &presence_needs, &world->world->timers);
	world->watchers =
		watchers_create(&(struct watchers_options){WATCHED_MOST, RETRY_MS}, &needs,
	                        world->world->hub, world->presence, &world->world->timers);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct watch_world *world = *state;
	void *inner = world->world;

	watchers_destroy(world->watchers);
	presence_destroy(world->presence);
	world_tear_down(&inner);
	free(world);
	return 0;
}

static void open_client(struct watch_world *world, struct client *client, const char *name)
{
	client_open(world->world, client, name);
}

static void close_client(struct watch_world *world, struct client *client)
{
	watchers_on_session_gone(world->watchers, client->session);
	client_close(client);
}

static bool add(struct watch_world *world, struct client *client, const char *name)
{
	struct user_id id = user(name);

	return watchers_add(world->watchers, client->session, &id, 1);
}

static enum presence show(struct watch_world *world, struct client *client, const char *name,
                          bool is_shown)
{
	struct user_id id = user(name);

	return watchers_show(world->watchers, client->session, &id, is_shown);
}

/* A shown watch, as a command makes it. */
static void watch(struct watch_world *world, struct client *client, const char *name)
{
	assert_true(add(world, client, name));
	show(world, client, name, true);
}

static void unwatch(struct watch_world *world, struct client *client, const char *name)
{
	struct user_id id = user(name);

	watchers_remove(world->watchers, client->session, &id, 1);
}

static void set(struct watch_world *world, const char *name, enum presence word)
{
	struct user_id id = user(name);

	presence_on_word(world->presence, &id, "n1", word);
}

static void recheck(struct watch_world *world, const char *name)
{
	struct user_id id = user(name);

	watchers_recheck(world->watchers, &id);
}

static void assert_seen(struct client *client, size_t count, uint64_t last)
{
	client_read(client);
	assert_int_equal(client->count, count);
	if (count)
		assert_int_equal(client->seen[count - 1], last);
}

static void watcher_is_told_of_each_change_once(void **state)
{
	struct watch_world *world = *state;
	struct client alice;

	open_client(world, &alice, "alice");
	watch(world, &alice, "bob");
	set(world, "bob", PRESENCE_ONLINE);
	set(world, "bob", PRESENCE_ONLINE);
	assert_seen(&alice, 1, PRESENCE_ONLINE);
	set(world, "bob", PRESENCE_AWAY);
	assert_seen(&alice, 2, PRESENCE_AWAY);
	set(world, "bob", PRESENCE_OFFLINE);
	assert_seen(&alice, 3, PRESENCE_OFFLINE);
	unwatch(world, &alice, "bob");
	set(world, "bob", PRESENCE_ONLINE);
	assert_seen(&alice, 3, PRESENCE_OFFLINE);
	assert_int_equal(presence_counts(world->presence).followed, 0);
	close_client(world, &alice);
}

static void what_the_answer_of_a_command_says_is_not_told_again(void **state)
{
	struct watch_world *world = *state;
	struct client alice;
	struct client bob;

	open_client(world, &alice, "alice");
	open_client(world, &bob, "bob");
	watch(world, &alice, "carol");
	set(world, "carol", PRESENCE_ONLINE);
	assert_true(add(world, &bob, "carol"));
	assert_int_equal(show(world, &bob, "carol", true), PRESENCE_ONLINE);
	assert_seen(&alice, 1, PRESENCE_ONLINE);
	assert_seen(&bob, 0, 0);
	close_client(world, &alice);
	close_client(world, &bob);
}

static void watchers_of_one_user_share_a_frame(void **state)
{
	struct watch_world *world = *state;
	struct client clients[4];

	for (size_t i = 0; i < 4; i++) {
		open_client(world, &clients[i], i % 2 ? "alice" : "dora");
		watch(world, &clients[i], "bob");
	}
	set(world, "bob", PRESENCE_ONLINE);
	assert_int_equal(world->encoded, 1);
	for (size_t i = 0; i < 4; i++) {
		assert_seen(&clients[i], 1, PRESENCE_ONLINE);
		close_client(world, &clients[i]);
	}
}

static void hidden_watch_shows_nothing_and_follows_nobody(void **state)
{
	struct watch_world *world = *state;
	struct client alice;

	open_client(world, &alice, "alice");
	assert_true(add(world, &alice, "bob"));
	assert_int_equal(show(world, &alice, "bob", false), PRESENCE_OFFLINE);
	assert_int_equal(presence_counts(world->presence).followed, 0);
	set(world, "bob", PRESENCE_ONLINE);
	assert_seen(&alice, 0, 0);
	close_client(world, &alice);
}

static void session_watches_no_more_than_its_bound(void **state)
{
	const struct user_id users[] = {user("u1"), user("u2"), user("u3"),
	                                user("u4"), user("u5"), user("u6")};
	struct watch_world *world = *state;
	struct client alice;
	struct client other;

	open_client(world, &alice, "alice");
	open_client(world, &other, "alice");
	assert_false(watchers_add(world->watchers, alice.session, users, 6));
	assert_int_equal(watchers_count(world->watchers), 0);
	assert_true(watchers_add(world->watchers, alice.session, users, 5));
	assert_true(watchers_add(world->watchers, alice.session, users, 5));
	assert_false(watchers_add(world->watchers, alice.session, users + 5, 1));
	assert_int_equal(watchers_count(world->watchers), 5);
	assert_true(watchers_add(world->watchers, other.session, users + 5, 1));
	watchers_remove(world->watchers, alice.session, users, 2);
	assert_true(watchers_add(world->watchers, alice.session, users + 5, 1));
	assert_int_equal(watchers_count(world->watchers), 5);
	close_client(world, &alice);
	assert_int_equal(watchers_count(world->watchers), 1);
	close_client(world, &other);
	assert_int_equal(watchers_count(world->watchers), 0);
}

static void ending_what_is_not_watched_changes_nothing(void **state)
{
	struct watch_world *world = *state;
	struct client alice;

	open_client(world, &alice, "alice");
	unwatch(world, &alice, "bob");
	watch(world, &alice, "bob");
	unwatch(world, &alice, "carol");
	assert_int_equal(watchers_count(world->watchers), 1);
	assert_int_equal(show(world, &alice, "carol", true), PRESENCE_OFFLINE);
	close_client(world, &alice);
}

static void client_without_room_is_told_what_is_when_it_has_some(void **state)
{
	struct watch_world *world = *state;
	struct client alice;

	open_client(world, &alice, "alice");
	watch(world, &alice, "bob");
	watch(world, &alice, "carol");
	for (int i = 0; i < 20; i++)
		set(world, "bob", i % 2 ? PRESENCE_AWAY : PRESENCE_ONLINE);
	set(world, "carol", PRESENCE_ONLINE);
	set(world, "bob", PRESENCE_OFFLINE);
	assert_int_equal(alice.closed, 0);
	client_read(&alice);
	assert_true(alice.count < 10);
	alice.count = 0;
	watchers_on_room(world->watchers, alice.session);
	client_read(&alice);
	assert_int_equal(alice.count, 2);
	assert_int_equal(alice.seen[0] + alice.seen[1], PRESENCE_OFFLINE + PRESENCE_ONLINE);
	watchers_on_room(world->watchers, alice.session);
	assert_seen(&alice, 2, alice.seen[1]);
	close_client(world, &alice);
}

/* Asking again. */

static void user_is_checked_against_whom_it_watches_and_who_watches_it(void **state)
{
	struct watch_world *world = *state;
	struct client alice[2];
	struct client bob;

	open_client(world, &alice[0], "alice");
	open_client(world, &alice[1], "alice");
	open_client(world, &bob, "bob");
	watch(world, &alice[0], "carol");
	watch(world, &alice[1], "carol");
	watch(world, &alice[1], "dave");
	watch(world, &bob, "alice");
	recheck(world, "alice");
	assert_int_equal(world->asked, 1);
	assert_string_equal(world->others, "bob carol dave");
	set(world, "carol", PRESENCE_ONLINE);
	set(world, "dave", PRESENCE_ONLINE);
	set(world, "alice", PRESENCE_ONLINE);
	watchers_answer(world->watchers, (const bool[]){false, true, false});
	assert_seen(&alice[0], 1, PRESENCE_ONLINE);
	assert_seen(&alice[1], 3, PRESENCE_OFFLINE + 10);
	assert_seen(&bob, 2, PRESENCE_OFFLINE + 10);
	set(world, "dave", PRESENCE_AWAY);
	set(world, "alice", PRESENCE_AWAY);
	assert_seen(&alice[1], 3, PRESENCE_OFFLINE + 10);
	assert_seen(&bob, 2, PRESENCE_OFFLINE + 10);
	for (size_t i = 0; i < 2; i++)
		close_client(world, &alice[i]);
	close_client(world, &bob);
}

static void hidden_watch_that_may_be_shown_is_told(void **state)
{
	struct watch_world *world = *state;
	struct client alice;
	struct client bob;

	open_client(world, &alice, "alice");
	open_client(world, &bob, "bob");
	watch(world, &bob, "carol");
	set(world, "carol", PRESENCE_ONLINE);
	assert_true(add(world, &alice, "carol"));
	show(world, &alice, "carol", false);
	recheck(world, "alice");
	watchers_answer(world->watchers, (const bool[]){true});
	assert_seen(&alice, 1, PRESENCE_ONLINE);
	close_client(world, &alice);
	close_client(world, &bob);
}

static void rechecks_are_asked_one_at_a_time_and_once_each(void **state)
{
	struct watch_world *world = *state;
	struct client alice;

	open_client(world, &alice, "alice");
	watch(world, &alice, "bob");
	watch(world, &alice, "carol");
	for (int i = 0; i < 10; i++) {
		recheck(world, "alice");
		recheck(world, "bob");
		recheck(world, "stranger");
	}
	assert_int_equal(world->asked, 1);
	watchers_answer(world->watchers, (const bool[]){true, true});
	assert_int_equal(world->asked, 2);
	watchers_answer(world->watchers, (const bool[]){true});
	/* The first was asked for again while it was on its way. */
	assert_int_equal(world->asked, 3);
	watchers_answer(world->watchers, (const bool[]){true, true});
	assert_int_equal(world->asked, 3);
	close_client(world, &alice);
}

static void question_without_an_answer_is_asked_again_later(void **state)
{
	struct watch_world *world = *state;
	struct client alice;

	open_client(world, &alice, "alice");
	watch(world, &alice, "bob");
	recheck(world, "alice");
	watchers_answer(world->watchers, NULL);
	assert_int_equal(world->asked, 1);
	timers_turn(&world->world->timers, world->world->timers.now_ms + RETRY_MS);
	assert_int_equal(world->asked, 2);
	watchers_answer(world->watchers, (const bool[]){false});
	assert_int_equal(presence_counts(world->presence).followed, 0);
	close_client(world, &alice);
}

static void many_watchers_of_one_user_are_asked_about_page_by_page(void **state)
{
	struct watch_world *world = *state;
	struct client *clients = test_calloc(CROWD, sizeof(*clients));
	bool *is_visible = test_calloc(WATCHERS_ASKED, sizeof(*is_visible));
	char name[32];

	for (int i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "fan-%d", i);
		open_client(world, &clients[i], name);
		watch(world, &clients[i], "star");
	}
	recheck(world, "star");
	assert_int_equal(world->others_count, WATCHERS_ASKED);
	watchers_answer(world->watchers, is_visible);
	assert_int_equal(world->others_count, CROWD - WATCHERS_ASKED);
	assert_int_equal(presence_counts(world->presence).followed, 1);
	watchers_answer(world->watchers, is_visible);
	assert_int_equal(world->asked, 2);
	assert_int_equal(presence_counts(world->presence).followed, 0);
	for (int i = 0; i < CROWD; i++)
		close_client(world, &clients[i]);
	test_free(is_visible);
	test_free(clients);
}

static void who_goes_while_a_question_is_on_its_way_is_not_missed_by_it(void **state)
{
	struct watch_world *world = *state;
	struct client alice;
	struct client bob;

	open_client(world, &alice, "alice");
	open_client(world, &bob, "bob");
	watch(world, &alice, "carol");
	watch(world, &bob, "alice");
	watchers_recheck_all(world->watchers);
	close_client(world, &alice);
	watchers_answer(world->watchers, (const bool[]){true, true});
	close_client(world, &bob);
	/* Bob's was asked next, and nobody is left to be told. */
	assert_int_equal(world->asked, 2);
	watchers_answer(world->watchers, (const bool[]){true});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(watcher_is_told_of_each_change_once),
		TEST(what_the_answer_of_a_command_says_is_not_told_again),
		TEST(watchers_of_one_user_share_a_frame),
		TEST(hidden_watch_shows_nothing_and_follows_nobody),
		TEST(session_watches_no_more_than_its_bound),
		TEST(ending_what_is_not_watched_changes_nothing),
		TEST(client_without_room_is_told_what_is_when_it_has_some),
		TEST(user_is_checked_against_whom_it_watches_and_who_watches_it),
		TEST(hidden_watch_that_may_be_shown_is_told),
		TEST(rechecks_are_asked_one_at_a_time_and_once_each),
		TEST(question_without_an_answer_is_asked_again_later),
		TEST(many_watchers_of_one_user_are_asked_about_page_by_page),
		TEST(who_goes_while_a_question_is_on_its_way_is_not_missed_by_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
