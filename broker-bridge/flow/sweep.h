/* sweep - compares what is here with the log, and fetches what is missing.
 *
 * The wire may lose anything: a publish while Mosquitto was away, a hint of a node that died after its
 * commit. Every few seconds, and at once when the link comes back, this room asks the log for the newest
 * number of each live conversation and for the newest changes of memberships and of notifications of each user here. It also
 * fetches the holes that the hub finds by itself. One question of each kind is on its way at a time,
 * whatever the number of holes.
 *
 * Owns:     its timers and questions; the set of conversations with holes.
 * Lifetime: sweep_create; sweep_stop forgets what is on its way; sweep_destroy after the store is
 *           closed.
 * Threads:  the worker's one thread.
 * Fails:    never; what the database does not answer is asked again at the next turn.
 */
#ifndef MARTLET_FLOW_SWEEP_H
#define MARTLET_FLOW_SWEEP_H

#include "base/timer.h"
#include "model/id.h"

#include <stdint.h>

struct hub;
struct notify;
struct resume;
struct store;
struct sweep;

/* Everything is borrowed for its life. */
struct sweep *sweep_create(struct hub *hub, struct store *store, struct resume *resume,
                           struct timers *timers, uint32_t interval_ms);
/* Given later, as it is made later. */
void sweep_set_notify(struct sweep *sweep, struct notify *notify);
void sweep_stop(struct sweep *sweep);
void sweep_destroy(struct sweep *sweep);

/* Compares everything now. */
void sweep_now(struct sweep *sweep);

/* This conversation has a hole (hub_needs::on_hole). */
void sweep_hole(struct sweep *sweep, const struct uuid *conversation);

#endif
