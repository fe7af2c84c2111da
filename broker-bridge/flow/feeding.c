/* What a session missed: lagging seats are fed from the log, and stale ones are told again how they stand. */
#include "flow/catch_up.h"
#include "protocol/encode.h"
#include "store/query.h"

#include <string.h>

#define SEATS_AT_ONCE 32
#define FEED_EVENTS 200
#define FEED_BYTES 131072

static void set_stale(struct catch_up *catch_up, const struct uuid *conversation)
{
	struct seat *seat = session_find_seat(catch_up->session, conversation);

	if (seat)
		seat_set_stale(seat, true);
}

/* How a conversation stands, in the form of the signals that were missed. */
static void retell(struct catch_up *catch_up, const struct membership *membership)
{
	const struct uuid *id = &membership->conversation;
	const struct receipt own = {session_user(catch_up->session)->text,
	                            membership->delivered_seq, membership->read_seq};

	for (size_t i = 0; i < membership->receipts_count; i++)
		catch_up_tell(catch_up, encode_receipt_changed(id, &membership->receipts[i], 0));
	if (session_user_signals(catch_up->session) != catch_up->user_signals) {
		/* What was told meanwhile of the user's own is newer, or may be. */
		set_stale(catch_up, id);
		return;
	}
	catch_up_tell(catch_up, encode_receipt_changed(id, &own, membership->unread_count));
	catch_up_tell(catch_up, encode_mute_changed(id, membership->muted_until_ms));
}

/* False if the session has not come to where this was read: it would hear of members before their adding. Then the
 * log is asked for what is missing, and this is told after it. */
static bool retell_if_there(struct catch_up *catch_up, const struct membership *membership)
{
	struct seat *seat = session_find_seat(catch_up->session, &membership->conversation);

	/* Who left while it was read is told nothing more. */
	if (!seat)
		return true;
	if (seat_seq(seat) >= membership->last_seq) {
		retell(catch_up, membership);
		return true;
	}
	seat_set_stale(seat, true);
	conversation_learn_head(
		hub_get_conversation(catch_up->resume->hub, &membership->conversation),
		membership->last_seq);
	return false;
}

static void on_retold(void *context, const struct memberships_answer *answer)
{
	struct catch_up *catch_up = context;
	bool is_behind = false;

	for (size_t i = 0;
	     !catch_up->is_gone && !outcome_is_ok(&answer->outcome) && i < catch_up->stale_count;
	     i++)
		set_stale(catch_up, &catch_up->stale[i]);
	if (!catch_up_take_answer(catch_up, &answer->outcome))
		return;
	for (size_t i = 0; i < answer->count && !catch_up->is_gone; i++)
		is_behind |= !retell_if_there(catch_up, &answer->memberships[i]);
	if (catch_up->is_gone)
		return;
	if (is_behind)
		catch_up_go_on_later(catch_up, CATCH_UP_RETRY_MS);
	else
		catch_up_go_on(catch_up);
}

/* Asks how the conversations of stale seats stand; false if there are none. Whatever is signalled from now on
 * is told, or makes them stale again. */
static bool retell_stale(struct catch_up *catch_up)
{
	struct seat *seat;

	catch_up->stale_count = 0;
	while (catch_up->stale_count < STATES_AT_ONCE &&
	       (seat = session_first_stale(catch_up->session))) {
		seat_set_stale(seat, false);
		catch_up->stale[catch_up->stale_count++] = *seat_conversation(seat);
	}
	if (!catch_up->stale_count)
		return false;
	catch_up->user_signals = session_user_signals(catch_up->session);
	catch_up->is_asking = true;
	query_memberships(catch_up->resume->store, session_user(catch_up->session), catch_up->stale,
	                  catch_up->stale_count, on_retold, catch_up);
	return true;
}

static struct seat *find_lagging(const struct session *session, const struct uuid *conversation)
{
	struct seat *seat = session_next_lagging(session, NULL);

	while (seat && !uuid_is_equal(seat_conversation(seat), conversation))
		seat = session_next_lagging(session, seat);
	return seat;
}

static void feed(struct catch_up *catch_up, const struct event *event)
{
	struct seat *seat = find_lagging(catch_up->session, &event->conversation);
	struct frame *frame;

	if (!seat)
		return;
	frame = encode_event(event);
	seat_feed(seat, event->seq, frame);
	frame_unref(frame);
}

static void on_log(void *context, const struct events_answer *answer)
{
	struct catch_up *catch_up = context;

	if (!catch_up_take_answer(catch_up, &answer->outcome))
		return;
	/* Nothing, though a seat lags: the log ends before what was heard of (a database restored from an
	 * older copy). The sweep finds out; until then there is nothing to feed. */
	if (!answer->count) {
		catch_up_go_on_later(catch_up, CATCH_UP_RETRY_MS);
		return;
	}
	for (size_t i = 0; i < answer->count && !catch_up->is_gone; i++)
		feed(catch_up, &answer->events[i]);
	if (!catch_up->is_gone)
		catch_up_go_on(catch_up);
}

/* A seat can fall so far behind that it is better paged. What is skipped may hold the user's removal, so the
 * seat ends, and the conversation is wanted anew at the place where the client has it. */
static size_t want_distant(struct catch_up *catch_up)
{
	uint32_t most = catch_up->resume->options.resume_events;
	struct seat *seat = session_next_lagging(catch_up->session, NULL);
	struct seat *next;
	size_t count = 0;

	for (; seat; seat = session_next_lagging(catch_up->session, seat))
		count += seat_distance(seat) > most;
	if (!count)
		return 0;
	catch_up_make_wanted(catch_up, count);
	for (seat = session_next_lagging(catch_up->session, NULL); seat; seat = next) {
		struct wanted *wanted;

		next = session_next_lagging(catch_up->session, seat);
		if (seat_distance(seat) <= most)
			continue;
		wanted = catch_up_add_wanted(catch_up, seat_conversation(seat));
		wanted->has_cursor = true;
		wanted->after_seq = seat_seq(seat);
		seat_leave(seat);
	}
	return count;
}

static size_t list_lagging(const struct session *session, struct log_place *ret_places, size_t most)
{
	struct seat *seat = session_next_lagging(session, NULL);
	size_t count = 0;

	for (; seat && count < most; seat = session_next_lagging(session, seat))
		ret_places[count++] = (struct log_place){*seat_conversation(seat), seat_seq(seat)};
	return count;
}

static void rest(struct catch_up *catch_up)
{
	catch_up_set_stage(catch_up, RESTING);
	if (!catch_up->is_first)
		return;
	catch_up->is_first = false;
	catch_up_tell(catch_up, encode_ready());
	if (!catch_up->is_gone)
		session_set_live(catch_up->session);
}

void catch_up_feed(struct catch_up *catch_up)
{
	struct log_place places[SEATS_AT_ONCE];
	size_t count;

	timer_stop(catch_up->resume->timers, &catch_up->deadline);
	/* resume_on_lag comes back here when the client has read. */
	if (!session_has_room(catch_up->session))
		return;
	if (want_distant(catch_up)) {
		timer_start(catch_up->resume->timers, &catch_up->deadline,
		            catch_up->resume->options.deadline_ms);
		catch_up_set_stage(catch_up, HEARING);
		catch_up_go_on_later(catch_up, 0);
		return;
	}
	count = list_lagging(catch_up->session, places, SEATS_AT_ONCE);
	if (count) {
		catch_up->is_asking = true;
		query_log(catch_up->resume->store, places, count, FEED_EVENTS, FEED_BYTES, on_log,
		          catch_up);
		return;
	}
	if (retell_stale(catch_up))
		return;
	rest(catch_up);
	if (!catch_up->is_gone && (catch_up->is_refresh_asked || catch_up->hints_count))
		catch_up_go_on_later(catch_up, 0);
}
