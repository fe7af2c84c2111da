/* What services told users: stored once, in order, within bounds; read, acknowledged, ended, and told of. */
#include "store/notifications.h"
#include "store/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 5000
#define USERS_MOST 8
#define GONE_MOST 8
#define PAGE 100
#define HOUR_MS (UINT64_C(3600) * 1000)

/* An order and what came of it. */
struct ordering {
	struct outcome outcome;
	struct notified users[USERS_MOST];
	int64_t gone[USERS_MOST][GONE_MOST];
	size_t count;
	int64_t created_ms;
	int64_t expires_ms;
	int answers;
};

static void on_stored(void *context, const struct store_notification_answer *answer)
{
	struct ordering *ordering = context;

	ordering->outcome = answer->outcome;
	ordering->count = answer->count;
	ordering->created_ms = answer->created_ms;
	ordering->expires_ms = answer->expires_ms;
	assert_true(answer->count <= USERS_MOST);
	for (size_t i = 0; i < answer->count; i++) {
		ordering->users[i] = answer->users[i];
		assert_true(answer->users[i].gone_count <= GONE_MOST);
		for (size_t k = 0; k < answer->users[i].gone_count; k++)
			ordering->gone[i][k] = answer->users[i].gone[k];
		ordering->users[i].gone = ordering->gone[i];
	}
	ordering->answers++;
}

static struct notification_order order(const char *service, const char *id, const char *users)
{
	size_t count = 1;

	for (const char *at = users; *at; at++)
		count += *at == ',';
	return (struct notification_order){
		.notification =
			{
				.id = id,
				.service = service,
				.kind = "kind",
				.content_type = "text/plain",
				.payload = (const uint8_t *)id,
				.payload_size = strlen(id),
				.collapse_key = "",
			},
		.expires_after_ms = HOUR_MS,
		.users = users,
		.users_count = count,
	};
}

static void submit_order(struct store *store, struct ordering *ordering,
                         const struct notification_order *given)
{
	ordering->answers = 0;
	notifications_store(store, given, on_stored, ordering);
	assert_int_equal(ordering->answers, 0);
}

static struct ordering make_order(struct stage *stage, const struct notification_order *given)
{
	struct ordering ordering;

	submit_order(stage->store, &ordering, given);
	await(stage, ordering.answers);
	assert_int_equal(ordering.answers, 1);
	return ordering;
}

/* One user's number; it was stored just now. */
static uint64_t stored(struct stage *stage, const char *service, const char *id, const char *who)
{
	const struct notification_order given = order(service, id, who);
	struct ordering ordering = make_order(stage, &given);

	assert_int_equal(ordering.outcome.code, OUTCOME_OK);
	assert_int_equal(ordering.count, 1);
	assert_false(ordering.users[0].is_repeated);
	return ordering.users[0].number;
}

/* A page, its numbers and what had gone, as text: "1 2 3+ -4" with + if there is more. */
struct listing {
	char text[512];
	struct outcome outcome;
	uint64_t version;
	bool is_told;
	char first_id[65];
	int answers;
};

static void on_list(void *context, const struct notifications_answer *answer)
{
	struct listing *listing = context;
	char *at = listing->text;
	size_t left = sizeof(listing->text);

	listing->outcome = answer->outcome;
	listing->version = answer->version;
	listing->is_told = answer->is_told;
	listing->text[0] = '\0';
	for (size_t i = 0; i < answer->count; i++) {
		int size = snprintf(at, left, "%s%d", i ? " " : "",
		                    (int)answer->notifications[i].number);

		at += size;
		left -= (size_t)size;
	}
	if (answer->count)
		snprintf(listing->first_id, sizeof(listing->first_id), "%s",
		         answer->notifications[0].id);
	if (answer->has_more) {
		*at++ = '+';
		*at = '\0';
		left--;
	}
	for (size_t i = 0; i < answer->gone_count; i++) {
		int size = snprintf(at, left, " -%d", (int)answer->gone[i]);

		at += size;
		left -= (size_t)size;
	}
	listing->answers++;
}

static struct listing list(struct stage *stage, const char *who, uint64_t after, uint32_t limit,
                           uint32_t bytes)
{
	struct user_id id = user(who);
	struct listing listing = {.answers = 0};

	notifications_list(stage->store, &id, after, limit, bytes, on_list, &listing);
	await(stage, listing.answers);
	assert_int_equal(listing.outcome.code, OUTCOME_OK);
	return listing;
}

static void assert_listed(struct stage *stage, const char *who, uint64_t after, const char *text)
{
	assert_string_equal(list(stage, who, after, PAGE, 65536).text, text);
}

struct acking {
	struct ack_answer answer;
	int answers;
};

static void on_acked(void *context, const struct ack_answer *answer)
{
	struct acking *acking = context;

	acking->answer = *answer;
	acking->answers++;
}

static struct ack_answer ack(struct stage *stage, const char *who, uint64_t first, size_t count)
{
	struct user_id id = user(who);
	struct acking acking = {.answers = 0};
	uint64_t numbers[8];

	for (size_t i = 0; i < count; i++)
		numbers[i] = first + i;
	notifications_ack(stage->store, &id, numbers, count, on_acked, &acking);
	await(stage, acking.answers);
	assert_int_equal(acking.answer.outcome.code, OUTCOME_OK);
	return acking.answer;
}

static void store_gives_each_user_the_next_number(void **state)
{
	struct stage stage;
	struct notification_order given = order("shop", "a", "nina,olaf,nina");
	struct ordering ordering;

	(void)state;
	stage_open(&stage, WAIT_MS);
	ordering = make_order(&stage, &given);
	assert_int_equal(ordering.outcome.code, OUTCOME_OK);
	assert_int_equal(ordering.count, 2);
	assert_string_equal(ordering.users[0].user.text, "nina");
	assert_int_equal(ordering.users[0].number, 1);
	assert_true(ordering.users[0].is_pending);
	assert_int_equal(ordering.users[1].number, 1);
	assert_int_equal(ordering.expires_ms - ordering.created_ms, HOUR_MS);
	assert_int_equal(stored(&stage, "shop", "b", "nina"), 2);
	assert_int_equal(stored(&stage, "bank", "a", "nina"), 3);
	assert_listed(&stage, "nina", 0, "1 2 3");
	assert_listed(&stage, "nina", 1, "2 3");
	assert_listed(&stage, "olaf", 0, "1");
	assert_listed(&stage, "nobody", 0, "");
	assert_int_equal(list(&stage, "nina", 0, PAGE, 65536).version, 3);
	stage_close(&stage);
}

static void store_repeated_stores_nothing_whatever_became_of_it(void **state)
{
	struct stage stage;
	struct notification_order given = order("shop", "same", "pat");
	struct ordering ordering;

	(void)state;
	stage_open(&stage, WAIT_MS);
	assert_int_equal(stored(&stage, "shop", "same", "pat"), 1);
	ordering = make_order(&stage, &given);
	assert_true(ordering.users[0].is_repeated);
	assert_true(ordering.users[0].is_pending);
	assert_int_equal(ordering.users[0].number, 1);
	assert_int_equal(ack(&stage, "pat", 1, 1).count, 1);
	ordering = make_order(&stage, &given);
	assert_true(ordering.users[0].is_repeated);
	assert_false(ordering.users[0].is_pending);
	assert_listed(&stage, "pat", 0, "");
	assert_int_equal(sql_number(stage.sql, "select sum(octet_length(payload)) from "
	                                       "martlet.notifications where user_id = 'pat'"),
	                 0);
	stage_close(&stage);
}

static void store_of_one_batch_is_of_one_order_each(void **state)
{
	enum { ORDERS = 5 };
	struct stage stage;
	struct ordering orderings[ORDERS];
	const char *const ids[ORDERS] = {"a", "b", "a", "c", "d"};
	const uint64_t numbers[ORDERS] = {1, 2, 0, 3, 4};
	struct notification_order given[ORDERS];

	(void)state;
	stage_open(&stage, WAIT_MS);
	for (int i = 0; i < ORDERS; i++) {
		given[i] = order("shop", ids[i], "quinn");
		submit_order(stage.store, &orderings[i], &given[i]);
	}
	for (int i = 0; i < ORDERS; i++) {
		await(&stage, orderings[i].answers);
		assert_int_equal(orderings[i].users[0].is_repeated, i == 2);
		if (i != 2)
			assert_int_equal(orderings[i].users[0].number, numbers[i]);
	}
	assert_listed(&stage, "quinn", 0, "1 2 3 4");
	stage_close(&stage);
}

static void store_replaces_the_one_with_the_same_key(void **state)
{
	struct stage stage;
	struct notification_order given = order("shop", "one", "rosa");
	struct notification_order other = order("bank", "one", "rosa");
	struct ordering first;
	struct ordering second;
	struct ordering stranger;

	(void)state;
	stage_open(&stage, WAIT_MS);
	given.notification.collapse_key = "order-7";
	other.notification.collapse_key = "order-7";
	make_order(&stage, &given);
	make_order(&stage, &other);
	/* Two in one batch: the first of them is over at once. */
	given.notification.id = "two";
	submit_order(stage.store, &first, &given);
	other = given;
	other.notification.id = "three";
	submit_order(stage.store, &second, &other);
	await(&stage, first.answers && second.answers);
	assert_false(first.users[0].is_pending);
	assert_true(second.users[0].is_pending);
	assert_int_equal(second.users[0].number, 4);
	assert_int_equal(second.users[0].gone_count, 2);
	assert_int_equal(second.users[0].gone[0], 1);
	assert_int_equal(second.users[0].gone[1], 3);
	assert_listed(&stage, "rosa", 0, "2 4");
	/* Who had the first two learns what became of them. */
	assert_listed(&stage, "rosa", 2, "4 -1");
	stranger = make_order(&stage, &given);
	assert_true(stranger.users[0].is_repeated);
	stage_close(&stage);
}

static void store_beyond_a_bound_drops_the_oldest_of_the_service_first(void **state)
{
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct store *store;
	struct store *wide;
	char id[16];

	(void)state;
	options.user_notifications = 6;
	options.service_notifications = 4;
	stage_open(&stage, WAIT_MS);
	wide = stage.store;
	store = stage_add_store(&stage, &options);
	await(&stage, store_is_ready(store));
	stage.store = store;
	for (int i = 1; i <= 3; i++) {
		snprintf(id, sizeof(id), "a%d", i);
		stored(&stage, "aa", id, "sven");
	}
	for (int i = 1; i <= 3; i++) {
		snprintf(id, sizeof(id), "b%d", i);
		stored(&stage, "bb", id, "sven");
	}
	assert_listed(&stage, "sven", 0, "1 2 3 4 5 6");
	/* Of the same service, though another has older ones. */
	stored(&stage, "bb", "b4", "sven");
	assert_listed(&stage, "sven", 0, "1 2 3 5 6 7");
	/* Of none that is storing, the oldest of all. */
	stored(&stage, "cc", "c1", "sven");
	assert_listed(&stage, "sven", 0, "2 3 5 6 7 8");
	assert_listed(&stage, "sven", 7, "8 -1");
	/* What has expired goes before anything else. */
	sql_run(stage.sql, "update martlet.notifications set expires_at = now() - interval '1 s' "
	                   "where user_id = 'sven' and number = 6");
	stored(&stage, "aa", "a4", "sven");
	assert_listed(&stage, "sven", 0, "2 3 5 7 8 9");
	/* One service has no more than its own part, though there is room. */
	for (int i = 1; i <= 5; i++) {
		snprintf(id, sizeof(id), "t%d", i);
		stored(&stage, "aa", id, "tom");
	}
	assert_listed(&stage, "tom", 0, "2 3 4 5");
	assert_listed(&stage, "tom", 4, "5 -1");
	stage.store = wide;
	stage_close(&stage);
}

static void list_is_cut_by_count_and_by_bytes(void **state)
{
	struct stage stage;
	char id[16];

	(void)state;
	stage_open(&stage, WAIT_MS);
	for (int i = 1; i <= 5; i++) {
		snprintf(id, sizeof(id), "%d", i);
		stored(&stage, "shop", id, "uma");
	}
	assert_string_equal(list(&stage, "uma", 0, 2, 65536).text, "1 2+");
	assert_string_equal(list(&stage, "uma", 2, 2, 65536).text, "3 4+");
	assert_string_equal(list(&stage, "uma", 4, 2, 65536).text, "5");
	assert_string_equal(list(&stage, "uma", 3, 2, 65536).text, "4 5");
	/* There is always one. */
	assert_string_equal(list(&stage, "uma", 0, 5, 1).text, "1+");
	assert_string_equal(list(&stage, "uma", 0, 5, 300).text, "1 2+");
	stage_close(&stage);
}

static void ack_ends_those_that_were_pending(void **state)
{
	struct stage stage;
	struct ack_answer answer;

	(void)state;
	stage_open(&stage, WAIT_MS);
	stored(&stage, "shop", "a", "vera");
	stored(&stage, "shop", "b", "vera");
	stored(&stage, "shop", "c", "vera");
	stored(&stage, "shop", "a", "will");
	answer = ack(&stage, "vera", 2, 3);
	assert_int_equal(answer.count, 2);
	assert_int_equal(answer.change, 4);
	assert_listed(&stage, "vera", 0, "1");
	assert_listed(&stage, "vera", 3, " -2 -3");
	assert_listed(&stage, "vera", 4, "");
	assert_listed(&stage, "will", 0, "1");
	assert_int_equal(ack(&stage, "vera", 2, 3).count, 0);
	assert_int_equal(ack(&stage, "nobody", 1, 1).count, 0);
	/* A number is never used again. */
	assert_int_equal(stored(&stage, "shop", "d", "vera"), 5);
	stage_close(&stage);
}

struct swept {
	struct outcome outcome;
	uint32_t count;
	int answers;
};

static void on_swept(void *context, const struct outcome *outcome, uint32_t count)
{
	struct swept *swept = context;

	swept->outcome = *outcome;
	swept->count = count;
	swept->answers++;
}

static uint32_t sweep(struct stage *stage, uint32_t limit)
{
	struct swept swept = {.answers = 0};

	notifications_sweep(stage->store, limit, 3600, on_swept, &swept);
	await(stage, swept.answers);
	assert_int_equal(swept.outcome.code, OUTCOME_OK);
	return swept.count;
}

static void sweep_ends_and_forgets_in_batches(void **state)
{
	struct stage stage;
	char id[16];

	(void)state;
	stage_open(&stage, WAIT_MS);
	while (sweep(&stage, 100))
		;
	for (int i = 1; i <= 5; i++) {
		snprintf(id, sizeof(id), "%d", i);
		stored(&stage, "shop", id, "xena");
	}
	assert_int_equal(sweep(&stage, 3), 0);
	sql_run(stage.sql, "update martlet.notifications set expires_at = now() - interval '1 s' "
	                   "where user_id = 'xena' and number < 5");
	/* What is over is listed no more, swept or not. */
	assert_listed(&stage, "xena", 0, "5");
	/* Another node is at it. */
	sql_run(stage.sql, "begin; select "
	                   "pg_advisory_xact_lock(hashtextextended('notifications/sweep', 0))");
	assert_int_equal(sweep(&stage, 3), 0);
	sql_run(stage.sql, "commit");
	assert_int_equal(sweep(&stage, 3), 3);
	assert_int_equal(sweep(&stage, 3), 1);
	assert_int_equal(sweep(&stage, 3), 0);
	assert_listed(&stage, "xena", 4, "5");
	sql_run(stage.sql, "update martlet.notifications set gone_at = gone_at - interval '2 h' "
	                   "where user_id = 'xena' and gone_at is not null");
	assert_int_equal(sweep(&stage, 3), 3);
	assert_int_equal(sweep(&stage, 3), 1);
	assert_int_equal(sql_number(stage.sql, "select count(*) from martlet.notifications "
	                                       "where user_id = 'xena'"),
	                 1);
	stage_close(&stage);
}

struct waited {
	struct waiting_user users[2];
	size_t count;
	int answers;
};

static void on_waiting(void *context, const struct waiting_answer *answer)
{
	struct waited *waited = context;

	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	assert_true(answer->count <= 2);
	waited->count = answer->count;
	for (size_t i = 0; i < answer->count; i++)
		waited->users[i] = answer->users[i];
	waited->answers++;
}

static struct waited tell_waiting(struct stage *stage, bool was_here)
{
	const struct user_id users[] = {user("yves"), user("zoe")};
	const bool were_here[] = {was_here, was_here};
	struct waited waited = {.answers = 0};

	notifications_tell_waiting(stage->store, users, were_here, 2, on_waiting, &waited);
	await(stage, waited.answers);
	return waited;
}

static void waiting_is_told_once_until_the_user_was_here(void **state)
{
	struct stage stage;
	struct user_id yves = user("yves");
	struct waited waited;

	(void)state;
	stage_open(&stage, WAIT_MS);
	assert_int_equal(tell_waiting(&stage, false).count, 0);
	stored(&stage, "shop", "a", "yves");
	stored(&stage, "shop", "b", "yves");
	waited = tell_waiting(&stage, false);
	assert_int_equal(waited.count, 1);
	assert_string_equal(waited.users[0].user.text, "yves");
	assert_int_equal(waited.users[0].waiting, 2);
	assert_int_equal(waited.users[0].newest, 2);
	assert_true(list(&stage, "yves", 0, PAGE, 65536).is_told);
	assert_int_equal(tell_waiting(&stage, false).count, 0);
	assert_int_equal(tell_waiting(&stage, true).count, 1);
	notifications_forget_told(stage.store, &yves);
	await(&stage, sql_number(stage.sql, "select count(*) from martlet.users "
	                                    "where id = 'yves' and not waiting_told"));
	assert_int_equal(tell_waiting(&stage, false).count, 1);
	ack(&stage, "yves", 1, 2);
	assert_int_equal(tell_waiting(&stage, true).count, 0);
	stage_close(&stage);
}

/* The same order from two nodes at once, and a lost connection in between. */
static void store_from_two_nodes_is_stored_once(void **state)
{
	enum { ORDERS = 20 };
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct ordering here[ORDERS];
	struct ordering there[ORDERS];
	struct notification_order given[ORDERS];
	char ids[ORDERS][16];
	struct store *other;

	(void)state;
	stage_open(&stage, WAIT_MS);
	other = stage_add_store(&stage, &options);
	await(&stage, store_is_ready(other));
	for (int i = 0; i < ORDERS; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%d", i);
		given[i] = order("shop", ids[i], "adam,eve");
		submit_order(stage.store, &here[i], &given[i]);
		submit_order(other, &there[i], &given[i]);
	}
	sql_run(stage.sql, "select pg_terminate_backend(pid) from pg_stat_activity "
	                   "where application_name = 'martlet-write' "
	                   "and datname = current_database() limit 1");
	for (int i = 0; i < ORDERS; i++) {
		await(&stage, here[i].answers && there[i].answers);
		assert_int_equal(here[i].outcome.code, OUTCOME_OK);
		assert_int_equal(there[i].outcome.code, OUTCOME_OK);
	}
	assert_int_equal(sql_number(stage.sql,
	                            "select count(*) from martlet.notifications n join "
	                            "martlet.users u on u.id = n.user_id where u.id in "
	                            "('adam', 'eve') and u.notification_version = %d",
	                            ORDERS),
	                 2 * ORDERS);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_gives_each_user_the_next_number),
		cmocka_unit_test(store_repeated_stores_nothing_whatever_became_of_it),
		cmocka_unit_test(store_of_one_batch_is_of_one_order_each),
		cmocka_unit_test(store_replaces_the_one_with_the_same_key),
		cmocka_unit_test(store_beyond_a_bound_drops_the_oldest_of_the_service_first),
		cmocka_unit_test(list_is_cut_by_count_and_by_bytes),
		cmocka_unit_test(ack_ends_those_that_were_pending),
		cmocka_unit_test(sweep_ends_and_forgets_in_batches),
		cmocka_unit_test(waiting_is_told_once_until_the_user_was_here),
		cmocka_unit_test(store_from_two_nodes_is_stored_once),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
