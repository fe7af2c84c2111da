#include "store/support.h"

#include <stdio.h>
#include <string.h>

#define WAIT_MS 5000

static void open_direct_from_both_sides_is_one_conversation(void **state)
{
	enum { PAIRS = 30 };
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct began ours[PAIRS];
	struct began theirs[PAIRS];

	(void)state;
	stage_open(&stage, WAIT_MS);
	stage_add_store(&stage, &options);
	await(&stage, store_is_ready(stage.stores[1]));
	for (int i = 0; i < PAIRS; i++) {
		char a[16];
		char b[16];

		snprintf(a, sizeof(a), "a%d", i);
		snprintf(b, sizeof(b), "b%d", i);
		begin_direct(stage.stores[0], &ours[i], a, b);
		begin_direct(stage.stores[1], &theirs[i], b, a);
	}
	for (int i = 0; i < PAIRS; i++) {
		await(&stage, ours[i].answers && theirs[i].answers);
		assert_int_equal(ours[i].answer.outcome.code, OUTCOME_OK);
		assert_int_equal(theirs[i].answer.outcome.code, OUTCOME_OK);
		assert_true(uuid_is_equal(&ours[i].answer.conversation,
		                          &theirs[i].answer.conversation));
		assert_int_equal(ours[i].answer.is_created + theirs[i].answer.is_created, 1);
	}
	assert_int_equal(sql_number(stage.sql, "select count(*) from martlet.direct_pairs"), PAIRS);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

static void open_direct_again_finds_it(void **state)
{
	struct stage stage;
	struct began first;
	struct began again;

	(void)state;
	stage_open(&stage, WAIT_MS);
	begin_direct(stage.store, &first, "Zoe", "adam");
	await(&stage, first.answers);
	assert_true(first.answer.is_created);
	begin_direct(stage.store, &again, "adam", "Zoe");
	await(&stage, again.answers);
	assert_false(again.answer.is_created);
	assert_true(uuid_is_equal(&first.answer.conversation, &again.answer.conversation));
	stage_close(&stage);
}

/* The answer of a beginning, as much of it as is told. */
struct told {
	int answers;
	struct outcome outcome;
	bool is_created;
	uint64_t seq;
	enum event_kind kind;
	uint32_t member_count;
	size_t named;
	size_t members_count;
	char names[256];
	char sender[80];
	char title[LIMIT_TITLE_BYTES + 1];
};

static void on_told(void *context, const struct began_answer *answer)
{
	struct told *told = context;
	size_t size = 0;

	told->answers++;
	told->outcome = answer->outcome;
	told->is_created = answer->is_created;
	if (!answer->is_created)
		return;
	told->seq = answer->created.seq;
	told->kind = answer->created.kind;
	told->member_count = answer->created.member_count;
	told->named = answer->created.users_count;
	told->members_count = answer->members_count;
	snprintf(told->sender, sizeof(told->sender), "%s", answer->created.sender);
	snprintf(told->title, sizeof(told->title), "%s", answer->created.title);
	for (size_t i = 0; i < answer->created.users_count && size < sizeof(told->names) / 2; i++)
		size += (size_t)snprintf(told->names + size, sizeof(told->names) - size, "%s ",
		                         answer->created.users[i]);
}

static struct told create_group(struct stage *stage, const struct uuid *id, const char *owner,
                                const struct user_id *members, size_t count)
{
	struct told told = {.answers = 0};
	struct user_id owner_id = user(owner);

	query_create_group(stage->store, id, &owner_id,
	                   &(struct group_beginning){
				   .title = "Walkers", .members = members, .members_count = count},
	                   on_told, &told);
	assert_int_equal(told.answers, 0);
	await(stage, told.answers);
	return told;
}

static void create_group_tells_its_first_event(void **state)
{
	struct stage stage;
	struct user_id members[] = {user("vera"), user("uma"), user("vera"), user("will")};
	struct uuid id = new_uuid();
	struct told told;

	(void)state;
	stage_open(&stage, WAIT_MS);
	told = create_group(&stage, &id, "will", members, 4);
	assert_int_equal(told.outcome.code, OUTCOME_OK);
	assert_true(told.is_created);
	assert_int_equal(told.seq, 1);
	assert_int_equal(told.kind, EVENT_CREATED);
	assert_string_equal(told.names, "uma vera will ");
	assert_int_equal(told.member_count, 3);
	assert_int_equal(told.members_count, 3);
	assert_string_equal(told.sender, "will");
	assert_string_equal(told.title, "Walkers");
	assert_int_equal(
		sql_number(stage.sql,
	                   "select sum(case when user_id = 'will' then role * 10 else role end) "
	                   "from martlet.members where conversation_id = '%s'",
	                   uuid_to_text(&id).text),
		32);
	stage_close(&stage);
}

static void create_group_again_changes_nothing(void **state)
{
	struct stage stage;
	struct user_id xena = user("xena");
	struct uuid id = new_uuid();
	struct told told;

	(void)state;
	stage_open(&stage, WAIT_MS);
	assert_true(create_group(&stage, &id, "will", &xena, 1).is_created);
	told = create_group(&stage, &id, "will", NULL, 0);
	assert_int_equal(told.outcome.code, OUTCOME_OK);
	assert_false(told.is_created);
	assert_int_equal(
		sql_number(stage.sql,
	                   "select member_count from martlet.conversations where id = '%s'",
	                   uuid_to_text(&id).text),
		2);
	told = create_group(&stage, &id, "xena", NULL, 0);
	assert_int_equal(told.outcome.code, OUTCOME_ALREADY_EXISTS);
	stage_close(&stage);
}

static void create_group_with_the_id_of_a_direct_one_is_refused(void **state)
{
	struct stage stage;
	struct began began;
	struct told told;

	(void)state;
	stage_open(&stage, WAIT_MS);
	begin_direct(stage.store, &began, "yann", "xena");
	await(&stage, began.answers);
	told = create_group(&stage, &began.answer.conversation, "yann", NULL, 0);
	assert_int_equal(told.outcome.code, OUTCOME_ALREADY_EXISTS);
	stage_close(&stage);
}

static void create_group_at_once_in_two_stores_is_one_group(void **state)
{
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct user_id owner = user("will");
	struct told tolds[2] = {{.answers = 0}};

	(void)state;
	stage_open(&stage, WAIT_MS);
	stage_add_store(&stage, &options);
	await(&stage, store_is_ready(stage.stores[1]));
	for (int i = 0; i < 20; i++) {
		struct uuid id = new_uuid();

		memset(tolds, 0, sizeof(tolds));
		for (int j = 0; j < 2; j++)
			query_create_group(stage.stores[j], &id, &owner,
			                   &(struct group_beginning){.title = "Twice"}, on_told,
			                   &tolds[j]);
		await(&stage, tolds[0].answers && tolds[1].answers);
		assert_int_equal(tolds[0].outcome.code, OUTCOME_OK);
		assert_int_equal(tolds[1].outcome.code, OUTCOME_OK);
		assert_int_equal(tolds[0].is_created + tolds[1].is_created, 1);
	}
	stage_close(&stage);
}

static void create_group_of_many_names_none(void **state)
{
	enum { MEMBERS = 1000 };
	struct stage stage;
	struct user_id *members = test_calloc(MEMBERS, sizeof(*members));
	struct uuid id = new_uuid();
	struct told told;

	(void)state;
	stage_open(&stage, WAIT_MS);
	for (int i = 0; i < MEMBERS; i++)
		snprintf(members[i].text, sizeof(members[i].text), "member-%d", i);
	told = create_group(&stage, &id, "will", members, MEMBERS);
	assert_true(told.is_created);
	assert_int_equal(told.named, 0);
	assert_int_equal(told.member_count, MEMBERS + 1);
	assert_int_equal(told.members_count, MEMBERS + 1);
	stage_close(&stage);
	test_free(members);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_direct_from_both_sides_is_one_conversation),
		cmocka_unit_test(open_direct_again_finds_it),
		cmocka_unit_test(create_group_tells_its_first_event),
		cmocka_unit_test(create_group_again_changes_nothing),
		cmocka_unit_test(create_group_with_the_id_of_a_direct_one_is_refused),
		cmocka_unit_test(create_group_at_once_in_two_stores_is_one_group),
		cmocka_unit_test(create_group_of_many_names_none),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
