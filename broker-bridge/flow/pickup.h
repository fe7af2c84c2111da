/* pickup - what applications published in transactions of their own, taken and told to all.
 *
 * martlet.publish and martlet.notify leave a row in martlet.outbox. Each node looks for rows that nobody has, tells of
 * them as if it had stored them itself, and forgets them. It looks again at once after a full page, and every
 * `poll_ms` otherwise; looking into an empty table writes nothing. NOTIFY would be faster by the half of that, but
 * its commit takes a lock of the whole database: applications that publish would wait for each other.
 *
 *    a look finds rows         told                    the database forgot them
 *  [ LOOKING ] -----------> [ TAKEN ] ----------------------------------------> [ LOOKING ]
 *                               | the node dies: after `lease_ms` another finds them
 *
 * While the link is down the rows are left to others.
 *
 * Owns:     its timer and the question on its way.
 * Lifetime: pickup_create; pickup_stop before the store is closed; pickup_destroy after.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never; what it does not come to is found by number all the same (flow/sweep.h).
 */
#ifndef MARTLET_FLOW_PICKUP_H
#define MARTLET_FLOW_PICKUP_H

#include "base/timer.h"

#include <stdint.h>

struct announce;
struct link;
struct notify;
struct pickup;
struct store;

struct pickup_options {
	const char *node; /* this node's name */
	uint32_t poll_ms;
	uint32_t lease_ms;
};

/* Everything is borrowed for its life; the options are copied, their text is borrowed. */
struct pickup *pickup_create(const struct pickup_options *options, struct store *store,
                             struct link *link, struct announce *announce, struct notify *notify,
                             struct timers *timers);
void pickup_stop(struct pickup *pickup);
void pickup_destroy(struct pickup *pickup);

#endif
