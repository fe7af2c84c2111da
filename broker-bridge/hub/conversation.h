/* conversation - puts one conversation's events in order for the sessions here.
 *
 * The wire may lose, repeat or reorder; the log does not. This room compares each event's number with
 * the one it expects, and asks for the hole. It keeps the newest events (the tail), so that a session that
 * comes back, or comes while others speak, is usually served from memory.
 *
 *               learn_head                 seq > expected: hold (bounded)
 *  [ UNKNOWN ] ------------> [ IN ORDER ] -------------------------------> [ WAITING ]
 *   hold all                      ^                                             |
 *                                 '---------------------------------------------'
 *                                   the hole is filled: by itself, or from the log
 *
 *      seq == expected: to the tail and to every seat at it      seq < expected: known, dropped
 *
 * A session takes part by a seat, which knows how far the session has the conversation. A seat that is
 * behind the tail lags: it is fed from the log (flow/resume.h) until it meets the tail, and from then
 * on lives on what arrives. There is no moment at which an event can fall between the two. A seat ends with
 * the event that removes its user: since events are given in order, nothing later is.
 *
 * Owns:     a reference on every frame in the tail or held; the seats.
 * Lifetime: made by the hub when the first seat or hint needs it; destroyed by the hub when it has had no
 *           seat for a while.
 * Threads:  one; no call here blocks.
 * Fails:    only by dropping a held frame at its bound; the log has it.
 */
#ifndef MARTLET_HUB_CONVERSATION_H
#define MARTLET_HUB_CONVERSATION_H

#include "base/timer.h"
#include "model/frame.h"
#include "model/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conversation;
struct hub;
struct seat;
struct session;

struct conversation *conversation_create(struct hub *hub, const struct uuid *id);
void conversation_destroy(struct conversation *conversation);

const struct uuid *conversation_id(const struct conversation *conversation);

/* Whether its newest number was ever learned, and which number is the next (0 while unknown). */
bool conversation_is_known(const struct conversation *conversation);
uint64_t conversation_next_seq(const struct conversation *conversation);

/* One event, from the bus, from this node's own commit or from the log; borrows frame. */
void conversation_offer(struct conversation *conversation, uint64_t seq, struct frame *frame);

/* The log's newest number, read after this node began to hear the conversation's shard: the place to
 * begin, or the news that something was missed. */
void conversation_learn_head(struct conversation *conversation, uint64_t last_seq);

/* How many members it has, on whatever nodes; as fresh as its head. 0 while unknown. */
void conversation_learn_members(struct conversation *conversation, uint32_t member_count);
uint32_t conversation_members(const struct conversation *conversation);

/* The first number that is missing between what is here and what is held or known to be in the log; 0 if
 * nothing is. */
uint64_t conversation_hole(const struct conversation *conversation);

/* The log was asked for the hole and has nothing there: the number that was heard of does not exist (a
 * database restored from an older copy). Forgets it. */
void conversation_forget_hole(struct conversation *conversation);

/* A seat for this session, which has everything up to `after_seq`. Its user was a member at number `member_seq`, so
 * a removal up to there is past, though the session may be yet to hear of it: it ends no seat. The session already
 * seated here keeps its seat, and NULL is returned; so it is if the session closed, or its user's removal was
 * among what it was given at once. */
struct seat *conversation_join(struct conversation *conversation, struct session *session,
                               uint64_t after_seq, uint64_t member_seq);

bool conversation_has_session(const struct conversation *conversation,
                              const struct session *session);
size_t conversation_seats(const struct conversation *conversation);

/* Ends a seat; its session gets nothing more from this conversation. */
void seat_leave(struct seat *seat);

/* The conversation of a seat, how far its session has it, and whether it must be fed from the log. */
const struct uuid *seat_conversation(const struct seat *seat);
uint64_t seat_seq(const struct seat *seat);
bool seat_is_lagging(const struct seat *seat);

/* How many events the seat misses. */
uint64_t seat_distance(const struct seat *seat);

/* One event of the log for a lagging seat; what is not its next number is dropped. Then whatever the tail
 * has after it. Borrows frame. */
void seat_feed(struct seat *seat, uint64_t seq, struct frame *frame);

/* The next lagging seat of a session, or NULL. Start with `after` NULL. */
struct seat *session_next_lagging(const struct session *session, const struct seat *after);

#endif
