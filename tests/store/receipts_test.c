/* How far members have conversations: marks in batches, of many users, from two nodes, and who counts. */
#include "store/receipts.h"
#include "store/support.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_MS 5000

static const char *const bob_and_carol[] = {"bob", "carol", NULL};

/* A mark and what came of it. */
struct marking {
	struct mark_answer answer;
	int answers;
};

static void on_marked(void *context, const struct mark_answer *answer)
{
	struct marking *marking = context;

	marking->answer = *answer;
	marking->answers++;
}

/* `read_seq` 0 says nothing about reading. */
static void submit_mark(struct store *store, struct marking *marking,
                        const struct uuid *conversation, const char *who, uint64_t delivered_seq,
                        uint64_t read_seq)
{
	const struct mark mark = {.conversation = *conversation,
	                          .user = user(who),
	                          .delivered_seq = delivered_seq,
	                          .read_seq = read_seq};

	memset(marking, 0, sizeof(*marking));
	receipts_mark(store, &mark, on_marked, marking);
	assert_int_equal(marking->answers, 0);
}

static struct marking make_mark(struct stage *stage, const struct uuid *conversation,
                                const char *who, uint64_t delivered_seq, uint64_t read_seq)
{
	struct marking marking;

	submit_mark(stage->store, &marking, conversation, who, delivered_seq, read_seq);
	await(stage, marking.answers);
	assert_int_equal(marking.answers, 1);
	return marking;
}

static void assert_marked(const struct marking *marking, uint64_t delivered_seq, uint64_t read_seq,
                          uint32_t unread_count)
{
	assert_int_equal(marking->answer.outcome.code, OUTCOME_OK);
	assert_int_equal(marking->answer.delivered_seq, delivered_seq);
	assert_int_equal(marking->answer.read_seq, read_seq);
	assert_int_equal(marking->answer.unread_count, unread_count);
}

/* What martlet.mark_receipts says of one mark, as a number: its status. */
static int64_t status_of(struct stage *stage, const struct uuid *conversation, const char *who,
                         int delivered_seq, int read_seq)
{
	return sql_number(stage->sql,
	                  "select status from martlet.mark_receipts('{%s}', '{%s}', '{%d}', "
	                  "'{%d}', 100)",
	                  uuid_to_text(conversation).text, who, delivered_seq, read_seq);
}

static int64_t receipts_version(struct stage *stage, const struct uuid *conversation)
{
	return sql_number(stage->sql,
	                  "select coalesce(max(version), 0) from martlet.receipt_versions "
	                  "where conversation_id = '%s'",
	                  uuid_to_text(conversation).text);
}

static void marks_move_on_and_never_back(void **state)
{
	struct stage stage;
	struct marking marking;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	fill_conversation(&stage, &group, "alice", 4);
	marking = make_mark(&stage, &group, "bob", 3, 0);
	assert_marked(&marking, 3, 0, 4);
	assert_true(marking.answer.is_changed);
	marking = make_mark(&stage, &group, "bob", 2, 0);
	assert_marked(&marking, 3, 0, 4);
	assert_false(marking.answer.is_changed);
	marking = make_mark(&stage, &group, "bob", 4, 4);
	assert_marked(&marking, 4, 4, 1);
	marking = make_mark(&stage, &group, "bob", 2, 2);
	assert_marked(&marking, 4, 4, 1);
	assert_false(marking.answer.is_changed);
	stage_close(&stage);
}

static void marks_end_with_each_status(void **state)
{
	struct stage stage;
	struct marking marking;
	struct uuid group;
	struct uuid nowhere = new_uuid();

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	assert_int_equal(status_of(&stage, &group, "bob", 1, 0), 0);
	assert_int_equal(status_of(&stage, &group, "bob", 1, 0), 1);
	assert_int_equal(status_of(&stage, &group, "bob", 1, 1), 0);
	assert_int_equal(status_of(&stage, &group, "mallory", 1, 1), 2);
	assert_int_equal(status_of(&stage, &nowhere, "bob", 1, 1), 2);
	assert_int_equal(status_of(&stage, &group, "bob", 2, 1), 3);
	sql_run(stage.sql,
	        "update martlet.members set left_seq = 1 where user_id = 'carol' and "
	        "conversation_id = '%s'",
	        uuid_to_text(&group).text);
	assert_int_equal(status_of(&stage, &group, "carol", 1, 1), 2);
	marking = make_mark(&stage, &group, "carol", 1, 1);
	assert_int_equal(marking.answer.outcome.code, OUTCOME_NOT_FOUND);
	marking = make_mark(&stage, &group, "bob", 2, 2);
	assert_int_equal(marking.answer.outcome.code, OUTCOME_INVALID_ARGUMENT);
	assert_string_equal(marking.answer.outcome.field, "seq");
	stage_close(&stage);
}

/* What one device says of delivery and another of reading comes together in whatever order. */
static void marks_of_one_member_in_one_batch_all_tell_how_far_it_is(void **state)
{
	enum { MARKS = 5 };
	struct stage stage;
	struct marking markings[MARKS];
	struct marking stray;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	fill_conversation(&stage, &group, "alice", 9);
	submit_mark(stage.store, &markings[0], &group, "bob", 8, 8);
	submit_mark(stage.store, &markings[1], &group, "bob", 3, 3);
	submit_mark(stage.store, &markings[2], &group, "bob", 9, 0);
	submit_mark(stage.store, &stray, &group, "bob", 99, 99);
	submit_mark(stage.store, &markings[3], &group, "bob", 8, 8);
	submit_mark(stage.store, &markings[4], &group, "bob", 1, 0);
	for (int i = 0; i < MARKS; i++) {
		await(&stage, markings[i].answers);
		assert_int_equal(markings[i].answers, 1);
		assert_marked(&markings[i], 9, 8, 2);
	}
	await(&stage, stray.answers);
	assert_int_equal(stray.answer.outcome.code, OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(sql_number(stage.sql,
	                            "select count(*) from martlet.members where user_id = 'bob' "
	                            "and conversation_id = '%s' and delivered_seq = 9 "
	                            "and read_seq = 8",
	                            uuid_to_text(&group).text),
	                 1);
	stage_close(&stage);
}

static void marks_of_many_members_in_one_batch_are_each_its_own(void **state)
{
	struct stage stage;
	struct marking bobs;
	struct marking carols;
	struct marking strangers;
	struct uuid group;
	struct uuid other;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	other = make_group(&stage, "alice", bob_and_carol);
	fill_conversation(&stage, &group, "alice", 2);
	submit_mark(stage.store, &bobs, &group, "bob", 2, 2);
	submit_mark(stage.store, &strangers, &group, "mallory", 2, 2);
	submit_mark(stage.store, &carols, &other, "carol", 1, 0);
	await(&stage, bobs.answers && carols.answers && strangers.answers);
	assert_marked(&bobs, 2, 2, 1);
	assert_marked(&carols, 1, 0, 0);
	assert_int_equal(strangers.answer.outcome.code, OUTCOME_NOT_FOUND);
	stage_close(&stage);
}

static void marks_raise_the_version_where_others_are_told(void **state)
{
	struct stage stage;
	struct uuid group;
	int64_t before;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	assert_int_equal(status_of(&stage, &group, "bob", 1, 0), 0);
	before = receipts_version(&stage, &group);
	assert_int_equal(status_of(&stage, &group, "bob", 1, 0), 1);
	assert_int_equal(receipts_version(&stage, &group), before);
	assert_int_equal(status_of(&stage, &group, "bob", 1, 1), 0);
	assert_int_equal(receipts_version(&stage, &group), before + 1);
	/* Of more members than are told. */
	sql_run(stage.sql,
	        "select * from martlet.mark_receipts('{%s}', '{carol}', '{1}', '{1}', 2)",
	        uuid_to_text(&group).text);
	assert_int_equal(receipts_version(&stage, &group), before + 1);
	stage_close(&stage);
}

static void unread_are_the_messages_of_others_that_are_not_redacted(void **state)
{
	struct stage stage;
	struct marking marking;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob_and_carol);
	fill_conversation(&stage, &group, "alice", 3);
	fill_conversation(&stage, &group, "bob", 2);
	sql_run(stage.sql,
	        "update martlet.events set redacted_seq = 7 where conversation_id = '%s' and seq = 3",
	        uuid_to_text(&group).text);
	marking = make_mark(&stage, &group, "bob", 1, 1);
	assert_marked(&marking, 1, 1, 2);
	/* Before one's first event nothing is there to be read. */
	sql_run(stage.sql,
	        "update martlet.members set first_seq = 4 where user_id = 'carol' and "
	        "conversation_id = '%s'",
	        uuid_to_text(&group).text);
	marking = make_mark(&stage, &group, "carol", 1, 1);
	assert_marked(&marking, 1, 1, 3);
	fill_conversation(&stage, &group, "alice", 120);
	marking = make_mark(&stage, &group, "carol", 2, 2);
	assert_marked(&marking, 2, 2, 100);
	stage_close(&stage);
}

struct counted {
	struct receipts_answer answer;
	int answers;
};

static void on_counted(void *context, const struct receipts_answer *answer)
{
	struct counted *counted = context;

	counted->answer = *answer;
	counted->answers++;
}

static struct counted count(struct stage *stage, const struct uuid *conversation, const char *who,
                            uint64_t seq)
{
	struct user_id id = user(who);
	struct counted counted = {.answers = 0};

	query_receipts(stage->store, &id, conversation, seq, on_counted, &counted);
	await(stage, counted.answers);
	return counted;
}

static void assert_counted(struct counted counted, uint32_t delivered_count, uint32_t read_count)
{
	assert_int_equal(counted.answer.outcome.code, OUTCOME_OK);
	assert_int_equal(counted.answer.delivered_count, delivered_count);
	assert_int_equal(counted.answer.read_count, read_count);
}

static void count_is_of_members_who_may_see_the_event(void **state)
{
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", (const char *const[]){"bob", "carol", "dan", NULL});
	fill_conversation(&stage, &group, "alice", 2);
	make_mark(&stage, &group, "alice", 3, 3);
	make_mark(&stage, &group, "bob", 2, 2);
	make_mark(&stage, &group, "carol", 3, 1);
	assert_counted(count(&stage, &group, "bob", 2), 2, 1);
	assert_counted(count(&stage, &group, "bob", 3), 1, 0);
	assert_counted(count(&stage, &group, "alice", 1), 2, 2);
	/* Dan was added after these, with nothing of them unread; he has never seen them. */
	sql_run(stage.sql,
	        "update martlet.members set first_seq = 4, delivered_seq = 3, read_seq = 3 "
	        "where user_id = 'dan' and conversation_id = '%s'",
	        uuid_to_text(&group).text);
	assert_counted(count(&stage, &group, "bob", 2), 2, 1);
	assert_int_equal(count(&stage, &group, "dan", 2).answer.outcome.code, OUTCOME_NOT_FOUND);
	/* Who left has it no more. */
	sql_run(stage.sql,
	        "update martlet.members set left_seq = 3 where user_id = 'bob' and "
	        "conversation_id = '%s'",
	        uuid_to_text(&group).text);
	assert_counted(count(&stage, &group, "carol", 2), 1, 0);
	assert_int_equal(count(&stage, &group, "bob", 2).answer.outcome.code, OUTCOME_NOT_FOUND);
	assert_int_equal(count(&stage, &group, "carol", 4).answer.outcome.code, OUTCOME_NOT_FOUND);
	stage_close(&stage);
}

/* Two nodes mark for the same members of the same groups, in opposite order, while messages come. */
static void marks_from_two_stores_neither_lock_up_nor_go_back(void **state)
{
	enum { GROUPS = 6, MARKS = 1200 };
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct marking *markings = test_calloc(MARKS, sizeof(*markings));
	struct sending *sendings = test_calloc(MARKS, sizeof(*sendings));
	struct uuid groups[GROUPS];
	uint64_t delivered[GROUPS][2] = {{0}};
	uint64_t read[GROUPS][2] = {{0}};

	(void)state;
	stage_open(&stage, WAIT_MS);
	stage_add_store(&stage, &options);
	await(&stage, store_is_ready(stage.stores[1]));
	for (int i = 0; i < GROUPS; i++) {
		groups[i] = make_group(&stage, "alice", bob_and_carol);
		fill_conversation(&stage, &groups[i], "alice", 20);
	}
	for (int i = 0; i < MARKS; i++) {
		struct store *store = stage.stores[i % 2];
		int place = i % 2 ? i / 2 % GROUPS : GROUPS - 1 - i / 2 % GROUPS;
		uint64_t seq = (uint64_t)(i * 7 % 21 + 1);

		int who = i % 3 != 0;

		submit_mark(store, &markings[i], &groups[place], who ? "bob" : "carol", seq,
		            i % 4 ? seq : 0);
		if (seq > delivered[place][who])
			delivered[place][who] = seq;
		if (i % 4 && seq > read[place][who])
			read[place][who] = seq;
		send_message(store, &sendings[i], &groups[GROUPS - 1 - place], "carol", "more");
		if (i % 32 == 0)
			stage_turn(&stage);
	}
	for (int i = 0; i < MARKS; i++) {
		await(&stage, markings[i].answers && sendings[i].answers);
		assert_int_equal(markings[i].answers, 1);
		assert_int_equal(markings[i].answer.outcome.code, OUTCOME_OK);
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_OK);
		assert_true(markings[i].answer.delivered_seq >= (uint64_t)(i * 7 % 21 + 1));
	}
	for (int i = 0; i < GROUPS * 2; i++)
		assert_int_equal(sql_number(stage.sql,
		                            "select count(*) from martlet.members where "
		                            "conversation_id = '%s' and user_id = '%s' "
		                            "and delivered_seq = %d and read_seq = %d",
		                            uuid_to_text(&groups[i / 2]).text,
		                            i % 2 ? "bob" : "carol", (int)delivered[i / 2][i % 2],
		                            (int)read[i / 2][i % 2]),
		                 1);
	assert_int_equal(broken_logs(stage.sql), 0);
	assert_int_equal(sql_number(stage.sql, "select sum(deadlocks) from pg_stat_database "
	                                       "where datname = current_database()"),
	                 0);
	stage_close(&stage);
	test_free(markings);
	test_free(sendings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_move_on_and_never_back),
		cmocka_unit_test(marks_end_with_each_status),
		cmocka_unit_test(marks_of_one_member_in_one_batch_all_tell_how_far_it_is),
		cmocka_unit_test(marks_of_many_members_in_one_batch_are_each_its_own),
		cmocka_unit_test(marks_raise_the_version_where_others_are_told),
		cmocka_unit_test(unread_are_the_messages_of_others_that_are_not_redacted),
		cmocka_unit_test(count_is_of_members_who_may_see_the_event),
		cmocka_unit_test(marks_from_two_stores_neither_lock_up_nor_go_back),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
