/* watching - presence between its neighbours: what this node says to the others and hears of them, who may see
 * it, and when somebody was last here.
 *
 * hub/presence knows what is said and hub/watchers who is told; this room carries it over the bus, asks the
 * database who may see whom, and writes down in batches when users came and went.
 *
 *   sessions here --> hub/presence --> bus --> hub/presence of the others --> hub/watchers --> sessions there
 *
 * Owns:     both of these rooms, a scratch buffer, the questions that are on their way.
 * Lifetime: watching_create; watching_stop before the link and the store are closed; watching_destroy after the
 *           sessions are gone and the store is closed.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    watching_watch, by its return or by the outcome in its answer. When somebody was last here is left
 *           out if the database does not take it.
 */
#ifndef MARTLET_FLOW_WATCHING_H
#define MARTLET_FLOW_WATCHING_H

#include "base/timer.h"
#include "hub/hub.h"
#include "model/id.h"
#include "model/outcome.h"
#include "model/presence.h"
#include "protocol/decode.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link;
struct store;
struct watching;

struct watching_options {
	const char *node; /* this node's name */
	uint32_t shards;
	uint32_t watched_users;    /* of one session */
	int64_t (*clock_ms)(void); /* since 1970 */
};

/* Everything is borrowed for its life; the options are copied, their text is borrowed. */
struct watching *watching_create(const struct watching_options *options, struct hub *hub,
                                 struct store *store, struct link *link, struct timers *timers);
void watching_stop(struct watching *watching);
void watching_destroy(struct watching *watching);

/* How users are, in the order asked; `presences` is valid during the call. */
typedef void (*watching_done)(void *context, const struct outcome *outcome,
                              const struct shown_presence *presences, size_t count);

/* The session begins to watch these users; `done` is called exactly once, never before this returns, and the session
 * must stay until then. False, and `done` is never called, if they would be too many. */
bool watching_watch(struct watching *watching, struct session *session, const struct user_id *users,
                    size_t count, watching_done done, void *context)
	__attribute__((warn_unused_result));
void watching_unwatch(struct watching *watching, struct session *session,
                      const struct user_id *users, size_t count);

/* The user's conversations or blocks changed, or may have: who may see whom is asked again, coalesced. Cheap for
 * a user whom nobody here watches and who watches nobody. */
void watching_recheck_user(struct watching *watching, const struct user_id *user);

/* Follows a user's presence for its own sake: all nodes are asked, and what they say is known until it ends.
 * Counted; what is followed must be given up before watching_destroy. */
void watching_follow(struct watching *watching, const struct user_id *user);
void watching_unfollow(struct watching *watching, const struct user_id *user);
enum presence watching_presence_of(const struct watching *watching, const struct user_id *user);

/* What other nodes told; borrowed. */
void watching_on_word(struct watching *watching, const Martlet__Bus__V1__PresenceEntry *entry);
void watching_on_question(struct watching *watching,
                          const Martlet__Bus__V1__PresenceQuestion *entry);

/* A node was lost or began; the link is back. */
void watching_on_node(struct watching *watching, const char *node);
void watching_on_up(struct watching *watching);

/* This node is about to send its users away. */
void watching_on_drain(struct watching *watching);

/* The hub's needs that are met here. */
void watching_on_presence(struct watching *watching, const struct user_id *user, enum presence now,
                          bool is_gone);
void watching_on_room(struct watching *watching, struct session *session);
void watching_on_session_gone(struct watching *watching, struct session *session);

#endif
