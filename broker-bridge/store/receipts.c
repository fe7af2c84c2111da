#include "store/receipts.h"

#include "base/memory.h"
#include "base/must.h"
#include "model/limits.h"
#include "store/private.h"
#include "store/rows.h"

#include <stdlib.h>
#include <utlist.h>

#define BATCH_MARKS 256
#define RETRY_AFTER_MS 1000

struct pending {
	struct pending *prev, *next;
	struct mark mark;
	void (*done)(void *context, const struct mark_answer *answer);
	void *context;
};

struct marks {
	struct store *store;
	uint32_t pending_most;
	struct pending *waiting;
	struct pending *refused;
	uint32_t waiting_count;
	struct pending *batch[BATCH_MARKS]; /* on its way; batch[i] has the ordinal i + 1 */
	uint32_t batch_count;
	bool is_stopped;
};

struct marks *marks_create(struct store *store, const struct store_options *options)
{
	struct marks *marks = memory_new(sizeof(*marks));

	marks->store = store;
	marks->pending_most = options->append_pending;
	return marks;
}

void marks_destroy(struct marks *marks)
{
	free(marks);
}

void receipts_mark(struct store *store, const struct mark *mark,
                   void (*done)(void *context, const struct mark_answer *answer), void *context)
{
	struct marks *marks = store->marks;
	struct pending *pending = memory_new(sizeof(*pending));

	pending->mark = *mark;
	pending->done = done;
	pending->context = context;
	if (marks->waiting_count >= marks->pending_most || marks->is_stopped) {
		DL_APPEND(marks->refused, pending);
		return;
	}
	DL_APPEND(marks->waiting, pending);
	marks->waiting_count++;
}

static void answer(struct pending *pending, const struct mark_answer *given)
{
	pending->done(pending->context, given);
	free(pending);
}

static void answer_outcome(struct pending *pending, struct outcome outcome)
{
	answer(pending, &(struct mark_answer){.outcome = outcome});
}

static struct outcome outcome_of_status(int16_t status)
{
	if (status == 2)
		return outcome_refuse(OUTCOME_NOT_FOUND, "you have no such conversation");
	if (status == 3)
		return outcome_invalid("seq", "is beyond the end of the conversation's log");
	return outcome_ok();
}

static void answer_rows(struct marks *marks, const PGresult *result)
{
	must((uint32_t)PQntuples(result) == marks->batch_count);
	for (int row = 0; row < PQntuples(result); row++) {
		int32_t ord = row_integer(result, row, 0);
		int16_t status = row_smallint(result, row, 1);

		must(ord >= 1 && (uint32_t)ord <= marks->batch_count);
		answer(marks->batch[ord - 1],
		       &(struct mark_answer){
			       .outcome = outcome_of_status(status),
			       .delivered_seq = (uint64_t)row_bigint(result, row, 2),
			       .read_seq = (uint64_t)row_bigint(result, row, 3),
			       .unread_count = (uint32_t)row_integer(result, row, 4),
			       .is_changed = status == 0,
			       .is_told = row_boolean(result, row, 5),
		       });
	}
}

/* What the database did not answer in time it will not answer for those behind either. */
static void refuse_waiting(struct marks *marks, struct outcome outcome)
{
	struct pending *waiting = marks->waiting;

	marks->waiting = NULL;
	marks->waiting_count = 0;
	while (waiting) {
		struct pending *pending = waiting;

		DL_DELETE(waiting, pending);
		answer_outcome(pending, outcome);
	}
}

static void on_batch_done(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct marks *marks = context;

	if (outcome_is_ok(outcome)) {
		answer_rows(marks, result);
	} else {
		for (uint32_t i = 0; i < marks->batch_count; i++)
			answer_outcome(marks->batch[i], *outcome);
		refuse_waiting(marks, *outcome);
	}
	marks->batch_count = 0;
	if (!marks->is_stopped)
		marks_flush(marks);
}

static void send_batch(struct marks *marks)
{
	struct uuid conversations[BATCH_MARKS];
	struct user_id *users = memory_new_array(marks->batch_count, sizeof(*users));
	struct parameters parameters;

	for (uint32_t i = 0; i < marks->batch_count; i++) {
		conversations[i] = marks->batch[i]->mark.conversation;
		users[i] = marks->batch[i]->mark.user;
	}
	parameters_init(&parameters);
	parameters_add_uuids(&parameters, conversations, marks->batch_count);
	parameters_add_users(&parameters, users, marks->batch_count);
	parameters_begin_array(&parameters, ELEMENT_BIGINT, marks->batch_count);
	for (uint32_t i = 0; i < marks->batch_count; i++)
		parameters_add_bigint_element(&parameters,
		                              (int64_t)marks->batch[i]->mark.delivered_seq);
	parameters_end_array(&parameters);
	parameters_begin_array(&parameters, ELEMENT_BIGINT, marks->batch_count);
	for (uint32_t i = 0; i < marks->batch_count; i++)
		parameters_add_bigint_element(&parameters, (int64_t)marks->batch[i]->mark.read_seq);
	parameters_end_array(&parameters);
	parameters_add_integer(&parameters, (int32_t)marks->store->receipt_members);
	connection_ask(marks->store->writer, STATEMENT_MARK_RECEIPTS, &parameters, on_batch_done,
	               marks);
	free(users);
}

/* Who is refused may mark again at once, and is then refused in the next turn. */
static void refuse(struct marks *marks)
{
	struct pending *refused = marks->refused;

	marks->refused = NULL;
	while (refused) {
		struct pending *pending = refused;

		DL_DELETE(refused, pending);
		answer_outcome(pending,
		               outcome_retry(marks->is_stopped ? OUTCOME_UNAVAILABLE
		                                               : OUTCOME_RESOURCE_EXHAUSTED,
		                             RETRY_AFTER_MS,
		                             "the database is away or busy, mark again later"));
	}
}

void marks_flush(struct marks *marks)
{
	refuse(marks);
	if (marks->batch_count || !marks->waiting)
		return;
	while (marks->waiting && marks->batch_count < BATCH_MARKS) {
		struct pending *pending = marks->waiting;

		DL_DELETE(marks->waiting, pending);
		marks->waiting_count--;
		marks->batch[marks->batch_count++] = pending;
	}
	send_batch(marks);
}

void marks_stop(struct marks *marks)
{
	marks->is_stopped = true;
	DL_CONCAT(marks->refused, marks->waiting);
	marks->waiting = NULL;
	marks->waiting_count = 0;
	while (marks->refused)
		refuse(marks);
}
