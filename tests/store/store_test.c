/* The store against a real PostgreSQL, whose connection string is in MARTLET_TEST_DATABASE. */
#include "store/store.h"

#include "base/random.h"
#include "store/append.h"
#include "store/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DEADLINE_MS 20000
#define SENDS 300

struct world {
	uv_loop_t loop;
	uv_timer_t tick; /* wakes the loop, so that deadlines are seen */
	struct store *stores[2];
	int closed;
};

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

/* Runs the loop until `count` has come to `wanted`. */
static void run_until(struct world *world, const int *count, int wanted)
{
	uint64_t end = uv_now(&world->loop) + DEADLINE_MS;

	while (*count < wanted && uv_now(&world->loop) < end) {
		uv_run(&world->loop, UV_RUN_ONCE);
		store_flush(world->stores[0]);
		store_flush(world->stores[1]);
	}
	assert_in_range(*count, wanted, INT32_MAX);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	const char *connection = getenv("MARTLET_TEST_DATABASE");

	if (!connection) {
		fprintf(stderr,
		        "MARTLET_TEST_DATABASE is not set; run this with make test-store\n");
		return -1;
	}
	uv_loop_init(&world->loop);
	uv_timer_init(&world->loop, &world->tick);
	uv_timer_start(&world->tick, on_tick, 20, 20);
	for (size_t i = 0; i < 2; i++)
		world->stores[i] = store_create(&(struct store_options){.loop = &world->loop,
		                                                        .connection = connection,
		                                                        .wait_ms = 5000,
		                                                        .append_batch = 64,
		                                                        .append_pending = 1000,
		                                                        .query_pending = 1000});
	*state = world;
	return 0;
}

static void on_closed(void *context)
{
	((struct world *)context)->closed++;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < 2; i++)
		store_close(world->stores[i], on_closed, world);
	uv_close((uv_handle_t *)&world->tick, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(world->closed, 2);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
	return 0;
}

static struct uuid make_uuid(void)
{
	struct uuid uuid;

	random_bytes(uuid.bytes, sizeof(uuid.bytes));
	return uuid;
}

static struct user_id make_user(const char *name)
{
	struct user_id user;
	char text[65];

	snprintf(text, sizeof(text), "%s-%08x", name, random_number());
	assert_true(user_id_from_text(text, &user));
	return user;
}

struct began {
	struct outcome outcome;
	struct uuid conversation;
	int count;
	int created;
	size_t members;
};

static void on_began(void *context, const struct began_answer *answer)
{
	struct began *began = context;

	/* Every answer names the same one. */
	if (began->count)
		assert_true(uuid_is_equal(&began->conversation, &answer->conversation));
	began->outcome = answer->outcome;
	began->conversation = answer->conversation;
	began->created += answer->is_created;
	if (answer->is_created)
		began->members = answer->members_count;
	began->count++;
}

static struct uuid make_group(struct world *world, const struct user_id *owner)
{
	struct began began = {.count = 0};
	struct uuid id = make_uuid();

	query_create_group(world->stores[0], &id, owner, "Group", NULL, 0, on_began, &began);
	run_until(world, &began.count, 1);
	assert_int_equal(began.outcome.code, OUTCOME_OK);
	return id;
}

struct sends {
	struct append_answer answers[2 * SENDS];
	int count;
};

struct one_send {
	struct sends *sends;
	size_t place;
};

static struct one_send slots[2 * SENDS];

static void on_appended(void *context, const struct append_answer *answer)
{
	struct one_send *one = context;

	one->sends->answers[one->place] = *answer;
	one->sends->count++;
}

static void send_one(struct store *store, struct sends *sends, size_t place,
                     const struct uuid *conversation, const struct user_id *sender,
                     struct uuid client_message_id, uint64_t reply_to_seq)
{
	const struct append_item item = {.conversation = *conversation,
	                                 .sender = *sender,
	                                 .client_message_id = client_message_id,
	                                 .content_type = "",
	                                 .body = (const uint8_t *)"body",
	                                 .body_size = 4,
	                                 .reply_to_seq = reply_to_seq};

	slots[place] = (struct one_send){sends, place};
	append_submit(store, &item, on_appended, &slots[place]);
}

static void two_writers_of_one_conversation_leave_no_gap_and_no_double(void **state)
{
	struct world *world = *state;
	struct user_id owner = make_user("owner");
	struct uuid group = make_group(world, &owner);
	static struct sends sends;
	bool is_there[2 * SENDS + 2] = {false};

	sends.count = 0;
	for (size_t i = 0; i < 2 * SENDS; i++)
		send_one(world->stores[i % 2], &sends, i, &group, &owner, make_uuid(), 0);
	run_until(world, &sends.count, 2 * SENDS);
	for (size_t i = 0; i < 2 * SENDS; i++) {
		assert_int_equal(sends.answers[i].outcome.code, OUTCOME_OK);
		assert_false(sends.answers[i].is_duplicate);
		assert_in_range(sends.answers[i].seq, 2, 2 * SENDS + 1);
		assert_false(is_there[sends.answers[i].seq]);
		is_there[sends.answers[i].seq] = true;
	}
}

static void repeated_send_has_the_first_ones_number_in_a_batch_after_it_and_elsewhere(void **state)
{
	struct world *world = *state;
	struct user_id owner = make_user("owner");
	struct uuid group = make_group(world, &owner);
	struct uuid id = make_uuid();
	static struct sends sends;

	sends.count = 0;
	for (size_t i = 0; i < 3; i++)
		send_one(world->stores[0], &sends, i, &group, &owner, id, 0);
	run_until(world, &sends.count, 3);
	send_one(world->stores[1], &sends, 3, &group, &owner, id, 0);
	run_until(world, &sends.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(sends.answers[i].seq, 2);
		assert_int_equal(sends.answers[i].time_ms, sends.answers[0].time_ms);
		assert_int_equal(sends.answers[i].is_duplicate, i > 0);
	}
}

static void stranger_a_wrong_reply_and_an_unknown_conversation_are_refused_alone(void **state)
{
	struct world *world = *state;
	struct user_id owner = make_user("owner");
	struct user_id stranger = make_user("stranger");
	struct uuid group = make_group(world, &owner);
	struct uuid nowhere = make_uuid();
	static struct sends sends;

	sends.count = 0;
	send_one(world->stores[0], &sends, 0, &group, &stranger, make_uuid(), 0);
	send_one(world->stores[0], &sends, 1, &group, &owner, make_uuid(), 77);
	send_one(world->stores[0], &sends, 2, &nowhere, &owner, make_uuid(), 0);
	send_one(world->stores[0], &sends, 3, &group, &owner, make_uuid(), 1);
	run_until(world, &sends.count, 4);
	assert_int_equal(sends.answers[0].outcome.code, OUTCOME_NOT_FOUND);
	assert_int_equal(sends.answers[1].outcome.code, OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(sends.answers[2].outcome.code, OUTCOME_NOT_FOUND);
	assert_int_equal(sends.answers[3].outcome.code, OUTCOME_OK);
	assert_int_equal(sends.answers[3].seq, 2);
}

static void direct_conversation_of_a_pair_is_one_however_many_open_it(void **state)
{
	struct world *world = *state;
	struct user_id alice = make_user("alice");
	struct user_id bob = make_user("bob");
	struct began began = {.count = 0};

	for (size_t i = 0; i < 20; i++) {
		struct uuid proposed = make_uuid();

		query_open_direct(world->stores[i % 2], i % 3 ? &alice : &bob,
		                  i % 3 ? &bob : &alice, &proposed, on_began, &began);
	}
	run_until(world, &began.count, 20);
	assert_int_equal(began.created, 1);
	assert_int_equal(began.members, 2);
}

static void group_made_again_is_there_and_anothers_is_refused(void **state)
{
	struct world *world = *state;
	struct user_id owner = make_user("owner");
	struct user_id other = make_user("other");
	struct uuid id = make_group(world, &owner);
	struct began began = {.count = 0};

	query_create_group(world->stores[1], &id, &owner, "Group", NULL, 0, on_began, &began);
	run_until(world, &began.count, 1);
	assert_int_equal(began.outcome.code, OUTCOME_OK);
	assert_int_equal(began.created, 0);
	query_create_group(world->stores[1], &id, &other, "Group", NULL, 0, on_began, &began);
	run_until(world, &began.count, 2);
	assert_int_equal(began.outcome.code, OUTCOME_ALREADY_EXISTS);
}

struct page {
	struct outcome outcome;
	uint64_t seqs[128];
	size_t size;
	bool has_more;
	int count;
};

static void on_page(void *context, const struct events_answer *answer)
{
	struct page *page = context;

	page->outcome = answer->outcome;
	page->size = answer->count;
	page->has_more = answer->has_more;
	for (size_t i = 0; i < answer->count; i++)
		page->seqs[i] = answer->events[i].seq;
	page->count++;
}

static void assert_page(const struct page *page, uint64_t first, uint64_t last, bool has_more)
{
	assert_int_equal(page->outcome.code, OUTCOME_OK);
	assert_int_equal(page->size, last - first + 1);
	assert_int_equal(page->seqs[0], first);
	assert_int_equal(page->seqs[page->size - 1], last);
	assert_int_equal(page->has_more, has_more);
}

static void history_pages_both_ways_and_is_cut_by_bytes(void **state)
{
	struct world *world = *state;
	struct user_id owner = make_user("owner");
	struct user_id stranger = make_user("stranger");
	struct uuid group = make_group(world, &owner);
	struct page page = {.count = 0};
	static struct sends sends;

	sends.count = 0;
	for (size_t i = 0; i < 30; i++)
		send_one(world->stores[0], &sends, i, &group, &owner, make_uuid(), 0);
	run_until(world, &sends.count, 30);
	query_history(world->stores[0], &owner, &group, HISTORY_BEFORE, 0, 10, 65536, on_page,
	              &page);
	run_until(world, &page.count, 1);
	assert_page(&page, 22, 31, true);
	query_history(world->stores[0], &owner, &group, HISTORY_BEFORE, 5, 10, 65536, on_page,
	              &page);
	run_until(world, &page.count, 2);
	assert_page(&page, 1, 4, false);
	query_history(world->stores[0], &owner, &group, HISTORY_AFTER, 0, 10, 65536, on_page,
	              &page);
	run_until(world, &page.count, 3);
	assert_page(&page, 1, 10, true);
	/* Four bytes a body, and none in number 1: the page ends where ten bytes are reached. */
	query_history(world->stores[0], &owner, &group, HISTORY_AFTER, 0, 10, 10, on_page, &page);
	run_until(world, &page.count, 4);
	assert_page(&page, 1, 4, true);
	query_history(world->stores[0], &stranger, &group, HISTORY_BEFORE, 0, 10, 10, on_page,
	              &page);
	run_until(world, &page.count, 5);
	assert_int_equal(page.outcome.code, OUTCOME_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_writers_of_one_conversation_leave_no_gap_and_no_double),
		TEST(repeated_send_has_the_first_ones_number_in_a_batch_after_it_and_elsewhere),
		TEST(stranger_a_wrong_reply_and_an_unknown_conversation_are_refused_alone),
		TEST(direct_conversation_of_a_pair_is_one_however_many_open_it),
		TEST(group_made_again_is_there_and_anothers_is_refused),
		TEST(history_pages_both_ways_and_is_cut_by_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
