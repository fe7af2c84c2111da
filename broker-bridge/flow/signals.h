/* signals - tells what is kept nowhere: to this node's sessions at once, to the others by the bus.
 *
 * Nothing here is repeated or made up for. Who is not there, or does not read, misses it.
 *
 * Owns:     a scratch buffer.
 * Lifetime: signals_create to signals_destroy.
 * Threads:  the worker's one thread.
 * Fails:    never.
 */
#ifndef MARTLET_FLOW_SIGNALS_H
#define MARTLET_FLOW_SIGNALS_H

#include "model/event.h"
#include "model/frame.h"
#include "model/id.h"
#include "protocol/decode.h"

#include <stdbool.h>
#include <stdint.h>

struct hub;
struct link;
struct session;
struct signals;
struct topics;

struct signals_options {
	const char *node; /* this node's name */
	uint32_t shards;
	uint32_t typing_members; /* typing in a larger conversation is told to nobody */
};

/* All are borrowed for its life; the options are copied, their text is borrowed. */
struct signals *signals_create(const struct signals_options *options, struct hub *hub,
                               struct link *link, struct topics *topics);
void signals_destroy(struct signals *signals);

/* To the members of a conversation, on all nodes, but to no session of `about`, whom it is about. The
 * conversation must be live and known here, which it is while somebody has a seat in it; false, and nothing is
 * told, if it is not. Borrows frame. */
bool signals_tell_conversation(struct signals *signals, const struct uuid *conversation,
                               const struct user_id *about, struct frame *frame);

/* The same for any conversation: `after_seq` is its newest number, read when `about` was a member. */
void signals_tell_conversation_after(struct signals *signals, const struct uuid *conversation,
                                     uint64_t after_seq, const struct user_id *about,
                                     struct frame *frame);

/* To all sessions of a user, on all nodes, but `except` (of this node), which may be NULL. Borrows
 * frame. */
void signals_tell_user(struct signals *signals, const struct user_id *user, struct frame *frame,
                       const struct session *except);

/* A session types in a conversation, or has stopped: told if it is to be (see hub/typing.h). False if the session
 * has no seat there. */
bool signals_set_typing(struct signals *signals, const struct session *session,
                        const struct uuid *conversation, bool is_typing)
	__attribute__((warn_unused_result));

/* The same for a user without a session, who is a member: of a conversation with so many and this newest number. */
void signals_set_guest_typing(struct signals *signals, const struct user_id *user,
                              const struct membership *membership, bool is_typing);

/* What another node told; borrowed. */
void signals_on_signal(struct signals *signals, const Martlet__Bus__V1__SignalEntry *entry);
void signals_on_user(struct signals *signals, const Martlet__Bus__V1__UserEntry *entry);

#endif
