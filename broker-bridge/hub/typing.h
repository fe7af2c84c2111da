/* typing - who may say that it types, and how often that is told.
 *
 *                  a start, LIMIT_TYPING_PACE_MS or more after the last one told: told
 *            .----------------------------------------------------------------------.
 *            |                                                                      v
 *      [ STOPPED ]                                                              [ TYPING ] -. a start: told at
 *            ^                                                                      |   ^---' that pace
 *            '----------------------------------------------------------------------'
 *                                       a stop: told at once
 *
 * What is not told is no fault of the client's: it is answered as if it were. As a start is paced and a stop is told
 * only after a start, a session tells at most two in LIMIT_TYPING_PACE_MS, whatever it sends.
 *
 * Owns:     nothing: the state lies in the seat and goes with it.
 * Threads:  the worker's one thread.
 * Fails:    never.
 */
#ifndef MARTLET_HUB_TYPING_H
#define MARTLET_HUB_TYPING_H

#include "hub/hub.h"

#include <stdbool.h>
#include <stdint.h>

enum typing {
	TYPING_ABSENT, /* the session has no seat in this conversation */
	TYPING_UNTOLD, /* too soon, no news, or nobody to be told */
	TYPING_TOLD,   /* to be told now */
};

/* The session types in the conversation, or has stopped. Conversations of more than `members_most` members, and
 * seats that lag (who has not read of its removal may be no member any more), tell nothing. */
enum typing hub_note_typing(struct hub *hub, const struct uuid *conversation,
                            const struct session *session, bool is_typing, uint32_t members_most);

#endif
