/* signal - what is told once to those who are here, and kept nowhere: typing, receipts, and news of a user's own.
 *
 * A conversation's signal goes to seats that have everything that this node has. So nobody gets one who was
 * removed: the removal is an event, and a seat that has passed its own removal is no seat any more. A node that is
 * behind the sender (`after_seq`) does not know yet whom it would tell, and tells nobody. It goes across no block (see
 * blocked.h).
 *
 * A seat that could not be told, also because its session does not read fast enough, is stale: flow/resume reads
 * for it how the conversation stands, so that no receipt is lost for good. What is kept nowhere, typing, is.
 *
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never.
 */
#ifndef MARTLET_HUB_SIGNAL_H
#define MARTLET_HUB_SIGNAL_H

#include "hub/hub.h"

#include <stdint.h>

/* To each seat here that may know, but to none of `about`; those that cannot be told are stale then. Dropped if
 * the conversation is not live here, or
 * has not come to `after_seq`. Borrows frame. */
void hub_signal_conversation(struct hub *hub, const struct uuid *conversation, uint64_t after_seq,
                             const struct user_id *about, struct frame *frame);

/* To each session of a user here but `except`, which may be NULL. Borrows frame. */
void hub_signal_user(struct hub *hub, const struct user_id *user, struct frame *frame,
                     const struct session *except);

#endif
