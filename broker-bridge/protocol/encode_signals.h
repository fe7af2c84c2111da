/* encode_signals - typing, presence and blocks: as frames for clients and as entries for other nodes.
 *
 * In the manner of encode.h: a frame has one item and one reference, which is the caller's; an entry is an
 * Envelope of one, written to `buffer` (emptied first), false if it does not fit the buffer's maximum.
 */
#ifndef MARTLET_PROTOCOL_ENCODE_SIGNALS_H
#define MARTLET_PROTOCOL_ENCODE_SIGNALS_H

#include "base/buffer.h"
#include "model/frame.h"
#include "model/id.h"
#include "model/presence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Items. */
struct frame *encode_typing_changed(const struct uuid *conversation, const struct user_id *user,
                                    uint32_t expires_in_ms);

struct frame *encode_presence_changed(const struct shown_presence *presence);
struct frame *encode_block_changed(const struct user_id *user, bool is_blocked);

/* Replies. */
struct frame *encode_presences(uint32_t request_id, const struct shown_presence *presences,
                               size_t count);
struct frame *encode_blocked_users(uint32_t request_id, const char *const *users, size_t count,
                                   const char *next_page);

/* Entries. The first two carry a signal of any kind, already encoded for clients, from `node`. */
bool encode_signal_entry(struct buffer *buffer, const struct uuid *conversation, uint64_t after_seq,
                         const struct user_id *about, const char *node, const struct frame *frame)
	__attribute__((warn_unused_result));
bool encode_user_entry(struct buffer *buffer, const struct user_id *user, const char *node,
                       const struct frame *frame) __attribute__((warn_unused_result));
bool encode_blocks_entry(struct buffer *buffer, const struct user_id *user)
	__attribute__((warn_unused_result));
bool encode_presence_entry(struct buffer *buffer, const struct user_id *user, const char *node,
                           enum presence presence) __attribute__((warn_unused_result));
bool encode_presence_question(struct buffer *buffer, const struct user_id *user, const char *node)
	__attribute__((warn_unused_result));

#endif
