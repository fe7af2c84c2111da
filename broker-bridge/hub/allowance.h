/* allowance - how many commands a user may give on this node.
 *
 * All sessions of a user share one allowance, so that more connections do not buy more. Commands that write to
 * a conversation's log have one of their own besides. Who goes on asking beyond it is let be for a while, each
 * time refused, and then loses the session.
 */
#ifndef MARTLET_HUB_ALLOWANCE_H
#define MARTLET_HUB_ALLOWANCE_H

#include "base/pace.h"
#include "model/id.h"

#include <stdbool.h>
#include <stdint.h>

struct hub;
struct session;

struct allowances {
	struct rate commands;
	struct rate writes;
};

/* From now on these are in force, for those who are here too. */
void hub_set_allowances(struct hub *hub, const struct allowances *allowances);

/* 0 if the session's user may give this command now, which is then counted; else how long to wait, in
 * milliseconds. `now_ms` is of a clock that never jumps: the hub's timers may be a turn behind. Where that was not
 * heeded too often the session is closed with 4009. The session is identified. */
uint32_t session_take_turn(struct session *session, bool is_write, uint64_t now_ms);

/* The same for a user who gives commands without a session (see guests.h), from the same allowance. There is nothing
 * to be closed: `ret_is_too_often` says that the refusal is not to be answered any more. */
uint32_t hub_take_turn(struct hub *hub, const struct user_id *user, bool is_write, uint64_t now_ms,
                       bool *ret_is_too_often);

#endif
