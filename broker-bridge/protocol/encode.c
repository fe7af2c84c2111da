#include "protocol/encode.h"

#include "base/memory.h"
#include "base/must.h"
#include "protocol/private.h"

#include <stdlib.h>

struct frame *pack(Martlet__V1__Item *item)
{
	Martlet__V1__ServerFrame message = MARTLET__V1__SERVER_FRAME__INIT;
	struct frame *frame;

	message.n_items = 1;
	message.items = &item;
	frame = frame_create(martlet__v1__server_frame__get_packed_size(&message));
	martlet__v1__server_frame__pack(&message, frame->bytes);
	return frame;
}

/* An event in the form of the wire, with the memory that its fields point to. */
struct wire_event {
	Martlet__V1__ConversationEvent event;
	union {
		Martlet__V1__Message message;
		Martlet__V1__ConversationCreated created;
		Martlet__V1__MessageEdited edited;
		Martlet__V1__MessageRedacted redacted;
		Martlet__V1__ReactionChanged reaction;
		Martlet__V1__MembersAdded added;
		Martlet__V1__MemberRemoved removed;
		Martlet__V1__RoleChanged role;
		Martlet__V1__GroupUpdated updated;
	} kind;
	struct uuid_text conversation;
	struct uuid_text client_message_id;
	Martlet__V1__Reaction *reactions; /* freed by done_event, with the pointers to them */
	Martlet__V1__Reaction **reaction_pointers;
};

#define BORROW_TEXTS(texts) ((char **)(uintptr_t)(texts))

static void fill_reactions(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__Message *message = &wire->kind.message;
	size_t count = event->reactions_count;

	if (!count)
		return;
	wire->reactions = memory_new_array(count, sizeof(*wire->reactions));
	wire->reaction_pointers = memory_new_array(count, sizeof(*wire->reaction_pointers));
	for (size_t i = 0; i < count; i++) {
		martlet__v1__reaction__init(&wire->reactions[i]);
		wire->reactions[i].symbol = BORROW_TEXT(event->reactions[i].symbol);
		wire->reactions[i].count = event->reactions[i].count;
		wire->reactions[i].mine = event->reactions[i].is_mine;
		wire->reaction_pointers[i] = &wire->reactions[i];
	}
	message->n_reactions = count;
	message->reactions = wire->reaction_pointers;
}

static void fill_message(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__Message *message = &wire->kind.message;

	martlet__v1__message__init(message);
	wire->client_message_id = uuid_to_text(&event->client_message_id);
	message->client_message_id = wire->client_message_id.text;
	message->content_type = BORROW_TEXT(event->content_type);
	message->body.data = BORROW_BYTES(event->body);
	message->body.len = event->body_size;
	message->reply_to_seq = event->reply_to_seq;
	message->n_mentions = event->mentions_count;
	message->mentions = BORROW_TEXTS(event->mentions);
	message->edited_seq = event->edited_seq;
	message->redacted_seq = event->redacted_seq;
	message->reactions_seq = event->reactions_seq;
	fill_reactions(wire, event);
	wire->event.message = message;
}

static void fill_created(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__ConversationCreated *created = &wire->kind.created;

	martlet__v1__conversation_created__init(created);
	created->title = BORROW_TEXT(event->title);
	created->n_members = event->users_count;
	created->members = BORROW_TEXTS(event->users);
	created->member_count = event->member_count;
	created->announcement = event->is_announcement;
	created->full_history = event->has_full_history;
	wire->event.created = created;
}

static void fill_edited(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__MessageEdited *edited = &wire->kind.edited;

	martlet__v1__message_edited__init(edited);
	edited->target_seq = event->target_seq;
	edited->content_type = BORROW_TEXT(event->content_type);
	edited->body.data = BORROW_BYTES(event->body);
	edited->body.len = event->body_size;
	edited->n_mentions = event->mentions_count;
	edited->mentions = BORROW_TEXTS(event->mentions);
	wire->event.message_edited = edited;
}

static void fill_redacted(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__MessageRedacted *redacted = &wire->kind.redacted;

	martlet__v1__message_redacted__init(redacted);
	redacted->target_seq = event->target_seq;
	wire->event.message_redacted = redacted;
}

static void fill_reaction(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__ReactionChanged *reaction = &wire->kind.reaction;

	martlet__v1__reaction_changed__init(reaction);
	reaction->target_seq = event->target_seq;
	reaction->symbol = BORROW_TEXT(event->symbol);
	reaction->added = event->kind == EVENT_REACTION_ADDED;
	wire->event.reaction_changed = reaction;
}

static void fill_added(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__MembersAdded *added = &wire->kind.added;

	martlet__v1__members_added__init(added);
	added->n_users = event->users_count;
	added->users = BORROW_TEXTS(event->users);
	wire->event.members_added = added;
}

static void fill_removed(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__MemberRemoved *removed = &wire->kind.removed;

	martlet__v1__member_removed__init(removed);
	must(event->users_count == 1);
	removed->user = BORROW_TEXT(event->users[0]);
	wire->event.member_removed = removed;
}

static void fill_role(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__RoleChanged *role = &wire->kind.role;

	martlet__v1__role_changed__init(role);
	must(event->users_count == 1);
	role->user = BORROW_TEXT(event->users[0]);
	role->role = (Martlet__V1__Role)event->role;
	wire->event.role_changed = role;
}

static void fill_updated(struct wire_event *wire, const struct event *event)
{
	Martlet__V1__GroupUpdated *updated = &wire->kind.updated;

	martlet__v1__group_updated__init(updated);
	updated->title = BORROW_TEXT(event->title);
	updated->announcement = event->is_announcement;
	updated->full_history = event->has_full_history;
	wire->event.group_updated = updated;
}

static const struct {
	Martlet__V1__ConversationEvent__KindCase kind;
	void (*fill)(struct wire_event *wire, const struct event *event);
} event_kinds[] = {
	[EVENT_MESSAGE] = {MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE, fill_message},
	[EVENT_CREATED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_CREATED, fill_created},
	[EVENT_EDITED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE_EDITED, fill_edited},
	[EVENT_REDACTED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE_REDACTED, fill_redacted},
	[EVENT_REACTION_ADDED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_REACTION_CHANGED,
                                  fill_reaction},
	[EVENT_REACTION_REMOVED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_REACTION_CHANGED,
                                    fill_reaction},
	[EVENT_MEMBERS_ADDED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_MEMBERS_ADDED, fill_added},
	[EVENT_MEMBER_REMOVED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_MEMBER_REMOVED,
                                  fill_removed},
	[EVENT_ROLE_CHANGED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_ROLE_CHANGED, fill_role},
	[EVENT_GROUP_UPDATED] = {MARTLET__V1__CONVERSATION_EVENT__KIND_GROUP_UPDATED, fill_updated},
};

#define EVENT_KINDS (sizeof(event_kinds) / sizeof(event_kinds[0]))

static void fill_event(struct wire_event *wire, const struct event *event)
{
	martlet__v1__conversation_event__init(&wire->event);
	wire->reactions = NULL;
	wire->reaction_pointers = NULL;
	wire->conversation = uuid_to_text(&event->conversation);
	wire->event.conversation_id = wire->conversation.text;
	wire->event.seq = event->seq;
	wire->event.sender = BORROW_TEXT(event->sender);
	wire->event.time_ms = event->time_ms;
	/* A kind of a later release, written to a database that both share: it counts, and has no content. */
	if (event->kind >= EVENT_KINDS || !event_kinds[event->kind].fill)
		return;
	wire->event.kind_case = event_kinds[event->kind].kind;
	event_kinds[event->kind].fill(wire, event);
}

static void done_event(struct wire_event *wire)
{
	free(wire->reactions);
	free(wire->reaction_pointers);
}

/* A conversation in the form of the wire, likewise. */
struct wire_conversation {
	Martlet__V1__Conversation conversation;
	struct uuid_text id;
	struct wire_event last_event;
	Martlet__V1__Receipt *receipts;
	Martlet__V1__Receipt **receipt_pointers;
};

static void fill_receipts(struct wire_conversation *wire, const struct membership *membership)
{
	size_t count = membership->receipts_count;

	wire->receipts = memory_new_array(count, sizeof(*wire->receipts));
	wire->receipt_pointers = memory_new_array(count, sizeof(*wire->receipt_pointers));
	for (size_t i = 0; i < count; i++) {
		martlet__v1__receipt__init(&wire->receipts[i]);
		wire->receipts[i].user = BORROW_TEXT(membership->receipts[i].user);
		wire->receipts[i].delivered_seq = membership->receipts[i].delivered_seq;
		wire->receipts[i].read_seq = membership->receipts[i].read_seq;
		wire->receipt_pointers[i] = &wire->receipts[i];
	}
	wire->conversation.n_receipts = count;
	wire->conversation.receipts = wire->receipt_pointers;
}

static void fill_conversation(struct wire_conversation *wire, const struct membership *membership)
{
	Martlet__V1__Conversation *conversation = &wire->conversation;

	martlet__v1__conversation__init(conversation);
	wire->id = uuid_to_text(&membership->conversation);
	conversation->id = wire->id.text;
	conversation->kind = (Martlet__V1__ConversationKind)membership->kind;
	conversation->title = BORROW_TEXT(membership->title);
	conversation->peer = BORROW_TEXT(membership->peer);
	conversation->member_count = membership->member_count;
	conversation->role = (Martlet__V1__Role)membership->role;
	conversation->last_seq = membership->last_seq;
	conversation->first_seq = membership->first_seq;
	conversation->delivered_seq = membership->delivered_seq;
	conversation->read_seq = membership->read_seq;
	conversation->unread_count = membership->unread_count;
	conversation->last_event_time_ms = membership->last_event_time_ms;
	conversation->announcement = membership->is_announcement;
	conversation->full_history = membership->has_full_history;
	conversation->muted_until_ms = membership->muted_until_ms;
	conversation->state_version = membership->state_version;
	fill_receipts(wire, membership);
	if (!membership->last_event)
		return;
	fill_event(&wire->last_event, membership->last_event);
	conversation->last_event = &wire->last_event.event;
}

static void done_conversation(struct wire_conversation *wire)
{
	free(wire->receipts);
	free(wire->receipt_pointers);
}

struct frame *encode_event(const struct event *event)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	struct wire_event wire;
	struct frame *frame;

	fill_event(&wire, event);
	item.kind_case = MARTLET__V1__ITEM__KIND_EVENT;
	item.event = &wire.event;
	frame = pack(&item);
	done_event(&wire);
	if (event->kind == EVENT_MEMBER_REMOVED)
		frame_set_leaver(frame, event->users[0]);
	if (event->kind == EVENT_REDACTED)
		frame->redacts_seq = event->target_seq;
	return frame;
}

static void fill_limits(Martlet__V1__Limits *wire, const struct protocol_limits *limits)
{
	martlet__v1__limits__init(wire);
	wire->frame_bytes = limits->frame_bytes;
	wire->body_bytes = limits->body_bytes;
	wire->group_members = limits->group_members;
	wire->history_events = limits->history_events;
	wire->list_conversations = limits->list_conversations;
	wire->cursors = limits->cursors;
	wire->resume_events = limits->resume_events;
	wire->title_bytes = LIMIT_TITLE_BYTES;
	wire->content_type_bytes = LIMIT_CONTENT_TYPE_BYTES;
	wire->outbound_bytes = limits->outbound_bytes;
	wire->pending_commands = limits->pending_commands;
	wire->added_members = LIMIT_ADDED_MEMBERS;
	wire->mentions = LIMIT_MENTIONS;
	wire->edit_window_s = limits->edit_window_s;
	wire->reaction_symbols = LIMIT_REACTION_SYMBOLS;
	wire->receipt_members = limits->receipt_members;
	wire->commands_per_second = limits->commands_per_second;
	wire->command_burst = limits->command_burst;
	wire->writes_per_second = limits->writes_per_second;
	wire->write_burst = limits->write_burst;
	wire->typing_members = limits->typing_members;
	wire->watched_users = limits->watched_users;
	wire->blocked_users = limits->blocked_users;
	wire->list_members = limits->list_members;
	wire->pending_notifications = limits->pending_notifications;
	wire->notification_bytes = limits->notification_bytes;
	wire->list_notifications = limits->list_notifications;
}

struct frame *encode_welcome(const struct welcome *welcome)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__Welcome wire = MARTLET__V1__WELCOME__INIT;
	Martlet__V1__Limits limits;

	fill_limits(&limits, welcome->limits);
	wire.server = BORROW_TEXT(welcome->server);
	wire.protocol = welcome->protocol;
	wire.session_id = BORROW_TEXT(welcome->session);
	wire.node = BORROW_TEXT(welcome->node);
	wire.user = BORROW_TEXT(welcome->user);
	wire.device = BORROW_TEXT(welcome->device);
	wire.time_ms = welcome->time_ms;
	wire.heartbeat_ms = welcome->heartbeat_ms;
	wire.token_expires_ms = welcome->token_expires_ms;
	wire.limits = &limits;
	item.kind_case = MARTLET__V1__ITEM__KIND_WELCOME;
	item.welcome = &wire;
	return pack(&item);
}

struct frame *encode_conversation_state(const struct membership *membership)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__ConversationState state = MARTLET__V1__CONVERSATION_STATE__INIT;
	struct wire_conversation wire;
	struct frame *frame;

	fill_conversation(&wire, membership);
	state.conversation = &wire.conversation;
	item.kind_case = MARTLET__V1__ITEM__KIND_CONVERSATION_STATE;
	item.conversation_state = &state;
	frame = pack(&item);
	done_conversation(&wire);
	return frame;
}

struct frame *encode_conversation_joined(const struct membership *membership)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__ConversationJoined joined = MARTLET__V1__CONVERSATION_JOINED__INIT;
	struct wire_conversation wire;
	struct frame *frame;

	fill_conversation(&wire, membership);
	joined.conversation = &wire.conversation;
	item.kind_case = MARTLET__V1__ITEM__KIND_CONVERSATION_JOINED;
	item.conversation_joined = &joined;
	frame = pack(&item);
	done_conversation(&wire);
	return frame;
}

struct frame *encode_conversation_left(const struct uuid *conversation, uint64_t last_seq)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__ConversationLeft left = MARTLET__V1__CONVERSATION_LEFT__INIT;
	struct uuid_text id = uuid_to_text(conversation);

	left.conversation_id = id.text;
	left.last_seq = last_seq;
	item.kind_case = MARTLET__V1__ITEM__KIND_CONVERSATION_LEFT;
	item.conversation_left = &left;
	return pack(&item);
}

struct frame *encode_receipt_changed(const struct uuid *conversation, const struct receipt *receipt,
                                     uint32_t unread_count)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__ReceiptChanged changed = MARTLET__V1__RECEIPT_CHANGED__INIT;
	struct uuid_text id = uuid_to_text(conversation);

	changed.conversation_id = id.text;
	changed.user = BORROW_TEXT(receipt->user);
	changed.delivered_seq = receipt->delivered_seq;
	changed.read_seq = receipt->read_seq;
	changed.unread_count = unread_count;
	item.kind_case = MARTLET__V1__ITEM__KIND_RECEIPT_CHANGED;
	item.receipt_changed = &changed;
	return pack(&item);
}

struct frame *encode_mute_changed(const struct uuid *conversation, int64_t until_ms)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__MuteChanged changed = MARTLET__V1__MUTE_CHANGED__INIT;
	struct uuid_text id = uuid_to_text(conversation);

	changed.conversation_id = id.text;
	changed.until_ms = until_ms;
	item.kind_case = MARTLET__V1__ITEM__KIND_MUTE_CHANGED;
	item.mute_changed = &changed;
	return pack(&item);
}

struct frame *encode_resync(const struct uuid *conversation, uint64_t last_seq)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__Resync resync = MARTLET__V1__RESYNC__INIT;
	struct uuid_text id = uuid_to_text(conversation);

	resync.conversation_id = id.text;
	resync.last_seq = last_seq;
	item.kind_case = MARTLET__V1__ITEM__KIND_RESYNC;
	item.resync = &resync;
	return pack(&item);
}

struct frame *encode_ready(void)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__Ready ready = MARTLET__V1__READY__INIT;

	item.kind_case = MARTLET__V1__ITEM__KIND_READY;
	item.ready = &ready;
	return pack(&item);
}

struct frame *encode_token_expiring(int64_t token_expires_ms)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__TokenExpiring expiring = MARTLET__V1__TOKEN_EXPIRING__INIT;

	expiring.token_expires_ms = token_expires_ms;
	item.kind_case = MARTLET__V1__ITEM__KIND_TOKEN_EXPIRING;
	item.token_expiring = &expiring;
	return pack(&item);
}

struct frame *encode_draining(uint32_t reconnect_after_ms)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__Draining draining = MARTLET__V1__DRAINING__INIT;

	draining.reconnect_after_ms = reconnect_after_ms;
	item.kind_case = MARTLET__V1__ITEM__KIND_DRAINING;
	item.draining = &draining;
	return pack(&item);
}

struct frame *pack_reply(Martlet__V1__Reply *reply, uint32_t request_id)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;

	reply->request_id = request_id;
	item.kind_case = MARTLET__V1__ITEM__KIND_REPLY;
	item.reply = reply;
	return pack(&item);
}

struct frame *encode_error(uint32_t request_id, const struct outcome *outcome)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__Error error = MARTLET__V1__ERROR__INIT;

	error.code = (Martlet__V1__Code)outcome->code;
	error.message = BORROW_TEXT(outcome->text);
	error.retry_after_ms = outcome->retry_after_ms;
	error.field = BORROW_TEXT(outcome->field);
	reply.result_case = MARTLET__V1__REPLY__RESULT_ERROR;
	reply.error = &error;
	return pack_reply(&reply, request_id);
}

struct frame *encode_pong(uint32_t request_id, int64_t time_ms)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__Pong pong = MARTLET__V1__PONG__INIT;

	pong.time_ms = time_ms;
	reply.result_case = MARTLET__V1__REPLY__RESULT_PONG;
	reply.pong = &pong;
	return pack_reply(&reply, request_id);
}

struct frame *encode_done(uint32_t request_id)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__Done done = MARTLET__V1__DONE__INIT;

	reply.result_case = MARTLET__V1__REPLY__RESULT_DONE;
	reply.done = &done;
	return pack_reply(&reply, request_id);
}

struct frame *encode_token_refreshed(uint32_t request_id, int64_t token_expires_ms)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__RefreshTokenResult result = MARTLET__V1__REFRESH_TOKEN_RESULT__INIT;

	result.token_expires_ms = token_expires_ms;
	reply.result_case = MARTLET__V1__REPLY__RESULT_REFRESH_TOKEN;
	reply.refresh_token = &result;
	return pack_reply(&reply, request_id);
}

struct frame *encode_sent(uint32_t request_id, uint64_t seq, int64_t time_ms, bool is_duplicate)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__SendMessageResult result = MARTLET__V1__SEND_MESSAGE_RESULT__INIT;

	result.seq = seq;
	result.time_ms = time_ms;
	result.duplicate = is_duplicate;
	reply.result_case = MARTLET__V1__REPLY__RESULT_SEND_MESSAGE;
	reply.send_message = &result;
	return pack_reply(&reply, request_id);
}

struct frame *encode_history(uint32_t request_id, const struct event *events, size_t count,
                             bool has_more)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__GetHistoryResult result = MARTLET__V1__GET_HISTORY_RESULT__INIT;
	struct wire_event *wires = memory_new_array(count, sizeof(*wires));
	Martlet__V1__ConversationEvent **pointers = memory_new_array(count, sizeof(*pointers));
	struct frame *frame;

	for (size_t i = 0; i < count; i++) {
		fill_event(&wires[i], &events[i]);
		pointers[i] = &wires[i].event;
	}
	result.n_events = count;
	result.events = pointers;
	result.has_more = has_more;
	reply.result_case = MARTLET__V1__REPLY__RESULT_GET_HISTORY;
	reply.get_history = &result;
	frame = pack_reply(&reply, request_id);
	for (size_t i = 0; i < count; i++)
		done_event(&wires[i]);
	free(pointers);
	free(wires);
	return frame;
}

struct frame *encode_list(uint32_t request_id, const struct membership *memberships, size_t count,
                          const char *next_page)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__ListConversationsResult result = MARTLET__V1__LIST_CONVERSATIONS_RESULT__INIT;
	struct wire_conversation *wires = memory_new_array(count, sizeof(*wires));
	Martlet__V1__Conversation **pointers = memory_new_array(count, sizeof(*pointers));
	struct frame *frame;

	for (size_t i = 0; i < count; i++) {
		fill_conversation(&wires[i], &memberships[i]);
		pointers[i] = &wires[i].conversation;
	}
	result.n_conversations = count;
	result.conversations = pointers;
	result.next_page = BORROW_TEXT(next_page);
	reply.result_case = MARTLET__V1__REPLY__RESULT_LIST_CONVERSATIONS;
	reply.list_conversations = &result;
	frame = pack_reply(&reply, request_id);
	for (size_t i = 0; i < count; i++)
		done_conversation(&wires[i]);
	free(pointers);
	free(wires);
	return frame;
}

struct frame *encode_conversation(uint32_t request_id, const struct membership *membership)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__GetConversationResult result = MARTLET__V1__GET_CONVERSATION_RESULT__INIT;
	struct wire_conversation wire;
	struct frame *frame;

	fill_conversation(&wire, membership);
	result.conversation = &wire.conversation;
	reply.result_case = MARTLET__V1__REPLY__RESULT_GET_CONVERSATION;
	reply.get_conversation = &result;
	frame = pack_reply(&reply, request_id);
	done_conversation(&wire);
	return frame;
}

struct frame *encode_members(uint32_t request_id, const struct member *members, size_t count,
                             const char *next_page)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__ListMembersResult result = MARTLET__V1__LIST_MEMBERS_RESULT__INIT;
	Martlet__V1__Member *wires = memory_new_array(count, sizeof(*wires));
	Martlet__V1__Member **pointers = memory_new_array(count, sizeof(*pointers));
	struct frame *frame;

	for (size_t i = 0; i < count; i++) {
		martlet__v1__member__init(&wires[i]);
		wires[i].user = BORROW_TEXT(members[i].user);
		wires[i].role = (Martlet__V1__Role)members[i].role;
		pointers[i] = &wires[i];
	}
	result.n_members = count;
	result.members = pointers;
	result.next_page = BORROW_TEXT(next_page);
	reply.result_case = MARTLET__V1__REPLY__RESULT_LIST_MEMBERS;
	reply.list_members = &result;
	frame = pack_reply(&reply, request_id);
	free(pointers);
	free(wires);
	return frame;
}

struct frame *encode_change(uint32_t request_id, uint64_t seq)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__ChangeResult result = MARTLET__V1__CHANGE_RESULT__INIT;

	result.seq = seq;
	reply.result_case = MARTLET__V1__REPLY__RESULT_CHANGE;
	reply.change = &result;
	return pack_reply(&reply, request_id);
}

struct frame *encode_mark(uint32_t request_id, uint64_t delivered_seq, uint64_t read_seq,
                          uint32_t unread_count)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__MarkResult result = MARTLET__V1__MARK_RESULT__INIT;

	result.delivered_seq = delivered_seq;
	result.read_seq = read_seq;
	result.unread_count = unread_count;
	reply.result_case = MARTLET__V1__REPLY__RESULT_MARK;
	reply.mark = &result;
	return pack_reply(&reply, request_id);
}

struct frame *encode_receipts(uint32_t request_id, uint32_t delivered_count, uint32_t read_count)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__GetReceiptsResult result = MARTLET__V1__GET_RECEIPTS_RESULT__INIT;

	result.delivered_count = delivered_count;
	result.read_count = read_count;
	reply.result_case = MARTLET__V1__REPLY__RESULT_GET_RECEIPTS;
	reply.get_receipts = &result;
	return pack_reply(&reply, request_id);
}

struct frame *encode_direct_opened(uint32_t request_id, const struct membership *membership,
                                   bool is_created)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__OpenDirectResult result = MARTLET__V1__OPEN_DIRECT_RESULT__INIT;
	struct wire_conversation wire;
	struct frame *frame;

	fill_conversation(&wire, membership);
	result.conversation = &wire.conversation;
	result.created = is_created;
	reply.result_case = MARTLET__V1__REPLY__RESULT_OPEN_DIRECT;
	reply.open_direct = &result;
	frame = pack_reply(&reply, request_id);
	done_conversation(&wire);
	return frame;
}

struct frame *encode_group_created(uint32_t request_id, const struct membership *membership,
                                   bool is_created)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__CreateGroupResult result = MARTLET__V1__CREATE_GROUP_RESULT__INIT;
	struct wire_conversation wire;
	struct frame *frame;

	fill_conversation(&wire, membership);
	result.conversation = &wire.conversation;
	result.created = is_created;
	reply.result_case = MARTLET__V1__REPLY__RESULT_CREATE_GROUP;
	reply.create_group = &result;
	frame = pack_reply(&reply, request_id);
	done_conversation(&wire);
	return frame;
}

bool pack_entry(struct buffer *buffer, Martlet__Bus__V1__Entry *entry)
{
	Martlet__Bus__V1__Envelope envelope = MARTLET__BUS__V1__ENVELOPE__INIT;
	uint8_t *bytes;

	envelope.n_entries = 1;
	envelope.entries = &entry;
	buffer_clear(buffer);
	bytes = buffer_extend(buffer, martlet__bus__v1__envelope__get_packed_size(&envelope));
	if (!bytes)
		return false;
	martlet__bus__v1__envelope__pack(&envelope, bytes);
	return true;
}

/* Who follows the memberships (the plugin) takes them from here, in the order of the events. */
static void fill_joiners(Martlet__Bus__V1__EventEntry *entry, const struct event *event)
{
	if (event->kind != EVENT_CREATED && event->kind != EVENT_MEMBERS_ADDED)
		return;
	entry->n_joiners = event->users_count;
	entry->joiners = (char **)(uintptr_t)event->users;
}

bool encode_event_entry(struct buffer *buffer, const struct event *event, const struct frame *frame)
{
	Martlet__Bus__V1__Entry entry = MARTLET__BUS__V1__ENTRY__INIT;
	Martlet__Bus__V1__EventEntry wire = MARTLET__BUS__V1__EVENT_ENTRY__INIT;

	wire.conversation_id.data = BORROW_BYTES(event->conversation.bytes);
	wire.conversation_id.len = sizeof(event->conversation.bytes);
	wire.seq = event->seq;
	wire.frame.data = BORROW_BYTES(frame->bytes);
	wire.frame.len = frame->size;
	wire.leaver = BORROW_TEXT(frame->leaver);
	wire.redacts_seq = frame->redacts_seq;
	fill_joiners(&wire, event);
	entry.kind_case = MARTLET__BUS__V1__ENTRY__KIND_EVENT;
	entry.event = &wire;
	return pack_entry(buffer, &entry);
}

bool encode_membership_entry(struct buffer *buffer, const struct user_id *user,
                             const struct uuid *conversation, uint64_t since_seq)
{
	Martlet__Bus__V1__Entry entry = MARTLET__BUS__V1__ENTRY__INIT;
	Martlet__Bus__V1__MembershipEntry membership = MARTLET__BUS__V1__MEMBERSHIP_ENTRY__INIT;

	membership.user = BORROW_TEXT(user->text);
	membership.conversation_id.data = BORROW_BYTES(conversation->bytes);
	membership.conversation_id.len = sizeof(conversation->bytes);
	membership.since_seq = since_seq;
	entry.kind_case = MARTLET__BUS__V1__ENTRY__KIND_MEMBERSHIP;
	entry.membership = &membership;
	return pack_entry(buffer, &entry);
}
