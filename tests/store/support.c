#include "store/support.h"

#include "base/log.h"
#include "base/random.h"
#include "store/migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 5
#define CONNECTION_BYTES 1024
#define SQL_BYTES 2048

static char connection[CONNECTION_BYTES];

static const char *server(void)
{
	const char *given = getenv("MARTLET_TEST_DATABASE");

	if (!given)
		fail_msg("MARTLET_TEST_DATABASE names no server, see tests/store/support.h");
	return given;
}

static PGconn *sql_connect(const char *to)
{
	PGconn *sql = PQconnectdb(to);

	if (PQstatus(sql) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(sql));
	return sql;
}

PGconn *sql_open(void)
{
	return sql_connect(connection);
}

PGconn *sql_open_server(void)
{
	return sql_connect(server());
}

static void ignore_applied(const char *file)
{
	(void)file;
}

int database_setup_empty(void **state)
{
	PGconn *sql = sql_open_server();

	(void)state;
	log_set_level(LOG_ERROR);
	/* What stands last in a connection string wins. */
	snprintf(connection, sizeof(connection), "%s dbname=martlet_store_%d", server(), getpid());
	sql_run(sql, "create database martlet_store_%d", getpid());
	PQfinish(sql);
	return 0;
}

int database_setup(void **state)
{
	struct outcome outcome;

	database_setup_empty(state);
	outcome = migrate_run(connection, "schema", ignore_applied);
	if (!outcome_is_ok(&outcome))
		fail_msg("%s", outcome.text);
	return 0;
}

int database_teardown(void **state)
{
	PGconn *sql = sql_open_server();

	(void)state;
	sql_run(sql, "drop database martlet_store_%d with (force)", getpid());
	PQfinish(sql);
	return 0;
}

const char *database_connection(void)
{
	return connection;
}

static PGresult *sql_execute(PGconn *sql, const char *format, va_list arguments)
{
	char text[SQL_BYTES];
	PGresult *result;

	vsnprintf(text, sizeof(text), format, arguments);
	result = PQexec(sql, text);
	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", text, PQresultErrorMessage(result));
	return result;
}

void sql_run(PGconn *sql, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	PQclear(sql_execute(sql, format, arguments));
	va_end(arguments);
}

int64_t sql_number(PGconn *sql, const char *format, ...)
{
	va_list arguments;
	PGresult *result;
	int64_t number;

	va_start(arguments, format);
	result = sql_execute(sql, format, arguments);
	va_end(arguments);
	number = PQntuples(result) ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
	PQclear(result);
	return number;
}

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The loop turns at least this often, so that conditions of others than the store's are seen. */
static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

void stage_turn(struct stage *stage)
{
	for (int i = 0; i < STORES_MOST; i++) {
		if (stage->stores[i])
			store_flush(stage->stores[i]);
	}
	uv_run(&stage->loop, UV_RUN_ONCE);
}

struct store_options stage_options(uint32_t wait_ms)
{
	return (struct store_options){
		.connection = connection,
		.wait_ms = wait_ms,
		.append_batch = 64,
		.append_pending = 4096,
		.query_pending = 4096,
		.receipt_members = 100,
		.user_notifications = 500,
		.service_notifications = 200,
	};
}

struct store *stage_add_store(struct stage *stage, const struct store_options *options)
{
	struct store_options given = *options;
	int place = stage->stores[0] ? 1 : 0;

	assert_null(stage->stores[place]);
	given.loop = &stage->loop;
	stage->stores[place] = store_create(&given);
	stage->open_stores++;
	return stage->stores[place];
}

void stage_open(struct stage *stage, uint32_t wait_ms)
{
	struct store_options options = stage_options(wait_ms);

	memset(stage, 0, sizeof(*stage));
	stage->sql = sql_open();
	assert_int_equal(uv_loop_init(&stage->loop), 0);
	uv_timer_init(&stage->loop, &stage->tick);
	uv_timer_start(&stage->tick, on_tick, TICK_MS, TICK_MS);
	stage->store = stage_add_store(stage, &options);
	await(stage, store_is_ready(stage->store));
}

static void on_store_closed(void *context)
{
	struct stage *stage = context;

	stage->open_stores--;
}

void stage_close_store(struct stage *stage, struct store *store)
{
	uint32_t left = stage->open_stores - 1;

	for (int i = 0; i < STORES_MOST; i++) {
		if (stage->stores[i] == store)
			stage->stores[i] = NULL;
	}
	store_close(store, on_store_closed, stage);
	await(stage, stage->open_stores == left);
}

void stage_close(struct stage *stage)
{
	for (int i = 0; i < STORES_MOST; i++) {
		if (stage->stores[i])
			stage_close_store(stage, stage->stores[i]);
	}
	uv_close((uv_handle_t *)&stage->tick, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	PQfinish(stage->sql);
}

struct user_id user(const char *name)
{
	struct user_id id;

	assert_true(user_id_from_text(name, &id));
	return id;
}

struct uuid new_uuid(void)
{
	struct uuid uuid;

	random_bytes(uuid.bytes, sizeof(uuid.bytes));
	return uuid;
}

static void on_sent(void *context, const struct append_answer *answer)
{
	struct sending *sending = context;

	sending->answer = *answer;
	sending->answers++;
}

void submit(struct store *store, struct sending *sending)
{
	sending->answers = 0;
	append_submit(store, &sending->item, on_sent, sending);
	assert_int_equal(sending->answers, 0);
}

void compose(struct sending *sending, const struct uuid *conversation, const char *sender,
             const char *body)
{
	sending->item = (struct append_item){
		.conversation = *conversation,
		.sender = user(sender),
		.client_message_id = new_uuid(),
		.content_type = "text/plain",
		.body = (const uint8_t *)body,
		.body_size = strlen(body),
		.mentions = "",
	};
}

void send_message(struct store *store, struct sending *sending, const struct uuid *conversation,
                  const char *sender, const char *body)
{
	compose(sending, conversation, sender, body);
	submit(store, sending);
}

static void on_began(void *context, const struct began_answer *answer)
{
	struct began *began = context;

	began->answer = *answer;
	began->answer.members = NULL;
	began->answers++;
}

void begin_direct(struct store *store, struct began *began, const char *who, const char *peer)
{
	struct user_id a = user(who);
	struct user_id b = user(peer);
	struct uuid proposed = new_uuid();

	began->answers = 0;
	query_open_direct(store, &a, &b, &proposed, on_began, began);
	assert_int_equal(began->answers, 0);
}

struct uuid make_group(struct stage *stage, const char *owner, const char *const members[])
{
	struct user_id owner_id = user(owner);
	struct user_id ids[16];
	struct uuid conversation = new_uuid();
	struct began began = {.answers = 0};
	size_t count = 0;

	for (; members[count]; count++)
		ids[count] = user(members[count]);
	query_create_group(stage->store, &conversation, &owner_id,
	                   &(struct group_beginning){
				   .title = "A group", .members = ids, .members_count = count},
	                   on_began, &began);
	await(stage, began.answers);
	assert_true(began.answer.is_created);
	return conversation;
}

void fill_conversation(struct stage *stage, const struct uuid *conversation, const char *sender,
                       int count)
{
	for (int i = 0; i < count; i++) {
		struct sending sending;
		char body[16];

		snprintf(body, sizeof(body), "%d", i + 1);
		send_message(stage->store, &sending, conversation, sender, body);
		await(stage, sending.answers);
		assert_int_equal(sending.answer.outcome.code, OUTCOME_OK);
	}
}

int64_t broken_logs(PGconn *sql)
{
	return sql_number(sql,
	                  "select count(*) from martlet.conversations c left join lateral "
	                  "(select count(*) as count, min(e.seq) as first, max(e.seq) as last "
	                  "from martlet.events e where e.conversation_id = c.id) l on true "
	                  "where l.count <> c.last_seq or l.first <> 1 or l.last <> c.last_seq");
}
