#include "hub/signal.h"

#include "hub/private.h"

/* Whether the seat's session may learn now what `about` does. */
static bool may_tell(const struct seat *seat, const struct user_id *about)
{
	const struct session *session = seat->session;

	return !seat->is_lagging && session->state == SESSION_LIVE &&
	       !user_id_is_equal(&session->user, about) &&
	       !blocked_has(&session->owner->blocked, about);
}

void hub_signal_conversation(struct hub *hub, const struct uuid *id, uint64_t after_seq,
                             const struct user_id *about, struct frame *frame)
{
	struct conversation *conversation = hub_find_conversation(hub, id);
	struct seat *seat;

	if (!conversation || !conversation_is_known(conversation) ||
	    after_seq >= conversation->next_seq)
		return;
	DL_FOREACH(conversation->seats, seat) {
		if (may_tell(seat, about))
			session_push_signal(seat->session, frame);
	}
}

struct telling {
	struct frame *frame;
	const struct session *except;
};

static void tell(void *context, struct session *session)
{
	const struct telling *telling = context;

	if (session != telling->except)
		session_push_signal(session, telling->frame);
}

void hub_signal_user(struct hub *hub, const struct user_id *user, struct frame *frame,
                     const struct session *except)
{
	hub_each_session_of(hub, user, tell, &(struct telling){frame, except});
}
