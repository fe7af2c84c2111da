/* watchers - which sessions watch whose presence, what each may see, and what it was told.
 *
 * A watch shows a user's presence only while the two share a conversation and no block stands between them; a watch
 * that does not is kept and shows nothing, like that of a user who does not exist. Who may see whom is the same both
 * ways, and is asked for one user at a time: against all whom its sessions watch and all who watch it.
 *
 *                    asked for, and yes
 *      [ HIDDEN ] ---------------------> [ SHOWN ]      told: what the watch shows now, if the client took it
 *           ^                                |
 *           '--------------------------------'
 *              asked again, and not any more
 *
 * Owns:     a watch for each session and user; what presence follows for the shown ones.
 * Lifetime: watchers_create; watchers_destroy after all sessions are gone.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    watchers_add, at the bound of a session.
 */
#ifndef MARTLET_HUB_WATCHERS_H
#define MARTLET_HUB_WATCHERS_H

#include "hub/hub.h"
#include "hub/presence.h"
#include "model/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watchers;

/* What it needs from above. None may call back before it returns. */
struct watchers_needs {
	void *context;
	/* A frame that tells of a user's presence, with one reference; `is_shown` if it is the watcher's to know. */
	struct frame *(*encode)(void *context, const struct user_id *user, enum presence presence,
	                        bool is_shown);
	/* Which of these may see the user, and be seen by it? Answered by watchers_answer; one question is asked
	 * at a time. The ids are borrowed until then, in order of id, each once, at most WATCHERS_ASKED. */
	void (*ask)(void *context, const struct user_id *user, const struct user_id *others,
	            size_t count);
};

#define WATCHERS_ASKED 1000

struct watchers_options {
	uint32_t watched_users; /* of one session */
	uint32_t retry_ms;      /* after a question without an answer */
};

/* Everything is borrowed for its life. */
struct watchers *watchers_create(const struct watchers_options *options,
                                 const struct watchers_needs *needs, struct hub *hub,
                                 struct presence_room *presence, struct timers *timers);
void watchers_destroy(struct watchers *watchers);

/* Begins hidden watches of those who are not watched by the session yet. False, and nothing done, if they would be
 * too many. */
bool watchers_add(struct watchers *watchers, struct session *session, const struct user_id *users,
                  size_t count) __attribute__((warn_unused_result));
void watchers_remove(struct watchers *watchers, struct session *session,
                     const struct user_id *users, size_t count);

/* Shows a watch or hides it, and returns what it shows now, which the caller tells. OFFLINE if there is no such
 * watch. */
enum presence watchers_show(struct watchers *watchers, struct session *session,
                            const struct user_id *user, bool is_shown);

/* What may be seen of a user, or by it, may have changed: asked again. Coalesced. */
void watchers_recheck(struct watchers *watchers, const struct user_id *user);
void watchers_recheck_all(struct watchers *watchers);

/* Whether the question's others may see the user, one by one; NULL if there is no answer: asked again. */
void watchers_answer(struct watchers *watchers, const bool *is_visible);

/* A followed user's presence changed (presence_needs::on_change). */
void watchers_on_change(struct watchers *watchers, const struct user_id *user);

/* The session has room again for what it was not told. It is gone. */
void watchers_on_room(struct watchers *watchers, struct session *session);
void watchers_on_session_gone(struct watchers *watchers, struct session *session);

size_t watchers_count(const struct watchers *watchers);

#endif
