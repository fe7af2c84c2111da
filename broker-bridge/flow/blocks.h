/* blocks - reads for each user who is here across whom no signal goes to it, and tells other nodes of changes.
 *
 *                    its shard is heard                    the database answered
 *   a user came --> [ HEARING ] --> [ WAITING ] --> [ ASKED ] --> hub_set_blocked
 *                                        ^   |_ several at once     |
 *                                        '--------------------------'
 *                                    a hint came meanwhile: once more
 *
 * A change is told as a hint on the shards of both users. Who missed it finds it as it finds a membership, by the
 * user's version (flow/sweep.h). As the shard is heard before the database is read, no hint falls in between.
 *
 * Owns:     one entry a user whose blocks are to be read, a scratch buffer.
 * Lifetime: blocks_create; blocks_stop before the link is closed; blocks_destroy after the store is closed.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never; what the database does not answer is asked again.
 */
#ifndef MARTLET_FLOW_BLOCKS_H
#define MARTLET_FLOW_BLOCKS_H

#include "base/timer.h"
#include "model/id.h"
#include "protocol/decode.h"

#include <stdint.h>

struct blocks;
struct hub;
struct link;
struct store;
struct watching;

/* Everything is borrowed for its life. */
struct blocks *blocks_create(struct hub *hub, struct store *store, struct link *link,
                             struct watching *watching, struct timers *timers, uint32_t shards);
void blocks_stop(struct blocks *blocks);
void blocks_destroy(struct blocks *blocks);

/* The user's first session came, and holds its shard. */
void blocks_on_user_live(struct blocks *blocks, const struct user_id *user);

/* A block between these two began or ended, here: told to all nodes. */
void blocks_tell(struct blocks *blocks, const struct user_id *user, const struct user_id *other);

/* The user's blocks changed, or may have: read again if it is here. Another node told so; borrowed. */
void blocks_reload(struct blocks *blocks, const struct user_id *user);
void blocks_on_entry(struct blocks *blocks, const Martlet__Bus__V1__BlocksEntry *entry);

/* The link is back: hints may have been missed. */
void blocks_on_up(struct blocks *blocks);

#endif
