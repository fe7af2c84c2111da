#include "plugin/follow.h"

#include "base/arena.h"
#include "model/limits.h"
#include "protocol/decode.h"

#include <string.h>

/* As in flow/deliver.c. */
#define ARENA_FACTOR 4

static bool read_uuid(const ProtobufCBinaryData *data, struct uuid *ret_uuid)
{
	if (data->len != sizeof(ret_uuid->bytes))
		return false;
	memcpy(ret_uuid->bytes, data->data, sizeof(ret_uuid->bytes));
	return true;
}

static void follow_event(struct memberships *memberships, const Martlet__Bus__V1__EventEntry *event)
{
	struct user_id user;
	struct uuid conversation;

	if (!read_uuid(&event->conversation_id, &conversation))
		return;
	for (size_t i = 0; i < event->n_joiners; i++) {
		if (user_id_from_text(event->joiners[i], &user))
			memberships_join(memberships, &conversation, &user, event->seq);
	}
	if (user_id_from_text(event->leaver, &user))
		memberships_leave(memberships, &conversation, &user, event->seq);
}

static void follow_membership(struct memberships *memberships,
                              const Martlet__Bus__V1__MembershipEntry *entry)
{
	struct user_id user;
	struct uuid conversation;

	/* Without the number, as an older release says it, it can't be weighed. */
	if (entry->since_seq && read_uuid(&entry->conversation_id, &conversation) &&
	    user_id_from_text(entry->user, &user))
		memberships_join(memberships, &conversation, &user, entry->since_seq);
}

static void follow_question(struct online *online, const Martlet__Bus__V1__PresenceQuestion *entry)
{
	struct user_id user;

	if (user_id_from_text(entry->user, &user))
		online_on_question(online, &user);
}

static void follow_entry(struct memberships *memberships, struct online *online,
                         const Martlet__Bus__V1__Entry *entry)
{
	switch (entry->kind_case) {
	case MARTLET__BUS__V1__ENTRY__KIND_EVENT:
		follow_event(memberships, entry->event);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_MEMBERSHIP:
		follow_membership(memberships, entry->membership);
		break;
	case MARTLET__BUS__V1__ENTRY__KIND_PRESENCE_QUESTION:
		follow_question(online, entry->presence_question);
		break;
	default: /* tells nothing of it */
		break;
	}
}

bool follow_envelope(struct memberships *memberships, struct online *online, const uint8_t *bytes,
                     size_t size)
{
	struct arena *arena = arena_create(LIMIT_COMMAND_ARENA_BYTES + size * ARENA_FACTOR);
	Martlet__Bus__V1__Envelope *envelope = decode_envelope(arena, bytes, size);

	for (size_t i = 0; envelope && i < envelope->n_entries; i++)
		follow_entry(memberships, online, envelope->entries[i]);
	arena_destroy(arena);
	return envelope != NULL;
}
