/* How the conversations of a session stand: the stages of its catching up before the log is read. */
#include "base/memory.h"
#include "flow/catch_up.h"
#include "flow/notify.h"
#include "protocol/encode.h"
#include "protocol/encode_notifications.h"
#include "store/notifications.h"
#include "store/query.h"

#include <stdlib.h>
#include <string.h>

#define HEADS_AT_ONCE 1000 /* what query_heads takes */
#define PARTINGS_AT_ONCE 100

/* What a follow means to this session: a place in the past, a state to tell, or news. False if there is
 * nothing to tell: only the seat is wanted. */
static void want_follow(struct catch_up *catch_up, const struct follow *follow, size_t *stated)
{
	struct wanted *wanted = catch_up_add_wanted(catch_up, &follow->conversation);
	struct known_cursor *known;

	wanted->after_seq = follow->last_seq;
	wanted->member_seq = follow->last_seq;
	HASH_FIND(hh, catch_up->cursors, &follow->conversation, sizeof(follow->conversation),
	          known);
	if (known) {
		wanted->has_cursor = true;
		wanted->after_seq = known->cursor.seq;
		known->is_followed = true;
		/* Nothing to tell of what did not change. */
		wanted->is_unstated = known->cursor.seq == follow->last_seq &&
		                      known->cursor.state_version == follow->state_version;
		known->is_unsure = wanted->is_unstated && !known->is_heard;
		if (known->is_heard)
			wanted->signals = known->signals;
	} else if (!catch_up->is_first) {
		wanted->is_joined = true;
	} else if (*stated < catch_up->resume->options.list_conversations) {
		(*stated)++;
	} else {
		wanted->is_unstated = true;
	}
}

static void on_follows(void *context, const struct follows_answer *answer)
{
	struct catch_up *catch_up = context;
	struct known_cursor *known;
	struct known_cursor *next;
	size_t stated = 0;

	if (!catch_up_take_answer(catch_up, &answer->outcome))
		return;
	catch_up->is_refresh_asked = false;
	hub_set_membership_version(catch_up->resume->hub, session_user(catch_up->session),
	                           answer->membership_version);
	catch_up_make_wanted(catch_up, answer->count);
	for (size_t i = 0; i < answer->count; i++) {
		if (!catch_up_is_seated(catch_up, &answer->follows[i].conversation))
			want_follow(catch_up, &answer->follows[i], &stated);
	}
	HASH_ITER(hh, catch_up->cursors, known, next) {
		if (!known->is_followed)
			catch_up->parted[catch_up->parted_count++] = known->cursor.conversation;
		if (!known->is_unsure)
			HASH_DEL(catch_up->cursors, known);
	}
	if (!catch_up->cursors)
		catch_up_forget_cursors(catch_up);
	catch_up_set_stage(catch_up, HEARING);
	catch_up_go_on(catch_up);
}

/* What is heard here already cannot change unheard while it is read. */
void catch_up_note_heard(struct catch_up *catch_up)
{
	struct known_cursor *known;
	struct known_cursor *next;

	HASH_ITER(hh, catch_up->cursors, known, next) {
		struct conversation *conversation =
			hub_find_conversation(catch_up->resume->hub, &known->cursor.conversation);

		known->is_heard = conversation && conversation_is_known(conversation);
		known->signals = known->is_heard ? conversation_signals(conversation) : 0;
	}
}

void catch_up_read_follows(struct catch_up *catch_up)
{
	const struct resume *resume = catch_up->resume;

	catch_up_note_heard(catch_up);
	catch_up->is_asking = true;
	query_follows(resume->store, session_user(catch_up->session),
	              resume->options.user_conversations, on_follows, catch_up);
}

static void on_heads(void *context, const struct heads_answer *answer)
{
	struct catch_up *catch_up = context;

	if (!catch_up_take_answer(catch_up, &answer->outcome))
		return;
	for (size_t i = 0; i < answer->count; i++) {
		struct conversation *conversation =
			hub_get_conversation(catch_up->resume->hub, &answer->heads[i].conversation);

		conversation_learn_members(conversation, answer->heads[i].member_count);
		conversation_learn_head(conversation, answer->heads[i].last_seq);
	}
	catch_up_go_on(catch_up);
}

/* Asks for the heads of wanted conversations that nobody here knows yet, until there are none. */
void catch_up_read_heads(struct catch_up *catch_up)
{
	struct uuid *ids = memory_new_array(HEADS_AT_ONCE, sizeof(*ids));
	struct resume *resume = catch_up->resume;
	size_t count = 0;

	for (size_t i = 0; i < catch_up->wanted_count && count < HEADS_AT_ONCE; i++) {
		const struct uuid *id = &catch_up->wanted[i].conversation;

		if (!conversation_is_known(hub_get_conversation(resume->hub, id)))
			ids[count++] = *id;
	}
	if (count) {
		catch_up->is_asking = true;
		query_heads(resume->store, ids, count, on_heads, catch_up);
	} else {
		catch_up_set_stage(catch_up, STATING);
		catch_up_go_on_later(catch_up, 0);
	}
	free(ids);
}

/* A seat at the client's cursor, or a plain word that it is too far away to be followed up. */
static void take_seat(struct catch_up *catch_up, const struct wanted *wanted, uint64_t after_seq,
                      uint64_t last_seq)
{
	struct conversation *conversation =
		hub_get_conversation(catch_up->resume->hub, &wanted->conversation);
	struct seat *seat;

	if (wanted->has_cursor &&
	    (after_seq > last_seq ||
	     last_seq - after_seq > catch_up->resume->options.resume_events)) {
		catch_up_tell(catch_up, encode_resync(&wanted->conversation, last_seq));
		after_seq = last_seq;
	}
	seat = conversation_join(conversation, catch_up->session, after_seq, wanted->member_seq);
	if (seat && (conversation_signals(conversation) != wanted->signals ||
	             (wanted->is_stated &&
	              session_user_signals(catch_up->session) != catch_up->user_signals)))
		seat_set_stale(seat, true);
}

static void state(struct catch_up *catch_up, const struct wanted *wanted,
                  const struct membership *membership)
{
	uint64_t after_seq = membership->last_seq;

	if (wanted->is_joined) {
		after_seq = membership->first_seq - 1;
		catch_up_tell(catch_up, encode_conversation_joined(membership));
	} else {
		if (wanted->has_cursor)
			after_seq = wanted->after_seq;
		catch_up_tell(catch_up, encode_conversation_state(membership));
	}
	/* What lies before one's joining is not one's own. */
	if (after_seq + 1 < membership->first_seq)
		after_seq = membership->first_seq - 1;
	take_seat(catch_up, wanted, after_seq, membership->last_seq);
}

static struct wanted *find_wanted(const struct catch_up *catch_up, size_t from, size_t end,
                                  const struct uuid *conversation)
{
	for (size_t i = from; i < end; i++) {
		if (uuid_is_equal(&catch_up->wanted[i].conversation, conversation))
			return &catch_up->wanted[i];
	}
	return NULL;
}

/* The end of the next group of wanted ones whose state is told together. */
static size_t group_end(const struct catch_up *catch_up)
{
	size_t end = catch_up->wanted_done;
	size_t count = 0;

	for (; end < catch_up->wanted_count && count < STATES_AT_ONCE; end++)
		count += !catch_up->wanted[end].is_unstated;
	return end;
}

/* Those of a group that need no telling sit down at their cursor, or at what is newest here. */
static void seat_unstated(struct catch_up *catch_up, size_t from, size_t end)
{
	for (size_t i = from; i < end && !catch_up->is_gone; i++) {
		const struct wanted *wanted = &catch_up->wanted[i];
		uint64_t head;

		if (!wanted->is_unstated)
			continue;
		head = conversation_next_seq(
			       hub_get_conversation(catch_up->resume->hub, &wanted->conversation)) -
		       1;
		/* The log's head as it was read may be ahead of what came here. Where it was seen is the place to
		 * begin, not where it is now: a removal may lie between. */
		if (wanted->after_seq > head)
			head = wanted->after_seq;
		take_seat(catch_up, wanted, wanted->after_seq, head);
	}
}

/* Of what the client keeps, those that the user left while this went on. */
static void part_unstated(struct catch_up *catch_up, size_t from, size_t end)
{
	for (size_t i = from; i < end; i++) {
		const struct wanted *wanted = &catch_up->wanted[i];

		if (wanted->has_cursor && !wanted->is_unstated && !wanted->is_stated)
			catch_up->parted[catch_up->parted_count++] = wanted->conversation;
	}
}

static void on_memberships(void *context, const struct memberships_answer *answer)
{
	struct catch_up *catch_up = context;
	size_t from = catch_up->wanted_done;
	size_t end;

	if (!catch_up_take_answer(catch_up, &answer->outcome))
		return;
	end = group_end(catch_up);
	for (size_t i = 0; i < answer->count && !catch_up->is_gone; i++) {
		const struct membership *membership = &answer->memberships[i];
		struct wanted *wanted = find_wanted(catch_up, from, end, &membership->conversation);

		if (wanted) {
			wanted->is_stated = true;
			wanted->member_seq = membership->last_seq;
			state(catch_up, wanted, membership);
		}
	}
	if (catch_up->is_gone)
		return;
	part_unstated(catch_up, from, end);
	catch_up->wanted_done = end;
	catch_up_go_on_later(catch_up, 0);
}

void catch_up_state(struct catch_up *catch_up)
{
	size_t from = catch_up->wanted_done;
	size_t end = group_end(catch_up);
	struct uuid ids[STATES_AT_ONCE];
	size_t count = 0;

	if (from == catch_up->wanted_count) {
		catch_up_set_stage(catch_up, PARTING);
		catch_up_go_on_later(catch_up, 0);
		return;
	}
	for (size_t i = from; i < end; i++) {
		struct wanted *wanted = &catch_up->wanted[i];

		if (wanted->is_unstated)
			continue;
		ids[count++] = wanted->conversation;
		wanted->signals = conversation_signals(
			hub_get_conversation(catch_up->resume->hub, &wanted->conversation));
	}
	catch_up->user_signals = session_user_signals(catch_up->session);
	seat_unstated(catch_up, from, end);
	if (catch_up->is_gone)
		return;
	if (!count) {
		catch_up->wanted_done = end;
		catch_up_go_on_later(catch_up, 0);
		return;
	}
	catch_up->is_asking = true;
	query_memberships(catch_up->resume->store, session_user(catch_up->session), ids, count,
	                  on_memberships, catch_up);
}

static size_t parted_at_once(const struct catch_up *catch_up)
{
	return catch_up->parted_count < PARTINGS_AT_ONCE ? catch_up->parted_count
	                                                 : PARTINGS_AT_ONCE;
}

static const struct head *find_head(const struct heads_answer *answer,
                                    const struct uuid *conversation)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (uuid_is_equal(&answer->heads[i].conversation, conversation))
			return &answer->heads[i];
	}
	return NULL;
}

static void on_parted(void *context, const struct heads_answer *answer)
{
	struct catch_up *catch_up = context;
	size_t count = parted_at_once(catch_up);

	if (!catch_up_take_answer(catch_up, &answer->outcome))
		return;
	for (size_t i = 0; i < count && !catch_up->is_gone; i++) {
		const struct uuid *id = &catch_up->parted[--catch_up->parted_count];
		const struct head *left = find_head(answer, id);

		/* Who is a member again will be told so, and of one conversation too many to be followed nothing
		 * is told. */
		if (!left || left->last_seq)
			catch_up_tell(catch_up,
			              encode_conversation_left(id, left ? left->last_seq : 0));
	}
	if (!catch_up->is_gone)
		catch_up_go_on(catch_up);
}

/* What services told is told once, at the beginning; what comes later comes live. */
static enum stage stage_of_news(const struct catch_up *catch_up)
{
	return catch_up->is_first ? NOTIFYING : FEEDING;
}

void catch_up_part(struct catch_up *catch_up)
{
	size_t count = parted_at_once(catch_up);

	if (!count) {
		catch_up_forget_wanted(catch_up);
		catch_up_set_stage(catch_up,
		                   catch_up->cursors ? VERIFYING : stage_of_news(catch_up));
		catch_up_go_on_later(catch_up, 0);
		return;
	}
	catch_up->is_asking = true;
	query_left(catch_up->resume->store, session_user(catch_up->session),
	           catch_up->parted + catch_up->parted_count - count, count, on_parted, catch_up);
}

/* Signals of what was not heard yet are lost, so what was found unchanged then is read once more. */
static void on_verified(void *context, const struct follows_answer *answer)
{
	struct catch_up *catch_up = context;

	if (!catch_up_take_answer(catch_up, &answer->outcome))
		return;
	for (size_t i = 0; i < answer->count; i++) {
		const struct follow *follow = &answer->follows[i];
		struct known_cursor *known;
		struct seat *seat = NULL;

		HASH_FIND(hh, catch_up->cursors, &follow->conversation, sizeof(struct uuid), known);
		if (known && known->cursor.state_version != follow->state_version)
			seat = session_find_seat(catch_up->session, &follow->conversation);
		if (seat)
			seat_set_stale(seat, true);
	}
	catch_up_forget_cursors(catch_up);
	catch_up_set_stage(catch_up, stage_of_news(catch_up));
	catch_up_go_on(catch_up);
}

void catch_up_verify(struct catch_up *catch_up)
{
	const struct resume *resume = catch_up->resume;

	catch_up->is_asking = true;
	query_follows(resume->store, session_user(catch_up->session),
	              resume->options.user_conversations, on_verified, catch_up);
}

/* The user's shard was heard before this was asked: what was told since is live from here on, and where that went
 * past this answer, it is read again. */
static void on_notifications(void *context, const struct notifications_answer *answer)
{
	struct catch_up *catch_up = context;
	struct resume *resume = catch_up->resume;
	struct user_id user;

	if (!catch_up_take_answer(catch_up, &answer->outcome))
		return;
	user = *session_user(catch_up->session);
	session_set_notified(catch_up->session, answer->version);
	catch_up_tell(catch_up, encode_notification_batch(answer->notifications, answer->count,
	                                                  answer->has_more, true));
	if (answer->is_told)
		notifications_forget_told(resume->store, &user);
	if (catch_up->is_gone)
		return;
	catch_up_set_stage(catch_up, FEEDING);
	catch_up_go_on_later(catch_up, 0);
	notify_learn(resume->notify, &user, hub_notifications(resume->hub, &user));
}

void catch_up_read_notifications(struct catch_up *catch_up)
{
	const struct resume *resume = catch_up->resume;

	catch_up->is_asking = true;
	notifications_list(resume->store, session_user(catch_up->session), 0,
	                   resume->options.list_notifications, LIMIT_HISTORY_BYTES,
	                   on_notifications, catch_up);
}
