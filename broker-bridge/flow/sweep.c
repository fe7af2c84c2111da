#include "flow/sweep.h"

#include "base/log.h"
#include "base/memory.h"
#include "flow/notify.h"
#include "flow/resume.h"
#include "hub/hub.h"
#include "protocol/encode.h"
#include "store/query.h"

#include <stdlib.h>
#include <uthash.h>

#define PAGE 500 /* ids in one question */
#define HOLES_AT_ONCE 100
#define HOLE_EVENTS 500
#define RETRY_MS 500

/* A conversation of which something is missing. */
struct hole {
	struct uuid conversation;
	bool is_asked;
	UT_hash_handle hh;
};

struct sweep {
	struct hub *hub;
	struct store *store;
	struct resume *resume;
	struct notify *notify;
	struct timers *timers;
	uint32_t interval_ms;

	struct timer timer;       /* the next comparison */
	struct timer retry_timer; /* holes that the database did not answer */
	struct hole *holes;
	size_t conversations_place;
	size_t users_place;
	bool is_comparing;
	bool is_again; /* asked for while comparing */
	bool is_fetching;
	bool is_stopped;
};

static void fetch_holes(struct sweep *sweep);
static void compare_conversations(struct sweep *sweep);
static void compare_users(struct sweep *sweep);

static void forget_hole(struct sweep *sweep, struct hole *hole)
{
	HASH_DEL(sweep->holes, hole);
	free(hole);
}

static void offer_events(struct sweep *sweep, const struct events_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct event *event = &answer->events[i];
		struct frame *frame = encode_event(event);

		hub_offer(sweep->hub, &event->conversation, event->seq, frame);
		frame_unref(frame);
	}
}

/* Whether the answer had anything of a conversation. */
static bool has_events_of(const struct events_answer *answer, const struct uuid *conversation)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (uuid_is_equal(&answer->events[i].conversation, conversation))
			return true;
	}
	return false;
}

/* What was asked is filled, gone, or goes on at its new place. A whole page may have had no room for the
 * later ones, so these only count as answered if there was no more. */
static void settle_holes(struct sweep *sweep, const struct events_answer *answer)
{
	struct hole *hole;
	struct hole *next;

	HASH_ITER(hh, sweep->holes, hole, next) {
		struct conversation *conversation =
			hub_find_conversation(sweep->hub, &hole->conversation);
		bool was_asked = hole->is_asked;

		hole->is_asked = false;
		if (!conversation || !conversation_hole(conversation)) {
			forget_hole(sweep, hole);
		} else if (was_asked && !answer->has_more &&
		           !has_events_of(answer, &hole->conversation)) {
			conversation_forget_hole(conversation);
			forget_hole(sweep, hole);
		}
	}
}

static void on_log(void *context, const struct events_answer *answer)
{
	struct sweep *sweep = context;

	sweep->is_fetching = false;
	if (sweep->is_stopped)
		return;
	if (!outcome_is_ok(&answer->outcome)) {
		timer_start(sweep->timers, &sweep->retry_timer, RETRY_MS);
		return;
	}
	offer_events(sweep, answer);
	settle_holes(sweep, answer);
	fetch_holes(sweep);
}

static void fetch_holes(struct sweep *sweep)
{
	struct log_place places[HOLES_AT_ONCE];
	size_t count = 0;
	struct hole *hole;
	struct hole *next;

	if (sweep->is_fetching || sweep->is_stopped)
		return;
	HASH_ITER(hh, sweep->holes, hole, next) {
		struct conversation *conversation =
			hub_find_conversation(sweep->hub, &hole->conversation);
		uint64_t missing = conversation ? conversation_hole(conversation) : 0;

		if (!missing) {
			forget_hole(sweep, hole);
			continue;
		}
		hole->is_asked = true;
		places[count++] = (struct log_place){hole->conversation, missing - 1};
		if (count == HOLES_AT_ONCE)
			break;
	}
	if (!count)
		return;
	sweep->is_fetching = true;
	query_log(sweep->store, places, count, HOLE_EVENTS, LIMIT_HISTORY_BYTES * 4, on_log, sweep);
}

static void on_retry_due(struct timer *timer)
{
	fetch_holes((struct sweep *)((char *)timer - offsetof(struct sweep, retry_timer)));
}

void sweep_hole(struct sweep *sweep, const struct uuid *conversation)
{
	struct hole *hole;

	HASH_FIND(hh, sweep->holes, conversation, sizeof(*conversation), hole);
	if (!hole) {
		hole = memory_new(sizeof(*hole));
		hole->conversation = *conversation;
		HASH_ADD(hh, sweep->holes, conversation, sizeof(hole->conversation), hole);
	}
	if (!timer_is_armed(&sweep->retry_timer))
		fetch_holes(sweep);
}

static void finish(struct sweep *sweep)
{
	sweep->is_comparing = false;
	timer_start(sweep->timers, &sweep->timer, sweep->is_again ? 0 : sweep->interval_ms);
	sweep->is_again = false;
}

static void on_heads(void *context, const struct heads_answer *answer)
{
	struct sweep *sweep = context;

	if (sweep->is_stopped)
		return;
	if (!outcome_is_ok(&answer->outcome)) {
		finish(sweep);
		return;
	}
	for (size_t i = 0; i < answer->count; i++) {
		struct conversation *conversation =
			hub_find_conversation(sweep->hub, &answer->heads[i].conversation);

		/* One that is not known yet is somebody's who will learn it after hearing the shard. */
		if (!conversation || !conversation_is_known(conversation))
			continue;
		conversation_learn_members(conversation, answer->heads[i].member_count);
		conversation_learn_head(conversation, answer->heads[i].last_seq);
	}
	compare_conversations(sweep);
}

static void compare_conversations(struct sweep *sweep)
{
	struct uuid ids[PAGE];
	size_t count = hub_list_conversations(sweep->hub, &sweep->conversations_place, ids, PAGE);

	if (count)
		query_heads(sweep->store, ids, count, on_heads, sweep);
	else
		compare_users(sweep);
}

static void on_versions(void *context, const struct membership_versions_answer *answer)
{
	struct sweep *sweep = context;

	if (sweep->is_stopped)
		return;
	if (!outcome_is_ok(&answer->outcome)) {
		finish(sweep);
		return;
	}
	for (size_t i = 0; i < answer->count; i++) {
		const struct membership_version *now = &answer->versions[i];

		if (now->version != hub_membership_version(sweep->hub, &now->user))
			resume_memberships_unknown(sweep->resume, &now->user);
		notify_learn(sweep->notify, &now->user, now->notifications);
	}
	compare_users(sweep);
}

static void compare_users(struct sweep *sweep)
{
	struct user_id *ids = memory_new_array(PAGE, sizeof(*ids));
	size_t count = hub_list_users(sweep->hub, &sweep->users_place, ids, PAGE);

	if (count)
		query_membership_versions(sweep->store, ids, count, on_versions, sweep);
	else
		finish(sweep);
	free(ids);
}

void sweep_now(struct sweep *sweep)
{
	if (sweep->is_comparing) {
		sweep->is_again = true;
		return;
	}
	sweep->is_comparing = true;
	sweep->conversations_place = 0;
	sweep->users_place = 0;
	timer_stop(sweep->timers, &sweep->timer);
	compare_conversations(sweep);
}

static void on_sweep_due(struct timer *timer)
{
	sweep_now((struct sweep *)((char *)timer - offsetof(struct sweep, timer)));
}

struct sweep *sweep_create(struct hub *hub, struct store *store, struct resume *resume,
                           struct timers *timers, uint32_t interval_ms)
{
	struct sweep *sweep = memory_new(sizeof(*sweep));

	sweep->hub = hub;
	sweep->store = store;
	sweep->resume = resume;
	sweep->timers = timers;
	sweep->interval_ms = interval_ms;
	sweep->timer.on_due = on_sweep_due;
	sweep->retry_timer.on_due = on_retry_due;
	timer_start(timers, &sweep->timer, interval_ms);
	return sweep;
}

void sweep_set_notify(struct sweep *sweep, struct notify *notify)
{
	sweep->notify = notify;
}

void sweep_stop(struct sweep *sweep)
{
	sweep->is_stopped = true;
	timer_stop(sweep->timers, &sweep->timer);
	timer_stop(sweep->timers, &sweep->retry_timer);
}

void sweep_destroy(struct sweep *sweep)
{
	struct hole *hole;
	struct hole *next;

	HASH_ITER(hh, sweep->holes, hole, next)
		forget_hole(sweep, hole);
	free(sweep);
}
