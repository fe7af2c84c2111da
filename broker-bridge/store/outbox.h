/* outbox - what applications published in transactions of their own (martlet.publish, martlet.notify): taken by one
 * node, told by it to all, then forgotten.
 *
 * The rows are only the news: what they tell of is in the log, or among the notifications, since their transaction
 * committed. A node that dies between taking and forgetting leaves them to another, after the lease; what
 * is told twice is known by its number.
 *
 * Fails:    by the outcome in the answer; UNAVAILABLE.
 */
#ifndef MARTLET_STORE_OUTBOX_H
#define MARTLET_STORE_OUTBOX_H

#include "model/event.h"
#include "model/id.h"
#include "model/outcome.h"

#include <stddef.h>
#include <stdint.h>

struct store;

/* One row: an event, or the newest change of a user's notifications. */
struct outbox_row {
	int64_t id;
	const struct event *event; /* NULL if it is about notifications */
	struct user_id user;
	uint64_t version;
};

struct outbox_answer {
	struct outcome outcome;
	const struct outbox_row *rows; /* in the order in which they were published */
	size_t count;
};

/* Takes at most `limit` rows that nobody has, for `lease_ms`. `done` is called exactly once, never before this
 * returns; the answer and what it points to are valid during that call. */
void outbox_take(struct store *store, const char *node, uint32_t lease_ms, uint32_t limit,
                 void (*done)(void *context, const struct outbox_answer *answer), void *context);

/* All have been told of. */
void outbox_forget(struct store *store, const int64_t *ids, size_t count,
                   void (*done)(void *context, const struct outcome *outcome), void *context);

#endif
