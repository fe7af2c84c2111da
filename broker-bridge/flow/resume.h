/* resume - gives each session what it missed, without a hole between the log and what is live.
 *
 * One way for a first connection, a reconnection, joining a group and a seat that fell behind:
 *
 *    what does it follow?     hear their shards      where are their heads?
 *  [ READING FOLLOWS ] ---> [ HEARING ] -----------> [ READING HEADS ] ---.
 *         ^                     ^                                         |
 *         | a hint, or a doubt  | a seat is too far behind                v
 *      [ RESTING ] <--- [ FEEDING ] <--- [ PARTING ] <------------ [ STATING ]
 *         |                ^    from the    what the client         how each stands, and a seat
 *         '----------------'    log         keeps and has left      at the client's cursor
 *           a seat lags
 *
 * The first time, what services told the user is read between PARTING and FEEDING: NOTIFYING.
 *
 * A conversation's head is read after its shard is heard, and a seat is taken at a number, not at a moment: so
 * whatever arrives in between is either in the log that is read or in the tail that is live.
 *
 * Owns:     one catch-up a session, with a reference on it; the holds on shards.
 * Lifetime: resume_create; resume_destroy after all sessions are gone and the store is closed.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    by closing the session with 4010 if it cannot be caught up in time.
 */
#ifndef MARTLET_FLOW_RESUME_H
#define MARTLET_FLOW_RESUME_H

#include "base/timer.h"
#include "hub/hub.h"
#include "model/id.h"

#include <stddef.h>
#include <stdint.h>

struct interest;
struct notify;
struct resume;
struct store;

struct resume_options {
	uint32_t shards;
	uint32_t resume_events;      /* a cursor farther behind gets Resync */
	uint32_t list_conversations; /* conversations without a cursor whose state is sent */
	uint32_t user_conversations; /* conversations of one user that are followed */
	uint32_t deadline_ms;
	uint32_t list_notifications; /* pending ones that are sent by themselves */
};

/* How far a client has a conversation, and how it last knew it to stand. */
struct cursor {
	struct uuid conversation;
	uint64_t seq;
	uint32_t state_version;
};

/* Everything is borrowed for its life; the hub is given later, as it needs resume first, and so is notify. */
struct resume *resume_create(const struct resume_options *options, struct store *store,
                             struct interest *interest, struct timers *timers);
void resume_set_hub(struct resume *resume, struct hub *hub);
void resume_set_notify(struct resume *resume, struct notify *notify);
void resume_destroy(struct resume *resume);

/* An identified session begins; the cursors are copied. Ends with Ready and session_set_live. */
void resume_session(struct resume *resume, struct session *session, const struct cursor *cursors,
                    size_t count);

/* A user's membership of a conversation changed, perhaps. */
void resume_membership_changed(struct resume *resume, const struct user_id *user,
                               const struct uuid *conversation);

/* A user's memberships changed, and it is not known which. */
void resume_memberships_unknown(struct resume *resume, const struct user_id *user);

/* The hub's needs that are met here; `context` is the resume. */
void resume_on_user_live(void *context, const struct user_id *user);
void resume_on_user_idle(void *context, const struct user_id *user);
void resume_on_conversation_live(void *context, const struct uuid *conversation);
void resume_on_conversation_idle(void *context, const struct uuid *conversation);
void resume_on_lag(void *context, struct session *session);
void resume_on_left(void *context, struct session *session, const struct uuid *conversation,
                    uint64_t seq);
void resume_on_session_gone(void *context, struct session *session);

#endif
