/* notifications - what services told users, in PostgreSQL: stored in batches, read in pages, acknowledged, ended.
 *
 * Storing is collected into one set-based call of martlet.store_notifications: a batch is whatever arrived while
 * the last one was on its way. Each change of a user's notifications has the next number of that user, so
 * whoever knows how far it was told can ask for what it missed. Everything here is harmless to repeat, but for the
 * answer: who repeats an acknowledgement is told that nothing was pending.
 *
 * Fails:    by the outcome in the answer: RESOURCE_EXHAUSTED (too many wait), UNAVAILABLE. If it is not ok, the
 *           rest of the answer is empty.
 */
#ifndef MARTLET_STORE_NOTIFICATIONS_H
#define MARTLET_STORE_NOTIFICATIONS_H

#include "model/id.h"
#include "model/notification.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* A notification for some users: its number, created_ms and expires_ms are not read. */
struct notification_order {
	struct notification notification;
	uint64_t expires_after_ms;
	const char *users; /* with commas between; at least one */
	size_t users_count;
};

/* What became of an order for one user. */
struct notified {
	struct user_id user;
	bool is_repeated; /* its id had been used; `number` is then the user's newest change before */
	bool is_pending;
	uint64_t number;
	const int64_t *gone; /* what is pending no more with it */
	size_t gone_count;
};

struct store_notification_answer {
	struct outcome outcome;
	const struct notified *users;
	size_t count;
	int64_t created_ms;
	int64_t expires_ms;
};

/* Takes one order; `done` is called exactly once, never before this returns, and what the order points to is
 * borrowed until then. The answer and what it points to are valid during that call. */
void notifications_store(struct store *store, const struct notification_order *order,
                         void (*done)(void *context,
                                      const struct store_notification_answer *answer),
                         void *context);

struct notifications_answer {
	struct outcome outcome;
	const struct notification *notifications; /* pending, in rising order of number */
	size_t count;
	bool has_more;
	const int64_t *gone; /* up to the place that was asked for, and gone with a later change */
	size_t gone_count;
	uint64_t version; /* of the user, as these were read; 0 if it never had any */
	bool is_told;     /* push gateways were told that something waits */
};

/* A user's pending notifications with numbers above `after`: at most `limit`, of together about `bytes`, one at
 * least if there is one. `done` as above. */
void notifications_list(struct store *store, const struct user_id *user, uint64_t after,
                        uint32_t limit, uint32_t bytes,
                        void (*done)(void *context, const struct notifications_answer *answer),
                        void *context);

struct ack_answer {
	struct outcome outcome;
	const int64_t *numbers; /* those that were pending, in rising order */
	size_t count;
	uint64_t change; /* with which they went; 0 if there are none */
};

/* Ends notifications of a user. The numbers are copied. */
void notifications_ack(struct store *store, const struct user_id *user, const uint64_t *numbers,
                       size_t count, void (*done)(void *context, const struct ack_answer *answer),
                       void *context);

/* Ends those whose time is over and forgets those that are gone for longer than `memory_s`, at most `limit` of
 * each; `count` is how many it found. Nothing if another node is at it. */
void notifications_sweep(struct store *store, uint32_t limit, uint32_t memory_s,
                         void (*done)(void *context, const struct outcome *outcome, uint32_t count),
                         void *context);

struct waiting_user {
	struct user_id user;
	uint32_t waiting; /* pending notifications */
	uint64_t newest;  /* the number of the newest */
};

struct waiting_answer {
	struct outcome outcome;
	const struct waiting_user *users;
	size_t count;
};

/* Of these users, who have no session anywhere, those for whom push gateways are to be told now: something waits,
 * and nobody was told since they were here last. `were_here` says which of them were here since the last time. */
void notifications_tell_waiting(struct store *store, const struct user_id *users,
                                const bool *were_here, size_t count,
                                void (*done)(void *context, const struct waiting_answer *answer),
                                void *context);

/* The user is here again: the next time that something waits for it, it is told of again. */
void notifications_forget_told(struct store *store, const struct user_id *user);

#endif
