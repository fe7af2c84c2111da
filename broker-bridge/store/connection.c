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

/* Long enough for two hosts of which the first swallows what is sent to it. */
#define CONNECT_MS 12000
#define HOST_MS "5000"
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
	size_t prepared;       /* statements whose PREPARE came back */
	const char *broken_by; /* why the connection is of no use any more; NULL while it is */

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

/* Notes that the connection is of no use. It is closed at the end of the turn, by close_broken: here
 * callers up the stack, or whoever was just answered, still hold its requests. */
static void give_up(struct connection *connection, const char *reason)
{
	if (!connection->broken_by)
		connection->broken_by = reason;
}

static void close_broken(struct connection *connection)
{
	if (!connection->broken_by || !connection->pg)
		return;
	log_limited(LOG_WARNING, "database connection lost",
	            log_text("purpose", connection->options.purpose),
	            log_text("reason", connection->broken_by),
	            log_text("detail", PQerrorMessage(connection->pg)));
	unwatch(connection);
	PQfinish(connection->pg);
	connection->pg = NULL;
	connection->broken_by = NULL;
	take_back_sent(connection);
	set_state(connection, AWAY);
	schedule_reconnect(connection);
}

/* What a server says unasked: that it shuts down, that it ends this connection. */
static void on_notice(void *context, const PGresult *notice)
{
	const struct connection *connection = context;

	log_limited(LOG_INFO, "database says", log_text("purpose", connection->options.purpose),
	            log_text("sqlstate", PQresultErrorField(notice, PG_DIAG_SQLSTATE)),
	            log_text("detail", PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY)));
}

static void connect_now(struct connection *connection)
{
	/* `options` stands behind the given string, so it wins over one inside it. */
	const char *const names[] = {"dbname", "options", "application_name", "tcp_user_timeout",
	                             NULL};
	const char *const values[] = {connection->connection_string, SETTINGS,
	                              connection->options.purpose, HOST_MS, NULL};

	set_state(connection, CONNECTING);
	connection->pg = PQconnectStartParams(names, values, 1);
	must(connection->pg != NULL);
	PQsetNoticeReceiver(connection->pg, on_notice, connection);
	if (PQstatus(connection->pg) == CONNECTION_BAD)
		give_up(connection, "refused");
	else
		watch(connection, UV_WRITABLE);
}

static void flush(struct connection *connection)
{
	int more = PQflush(connection->pg);

	if (more < 0)
		give_up(connection, "writing failed");
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
			give_up(connection, "preparing failed");
			return;
		}
	}
	if (PQpipelineSync(pg) == 1)
		flush(connection);
	else
		give_up(connection, "preparing failed");
}

/* Each step may close the socket and open another, of the next host, with the same number. */
static void poll_connect(struct connection *connection)
{
	unwatch(connection);
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
		give_up(connection, "refused");
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
		/* To libpq a value is null by its pointer alone: the length is then not looked at. */
		values[i] = parameters->lengths[i] < 0
		                    ? NULL
		                    : (const char *)parameters->bytes.bytes + parameters->starts[i];
		formats[i] = 1;
	}
	return PQsendQueryPrepared(connection->pg, statement->name, parameters->count, values,
	                           parameters->lengths, formats, 1) &&
	       PQpipelineSync(connection->pg) == 1;
}

static void send_waiting(struct connection *connection)
{
	if (connection->state != READY || connection->broken_by || !connection->waiting)
		return;
	while (connection->waiting && connection->sent_count < DEPTH) {
		struct request *request = connection->waiting;

		DL_DELETE(connection->waiting, request);
		connection->waiting_count--;
		DL_APPEND(connection->sent, request);
		connection->sent_count++;
		if (!send_request(connection, request)) {
			give_up(connection, "sending failed");
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
	bool is_good = PQresultStatus(request->result) == PGRES_TUPLES_OK;
	const char *sqlstate = PQresultErrorField(request->result, PG_DIAG_SQLSTATE);
	struct outcome outcome = outcome_ok();

	DL_DELETE(connection->sent, request);
	connection->sent_count--;
	if (sqlstate && request->done && !request->is_retried && is_passing(sqlstate)) {
		ask_again(connection, request);
		return;
	}
	if (!is_good)
		outcome = judge(connection, request, sqlstate ? sqlstate : "");
	answer(request, is_good ? request->result : NULL, &outcome);
	request_free(request);
}

/* An error without an SQLSTATE is libpq's own: there is no connection any more. */
static bool is_libpqs(const PGresult *result)
{
	return PQresultStatus(result) == PGRES_FATAL_ERROR &&
	       !PQresultErrorField(result, PG_DIAG_SQLSTATE);
}

static void take_result(struct connection *connection, PGresult *result)
{
	bool is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;

	if (is_libpqs(result))
		give_up(connection, "closed by the database");
	if (is_sync || connection->broken_by) {
		PQclear(result);
	} else {
		PQclear(connection->sent->result);
		connection->sent->result = result;
	}
	if (is_sync)
		complete(connection);
}

static void tell_unprepared(const struct connection *connection, const PGresult *result)
{
	log_limited(
		LOG_ERROR, "statement cannot be prepared; is the schema migrated?",
		log_text("statement", connection->options.statements[connection->prepared].name),
		log_text("sqlstate", PQresultErrorField(result, PG_DIAG_SQLSTATE)),
		log_text("detail", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
}

static void become_ready(struct connection *connection)
{
	set_state(connection, READY);
	backoff_reset(&connection->backoff);
	log_info("database connected", log_text("purpose", connection->options.purpose));
	send_waiting(connection);
}

static void take_prepared(struct connection *connection, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_COMMAND_OK) {
		connection->prepared++;
	} else if (status == PGRES_PIPELINE_SYNC) {
		become_ready(connection);
	} else {
		if (connection->prepared < connection->options.statements_count &&
		    !is_libpqs(result))
			tell_unprepared(connection, result);
		give_up(connection, "preparing failed");
	}
	PQclear(result);
}

static bool awaits_result(const struct connection *connection)
{
	if (!connection->pg || connection->broken_by)
		return false;
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
	if (!PQconsumeInput(connection->pg))
		give_up(connection, "closed by the database");
	take_results(connection);
	if (connection->pg && PQstatus(connection->pg) == CONNECTION_BAD)
		give_up(connection, "closed by the database");
	send_waiting(connection);
	if (connection->pg && !connection->broken_by)
		flush(connection);
}

/* A socket whose connect() failed is an error to libuv, which stops watching it, but libpq has to see it, to
 * go on to the next host. */
static void on_ready_fd(uv_poll_t *poll, int status, int events)
{
	struct watcher *watcher = poll->data;
	struct connection *connection = watcher->connection;

	(void)events;
	if (!connection)
		return;
	if (connection->state == CONNECTING)
		poll_connect(connection);
	else if (status < 0)
		give_up(connection, uv_strerror(status));
	else
		read_and_write(connection);
	close_broken(connection);
}

/* Time. */

static void answer_exhausted(struct request *request)
{
	struct outcome outcome = outcome_retry(OUTCOME_RESOURCE_EXHAUSTED, RETRY_AFTER_MS,
	                                       "too much waits for the database, try again later");

	answer(request, NULL, &outcome);
}

/* Who is refused may ask again at once, and is then refused in the next turn. */
static void answer_refused(struct connection *connection)
{
	struct request *refused = connection->refused;

	connection->refused = NULL;
	while (refused) {
		struct request *request = refused;

		DL_DELETE(refused, request);
		if (connection->state == CLOSED)
			answer_unavailable(request);
		else
			answer_exhausted(request);
		request_free(request);
	}
}

static bool is_late(const struct connection *connection, const struct request *request,
                    uint64_t now)
{
	return now - request->asked_ms >= connection->options.wait_ms;
}

static struct request *find_late(const struct connection *connection, uint64_t now)
{
	struct request *request = connection->sent;

	while (request && !(request->done && is_late(connection, request, now)))
		request = request->next;
	return request;
}

/* Sought anew after each answer: who is answered may close the connection. */
static void expire_sent(struct connection *connection, uint64_t now)
{
	struct request *request;

	while ((request = find_late(connection, now)))
		answer_unavailable(request);
}

static void expire_waiting(struct connection *connection, uint64_t now)
{
	while (connection->waiting && is_late(connection, connection->waiting, now)) {
		struct request *request = connection->waiting;

		DL_DELETE(connection->waiting, request);
		connection->waiting_count--;
		answer_unavailable(request);
		request_free(request);
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
		give_up(connection, "no answer in time");
	close_broken(connection);
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

	while (connection->refused)
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
	while (connection->waiting) {
		struct request *request = connection->waiting;

		DL_DELETE(connection->waiting, request);
		answer_unavailable(request);
		request_free(request);
	}
	uv_close((uv_handle_t *)&connection->timer, on_timer_closed);
}

/* While the oldest request was answered without an answer of the database, that is stuck. */
bool connection_is_ready(const struct connection *connection)
{
	return connection->state == READY && !connection->broken_by &&
	       (!connection->sent || connection->sent->done);
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
