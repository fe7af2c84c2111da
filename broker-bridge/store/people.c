#include "store/people.h"

#include "base/memory.h"
#include "store/private.h"
#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

/* A question on its way: whom to answer, and what is needed to understand the rows. */
struct question {
	union {
		void (*block)(void *context, const struct block_answer *answer);
		void (*blocked)(void *context, const struct blocked_answer *answer);
		void (*relations)(void *context, const struct block_relations_answer *answer);
		void (*visible)(void *context, const struct visible_answer *answer);
		void (*seen)(void *context, const struct outcome *outcome);
	} done;
	void *context;
	uint32_t limit;
};

static struct question *question_new(void *context)
{
	struct question *question = memory_new(sizeof(*question));

	question->context = context;
	return question;
}

static void add_users(struct parameters *parameters, const struct user_id *users, size_t count)
{
	parameters_begin_array(parameters, ELEMENT_TEXT, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_element(parameters, users[i].text, strlen(users[i].text));
	parameters_end_array(parameters);
}

static size_t rows(const PGresult *result)
{
	return result ? (size_t)PQntuples(result) : 0;
}

/* Blocks. */

static void on_blocked(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	int16_t status = rows(result) ? row_smallint(result, 0, 0) : 1;
	struct block_answer answer = {.outcome = *outcome, .is_changed = status == 0};

	if (status == 2)
		answer.outcome = outcome_refuse(OUTCOME_FAILED_PRECONDITION,
		                                "you have blocked %u users, which is the most; end "
		                                "another block first",
		                                question->limit);
	question->done.block(question->context, &answer);
	free(question);
}

void people_block(struct store *store, const struct user_id *user, const struct user_id *other,
                  uint32_t most, void (*done)(void *context, const struct block_answer *answer),
                  void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.block = done;
	question->limit = most;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_text(&parameters, other->text);
	parameters_add_integer(&parameters, (int32_t)most);
	connection_ask(store->writer, STATEMENT_BLOCK, &parameters, on_blocked, question);
}

static void on_unblocked(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	struct block_answer answer = {.outcome = *outcome,
	                              .is_changed = rows(result) && row_boolean(result, 0, 0)};

	question->done.block(question->context, &answer);
	free(question);
}

void people_unblock(struct store *store, const struct user_id *user, const struct user_id *other,
                    void (*done)(void *context, const struct block_answer *answer), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.block = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_text(&parameters, other->text);
	connection_ask(store->writer, STATEMENT_UNBLOCK, &parameters, on_unblocked, question);
}

static void on_list(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	const char **users = memory_new_array(count, sizeof(*users));
	struct blocked_answer answer = {.outcome = *outcome, .users = users, .count = count};

	for (size_t i = 0; i < count; i++)
		users[i] = row_text(result, (int)i, 0);
	if (count > question->limit) {
		answer.has_more = true;
		answer.count = question->limit;
	}
	question->done.blocked(question->context, &answer);
	free((void *)users);
	free(question);
}

void people_list_blocked(struct store *store, const struct user_id *user, const char *after,
                         uint32_t limit,
                         void (*done)(void *context, const struct blocked_answer *answer),
                         void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.blocked = done;
	question->limit = limit;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_text(&parameters, after);
	parameters_add_bigint(&parameters, (int64_t)limit + 1);
	connection_ask(store->reader, STATEMENT_BLOCKED, &parameters, on_list, question);
}

static void on_relations(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct block_relation *relations = memory_new_array(count, sizeof(*relations));
	struct block_relations_answer answer = {
		.outcome = *outcome, .relations = relations, .count = count};

	for (size_t i = 0; i < count; i++)
		relations[i] = (struct block_relation){row_text(result, (int)i, 0),
		                                       row_text(result, (int)i, 1)};
	question->done.relations(question->context, &answer);
	free(relations);
	free(question);
}

void people_read_blocks(struct store *store, const struct user_id *users, size_t count,
                        uint32_t most,
                        void (*done)(void *context, const struct block_relations_answer *answer),
                        void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.relations = done;
	parameters_init(&parameters);
	add_users(&parameters, users, count);
	parameters_add_bigint(&parameters, most);
	connection_ask(store->reader, STATEMENT_BLOCKS_OF, &parameters, on_relations, question);
}

/* Seeing. */

static void on_visible(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct visible_user *users = memory_new_array(count, sizeof(*users));
	struct visible_answer answer = {.outcome = *outcome, .users = users, .count = count};

	for (size_t i = 0; i < count; i++)
		users[i] = (struct visible_user){row_text(result, (int)i, 0),
		                                 row_time_ms(result, (int)i, 1)};
	question->done.visible(question->context, &answer);
	free(users);
	free(question);
}

void people_read_visible(struct store *store, const struct user_id *user,
                         const struct user_id *others, size_t count,
                         void (*done)(void *context, const struct visible_answer *answer),
                         void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.visible = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	add_users(&parameters, others, count);
	connection_ask(store->reader, STATEMENT_VISIBLE, &parameters, on_visible, question);
}

static void on_seen(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;

	(void)result;
	question->done.seen(question->context, outcome);
	free(question);
}

void people_see(struct store *store, const struct sighting *sightings, size_t count,
                void (*done)(void *context, const struct outcome *outcome), void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.seen = done;
	parameters_init(&parameters);
	parameters_begin_array(&parameters, ELEMENT_TEXT, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_element(&parameters, sightings[i].user.text,
		                       strlen(sightings[i].user.text));
	parameters_end_array(&parameters);
	parameters_begin_array(&parameters, ELEMENT_BIGINT, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_bigint_element(&parameters, sightings[i].time_ms);
	parameters_end_array(&parameters);
	connection_ask(store->writer, STATEMENT_SEE, &parameters, on_seen, question);
}
