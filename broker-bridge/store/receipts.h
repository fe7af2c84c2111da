/* receipts - how far members have conversations, collected into one set-based call of
 * martlet.mark_receipts, answered one by one.
 *
 * A batch is whatever arrived while the last one was on its way. Marks only move forwards, so it does not matter
 * in which order they arrive, nor how often.
 *
 * Fails:    by the outcome in the answer: NOT_FOUND (no such conversation, or not a member),
 *           INVALID_ARGUMENT (beyond the end of the log), RESOURCE_EXHAUSTED (too many wait),
 *           UNAVAILABLE (the database is away or too slow).
 */
#ifndef MARTLET_STORE_RECEIPTS_H
#define MARTLET_STORE_RECEIPTS_H

#include "model/id.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

struct mark {
	struct uuid conversation;
	struct user_id user;
	uint64_t delivered_seq;
	uint64_t read_seq; /* 0 if nothing is said about reading */
};

struct mark_answer {
	struct outcome outcome;
	/* If it is ok, how far the member is now: */
	uint64_t delivered_seq;
	uint64_t read_seq;
	uint32_t unread_count;
	bool is_changed; /* by this mark */
	bool is_told;    /* others are told: the conversation is small enough */
};

/* Takes one mark; `done` is called exactly once, never before this returns. The mark is copied. */
void receipts_mark(struct store *store, const struct mark *mark,
                   void (*done)(void *context, const struct mark_answer *answer), void *context);

#endif
