/* memberships - who is a member of which conversation, in memory.
 *
 * Two sources keep it true, in whatever order they come: the events that bridges publish, each with its number in
 * the conversation, and passes over all of PostgreSQL's rows, each with the number up to which it is true. **The
 * number decides, never the order of arrival**: of each user's membership the newest word counts, and what is no
 * newer than a pass's row is known already.
 *
 *      a pass has ended                 an allocation failed half way
 *  [ NOT LOADED ] -----------> [ LOADED ] -----------> [ NOT LOADED ]      only LOADED answers yes
 *
 * Owns:     all of it; 16 bytes a place in a conversation's set of members, and each user's id once.
 * Lifetime: memberships_create to memberships_destroy.
 * Threads:  the broker's one thread; no call here blocks.
 * Fails:    only where base/must fails; then memberships_distrust, and another pass.
 */
#ifndef MARTLET_PLUGIN_MEMBERSHIPS_H
#define MARTLET_PLUGIN_MEMBERSHIPS_H

#include "model/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memberships;

struct memberships *memberships_create(void);

/* NULL is allowed. */
void memberships_destroy(struct memberships *memberships);

/* Whether `user` is a member; nobody is, as long as it is not loaded. */
bool memberships_has(const struct memberships *memberships, const struct user_id *user,
                     const struct uuid *conversation);

/* An event that made `user` a member, or ended its membership. */
void memberships_join(struct memberships *memberships, const struct uuid *conversation,
                      const struct user_id *user, uint64_t seq);
void memberships_leave(struct memberships *memberships, const struct uuid *conversation,
                       const struct user_id *user, uint64_t seq);

/* A pass over all memberships as PostgreSQL has them: rows in order of conversation. Beginning another ends one
 * that was broken off, of which nothing but what it had read remains. */
void memberships_pass_begin(struct memberships *memberships);
void memberships_pass_row(struct memberships *memberships, const struct uuid *conversation,
                          const struct user_id *user, uint64_t last_seq);
void memberships_pass_end(struct memberships *memberships);

/* Nothing is answered with yes until a pass has ended that begins after this. */
void memberships_distrust(struct memberships *memberships);
bool memberships_is_loaded(const struct memberships *memberships);

struct memberships_counts {
	size_t conversations;
	size_t users;
	size_t memberships; /* and ends of some that a pass has not seen yet */
	size_t bytes;       /* without the heap's own */
};

struct memberships_counts memberships_counts(const struct memberships *memberships);

#endif
