#include "store/outbox.h"

#include "base/memory.h"
#include "store/events.h"
#include "store/private.h"
#include "store/rows.h"

#include <stdlib.h>

#define EVENT_COLUMN 3

struct question {
	union {
		void (*taken)(void *context, const struct outbox_answer *answer);
		void (*forgotten)(void *context, const struct outcome *outcome);
	} done;
	void *context;
};

static struct question *question_new(void *context)
{
	struct question *question = memory_new(sizeof(*question));

	question->context = context;
	return question;
}

static void on_taken(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = result ? (size_t)PQntuples(result) : 0;
	struct outbox_row *rows = memory_new_array(count, sizeof(*rows));
	struct event *events = memory_new_array(count, sizeof(*events));
	struct arena *arena = arena_create(SIZE_MAX);
	struct outbox_answer answer = {.outcome = *outcome, .rows = rows, .count = count};

	for (size_t i = 0; i < count; i++) {
		rows[i].id = row_bigint(result, (int)i, 0);
		rows[i].version = (uint64_t)row_bigint(result, (int)i, 2);
		if (!user_id_from_text(row_text(result, (int)i, 1), &rows[i].user))
			continue;
		if (PQgetisnull(result, (int)i, EVENT_COLUMN))
			continue;
		events[i] = event_from_row(result, (int)i, EVENT_COLUMN, arena);
		rows[i].event = &events[i];
	}
	question->done.taken(question->context, &answer);
	arena_destroy(arena);
	free(events);
	free(rows);
	free(question);
}

void outbox_take(struct store *store, const char *node, uint32_t lease_ms, uint32_t limit,
                 void (*done)(void *context, const struct outbox_answer *answer), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.taken = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, node);
	parameters_add_bigint(&parameters, lease_ms);
	parameters_add_bigint(&parameters, limit);
	connection_ask(store->writer, STATEMENT_TAKE_OUTBOX, &parameters, on_taken, question);
}

static void on_forgotten(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;

	(void)result;
	question->done.forgotten(question->context, outcome);
	free(question);
}

void outbox_forget(struct store *store, const int64_t *ids, size_t count,
                   void (*done)(void *context, const struct outcome *outcome), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.forgotten = done;
	parameters_init(&parameters);
	parameters_begin_array(&parameters, ELEMENT_BIGINT, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_bigint_element(&parameters, ids[i]);
	parameters_end_array(&parameters);
	connection_ask(store->writer, STATEMENT_FORGET_OUTBOX, &parameters, on_forgotten, question);
}
