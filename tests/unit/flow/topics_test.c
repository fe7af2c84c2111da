/* What members over MQTT are told, where, in which order, and what is not told. */
#include "unit/flow/support.h"

#include "flow/topics.h"
#include "link/link.h"
#include "model/topic.h"
#include "protocol/encode.h"
#include "protocol/encode_signals.h"
#include "store/people.h"
#include "store/query.h"

#include <stdio.h>
#include <string.h>

#define PENDING 4
#define AT_ONCE 2
#define SAID_BYTES 2048

static const struct uuid room = {{1}};

/* What was published, "e1 s0 u1": the last level of the topic and the QoS. */
static char said[SAID_BYTES];

static struct {
	void (*done)(void *context, const struct block_relations_answer *answer);
	void *context;
	size_t users;
	int count;
} blocks;

static struct {
	void (*done[16])(void *context, const struct memberships_answer *answer);
	void *context[16];
	int count;
} memberships;

bool link_publish(struct link *link, const char *topic, const uint8_t *bytes, size_t size, int qos)
{
	struct topic_parts parts;
	size_t used = strlen(said);

	(void)link;
	(void)bytes;
	assert_true(size > 0);
	assert_true(topic_parse(topic, &parts));
	snprintf(said + used, sizeof(said) - used, "%s%s%s%d", used ? " " : "",
	         parts.kind == TOPIC_USER_EVENTS            ? parts.user.text
	         : parts.kind == TOPIC_CONVERSATION_SIGNALS ? "s"
	                                                    : "e",
	         parts.kind == TOPIC_USER_EVENTS ? ":" : "", qos);
	return true;
}

void people_read_blocks(struct store *store, const struct user_id *users, size_t count,
                        uint32_t most,
                        void (*done)(void *context, const struct block_relations_answer *answer),
                        void *context)
{
	(void)store;
	(void)users;
	assert_int_equal(most, 1);
	blocks.done = done;
	blocks.context = context;
	blocks.users = count;
	blocks.count++;
}

void query_memberships(struct store *store, const struct user_id *id,
                       const struct uuid *conversations, size_t count,
                       void (*done)(void *context, const struct memberships_answer *answer),
                       void *context)
{
	(void)store;
	(void)id;
	(void)conversations;
	assert_int_equal(count, 1);
	memberships.done[memberships.count] = done;
	memberships.context[memberships.count++] = context;
}

static const char *read_said(void)
{
	static char text[SAID_BYTES];

	memcpy(text, said, sizeof(text));
	said[0] = '\0';
	return text;
}

static struct topics *open_topics(bool is_on, const struct topics_needs *needs)
{
	said[0] = '\0';
	memset(&blocks, 0, sizeof(blocks));
	memset(&memberships, 0, sizeof(memberships));
	return topics_create(
		&(struct topics_options){.is_on = is_on, .pending = PENDING, .at_once = AT_ONCE},
		needs, NULL, NULL);
}

static void close_topics(struct topics *topics)
{
	topics_stop(topics);
	assert_int_equal(topics_pending(topics), 0);
	topics_destroy(topics);
}

static void tell_typing(struct topics *topics, const char *name)
{
	struct user_id id = user(name);
	struct frame *frame = encode_typing_changed(&room, &id, 6000);

	topics_signal(topics, &room, &id, frame);
	frame_unref(frame);
}

static void answer_blocks(const char *blocked, enum outcome_code code)
{
	const struct block_relation relation = {blocked, "somebody"};

	blocks.done(blocks.context, &(struct block_relations_answer){.outcome = {.code = code},
	                                                             .relations = &relation,
	                                                             .count = blocked ? 1 : 0});
}

static void answer_membership(int place, bool is_member)
{
	const struct membership membership = {.conversation = room, .title = "", .peer = ""};

	memberships.done[place](
		memberships.context[place],
		&(struct memberships_answer){.memberships = is_member ? &membership : NULL,
	                                     .count = is_member});
}

static void tell_event(struct topics *topics, enum event_kind kind)
{
	const char *const users[] = {"bob"};
	const struct event event = {.conversation = room,
	                            .seq = 7,
	                            .kind = kind,
	                            .sender = "alice",
	                            .users = users,
	                            .users_count = 1,
	                            .content_type = "",
	                            .title = ""};
	struct frame *frame = encode_event(&event);

	topics_event(topics, &event, frame);
	frame_unref(frame);
}

static void event_goes_to_members_and_then_who_left_is_told(void **state)
{
	struct topics *topics = open_topics(true, &(struct topics_needs){0});

	(void)state;
	tell_event(topics, EVENT_ROLE_CHANGED);
	assert_string_equal(read_said(), "e1");
	tell_event(topics, EVENT_MEMBER_REMOVED);
	assert_string_equal(read_said(), "e1 bob:1");
	close_topics(topics);
}

static bool is_conversation_heard(void *context, const struct uuid *conversation)
{
	(void)conversation;
	return *(const bool *)context;
}

static bool is_user_heard(void *context, const struct user_id *id)
{
	(void)context;
	return strcmp(id->text, "bob") == 0;
}

static void nothing_is_published_for_nobody(void **state)
{
	bool is_heard = false;
	const struct user_id users[] = {user("alice"), user("bob")};
	const struct topics_needs needs = {&is_heard, is_conversation_heard, is_user_heard};
	struct topics *topics = open_topics(true, &needs);

	(void)state;
	tell_event(topics, EVENT_MEMBER_REMOVED);
	tell_typing(topics, "alice");
	topics_joined(topics, &room, users, 2);
	assert_string_equal(read_said(), "bob:1");
	assert_int_equal(blocks.count, 0);
	assert_int_equal(memberships.count, 1);
	answer_membership(0, true);
	assert_string_equal(read_said(), "bob:1");
	close_topics(topics);

	topics = open_topics(false, &(struct topics_needs){0});
	tell_event(topics, EVENT_MEMBER_REMOVED);
	tell_typing(topics, "alice");
	topics_joined(topics, &room, users, 2);
	assert_string_equal(read_said(), "");
	assert_int_equal(blocks.count + memberships.count, 0);
	close_topics(topics);
}

static void signals_of_a_moment_are_one_question_and_those_of_the_blocked_are_dropped(void **state)
{
	struct topics *topics = open_topics(true, &(struct topics_needs){0});

	(void)state;
	tell_typing(topics, "alice");
	assert_int_equal(blocks.users, 1);
	tell_typing(topics, "bob");
	tell_typing(topics, "carol");
	assert_int_equal(blocks.count, 1);
	assert_string_equal(read_said(), "");
	answer_blocks(NULL, OUTCOME_OK);
	assert_string_equal(read_said(), "s0");
	assert_int_equal(blocks.count, 2);
	assert_int_equal(blocks.users, 2);
	answer_blocks("bob", OUTCOME_OK);
	assert_string_equal(read_said(), "s0");
	assert_int_equal(blocks.count, 2);
	/* Not knowing is not telling. */
	tell_typing(topics, "alice");
	answer_blocks(NULL, OUTCOME_UNAVAILABLE);
	assert_string_equal(read_said(), "");
	close_topics(topics);
}

static void what_waits_has_a_bound_and_ends_with_the_stop(void **state)
{
	struct topics *topics = open_topics(true, &(struct topics_needs){0});
	struct user_id users[10];

	(void)state;
	for (int i = 0; i < 10; i++) {
		users[i] = user("somebody");
		tell_typing(topics, "alice");
	}
	assert_int_equal(topics_pending(topics), PENDING);
	topics_joined(topics, &room, users, 10);
	assert_int_equal(memberships.count, AT_ONCE);
	assert_int_equal(topics_pending(topics), PENDING + PENDING);
	answer_membership(0, true);
	assert_int_equal(memberships.count, AT_ONCE + 1);
	/* Who is no member any more was told so. */
	answer_membership(1, false);
	assert_string_equal(read_said(), "somebody:1");
	topics_stop(topics);
	answer_membership(2, true);
	answer_membership(3, true);
	answer_blocks(NULL, OUTCOME_OK);
	assert_string_equal(read_said(), "");
	assert_int_equal(memberships.count, PENDING);
	close_topics(topics);
}

static void notification_goes_to_its_user_after_what_it_replaced(void **state)
{
	struct topics *topics = open_topics(true, &(struct topics_needs){0});
	const int64_t gone[] = {3};
	const struct notification_change change = {
		.user = user("alice"), .number = 4, .gone = gone, .gone_count = 1};
	const struct notification notification = {
		.id = "i", .service = "s", .kind = "", .content_type = "", .collapse_key = ""};

	(void)state;
	topics_notification(topics, &change, &notification);
	assert_string_equal(read_said(), "alice:1 alice:1");
	topics_notification(topics, &change, NULL);
	assert_string_equal(read_said(), "alice:1");
	close_topics(topics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_goes_to_members_and_then_who_left_is_told),
		cmocka_unit_test(nothing_is_published_for_nobody),
		cmocka_unit_test(
			signals_of_a_moment_are_one_question_and_those_of_the_blocked_are_dropped),
		cmocka_unit_test(what_waits_has_a_bound_and_ends_with_the_stop),
		cmocka_unit_test(notification_goes_to_its_user_after_what_it_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
