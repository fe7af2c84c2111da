#include "hub/typing.h"

#include "hub/private.h"

static bool may_start(const struct seat *seat, uint64_t now_ms)
{
	return !seat->typing_since_ms || now_ms - seat->typing_since_ms >= LIMIT_TYPING_PACE_MS;
}

enum typing hub_note_typing(struct hub *hub, const struct uuid *id, const struct session *session,
                            bool is_typing, uint32_t members_most)
{
	struct conversation *conversation = hub_find_conversation(hub, id);
	struct seat *seat = conversation ? conversation_find_seat(conversation, session) : NULL;
	uint64_t now_ms = hub->timers->now_ms;

	if (!seat)
		return TYPING_ABSENT;
	if (seat->is_lagging || conversation->member_count > members_most)
		return TYPING_UNTOLD;
	if (is_typing ? !may_start(seat, now_ms) : !seat->is_typing)
		return TYPING_UNTOLD;
	if (is_typing)
		seat->typing_since_ms = now_ms;
	seat->is_typing = is_typing;
	return TYPING_TOLD;
}
