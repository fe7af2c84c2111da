#include "store/connection.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/pace.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define TICK_MS 100
#define CONNECT_MS 5000
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MOST_MS 2000
#define RETRY_AFTER_MS 1000

/* Unanswered statements on the wire: enough to hide the way there and back, few enough that a lost
 * connection repeats little. */
#define DEPTH 32

/* Plans are pinned: young statistics once chose joins that cost ten times as much. Timeouts end what
 * would hold locks when we are gone. */
#define SETTINGS                                                                                   \
	"-c jit=off -c plan_cache_mode=force_generic_plan -c enable_hashjoin=off "                 \
	"-c enable_mergejoin=off -c enable_seqscan=off -c statement_timeout=10s "                  \
	"-c idle_in_transaction_session_timeout=10s -c default_transaction_isolation=read\\ committed"

enum state { AWAY, CONNECTING, PREPARING, READY, CLOSED };

struct request {
	struct request *prev, *next;
	size_t statement;
	struct parameters parameters;
	request_done done; /* NULL once answered: only its result is still awaited */
	void *context;
	uint64_t asked_ms;
	PGresult *result;
	bool is_retried;
};

/* libuv's handle outlives its use by a turn, so it has memory of its own. */
struct watcher {
	uv_poll_t poll;
	struct connection *connection; /* NULL once stopped */
};

struct connection {
	struct connection_options options;
	char *connection_string;
	struct backoff backoff;

	enum state state;
	PGconn *pg;
	struct watcher *watcher;
	int watched_fd;
	int watched_events;
	uv_timer_t timer;
	uint64_t state_since_ms;
	uint64_t reconnect_at_ms;
	size_t prepared; /* statements whose PREPARE came back */

	struct request *waiting;
	struct request *sent;
	uint32_t waiting_count;
	uint32_t sent_count;
	struct request *refused; /* to be answered from the loop */

	void (*on_closed)(void *context);
	void *closed_context;
};

static void on_ready_fd(uv_poll_t *poll, int status, int events);
static void send_waiting(struct connection *connection);

static uint64_t now_ms(const struct connection *connection)
{
	return uv_now(connection->options.loop);
}

static void set_state(struct connection *connection, enum state state)
{
	connection->state = state;
	connection->state_since_ms = now_ms(connection);
}

/* Watching the socket. It must be unwatched before libpq may close it: the number may be given to
 * another socket at once, and libuv would refuse to watch that. */

static void on_watcher_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void unwatch(struct connection *connection)
{
	struct watcher *watcher = connection->watcher;

	if (!watcher)
		return;
	watcher->connection = NULL;
	uv_poll_stop(&watcher->poll);
	uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
	connection->watcher = NULL;
	connection->watched_events = 0;
}

static void watch(struct connection *connection, int events)
{
	int fd = PQsocket(connection->pg);

	if (connection->watcher && connection->watched_fd != fd)
		unwatch(connection);
	if (!connection->watcher) {
		struct watcher *watcher = memory_new(sizeof(*watcher));

		watcher->connection = connection;
		watcher->poll.data = watcher;
		must(uv_poll_init(connection->options.loop, &watcher->poll, fd) == 0);
		connection->watcher = watcher;
		connection->watched_fd = fd;
	}
	if (connection->watched_events == events)
		return;
	connection->watched_events = events;
	must(uv_poll_start(&connection->watcher->poll, events, on_ready_fd) == 0);
}

/* Answering. */

static void request_free(struct request *request)
{
	parameters_done(&request->parameters);
	PQclear(request->result);
	free(request);
}

static void answer(struct request *request, const PGresult *result, const struct outcome *outcome)
{
	request_done done = request->done;

	request->done = NULL;
	if (done)
		done(request->context, result, outcome);
}

static struct outcome unavailable(void)
{
	return outcome_retry(OUTCOME_UNAVAILABLE, RETRY_AFTER_MS,
	                     "the database is away, try again with the same identity");
}

static void answer_unavailable(struct request *request)
{
	struct outcome outcome = unavailable();

	answer(request, NULL, &outcome);
}

/* Losing and finding the connection. */

static void schedule_reconnect(struct connection *connection)
{
	connection->reconnect_at_ms =
		now_ms(connection) + backoff_next_ms(&connection->backoff, random_number());
}

/* What was sent goes back to the head of what waits, in its order. */
static void take_back_sent(struct connection *connection)
{
	struct request *request;
	struct request *next;
	struct request *again = NULL;

	DL_FOREACH_SAFE(connection->sent, request, next) {
		DL_DELETE(connection->sent, request);
		PQclear(request->result);
		request->result = NULL;
		if (request->done) {
			DL_APPEND(again, request);
			connection->waiting_count++;
		} else {
			request_free(request);
		}
	}
	connection->sent_count = 0;
	DL_CONCAT(again, connection->waiting);
	connection->waiting = again;
}

static void lose(struct connection *connection, const char *reason)
{
	log_limited(LOG_WARNING, "database connection lost",
	            log_text("purpose", connection->options.purpose), log_text("reason", reason),
	            log_text("detail", connection->pg ? PQerrorMessage(connection->pg) : ""));
	unwatch(connection);
	PQfinish(connection->pg);
	connection->pg = NULL;
	take_back_sent(connection);
	set_state(connection, AWAY);
	schedule_reconnect(connection);
}

static void connect_now(struct connection *connection)
{
	/* `options` stands behind the given string, so it wins over one inside it. */
	const char *const names[] = {"dbname", "options", "application_name", "tcp_user_timeout",
	                             NULL};
	const char *const values[] = {connection->connection_string, SETTINGS,
	                              connection->options.purpose, "5000", NULL};

	set_state(connection, CONNECTING);
	connection->pg = PQconnectStartParams(names, values, 1);
	must(connection->pg != NULL);
	if (PQstatus(connection->pg) == CONNECTION_BAD)
		lose(connection, "refused");
	else
		watch(connection, UV_WRITABLE);
}

static void flush(struct connection *connection)
{
	int more = PQflush(connection->pg);

	if (more < 0)
		lose(connection, "writing failed");
	else
		watch(connection, more ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void prepare_all(struct connection *connection)
{
	PGconn *pg = connection->pg;

	set_state(connection, PREPARING);
	connection->prepared = 0;
	must(PQsetnonblocking(pg, 1) == 0 && PQenterPipelineMode(pg) == 1);
	for (size_t i = 0; i < connection->options.statements_count; i++) {
		const struct statement *statement = &connection->options.statements[i];

		if (!PQsendPrepare(pg, statement->name, statement->sql, statement->count,
		                   statement->types)) {
			lose(connection, "preparing failed");
			return;
		}
	}
	if (PQpipelineSync(pg))
		flush(connection);
	else
		lose(connection, "preparing failed");
}

static void poll_connect(struct connection *connection)
{
	switch (PQconnectPoll(connection->pg)) {
	case PGRES_POLLING_READING:
		watch(connection, UV_READABLE);
		break;
	case PGRES_POLLING_WRITING:
		watch(connection, UV_WRITABLE);
		break;
	case PGRES_POLLING_OK:
		watch(connection, UV_READABLE);
		prepare_all(connection);
		break;
	default:
		lose(connection, "refused");
	}
}

/* Sending. */

static bool send_request(struct connection *connection, struct request *request)
{
	const struct statement *statement = &connection->options.statements[request->statement];
	struct parameters *parameters = &request->parameters;
	const char *values[PARAMETERS_MOST];
	int formats[PARAMETERS_MOST];

	for (int i = 0; i < parameters->count; i++) {
		values[i] = (const char *)parameters->bytes.bytes + parameters->starts[i];
		formats[i] = 1;
	}
	return PQsendQueryPrepared(connection->pg, statement->name, parameters->count, values,
	                           parameters->lengths, formats, 1) &&
	       PQpipelineSync(connection->pg);
}

static void send_waiting(struct connection *connection)
{
	if (connection->state != READY || !connection->waiting)
		return;
	while (connection->waiting && connection->sent_count < DEPTH) {
		struct request *request = connection->waiting;

		DL_DELETE(connection->waiting, request);
		connection->waiting_count--;
		DL_APPEND(connection->sent, request);
		connection->sent_count++;
		if (!send_request(connection, request)) {
			lose(connection, "sending failed");
			return;
		}
	}
	flush(connection);
}

/* Receiving. */

static bool has_class(const char *sqlstate, const char *class)
{
	return strncmp(sqlstate, class, 2) == 0;
}

/* Deadlock and serialization failures: harmless to repeat, and likely to go through. */
static bool is_passing(const char *sqlstate)
{
	return strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
}

/* The server is short of something, shutting down, standing by, or hindered by its system. */
static bool is_servers(const char *sqlstate)
{
	return has_class(sqlstate, "08") || has_class(sqlstate, "25") ||
	       has_class(sqlstate, "53") || has_class(sqlstate, "57") || has_class(sqlstate, "58");
}

static struct outcome judge(const struct connection *connection, const struct request *request,
                            const char *sqlstate)
{
	if (is_servers(sqlstate) || is_passing(sqlstate))
		return unavailable();
	log_limited(
		LOG_ERROR, "statement failed",
		log_text("statement", connection->options.statements[request->statement].name),
		log_text("sqlstate", sqlstate),
		log_text("detail", PQresultErrorField(request->result, PG_DIAG_MESSAGE_PRIMARY)));
	return outcome_refuse(OUTCOME_INTERNAL, "the server could not do this; its log says why");
}

static void ask_again(struct connection *connection, struct request *request)
{
	request->is_retried = true;
	PQclear(request->result);
	request->result = NULL;
	DL_PREPEND(connection->waiting, request);
	connection->waiting_count++;
}

/* The sync of the oldest request has come back: its transaction is over. */
static void complete(struct connection *connection)
{
	struct request *request = connection->sent;
	const char *sqlstate = PQresultErrorField(request->result, PG_DIAG_SQLSTATE);
	struct outcome outcome = outcome_ok();

	DL_DELETE(connection->sent, request);
	connection->sent_count--;
	if (sqlstate && request->done && !request->is_retried && is_passing(sqlstate)) {
		ask_again(connection, request);
		return;
	}
	if (sqlstate)
		outcome = judge(connection, request, sqlstate);
	answer(request, sqlstate ? NULL : request->result, &outcome);
	request_free(request);
}

static void take_result(struct connection *connection, PGresult *result)
{
	if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
		PQclear(result);
		complete(connection);
		return;
	}
	PQclear(connection->sent->result);
	connection->sent->result = result;
}

static void take_prepared(struct connection *connection, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_FATAL_ERROR)
		log_limited(
			LOG_ERROR, "statement cannot be prepared; is the schema migrated?",
			log_text("statement",
		                 connection->options.statements[connection->prepared].name),
			log_text("detail", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
	PQclear(result);
	if (status == PGRES_COMMAND_OK) {
		connection->prepared++;
	} else if (status != PGRES_PIPELINE_SYNC) {
		lose(connection, "preparing failed");
	} else {
		set_state(connection, READY);
		backoff_reset(&connection->backoff);
		log_info("database connected", log_text("purpose", connection->options.purpose));
		send_waiting(connection);
	}
}

static bool awaits_result(const struct connection *connection)
{
	return connection->state == PREPARING || (connection->state == READY && connection->sent);
}

/* Between two statements libpq answers NULL once; twice means that there is nothing more. */
static void take_results(struct connection *connection)
{
	int nulls = 0;

	while (awaits_result(connection) && nulls < 2 && !PQisBusy(connection->pg)) {
		PGresult *result = PQgetResult(connection->pg);

		nulls = result ? 0 : nulls + 1;
		if (!result)
			continue;
		if (connection->state == PREPARING)
			take_prepared(connection, result);
		else
			take_result(connection, result);
	}
}

static void read_and_write(struct connection *connection)
{
	if (!PQconsumeInput(connection->pg)) {
		take_results(connection);
		if (connection->pg)
			lose(connection, "closed by the database");
		return;
	}
	take_results(connection);
	if (connection->pg && PQstatus(connection->pg) == CONNECTION_BAD)
		lose(connection, "closed by the database");
	else if (connection->pg)
		flush(connection);
	send_waiting(connection);
}

static void on_ready_fd(uv_poll_t *poll, int status, int events)
{
	struct watcher *watcher = poll->data;
	struct connection *connection = watcher->connection;

	(void)events;
	if (!connection)
		return;
	if (status < 0)
		lose(connection, uv_strerror(status));
	else if (connection->state == CONNECTING)
		poll_connect(connection);
	else
		read_and_write(connection);
}

/* Time. */

static void answer_refused(struct connection *connection)
{
	while (connection->refused) {
		struct request *request = connection->refused;
		struct outcome outcome =
			outcome_retry(OUTCOME_RESOURCE_EXHAUSTED, RETRY_AFTER_MS,
		                      "too much waits for the database, try again later");

		DL_DELETE(connection->refused, request);
		answer(request, NULL, &outcome);
		request_free(request);
	}
}

static void expire_waiting(struct connection *connection, uint64_t now)
{
	while (connection->waiting &&
	       now - connection->waiting->asked_ms >= connection->options.wait_ms) {
		struct request *request = connection->waiting;

		DL_DELETE(connection->waiting, request);
		connection->waiting_count--;
		answer_unavailable(request);
		request_free(request);
	}
}

static void expire_sent(struct connection *connection, uint64_t now)
{
	struct request *request;

	DL_FOREACH(connection->sent, request) {
		if (request->done && now - request->asked_ms >= connection->options.wait_ms)
			answer_unavailable(request);
	}
}

static bool is_silent(const struct connection *connection, uint64_t now)
{
	if (connection->state == CONNECTING || connection->state == PREPARING)
		return now - connection->state_since_ms >= CONNECT_MS;
	return connection->state == READY && connection->sent &&
	       now - connection->sent->asked_ms >= 3 * (uint64_t)connection->options.wait_ms;
}

static void on_tick(uv_timer_t *timer)
{
	struct connection *connection = timer->data;
	uint64_t now = now_ms(connection);

	answer_refused(connection);
	expire_sent(connection, now);
	expire_waiting(connection, now);
	if (is_silent(connection, now))
		lose(connection, "no answer in time");
	if (connection->state == AWAY && now >= connection->reconnect_at_ms)
		connect_now(connection);
	send_waiting(connection);
}

/* From outside. */

struct connection *connection_create(const struct connection_options *options)
{
	struct connection *connection = memory_new(sizeof(*connection));

	connection->options = *options;
	connection->connection_string = memory_copy_text(options->connection);
	connection->backoff = (struct backoff){BACKOFF_FIRST_MS, BACKOFF_MOST_MS, 0};
	connection->timer.data = connection;
	uv_timer_init(options->loop, &connection->timer);
	uv_timer_start(&connection->timer, on_tick, TICK_MS, TICK_MS);
	connect_now(connection);
	return connection;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	answer_refused(connection);
	connection->on_closed(connection->closed_context);
	free(connection->connection_string);
	free(connection);
}

void connection_close(struct connection *connection, void (*on_closed)(void *context),
                      void *context)
{
	connection->on_closed = on_closed;
	connection->closed_context = context;
	unwatch(connection);
	PQfinish(connection->pg);
	connection->pg = NULL;
	set_state(connection, CLOSED);
	take_back_sent(connection);
	answer_refused(connection);
	while (connection->waiting) {
		struct request *request = connection->waiting;

		DL_DELETE(connection->waiting, request);
		answer_unavailable(request);
		request_free(request);
	}
	uv_close((uv_handle_t *)&connection->timer, on_timer_closed);
}

bool connection_is_ready(const struct connection *connection)
{
	return connection->state == READY;
}

void connection_ask(struct connection *connection, size_t statement, struct parameters *parameters,
                    request_done done, void *context)
{
	struct request *request = memory_new(sizeof(*request));

	request->statement = statement;
	request->parameters = *parameters;
	parameters_init(parameters);
	request->done = done;
	request->context = context;
	request->asked_ms = now_ms(connection);
	if (connection->state == CLOSED ||
	    connection->waiting_count >= connection->options.pending) {
		DL_APPEND(connection->refused, request);
		return;
	}
	DL_APPEND(connection->waiting, request);
	connection->waiting_count++;
	if (connection->sent_count < DEPTH)
		send_waiting(connection);
}
