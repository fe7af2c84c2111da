#include "protocol/encode_signals.h"

#include "protocol/private.h"

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
