/* encode - replies, events and what a session is told, as frames; the only builder of a ServerFrame.
 *
 * Each function makes a frame of one item with one reference, which is the caller's. Two frames laid end to
 * end are one (see proto/martlet/v1/frame.proto), so nothing is ever encoded again.
 */
#ifndef MARTLET_PROTOCOL_ENCODE_H
#define MARTLET_PROTOCOL_ENCODE_H

#include "base/buffer.h"
#include "model/event.h"
#include "model/frame.h"
#include "model/id.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The protocol's versions that this server speaks. */
#define PROTOCOL_VERSION_MIN 1
#define PROTOCOL_VERSION_MAX 1

/* What Welcome tells (proto/martlet/v1/session.proto, Limits). */
struct protocol_limits {
	uint32_t frame_bytes;
	uint32_t body_bytes;
	uint32_t group_members;
	uint32_t history_events;
	uint32_t list_conversations;
	uint32_t cursors;
	uint32_t resume_events;
	uint32_t outbound_bytes;
	uint32_t pending_commands;
	uint32_t edit_window_s;
	uint32_t receipt_members;
	uint32_t commands_per_second;
	uint32_t command_burst;
	uint32_t writes_per_second;
	uint32_t write_burst;
	uint32_t typing_members;
	uint32_t watched_users;
	uint32_t blocked_users;
	uint32_t list_members;
	uint32_t pending_notifications;
	uint32_t notification_bytes;
	uint32_t list_notifications;
};

struct welcome {
	const char *server;
	uint32_t protocol;
	const char *session;
	const char *node;
	const char *user;
	const char *device;
	int64_t time_ms;
	uint32_t heartbeat_ms;
	int64_t token_expires_ms;
	const struct protocol_limits *limits;
};

/* Items. */
struct frame *encode_event(const struct event *event);
struct frame *encode_welcome(const struct welcome *welcome);
struct frame *encode_conversation_state(const struct membership *membership);
struct frame *encode_conversation_joined(const struct membership *membership);
struct frame *encode_conversation_left(const struct uuid *conversation, uint64_t last_seq);
struct frame *encode_receipt_changed(const struct uuid *conversation, const struct receipt *receipt,
                                     uint32_t unread_count);
struct frame *encode_mute_changed(const struct uuid *conversation, int64_t until_ms);
struct frame *encode_resync(const struct uuid *conversation, uint64_t last_seq);
struct frame *encode_ready(void);
struct frame *encode_token_expiring(int64_t token_expires_ms);
struct frame *encode_draining(uint32_t reconnect_after_ms);

/* Replies. */
struct frame *encode_error(uint32_t request_id, const struct outcome *outcome);
struct frame *encode_done(uint32_t request_id);
struct frame *encode_pong(uint32_t request_id, int64_t time_ms);
struct frame *encode_token_refreshed(uint32_t request_id, int64_t token_expires_ms);
struct frame *encode_sent(uint32_t request_id, uint64_t seq, int64_t time_ms, bool is_duplicate);
struct frame *encode_history(uint32_t request_id, const struct event *events, size_t count,
                             bool has_more);
struct frame *encode_list(uint32_t request_id, const struct membership *memberships, size_t count,
                          const char *next_page);
struct frame *encode_direct_opened(uint32_t request_id, const struct membership *membership,
                                   bool is_created);
struct frame *encode_group_created(uint32_t request_id, const struct membership *membership,
                                   bool is_created);

struct frame *encode_conversation(uint32_t request_id, const struct membership *membership);
struct frame *encode_members(uint32_t request_id, const struct member *members, size_t count,
                             const char *next_page);
struct frame *encode_change(uint32_t request_id, uint64_t seq);
struct frame *encode_mark(uint32_t request_id, uint64_t delivered_seq, uint64_t read_seq,
                          uint32_t unread_count);
struct frame *encode_receipts(uint32_t request_id, uint32_t delivered_count, uint32_t read_count);

/* For other nodes: appended to `buffer` (emptied first) as an Envelope of one entry. False if it does
 * not fit the buffer's maximum. */
bool encode_event_entry(struct buffer *buffer, const struct event *event, const struct frame *frame)
	__attribute__((warn_unused_result));
bool encode_membership_entry(struct buffer *buffer, const struct user_id *user,
                             const struct uuid *conversation, uint64_t since_seq)
	__attribute__((warn_unused_result));

#endif
