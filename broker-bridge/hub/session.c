#include "hub/session.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "hub/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_QUEUE_CAPACITY 8

static const char *const state_names[] = {"awaiting_hello", "catching_up", "live", "closing",
                                          "closed"};

static void set_state(struct session *session, enum session_state state)
{
	/* Every arrow of the picture points onwards. */
	must(state > session->state);
	log_debug("session state", log_number("session", (int64_t)session->id),
	          log_text("from", state_names[session->state]),
	          log_text("to", state_names[state]));
	session->state = state;
}

static struct session *session_of(struct timer *timer)
{
	return (struct session *)((char *)timer - offsetof(struct session, timer));
}

static void on_hello_due(struct timer *timer)
{
	session_close(session_of(timer), CLOSE_HELLO_TIMEOUT, "no Hello came in time");
}

struct session *session_create(struct hub *hub, const struct session_options *options,
                               struct pipe *pipe)
{
	struct session *session = memory_new(sizeof(*session));

	session->hub = hub;
	session->options = options;
	session->pipe = pipe;
	session->references = 1;
	hub_add_session(hub, session);
	session->timer.on_due = on_hello_due;
	timer_start(hub->timers, &session->timer, options->hello_ms);
	return session;
}

struct session *session_ref(struct session *session)
{
	session->references++;
	return session;
}

void session_unref(struct session *session)
{
	if (--session->references)
		return;
	must(session->state == SESSION_CLOSED);
	free(session);
}

static void drop_queue(struct session *session)
{
	while (session->queue_count) {
		frame_unref(session->queue[session->queue_first]);
		session->queue_first = (session->queue_first + 1) % session->queue_capacity;
		session->queue_count--;
	}
	free(session->queue);
	session->queue = NULL;
	session->queue_capacity = 0;
	session->queued_bytes = 0;
}

/* What ends with the session's being open, whether it closes or its door goes away first. */
static void retire(struct session *session)
{
	timer_stop(session->hub->timers, &session->timer);
	frame_unref(session->warning);
	session->warning = NULL;
	session_leave_all(session);
	if (session->user.text[0])
		hub_user_leaves(session->hub, session);
}

void session_detach(struct session *session)
{
	if (session_is_open(session))
		retire(session);
	session->pipe = NULL;
	drop_queue(session);
	set_state(session, SESSION_CLOSED);
	hub_remove_session(session->hub, session);
	session_unref(session);
}

static enum counter counter_of(enum close_code code)
{
	switch (code) {
	case CLOSE_DONE:
		return COUNTER_CLOSE_1000;
	case CLOSE_TOO_BIG:
		return COUNTER_CLOSE_1009;
	case CLOSE_DRAINING:
		return COUNTER_CLOSE_1012;
	case CLOSE_PROTOCOL_ERROR:
		return COUNTER_CLOSE_4000;
	case CLOSE_HELLO_TIMEOUT:
		return COUNTER_CLOSE_4001;
	case CLOSE_BAD_TOKEN:
		return COUNTER_CLOSE_4002;
	case CLOSE_TOKEN_EXPIRED:
		return COUNTER_CLOSE_4003;
	case CLOSE_REVOKED:
		return COUNTER_CLOSE_4004;
	case CLOSE_REPLACED:
		return COUNTER_CLOSE_4005;
	case CLOSE_NOT_ALLOWED:
		return COUNTER_CLOSE_4006;
	case CLOSE_SLOW_CONSUMER:
		return COUNTER_CLOSE_4008;
	case CLOSE_RATE_LIMIT:
		return COUNTER_CLOSE_4009;
	case CLOSE_OVERLOADED:
		return COUNTER_CLOSE_4010;
	}
	return COUNTERS;
}

void session_close(struct session *session, enum close_code code, const char *reason)
{
	if (!session_is_open(session))
		return;
	log_limited(LOG_INFO, "session closing", log_number("session", (int64_t)session->id),
	            log_text("user", session->user.text), log_number("code", code),
	            log_text("reason", reason),
	            log_number("queued_bytes", (int64_t)session->queued_bytes));
	counters_add(counter_of(code));
	if (code == CLOSE_SLOW_CONSUMER)
		session->hub->counts.slow++;
	retire(session);
	set_state(session, SESSION_CLOSING);
	session->pipe->close(session->pipe, code, reason);
}

void session_identify(struct session *session, const struct user_id *user, const char *device)
{
	timer_stop(session->hub->timers, &session->timer);
	session->user = *user;
	snprintf(session->device, sizeof(session->device), "%s", device);
	set_state(session, SESSION_CATCHING_UP);
	hub_user_arrives(session->hub, session);
}

void session_set_live(struct session *session)
{
	set_state(session, SESSION_LIVE);
}

void session_set_away(struct session *session, bool is_away)
{
	if (!session_is_open(session) || session->is_away == is_away)
		return;
	session->is_away = is_away;
	hub_user_says(session->hub, session);
}

/* The ring, made larger and laid out from its beginning. */
static void grow_queue(struct session *session)
{
	uint32_t capacity =
		session->queue_capacity ? session->queue_capacity * 2 : FIRST_QUEUE_CAPACITY;
	struct frame **queue = memory_new_array(capacity, sizeof(struct frame *));

	for (uint32_t i = 0; i < session->queue_count; i++)
		queue[i] = session->queue[(session->queue_first + i) % session->queue_capacity];
	free(session->queue);
	session->queue = queue;
	session->queue_first = 0;
	session->queue_capacity = capacity;
}

/* Reading stops while a command too many is on its way, or so much waits that answers would only add
 * to it. */
static void update_pause(struct session *session)
{
	const struct session_options *options = session->options;
	bool is_full = session->pending_commands >= options->pending_commands ||
	               session->queued_bytes > options->outbound_low_bytes;
	bool has_room = session->pending_commands <= options->pending_commands / 2 &&
	                session->queued_bytes <= options->outbound_low_bytes / 2;

	if (!session_is_open(session) || (session->is_paused ? !has_room : !is_full))
		return;
	session->is_paused = !session->is_paused;
	session->pipe->pause(session->pipe, session->is_paused);
}

void session_push(struct session *session, struct frame *frame)
{
	uint32_t place;

	if (!session_is_open(session))
		return;
	if (session->queued_bytes + frame->size > session->options->outbound_bytes) {
		session_close(session, CLOSE_SLOW_CONSUMER, "too much waits for this client");
		return;
	}
	if (session->queue_count == session->queue_capacity)
		grow_queue(session);
	place = (session->queue_first + session->queue_count) % session->queue_capacity;
	session->queue[place] = frame_ref(frame);
	session->queue_count++;
	session->queued_bytes += frame->size;
	session->hub->counts.delivered++;
	if (session->queue_count == 1)
		session->pipe->wake(session->pipe);
	update_pause(session);
}

bool session_push_signal(struct session *session, struct frame *frame)
{
	if (!session_is_open(session))
		return false;
	if (!session_has_room(session) ||
	    session->queued_bytes + frame->size > session->options->outbound_bytes) {
		session->hub->counts.missed++;
		return false;
	}
	session_push(session, frame);
	return true;
}

/* An idle session keeps no ring: ten thousand of them would. */
static void rest_queue(struct session *session)
{
	if (session->queue_count || !session->queue)
		return;
	free(session->queue);
	session->queue = NULL;
	session->queue_capacity = 0;
	session->queue_first = 0;
}

size_t session_take(struct session *session, struct frame **ret_frames, size_t max_frames,
                    size_t max_bytes)
{
	bool had_room = session_has_room(session);
	size_t count = 0;
	size_t bytes = 0;

	while (session->queue_count && count < max_frames) {
		struct frame *frame = session->queue[session->queue_first];

		if (count && bytes + frame->size > max_bytes)
			break;
		ret_frames[count++] = frame;
		bytes += frame->size;
		session->queue_first = (session->queue_first + 1) % session->queue_capacity;
		session->queue_count--;
	}
	session->queued_bytes -= bytes;
	rest_queue(session);
	update_pause(session);
	if (!had_room && session_has_room(session) && session_is_open(session))
		session->hub->needs.on_lag(session->hub->needs.context, session);
	return count;
}

size_t session_queued_bytes(const struct session *session)
{
	return session->queued_bytes;
}

bool session_has_room(const struct session *session)
{
	return session->queued_bytes < session->options->outbound_low_bytes;
}

void session_command_begun(struct session *session)
{
	session_ref(session);
	session->pending_commands++;
	update_pause(session);
}

void session_command_answered(struct session *session, struct frame *reply_or_null)
{
	session->pending_commands--;
	if (reply_or_null)
		session_push(session, reply_or_null);
	update_pause(session);
	session_unref(session);
}

static void on_expired(struct timer *timer)
{
	session_close(session_of(timer), CLOSE_TOKEN_EXPIRED, "the token has expired");
}

static void on_warning_due(struct timer *timer)
{
	struct session *session = session_of(timer);
	struct frame *warning = session->warning;

	session->warning = NULL;
	timer->on_due = on_expired;
	timer_start(session->hub->timers, timer, session->last_warning_ms);
	session_push(session, warning);
	frame_unref(warning);
}

void session_set_expiry(struct session *session, uint64_t expires_in_ms, uint32_t warning_ms,
                        struct frame *warning)
{
	if (!session_is_open(session))
		return;
	frame_unref(session->warning);
	session->warning = frame_ref(warning);
	session->last_warning_ms =
		expires_in_ms < warning_ms ? (uint32_t)expires_in_ms : warning_ms;
	session->timer.on_due = on_warning_due;
	timer_start(session->hub->timers, &session->timer,
	            expires_in_ms - session->last_warning_ms);
}

enum session_state session_state(const struct session *session)
{
	return session->state;
}

void session_set_notified(struct session *session, uint64_t number)
{
	session->notified = number;
	session->is_notified = true;
}

bool session_is_notified(const struct session *session, uint64_t *ret_number)
{
	*ret_number = session->notified;
	return session->is_notified;
}

bool session_is_open(const struct session *session)
{
	return session->state < SESSION_CLOSING;
}

uint64_t session_id(const struct session *session)
{
	return session->id;
}

const struct user_id *session_user(const struct session *session)
{
	return &session->user;
}

const char *session_device(const struct session *session)
{
	return session->device;
}
