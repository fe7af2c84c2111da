#include "store/append.h"

#include "base/memory.h"
#include "base/must.h"
#include "store/private.h"
#include "store/rows.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define RETRY_AFTER_MS 1000

/* Bodies in one batch: beyond it, writing the bytes costs more than the commit that they share. */
#define BATCH_BYTES (4u * 1024 * 1024)

/* What makes two sends the same. */
struct identity {
	struct uuid conversation;
	struct uuid client_message_id;
	struct user_id sender;
};

struct pending {
	struct pending *prev, *next;
	struct append_item item;
	struct identity identity;
	UT_hash_handle hh;    /* in its batch, by identity */
	struct pending *same; /* repetitions in the same batch, answered alike */
	void (*done)(void *context, const struct append_answer *answer);
	void *context;
	uint64_t asked_ms;
};

struct appends {
	struct store *store;
	uv_loop_t *loop;
	uint32_t wait_ms;
	uint32_t batch_most;
	uint32_t pending_most;

	struct pending *waiting;
	struct pending *refused;
	uint32_t waiting_count;

	struct pending **batch; /* on its way; batch[i] has the ordinal i + 1; NULL once answered */
	uint32_t batch_count;
	uint32_t
		batch_limit; /* halved by a batch that failed, until the one item at fault is alone */
	bool is_stopped;
};

struct appends *appends_create(struct store *store, const struct store_options *options)
{
	struct appends *appends = memory_new(sizeof(*appends));

	appends->store = store;
	appends->loop = options->loop;
	appends->wait_ms = options->wait_ms;
	appends->batch_most = options->append_batch;
	appends->batch_limit = options->append_batch;
	appends->pending_most = options->append_pending;
	appends->batch = memory_new_array(options->append_batch, sizeof(struct pending *));
	return appends;
}

void appends_destroy(struct appends *appends)
{
	free(appends->batch);
	free(appends);
}

void append_submit(struct store *store, const struct append_item *item,
                   void (*done)(void *context, const struct append_answer *answer), void *context)
{
	struct appends *appends = store->appends;
	struct pending *pending = memory_new(sizeof(*pending));

	pending->item = *item;
	pending->identity.conversation = item->conversation;
	pending->identity.client_message_id = item->client_message_id;
	pending->identity.sender = item->sender;
	pending->done = done;
	pending->context = context;
	pending->asked_ms = uv_now(appends->loop);
	if (appends->waiting_count >= appends->pending_most || appends->is_stopped) {
		DL_APPEND(appends->refused, pending);
		return;
	}
	DL_APPEND(appends->waiting, pending);
	appends->waiting_count++;
}

static void answer(struct pending *pending, const struct append_answer *given)
{
	struct append_answer of_same = *given;

	pending->done(pending->context, given);
	of_same.is_duplicate = true;
	while (pending->same) {
		struct pending *same = pending->same;

		pending->same = same->same;
		same->done(same->context, &of_same);
		free(same);
	}
	free(pending);
}

static void answer_outcome(struct pending *pending, struct outcome outcome)
{
	answer(pending, &(struct append_answer){.outcome = outcome});
}

static struct outcome unavailable(void)
{
	return outcome_retry(OUTCOME_UNAVAILABLE, RETRY_AFTER_MS,
	                     "the database is away, send again with the same client_message_id");
}

static struct outcome outcome_of_status(int16_t status)
{
	switch (status) {
	case 0:
	case 1:
		return outcome_ok();
	case 2:
		return outcome_refuse(OUTCOME_NOT_FOUND, "you have no such conversation");
	case 3:
		return outcome_invalid(
			"reply_to_seq",
			"is no event of this conversation; give the seq of an earlier one");
	case 4:
		return outcome_refuse(OUTCOME_PERMISSION_DENIED, "you cannot write to this user");
	case 5:
		return outcome_refuse(OUTCOME_PERMISSION_DENIED, "only admins send here");
	default:
		return outcome_refuse(OUTCOME_INTERNAL, "the server could not do this");
	}
}

static void answer_rows(struct appends *appends, const PGresult *result)
{
	must((uint32_t)PQntuples(result) == appends->batch_count);
	for (int row = 0; row < PQntuples(result); row++) {
		int32_t ord = row_integer(result, row, 0);
		int16_t status = row_smallint(result, row, 1);
		struct append_answer given = {
			.outcome = outcome_of_status(status),
			.seq = (uint64_t)row_bigint(result, row, 2),
			.time_ms = row_time_ms(result, row, 3),
			.is_duplicate = status == 1,
		};
		struct pending *pending;

		must(ord >= 1 && (uint32_t)ord <= appends->batch_count);
		pending = appends->batch[ord - 1];
		appends->batch[ord - 1] = NULL;
		must(pending != NULL);
		answer(pending, &given);
	}
}

/* The batch goes back to the head of what waits, in its order, to be tried in smaller parts. */
static void split_batch(struct appends *appends)
{
	appends->batch_limit = appends->batch_count / 2;
	for (uint32_t i = appends->batch_count; i-- > 0;) {
		struct pending *pending = appends->batch[i];

		while (pending->same) {
			struct pending *same = pending->same;

			pending->same = same->same;
			same->same = NULL;
			DL_PREPEND(appends->waiting, same);
			appends->waiting_count++;
		}
		DL_PREPEND(appends->waiting, pending);
		appends->waiting_count++;
	}
}

static void on_batch_done(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct appends *appends = context;
	uint32_t count = appends->batch_count;

	if (outcome_is_ok(outcome)) {
		answer_rows(appends, result);
		if (appends->batch_limit < appends->batch_most)
			appends->batch_limit++;
	} else if (outcome->code == OUTCOME_INTERNAL && count > 1) {
		split_batch(appends);
	} else {
		for (uint32_t i = 0; i < count; i++)
			answer_outcome(appends->batch[i], *outcome);
	}
	appends->batch_count = 0;
	/* The next batch goes in the same turn, with what this turn brought. */
	if (!appends->is_stopped)
		appends_flush(appends);
}

/* Moves what waits into the batch; a send that is in it already joins the first. */
static void fill_batch(struct appends *appends)
{
	struct pending *identities = NULL;
	size_t bytes = 0;

	while (appends->waiting && appends->batch_count < appends->batch_limit &&
	       bytes < BATCH_BYTES) {
		struct pending *pending = appends->waiting;
		struct pending *first;

		HASH_FIND(hh, identities, &pending->identity, sizeof(pending->identity), first);
		/* All that an answer depends on besides the identity: it is judged by itself, in the next batch. */
		if (first && first->item.reply_to_seq != pending->item.reply_to_seq)
			break;
		DL_DELETE(appends->waiting, pending);
		appends->waiting_count--;
		bytes += pending->item.body_size;
		if (first) {
			pending->same = first->same;
			first->same = pending;
			continue;
		}
		HASH_ADD(hh, identities, identity, sizeof(pending->identity), pending);
		appends->batch[appends->batch_count++] = pending;
	}
	HASH_CLEAR(hh, identities);
}

static void add_uuids(struct parameters *parameters, const struct appends *appends, size_t offset)
{
	parameters_begin_array(parameters, ELEMENT_UUID, appends->batch_count);
	for (uint32_t i = 0; i < appends->batch_count; i++)
		parameters_add_element(parameters, (const char *)&appends->batch[i]->item + offset,
		                       sizeof(struct uuid));
	parameters_end_array(parameters);
}

static void add_texts(struct parameters *parameters, const struct appends *appends,
                      const char *(*text_of)(const struct append_item *item))
{
	parameters_begin_array(parameters, ELEMENT_TEXT, appends->batch_count);
	for (uint32_t i = 0; i < appends->batch_count; i++) {
		const char *text = text_of(&appends->batch[i]->item);

		parameters_add_element(parameters, text, strlen(text));
	}
	parameters_end_array(parameters);
}

static const char *sender_of(const struct append_item *item)
{
	return item->sender.text;
}

static const char *content_type_of(const struct append_item *item)
{
	return item->content_type;
}

static const char *mentions_of(const struct append_item *item)
{
	return item->mentions;
}

static void add_bodies(struct parameters *parameters, const struct appends *appends)
{
	parameters_begin_array(parameters, ELEMENT_BYTEA, appends->batch_count);
	for (uint32_t i = 0; i < appends->batch_count; i++)
		parameters_add_element(parameters, appends->batch[i]->item.body,
		                       appends->batch[i]->item.body_size);
	parameters_end_array(parameters);
}

static void add_replies(struct parameters *parameters, const struct appends *appends)
{
	parameters_begin_array(parameters, ELEMENT_BIGINT, appends->batch_count);
	for (uint32_t i = 0; i < appends->batch_count; i++)
		parameters_add_bigint_element(parameters,
		                              (int64_t)appends->batch[i]->item.reply_to_seq);
	parameters_end_array(parameters);
}

static void send_batch(struct appends *appends)
{
	struct parameters parameters;

	parameters_init(&parameters);
	add_uuids(&parameters, appends, offsetof(struct append_item, conversation));
	add_texts(&parameters, appends, sender_of);
	add_uuids(&parameters, appends, offsetof(struct append_item, client_message_id));
	add_texts(&parameters, appends, content_type_of);
	add_bodies(&parameters, appends);
	add_replies(&parameters, appends);
	add_texts(&parameters, appends, mentions_of);
	connection_ask(appends->store->writer, STATEMENT_APPEND, &parameters, on_batch_done,
	               appends);
}

static struct outcome exhausted(void)
{
	return outcome_retry(OUTCOME_RESOURCE_EXHAUSTED, RETRY_AFTER_MS,
	                     "too many messages wait for the database, send again later");
}

/* Who is refused may send again at once, and is then refused in the next turn. */
static void refuse(struct appends *appends)
{
	struct pending *refused = appends->refused;

	appends->refused = NULL;
	while (refused) {
		struct pending *pending = refused;

		DL_DELETE(refused, pending);
		answer_outcome(pending, appends->is_stopped ? unavailable() : exhausted());
	}
}

static void expire(struct appends *appends)
{
	uint64_t now = uv_now(appends->loop);

	while (appends->waiting && now - appends->waiting->asked_ms >= appends->wait_ms) {
		struct pending *pending = appends->waiting;

		DL_DELETE(appends->waiting, pending);
		appends->waiting_count--;
		answer_outcome(pending, unavailable());
	}
}

/* While the database is away the sends wait here, where each has its own deadline. */
void appends_flush(struct appends *appends)
{
	refuse(appends);
	expire(appends);
	if (appends->batch_count || !appends->waiting ||
	    !connection_is_ready(appends->store->writer))
		return;
	fill_batch(appends);
	send_batch(appends);
}

void appends_stop(struct appends *appends)
{
	appends->is_stopped = true;
	DL_CONCAT(appends->refused, appends->waiting);
	appends->waiting = NULL;
	appends->waiting_count = 0;
	while (appends->refused)
		refuse(appends);
}
