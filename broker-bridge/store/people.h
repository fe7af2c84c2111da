/* people - what PostgreSQL keeps of users towards each other: blocks, who may see whom, when one was last here.
 *
 * In the manner of query.h: each function asks one question and calls `done` exactly once, never before it
 * returns. The answer and what it points to are valid during that call. The arguments are copied.
 *
 * Fails:    by the outcome in the answer; UNAVAILABLE where nothing else is said. If it is not ok, the
 *           rest of the answer is empty.
 */
#ifndef MARTLET_STORE_PEOPLE_H
#define MARTLET_STORE_PEOPLE_H

#include "model/id.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct block_answer {
	struct outcome outcome;
	bool is_changed; /* it was not so before */
};

/* Begins and ends a block; the two users differ. FAILED_PRECONDITION if the user has blocked `most` others. */
void people_block(struct store *store, const struct user_id *user, const struct user_id *other,
                  uint32_t most, void (*done)(void *context, const struct block_answer *answer),
                  void *context);
void people_unblock(struct store *store, const struct user_id *user, const struct user_id *other,
                    void (*done)(void *context, const struct block_answer *answer), void *context);

struct blocked_answer {
	struct outcome outcome;
	const char *const *users; /* in order of id */
	size_t count;
	bool has_more;
};

/* A page of whom a user has blocked: those after `after`, which is "" for the first page. */
void people_list_blocked(struct store *store, const struct user_id *user, const char *after,
                         uint32_t limit,
                         void (*done)(void *context, const struct blocked_answer *answer),
                         void *context);

/* There is a block between the two, whoever of them made it. */
struct block_relation {
	const char *user; /* one of those asked about */
	const char *other;
};

struct block_relations_answer {
	struct outcome outcome;
	const struct block_relation *relations; /* in order of user, then of other */
	size_t count;
};

/* With whom these users are in a block relation; at most `most` of each, any of them. */
void people_read_blocks(struct store *store, const struct user_id *users, size_t count,
                        uint32_t most,
                        void (*done)(void *context, const struct block_relations_answer *answer),
                        void *context);

struct visible_user {
	const char *user;
	int64_t last_seen_ms; /* since 1970; 0 if it never was here */
};

struct visible_answer {
	struct outcome outcome;
	const struct visible_user *users;
	size_t count;
};

/* Those of `others` who share a conversation with the user and are in no block relation with it; this holds both
 * ways. At most 1,000. */
void people_read_visible(struct store *store, const struct user_id *user,
                         const struct user_id *others, size_t count,
                         void (*done)(void *context, const struct visible_answer *answer),
                         void *context);

/* A user was here at a time, in milliseconds since 1970. */
struct sighting {
	struct user_id user;
	int64_t time_ms;
};

/* Notes when users were last here; an older time than the one known changes nothing. On the writing
 * connection. */
void people_see(struct store *store, const struct sighting *sightings, size_t count,
                void (*done)(void *context, const struct outcome *outcome), void *context);

#endif
