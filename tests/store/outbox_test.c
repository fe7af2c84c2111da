/* What applications publish in their own transactions: in the log with their commit, taken by one node. */
#include "store/outbox.h"
#include "store/support.h"

#include <inttypes.h>
#include <string.h>

#define WAIT_MS 5000
#define LEASE_MS 60000
#define ROWS_MOST 16

static const char *const bob[] = {"bob", NULL};

struct taking {
	struct outcome outcome;
	int64_t ids[ROWS_MOST];
	uint64_t seqs[ROWS_MOST]; /* of events; 0 for notifications */
	uint64_t versions[ROWS_MOST];
	char bodies[ROWS_MOST][32];
	size_t count;
	int answers;
};

static void on_taken(void *context, const struct outbox_answer *answer)
{
	struct taking *taking = context;

	taking->outcome = answer->outcome;
	taking->count = answer->count;
	for (size_t i = 0; i < answer->count && i < ROWS_MOST; i++) {
		const struct event *event = answer->rows[i].event;

		taking->ids[i] = answer->rows[i].id;
		taking->versions[i] = answer->rows[i].version;
		taking->seqs[i] = event ? event->seq : 0;
		if (event)
			snprintf(taking->bodies[i], sizeof(taking->bodies[i]), "%.*s",
			         (int)event->body_size, (const char *)event->body);
	}
	taking->answers++;
}

static struct taking take(struct stage *stage, struct store *store, const char *node,
                          uint32_t lease_ms, uint32_t limit)
{
	struct taking taking = {.answers = 0};

	outbox_take(store, node, lease_ms, limit, on_taken, &taking);
	await(stage, taking.answers);
	assert_int_equal(taking.outcome.code, OUTCOME_OK);
	return taking;
}

static void on_forgotten(void *context, const struct outcome *outcome)
{
	assert_int_equal(outcome->code, OUTCOME_OK);
	(*(int *)context)++;
}

static void forget(struct stage *stage, const struct taking *taking)
{
	int answers = 0;

	outbox_forget(stage->store, taking->ids, taking->count, on_forgotten, &answers);
	await(stage, answers);
}

/* Through SQL, as an application would. */
static void publish(PGconn *sql, const struct uuid *conversation, const char *sender,
                    const struct uuid *identity, const char *body)
{
	sql_run(sql, "select martlet.publish('%s', '%s', '%s', 'text/plain', '%s')",
	        uuid_to_text(conversation).text, sender, uuid_to_text(identity).text, body);
}

/* The SQLSTATE with which a statement fails; "" if it does not. */
static void assert_fails(PGconn *sql, const char *statement, const char *state)
{
	PGresult *result = PQexec(sql, statement);
	const char *got = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	assert_string_equal(got ? got : "", state);
	PQclear(result);
}

static void publish_is_in_the_log_with_its_commit(void **state)
{
	struct stage stage;
	struct uuid group;
	struct uuid identity = new_uuid();
	struct taking taking;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	sql_run(stage.sql, "begin");
	publish(stage.sql, &group, "alice", &identity, "hello");
	assert_int_equal(take(&stage, stage.store, "a.1", LEASE_MS, 10).count, 0);
	/* Nobody waits for a transaction that goes on. */
	fill_conversation(&stage, &group, "bob", 1);
	sql_run(stage.sql, "commit");
	taking = take(&stage, stage.store, "a.1", LEASE_MS, 10);
	assert_int_equal(taking.count, 1);
	assert_int_equal(taking.seqs[0], 3);
	assert_string_equal(taking.bodies[0], "hello");
	forget(&stage, &taking);
	/* Again with the same identity: the first one's number. */
	publish(stage.sql, &group, "alice", &identity, "again");
	taking = take(&stage, stage.store, "a.1", LEASE_MS, 10);
	assert_int_equal(taking.seqs[0], 3);
	assert_string_equal(taking.bodies[0], "hello");
	forget(&stage, &taking);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

static void publish_rolled_back_never_was(void **state)
{
	struct stage stage;
	struct uuid group;
	struct uuid identity = new_uuid();

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	sql_run(stage.sql, "begin");
	publish(stage.sql, &group, "alice", &identity, "hello");
	sql_run(stage.sql, "select martlet.notify('bob', 'x', '', '', 'x')");
	sql_run(stage.sql, "rollback");
	assert_int_equal(take(&stage, stage.store, "a.1", LEASE_MS, 10).count, 0);
	assert_int_equal(sql_number(stage.sql,
	                            "select last_seq from martlet.conversations where id = '%s'",
	                            uuid_to_text(&group).text),
	                 1);
	assert_int_equal(sql_number(stage.sql, "select count(*) from martlet.notifications "
	                                       "where user_id = 'bob'"),
	                 0);
	stage_close(&stage);
}

static void publish_is_refused_who_may_not(void **state)
{
	struct stage stage;
	struct uuid group;
	struct uuid identity = new_uuid();
	char statement[512];

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	snprintf(statement, sizeof(statement),
	         "select martlet.publish('%s', 'mallory', '%s', '', 'x')",
	         uuid_to_text(&group).text, uuid_to_text(&identity).text);
	assert_fails(stage.sql, statement, "42501");
	snprintf(statement, sizeof(statement),
	         "select martlet.publish('%s', 'alice', '%s', '', '')", uuid_to_text(&group).text,
	         uuid_to_text(&identity).text);
	assert_fails(stage.sql, statement, "22023");
	/* Removed before the commit: the whole transaction fails with it. */
	sql_run(stage.sql, "begin");
	publish(stage.sql, &group, "bob", &identity, "too late");
	{
		PGconn *other = sql_open();

		sql_run(other, "select * from martlet.remove_member('%s', 'alice', 'bob')",
		        uuid_to_text(&group).text);
		PQfinish(other);
	}
	assert_fails(stage.sql, "commit", "42501");
	assert_int_equal(take(&stage, stage.store, "a.1", LEASE_MS, 10).count, 0);
	assert_fails(stage.sql, "select martlet.notify('no one', 'x', '', '', 'x')", "22023");
	assert_fails(stage.sql, "select martlet.notify('bob', '', '', '', 'x')", "22023");
	assert_fails(stage.sql, "select martlet.notify('bob', 'x', '', '', 'x', '31 days')",
	             "22023");
	stage_close(&stage);
}

static void notify_waits_for_the_user_with_its_commit(void **state)
{
	struct stage stage;
	struct taking taking;

	(void)state;
	stage_open(&stage, WAIT_MS);
	sql_run(stage.sql, "select martlet.notify('fred', 'one', 'k', 'text/plain', 'x')");
	sql_run(stage.sql, "select martlet.notify('fred', 'one', 'k', 'text/plain', 'x')");
	sql_run(stage.sql, "select martlet.notify('fred', 'two', 'k', 'text/plain', 'x', '1 hour', "
	                   "'key', 'shop')");
	taking = take(&stage, stage.store, "a.1", LEASE_MS, 10);
	assert_int_equal(taking.count, 3);
	assert_int_equal(taking.seqs[0], 0);
	assert_int_equal(taking.versions[2], 2);
	forget(&stage, &taking);
	assert_int_equal(sql_number(stage.sql, "select count(*) from martlet.notifications where "
	                                       "user_id = 'fred' and (service = session_user or "
	                                       "(service = 'shop' and collapse_key = 'key'))"),
	                 2);
	stage_close(&stage);
}

static void take_is_by_one_node_until_its_lease_is_over(void **state)
{
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct store *other;
	struct taking here;
	struct taking there;

	(void)state;
	stage_open(&stage, WAIT_MS);
	other = stage_add_store(&stage, &options);
	await(&stage, store_is_ready(other));
	for (int i = 0; i < 5; i++)
		sql_run(stage.sql, "select martlet.notify('gina', 'n%d', '', '', 'x')", i);
	here = take(&stage, stage.store, "a.1", LEASE_MS, 3);
	there = take(&stage, other, "a.2", LEASE_MS, 10);
	assert_int_equal(here.count, 3);
	assert_int_equal(there.count, 2);
	assert_int_equal(take(&stage, other, "a.2", LEASE_MS, 10).count, 0);
	forget(&stage, &there);
	/* The first node is dead. */
	sql_run(stage.sql, "update martlet.outbox set taken_until = now() where taken_by = 'a.1'");
	there = take(&stage, other, "a.2", LEASE_MS, 10);
	assert_int_equal(there.count, 3);
	assert_int_equal(there.ids[0], here.ids[0]);
	forget(&stage, &there);
	assert_int_equal(sql_number(stage.sql, "select count(*) from martlet.outbox"), 0);
	stage_close(&stage);
}

/* A role that was granted the two functions, and nothing else. */
static void roles_may_what_they_were_granted(void **state)
{
	struct stage stage;
	struct uuid group;
	struct uuid identity = new_uuid();
	char role[64];

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	snprintf(role, sizeof(role), "martlet_app_%" PRId64,
	         sql_number(stage.sql, "select pg_backend_pid()"));
	sql_run(stage.sql, "create role %s; grant usage on schema martlet to %s", role, role);
	sql_run(stage.sql, "set role %s", role);
	assert_fails(stage.sql, "select martlet.notify('bob', 'x', '', '', 'x')", "42501");
	assert_fails(stage.sql, "select * from martlet.events", "42501");
	assert_fails(stage.sql,
	             "select * from martlet.store_notifications('{a}', '{a}', '{a}', '{a}', '{a}', "
	             "'{1}', '{a}', '{a}', 1, 1)",
	             "42501");
	sql_run(stage.sql,
	        "reset role; grant execute on function martlet.publish, martlet.notify to %s; "
	        "set role %s",
	        role, role);
	sql_run(stage.sql, "select martlet.notify('bob', 'x', '', '', 'x')");
	publish(stage.sql, &group, "alice", &identity, "granted");
	assert_fails(stage.sql, "select * from martlet.outbox", "42501");
	sql_run(stage.sql, "reset role; drop owned by %s; drop role %s; delete from martlet.outbox",
	        role, role);
	assert_int_equal(sql_number(stage.sql,
	                            "select last_seq from martlet.conversations where id = '%s'",
	                            uuid_to_text(&group).text),
	                 2);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish_is_in_the_log_with_its_commit),
		cmocka_unit_test(publish_rolled_back_never_was),
		cmocka_unit_test(publish_is_refused_who_may_not),
		cmocka_unit_test(notify_waits_for_the_user_with_its_commit),
		cmocka_unit_test(take_is_by_one_node_until_its_lease_is_over),
		cmocka_unit_test(roles_may_what_they_were_granted),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
