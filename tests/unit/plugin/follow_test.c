#include "plugin/follow.h"

#include "model/event.h"
#include "protocol/encode.h"
#include "protocol/encode_signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct uuid group = {{7}};
static const struct user_id alice = {"alice"};
static const struct user_id bob = {"bob"};

static struct timers timers;
static struct online *online;
static struct memberships *memberships;
static struct buffer buffer;

static void say(void *context, const struct user_id *user, enum presence word)
{
	(void)context;
	(void)user;
	(void)word;
}

static int setup(void **state)
{
	(void)state;
	timers_init(&timers, 0);
	online = online_create(&(struct online_needs){NULL, say}, &timers, 5000);
	memberships = memberships_create();
	memberships_pass_begin(memberships);
	memberships_pass_end(memberships);
	buffer_init(&buffer, 65536);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buffer_done(&buffer);
	memberships_destroy(memberships);
	online_destroy(online);
	timers_done(&timers);
	return 0;
}

static void encode(enum event_kind kind, uint64_t seq, const char *const *users, size_t count)
{
	const struct event event = {
		.conversation = group,
		.seq = seq,
		.kind = kind,
		.sender = "owner",
		.users = users,
		.users_count = count,
		.title = "",
	};
	struct frame *frame = encode_event(&event);

	assert_true(encode_event_entry(&buffer, &event, frame));
	frame_unref(frame);
}

static void events_as_bridges_encode_them_are_followed(void **state)
{
	static const char *const both[] = {"alice", "bob"};

	(void)state;
	encode(EVENT_CREATED, 1, both, 1);
	assert_true(follow_envelope(memberships, online, buffer.bytes, buffer.size));
	assert_true(memberships_has(memberships, &alice, &group));
	assert_false(memberships_has(memberships, &bob, &group));
	encode(EVENT_MEMBERS_ADDED, 2, both + 1, 1);
	assert_true(follow_envelope(memberships, online, buffer.bytes, buffer.size));
	assert_true(memberships_has(memberships, &bob, &group));
	/* Naming somebody is not adding. */
	encode(EVENT_MEMBER_REMOVED, 3, both, 1);
	assert_true(follow_envelope(memberships, online, buffer.bytes, buffer.size));
	assert_false(memberships_has(memberships, &alice, &group));
	encode(EVENT_ROLE_CHANGED, 4, both, 1);
	assert_true(follow_envelope(memberships, online, buffer.bytes, buffer.size));
	assert_false(memberships_has(memberships, &alice, &group));
	assert_true(encode_membership_entry(&buffer, &alice, &group, 5));
	assert_true(follow_envelope(memberships, online, buffer.bytes, buffer.size));
	assert_true(memberships_has(memberships, &alice, &group));
}

static void broken_envelopes_do_no_harm(void **state)
{
	static const char *const both[] = {"alice", "bob"};
	uint8_t bytes[512];
	size_t size;

	(void)state;
	encode(EVENT_CREATED, 1, both, 2);
	size = buffer.size;
	assert_true(size <= sizeof(bytes));
	/* Each length, and each byte in each of some ways. */
	for (size_t i = 0; i < size; i++) {
		if (follow_envelope(memberships, online, buffer.bytes, i))
			continue;
	}
	for (size_t i = 0; i < size * 8; i++) {
		memcpy(bytes, buffer.bytes, size);
		bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
		if (follow_envelope(memberships, online, bytes, size))
			continue;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(events_as_bridges_encode_them_are_followed, setup,
	                                        teardown),
		cmocka_unit_test_setup_teardown(broken_envelopes_do_no_harm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
