/* Blocks, who sees whom, and when somebody was last here. */
#include "store/people.h"
#include "store/support.h"

#include <stdio.h>
#include <string.h>

#define WAIT_MS 5000
#define NAMES_BYTES 4096

/* Whatever was answered, as text: names with spaces between them. */
struct got {
	int answers;
	struct outcome outcome;
	bool is_changed;
	bool has_more;
	size_t count;
	int64_t last_seen_ms; /* of the last one */
	char names[NAMES_BYTES];
};

static void add_name(struct got *got, const char *name)
{
	size_t size = strlen(got->names);

	snprintf(got->names + size, sizeof(got->names) - size, "%s%s", size ? " " : "", name);
	got->count++;
}

static void on_block(void *context, const struct block_answer *answer)
{
	struct got *got = context;

	got->answers++;
	got->outcome = answer->outcome;
	got->is_changed = answer->is_changed;
}

static struct got block(struct stage *stage, const char *who, const char *whom, uint32_t most)
{
	struct user_id a = user(who);
	struct user_id b = user(whom);
	struct got got = {.answers = 0};

	people_block(stage->store, &a, &b, most, on_block, &got);
	assert_int_equal(got.answers, 0);
	await(stage, got.answers);
	return got;
}

static struct got unblock(struct stage *stage, const char *who, const char *whom)
{
	struct user_id a = user(who);
	struct user_id b = user(whom);
	struct got got = {.answers = 0};

	people_unblock(stage->store, &a, &b, on_block, &got);
	await(stage, got.answers);
	assert_int_equal(got.outcome.code, OUTCOME_OK);
	return got;
}

static void on_blocked(void *context, const struct blocked_answer *answer)
{
	struct got *got = context;

	got->answers++;
	got->outcome = answer->outcome;
	got->has_more = answer->has_more;
	for (size_t i = 0; i < answer->count; i++)
		add_name(got, answer->users[i]);
}

static struct got list_blocked(struct stage *stage, const char *who, const char *after,
                               uint32_t limit)
{
	struct user_id id = user(who);
	struct got got = {.answers = 0};

	people_list_blocked(stage->store, &id, after, limit, on_blocked, &got);
	await(stage, got.answers);
	return got;
}

static void on_relations(void *context, const struct block_relations_answer *answer)
{
	struct got *got = context;
	char pair[200];

	got->answers++;
	got->outcome = answer->outcome;
	for (size_t i = 0; i < answer->count; i++) {
		snprintf(pair, sizeof(pair), "%s-%s", answer->relations[i].user,
		         answer->relations[i].other);
		add_name(got, pair);
	}
}

static struct got read_blocks(struct stage *stage, const char *const names[], uint32_t most)
{
	struct user_id ids[16];
	struct got got = {.answers = 0};
	size_t count = 0;

	for (; names[count]; count++)
		ids[count] = user(names[count]);
	people_read_blocks(stage->store, ids, count, most, on_relations, &got);
	await(stage, got.answers);
	return got;
}

static void on_visible(void *context, const struct visible_answer *answer)
{
	struct got *got = context;

	got->answers++;
	got->outcome = answer->outcome;
	for (size_t i = 0; i < answer->count; i++) {
		add_name(got, answer->users[i].user);
		got->last_seen_ms = answer->users[i].last_seen_ms;
	}
}

static struct got read_visible(struct stage *stage, const char *who, const char *other)
{
	struct user_id id = user(who);
	struct user_id others[2] = {user(other), user("nobody-at-all")};
	struct got got = {.answers = 0};

	people_read_visible(stage->store, &id, others, 2, on_visible, &got);
	await(stage, got.answers);
	assert_int_equal(got.outcome.code, OUTCOME_OK);
	return got;
}

static void on_seen(void *context, const struct outcome *outcome)
{
	struct got *got = context;

	got->answers++;
	got->outcome = *outcome;
}

static void see(struct stage *stage, const struct sighting *sightings, size_t count)
{
	struct got got = {.answers = 0};

	people_see(stage->store, sightings, count, on_seen, &got);
	await(stage, got.answers);
	assert_int_equal(got.outcome.code, OUTCOME_OK);
}

static struct began open_direct(struct stage *stage, const char *who, const char *peer)
{
	struct began began;

	begin_direct(stage->store, &began, who, peer);
	await(stage, began.answers);
	return began;
}

static int64_t version_of(struct stage *stage, const char *who)
{
	return sql_number(stage->sql,
	                  "select coalesce(max(membership_version), -1) from martlet.users "
	                  "where id = '%s'",
	                  who);
}

static void block_is_written_once_and_ended_once_and_both_learn_that_something_changed(void **state)
{
	struct stage stage;
	int64_t ann;
	int64_t ben;

	(void)state;
	stage_open(&stage, WAIT_MS);
	open_direct(&stage, "ann", "ben");
	ann = version_of(&stage, "ann");
	ben = version_of(&stage, "ben");
	assert_true(block(&stage, "ann", "ben", 10).is_changed);
	assert_int_equal(version_of(&stage, "ann"), ann + 1);
	assert_int_equal(version_of(&stage, "ben"), ben + 1);
	assert_false(block(&stage, "ann", "ben", 10).is_changed);
	assert_int_equal(version_of(&stage, "ben"), ben + 1);
	assert_true(unblock(&stage, "ann", "ben").is_changed);
	assert_int_equal(version_of(&stage, "ben"), ben + 2);
	assert_false(unblock(&stage, "ann", "ben").is_changed);
	assert_int_equal(version_of(&stage, "ann"), ann + 2);
	stage_close(&stage);
}

/* Or whoever blocks names that nobody has would fill the table of users. */
static void blocking_makes_no_user(void **state)
{
	struct stage stage;

	(void)state;
	stage_open(&stage, WAIT_MS);
	assert_true(block(&stage, "stranger", "nobody", 10).is_changed);
	assert_int_equal(version_of(&stage, "stranger"), -1);
	assert_int_equal(version_of(&stage, "nobody"), -1);
	stage_close(&stage);
}

static void one_block_too_many_is_refused_and_a_repeated_one_is_not(void **state)
{
	struct stage stage;
	struct got got;

	(void)state;
	stage_open(&stage, WAIT_MS);
	assert_true(block(&stage, "carl", "x1", 2).is_changed);
	assert_true(block(&stage, "carl", "x2", 2).is_changed);
	got = block(&stage, "carl", "x3", 2);
	assert_int_equal(got.outcome.code, OUTCOME_FAILED_PRECONDITION);
	assert_false(got.is_changed);
	assert_int_equal(block(&stage, "carl", "x2", 2).outcome.code, OUTCOME_OK);
	unblock(&stage, "carl", "x1");
	assert_true(block(&stage, "carl", "x3", 2).is_changed);
	stage_close(&stage);
}

static void blocks_made_at_once_keep_the_bound(void **state)
{
	enum { BLOCKS = 12, MOST = 5 };
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct store *second;
	struct got got[BLOCKS] = {{.answers = 0}};
	struct user_id dana = user("dana");
	int refused = 0;

	(void)state;
	stage_open(&stage, WAIT_MS);
	second = stage_add_store(&stage, &options);
	await(&stage, store_is_ready(second));
	for (int i = 0; i < BLOCKS; i++) {
		char name[16];
		struct user_id other;

		snprintf(name, sizeof(name), "y%d", i);
		other = user(name);
		people_block(i % 2 ? second : stage.store, &dana, &other, MOST, on_block, &got[i]);
	}
	for (int i = 0; i < BLOCKS; i++) {
		await(&stage, got[i].answers);
		refused += got[i].outcome.code == OUTCOME_FAILED_PRECONDITION;
	}
	assert_int_equal(refused, BLOCKS - MOST);
	assert_int_equal(sql_number(stage.sql, "select count(*) from martlet.blocks "
	                                       "where user_id = 'dana'"),
	                 MOST);
	stage_close(&stage);
}

static void blocked_users_come_in_pages_in_order_of_id(void **state)
{
	static const char *const names[] = {"b", "Z", "a", "~", "a1"};
	struct stage stage;
	struct got got;

	(void)state;
	stage_open(&stage, WAIT_MS);
	assert_int_equal(list_blocked(&stage, "eve", "", 10).count, 0);
	for (size_t i = 0; i < 5; i++)
		block(&stage, "eve", names[i], 10);
	got = list_blocked(&stage, "eve", "", 2);
	assert_string_equal(got.names, "Z a");
	assert_true(got.has_more);
	got = list_blocked(&stage, "eve", "a", 2);
	assert_string_equal(got.names, "a1 b");
	assert_true(got.has_more);
	got = list_blocked(&stage, "eve", "b", 2);
	assert_string_equal(got.names, "~");
	assert_false(got.has_more);
	assert_string_equal(list_blocked(&stage, "eve", "", 5).names, "Z a a1 b ~");
	assert_false(list_blocked(&stage, "eve", "", 5).has_more);
	stage_close(&stage);
}

static void relations_are_read_from_both_sides_and_once_each(void **state)
{
	static const char *const asked[] = {"gina", "nobody-blocks", "finn", NULL};
	static const char *const one[] = {"finn", NULL};
	struct stage stage;

	(void)state;
	stage_open(&stage, WAIT_MS);
	block(&stage, "finn", "gina", 10);
	block(&stage, "gina", "finn", 10);
	block(&stage, "hugo", "finn", 10);
	assert_string_equal(read_blocks(&stage, asked, 10).names, "finn-gina finn-hugo gina-finn");
	assert_int_equal(read_blocks(&stage, one, 1).count, 1);
	stage_close(&stage);
}

static void direct_conversation_is_closed_to_both_while_one_blocks_the_other(void **state)
{
	struct stage stage;
	struct sending sending;
	struct uuid conversation;
	struct began began;

	(void)state;
	stage_open(&stage, WAIT_MS);
	conversation = open_direct(&stage, "ida", "jack").answer.conversation;
	block(&stage, "ida", "jack", 10);
	for (int i = 0; i < 2; i++) {
		const char *who = i ? "ida" : "jack";

		began = open_direct(&stage, who, i ? "jack" : "ida");
		assert_int_equal(began.answer.outcome.code, OUTCOME_PERMISSION_DENIED);
		assert_string_equal(began.answer.outcome.text, "you cannot write to this user");
		send_message(stage.store, &sending, &conversation, who, "hello");
		await(&stage, sending.answers);
		assert_int_equal(sending.answer.outcome.code, OUTCOME_PERMISSION_DENIED);
		assert_string_equal(sending.answer.outcome.text, "you cannot write to this user");
	}
	unblock(&stage, "ida", "jack");
	for (int i = 0; i < 2; i++) {
		send_message(stage.store, &sending, &conversation, i ? "ida" : "jack", "hello");
		await(&stage, sending.answers);
		assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	}
	began = open_direct(&stage, "jack", "ida");
	assert_true(uuid_is_equal(&began.answer.conversation, &conversation));
	stage_close(&stage);
}

static void direct_conversation_does_not_begin_across_a_block(void **state)
{
	struct stage stage;

	(void)state;
	stage_open(&stage, WAIT_MS);
	block(&stage, "kim", "leo", 10);
	assert_int_equal(open_direct(&stage, "leo", "kim").answer.outcome.code,
	                 OUTCOME_PERMISSION_DENIED);
	assert_int_equal(open_direct(&stage, "kim", "leo").answer.outcome.code,
	                 OUTCOME_PERMISSION_DENIED);
	assert_int_equal(sql_number(stage.sql, "select count(*) from martlet.direct_pairs "
	                                       "where low_user = 'kim'"),
	                 0);
	stage_close(&stage);
}

static void group_goes_on_across_a_block(void **state)
{
	static const char *const nora[] = {"nora", NULL};
	struct stage stage;
	struct sending sending;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "mia", nora);
	block(&stage, "mia", "nora", 10);
	send_message(stage.store, &sending, &group, "nora", "hello");
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	stage_close(&stage);
}

static void who_shares_a_conversation_and_no_block_is_visible(void **state)
{
	static const char *const otto[] = {"otto", "pia", NULL};
	struct stage stage;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	open_direct(&stage, "quinn", "pia");
	group = make_group(&stage, "rick", otto);
	assert_string_equal(read_visible(&stage, "rick", "otto").names, "otto");
	assert_string_equal(read_visible(&stage, "otto", "rick").names, "rick");
	assert_string_equal(read_visible(&stage, "pia", "quinn").names, "quinn");
	assert_string_equal(read_visible(&stage, "rick", "quinn").names, "");
	assert_string_equal(read_visible(&stage, "stranger", "rick").names, "");
	block(&stage, "rick", "otto", 10);
	assert_string_equal(read_visible(&stage, "rick", "otto").names, "");
	assert_string_equal(read_visible(&stage, "otto", "rick").names, "");
	assert_string_equal(read_visible(&stage, "otto", "pia").names, "pia");
	unblock(&stage, "rick", "otto");
	assert_string_equal(read_visible(&stage, "otto", "rick").names, "rick");
	sql_run(stage.sql,
	        "update martlet.members set left_seq = 1 where user_id = 'otto' and "
	        "conversation_id = '%s'",
	        uuid_to_text(&group).text);
	assert_string_equal(read_visible(&stage, "otto", "rick").names, "");
	assert_string_equal(read_visible(&stage, "rick", "otto").names, "");
	stage_close(&stage);
}

static void who_was_seen_was_last_seen_then_and_never_earlier_again(void **state)
{
	struct stage stage;
	struct sighting sightings[] = {
		{user("sam"), INT64_C(1700000000123)},
		{user("sam"), INT64_C(1700000000456)},
		{user("who-has-no-conversation"), INT64_C(1700000000456)},
	};

	(void)state;
	stage_open(&stage, WAIT_MS);
	open_direct(&stage, "sam", "tom");
	assert_int_equal(read_visible(&stage, "tom", "sam").last_seen_ms, 0);
	see(&stage, sightings, 3);
	assert_int_equal(read_visible(&stage, "tom", "sam").last_seen_ms, INT64_C(1700000000456));
	see(&stage, sightings, 1);
	assert_int_equal(read_visible(&stage, "tom", "sam").last_seen_ms, INT64_C(1700000000456));
	sightings[0].time_ms += 1000;
	see(&stage, sightings, 1);
	assert_int_equal(read_visible(&stage, "tom", "sam").last_seen_ms, INT64_C(1700000001123));
	assert_int_equal(version_of(&stage, "who-has-no-conversation"), -1);
	see(&stage, sightings, 0);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			block_is_written_once_and_ended_once_and_both_learn_that_something_changed),
		cmocka_unit_test(blocking_makes_no_user),
		cmocka_unit_test(one_block_too_many_is_refused_and_a_repeated_one_is_not),
		cmocka_unit_test(blocks_made_at_once_keep_the_bound),
		cmocka_unit_test(blocked_users_come_in_pages_in_order_of_id),
		cmocka_unit_test(relations_are_read_from_both_sides_and_once_each),
		cmocka_unit_test(direct_conversation_is_closed_to_both_while_one_blocks_the_other),
		cmocka_unit_test(direct_conversation_does_not_begin_across_a_block),
		cmocka_unit_test(group_goes_on_across_a_block),
		cmocka_unit_test(who_shares_a_conversation_and_no_block_is_visible),
		cmocka_unit_test(who_was_seen_was_last_seen_then_and_never_earlier_again),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
