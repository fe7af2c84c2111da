#include "store/notifications.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/must.h"
#include "model/limits.h"
#include "store/private.h"
#include "store/rows.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define BATCH_ORDERS 64
#define BATCH_USERS 2000           /* rows of one call, but for one order with more users */
#define BATCH_BYTES (1024u * 1024) /* of payloads */
#define RETRY_AFTER_MS 1000

/* Storing. */

struct pending {
	struct pending *prev, *next;
	struct notification_order order;
	void (*done)(void *context, const struct store_notification_answer *answer);
	void *context;
};

struct orders {
	struct store *store;
	uint32_t pending_most;
	uint32_t user_most;
	uint32_t service_most;
	struct pending *waiting;
	struct pending *refused;
	uint32_t waiting_count;
	struct pending *batch[BATCH_ORDERS]; /* on its way; batch[i] has the ordinal i + 1 */
	uint32_t batch_count;
	bool is_stopped;
};

struct orders *orders_create(struct store *store, const struct store_options *options)
{
	struct orders *orders = memory_new(sizeof(*orders));

	orders->store = store;
	orders->pending_most = options->append_pending;
	orders->user_most = options->user_notifications;
	orders->service_most = options->service_notifications;
	return orders;
}

void orders_destroy(struct orders *orders)
{
	free(orders);
}

void notifications_store(struct store *store, const struct notification_order *order,
                         void (*done)(void *context,
                                      const struct store_notification_answer *answer),
                         void *context)
{
	struct orders *orders = store->orders;
	struct pending *pending = memory_new(sizeof(*pending));

	pending->order = *order;
	pending->done = done;
	pending->context = context;
	if (orders->waiting_count >= orders->pending_most || orders->is_stopped) {
		DL_APPEND(orders->refused, pending);
		return;
	}
	DL_APPEND(orders->waiting, pending);
	orders->waiting_count++;
}

static void answer_outcome(struct pending *pending, struct outcome outcome)
{
	pending->done(pending->context, &(struct store_notification_answer){.outcome = outcome});
	free(pending);
}

static void read_notified(const PGresult *result, int row, struct arena *arena,
                          struct notified *ret_notified)
{
	*ret_notified = (struct notified){
		.is_repeated = row_smallint(result, row, 2) == 1,
		.number = (uint64_t)row_bigint(result, row, 3),
		.is_pending = row_boolean(result, row, 4),
	};
	ret_notified->gone = row_bigints(result, row, 5, arena, &ret_notified->gone_count);
	must(user_id_from_text(row_text(result, row, 1), &ret_notified->user));
}

/* The rows are in order of ordinal: each order has some. */
static void answer_rows(struct orders *orders, const PGresult *result)
{
	size_t rows = (size_t)PQntuples(result);
	struct notified *users = memory_new_array(rows, sizeof(*users));
	struct arena *arena = arena_create(SIZE_MAX);
	size_t row = 0;

	for (size_t i = 0; i < rows; i++)
		read_notified(result, (int)i, arena, &users[i]);
	for (uint32_t i = 0; i < orders->batch_count; i++) {
		struct pending *pending = orders->batch[i];
		struct store_notification_answer answer = {.outcome = outcome_ok(),
		                                           .users = users + row};

		must(row < rows && (uint32_t)row_integer(result, (int)row, 0) == i + 1);
		answer.created_ms = row_time_ms(result, (int)row, 6);
		answer.expires_ms = row_time_ms(result, (int)row, 7);
		while (row < rows && (uint32_t)row_integer(result, (int)row, 0) == i + 1) {
			answer.count++;
			row++;
		}
		pending->done(pending->context, &answer);
		free(pending);
	}
	arena_destroy(arena);
	free(users);
}

/* What the database did not answer in time it will not answer for those behind either. */
static void refuse_waiting(struct orders *orders, struct outcome outcome)
{
	struct pending *waiting = orders->waiting;

	orders->waiting = NULL;
	orders->waiting_count = 0;
	while (waiting) {
		struct pending *pending = waiting;

		DL_DELETE(waiting, pending);
		answer_outcome(pending, outcome);
	}
}

static void on_batch_done(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct orders *orders = context;

	if (outcome_is_ok(outcome)) {
		answer_rows(orders, result);
	} else {
		for (uint32_t i = 0; i < orders->batch_count; i++)
			answer_outcome(orders->batch[i], *outcome);
		refuse_waiting(orders, *outcome);
	}
	orders->batch_count = 0;
	if (!orders->is_stopped)
		orders_flush(orders);
}

static const char *service_of(const struct notification_order *order)
{
	return order->notification.service;
}

static const char *id_of(const struct notification_order *order)
{
	return order->notification.id;
}

static const char *kind_of(const struct notification_order *order)
{
	return order->notification.kind;
}

static const char *content_type_of(const struct notification_order *order)
{
	return order->notification.content_type;
}

static const char *collapse_key_of(const struct notification_order *order)
{
	return order->notification.collapse_key;
}

static const char *users_of(const struct notification_order *order)
{
	return order->users;
}

static void add_texts(struct parameters *parameters, const struct orders *orders,
                      const char *(*text_of)(const struct notification_order *order))
{
	parameters_begin_array(parameters, ELEMENT_TEXT, orders->batch_count);
	for (uint32_t i = 0; i < orders->batch_count; i++) {
		const char *text = text_of(&orders->batch[i]->order);

		parameters_add_element(parameters, text, strlen(text));
	}
	parameters_end_array(parameters);
}

static void add_payloads(struct parameters *parameters, const struct orders *orders)
{
	parameters_begin_array(parameters, ELEMENT_BYTEA, orders->batch_count);
	for (uint32_t i = 0; i < orders->batch_count; i++)
		parameters_add_element(parameters, orders->batch[i]->order.notification.payload,
		                       orders->batch[i]->order.notification.payload_size);
	parameters_end_array(parameters);
}

static void add_times(struct parameters *parameters, const struct orders *orders)
{
	parameters_begin_array(parameters, ELEMENT_BIGINT, orders->batch_count);
	for (uint32_t i = 0; i < orders->batch_count; i++)
		parameters_add_bigint_element(parameters,
		                              (int64_t)orders->batch[i]->order.expires_after_ms);
	parameters_end_array(parameters);
}

static void send_batch(struct orders *orders)
{
	struct parameters parameters;

	parameters_init(&parameters);
	add_texts(&parameters, orders, service_of);
	add_texts(&parameters, orders, id_of);
	add_texts(&parameters, orders, kind_of);
	add_texts(&parameters, orders, content_type_of);
	add_payloads(&parameters, orders);
	add_times(&parameters, orders);
	add_texts(&parameters, orders, collapse_key_of);
	add_texts(&parameters, orders, users_of);
	parameters_add_integer(&parameters, (int32_t)orders->user_most);
	parameters_add_integer(&parameters, (int32_t)orders->service_most);
	connection_ask(orders->store->writer, STATEMENT_STORE_NOTIFICATIONS, &parameters,
	               on_batch_done, orders);
}

/* Who is refused may store again at once, and is then refused in the next turn. */
static void refuse(struct orders *orders)
{
	struct pending *refused = orders->refused;

	orders->refused = NULL;
	while (refused) {
		struct pending *pending = refused;

		DL_DELETE(refused, pending);
		answer_outcome(pending,
		               outcome_retry(orders->is_stopped ? OUTCOME_UNAVAILABLE
		                                                : OUTCOME_RESOURCE_EXHAUSTED,
		                             RETRY_AFTER_MS,
		                             "the database is away or busy, notify again later"));
	}
}

void orders_flush(struct orders *orders)
{
	size_t users = 0;
	size_t bytes = 0;

	refuse(orders);
	if (orders->batch_count || !orders->waiting)
		return;
	while (orders->waiting && orders->batch_count < BATCH_ORDERS && bytes < BATCH_BYTES) {
		struct pending *pending = orders->waiting;

		users += pending->order.users_count;
		if (orders->batch_count && users > BATCH_USERS)
			break;
		bytes += pending->order.notification.payload_size;
		DL_DELETE(orders->waiting, pending);
		orders->waiting_count--;
		orders->batch[orders->batch_count++] = pending;
	}
	send_batch(orders);
}

void orders_stop(struct orders *orders)
{
	orders->is_stopped = true;
	DL_CONCAT(orders->refused, orders->waiting);
	orders->waiting = NULL;
	orders->waiting_count = 0;
	while (orders->refused)
		refuse(orders);
}

/* Everything else: a question on its way. */

struct question {
	union {
		void (*list)(void *context, const struct notifications_answer *answer);
		void (*ack)(void *context, const struct ack_answer *answer);
		void (*sweep)(void *context, const struct outcome *outcome, uint32_t count);
		void (*waiting)(void *context, const struct waiting_answer *answer);
	} done;
	void *context;
};

static struct question *question_new(void *context)
{
	struct question *question = memory_new(sizeof(*question));

	question->context = context;
	return question;
}

static size_t rows(const PGresult *result)
{
	return result ? (size_t)PQntuples(result) : 0;
}

static void read_notification(const PGresult *result, int row, struct notification *ret)
{
	*ret = (struct notification){
		.number = (uint64_t)row_bigint(result, row, 4),
		.id = row_text(result, row, 5),
		.service = row_text(result, row, 6),
		.kind = row_text(result, row, 7),
		.content_type = row_text(result, row, 8),
		.created_ms = row_time_ms(result, row, 10),
		.expires_ms = row_time_ms(result, row, 11),
		.collapse_key = row_text(result, row, 12),
	};
	ret->payload = row_bytes(result, row, 9, &ret->payload_size);
}

static void on_list(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct notification *notifications = memory_new_array(count, sizeof(*notifications));
	struct arena *arena = arena_create(SIZE_MAX);
	struct notifications_answer answer = {.outcome = *outcome, .notifications = notifications};

	if (count) {
		answer.version = (uint64_t)row_bigint(result, 0, 0);
		answer.is_told = row_boolean(result, 0, 1);
		answer.gone = row_bigints(result, 0, 2, arena, &answer.gone_count);
		/* The row of nulls is none. */
		if (PQgetisnull(result, 0, 4))
			count = 0;
	}
	for (size_t i = 0; i < count; i++)
		read_notification(result, (int)i, &notifications[i]);
	answer.count = count;
	answer.has_more = count && (size_t)row_bigint(result, 0, 3) > count;
	question->done.list(question->context, &answer);
	arena_destroy(arena);
	free(notifications);
	free(question);
}

void notifications_list(struct store *store, const struct user_id *user, uint64_t after,
                        uint32_t limit, uint32_t bytes,
                        void (*done)(void *context, const struct notifications_answer *answer),
                        void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.list = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_add_bigint(&parameters, (int64_t)after);
	parameters_add_bigint(&parameters, limit);
	parameters_add_bigint(&parameters, bytes);
	connection_ask(store->reader, STATEMENT_LIST_NOTIFICATIONS, &parameters, on_list, question);
}

static void on_acked(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	int64_t *numbers = memory_new_array(count, sizeof(*numbers));
	struct ack_answer answer = {.outcome = *outcome, .numbers = numbers, .count = count};

	for (size_t i = 0; i < count; i++)
		numbers[i] = row_bigint(result, (int)i, 0);
	if (count)
		answer.change = (uint64_t)row_bigint(result, 0, 1);
	question->done.ack(question->context, &answer);
	free(numbers);
	free(question);
}

void notifications_ack(struct store *store, const struct user_id *user, const uint64_t *numbers,
                       size_t count, void (*done)(void *context, const struct ack_answer *answer),
                       void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.ack = done;
	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	parameters_begin_array(&parameters, ELEMENT_BIGINT, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_bigint_element(&parameters, (int64_t)numbers[i]);
	parameters_end_array(&parameters);
	connection_ask(store->writer, STATEMENT_ACK_NOTIFICATIONS, &parameters, on_acked, question);
}

static void on_swept(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	int32_t count = rows(result) ? row_integer(result, 0, 0) : 0;

	question->done.sweep(question->context, outcome, (uint32_t)count);
	free(question);
}

void notifications_sweep(struct store *store, uint32_t limit, uint32_t memory_s,
                         void (*done)(void *context, const struct outcome *outcome, uint32_t count),
                         void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.sweep = done;
	parameters_init(&parameters);
	parameters_add_integer(&parameters, (int32_t)limit);
	parameters_add_integer(&parameters, (int32_t)memory_s);
	connection_ask(store->writer, STATEMENT_SWEEP_NOTIFICATIONS, &parameters, on_swept,
	               question);
}

static void on_waiting(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	size_t count = rows(result);
	struct waiting_user *users = memory_new_array(count, sizeof(*users));
	struct waiting_answer answer = {.outcome = *outcome, .users = users, .count = count};

	for (size_t i = 0; i < count; i++) {
		must(user_id_from_text(row_text(result, (int)i, 0), &users[i].user));
		users[i].waiting = (uint32_t)row_integer(result, (int)i, 1);
		users[i].newest = (uint64_t)row_bigint(result, (int)i, 2);
	}
	question->done.waiting(question->context, &answer);
	free(users);
	free(question);
}

void notifications_tell_waiting(struct store *store, const struct user_id *users,
                                const bool *were_here, size_t count,
                                void (*done)(void *context, const struct waiting_answer *answer),
                                void *context)
{
	struct question *question = question_new(context);
	struct parameters parameters;

	question->done.waiting = done;
	parameters_init(&parameters);
	parameters_add_users(&parameters, users, count);
	parameters_begin_array(&parameters, ELEMENT_BOOLEAN, count);
	for (size_t i = 0; i < count; i++) {
		const uint8_t wire = were_here[i];

		parameters_add_element(&parameters, &wire, sizeof(wire));
	}
	parameters_end_array(&parameters);
	connection_ask(store->writer, STATEMENT_TELL_WAITING, &parameters, on_waiting, question);
}

/* Whoever is told of once too seldom is told of after its next leave: it is then known to have been here. */
static void on_forgotten(void *context, const PGresult *result, const struct outcome *outcome)
{
	(void)context;
	(void)result;
	(void)outcome;
}

void notifications_forget_told(struct store *store, const struct user_id *user)
{
	struct parameters parameters;

	parameters_init(&parameters);
	parameters_add_text(&parameters, user->text);
	connection_ask(store->writer, STATEMENT_FORGET_TOLD, &parameters, on_forgotten, NULL);
}
