/* guests - users who give commands on this node without a session, as they do over MQTT.
 *
 * They have the allowance that they would have with one: who opens a session brings it along, and who ends its last
 * one leaves it here, so that neither connecting anew nor a second door buys more. Their typing has a pace too.
 *
 *                   a command                     a session
 *      [ UNKNOWN ] -----------> [ GUEST ] -----------------------> a user of the hub's
 *           ^                       |  ^                                   |
 *           '-----------------------'  '-----------------------------------'
 *              the longest silent, at the bound         its last session ended
 *
 * Owns:     `hub_options.guests` users at most; who is forgotten has its whole allowance again.
 * Lifetime: the hub's.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never.
 */
#ifndef MARTLET_HUB_GUESTS_H
#define MARTLET_HUB_GUESTS_H

#include "hub/hub.h"

#include <stdbool.h>

/* A user without a seat there types in the conversation, or has stopped: whether that is to be told now (see
 * typing.h; that it is a member, the caller has made sure). A guest types in one conversation at a time. A stop is told
 * also if no start was: that may have been another node's. */
bool hub_note_guest_typing(struct hub *hub, const struct user_id *user,
                           const struct uuid *conversation, bool is_typing);

/* How many are remembered. */
size_t hub_guests(const struct hub *hub);

#endif
