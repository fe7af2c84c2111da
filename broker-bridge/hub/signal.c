#include "hub/signal.h"

#include "hub/private.h"

/* Not for the sessions of `about` itself, nor across a block. */
static bool is_for(const struct session *session, const struct user_id *about)
{
	const struct blocked *blocked = &session->owner->blocked;

	return !user_id_is_equal(&session->user, about) &&
	       (!blocked->is_known || !blocked_has(blocked, about));
}

/* Whether the seat was told. One that lags may not be: its user's removal may be among what it misses; nor one of
 * whose user it is not known yet whom it has blocked. */
static bool tell_seat(struct seat *seat, bool is_behind, struct frame *frame)
{
	return !is_behind && !seat->is_lagging && seat->session->owner->blocked.is_known &&
	       session_push_signal(seat->session, frame);
}

void hub_signal_conversation(struct hub *hub, const struct uuid *id, uint64_t after_seq,
                             const struct user_id *about, struct frame *frame)
{
	struct conversation *conversation = hub_find_conversation(hub, id);
	bool is_behind;
	struct seat *seat;

	if (!conversation)
		return;
	conversation->signals++;
	is_behind = !conversation_is_known(conversation) || after_seq >= conversation->next_seq;
	DL_FOREACH(conversation->seats, seat) {
		if (!is_for(seat->session, about) || tell_seat(seat, is_behind, frame))
			continue;
		seat_set_stale(seat, true);
		hub->needs.on_lag(hub->needs.context, seat->session);
	}
}

struct telling {
	struct frame *frame;
	const struct session *except;
};

static void tell(void *context, struct session *session)
{
	const struct telling *telling = context;

	session->signals++;
	if (session != telling->except)
		session_push_signal(session, telling->frame);
}

void hub_signal_user(struct hub *hub, const struct user_id *user, struct frame *frame,
                     const struct session *except)
{
	hub_each_session_of(hub, user, tell, &(struct telling){frame, except});
}
