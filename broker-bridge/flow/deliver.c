#include "flow/deliver.h"

#include "base/arena.h"
#include "base/log.h"
#include "flow/blocks.h"
#include "flow/notify.h"
#include "flow/resume.h"
#include "flow/signals.h"
#include "flow/watching.h"
#include "hub/hub.h"
#include "protocol/decode.h"

#include <string.h>

/* Decoding copies each entry once and adds its structs; entries are never tiny. */
#define ARENA_FACTOR 4

static bool read_uuid(const ProtobufCBinaryData *data, struct uuid *ret_uuid)
{
	if (data->len != sizeof(ret_uuid->bytes))
		return false;
	memcpy(ret_uuid->bytes, data->data, sizeof(ret_uuid->bytes));
	return true;
}

static void deliver_event(struct hub *hub, const Martlet__Bus__V1__EventEntry *entry)
{
	struct frame *frame;
	struct uuid id;

	/* Most events of a shard concern no one here: these cost a look into a table. */
	if (!read_uuid(&entry->conversation_id, &id) || !entry->seq ||
	    !hub_find_conversation(hub, &id))
		return;
	frame = frame_create(entry->frame.len);
	memcpy(frame->bytes, entry->frame.data, entry->frame.len);
	frame_set_leaver(frame, entry->leaver);
	frame->redacts_seq = entry->redacts_seq;
	hub_offer(hub, &id, entry->seq, frame);
	frame_unref(frame);
}

/* Who has another conversation may see others, and be seen by them. */
static void deliver_membership(const struct deliver_rooms *rooms,
                               const Martlet__Bus__V1__MembershipEntry *entry)
{
	struct user_id user;
	struct uuid id;

	if (!user_id_from_text(entry->user, &user) || !read_uuid(&entry->conversation_id, &id))
		return;
	resume_membership_changed(rooms->resume, &user, &id);
	watching_recheck_user(rooms->watching, &user);
}

static void deliver_entry(const struct deliver_rooms *rooms, const Martlet__Bus__V1__Entry *entry)
{
	switch (entry->kind_case) {
	case MARTLET__BUS__V1__ENTRY__KIND_EVENT:
		deliver_event(rooms->hub, entry->event);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_MEMBERSHIP:
		deliver_membership(rooms, entry->membership);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_SIGNAL:
		signals_on_signal(rooms->signals, entry->signal);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_USER:
		signals_on_user(rooms->signals, entry->user);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_BLOCKS:
		blocks_on_entry(rooms->blocks, entry->blocks);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_PRESENCE:
		watching_on_word(rooms->watching, entry->presence);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_PRESENCE_QUESTION:
		watching_on_question(rooms->watching, entry->presence_question);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_NOTIFICATION:
		notify_on_entry(rooms->notify, entry->notification);
		break;
	default: /* of a later release */
		break;
	}
}

void deliver_envelope(const struct deliver_rooms *rooms, const uint8_t *bytes, size_t size)
{
	struct arena *arena = arena_create(LIMIT_COMMAND_ARENA_BYTES + size * ARENA_FACTOR);
	Martlet__Bus__V1__Envelope *envelope = decode_envelope(arena, bytes, size);

	if (!envelope)
		log_limited(LOG_ERROR, "unreadable envelope on the bus",
		            log_number("bytes", (int64_t)size));
	for (size_t i = 0; envelope && i < envelope->n_entries; i++)
		deliver_entry(rooms, envelope->entries[i]);
	arena_destroy(arena);
}
