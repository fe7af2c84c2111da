#include "flow/signals.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "flow/topics.h"
#include "hub/guests.h"
#include "hub/signal.h"
#include "hub/typing.h"
#include "link/link.h"
#include "protocol/encode_signals.h"

#include <stdlib.h>
#include <string.h>

struct signals {
	struct signals_options options;
	struct hub *hub;
	struct link *link;
	struct topics *topics;
	struct buffer entry;
};

struct signals *signals_create(const struct signals_options *options, struct hub *hub,
                               struct link *link, struct topics *topics)
{
	struct signals *signals = memory_new(sizeof(*signals));

	*signals =
		(struct signals){.options = *options, .hub = hub, .link = link, .topics = topics};
	buffer_init(&signals->entry, LIMIT_PUBLISH_BYTES);
	return signals;
}

void signals_destroy(struct signals *signals)
{
	buffer_done(&signals->entry);
	free(signals);
}

void signals_tell_conversation_after(struct signals *signals, const struct uuid *id,
                                     uint64_t after_seq, const struct user_id *about,
                                     struct frame *frame)
{
	hub_signal_conversation(signals->hub, id, after_seq, about, frame);
	if (encode_signal_entry(&signals->entry, id, after_seq, about, signals->options.node,
	                        frame))
		link_publish_bus(signals->link, shard_of_conversation(id, signals->options.shards),
		                 signals->entry.bytes, signals->entry.size);
	topics_signal(signals->topics, id, about, frame);
}

bool signals_tell_conversation(struct signals *signals, const struct uuid *id,
                               const struct user_id *about, struct frame *frame)
{
	struct conversation *conversation = hub_find_conversation(signals->hub, id);

	if (!conversation || !conversation_is_known(conversation))
		return false;
	signals_tell_conversation_after(signals, id, conversation_next_seq(conversation) - 1, about,
	                                frame);
	return true;
}

void signals_tell_user(struct signals *signals, const struct user_id *user, struct frame *frame,
                       const struct session *except)
{
	hub_signal_user(signals->hub, user, frame, except);
	if (encode_user_entry(&signals->entry, user, signals->options.node, frame))
		link_publish_bus(signals->link, shard_of_user(user, signals->options.shards),
		                 signals->entry.bytes, signals->entry.size);
	topics_user(signals->topics, user, frame);
}

bool signals_set_typing(struct signals *signals, const struct session *session,
                        const struct uuid *conversation, bool is_typing)
{
	const struct user_id *user = session_user(session);
	enum typing typing = hub_note_typing(signals->hub, conversation, session, is_typing,
	                                     signals->options.typing_members);
	struct frame *frame;

	if (typing != TYPING_TOLD)
		return typing == TYPING_UNTOLD;
	frame = encode_typing_changed(conversation, user, is_typing ? LIMIT_TYPING_MS : 0);
	/* Who has a seat there has it live here; if not any more, there is nobody to be told. */
	(void)signals_tell_conversation(signals, conversation, user, frame);
	frame_unref(frame);
	return true;
}

void signals_set_guest_typing(struct signals *signals, const struct user_id *user,
                              const struct membership *membership, bool is_typing)
{
	struct frame *frame;

	if (membership->member_count > signals->options.typing_members ||
	    !hub_note_guest_typing(signals->hub, user, &membership->conversation, is_typing))
		return;
	frame = encode_typing_changed(&membership->conversation, user,
	                              is_typing ? LIMIT_TYPING_MS : 0);
	signals_tell_conversation_after(signals, &membership->conversation, membership->last_seq,
	                                user, frame);
	frame_unref(frame);
}

static struct frame *copy_frame(const ProtobufCBinaryData *data)
{
	struct frame *frame = frame_create(data->len);

	if (data->len)
		memcpy(frame->bytes, data->data, data->len);
	return frame;
}

void signals_on_signal(struct signals *signals, const Martlet__Bus__V1__SignalEntry *entry)
{
	struct user_id about;
	struct frame *frame;
	struct uuid id;

	/* What this node told comes back to it, and most of the rest concerns nobody here. */
	if (strcmp(entry->node, signals->options.node) == 0 ||
	    entry->conversation_id.len != sizeof(id.bytes) ||
	    !user_id_from_text(entry->user, &about))
		return;
	memcpy(id.bytes, entry->conversation_id.data, sizeof(id.bytes));
	if (!hub_find_conversation(signals->hub, &id))
		return;
	frame = copy_frame(&entry->frame);
	hub_signal_conversation(signals->hub, &id, entry->after_seq, &about, frame);
	frame_unref(frame);
}

void signals_on_user(struct signals *signals, const Martlet__Bus__V1__UserEntry *entry)
{
	struct user_id user;
	struct frame *frame;

	if (strcmp(entry->node, signals->options.node) == 0 ||
	    !user_id_from_text(entry->user, &user) || !hub_has_user(signals->hub, &user))
		return;
	frame = copy_frame(&entry->frame);
	hub_signal_user(signals->hub, &user, frame, NULL);
	frame_unref(frame);
}
