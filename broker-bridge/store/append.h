/* append - sends, collected into one set-based call of martlet.append, answered one by one.
 *
 * A batch is whatever arrived while the last one was on its way, so nothing waits for a timer. The SQL
 * function is the authority on membership, duplicates and the next number; this room removes
 * repetitions inside one batch, and answers them with the same number. An answer comes only when the
 * pipeline's sync has come back, which is after the commit. A batch whose fate is unknown because the
 * connection broke is sent again as it was: the identity of each message makes that harmless.
 *
 * Owns:     nothing of the item; its bytes must stay until the answer.
 * Fails:    by the outcome in the answer: NOT_FOUND (no such conversation, or not a member),
 *           PERMISSION_DENIED (blocked, or only admins send here),
 *           INVALID_ARGUMENT (reply_to_seq beyond the log), RESOURCE_EXHAUSTED (too many wait),
 *           UNAVAILABLE (the database is away or too slow; the message may be in the log all the same).
 */
#ifndef MARTLET_STORE_APPEND_H
#define MARTLET_STORE_APPEND_H

#include "model/id.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct append_item {
	struct uuid conversation;
	struct user_id sender;
	struct uuid client_message_id;
	const char *content_type;
	const uint8_t *body;
	size_t body_size;
	uint64_t reply_to_seq; /* 0 if none */
	const char *mentions;  /* users with commas between; "" if none */
};

struct append_answer {
	struct outcome outcome;
	/* If it is ok: */
	uint64_t seq;
	int64_t time_ms;
	bool is_duplicate;
};

/* Takes one send; `done` is called exactly once, never before this returns. The item is copied, what it
 * points to is borrowed until then. */
void append_submit(struct store *store, const struct append_item *item,
                   void (*done)(void *context, const struct append_answer *answer), void *context);

#endif
