#include "hub/conversation.h"

#include "base/memory.h"
#include "base/must.h"
#include "hub/private.h"

#include <stdlib.h>
#include <string.h>

/* The numbers in the tail are next_seq - tail_count up to next_seq - 1. */

static struct frame *tail_get(const struct conversation *conversation, uint64_t seq)
{
	uint64_t first = conversation->next_seq - conversation->tail_count;

	if (seq < first || seq >= conversation->next_seq)
		return NULL;
	return conversation->tail[(conversation->tail_first + (seq - first)) %
	                          conversation->hub->options.tail_events];
}

static void tail_drop_first(struct conversation *conversation)
{
	struct frame *frame = conversation->tail[conversation->tail_first];

	conversation->tail_bytes -= frame->size;
	conversation->tail_first =
		(conversation->tail_first + 1) % conversation->hub->options.tail_events;
	conversation->tail_count--;
	frame_unref(frame);
}

/* Called with the frame of next_seq, before next_seq moves on. */
static void tail_add(struct conversation *conversation, struct frame *frame)
{
	const struct hub_options *options = &conversation->hub->options;

	if (!conversation->tail)
		conversation->tail = memory_new_array(options->tail_events, sizeof(struct frame *));
	while (conversation->tail_count &&
	       (conversation->tail_count == options->tail_events ||
	        conversation->tail_bytes + frame->size > options->tail_bytes))
		tail_drop_first(conversation);
	conversation->tail[(conversation->tail_first + conversation->tail_count) %
	                   options->tail_events] = frame_ref(frame);
	conversation->tail_count++;
	conversation->tail_bytes += frame->size;
}

static void on_hole_due(struct timer *timer)
{
	struct conversation *conversation =
		(struct conversation *)((char *)timer - offsetof(struct conversation, hole_timer));
	struct hub *hub = conversation->hub;

	if (!conversation_hole(conversation))
		return;
	hub->counts.holes++;
	hub->needs.on_hole(hub->needs.context, &conversation->id);
}

static void on_linger_due(struct timer *timer)
{
	struct conversation *conversation =
		(struct conversation *)((char *)timer -
	                                offsetof(struct conversation, linger_timer));

	if (!conversation->seats)
		hub_drop_conversation(conversation->hub, conversation);
}

struct conversation *conversation_create(struct hub *hub, const struct uuid *id)
{
	struct conversation *conversation = memory_new(sizeof(*conversation));

	conversation->hub = hub;
	conversation->id = *id;
	conversation->hole_timer.on_due = on_hole_due;
	conversation->linger_timer.on_due = on_linger_due;
	timer_start(hub->timers, &conversation->linger_timer, hub->options.linger_ms);
	return conversation;
}

void conversation_destroy(struct conversation *conversation)
{
	must(!conversation->seats);
	timer_stop(conversation->hub->timers, &conversation->hole_timer);
	timer_stop(conversation->hub->timers, &conversation->linger_timer);
	while (conversation->tail_count)
		tail_drop_first(conversation);
	for (uint32_t i = 0; i < conversation->held_count; i++)
		frame_unref(conversation->held[i].frame);
	free(conversation->held);
	free(conversation->tail);
	free(conversation);
}

const struct uuid *conversation_id(const struct conversation *conversation)
{
	return &conversation->id;
}

bool conversation_is_known(const struct conversation *conversation)
{
	return conversation->next_seq != 0;
}

uint64_t conversation_next_seq(const struct conversation *conversation)
{
	return conversation->next_seq;
}

size_t conversation_seats(const struct conversation *conversation)
{
	return conversation->seats_count;
}

/* A seat's lag is counted in its session, so that nobody has to look for one that is not there. */
static void seat_set_lagging(struct seat *seat, bool is_lagging)
{
	if (seat->is_lagging == is_lagging)
		return;
	seat->is_lagging = is_lagging;
	if (is_lagging)
		seat->session->lagging++;
	else
		seat->session->lagging--;
}

void seat_leave(struct seat *seat)
{
	struct conversation *conversation = seat->conversation;

	seat_set_lagging(seat, false);
	DL_DELETE(conversation->seats, seat);
	conversation->seats_count--;
	DL_DELETE2(seat->session->seats, seat, session_prev, session_next);
	seat->session->seats_count--;
	free(seat);
	if (!conversation->seats)
		timer_start(conversation->hub->timers, &conversation->linger_timer,
		            conversation->hub->options.linger_ms);
}

/* The seat's next event. With its own removal the seat ends, so that nothing later reaches a user who is no
 * member any more, on whatever node and however late this one learns of it. Pushing may close the session, which
 * ends the seat too. False if the seat is gone. */
static bool seat_give(struct seat *seat, uint64_t seq, struct frame *frame)
{
	struct conversation *conversation = seat->conversation;
	struct session *session = seat->session;
	struct hub_needs *needs = &conversation->hub->needs;

	seat->seq = seq;
	session_push(session, frame);
	if (!session_is_open(session))
		return false;
	if (seq <= seat->member_seq || !frame->leaver ||
	    strcmp(frame->leaver, session->user.text) != 0)
		return true;
	seat_leave(seat);
	needs->on_left(needs->context, session, &conversation->id, seq);
	return false;
}

/* Hands the seat what the tail has for it, and finds out whether that was all. False if the seat is gone. */
static bool seat_advance(struct seat *seat)
{
	struct conversation *conversation = seat->conversation;
	struct frame *frame;

	while ((frame = tail_get(conversation, seat->seq + 1))) {
		if (!seat_give(seat, seat->seq + 1, frame))
			return false;
	}
	seat_set_lagging(seat, conversation_is_known(conversation) &&
	                               seat->seq + 1 < conversation->next_seq);
	return true;
}

/* The frame of next_seq reaches the tail and everyone who waits for just this number. */
static void deliver(struct conversation *conversation, struct frame *frame)
{
	const struct hub_needs *needs = &conversation->hub->needs;
	uint64_t seq = conversation->next_seq;
	struct user_id leaver;
	struct seat *seat;
	struct seat *next;

	/* What is emptied in the log must not be told from here: neither the message nor its edits. */
	while (frame->redacts_seq && conversation->tail_count)
		tail_drop_first(conversation);
	tail_add(conversation, frame);
	conversation->next_seq++;
	DL_FOREACH_SAFE(conversation->seats, seat, next) {
		if (seat->seq + 1 == seq)
			seat_give(seat, seq, frame);
	}
	if (frame->leaver && user_id_from_text(frame->leaver, &leaver))
		needs->on_departure(needs->context, &leaver);
}

static void held_remove_first(struct conversation *conversation, uint32_t count)
{
	conversation->held_count -= count;
	memmove(conversation->held, conversation->held + count,
	        conversation->held_count * sizeof(struct held));
}

/* What was held and is not ahead any more: delivered if it is the next, dropped if it is known. */
static void release_held(struct conversation *conversation)
{
	uint32_t done = 0;

	while (done < conversation->held_count &&
	       conversation->held[done].seq <= conversation->next_seq) {
		struct held *held = &conversation->held[done++];

		if (held->seq == conversation->next_seq)
			deliver(conversation, held->frame);
		frame_unref(held->frame);
	}
	if (done)
		held_remove_first(conversation, done);
}

static void held_insert(struct conversation *conversation, uint32_t place, uint64_t seq,
                        struct frame *frame)
{
	if (conversation->held_count == conversation->held_capacity) {
		conversation->held_capacity =
			conversation->held_capacity ? conversation->held_capacity * 2 : 4;
		conversation->held = memory_resize(conversation->held, conversation->held_capacity *
		                                                               sizeof(struct held));
	}
	memmove(conversation->held + place + 1, conversation->held + place,
	        (conversation->held_count - place) * sizeof(struct held));
	conversation->held[place] = (struct held){.seq = seq, .frame = frame_ref(frame)};
	conversation->held_count++;
}

/* Keeps an event for later, in order. At the bound the farthest one goes: the log has it. */
static void hold(struct conversation *conversation, uint64_t seq, struct frame *frame)
{
	struct hub_counts *counts = &conversation->hub->counts;
	uint32_t place = conversation->held_count;

	while (place && conversation->held[place - 1].seq > seq)
		place--;
	if (place && conversation->held[place - 1].seq == seq)
		return;
	counts->held++;
	if (conversation->held_count == conversation->hub->options.held_events) {
		counts->held_lost++;
		if (place == conversation->held_count)
			return;
		frame_unref(conversation->held[--conversation->held_count].frame);
	}
	held_insert(conversation, place, seq, frame);
}

static void watch_hole(struct conversation *conversation, uint64_t delay_ms)
{
	if (!conversation_is_known(conversation))
		return;
	if (!conversation_hole(conversation))
		timer_stop(conversation->hub->timers, &conversation->hole_timer);
	else if (!timer_is_armed(&conversation->hole_timer))
		timer_start(conversation->hub->timers, &conversation->hole_timer, delay_ms);
}

void conversation_offer(struct conversation *conversation, uint64_t seq, struct frame *frame)
{
	if (seq > conversation->known_last_seq)
		conversation->known_last_seq = seq;
	if (!conversation_is_known(conversation) || seq > conversation->next_seq) {
		hold(conversation, seq, frame);
	} else if (seq == conversation->next_seq) {
		deliver(conversation, frame);
		release_held(conversation);
	} else {
		conversation->hub->counts.known++;
	}
	watch_hole(conversation, conversation->hub->options.hole_ms);
}

/* Too much was missed to be fetched for all: goes on from `seq`, and every seat finds its own way there. */
static void jump(struct conversation *conversation, uint64_t seq)
{
	struct hub_needs *needs = &conversation->hub->needs;
	struct seat *seat;
	struct seat *next;

	while (conversation->tail_count)
		tail_drop_first(conversation);
	conversation->next_seq = seq + 1;
	DL_FOREACH_SAFE(conversation->seats, seat, next) {
		if (seat->seq >= seq)
			continue;
		seat_set_lagging(seat, true);
		needs->on_lag(needs->context, seat->session);
	}
	release_held(conversation);
}

void conversation_learn_head(struct conversation *conversation, uint64_t last_seq)
{
	if (last_seq > conversation->known_last_seq)
		conversation->known_last_seq = last_seq;
	if (!conversation_is_known(conversation)) {
		conversation->next_seq = last_seq + 1;
		release_held(conversation);
	} else if (last_seq >= conversation->next_seq + conversation->hub->options.resume_events) {
		jump(conversation, last_seq);
	}
	/* The log has it already, so there is nothing to wait for. */
	watch_hole(conversation, 0);
}

void conversation_learn_members(struct conversation *conversation, uint32_t member_count)
{
	conversation->member_count = member_count;
}

uint32_t conversation_members(const struct conversation *conversation)
{
	return conversation->member_count;
}

uint64_t conversation_hole(const struct conversation *conversation)
{
	if (!conversation_is_known(conversation) ||
	    conversation->known_last_seq < conversation->next_seq)
		return 0;
	return conversation->next_seq;
}

void conversation_forget_hole(struct conversation *conversation)
{
	while (conversation->held_count)
		frame_unref(conversation->held[--conversation->held_count].frame);
	conversation->known_last_seq = conversation->next_seq - 1;
	timer_stop(conversation->hub->timers, &conversation->hole_timer);
}

struct seat *conversation_find_seat(const struct conversation *conversation,
                                    const struct session *session)
{
	struct seat *seat;

	/* The shorter of the two lists: a large group has many seats, a busy user sits in many. */
	if (conversation->seats_count < session->seats_count) {
		DL_FOREACH(conversation->seats, seat) {
			if (seat->session == session)
				return seat;
		}
		return NULL;
	}
	DL_FOREACH2(session->seats, seat, session_next) {
		if (seat->conversation == conversation)
			return seat;
	}
	return NULL;
}

bool conversation_has_session(const struct conversation *conversation,
                              const struct session *session)
{
	return conversation_find_seat(conversation, session) != NULL;
}

struct seat *conversation_join(struct conversation *conversation, struct session *session,
                               uint64_t after_seq, uint64_t member_seq)
{
	struct seat *seat;

	if (!session_is_open(session) || conversation_has_session(conversation, session))
		return NULL;
	seat = memory_new(sizeof(*seat));
	seat->conversation = conversation;
	seat->session = session;
	seat->seq = after_seq;
	seat->member_seq = member_seq;
	DL_APPEND(conversation->seats, seat);
	conversation->seats_count++;
	DL_APPEND2(session->seats, seat, session_prev, session_next);
	session->seats_count++;
	timer_stop(conversation->hub->timers, &conversation->linger_timer);
	return seat_advance(seat) ? seat : NULL;
}

void session_leave_all(struct session *session)
{
	while (session->seats)
		seat_leave(session->seats);
}

const struct uuid *seat_conversation(const struct seat *seat)
{
	return &seat->conversation->id;
}

uint64_t seat_seq(const struct seat *seat)
{
	return seat->seq;
}

bool seat_is_lagging(const struct seat *seat)
{
	return seat->is_lagging;
}

uint64_t seat_distance(const struct seat *seat)
{
	uint64_t next_seq = seat->conversation->next_seq;

	return next_seq > seat->seq + 1 ? next_seq - seat->seq - 1 : 0;
}

void seat_feed(struct seat *seat, uint64_t seq, struct frame *frame)
{
	if (seq == seat->seq + 1 && seat_give(seat, seq, frame))
		seat_advance(seat);
}

struct seat *session_next_lagging(const struct session *session, const struct seat *after)
{
	struct seat *seat = after ? after->session_next : session->seats;

	if (!session->lagging)
		return NULL;
	while (seat && !seat->is_lagging)
		seat = seat->session_next;
	return seat;
}
