/* blocked - across whom no signal goes to a user here.
 *
 * A block works both ways and is not told, so it does not matter here who made it. What a user's relations are is
 * read after its first session came; until then, and while they are read again, no signal of others reaches it: one
 * too few is nothing, one too many is a leak.
 *
 *                  hub_set_blocked
 *      [ UNKNOWN ] ---------------> [ KNOWN ]
 *           ^                           |
 *           '---------------------------'
 *                hub_forget_blocked
 *
 * Owns:     a copy of the ids, with the user.
 * Lifetime: the user's: from its first session here to its last one.
 * Threads:  the worker's one thread.
 * Fails:    never; a user who is not here is ignored.
 */
#ifndef MARTLET_HUB_BLOCKED_H
#define MARTLET_HUB_BLOCKED_H

#include "hub/hub.h"

#include <stddef.h>

/* Those in a block relation with the user, in order of id (by bytes), each once; the array is copied. */
void hub_set_blocked(struct hub *hub, const struct user_id *user, const struct user_id *others,
                     size_t count);

/* There are too many to be kept: no signal of anybody else goes to the user. */
void hub_set_all_blocked(struct hub *hub, const struct user_id *user);

/* They have changed, and will be read again. */
void hub_forget_blocked(struct hub *hub, const struct user_id *user);

#endif
