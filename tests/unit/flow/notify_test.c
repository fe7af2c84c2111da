/* What services tell users: told next, read when missed, published once a shard; and who is nowhere. */
#include "unit/flow/support.h"

#include <string.h>

static void a_change_that_is_next_is_told_as_it_comes(void **state)
{
	struct client here;
	struct client there;
	const int64_t gone[] = {1};

	(void)state;
	client_open(&here, "ann", 0);
	client_open(&there, "ann", 0);
	receive("ann", 1, "a", NULL, 0);
	receive("ann", 2, "b", gone, 1);
	assert_string_equal(client_read(&here), "+1 -1 +2");
	assert_string_equal(client_read(&there), "+1 -1 +2");
	/* Repeated or late, it is known. */
	receive("ann", 1, "a", NULL, 0);
	receive("ann", 2, NULL, NULL, 0);
	receive("bob", 3, "c", NULL, 0);
	assert_string_equal(client_read(&here), "");
	assert_int_equal(world->list.count, 0);
	client_close(&here);
	client_close(&there);
}

static void a_change_farther_on_is_read_with_all_before(void **state)
{
	struct client behind;
	struct client ahead;
	const int64_t gone[] = {1};

	(void)state;
	client_open(&behind, "ann", 1);
	client_open(&ahead, "ann", 3);
	receive("ann", 5, "e", NULL, 0);
	assert_int_equal(world->list.count, 1);
	assert_int_equal(world->list.after, 1);
	assert_string_equal(client_read(&behind), "");
	/* Each is told what it misses; what is gone is told to both, who may not have had it. */
	answer_list(2, 5, gone, 1);
	assert_string_equal(client_read(&behind), "-1 +2 +3 +4 +5");
	assert_string_equal(client_read(&ahead), "-1 +4 +5");
	receive("ann", 6, "f", NULL, 0);
	assert_string_equal(client_read(&behind), "+6");
	assert_int_equal(world->list.count, 1);
	client_close(&behind);
	client_close(&ahead);
}

static void what_is_missed_while_reading_is_read_again(void **state)
{
	struct client one;

	(void)state;
	client_open(&one, "ann", 0);
	receive("ann", 2, "b", NULL, 0);
	receive("ann", 4, "d", NULL, 0);
	assert_int_equal(world->list.count, 1);
	answer_list(1, 2, NULL, 0);
	assert_string_equal(client_read(&one), "+1 +2");
	assert_int_equal(world->list.count, 2);
	assert_int_equal(world->list.after, 2);
	answer_list(3, 4, NULL, 0);
	assert_string_equal(client_read(&one), "+3 +4");
	assert_int_equal(world->list.count, 2);
	client_close(&one);
}

static void what_the_database_does_not_answer_is_asked_again(void **state)
{
	const struct notifications_answer away = {
		.outcome = outcome_retry(OUTCOME_UNAVAILABLE, 1, "away")};
	struct client one;

	(void)state;
	client_open(&one, "ann", 0);
	notify_learn(world->notify, session_user(one.session), 2);
	assert_int_equal(world->list.count, 1);
	world->list.done(world->list.context, &away);
	world_turn(499);
	assert_int_equal(world->list.count, 1);
	world_turn(1);
	assert_int_equal(world->list.count, 2);
	/* Who has gone meanwhile needs no answer. */
	world->list.done(world->list.context, &away);
	client_close(&one);
	world_turn(500);
	assert_int_equal(world->list.count, 2);
}

static void a_session_that_reads_what_waits_is_told_nothing_yet(void **state)
{
	struct client one;
	struct user_id ann = user("ann");

	(void)state;
	client_open(&one, "ann", -1);
	receive("ann", 1, "a", NULL, 0);
	receive("ann", 7, "g", NULL, 0);
	assert_string_equal(client_read(&one), "");
	assert_int_equal(world->list.count, 0);
	/* It is remembered: the page may have been read before. */
	assert_int_equal(hub_notifications(world->hub, &ann), 7);
	client_close(&one);
}

static void a_slow_session_is_closed_alone(void **state)
{
	struct client slow;
	struct client quick;

	(void)state;
	client_open(&slow, "ann", 0);
	client_open(&quick, "ann", 0);
	for (uint64_t number = 1; number <= 200; number++) {
		receive("ann", number, "a-long-identity-that-takes-room", NULL, 0);
		client_read(&quick);
	}
	assert_int_equal(slow.closed, CLOSE_SLOW_CONSUMER);
	assert_int_equal(quick.closed, 0);
	client_close(&slow);
	client_close(&quick);
}

/* Storing. */

struct noted {
	struct notify_answer answer;
	int answers;
};

static void on_noted(void *context, const struct notify_answer *answer)
{
	struct noted *noted = context;

	noted->answer = *answer;
	noted->answers++;
}

static Martlet__V1__Notify command(char **users, size_t count)
{
	Martlet__V1__Notify given = MARTLET__V1__NOTIFY__INIT;

	given.id = (char *)(uintptr_t) "one";
	given.users = users;
	given.n_users = count;
	return given;
}

static void submit_tells_here_and_publishes_once_a_shard(void **state)
{
	char *users[] = {"ann", "bob", "carol", "dan", "eve", "fred"};
	Martlet__V1__Notify given = command(users, 6);
	struct notified notified[6];
	struct store_notification_answer answer = {
		.outcome = outcome_ok(), .users = notified, .count = 6};
	struct noted noted = {.answers = 0};
	struct client ann;
	struct outcome outcome;
	int mentioned = 0;

	(void)state;
	client_open(&ann, "ann", 0);
	outcome = notify_submit(world->notify, "shop", &given, on_noted, &noted);
	assert_int_equal(outcome.code, OUTCOME_OK);
	assert_int_equal(noted.answers, 0);
	assert_string_equal(world->store.users, "ann,bob,carol,dan,eve,fred");
	assert_int_equal(world->store.expires_after_ms, LIMIT_NOTIFICATION_MS);
	for (size_t i = 0; i < 6; i++)
		notified[i] =
			(struct notified){.user = user(users[i]), .is_pending = true, .number = 1};
	world->store.done(world->store.context, &answer);
	assert_int_equal(noted.answers, 1);
	assert_int_equal(noted.answer.stored, 6);
	assert_string_equal(client_read(&ann), "+1");
	assert_true(world->publishes <= SHARDS);
	for (int i = 0; i < world->publishes; i++) {
		assert_non_null(strstr(world->published[i], " one"));
		for (const char *at = world->published[i]; (at = strchr(at, '=')); at++)
			mentioned++;
	}
	assert_int_equal(mentioned, 6);
	/* All but her are looked for. */
	assert_int_equal(world->followed, 5);
	client_close(&ann);
}

static void submit_repeated_or_replaced_is_only_a_number(void **state)
{
	char *users[] = {"ann", "bob"};
	Martlet__V1__Notify given = command(users, 2);
	struct notified notified[] = {
		{.user = user("ann"), .is_repeated = true, .is_pending = true, .number = 4},
		{.user = user("bob"), .is_pending = false, .number = 1},
	};
	const struct store_notification_answer answer = {
		.outcome = outcome_ok(), .users = notified, .count = 2};
	struct noted noted = {.answers = 0};
	struct client ann;
	struct outcome outcome;

	(void)state;
	client_open(&ann, "ann", 3);
	outcome = notify_submit(world->notify, "shop", &given, on_noted, &noted);
	assert_int_equal(outcome.code, OUTCOME_OK);
	world->store.done(world->store.context, &answer);
	assert_int_equal(noted.answer.stored, 1);
	assert_int_equal(noted.answer.repeated, 1);
	for (int i = 0; i < world->publishes; i++)
		assert_null(strstr(world->published[i], " one"));
	/* She had missed the first telling. */
	assert_int_equal(world->list.count, 1);
	answer_list(4, 4, NULL, 0);
	assert_string_equal(client_read(&ann), "+4");
	client_close(&ann);
}

static void submit_refuses_what_is_wrong_by_its_field(void **state)
{
	static char many[LIMIT_NOTIFIED_USERS + 1][8];
	static char *all[LIMIT_NOTIFIED_USERS + 1];
	static uint8_t payload[101];
	static char sixty_five[66];
	char *good[] = {"ann"};
	char *bad[] = {"ann", "no one"};
	const Martlet__V1__Notify right = command(good, 1);
	struct {
		const char *field;
		const char *service;
		Martlet__V1__Notify command;
	} cases[] = {
		{"service", "a/b", right},
		{"service", "", right},
		{"id", "shop", right},
		{"id", "shop", right},
		{"id", "shop", right},
		{"users", "shop", command(NULL, 0)},
		{"users", "shop", command(all, LIMIT_NOTIFIED_USERS + 1)},
		{"users[1]", "shop", command(bad, 2)},
		{"kind", "shop", right},
		{"content_type", "shop", right},
		{"collapse_key", "shop", right},
		{"payload", "shop", right},
		{"expires_after_ms", "shop", right},
	};
	struct outcome outcome;

	(void)state;
	memset(sixty_five, 'a', 65);
	for (size_t i = 0; i <= LIMIT_NOTIFIED_USERS; i++) {
		memcpy(many[i], "ann", 4);
		all[i] = many[i];
	}
	cases[2].command.id = (char *)(uintptr_t) "";
	cases[3].command.id = (char *)(uintptr_t) "a b";
	cases[4].command.id = sixty_five;
	cases[8].command.kind = sixty_five;
	cases[9].command.content_type = (char *)(uintptr_t) "text\n";
	cases[10].command.collapse_key = (char *)(uintptr_t) "\xff";
	cases[11].command.payload.data = payload;
	cases[11].command.payload.len = sizeof(payload);
	cases[12].command.expires_after_ms = LIMIT_NOTIFICATION_MS + 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		outcome = notify_submit(world->notify, cases[i].service, &cases[i].command,
		                        on_noted, NULL);
		assert_int_equal(outcome.code, OUTCOME_INVALID_ARGUMENT);
		assert_string_equal(outcome.field, cases[i].field);
	}
	assert_int_equal(world->store.count, 0);
}

static void submit_answers_what_the_database_says(void **state)
{
	const struct store_notification_answer away = {
		.outcome = outcome_retry(OUTCOME_UNAVAILABLE, 1000, "away")};
	char *users[] = {"ann"};
	Martlet__V1__Notify given = command(users, 1);
	struct noted noted = {.answers = 0};
	struct outcome outcome = notify_submit(world->notify, "shop", &given, on_noted, &noted);

	(void)state;
	assert_int_equal(outcome.code, OUTCOME_OK);
	world->store.done(world->store.context, &away);
	assert_int_equal(noted.answers, 1);
	assert_int_equal(noted.answer.outcome.code, OUTCOME_UNAVAILABLE);
	assert_int_equal(world->publishes, 0);
}

/* Acknowledging. */

static void on_acked(void *context, const struct ack_answer *answer)
{
	*(size_t *)context += answer->count + 1;
}

static void ack_is_told_to_all_sessions_and_nodes(void **state)
{
	const int64_t gone[] = {1, 3};
	const struct ack_answer answer = {
		.outcome = outcome_ok(), .numbers = gone, .count = 2, .change = 4};
	const struct ack_answer nothing = {.outcome = outcome_ok()};
	const uint64_t numbers[] = {1, 3, 9};
	struct client here;
	struct client there;
	size_t acked = 0;

	(void)state;
	client_open(&here, "ann", 3);
	client_open(&there, "ann", 3);
	notify_ack(world->notify, session_user(here.session), numbers, 3, on_acked, &acked);
	assert_int_equal(world->ack.numbers, 3);
	world->ack.done(world->ack.context, &answer);
	assert_int_equal(acked, 3);
	assert_string_equal(client_read(&here), "-1 -3");
	assert_string_equal(client_read(&there), "-1 -3");
	assert_string_equal(world->published[0], "ann=4-1-3");
	acked = 0;
	notify_ack(world->notify, session_user(here.session), numbers, 3, on_acked, &acked);
	world->ack.done(world->ack.context, &nothing);
	assert_int_equal(acked, 1);
	assert_int_equal(world->publishes, 1);
	client_close(&here);
	client_close(&there);
}

/* Ending. */

static void the_sweep_goes_on_at_once_after_a_full_batch(void **state)
{
	const struct outcome good = outcome_ok();

	(void)state;
	world_turn(SWEEP_MS - 1);
	assert_int_equal(world->sweep.count, 0);
	world_turn(1);
	assert_int_equal(world->sweep.count, 1);
	world_turn(SWEEP_MS);
	assert_int_equal(world->sweep.count, 1);
	world->sweep.done(world->sweep.context, &good, LIMIT_NOTIFICATIONS_SWEPT);
	world_turn(1);
	assert_int_equal(world->sweep.count, 2);
	world->sweep.done(world->sweep.context, &good, 3);
	world_turn(SWEEP_MS - 1);
	assert_int_equal(world->sweep.count, 2);
	world_turn(1);
	assert_int_equal(world->sweep.count, 3);
}

/* Who is nowhere. */

static void answer_waiting(uint32_t waiting)
{
	struct waiting_user one = {.user = user("zoe"), .waiting = waiting, .newest = 7};

	world->waiting.done(world->waiting.context,
	                    &(struct waiting_answer){.outcome = outcome_ok(),
	                                             .users = &one,
	                                             .count = waiting ? 1 : 0});
}

static void who_is_nowhere_is_told_of_after_all_were_asked(void **state)
{
	struct user_id zoe = user("zoe");

	(void)state;
	notify_tell(world->notify, &zoe, 7);
	notify_tell(world->notify, &zoe, 8);
	assert_int_equal(world->followed, 1);
	world_turn(LIMIT_ABSENT_MS - 1);
	assert_int_equal(world->waiting.count, 0);
	world_turn(1);
	assert_int_equal(world->waiting.count, 1);
	assert_string_equal(world->waiting.users[0].text, "zoe");
	assert_false(world->waiting.were_here[0]);
	assert_int_equal(world->followed, 0);
	answer_waiting(2);
	assert_string_equal(world->told, "zoe 2 7");
	/* Somebody else was quicker, or nothing waits. */
	notify_tell(world->notify, &zoe, 9);
	world_turn(LIMIT_ABSENT_MS);
	answer_waiting(0);
	assert_int_equal(world->tellings, 1);
}

static void who_is_somewhere_is_looked_for_twice(void **state)
{
	struct user_id zoe = user("zoe");

	(void)state;
	world->presence = PRESENCE_AWAY;
	notify_tell(world->notify, &zoe, 7);
	world_turn(LIMIT_ABSENT_MS);
	assert_int_equal(world->followed, 1);
	world_turn(LIMIT_PRESENCE_GRACE_MS + LIMIT_ABSENT_MS + 1);
	assert_int_equal(world->followed, 0);
	assert_int_equal(world->waiting.count, 0);
	/* The word has fallen between the two looks. */
	notify_tell(world->notify, &zoe, 8);
	world_turn(LIMIT_ABSENT_MS);
	world->presence = PRESENCE_OFFLINE;
	world_turn(LIMIT_PRESENCE_GRACE_MS + LIMIT_ABSENT_MS + 1);
	assert_int_equal(world->waiting.count, 1);
	answer_waiting(1);
	assert_int_equal(world->tellings, 1);
}

static void who_went_is_looked_for_after_the_grace(void **state)
{
	struct user_id zoe = user("zoe");
	struct client back;

	(void)state;
	notify_on_user_idle(world->notify, &zoe);
	world_turn(LIMIT_PRESENCE_GRACE_MS + LIMIT_ABSENT_MS - 1);
	assert_int_equal(world->waiting.count, 0);
	world_turn(1);
	assert_int_equal(world->waiting.count, 1);
	assert_true(world->waiting.were_here[0]);
	/* It came back while that was asked. */
	client_open(&back, "zoe", 7);
	answer_waiting(1);
	assert_int_equal(world->tellings, 0);
	client_close(&back);
}

static void who_went_while_it_was_asked_about_is_looked_for_again(void **state)
{
	const struct waiting_answer away = {.outcome =
	                                            outcome_retry(OUTCOME_UNAVAILABLE, 1, "away")};
	struct user_id zoe = user("zoe");

	(void)state;
	notify_tell(world->notify, &zoe, 7);
	world_turn(LIMIT_ABSENT_MS);
	world->waiting.done(world->waiting.context, &away);
	world_turn(500);
	assert_int_equal(world->waiting.count, 2);
	notify_on_user_idle(world->notify, &zoe);
	answer_waiting(0);
	assert_int_equal(world->followed, 1);
	world_turn(LIMIT_PRESENCE_GRACE_MS + LIMIT_ABSENT_MS);
	assert_int_equal(world->waiting.count, 3);
	assert_true(world->waiting.were_here[0]);
	answer_waiting(1);
	assert_int_equal(world->tellings, 1);
}

/* The answers come when the store closes, after everything else has stopped. */
static void what_is_on_its_way_at_the_end_is_answered(void **state)
{
	char *users[] = {"ann"};
	Martlet__V1__Notify given = command(users, 1);
	struct noted noted = {.answers = 0};
	struct user_id zoe = user("zoe");
	struct client one;
	struct outcome outcome;

	(void)state;
	client_open(&one, "ann", 0);
	outcome = notify_submit(world->notify, "shop", &given, on_noted, &noted);
	assert_int_equal(outcome.code, OUTCOME_OK);
	notify_learn(world->notify, session_user(one.session), 2);
	notify_tell(world->notify, &zoe, 1);
	world_turn(LIMIT_ABSENT_MS);
	notify_stop(world->notify);
	world->store.done(world->store.context,
	                  &(struct store_notification_answer){
				  .outcome = outcome_retry(OUTCOME_UNAVAILABLE, 1, "closing")});
	answer_list(1, 2, NULL, 0);
	answer_waiting(1);
	assert_int_equal(noted.answers, 1);
	assert_string_equal(client_read(&one), "");
	assert_int_equal(world->tellings, 0);
	client_close(&one);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_change_that_is_next_is_told_as_it_comes),
		TEST(a_change_farther_on_is_read_with_all_before),
		TEST(what_is_missed_while_reading_is_read_again),
		TEST(what_the_database_does_not_answer_is_asked_again),
		TEST(a_session_that_reads_what_waits_is_told_nothing_yet),
		TEST(a_slow_session_is_closed_alone),
		TEST(submit_tells_here_and_publishes_once_a_shard),
		TEST(submit_repeated_or_replaced_is_only_a_number),
		TEST(submit_refuses_what_is_wrong_by_its_field),
		TEST(submit_answers_what_the_database_says),
		TEST(ack_is_told_to_all_sessions_and_nodes),
		TEST(the_sweep_goes_on_at_once_after_a_full_batch),
		TEST(who_is_nowhere_is_told_of_after_all_were_asked),
		TEST(who_is_somewhere_is_looked_for_twice),
		TEST(who_went_is_looked_for_after_the_grace),
		TEST(who_went_while_it_was_asked_about_is_looked_for_again),
		TEST(what_is_on_its_way_at_the_end_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
