/* query - everything asked of PostgreSQL besides sending.
 *
 * Each function asks one question and calls `done` exactly once, never before it returns. The answer and
 * what it points to are valid during that call. The arguments are copied.
 *
 * Fails:    by the outcome in the answer; UNAVAILABLE where nothing else is said. If it is not ok, the
 *           rest of the answer is empty.
 */
#ifndef MARTLET_STORE_QUERY_H
#define MARTLET_STORE_QUERY_H

#include "model/event.h"
#include "model/id.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* What a user's sessions follow: each conversation that it is a member of. */
struct follow {
	struct uuid conversation;
	uint64_t last_seq;
	uint64_t first_seq; /* the first that the user may see */
	uint32_t state_version;
};

struct follows_answer {
	struct outcome outcome;
	const struct follow *follows; /* the most recently active first */
	size_t count;
	uint64_t membership_version; /* of the user, as these were read; 0 if it has none yet */
};

/* At most `limit` of them. */
void query_follows(struct store *store, const struct user_id *user, uint32_t limit,
                   void (*done)(void *context, const struct follows_answer *answer), void *context);

struct memberships_answer {
	struct outcome outcome;
	const struct membership *memberships; /* each with its last_event */
	size_t count;
	bool has_more; /* query_list: there is another page after this */
};

/* These conversations as `user` has them, in the order given; those of which it is no member are left out.
 * At most 1,000 ids. */
void query_memberships(struct store *store, const struct user_id *user,
                       const struct uuid *conversations, size_t count,
                       void (*done)(void *context, const struct memberships_answer *answer),
                       void *context);

/* Where a page of query_list ended: the last membership's last_event_time_ms and conversation. */
struct list_place {
	int64_t last_event_time_ms;
	struct uuid conversation;
};

/* A page of a user's conversations, the most recently active first; `after` is NULL for the first. */
void query_list(struct store *store, const struct user_id *user, const struct list_place *after,
                uint32_t limit,
                void (*done)(void *context, const struct memberships_answer *answer),
                void *context);

struct events_answer {
	struct outcome outcome;
	const struct event *events;
	size_t count;
	bool has_more;
};

enum history_direction { HISTORY_BEFORE, HISTORY_AFTER };

/* A page of one conversation's log for a member, in rising order of number: the `limit` events nearest to
 * `seq` below it or above it, at least one and at most about `max_bytes` of bodies (what is cut off is what
 * lies farthest from `seq`). Messages come as they stand, with their newest content and their reactions.
 * HISTORY_BEFORE with seq 0 is the newest page. Who was a member reads up to its going; NOT_FOUND if `user`
 * never was one. */
void query_history(struct store *store, const struct user_id *user, const struct uuid *conversation,
                   enum history_direction direction, uint64_t seq, uint32_t limit,
                   uint32_t max_bytes,
                   void (*done)(void *context, const struct events_answer *answer), void *context);

/* Where one conversation's log is to be read on. */
struct log_place {
	struct uuid conversation;
	uint64_t after_seq;
};

/* The next events of several conversations after their places, for the bridge itself (no membership is
 * checked): grouped by place in the order given, in rising order within each, at most `limit` events and
 * about `max_bytes` of bodies in all, at least one if there is any. At most 100 places. */
void query_log(struct store *store, const struct log_place *places, size_t count, uint32_t limit,
               uint32_t max_bytes, void (*done)(void *context, const struct events_answer *answer),
               void *context);

struct head {
	struct uuid conversation;
	uint64_t last_seq;
	uint32_t member_count;
};

struct heads_answer {
	struct outcome outcome;
	const struct head *heads;
	size_t count;
};

/* The newest number of each conversation; those that do not exist are left out. At most 1,000 ids. */
void query_heads(struct store *store, const struct uuid *conversations, size_t count,
                 void (*done)(void *context, const struct heads_answer *answer), void *context);

struct membership_version {
	struct user_id user;
	uint64_t version;
	uint64_t notifications; /* the newest change of the user's notifications */
};

struct membership_versions_answer {
	struct outcome outcome;
	const struct membership_version *versions;
	size_t count;
};

/* The number of each user's newest change of memberships, and of notifications; those that never had one are left out. At most
 * 1,000 users. */
void query_membership_versions(struct store *store, const struct user_id *users, size_t count,
                               void (*done)(void *context,
                                            const struct membership_versions_answer *answer),
                               void *context);

/* Of these conversations, those that `user` is or was a member of: with the last number that it may see, or with
 * 0 if it is a member now. At most 1,000 ids. */
void query_left(struct store *store, const struct user_id *user, const struct uuid *conversations,
                size_t count, void (*done)(void *context, const struct heads_answer *answer),
                void *context);

struct members_answer {
	struct outcome outcome;
	const struct member *members;
	size_t count;
	bool has_more;
};

/* A page of a conversation's members in order of id, those after the user `after` ("" for the first page).
 * NOT_FOUND if `user` is no member. */
void query_members(struct store *store, const struct user_id *user, const struct uuid *conversation,
                   const char *after, uint32_t limit,
                   void (*done)(void *context, const struct members_answer *answer), void *context);

struct receipts_answer {
	struct outcome outcome;
	uint32_t delivered_count;
	uint32_t read_count;
};

/* How many members have an event, its sender aside. NOT_FOUND if `user` is no member or may not see it. */
void query_receipts(struct store *store, const struct user_id *user,
                    const struct uuid *conversation, uint64_t seq,
                    void (*done)(void *context, const struct receipts_answer *answer),
                    void *context);

/* Mutes a conversation for `user` until a time in milliseconds since 1970; 0 ends it. NOT_FOUND if it is no
 * member. On the writing connection. */
void query_set_mute(struct store *store, const struct user_id *user,
                    const struct uuid *conversation, int64_t until_ms,
                    void (*done)(void *context, const struct outcome *outcome), void *context);

/* How a conversation began, or that it had begun. */
struct began_answer {
	struct outcome outcome;
	struct uuid conversation;
	bool is_created;      /* just now */
	struct event created; /* number 1 of its log; with is_created */
	const struct user_id
		*members; /* all first members, the creator among them; with is_created */
	size_t members_count;
};

/* Finds the pair's direct conversation or begins it with the id `proposed`; however concurrently. The two
 * users differ. PERMISSION_DENIED if one has blocked the other. On the writing connection. */
void query_open_direct(struct store *store, const struct user_id *user, const struct user_id *peer,
                       const struct uuid *proposed,
                       void (*done)(void *context, const struct began_answer *answer),
                       void *context);

/* How a group begins. Repetitions and the owner among the members are allowed. */
struct group_beginning {
	const char *title;
	const struct user_id *members;
	size_t members_count;
	bool is_announcement;
	bool has_full_history;
};

/* Begins a group. The same id with the same owner again is answered with is_created false; with another's,
 * ALREADY_EXISTS; PERMISSION_DENIED if the owner and a member have blocked one another. On the writing
 * connection. */
void query_create_group(struct store *store, const struct uuid *conversation,
                        const struct user_id *owner, const struct group_beginning *group,
                        void (*done)(void *context, const struct began_answer *answer),
                        void *context);

#endif
