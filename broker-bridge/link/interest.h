/* interest - which shards of the bus this node hears: counted, lingering, and when it is so.
 *
 * A conversation or a user that is live here holds its shard; the first hold subscribes, and the last
 * one's end unsubscribes after a while, so that comings and goings cost nothing.
 *
 *              first acquire                    SUBACK
 *  [ NONE ] ------------------> [ SUBSCRIBING ] ------> [ HEARD ]
 *      ^                                                    |
 *      '----------------------------------------------------'
 *                     last release, and nobody for 30 s
 *
 * Owns:     the counts and timers; waits are the caller's.
 * Lifetime: the link's.
 * Threads:  one.
 * Fails:    never. While the connection is away every shard counts as heard: the link makes the
 *           subscriptions when it comes back and says so (on_up), and what was missed is then swept up.
 */
#ifndef MARTLET_LINK_INTEREST_H
#define MARTLET_LINK_INTEREST_H

#include <stdbool.h>
#include <stdint.h>

struct interest;

/* Someone who waits for shards; in the caller's memory, zeroed before first use. */
struct interest_wait {
	void (*on_heard)(struct interest_wait *wait);
	struct interest_wait *prev;
	struct interest_wait *next;
	uint64_t ticket;
};

/* Holds and lets go of a shard. Holds are counted. */
void interest_acquire(struct interest *interest, uint32_t shard);
void interest_release(struct interest *interest, uint32_t shard);

/* Every shard that is held now is heard already. */
bool interest_is_heard(const struct interest *interest);

/* Calls on_heard once, when every shard that is held at this moment is heard; from the loop, or before
 * this returns if it is so already. */
void interest_await(struct interest *interest, struct interest_wait *wait);

/* Forgets a wait that has not been called; no effect otherwise. */
void interest_cancel(struct interest *interest, struct interest_wait *wait);

#endif
