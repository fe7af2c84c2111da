#include "protocol/encode_signals.h"

#include "base/memory.h"
#include "protocol/private.h"

#include <stdlib.h>

struct frame *encode_typing_changed(const struct uuid *conversation, const struct user_id *user,
                                    uint32_t expires_in_ms)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__TypingChanged typing = MARTLET__V1__TYPING_CHANGED__INIT;
	struct uuid_text id = uuid_to_text(conversation);

	typing.conversation_id = id.text;
	typing.user = BORROW_TEXT(user->text);
	typing.expires_in_ms = expires_in_ms;
	item.kind_case = MARTLET__V1__ITEM__KIND_TYPING_CHANGED;
	item.typing_changed = &typing;
	return pack(&item);
}

static void fill_presence(Martlet__V1__Presence *wire, const struct shown_presence *presence)
{
	martlet__v1__presence__init(wire);
	wire->user = BORROW_TEXT(presence->user.text);
	wire->status = (Martlet__V1__PresenceStatus)presence->presence;
	wire->last_seen_ms = presence->last_seen_ms;
}

struct frame *encode_presence_changed(const struct shown_presence *presence)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__PresenceChanged changed = MARTLET__V1__PRESENCE_CHANGED__INIT;
	Martlet__V1__Presence wire;

	fill_presence(&wire, presence);
	changed.presence = &wire;
	item.kind_case = MARTLET__V1__ITEM__KIND_PRESENCE_CHANGED;
	item.presence_changed = &changed;
	return pack(&item);
}

struct frame *encode_block_changed(const struct user_id *user, bool is_blocked)
{
	Martlet__V1__Item item = MARTLET__V1__ITEM__INIT;
	Martlet__V1__BlockChanged changed = MARTLET__V1__BLOCK_CHANGED__INIT;

	changed.user = BORROW_TEXT(user->text);
	changed.blocked = is_blocked;
	item.kind_case = MARTLET__V1__ITEM__KIND_BLOCK_CHANGED;
	item.block_changed = &changed;
	return pack(&item);
}

struct frame *encode_presences(uint32_t request_id, const struct shown_presence *presences,
                               size_t count)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__WatchPresenceResult result = MARTLET__V1__WATCH_PRESENCE_RESULT__INIT;
	Martlet__V1__Presence *wires = memory_new_array(count, sizeof(*wires));
	Martlet__V1__Presence **pointers = memory_new_array(count, sizeof(*pointers));
	struct frame *frame;

	for (size_t i = 0; i < count; i++) {
		fill_presence(&wires[i], &presences[i]);
		pointers[i] = &wires[i];
	}
	result.n_presences = count;
	result.presences = pointers;
	reply.result_case = MARTLET__V1__REPLY__RESULT_WATCH_PRESENCE;
	reply.watch_presence = &result;
	frame = pack_reply(&reply, request_id);
	free(pointers);
	free(wires);
	return frame;
}

struct frame *encode_blocked_users(uint32_t request_id, const char *const *users, size_t count,
                                   const char *next_page)
{
	Martlet__V1__Reply reply = MARTLET__V1__REPLY__INIT;
	Martlet__V1__ListBlockedResult result = MARTLET__V1__LIST_BLOCKED_RESULT__INIT;

	result.n_users = count;
	result.users = (char **)(uintptr_t)users;
	result.next_page = BORROW_TEXT(next_page);
	reply.result_case = MARTLET__V1__REPLY__RESULT_LIST_BLOCKED;
	reply.list_blocked = &result;
	return pack_reply(&reply, request_id);
}

bool encode_signal_entry(struct buffer *buffer, const struct uuid *conversation, uint64_t after_seq,
                         const struct user_id *about, const char *node, const struct frame *frame)
{
	Martlet__Bus__V1__Entry entry = MARTLET__BUS__V1__ENTRY__INIT;
	Martlet__Bus__V1__SignalEntry signal_entry = MARTLET__BUS__V1__SIGNAL_ENTRY__INIT;

	signal_entry.conversation_id.data = BORROW_BYTES(conversation->bytes);
	signal_entry.conversation_id.len = sizeof(conversation->bytes);
	signal_entry.after_seq = after_seq;
	signal_entry.user = BORROW_TEXT(about->text);
	signal_entry.node = BORROW_TEXT(node);
	signal_entry.frame.data = BORROW_BYTES(frame->bytes);
	signal_entry.frame.len = frame->size;
	entry.kind_case = MARTLET__BUS__V1__ENTRY__KIND_SIGNAL;
	entry.signal = &signal_entry;
	return pack_entry(buffer, &entry);
}

bool encode_user_entry(struct buffer *buffer, const struct user_id *user, const char *node,
                       const struct frame *frame)
{
	Martlet__Bus__V1__Entry entry = MARTLET__BUS__V1__ENTRY__INIT;
	Martlet__Bus__V1__UserEntry user_entry = MARTLET__BUS__V1__USER_ENTRY__INIT;

	user_entry.user = BORROW_TEXT(user->text);
	user_entry.node = BORROW_TEXT(node);
	user_entry.frame.data = BORROW_BYTES(frame->bytes);
	user_entry.frame.len = frame->size;
	entry.kind_case = MARTLET__BUS__V1__ENTRY__KIND_USER;
	entry.user = &user_entry;
	return pack_entry(buffer, &entry);
}

bool encode_blocks_entry(struct buffer *buffer, const struct user_id *user)
{
	Martlet__Bus__V1__Entry entry = MARTLET__BUS__V1__ENTRY__INIT;
	Martlet__Bus__V1__BlocksEntry blocks = MARTLET__BUS__V1__BLOCKS_ENTRY__INIT;

	blocks.user = BORROW_TEXT(user->text);
	entry.kind_case = MARTLET__BUS__V1__ENTRY__KIND_BLOCKS;
	entry.blocks = &blocks;
	return pack_entry(buffer, &entry);
}

bool encode_presence_entry(struct buffer *buffer, const struct user_id *user, const char *node,
                           enum presence presence)
{
	Martlet__Bus__V1__Entry entry = MARTLET__BUS__V1__ENTRY__INIT;
	Martlet__Bus__V1__PresenceEntry word = MARTLET__BUS__V1__PRESENCE_ENTRY__INIT;

	word.user = BORROW_TEXT(user->text);
	word.node = BORROW_TEXT(node);
	word.status = presence;
	entry.kind_case = MARTLET__BUS__V1__ENTRY__KIND_PRESENCE;
	entry.presence = &word;
	return pack_entry(buffer, &entry);
}

bool encode_presence_question(struct buffer *buffer, const struct user_id *user, const char *node)
{
	Martlet__Bus__V1__Entry entry = MARTLET__BUS__V1__ENTRY__INIT;
	Martlet__Bus__V1__PresenceQuestion question = MARTLET__BUS__V1__PRESENCE_QUESTION__INIT;

	question.user = BORROW_TEXT(user->text);
	question.node = BORROW_TEXT(node);
	entry.kind_case = MARTLET__BUS__V1__ENTRY__KIND_PRESENCE_QUESTION;
	entry.presence_question = &question;
	return pack_entry(buffer, &entry);
}
