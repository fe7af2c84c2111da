/* encode_notifications - what services tell users: as frames for clients and as entries for other nodes.
 *
 * In the manner of encode.h: a frame has one item and one reference, which is the caller's; an entry is an
 * Envelope of one, written to `buffer` (emptied first), false if it does not fit the buffer's maximum.
 */
#ifndef MARTLET_PROTOCOL_ENCODE_NOTIFICATIONS_H
#define MARTLET_PROTOCOL_ENCODE_NOTIFICATIONS_H

#include "base/buffer.h"
#include "model/frame.h"
#include "model/notification.h"
#include "protocol/decode.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Items. */
struct frame *encode_notification_batch(const struct notification *notifications, size_t count,
                                        bool has_more, bool is_complete);
struct frame *encode_notifications_acked(const int64_t *numbers, size_t count);

/* Replies. */
struct frame *encode_notification_list(uint32_t request_id,
                                       const struct notification *notifications, size_t count,
                                       bool has_more);
struct frame *encode_notification_acks(uint32_t request_id, const int64_t *numbers, size_t count);
struct frame *encode_notified(uint32_t request_id, uint32_t stored, uint32_t repeated);

/* An entry for these users of one shard; the notification is NULL if none was stored, or if it is to be read. */
bool encode_notification_entry(struct buffer *buffer, const struct notification *notification,
                               const struct notification_change *changes, size_t count)
	__attribute__((warn_unused_result));

/* The notification of such an entry, without a number; what it points to lies in the entry. */
struct notification decode_notification(const Martlet__V1__Notification *wire);

#endif
