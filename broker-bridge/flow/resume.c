#include "flow/resume.h"

#include "base/memory.h"
#include "base/must.h"
#include "flow/catch_up.h"
#include "protocol/encode.h"

#include <stdlib.h>
#include <string.h>

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

void catch_up_forget_wanted(struct catch_up *catch_up)
{
	free(catch_up->wanted);
	catch_up->wanted = NULL;
	catch_up->wanted_count = 0;
	catch_up->wanted_done = 0;
	free(catch_up->parted);
	catch_up->parted = NULL;
	catch_up->parted_count = 0;
}

void catch_up_make_wanted(struct catch_up *catch_up, size_t count)
{
	catch_up_forget_wanted(catch_up);
	catch_up->wanted = memory_new_array(count, sizeof(struct wanted));
	catch_up->parted =
		memory_new_array(count + HASH_COUNT(catch_up->cursors), sizeof(*catch_up->parted));
}

void catch_up_forget_cursors(struct catch_up *catch_up)
{
	HASH_CLEAR(hh, catch_up->cursors);
	free(catch_up->cursors_memory);
	catch_up->cursors_memory = NULL;
}

static void catch_up_free(struct catch_up *catch_up)
{
	catch_up_forget_wanted(catch_up);
	catch_up_forget_cursors(catch_up);
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

void catch_up_set_stage(struct catch_up *catch_up, enum stage stage)
{
	catch_up->stage = stage;
}

/* Goes on with the present stage after this call has returned to the loop. */
void catch_up_go_on_later(struct catch_up *catch_up, uint64_t delay_ms)
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
		catch_up_go_on(catch_up);
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

	catch_up_set_stage(catch_up,
	                   catch_up->stage == HEARING_USER ? READING_FOLLOWS : READING_HEADS);
	catch_up_go_on_later(catch_up, 0);
}

/* Takes an answer of the store: false if nobody waits for it any more, or if it must be asked again. */
bool catch_up_take_answer(struct catch_up *catch_up, const struct outcome *outcome)
{
	catch_up->is_asking = false;
	if (catch_up->is_gone) {
		catch_up_free(catch_up);
		return false;
	}
	if (!outcome_is_ok(outcome)) {
		catch_up_go_on_later(catch_up, CATCH_UP_RETRY_MS);
		return false;
	}
	return true;
}

struct wanted *catch_up_add_wanted(struct catch_up *catch_up, const struct uuid *conversation)
{
	struct wanted *wanted = &catch_up->wanted[catch_up->wanted_count++];

	*wanted = (struct wanted){
		.conversation = *conversation,
		.signals = conversation_signals(
			hub_get_conversation(catch_up->resume->hub, conversation)),
	};
	return wanted;
}

bool catch_up_is_seated(const struct catch_up *catch_up, const struct uuid *id)
{
	struct conversation *conversation = hub_find_conversation(catch_up->resume->hub, id);

	return conversation && conversation_has_session(conversation, catch_up->session);
}

void catch_up_tell(struct catch_up *catch_up, struct frame *frame)
{
	session_push(catch_up->session, frame);
	frame_unref(frame);
}

/* Hints are wanted conversations that are news. */
static void want_hints(struct catch_up *catch_up)
{
	catch_up_make_wanted(catch_up, catch_up->hints_count);
	for (size_t i = 0; i < catch_up->hints_count; i++) {
		if (!catch_up_is_seated(catch_up, &catch_up->hints[i]))
			catch_up_add_wanted(catch_up, &catch_up->hints[i])->is_joined = true;
	}
	catch_up->hints_count = 0;
	catch_up_set_stage(catch_up, HEARING);
}

/* Something new for a session that rests. */
static void begin_again(struct catch_up *catch_up)
{
	if (catch_up->is_refresh_asked) {
		catch_up->hints_count = 0;
		catch_up_set_stage(catch_up, READING_FOLLOWS);
	} else if (catch_up->hints_count) {
		want_hints(catch_up);
	} else if (session_next_lagging(catch_up->session, NULL) ||
	           session_first_stale(catch_up->session)) {
		catch_up_set_stage(catch_up, FEEDING);
	} else {
		return;
	}
	timer_start(catch_up->resume->timers, &catch_up->deadline,
	            catch_up->resume->options.deadline_ms);
	catch_up_go_on(catch_up);
}

void catch_up_go_on(struct catch_up *catch_up)
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
		catch_up_read_follows(catch_up);
		break;
	case READING_HEADS:
		catch_up_read_heads(catch_up);
		break;
	case STATING:
		catch_up_state(catch_up);
		break;
	case PARTING:
		catch_up_part(catch_up);
		break;
	case VERIFYING:
		catch_up_verify(catch_up);
		break;
	case NOTIFYING:
		catch_up_read_notifications(catch_up);
		break;
	case FEEDING:
		catch_up_feed(catch_up);
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
	catch_up_set_stage(catch_up, HEARING_USER);
	catch_up_go_on(catch_up);
}

/* A session that rests begins again in the next turn; one that is busy sees it when it rests. */
static void wake(struct catch_up *catch_up)
{
	if (catch_up->stage == RESTING && !timer_is_armed(&catch_up->timer))
		catch_up_go_on_later(catch_up, 0);
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

	if (!catch_up || catch_up_is_seated(catch_up, hint->conversation) ||
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
		catch_up_go_on_later(catch_up, 0);
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
