/* hub - who is here: users, their sessions, and the conversations that are live on this node.
 *
 * Knows no library: time comes from base/timer, bytes are frames, and whatever must reach a neighbour goes
 * through `struct hub_needs`. So it runs in a test with a clock turned by hand.
 *
 * Owns:     users and conversations. Sessions belong to themselves (see session.h).
 * Lifetime: hub_create; hub_destroy after every session is gone.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never.
 */
#ifndef MARTLET_HUB_HUB_H
#define MARTLET_HUB_HUB_H

#include "base/timer.h"
#include "hub/allowance.h"
#include "hub/conversation.h"
#include "hub/session.h"
#include "model/frame.h"
#include "model/id.h"
#include "model/presence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub;

/* What the hub needs from above. None of them may call back into the hub before it returns, unless it
 * says so. */
struct hub_needs {
	void *context;
	/* The first session or seat came: hear its shard. The last has long gone: no need any more. */
	void (*on_user_live)(void *context, const struct user_id *user);
	void (*on_user_idle)(void *context, const struct user_id *user);
	void (*on_conversation_live)(void *context, const struct uuid *conversation);
	void (*on_conversation_idle)(void *context, const struct uuid *conversation);
	/* A conversation has a hole that did not close by itself: read the log. */
	void (*on_hole)(void *context, const struct uuid *conversation);
	/* A session has a lagging seat, or has room again for more. */
	void (*on_lag)(void *context, struct session *session);
	/* With this event, which the session has, its user is no member any more; its seat has ended. May push
	 * to the session. */
	void (*on_left)(void *context, struct session *session, const struct uuid *conversation,
	                uint64_t seq);
	/* This user is no member any more of a conversation that is live here, whether it has a session here or
	 * not: others may have lost sight of it. */
	void (*on_departure)(void *context, const struct user_id *user);
	/* The session is closing or its door is gone: forget it. Called once, if it was identified. */
	void (*on_session_gone)(void *context, struct session *session);
	/* What a user's sessions here say of its presence changed; `is_gone` because one of them went. */
	void (*on_presence)(void *context, const struct user_id *user, enum presence now,
	                    bool is_gone);
	/* The newest change of a user's memberships that is known here is another one. */
	void (*on_memberships)(void *context, const struct user_id *user);
};

struct hub_options {
	uint32_t sessions_of_user; /* one more closes the oldest with 4005 */
	uint32_t tail_events;
	uint32_t tail_bytes;
	uint32_t held_events;
	uint32_t resume_events; /* a hole larger than this is left to the sessions to page */
	uint32_t linger_ms;
	uint32_t hole_ms;
	struct allowances allowances;
	uint32_t guests; /* users without a session who are remembered; at least 1 */
};

/* The timers are borrowed for the hub's life. */
struct hub *hub_create(const struct hub_options *options, const struct hub_needs *needs,
                       struct timers *timers);
void hub_destroy(struct hub *hub);

/* The conversation if it is live here, or NULL. */
struct conversation *hub_find_conversation(struct hub *hub, const struct uuid *id);

/* The same, made live if it is not. It stays for `linger_ms` at least. */
struct conversation *hub_get_conversation(struct hub *hub, const struct uuid *id);

/* One event of any conversation; dropped if the conversation is not live here. Borrows frame. */
void hub_offer(struct hub *hub, const struct uuid *conversation, uint64_t seq, struct frame *frame);

bool hub_has_user(const struct hub *hub, const struct user_id *user);

/* Calls `visit` for each session of a user, each identified and open. The visit may close sessions. */
void hub_each_session_of(struct hub *hub, const struct user_id *user,
                         void (*visit)(void *context, struct session *session), void *context);

/* Calls `visit` for every session. The visit may close sessions. */
void hub_each_session(struct hub *hub, void (*visit)(void *context, struct session *session),
                      void *context);

/* Copies the ids of live conversations, or of users with sessions, in pages: those after the place that
 * `place` holds (start with 0), at most `most`; returns how many. 0 is the end. What comes and goes between
 * two calls may be met twice or not at all. */
size_t hub_list_conversations(const struct hub *hub, size_t *place, struct uuid *ret_ids,
                              size_t most);
size_t hub_list_users(const struct hub *hub, size_t *place, struct user_id *ret_ids, size_t most);

/* The number of the newest change of a user's memberships that its sessions know of; 0 if none. */
uint64_t hub_membership_version(const struct hub *hub, const struct user_id *user);
void hub_set_membership_version(struct hub *hub, const struct user_id *user, uint64_t version);

/* The number of the newest change of a user's notifications that was heard of here; 0 if none, or if the user is not
 * here. Only ever grows. */
uint64_t hub_notifications(const struct hub *hub, const struct user_id *user);
void hub_learn_notifications(struct hub *hub, const struct user_id *user, uint64_t number);

struct hub_counts {
	size_t sessions;
	size_t users;
	size_t conversations;
	uint64_t delivered; /* frames queued for sessions */
	uint64_t known;     /* events dropped because they had come before */
	uint64_t held;      /* events that came before their turn */
	uint64_t held_lost; /* of those, dropped at the bound */
	uint64_t holes;     /* times the log was asked */
	uint64_t slow;      /* sessions closed with 4008 */
	uint64_t missed;    /* signals left out, as their sessions had no room */
};

const struct hub_counts *hub_counts(const struct hub *hub);

#endif
