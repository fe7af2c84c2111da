/* A large group in a database too young for statistics: what is asked about some of its members must not read all
 * of them. PostgreSQL keeps a statement's first plan, which it makes while the tables are all but empty. */
#include "store/change.h"
#include "store/people.h"
#include "store/receipts.h"
#include "store/support.h"

#include <stdio.h>
#include <string.h>

#define WAIT_MS 20000
#define MEMBERS 4000
#define ASKED 100
/* Rows of members that are read for each who is asked about, by all questions together; some are versions of rows
 * that nobody has swept away. All members in one question would be 40. */
#define READ_FOR_EACH 20

static const char group[] = "00000000-0000-4000-8000-000000000001";

static void on_append(void *context, const struct append_answer *answer)
{
	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	(*(int *)context)++;
}

static void on_mark(void *context, const struct mark_answer *answer)
{
	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	(*(int *)context)++;
}

static void on_visible(void *context, const struct visible_answer *answer)
{
	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	assert_true(answer->count > 0);
	(*(int *)context)++;
}

static void on_change(void *context, const struct change_answer *answer)
{
	assert_int_equal(answer->outcome.code, OUTCOME_OK);
	(*(int *)context)++;
}

static struct user_id member(int i)
{
	char name[32];

	snprintf(name, sizeof(name), "m%d", i);
	return user(name);
}

/* Messages of this many members, one each, in one batch. */
static void append_all(struct stage *stage, int count)
{
	static uint8_t last;
	int answers = 0;

	last++;
	for (int i = 0; i < count; i++) {
		struct append_item item = {
			.sender = member(i), .content_type = "text/plain", .mentions = ""};

		assert_true(uuid_from_text(group, &item.conversation));
		item.client_message_id.bytes[0] = last;
		item.client_message_id.bytes[1] = (uint8_t)i;
		append_submit(stage->store, &item, on_append, &answers);
	}
	await(stage, answers == count);
}

static void mark_all(struct stage *stage, int count, uint64_t seq)
{
	int answers = 0;

	for (int i = 0; i < count; i++) {
		struct mark mark = {.user = member(i), .delivered_seq = seq, .read_seq = seq};

		assert_true(uuid_from_text(group, &mark.conversation));
		receipts_mark(stage->store, &mark, on_mark, &answers);
	}
	await(stage, answers == count);
}

static void see_all(struct stage *stage, int count)
{
	struct user_id others[ASKED];
	struct user_id self = member(0);
	int answers = 0;

	for (int i = 0; i < count; i++)
		others[i] = member(i + 1);
	people_read_visible(stage->store, &self, others, (size_t)count, on_visible, &answers);
	await(stage, answers);
}

static void add_all(struct stage *stage, int first, int count)
{
	struct user_id users[ASKED];
	struct change change = {.kind = CHANGE_ADD_MEMBERS,
	                        .user = member(0),
	                        .users = users,
	                        .users_count = (size_t)count,
	                        .most = MEMBERS * 2};
	int answers = 0;

	assert_true(uuid_from_text(group, &change.conversation));
	for (int i = 0; i < count; i++)
		users[i] = member(first + i);
	change_submit(stage->store, &change, on_change, &answers);
	await(stage, answers);
}

static void insert_members(struct stage *stage, int first, int end)
{
	sql_run(stage->sql,
	        "insert into martlet.members (conversation_id, user_id, role, first_seq) "
	        "select '%s', 'm' || i, 3, 1 from generate_series(%d, %d) i",
	        group, first, end - 1);
	sql_run(stage->sql,
	        "insert into martlet.users (id) select 'm' || i from generate_series(%d, %d) i",
	        first, end - 1);
}

/* Rows of members that were read, by index or from the table. A session tells of its own at the end of a statement, if
 * it has not for a second, so it is given two more of them. */
static int64_t read_rows(struct stage *stage)
{
	for (int i = 0; i < 2; i++) {
		uint64_t next_ms = clock_ms() + 1100;

		await(stage, clock_ms() >= next_ms);
		append_all(stage, 1);
		see_all(stage, 1);
	}
	return sql_number(stage->sql,
	                  "select (pg_stat_get_tuples_returned('martlet.members'::regclass) + "
	                  "(select sum(idx_tup_read) from pg_stat_user_indexes "
	                  "where relid = 'martlet.members'::regclass))::bigint");
}

static void reads_only_whom_it_is_about(void **state)
{
	struct stage stage;
	int64_t before;

	(void)state;
	stage_open(&stage, WAIT_MS);
	sql_run(stage.sql, "alter table martlet.members set (autovacuum_enabled = off); "
	                   "alter table martlet.users set (autovacuum_enabled = off)");
	sql_run(stage.sql,
	        "insert into martlet.conversations (id, kind, member_count, created_by) "
	        "values ('%s', 2, %d, 'm0')",
	        group, MEMBERS);
	insert_members(&stage, 0, 4);
	append_all(&stage, 3);
	mark_all(&stage, 3, 1);
	see_all(&stage, 3);
	add_all(&stage, 4, 1);
	insert_members(&stage, 5, MEMBERS);

	before = read_rows(&stage);
	append_all(&stage, ASKED);
	mark_all(&stage, ASKED, 2);
	see_all(&stage, ASKED);
	add_all(&stage, MEMBERS, ASKED);
	assert_in_range(read_rows(&stage) - before, ASKED, READ_FOR_EACH * ASKED);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_only_whom_it_is_about),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
