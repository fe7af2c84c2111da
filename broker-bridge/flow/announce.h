/* announce - what was committed, made known: encoded once, given to this node's hub at once, and
 * published for every other node, and for members over MQTT.
 *
 * Nothing here is needed for correctness: who misses an announcement finds the event by its number (see
 * sweep.h). It is what makes delivery fast.
 *
 * Owns:     a scratch buffer.
 * Lifetime: announce_create to announce_destroy.
 * Threads:  the worker's one thread.
 * Fails:    never.
 */
#ifndef MARTLET_FLOW_ANNOUNCE_H
#define MARTLET_FLOW_ANNOUNCE_H

#include "model/event.h"
#include "model/id.h"

#include <stddef.h>
#include <stdint.h>

struct announce;
struct hub;
struct link;
struct resume;
struct topics;

/* All are borrowed for its life. */
struct announce *announce_create(struct hub *hub, struct link *link, struct resume *resume,
                                 struct topics *topics, uint32_t shards);
void announce_destroy(struct announce *announce);

/* An event is in the log. Also for one that had been there before (a repeated send): whoever lost it
 * gets it, the others drop it. */
void announce_event(struct announce *announce, const struct event *event);

/* These users became members with the event `since_seq`. */
void announce_memberships(struct announce *announce, const struct uuid *conversation,
                          uint64_t since_seq, const struct user_id *users, size_t count);

#endif
