#include "flow/topics.h"

#include "base/memory.h"
#include "base/must.h"
#include "link/link.h"
#include "model/topic.h"
#include "protocol/encode.h"
#include "protocol/encode_notifications.h"
#include "store/people.h"
#include "store/query.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SIGNALS_AT_ONCE 100 /* about whose blocks the store is asked in one question */

/* A user who became a member and is to be told how the conversation stands. */
struct joining {
	struct topics *topics;
	struct joining *prev, *next; /* topics::waiting */
	struct uuid conversation;
	struct user_id user;
};

/* A signal that waits for what is known of the blocks of whom it is about. */
struct asking {
	struct asking *prev, *next; /* topics::signals or topics::judged */
	struct uuid conversation;
	struct user_id about;
	struct frame *frame;
};

struct topics {
	struct topics_options options;
	struct topics_needs needs;
	struct store *store;
	struct link *link;

	struct joining *waiting; /* joining::prev, next */
	uint32_t waiting_count;
	uint32_t asked; /* of the store, unanswered */

	struct asking *signals; /* asking::prev, next */
	struct asking *judged;  /* those that the store is asked about */
	uint32_t signals_count; /* of both */

	bool is_stopped;
};

struct topics *topics_create(const struct topics_options *options, const struct topics_needs *needs,
                             struct store *store, struct link *link)
{
	struct topics *topics = memory_new(sizeof(*topics));

	*topics = (struct topics){

		.options = *options, .needs = *needs, .store = store, .link = link};
	return topics;
}

static void drop_signal(struct topics *topics, struct asking *asking)
{
	topics->signals_count--;
	frame_unref(asking->frame);
	free(asking);
}

void topics_stop(struct topics *topics)
{
	struct joining *joining;
	struct asking *asking;

	topics->is_stopped = true;
	while ((joining = topics->waiting)) {
		DL_DELETE(topics->waiting, joining);
		free(joining);
	}
	topics->waiting_count = 0;
	while ((asking = topics->signals)) {
		DL_DELETE(topics->signals, asking);
		drop_signal(topics, asking);
	}
}

void topics_destroy(struct topics *topics)
{
	must(!topics->waiting && !topics->asked && !topics->signals_count);
	free(topics);
}

size_t topics_pending(const struct topics *topics)
{
	return topics->waiting_count + topics->asked + topics->signals_count;
}

static bool is_conversation_heard(const struct topics *topics, const struct uuid *conversation)
{
	const struct topics_needs *needs = &topics->needs;

	return topics->options.is_on && !topics->is_stopped &&
	       (!needs->is_conversation_heard ||
	        needs->is_conversation_heard(needs->context, conversation));
}

static bool is_user_heard(const struct topics *topics, const struct user_id *user)
{
	const struct topics_needs *needs = &topics->needs;

	return topics->options.is_on && !topics->is_stopped &&
	       (!needs->is_user_heard || needs->is_user_heard(needs->context, user));
}

void topics_user(struct topics *topics, const struct user_id *user, struct frame *frame)
{
	struct topic topic = topic_user_events(user);

	if (is_user_heard(topics, user))
		link_publish(topics->link, topic.text, frame->bytes, frame->size, 1);
}

void topics_notification(struct topics *topics, const struct notification_change *change,
                         const struct notification *notification)
{
	struct notification its;
	struct frame *frame;

	if (!is_user_heard(topics, &change->user))
		return;
	if (change->gone_count) {
		frame = encode_notifications_acked(change->gone, change->gone_count);
		topics_user(topics, &change->user, frame);
		frame_unref(frame);
	}
	if (!notification)
		return;
	its = *notification;
	its.number = change->number;
	frame = encode_notification_batch(&its, 1, false, false);
	topics_user(topics, &change->user, frame);
	frame_unref(frame);
}

static void tell_left(struct topics *topics, const struct event *event)
{
	struct frame *frame = encode_conversation_left(&event->conversation, event->seq);
	struct user_id user;

	for (size_t i = 0; i < event->users_count; i++) {
		if (user_id_from_text(event->users[i], &user))
			topics_user(topics, &user, frame);
	}
	frame_unref(frame);
}

void topics_event(struct topics *topics, const struct event *event, struct frame *frame)
{
	struct topic topic = topic_conversation_events(&event->conversation);

	if (is_conversation_heard(topics, &event->conversation))
		link_publish(topics->link, topic.text, frame->bytes, frame->size, 1);
	/* After the event, which is the last that its user may see. */
	if (event->kind == EVENT_MEMBER_REMOVED)
		tell_left(topics, event);
}

/* Signals. */

static void publish_signal(struct topics *topics, const struct uuid *conversation,
                           const struct frame *frame)
{
	struct topic topic = topic_conversation_signals(conversation);

	link_publish(topics->link, topic.text, frame->bytes, frame->size, 0);
}

static bool is_blocked(const struct block_relations_answer *answer, const struct user_id *user)
{
	for (size_t i = 0; i < answer->count; i++) {
		if (strcmp(answer->relations[i].user, user->text) == 0)
			return true;
	}
	return false;
}

static void judge(struct topics *topics);

static void on_blocks(void *context, const struct block_relations_answer *answer)
{
	struct topics *topics = context;
	struct asking *asking;

	while ((asking = topics->judged)) {
		DL_DELETE(topics->judged, asking);
		if (outcome_is_ok(&answer->outcome) && !topics->is_stopped &&
		    !is_blocked(answer, &asking->about))
			publish_signal(topics, &asking->conversation, asking->frame);
		drop_signal(topics, asking);
	}
	judge(topics);
}

/* All that collected while the last ones were asked about. The store is asked, and not what this node remembers: a
 * block that was answered anywhere is in force here at once. */
static void judge(struct topics *topics)
{
	struct user_id users[SIGNALS_AT_ONCE];
	size_t count = 0;

	if (topics->judged || !topics->signals)
		return;
	while (topics->signals && count < SIGNALS_AT_ONCE) {
		struct asking *asking = topics->signals;

		DL_DELETE(topics->signals, asking);
		DL_APPEND(topics->judged, asking);
		users[count++] = asking->about;
	}
	people_read_blocks(topics->store, users, count, 1, on_blocks, topics);
}

void topics_signal(struct topics *topics, const struct uuid *conversation,
                   const struct user_id *about, struct frame *frame)
{
	struct asking *asking;

	if (!is_conversation_heard(topics, conversation) ||
	    topics->signals_count >= topics->options.pending)
		return;
	asking = memory_new(sizeof(*asking));
	*asking = (struct asking){
		.conversation = *conversation, .about = *about, .frame = frame_ref(frame)};
	DL_APPEND(topics->signals, asking);
	topics->signals_count++;
	judge(topics);
}

/* Joining. */

static void pump(struct topics *topics);

static void on_joined_read(void *context, const struct memberships_answer *answer)
{
	struct joining *joining = context;
	struct topics *topics = joining->topics;
	struct frame *frame;

	topics->asked--;
	/* Who is no member any more was told so meanwhile. */
	if (outcome_is_ok(&answer->outcome) && answer->count) {
		frame = encode_conversation_joined(&answer->memberships[0]);
		topics_user(topics, &joining->user, frame);
		frame_unref(frame);
	}
	free(joining);
	pump(topics);
}

static void pump(struct topics *topics)
{
	while (topics->waiting && topics->asked < topics->options.at_once) {
		struct joining *joining = topics->waiting;

		DL_DELETE(topics->waiting, joining);
		topics->waiting_count--;
		topics->asked++;
		query_memberships(topics->store, &joining->user, &joining->conversation, 1,
		                  on_joined_read, joining);
	}
}

void topics_joined(struct topics *topics, const struct uuid *conversation,
                   const struct user_id *users, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct joining *joining;

		if (!is_user_heard(topics, &users[i]))
			continue;
		if (topics->waiting_count >= topics->options.pending)
			break;
		joining = memory_new(sizeof(*joining));
		*joining = (struct joining){
			.topics = topics, .conversation = *conversation, .user = users[i]};
		DL_APPEND(topics->waiting, joining);
		topics->waiting_count++;
	}
	pump(topics);
}
