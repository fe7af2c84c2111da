#include "plugin/load.h"

#include "base/memory.h"
#include "base/pace.h"
#include "base/random.h"

#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 10000
#define ANSWER_MS 30000
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MOST_MS 10000
#define ASKED_PAUSE_MS 1000 /* bridges that come back one after another are one reason */
#define SENTENCE_BYTES 256

static const char page[] =
	"select m.conversation_id, m.user_id, c.last_seq"
	" from martlet.members m join martlet.conversations c on c.id = m.conversation_id"
	" where (m.conversation_id, m.user_id) > ($1::uuid, $2::text) and m.left_seq is null"
	" order by m.conversation_id, m.user_id limit $3::bigint";

enum load_state { LOAD_RESTING, LOAD_CONNECTING, LOAD_READING };

struct load {
	char *connection_string;
	uint64_t interval_ms;
	uint32_t page_rows;
	struct load_needs needs;
	struct memberships *memberships;
	struct backoff backoff;

	enum load_state state;
	PGconn *connection;
	PostgresPollingStatusType polling;
	uint64_t due_ms; /* RESTING: the next pass; otherwise: too slow */
	uint64_t now_ms;
	bool is_asked;

	/* Where the last page ended. */
	struct uuid conversation;
	struct user_id user;
};

struct load *load_create(const struct load_options *options, const struct load_needs *needs,
                         struct memberships *memberships)
{
	struct load *load = memory_new(sizeof(*load));

	load->connection_string = memory_copy_text(options->connection);
	load->interval_ms = options->interval_ms;
	load->page_rows = options->page_rows;
	load->needs = *needs;
	load->memberships = memberships;
	load->backoff = (struct backoff){BACKOFF_FIRST_MS, BACKOFF_MOST_MS, 0};
	return load;
}

static void rest(struct load *load, uint64_t pause_ms)
{
	PQfinish(load->connection);
	load->connection = NULL;
	load->state = LOAD_RESTING;
	load->due_ms = load->now_ms + pause_ms;
}

void load_destroy(struct load *load)
{
	if (!load)
		return;
	rest(load, 0);
	free(load->connection_string);
	free(load);
}

/* libpq's text has several lines, the first of which says it. */
static void fail(struct load *load, const char *reason)
{
	char sentence[SENTENCE_BYTES];

	snprintf(sentence, sizeof(sentence), "memberships can't be read: %.*s",
	         (int)strcspn(reason, "\n"), reason);
	rest(load, backoff_next_ms(&load->backoff, random_number()));
	load->needs.on_trouble(load->needs.context, sentence);
}

static const char *reason_of(const struct load *load)
{
	const char *reason = load->connection ? PQerrorMessage(load->connection) : "";

	return *reason ? reason : "PostgreSQL is not reached";
}

static void connect_now(struct load *load)
{
	load->is_asked = false;
	load->connection = PQconnectStart(load->connection_string);
	if (!load->connection || PQstatus(load->connection) == CONNECTION_BAD) {
		fail(load, reason_of(load));
		return;
	}
	load->state = LOAD_CONNECTING;
	load->polling = PGRES_POLLING_WRITING;
	load->due_ms = load->now_ms + CONNECT_MS;
}

static void ask_for_page(struct load *load)
{
	uint64_t rows = htobe64(load->page_rows);
	const char *values[] = {(const char *)load->conversation.bytes, load->user.text,
	                        (const char *)&rows};
	const int sizes[] = {sizeof(load->conversation.bytes), (int)strlen(load->user.text),
	                     sizeof(rows)};
	const int formats[] = {1, 1, 1};

	load->due_ms = load->now_ms + ANSWER_MS;
	if (!PQsendQueryParams(load->connection, page, 3, NULL, values, sizes, formats, 1))
		fail(load, reason_of(load));
}

static void begin(struct load *load)
{
	PQsetnonblocking(load->connection, 1);
	load->state = LOAD_READING;
	memset(&load->conversation, 0, sizeof(load->conversation));
	memset(&load->user, 0, sizeof(load->user));
	memberships_pass_begin(load->memberships);
	ask_for_page(load);
}

static void go_on_connecting(struct load *load)
{
	load->polling = PQconnectPoll(load->connection);
	if (load->polling == PGRES_POLLING_FAILED)
		fail(load, reason_of(load));
	else if (load->polling == PGRES_POLLING_OK)
		begin(load);
}

/* False if the row is not of this form: then the database is not ours. */
static bool take_row(struct load *load, const PGresult *result, int row)
{
	char user[LIMIT_USER_BYTES + 1] = "";
	size_t size = (size_t)PQgetlength(result, row, 1);
	uint64_t last_seq;

	if (PQgetlength(result, row, 0) != sizeof(load->conversation.bytes) ||
	    size >= sizeof(user) || PQgetlength(result, row, 2) != sizeof(last_seq))
		return false;
	memcpy(user, PQgetvalue(result, row, 1), size);
	if (!user_id_from_text(user, &load->user))
		return false;
	memcpy(load->conversation.bytes, PQgetvalue(result, row, 0),
	       sizeof(load->conversation.bytes));
	memcpy(&last_seq, PQgetvalue(result, row, 2), sizeof(last_seq));
	memberships_pass_row(load->memberships, &load->conversation, &load->user,
	                     be64toh(last_seq));
	return true;
}

static bool take_rows(struct load *load, const PGresult *result)
{
	if (PQnfields(result) != 3)
		return false;
	for (int row = 0; row < PQntuples(result); row++) {
		if (!take_row(load, result, row))
			return false;
	}
	return true;
}

static void end_pass(struct load *load)
{
	backoff_reset(&load->backoff);
	memberships_pass_end(load->memberships);
	rest(load, load->interval_ms);
	load->needs.on_loaded(load->needs.context);
}

static void take_page(struct load *load, PGresult *result)
{
	bool is_last = PQntuples(result) < (int)load->page_rows;
	bool is_good = PQresultStatus(result) == PGRES_TUPLES_OK && take_rows(load, result);
	PGresult *more;

	if (!is_good) {
		fail(load, PQresultStatus(result) == PGRES_TUPLES_OK
		                   ? "a row has another form"
		                   : PQresultErrorMessage(result));
		PQclear(result);
		return;
	}
	PQclear(result);
	/* A statement's end has come with its last row, or it is a lost connection's. */
	while ((more = PQgetResult(load->connection)))
		PQclear(more);
	if (is_last)
		end_pass(load);
	else
		ask_for_page(load);
}

int load_descriptor(const struct load *load, short *ret_events)
{
	*ret_events = POLLIN;
	if (load->state == LOAD_RESTING)
		return -1;
	if (load->state == LOAD_CONNECTING && load->polling == PGRES_POLLING_WRITING)
		*ret_events = POLLOUT;
	return PQsocket(load->connection);
}

/* While connecting libpq is to be called only when its socket is ready, and then it takes a piece at a time. */
static bool is_ready(const struct load *load)
{
	struct pollfd ready = {0};

	ready.fd = load_descriptor(load, &ready.events);
	return poll(&ready, 1, 0) > 0;
}

/* All that has come, which is a page at most: libpq asks the socket for some kilobytes at a time. */
static bool consume(struct load *load)
{
	do {
		if (!PQconsumeInput(load->connection))
			return false;
	} while (PQisBusy(load->connection) && is_ready(load));
	return true;
}

static void go_on_reading(struct load *load)
{
	PGresult *result;

	if (PQflush(load->connection) < 0 || !consume(load)) {
		fail(load, reason_of(load));
		return;
	}
	if (PQisBusy(load->connection))
		return;
	result = PQgetResult(load->connection);
	if (result)
		take_page(load, result);
	else
		fail(load, reason_of(load));
}

void load_turn(struct load *load, uint64_t now_ms)
{
	load->now_ms = now_ms;
	if (load->state == LOAD_RESTING) {
		if (load->is_asked && load->due_ms > now_ms + ASKED_PAUSE_MS)
			load->due_ms = now_ms + ASKED_PAUSE_MS;
		if (now_ms >= load->due_ms)
			connect_now(load);
		return;
	}
	if (now_ms >= load->due_ms)
		fail(load, "PostgreSQL does not answer in time");
	else if (load->state == LOAD_READING)
		go_on_reading(load);
	else if (is_ready(load))
		go_on_connecting(load);
}

void load_ask(struct load *load)
{
	load->is_asked = true;
}

bool load_is_resting(const struct load *load)
{
	return load->state == LOAD_RESTING;
}
