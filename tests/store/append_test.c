#include "store/support.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_MS 5000

static const char *const bob_and_carol[] = {"bob", "carol", NULL};

static void append_first_message_follows_the_beginning(void **state)
{
	struct stage stage;
	struct sending sending;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	send_message(stage.store, &sending, &group, "bob", "hello");
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	assert_int_equal(sending.answer.seq, 2);
	assert_false(sending.answer.is_duplicate);
	assert_true(llabs(sending.answer.time_ms / 1000 - (int64_t)time(NULL)) < 60);
	stage_close(&stage);
}

static void append_many_leaves_no_gap(void **state)
{
	enum { GROUPS = 5, SENDS = 500 };
	struct stage stage;
	struct uuid groups[GROUPS];
	struct sending *sendings = test_calloc(SENDS, sizeof(*sendings));
	uint64_t highest = 0;

	(void)state;
	stage_open(&stage, WAIT_MS);
	for (int i = 0; i < GROUPS; i++)
		groups[i] = make_group(&stage, "alice", bob_and_carol);
	for (int i = 0; i < SENDS; i++)
		send_message(stage.store, &sendings[i], &groups[i % GROUPS], "carol",
		             "one of many");
	for (int i = 0; i < SENDS; i++) {
		await(&stage, sendings[i].answers);
		assert_int_equal(sendings[i].answers, 1);
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_OK);
		/* In the order in which they were submitted. */
		assert_int_equal(sendings[i].answer.seq, 2 + i / GROUPS);
		highest = sendings[i].answer.seq;
	}
	assert_int_equal(highest, 1 + SENDS / GROUPS);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
	test_free(sendings);
}

static void append_repeated_returns_the_first_seq_and_time(void **state)
{
	struct stage stage;
	struct sending sending;
	struct append_answer first;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	send_message(stage.store, &sending, &group, "bob", "once");
	await(&stage, sending.answers);
	first = sending.answer;
	fill_conversation(&stage, &group, "alice", 3);
	submit(stage.store, &sending);
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	assert_true(sending.answer.is_duplicate);
	assert_int_equal(sending.answer.seq, first.seq);
	assert_int_equal(sending.answer.time_ms, first.time_ms);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

static void append_repeated_in_one_batch_is_one_event(void **state)
{
	struct stage stage;
	struct sending sendings[3];
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	send_message(stage.store, &sendings[0], &group, "bob", "once");
	for (int i = 1; i < 3; i++) {
		sendings[i].item = sendings[0].item;
		submit(stage.store, &sendings[i]);
	}
	for (int i = 0; i < 3; i++) {
		await(&stage, sendings[i].answers);
		assert_int_equal(sendings[i].answers, 1);
		assert_int_equal(sendings[i].answer.seq, 2);
		assert_int_equal(sendings[i].answer.time_ms, sendings[0].answer.time_ms);
		assert_int_equal(sendings[i].answer.is_duplicate, i > 0);
	}
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

/* A client at fault: what it says under one identity differs. What is wrong with the one is not wrong with the
 * other. */
static void append_repeated_with_another_reply_is_judged_by_itself(void **state)
{
	struct stage stage;
	struct sending sendings[3];
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	for (int i = 0; i < 3; i++) {
		compose(&sendings[i], &group, "bob", "once");
		sendings[i].item.client_message_id = sendings[0].item.client_message_id;
	}
	sendings[0].item.reply_to_seq = 99;
	for (int i = 0; i < 3; i++)
		submit(stage.store, &sendings[i]);
	await(&stage, sendings[0].answers && sendings[1].answers && sendings[2].answers);
	assert_int_equal(sendings[0].answer.outcome.code, OUTCOME_INVALID_ARGUMENT);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_OK);
		assert_int_equal(sendings[i].answer.seq, 2);
		assert_int_equal(sendings[i].answer.is_duplicate, i > 1);
	}
	stage_close(&stage);
}

static void append_same_identity_of_another_sender_is_another_message(void **state)
{
	struct stage stage;
	struct sending sendings[2];
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	send_message(stage.store, &sendings[0], &group, "bob", "mine");
	sendings[1].item = sendings[0].item;
	sendings[1].item.sender = user("carol");
	submit(stage.store, &sendings[1]);
	await(&stage, sendings[0].answers && sendings[1].answers);
	assert_int_equal(sendings[0].answer.seq, 2);
	assert_int_equal(sendings[1].answer.seq, 3);
	assert_false(sendings[1].answer.is_duplicate);
	stage_close(&stage);
}

/* What is refused takes no number, whatever is in the same batch. */
static void append_refused_is_told_apart_and_takes_no_number(void **state)
{
	enum { GOOD, STRANGER, LEFT, NOWHERE, REPLY_BEYOND, REPLY, LAST, SENDS };
	static const enum outcome_code expected[SENDS] = {
		[STRANGER] = OUTCOME_NOT_FOUND,
		[LEFT] = OUTCOME_NOT_FOUND,
		[NOWHERE] = OUTCOME_NOT_FOUND,
		[REPLY_BEYOND] = OUTCOME_INVALID_ARGUMENT,
	};
	struct stage stage;
	struct sending sendings[SENDS];
	struct uuid group;
	struct uuid nowhere = new_uuid();

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	sql_run(stage.sql,
	        "update martlet.members set left_seq = 1 where user_id = 'carol' and "
	        "conversation_id = '%s'",
	        uuid_to_text(&group).text);
	compose(&sendings[GOOD], &group, "bob", "good");
	compose(&sendings[STRANGER], &group, "mallory", "let me in");
	compose(&sendings[LEFT], &group, "carol", "I am back");
	compose(&sendings[NOWHERE], &nowhere, "bob", "hello?");
	compose(&sendings[REPLY_BEYOND], &group, "bob", "to the future");
	sendings[REPLY_BEYOND].item.reply_to_seq = 2;
	compose(&sendings[REPLY], &group, "bob", "to the beginning");
	sendings[REPLY].item.reply_to_seq = 1;
	compose(&sendings[LAST], &group, "alice", "good too");
	for (int i = 0; i < SENDS; i++)
		submit(stage.store, &sendings[i]);
	for (int i = 0; i < SENDS; i++) {
		await(&stage, sendings[i].answers);
		assert_int_equal(sendings[i].answer.outcome.code, expected[i]);
	}
	assert_string_equal(sendings[REPLY_BEYOND].answer.outcome.field, "reply_to_seq");
	assert_int_equal(sendings[GOOD].answer.seq, 2);
	assert_int_equal(sendings[REPLY].answer.seq, 3);
	assert_int_equal(sendings[LAST].answer.seq, 4);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

static void append_across_a_block_is_denied_to_both(void **state)
{
	struct stage stage;
	struct sending sendings[2];
	struct began began;

	(void)state;
	stage_open(&stage, WAIT_MS);
	begin_direct(stage.store, &began, "dora", "erik");
	await(&stage, began.answers);
	sql_run(stage.sql,
	        "insert into martlet.blocks (user_id, blocked_id) values ('dora', 'erik')");
	send_message(stage.store, &sendings[0], &began.answer.conversation, "erik", "please");
	send_message(stage.store, &sendings[1], &began.answer.conversation, "dora", "no");
	await(&stage, sendings[0].answers && sendings[1].answers);
	assert_int_equal(sendings[0].answer.outcome.code, OUTCOME_PERMISSION_DENIED);
	assert_int_equal(sendings[1].answer.outcome.code, OUTCOME_PERMISSION_DENIED);
	stage_close(&stage);
}

static void append_moves_the_conversation_up(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	sql_run(stage.sql,
	        "update martlet.conversations set last_event_at = 'epoch' where id = '%s'",
	        uuid_to_text(&group).text);
	fill_conversation(&stage, &group, "alice", 1);
	assert_int_equal(
		sql_number(stage.sql,
	                   "select count(*) from martlet.conversations c join martlet.events e "
	                   "on e.conversation_id = c.id and e.seq = c.last_seq "
	                   "where c.id = '%s' and e.seq = 2 and e.created_at = c.last_event_at",
	                   uuid_to_text(&group).text),
		1);
	stage_close(&stage);
}

static void append_beyond_what_may_wait_is_refused(void **state)
{
	enum { PENDING = 4, SENDS = 7 };
	struct stage stage;
	struct sending sendings[SENDS];
	struct store_options options = stage_options(WAIT_MS);
	struct store *store;
	struct uuid group;

	(void)state;
	options.append_pending = PENDING;
	stage_open(&stage, WAIT_MS);
	store = stage_add_store(&stage, &options);
	group = make_group(&stage, "alice", bob_and_carol);
	await(&stage, store_is_ready(store));
	for (int i = 0; i < SENDS; i++)
		send_message(store, &sendings[i], &group, "bob", "in a hurry");
	for (int i = 0; i < SENDS; i++) {
		const struct outcome *outcome = &sendings[i].answer.outcome;

		await(&stage, sendings[i].answers);
		assert_int_equal(outcome->code,
		                 i < PENDING ? OUTCOME_OK : OUTCOME_RESOURCE_EXHAUSTED);
		assert_int_equal(outcome->retry_after_ms > 0, i >= PENDING);
	}
	stage_close(&stage);
}

static void append_two_stores_at_once_leave_no_gap_and_no_duplicate(void **state)
{
	enum { GROUPS = 3, SENDS = 600 };
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct sending *sendings = test_calloc(SENDS, sizeof(*sendings));
	struct uuid groups[GROUPS];
	int fresh = 0;

	(void)state;
	stage_open(&stage, WAIT_MS);
	stage_add_store(&stage, &options);
	await(&stage, store_is_ready(stage.stores[1]));
	for (int i = 0; i < GROUPS; i++)
		groups[i] = make_group(&stage, "alice", bob_and_carol);
	/* Every message goes through both stores, in opposite order of their conversations. */
	for (int i = 0; i < SENDS / 2; i++) {
		send_message(stage.stores[0], &sendings[i], &groups[i % GROUPS], "bob", "from two");
		sendings[i + SENDS / 2].item = sendings[i].item;
	}
	for (int i = SENDS - 1; i >= SENDS / 2; i--)
		submit(stage.stores[1], &sendings[i]);
	for (int i = 0; i < SENDS; i++) {
		await(&stage, sendings[i].answers);
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_OK);
		fresh += !sendings[i].answer.is_duplicate;
	}
	assert_int_equal(fresh, SENDS / 2);
	for (int i = 0; i < SENDS / 2; i++)
		assert_int_equal(sendings[i].answer.seq, sendings[i + SENDS / 2].answer.seq);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
	test_free(sendings);
}

/* Nothing that passes the bridge's checks is like this; should it happen, it harms itself only. */
static void append_that_the_database_rejects_is_alone(void **state)
{
	enum { SENDS = 40, BAD = 17 };
	struct stage stage;
	struct sending sendings[SENDS];
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	for (int i = 0; i < SENDS; i++) {
		compose(&sendings[i], &group, "bob", "in bad company");
		if (i == BAD)
			sendings[i].item.content_type = "\xff is no UTF-8";
		submit(stage.store, &sendings[i]);
	}
	for (int i = 0; i < SENDS; i++) {
		await(&stage, sendings[i].answers);
		assert_int_equal(sendings[i].answers, 1);
		assert_int_equal(sendings[i].answer.outcome.code,
		                 i == BAD ? OUTCOME_INTERNAL : OUTCOME_OK);
	}
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

/* More bytes than one statement may have. */
static void append_large_bodies_go_in_several_batches(void **state)
{
	enum { SENDS = 300, BODY = 262144 };
	struct stage stage;
	struct store_options options = stage_options(60000);
	struct sending *sendings = test_calloc(SENDS, sizeof(*sendings));
	uint8_t *body = test_calloc(1, BODY);
	struct store *store;
	struct uuid group;

	(void)state;
	options.append_batch = SENDS;
	stage_open(&stage, WAIT_MS);
	store = stage_add_store(&stage, &options);
	group = make_group(&stage, "alice", bob_and_carol);
	for (int i = 0; i < SENDS; i++) {
		compose(&sendings[i], &group, "bob", "");
		sendings[i].item.body = body;
		sendings[i].item.body_size = BODY;
		submit(store, &sendings[i]);
	}
	for (int i = 0; i < SENDS; i++) {
		await(&stage, sendings[i].answers);
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_OK);
	}
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
	test_free(body);
	test_free(sendings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(append_first_message_follows_the_beginning),
		cmocka_unit_test(append_many_leaves_no_gap),
		cmocka_unit_test(append_repeated_returns_the_first_seq_and_time),
		cmocka_unit_test(append_repeated_in_one_batch_is_one_event),
		cmocka_unit_test(append_repeated_with_another_reply_is_judged_by_itself),
		cmocka_unit_test(append_same_identity_of_another_sender_is_another_message),
		cmocka_unit_test(append_refused_is_told_apart_and_takes_no_number),
		cmocka_unit_test(append_across_a_block_is_denied_to_both),
		cmocka_unit_test(append_moves_the_conversation_up),
		cmocka_unit_test(append_beyond_what_may_wait_is_refused),
		cmocka_unit_test(append_two_stores_at_once_leave_no_gap_and_no_duplicate),
		cmocka_unit_test(append_that_the_database_rejects_is_alone),
		cmocka_unit_test(append_large_bodies_go_in_several_batches),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
