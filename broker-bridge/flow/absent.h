/* absent - finds out who has no session anywhere while something waits for it, once until it comes back.
 *
 *                     all nodes are asked      nobody has it       the database: something waits, and nobody
 *  a user to look --> [ FOLLOWED ] ----------> [ WAITING ] ------> was told since it was here: on_waiting
 *  for                   ^     |                    ^   |_ several at once
 *                        '-----'                    '--- not answered: again
 *                     it is there: once more after the grace, then given up
 *
 * Two reasons to look for a user: something was stored for it, and it has no session here; or its last session here
 * has ended, so that what was sent to it last may never have come. A word about presence falls late
 * (hub/presence.h), which is why one look is not enough. What makes it once is a flag in the database.
 *
 * Owns:     one entry a user that it looks for.
 * Lifetime: absent_create; absent_stop before watching is stopped; absent_destroy after the store is closed.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never; beyond LIMIT_ABSENT_USERS who comes is not looked for.
 */
#ifndef MARTLET_FLOW_ABSENT_H
#define MARTLET_FLOW_ABSENT_H

#include "base/timer.h"
#include "model/id.h"

#include <stdbool.h>
#include <stdint.h>

struct absent;
struct hub;
struct store;
struct watching;

struct absent_needs {
	void *context;
	/* So many notifications wait for this user, who is nowhere; `newest` is the number of the newest. */
	void (*on_waiting)(void *context, const struct user_id *user, uint32_t waiting,
	                   uint64_t newest);
};

/* Everything is borrowed for its life; the needs are copied. */
struct absent *absent_create(const struct absent_needs *needs, struct hub *hub, struct store *store,
                             struct watching *watching, struct timers *timers);
void absent_stop(struct absent *absent);
void absent_destroy(struct absent *absent);

/* Looks for this user; `was_here` if it had a session here until now. */
void absent_look_for(struct absent *absent, const struct user_id *user, bool was_here);

#endif
