#include "flow/resume.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "flow/notify.h"
#include "link/interest.h"
#include "protocol/encode.h"
#include "protocol/encode_notifications.h"
#include "store/notifications.h"
#include "store/query.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define STATES_AT_ONCE 16  /* with a last event of 16 KiB each they fit a session's room */
#define HEADS_AT_ONCE 1000 /* what query_heads takes */
#define SEATS_AT_ONCE 32
#define PARTINGS_AT_ONCE 100
#define FEED_EVENTS 200
#define FEED_BYTES 131072
#define HINTS 32 /* beyond it all memberships are read again */
#define RETRY_MS 300

enum stage {
	RESTING,         /* nothing to do */
	HEARING_USER,    /* until hints for this user can be heard */
	READING_FOLLOWS, /* what the user is a member of */
	HEARING,         /* until the shards of what is wanted are heard */
	READING_HEADS,   /* the newest numbers of what nobody here knew */
	STATING,         /* how each stands, and its seat */
	PARTING,         /* what the client keeps, and the user is no member of */
	NOTIFYING,       /* what services told the user */
	FEEDING,         /* lagging seats, from the log */
};

/* A conversation that the session shall sit in. */
struct wanted {
	struct uuid conversation;
	uint64_t
		after_seq; /* the client's cursor, or where the log ended when it was seen as followed */
	uint64_t member_seq; /* the user was seen to be a member there */
	bool has_cursor;
	bool is_joined;   /* it is news to the client */
	bool is_unstated; /* the client will list it when it wants to */
	bool is_stated;   /* it was told how it stands */
};

struct known_cursor {
	struct cursor cursor;
	bool is_followed;
	UT_hash_handle hh;
};

/* One session's catching up, for as long as it is open. */
struct catch_up {
	struct resume *resume;
	struct session *session; /* a reference */
	UT_hash_handle hh;       /* resume::catch_ups, by session */

	enum stage stage;
	bool is_first;         /* Ready is still to come */
	bool is_refresh_asked; /* read what it follows again */
	bool is_asking;        /* the store owes an answer */
	bool is_gone;          /* free it with that answer */
	struct interest_wait wait;
	struct timer timer; /* goes on with the stage */
	struct timer deadline;
	struct known_cursor *cursors; /* by conversation */
	struct known_cursor *cursors_memory;
	struct wanted *wanted;
	size_t wanted_count;
	size_t wanted_done;
	struct uuid *parted; /* room for all wanted ones and all cursors */
	size_t parted_count;
	struct uuid hints[HINTS];
	size_t hints_count;
};

struct resume {
	struct resume_options options;
	struct store *store;
	struct interest *interest;
	struct timers *timers;
	struct hub *hub;
	struct notify *notify;
	struct catch_up *catch_ups;
};

static void go_on(struct catch_up *catch_up);

struct resume *resume_create(const struct resume_options *options, struct store *store,
                             struct interest *interest, struct timers *timers)
{
	struct resume *resume = memory_new(sizeof(*resume));

	resume->options = *options;
	resume->store = store;
	resume->interest = interest;
	resume->timers = timers;
	return resume;
}

void resume_set_hub(struct resume *resume, struct hub *hub)
{
	resume->hub = hub;
}

void resume_set_notify(struct resume *resume, struct notify *notify)
{
	resume->notify = notify;
}

void resume_destroy(struct resume *resume)
{
	must(!resume->catch_ups);
	free(resume);
}

/* Life of a catch-up. */

static void forget_wanted(struct catch_up *catch_up)
{
	free(catch_up->wanted);
	catch_up->wanted = NULL;
	catch_up->wanted_count = 0;
	catch_up->wanted_done = 0;
	free(catch_up->parted);
	catch_up->parted = NULL;
	catch_up->parted_count = 0;
}

static void make_wanted(struct catch_up *catch_up, size_t count)
{
	forget_wanted(catch_up);
	catch_up->wanted = memory_new_array(count, sizeof(struct wanted));
	catch_up->parted =
		memory_new_array(count + HASH_COUNT(catch_up->cursors), sizeof(*catch_up->parted));
}

static void forget_cursors(struct catch_up *catch_up)
{
	HASH_CLEAR(hh, catch_up->cursors);
	free(catch_up->cursors_memory);
	catch_up->cursors_memory = NULL;
}

static void catch_up_free(struct catch_up *catch_up)
{
	forget_wanted(catch_up);
	forget_cursors(catch_up);
	session_unref(catch_up->session);
	free(catch_up);
}

static struct catch_up *find(struct resume *resume, const struct session *session)
{
	struct catch_up *catch_up;

	HASH_FIND_PTR(resume->catch_ups, &session, catch_up);
	return catch_up;
}

void resume_on_session_gone(void *context, struct session *session)
{
	struct resume *resume = context;
	struct catch_up *catch_up = find(resume, session);

	if (!catch_up)
		return;
	HASH_DEL(resume->catch_ups, catch_up);
	interest_cancel(resume->interest, &catch_up->wait);
	timer_stop(resume->timers, &catch_up->timer);
	timer_stop(resume->timers, &catch_up->deadline);
	catch_up->is_gone = true;
	/* Whoever closed the session may stand in the middle of its catch-up: it goes in the next turn. */
	if (!catch_up->is_asking)
		timer_start(resume->timers, &catch_up->timer, 0);
}

static void set_stage(struct catch_up *catch_up, enum stage stage)
{
	catch_up->stage = stage;
}

/* Goes on with the present stage after this call has returned to the loop. */
static void go_on_later(struct catch_up *catch_up, uint64_t delay_ms)
{
	timer_start(catch_up->resume->timers, &catch_up->timer, delay_ms);
}

static void on_timer_due(struct timer *timer)
{
	struct catch_up *catch_up =
		(struct catch_up *)((char *)timer - offsetof(struct catch_up, timer));

	if (catch_up->is_gone)
		catch_up_free(catch_up);
	else
		go_on(catch_up);
}

static void on_deadline_due(struct timer *timer)
{
	struct catch_up *catch_up =
		(struct catch_up *)((char *)timer - offsetof(struct catch_up, deadline));

	session_close(catch_up->session, CLOSE_OVERLOADED,
	              "the past could not be read in time, try again");
}

static void on_heard(struct interest_wait *wait)
{
	struct catch_up *catch_up =
		(struct catch_up *)((char *)wait - offsetof(struct catch_up, wait));

	set_stage(catch_up, catch_up->stage == HEARING_USER ? READING_FOLLOWS : READING_HEADS);
	go_on_later(catch_up, 0);
}

/* Takes an answer of the store: false if nobody waits for it any more, or if it must be asked again. */
static bool take_answer(struct catch_up *catch_up, const struct outcome *outcome)
{
	catch_up->is_asking = false;
	if (catch_up->is_gone) {
		catch_up_free(catch_up);
		return false;
	}
	if (!outcome_is_ok(outcome)) {
		go_on_later(catch_up, RETRY_MS);
		return false;
	}
	return true;
}

/* Stage by stage. */

static struct wanted *add_wanted(struct catch_up *catch_up, const struct uuid *conversation)
{
	struct wanted *wanted = &catch_up->wanted[catch_up->wanted_count++];

	*wanted = (struct wanted){.conversation = *conversation};
	hub_get_conversation(catch_up->resume->hub, conversation);
	return wanted;
}

static bool is_seated(const struct catch_up *catch_up, const struct uuid *id)
{
	struct conversation *conversation = hub_find_conversation(catch_up->resume->hub, id);

	return conversation && conversation_has_session(conversation, catch_up->session);
}

/* What a follow means to this session: a place in the past, a state to tell, or news. False if there is
 * nothing to tell: only the seat is wanted. */
static void want_follow(struct catch_up *catch_up, const struct follow *follow, size_t *stated)
{
	struct wanted *wanted = add_wanted(catch_up, &follow->conversation);
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

	if (!take_answer(catch_up, &answer->outcome))
		return;
	catch_up->is_refresh_asked = false;
	hub_set_membership_version(catch_up->resume->hub, session_user(catch_up->session),
	                           answer->membership_version);
	make_wanted(catch_up, answer->count);
	for (size_t i = 0; i < answer->count; i++) {
		if (!is_seated(catch_up, &answer->follows[i].conversation))
			want_follow(catch_up, &answer->follows[i], &stated);
	}
	HASH_ITER(hh, catch_up->cursors, known, next) {
		if (!known->is_followed)
			catch_up->parted[catch_up->parted_count++] = known->cursor.conversation;
	}
	forget_cursors(catch_up);
	set_stage(catch_up, HEARING);
	go_on(catch_up);
}

static void read_follows(struct catch_up *catch_up)
{
	const struct resume *resume = catch_up->resume;

	catch_up->is_asking = true;
	query_follows(resume->store, session_user(catch_up->session),
	              resume->options.user_conversations, on_follows, catch_up);
}

static void on_heads(void *context, const struct heads_answer *answer)
{
	struct catch_up *catch_up = context;

	if (!take_answer(catch_up, &answer->outcome))
		return;
	for (size_t i = 0; i < answer->count; i++) {
		struct conversation *conversation =
			hub_get_conversation(catch_up->resume->hub, &answer->heads[i].conversation);

		conversation_learn_members(conversation, answer->heads[i].member_count);
		conversation_learn_head(conversation, answer->heads[i].last_seq);
	}
	go_on(catch_up);
}

/* Asks for the heads of wanted conversations that nobody here knows yet, until there are none. */
static void read_heads(struct catch_up *catch_up)
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
		set_stage(catch_up, STATING);
		go_on_later(catch_up, 0);
	}
	free(ids);
}

static void tell(struct catch_up *catch_up, struct frame *frame)
{
	session_push(catch_up->session, frame);
	frame_unref(frame);
}

/* A seat at the client's cursor, or a plain word that it is too far away to be followed up. */
static void take_seat(struct catch_up *catch_up, const struct wanted *wanted, uint64_t after_seq,
                      uint64_t last_seq)
{
	struct hub *hub = catch_up->resume->hub;

	if (wanted->has_cursor &&
	    (after_seq > last_seq ||
	     last_seq - after_seq > catch_up->resume->options.resume_events)) {
		tell(catch_up, encode_resync(&wanted->conversation, last_seq));
		after_seq = last_seq;
	}
	conversation_join(hub_get_conversation(hub, &wanted->conversation), catch_up->session,
	                  after_seq, wanted->member_seq);
}

static void state(struct catch_up *catch_up, const struct wanted *wanted,
                  const struct membership *membership)
{
	uint64_t after_seq = membership->last_seq;

	if (wanted->is_joined) {
		after_seq = membership->first_seq - 1;
		tell(catch_up, encode_conversation_joined(membership));
	} else {
		if (wanted->has_cursor)
			after_seq = wanted->after_seq;
		tell(catch_up, encode_conversation_state(membership));
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

	if (!take_answer(catch_up, &answer->outcome))
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
	go_on_later(catch_up, 0);
}

static void state_wanted(struct catch_up *catch_up)
{
	size_t from = catch_up->wanted_done;
	size_t end = group_end(catch_up);
	struct uuid ids[STATES_AT_ONCE];
	size_t count = 0;

	if (from == catch_up->wanted_count) {
		set_stage(catch_up, PARTING);
		go_on_later(catch_up, 0);
		return;
	}
	for (size_t i = from; i < end; i++) {
		if (!catch_up->wanted[i].is_unstated)
			ids[count++] = catch_up->wanted[i].conversation;
	}
	seat_unstated(catch_up, from, end);
	if (catch_up->is_gone)
		return;
	if (!count) {
		catch_up->wanted_done = end;
		go_on_later(catch_up, 0);
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

	if (!take_answer(catch_up, &answer->outcome))
		return;
	for (size_t i = 0; i < count && !catch_up->is_gone; i++) {
		const struct uuid *id = &catch_up->parted[--catch_up->parted_count];
		const struct head *left = find_head(answer, id);

		/* Who is a member again will be told so, and of one conversation too many to be followed nothing
		 * is told. */
		if (!left || left->last_seq)
			tell(catch_up, encode_conversation_left(id, left ? left->last_seq : 0));
	}
	if (!catch_up->is_gone)
		go_on(catch_up);
}

static void part(struct catch_up *catch_up)
{
	size_t count = parted_at_once(catch_up);

	if (!count) {
		forget_wanted(catch_up);
		set_stage(catch_up, catch_up->is_first ? NOTIFYING : FEEDING);
		go_on_later(catch_up, 0);
		return;
	}
	catch_up->is_asking = true;
	query_left(catch_up->resume->store, session_user(catch_up->session),
	           catch_up->parted + catch_up->parted_count - count, count, on_parted, catch_up);
}

/* The user's shard was heard before this was asked: what was told since is live from here on, and where that went
 * past this answer, it is read again. */
static void on_notifications(void *context, const struct notifications_answer *answer)
{
	struct catch_up *catch_up = context;
	struct resume *resume = catch_up->resume;
	struct user_id user;

	if (!take_answer(catch_up, &answer->outcome))
		return;
	user = *session_user(catch_up->session);
	session_set_notified(catch_up->session, answer->version);
	tell(catch_up, encode_notification_batch(answer->notifications, answer->count,
	                                         answer->has_more, true));
	if (answer->is_told)
		notifications_forget_told(resume->store, &user);
	if (catch_up->is_gone)
		return;
	set_stage(catch_up, FEEDING);
	go_on_later(catch_up, 0);
	notify_learn(resume->notify, &user, hub_notifications(resume->hub, &user));
}

static void read_notifications(struct catch_up *catch_up)
{
	const struct resume *resume = catch_up->resume;

	catch_up->is_asking = true;
	notifications_list(resume->store, session_user(catch_up->session), 0,
	                   resume->options.list_notifications, LIMIT_HISTORY_BYTES,
	                   on_notifications, catch_up);
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

	if (!take_answer(catch_up, &answer->outcome))
		return;
	/* Nothing, though a seat lags: the log ends before what was heard of (a database restored from an
	 * older copy). The sweep finds out; until then there is nothing to feed. */
	if (!answer->count) {
		go_on_later(catch_up, RETRY_MS);
		return;
	}
	for (size_t i = 0; i < answer->count && !catch_up->is_gone; i++)
		feed(catch_up, &answer->events[i]);
	if (!catch_up->is_gone)
		go_on(catch_up);
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
	make_wanted(catch_up, count);
	for (seat = session_next_lagging(catch_up->session, NULL); seat; seat = next) {
		struct wanted *wanted;

		next = session_next_lagging(catch_up->session, seat);
		if (seat_distance(seat) <= most)
			continue;
		wanted = add_wanted(catch_up, seat_conversation(seat));
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
	set_stage(catch_up, RESTING);
	if (!catch_up->is_first)
		return;
	catch_up->is_first = false;
	tell(catch_up, encode_ready());
	if (!catch_up->is_gone)
		session_set_live(catch_up->session);
}

static void feed_lagging(struct catch_up *catch_up)
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
		set_stage(catch_up, HEARING);
		go_on_later(catch_up, 0);
		return;
	}
	count = list_lagging(catch_up->session, places, SEATS_AT_ONCE);
	if (count) {
		catch_up->is_asking = true;
		query_log(catch_up->resume->store, places, count, FEED_EVENTS, FEED_BYTES, on_log,
		          catch_up);
		return;
	}
	rest(catch_up);
	if (!catch_up->is_gone && (catch_up->is_refresh_asked || catch_up->hints_count))
		go_on_later(catch_up, 0);
}

/* Hints are wanted conversations that are news. */
static void want_hints(struct catch_up *catch_up)
{
	make_wanted(catch_up, catch_up->hints_count);
	for (size_t i = 0; i < catch_up->hints_count; i++) {
		if (!is_seated(catch_up, &catch_up->hints[i]))
			add_wanted(catch_up, &catch_up->hints[i])->is_joined = true;
	}
	catch_up->hints_count = 0;
	set_stage(catch_up, HEARING);
}

/* Something new for a session that rests. */
static void begin_again(struct catch_up *catch_up)
{
	if (catch_up->is_refresh_asked) {
		catch_up->hints_count = 0;
		set_stage(catch_up, READING_FOLLOWS);
	} else if (catch_up->hints_count) {
		want_hints(catch_up);
	} else if (session_next_lagging(catch_up->session, NULL)) {
		set_stage(catch_up, FEEDING);
	} else {
		return;
	}
	timer_start(catch_up->resume->timers, &catch_up->deadline,
	            catch_up->resume->options.deadline_ms);
	go_on(catch_up);
}

static void go_on(struct catch_up *catch_up)
{
	switch (catch_up->stage) {
	case RESTING:
		begin_again(catch_up);
		break;
	case HEARING_USER:
	case HEARING:
		interest_await(catch_up->resume->interest, &catch_up->wait);
		break;
	case READING_FOLLOWS:
		read_follows(catch_up);
		break;
	case READING_HEADS:
		read_heads(catch_up);
		break;
	case STATING:
		state_wanted(catch_up);
		break;
	case PARTING:
		part(catch_up);
		break;
	case NOTIFYING:
		read_notifications(catch_up);
		break;
	case FEEDING:
		feed_lagging(catch_up);
		break;
	}
}

/* From outside. */

static void remember_cursors(struct catch_up *catch_up, const struct cursor *cursors, size_t count)
{
	catch_up->cursors_memory = memory_new_array(count, sizeof(struct known_cursor));
	for (size_t i = 0; i < count; i++) {
		struct known_cursor *known = &catch_up->cursors_memory[i];
		struct known_cursor *same;

		known->cursor = cursors[i];
		HASH_FIND(hh, catch_up->cursors, &known->cursor.conversation, sizeof(struct uuid),
		          same);
		if (!same)
			HASH_ADD(hh, catch_up->cursors, cursor.conversation, sizeof(struct uuid),
			         known);
	}
}

void resume_session(struct resume *resume, struct session *session, const struct cursor *cursors,
                    size_t count)
{
	struct catch_up *catch_up = memory_new(sizeof(*catch_up));

	catch_up->resume = resume;
	catch_up->session = session_ref(session);
	catch_up->is_first = true;
	catch_up->wait.on_heard = on_heard;
	catch_up->timer.on_due = on_timer_due;
	catch_up->deadline.on_due = on_deadline_due;
	remember_cursors(catch_up, cursors, count);
	HASH_ADD_PTR(resume->catch_ups, session, catch_up);
	timer_start(resume->timers, &catch_up->deadline, resume->options.deadline_ms);
	set_stage(catch_up, HEARING_USER);
	go_on(catch_up);
}

/* A session that rests begins again in the next turn; one that is busy sees it when it rests. */
static void wake(struct catch_up *catch_up)
{
	if (catch_up->stage == RESTING && !timer_is_armed(&catch_up->timer))
		go_on_later(catch_up, 0);
}

struct hint {
	struct resume *resume;
	const struct uuid *conversation;
};

/* A node's own hint comes back to it from the bus, perhaps before the first one is followed. */
static bool is_hinted(const struct catch_up *catch_up, const struct uuid *conversation)
{
	for (size_t i = 0; i < catch_up->hints_count; i++) {
		if (uuid_is_equal(&catch_up->hints[i], conversation))
			return true;
	}
	return false;
}

static void add_hint(void *context, struct session *session)
{
	const struct hint *hint = context;
	struct catch_up *catch_up = find(hint->resume, session);

	if (!catch_up || is_seated(catch_up, hint->conversation) ||
	    is_hinted(catch_up, hint->conversation))
		return;
	if (catch_up->hints_count == HINTS)
		catch_up->is_refresh_asked = true;
	else
		catch_up->hints[catch_up->hints_count++] = *hint->conversation;
	wake(catch_up);
}

void resume_membership_changed(struct resume *resume, const struct user_id *user,
                               const struct uuid *conversation)
{
	struct hint hint = {resume, conversation};

	hub_each_session_of(resume->hub, user, add_hint, &hint);
}

static void ask_refresh(void *context, struct session *session)
{
	struct catch_up *catch_up = find(context, session);

	if (!catch_up)
		return;
	catch_up->is_refresh_asked = true;
	wake(catch_up);
}

void resume_memberships_unknown(struct resume *resume, const struct user_id *user)
{
	hub_each_session_of(resume->hub, user, ask_refresh, resume);
}

void resume_on_lag(void *context, struct session *session)
{
	struct catch_up *catch_up = find(context, session);

	if (!catch_up || catch_up->is_asking || timer_is_armed(&catch_up->timer))
		return;
	if (catch_up->stage == RESTING || catch_up->stage == FEEDING)
		go_on_later(catch_up, 0);
}

/* The hint of a user's return may have come before the news of its going, when it still sat here, and said nothing
 * then. So each going asks how it stands now. */
void resume_on_left(void *context, struct session *session, const struct uuid *conversation,
                    uint64_t seq)
{
	struct hint hint = {context, conversation};
	struct frame *frame = encode_conversation_left(conversation, seq);

	session_push(session, frame);
	frame_unref(frame);
	add_hint(&hint, session);
}

/* Shards. */

static uint32_t user_shard(const struct resume *resume, const struct user_id *user)
{
	return shard_of_user(user, resume->options.shards);
}

static uint32_t conversation_shard(const struct resume *resume, const struct uuid *conversation)
{
	return shard_of_conversation(conversation, resume->options.shards);
}

void resume_on_user_live(void *context, const struct user_id *user)
{
	struct resume *resume = context;

	interest_acquire(resume->interest, user_shard(resume, user));
}

void resume_on_user_idle(void *context, const struct user_id *user)
{
	struct resume *resume = context;

	interest_release(resume->interest, user_shard(resume, user));
}

void resume_on_conversation_live(void *context, const struct uuid *conversation)
{
	struct resume *resume = context;

	interest_acquire(resume->interest, conversation_shard(resume, conversation));
}

void resume_on_conversation_idle(void *context, const struct uuid *conversation)
{
	struct resume *resume = context;

	interest_release(resume->interest, conversation_shard(resume, conversation));
}
