#include "store/support.h"

#include <signal.h>
#include <stdio.h>
#include <sys/types.h>

#define WAIT_MS 5000
#define SHORT_WAIT_MS 300
#define SLACK_MS 1500 /* two other processes may have the cores */

#define WRITER                                                                                     \
	"pid from pg_stat_activity where datname = current_database() and "                        \
	"application_name = 'martlet-write'"

static const char *const bob[] = {"bob", NULL};

static int64_t writer_pid(const struct stage *stage)
{
	return sql_number(stage->sql, "select " WRITER " order by backend_start desc limit 1");
}

static bool writer_waits_for_lock(const struct stage *stage)
{
	return sql_number(stage->sql, "select " WRITER " and wait_event_type = 'Lock'") > 0;
}

static int64_t rows_of(const struct stage *stage, const struct sending *sending)
{
	return sql_number(stage->sql,
	                  "select count(*) from martlet.events where client_message_id = '%s'",
	                  uuid_to_text(&sending->item.client_message_id).text);
}

/* Another session keeps the conversation's row. */
static PGconn *hold(const struct uuid *conversation)
{
	PGconn *holder = sql_open();

	sql_run(holder, "begin");
	sql_run(holder, "select from martlet.conversations where id = '%s' for update",
	        uuid_to_text(conversation).text);
	return holder;
}

static void release(PGconn *holder)
{
	sql_run(holder, "rollback");
	PQfinish(holder);
}

/* Sessions that are there stay; newcomers are refused. */
static void allow_connections(const struct stage *stage, bool is_allowed)
{
	PGconn *sql = sql_open_server();

	sql_run(sql, "alter database %s allow_connections %s", PQdb(stage->sql),
	        is_allowed ? "true" : "false");
	PQfinish(sql);
}

static void end_backends(const struct stage *stage)
{
	sql_run(stage->sql,
	        "select pg_terminate_backend(pid) from pg_stat_activity "
	        "where datname = current_database() and application_name like 'martlet-%%'");
}

static void answer_comes_only_after_the_commit(void **state)
{
	struct stage stage;
	struct sending sending;
	struct uuid group;
	PGconn *holder;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	holder = hold(&group);
	send_message(stage.store, &sending, &group, "alice", "patience");
	await(&stage, writer_waits_for_lock(&stage));
	assert_int_equal(sending.answers, 0);
	assert_int_equal(rows_of(&stage, &sending), 0);
	release(holder);
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	assert_int_equal(rows_of(&stage, &sending), 1);
	stage_close(&stage);
}

static void batch_in_flight_of_a_lost_connection_is_answered_once(void **state)
{
	enum { SENDS = 20 };
	struct stage stage;
	struct sending sendings[SENDS];
	struct uuid group;
	PGconn *holder;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	holder = hold(&group);
	for (int i = 0; i < SENDS; i++)
		send_message(stage.store, &sendings[i], &group, "alice", "survivor");
	await(&stage, writer_waits_for_lock(&stage));
	end_backends(&stage);
	release(holder);
	for (int i = 0; i < SENDS; i++) {
		await(&stage, sendings[i].answers);
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_OK);
		assert_int_equal(sendings[i].answer.seq, 2 + i);
		assert_int_equal(rows_of(&stage, &sendings[i]), 1);
	}
	for (int i = 0; i < SENDS; i++)
		assert_int_equal(sendings[i].answers, 1);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
}

/* Whenever the connection breaks: what was answered is there, once, and nothing is answered twice. */
static void connections_that_break_all_the_time_lose_and_double_nothing(void **state)
{
	enum { SENDS = 400, BREAKS = 8 };
	struct stage stage;
	struct sending *sendings = test_calloc(SENDS, sizeof(*sendings));
	struct uuid group;

	(void)state;
	stage_open(&stage, 30000);
	group = make_group(&stage, "alice", bob);
	for (int i = 0; i < SENDS; i++) {
		send_message(stage.store, &sendings[i], &group, "bob", "through thick and thin");
		stage_turn(&stage);
		if (i % (SENDS / BREAKS) == 7)
			end_backends(&stage);
	}
	for (int i = 0; i < SENDS; i++) {
		await(&stage, sendings[i].answers);
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_OK);
		assert_int_equal(sendings[i].answers, 1);
		assert_int_equal(sql_number(stage.sql,
		                            "select seq from martlet.events "
		                            "where client_message_id = '%s'",
		                            uuid_to_text(&sendings[i].item.client_message_id).text),
		                 sendings[i].answer.seq);
	}
	assert_int_equal(sql_number(stage.sql,
	                            "select last_seq from martlet.conversations where id = '%s'",
	                            uuid_to_text(&group).text),
	                 1 + SENDS);
	assert_int_equal(broken_logs(stage.sql), 0);
	stage_close(&stage);
	test_free(sendings);
}

static void away_is_unavailable_in_time_and_comes_back_by_itself(void **state)
{
	struct stage stage;
	struct sending sending;
	struct uuid group;
	uint64_t began_ms;

	(void)state;
	stage_open(&stage, SHORT_WAIT_MS);
	group = make_group(&stage, "alice", bob);
	allow_connections(&stage, false);
	end_backends(&stage);
	await(&stage, !store_is_ready(stage.store));
	began_ms = clock_ms();
	send_message(stage.store, &sending, &group, "alice", "anybody?");
	await(&stage, sending.answers);
	assert_in_range(clock_ms() - began_ms, SHORT_WAIT_MS - 50, SHORT_WAIT_MS + SLACK_MS);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_UNAVAILABLE);
	assert_true(sending.answer.outcome.retry_after_ms > 0);
	allow_connections(&stage, true);
	await(&stage, store_is_ready(stage.store));
	submit(stage.store, &sending);
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	assert_int_equal(rows_of(&stage, &sending), 1);
	stage_close(&stage);
}

static void what_waits_is_sent_when_the_database_is_back(void **state)
{
	struct stage stage;
	struct sending sending;
	struct began began;
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	allow_connections(&stage, false);
	end_backends(&stage);
	await(&stage, !store_is_ready(stage.store));
	send_message(stage.store, &sending, &group, "alice", "I can wait");
	begin_direct(stage.store, &began, "alice", "bob");
	stage_turn(&stage);
	allow_connections(&stage, true);
	await(&stage, sending.answers && began.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	assert_int_equal(began.answer.outcome.code, OUTCOME_OK);
	stage_close(&stage);
}

/* The database hangs: everybody has an answer in time, the connection is given up, and the statement
 * that went on behind our back is no second message. */
static void a_hanging_database_is_given_up(void **state)
{
	struct stage stage;
	struct sending sending;
	struct sending later;
	struct uuid group;
	PGconn *holder;
	int64_t pid;
	uint64_t began_ms;

	(void)state;
	stage_open(&stage, SHORT_WAIT_MS);
	group = make_group(&stage, "alice", bob);
	pid = writer_pid(&stage);
	holder = hold(&group);
	began_ms = clock_ms();
	send_message(stage.store, &sending, &group, "alice", "hanging");
	await(&stage, writer_waits_for_lock(&stage));
	send_message(stage.store, &later, &group, "alice", "behind it");
	await(&stage, sending.answers && later.answers);
	assert_in_range(clock_ms() - began_ms, SHORT_WAIT_MS - 50, SHORT_WAIT_MS + SLACK_MS);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_UNAVAILABLE);
	assert_int_equal(later.answer.outcome.code, OUTCOME_UNAVAILABLE);
	await(&stage, writer_pid(&stage) != pid && store_is_ready(stage.store));
	release(holder);
	await(&stage, rows_of(&stage, &sending) == 1);
	assert_int_equal(sending.answers, 1);
	submit(stage.store, &sending);
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	assert_true(sending.answer.is_duplicate);
	assert_int_equal(rows_of(&stage, &sending), 1);
	stage_close(&stage);
}

static void a_stopped_process_is_given_up(void **state)
{
	struct stage stage;
	struct sending sending;
	struct uuid group;
	pid_t pid;

	(void)state;
	stage_open(&stage, SHORT_WAIT_MS);
	group = make_group(&stage, "alice", bob);
	pid = (pid_t)writer_pid(&stage);
	if (kill(pid, SIGSTOP) != 0)
		skip(); /* The server belongs to somebody else, or stands elsewhere. */
	send_message(stage.store, &sending, &group, "alice", "stopped");
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_UNAVAILABLE);
	await(&stage, writer_pid(&stage) != pid && store_is_ready(stage.store));
	submit(stage.store, &sending);
	await(&stage, sending.answers);
	kill(pid, SIGCONT);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	await(&stage, sql_number(stage.sql, "select count(*) from pg_stat_activity where pid = %d",
	                         pid) == 0);
	assert_int_equal(rows_of(&stage, &sending), 1);
	stage_close(&stage);
}

/* A late result belongs to nobody, and moves nobody's answer by one place. */
static void a_late_answer_is_dropped_and_order_is_kept(void **state)
{
	struct stage stage;
	struct sending sending;
	struct began begans[2];
	struct uuid group;
	PGconn *holder;

	(void)state;
	stage_open(&stage, 1000);
	group = make_group(&stage, "alice", bob);
	holder = hold(&group);
	send_message(stage.store, &sending, &group, "alice", "late");
	await(&stage, writer_waits_for_lock(&stage));
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_UNAVAILABLE);
	begin_direct(stage.store, &begans[0], "fay", "gus");
	begin_direct(stage.store, &begans[1], "fay", "hal");
	release(holder);
	await(&stage, begans[0].answers && begans[1].answers);
	assert_int_equal(begans[0].answer.outcome.code, OUTCOME_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			sql_number(stage.sql,
		                   "select count(*) from martlet.members "
		                   "where conversation_id = '%s' and user_id in ('fay', '%s')",
		                   uuid_to_text(&begans[i].answer.conversation).text,
		                   i ? "hal" : "gus"),
			2);
	assert_int_equal(sending.answers, 1);
	stage_close(&stage);
}

static void a_deadlock_is_tried_again(void **state)
{
	struct stage stage;
	struct sending sending;
	struct uuid group;
	PGresult *result;
	PGconn *other;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	/* The store holds the table a little and waits for the row; the other holds the row and wants the
	 * whole table, and is so patient that the store is the one that notices. */
	other = hold(&group);
	sql_run(other, "set deadlock_timeout = '1min'");
	send_message(stage.store, &sending, &group, "alice", "crossing");
	await(&stage, writer_waits_for_lock(&stage));
	assert_int_equal(PQsendQuery(other, "lock table martlet.conversations"), 1);
	await(&stage, PQconsumeInput(other) && !PQisBusy(other));
	result = PQgetResult(other);
	assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
	PQclear(result);
	assert_null(PQgetResult(other));
	assert_int_equal(sending.answers, 0);
	release(other);
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	assert_false(sending.answer.is_duplicate);
	assert_int_equal(rows_of(&stage, &sending), 1);
	stage_close(&stage);
}

/* The first host refuses; a refused connect is an error to libuv, and libpq has to go on all the same. */
static void the_second_host_is_taken_if_the_first_refuses(void **state)
{
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	PGconn *sql = sql_open();
	char connection[512];

	(void)state;
	snprintf(connection, sizeof(connection), "host=127.0.0.1,%s port=1,%s user=%s dbname=%s",
	         PQhost(sql), PQport(sql), PQuser(sql), PQdb(sql));
	PQfinish(sql);
	options.connection = connection;
	stage_open(&stage, WAIT_MS);
	stage_add_store(&stage, &options);
	await(&stage, store_is_ready(stage.stores[1]));
	stage_close(&stage);
}

static void closing_answers_everything_once(void **state)
{
	enum { SENDS = 200 };
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct sending sendings[SENDS];
	struct began began;
	struct store *store;
	struct uuid group;
	PGconn *holder;

	(void)state;
	stage_open(&stage, WAIT_MS);
	store = stage_add_store(&stage, &options);
	group = make_group(&stage, "alice", bob);
	await(&stage, store_is_ready(store));
	holder = hold(&group);
	for (int i = 0; i < SENDS; i++)
		send_message(store, &sendings[i], &group, "alice", "unfinished");
	await(&stage, writer_waits_for_lock(&stage));
	begin_direct(store, &began, "ida", "jon");
	stage_close_store(&stage, store);
	for (int i = 0; i < SENDS; i++) {
		assert_int_equal(sendings[i].answers, 1);
		assert_int_equal(sendings[i].answer.outcome.code, OUTCOME_UNAVAILABLE);
	}
	assert_int_equal(began.answers, 1);
	assert_int_equal(began.answer.outcome.code, OUTCOME_UNAVAILABLE);
	release(holder);
	stage_close(&stage);
}

static void a_store_that_never_found_its_database_closes(void **state)
{
	struct stage stage;
	struct store_options options = stage_options(SHORT_WAIT_MS);
	struct sending sending;
	struct uuid nowhere = new_uuid();
	struct store *store;

	(void)state;
	options.connection = "host=127.0.0.1 port=1 dbname=nothing";
	stage_open(&stage, WAIT_MS);
	store = stage_add_store(&stage, &options);
	send_message(store, &sending, &nowhere, "alice", "void");
	await(&stage, sending.answers);
	assert_int_equal(sending.answer.outcome.code, OUTCOME_UNAVAILABLE);
	assert_false(store_is_ready(store));
	stage_close_store(&stage, store);
	stage_close(&stage);
}

/* Sends again whatever the answer was, for a while. */
struct stubborn {
	struct store *store;
	struct append_item item;
	int left;
};

static void on_stubborn_sent(void *context, const struct append_answer *answer)
{
	struct stubborn *stubborn = context;

	(void)answer;
	if (!stubborn->left--)
		return;
	append_submit(stubborn->store, &stubborn->item, on_stubborn_sent, stubborn);
}

static void sending_from_an_answer_while_closing_ends(void **state)
{
	struct stage stage;
	struct store_options options = stage_options(WAIT_MS);
	struct sending sending;
	struct stubborn stubborn = {.left = 3};
	struct uuid group;

	(void)state;
	stage_open(&stage, WAIT_MS);
	group = make_group(&stage, "alice", bob);
	stubborn.store = stage_add_store(&stage, &options);
	compose(&sending, &group, "alice", "again");
	stubborn.item = sending.item;
	append_submit(stubborn.store, &stubborn.item, on_stubborn_sent, &stubborn);
	stage_close_store(&stage, stubborn.store);
	assert_int_equal(stubborn.left, -1);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answer_comes_only_after_the_commit),
		cmocka_unit_test(batch_in_flight_of_a_lost_connection_is_answered_once),
		cmocka_unit_test(connections_that_break_all_the_time_lose_and_double_nothing),
		cmocka_unit_test(away_is_unavailable_in_time_and_comes_back_by_itself),
		cmocka_unit_test(what_waits_is_sent_when_the_database_is_back),
		cmocka_unit_test(a_hanging_database_is_given_up),
		cmocka_unit_test(a_stopped_process_is_given_up),
		cmocka_unit_test(a_late_answer_is_dropped_and_order_is_kept),
		cmocka_unit_test(a_deadlock_is_tried_again),
		cmocka_unit_test(the_second_host_is_taken_if_the_first_refuses),
		cmocka_unit_test(closing_answers_everything_once),
		cmocka_unit_test(a_store_that_never_found_its_database_closes),
		cmocka_unit_test(sending_from_an_answer_while_closing_ends),
	};

	return cmocka_run_group_tests(tests, database_setup, database_teardown);
}
