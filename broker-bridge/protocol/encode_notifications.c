#include "protocol/encode_notifications.h"

#include "base/memory.h"
#include "protocol/private.h"

#include <stdlib.h>

/* The wire's numbers are without a sign, PostgreSQL's with one; below 2^63 they are the same. */
#define BORROW_NUMBERS(numbers) ((uint64_t *)(uintptr_t)(numbers))

static void fill(Martlet__V1__Notification *wire, const struct notification *notification)
{
	martlet__v1__notification__init(wire);
	wire->number = notification->number;
	wire->id = BORROW_TEXT(notification->id);
	wire->service = BORROW_TEXT(notification->service);
	wire->kind = BORROW_TEXT(notification->kind);
	wire->content_type = BORROW_TEXT(notification->content_type);
	wire->payload.data = BORROW_BYTES(notification->payload);
	wire->payload.len = notification->payload_size;
	wire->created_ms = notification->created_ms;
	wire->expires_ms = notification->expires_ms;
	wire->collapse_key = BORROW_TEXT(notification->collapse_key);
}

/* Many in the form of the wire; done_many frees both. */
struct many {
	Martlet__V1__Notification *wires;
	Martlet__V1__Notification **pointers;
};

static void fill_many(struct many *many, const struct notification *notifications, size_t count)
{
	many->wires = memory_new_array(count, sizeof(*many->wires));
	many->pointers = memory_new_array(count, sizeof(*many->pointers));
	for (size_t i = 0; i < count; i++) {
		fill(&many->wires[i], &notifications[i]);
		many->pointers[i] = &many->wires[i];
	}
}

static void done_many(struct many *many)
{
	free(many->pointers);
	free(many->wires);
}

struct frame *encode_notification_batch(const struct notification *notifications, size_t count,
                                        bool has_more, bool is_complete)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__NotificationBatch batch = MARTLET__V1__NOTIFICATION_BATCH__INIT;
	struct many many;
	struct frame *frame;

	fill_many(&many, notifications, count);
	batch.n_notifications = count;
	batch.notifications = many.pointers;
	batch.has_more = has_more;
	batch.complete = is_complete;
	item.kind_case = MARTLET__V1__ITEM__KIND_NOTIFICATIONS;
	item.notifications = &batch;
	frame = pack(&item);
	done_many(&many);
	return frame;
}

struct frame *encode_notifications_acked(const int64_t *numbers, size_t count)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__NotificationsAcked acked = MARTLET__V1__NOTIFICATIONS_ACKED__INIT;

	acked.n_numbers = count;
	acked.numbers = BORROW_NUMBERS(numbers);
	item.kind_case = MARTLET__V1__ITEM__KIND_NOTIFICATIONS_ACKED;
	item.notifications_acked = &acked;
	return pack(&item);
}

struct frame *encode_notification_list(uint32_t request_id,
                                       const struct notification *notifications, size_t count,
                                       bool has_more)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__ListNotificationsResult result = MARTLET__V1__LIST_NOTIFICATIONS_RESULT__INIT;
	struct many many;
	struct frame *frame;

	fill_many(&many, notifications, count);
	result.n_notifications = count;
	result.notifications = many.pointers;
	result.has_more = has_more;
	reply.result_case = MARTLET__V1__REPLY__RESULT_LIST_NOTIFICATIONS;
	reply.list_notifications = &result;
	frame = pack_reply(&reply, request_id);
	done_many(&many);
	return frame;
}

struct frame *encode_notification_acks(uint32_t request_id, const int64_t *numbers, size_t count)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__AckNotificationsResult result = MARTLET__V1__ACK_NOTIFICATIONS_RESULT__INIT;

	result.n_numbers = count;
	result.numbers = BORROW_NUMBERS(numbers);
	reply.result_case = MARTLET__V1__REPLY__RESULT_ACK_NOTIFICATIONS;
	reply.ack_notifications = &result;
	return pack_reply(&reply, request_id);
}

struct frame *encode_notified(uint32_t request_id, uint32_t stored, uint32_t repeated)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__NotifyResult result = MARTLET__V1__NOTIFY_RESULT__INIT;

	result.stored = stored;
	result.repeated = repeated;
	reply.result_case = MARTLET__V1__REPLY__RESULT_NOTIFY;
	reply.notify = &result;
	return pack_reply(&reply, request_id);
}

bool encode_notification_entry(struct buffer *buffer, const struct notification *notification,
                               const struct notification_change *changes, size_t count)
{
	Martlet__Bus__V1__Entry entry = MARTLET__BUS__V1__ENTRY__INIT;
	Martlet__Bus__V1__NotificationEntry wire = MARTLET__BUS__V1__NOTIFICATION_ENTRY__INIT;
	Martlet__Bus__V1__NotifiedUser *users = memory_new_array(count, sizeof(*users));
	Martlet__Bus__V1__NotifiedUser **pointers = memory_new_array(count, sizeof(*pointers));
	Martlet__V1__Notification content;
	bool is_good;

	for (size_t i = 0; i < count; i++) {
		martlet__bus__v1__notified_user__init(&users[i]);
		users[i].user = BORROW_TEXT(changes[i].user.text);
		users[i].number = changes[i].number;
		users[i].n_gone = changes[i].gone_count;
		users[i].gone = BORROW_NUMBERS(changes[i].gone);
		pointers[i] = &users[i];
	}
	if (notification) {
		fill(&content, notification);
		content.number = 0;
		wire.notification = &content;
	}
	wire.n_users = count;
	wire.users = pointers;
	entry.kind_case = MARTLET__BUS__V1__ENTRY__KIND_NOTIFICATION;
	entry.notification = &wire;
	is_good = pack_entry(buffer, &entry);
	free(pointers);
	free(users);
	return is_good;
}

struct notification decode_notification(const Martlet__V1__Notification *wire)
{
	return (struct notification){
		.id = wire->id,
		.service = wire->service,
		.kind = wire->kind,
		.content_type = wire->content_type,
		.payload = wire->payload.data,
		.payload_size = wire->payload.len,
		.created_ms = wire->created_ms,
		.expires_ms = wire->expires_ms,
		.collapse_key = wire->collapse_key,
	};
}
