/* Frames of a client: whole, in parts, too large, unmasked, and wrong. */
#include "front/support.h"

#include <string.h>

#define TOO_BIG "the message is larger than Limits.frame_bytes"

static struct stage stage;

static void open_stage(void)
{
	stage_begin(&stage);
	stage_open(&stage);
}

static void send_part(struct client *client, uint8_t first, const char *text)
{
	client_send_frame(client,
	                  (struct sent_frame){.first = first, .bytes = text, .size = strlen(text)});
}

static void await_message(const char *text)
{
	int before = stage.dispatcher.messages;

	await(&stage, stage.dispatcher.messages > before);
	assert_int_equal(stage.dispatcher.last.size, strlen(text));
	assert_memory_equal(stage.dispatcher.last.bytes, text, strlen(text));
}

static void await_close(struct client *client, int code, const char *reason)
{
	struct seen_frame frame;

	await(&stage, client_take_frame(client, &frame));
	if (!is_close(&frame, code, reason))
		fail_msg("opcode %d, code %d instead of %d", frame.opcode,
		         frame.size > 1 ? frame.bytes[0] << 8 | frame.bytes[1] : 0, code);
}

static void fragments_are_one_message(void **state)
{
	(void)state;
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client = client_open_session(&stage, is_tls);

		send_part(client, 0x02, "a");
		send_part(client, 0x00, "");
		send_part(client, 0x00, "bc");
		send_part(client, 0x80, "d");
		await_message("abcd");
		send_part(client, 0x02, "e");
		send_part(client, 0x80, "");
		await_message("e");
		send_part(client, 0x82, "next");
		await_message("next");
	}
	stage_close(&stage);
}

static void control_frames_may_come_between_fragments(void **state)
{
	struct client *client;
	struct seen_frame frame;

	(void)state;
	open_stage();
	client = client_open_session(&stage, false);
	send_part(client, 0x02, "a");
	send_part(client, 0x89, "are you there");
	send_part(client, 0x8a, "unasked");
	send_part(client, 0x00, "b");
	send_part(client, 0x8a, "");
	send_part(client, 0x80, "c");
	await_message("abc");
	await(&stage, client_take_frame(client, &frame));
	assert_int_equal(frame.opcode, 10);
	assert_int_equal(frame.size, strlen("are you there"));
	assert_memory_equal(frame.bytes, "are you there", frame.size);
	stage_close(&stage);
}

static void message_of_exactly_the_limit_is_taken(void **state)
{
	static uint8_t bytes[65536];
	struct client *client;

	(void)state;
	open_stage();
	client = client_open_session(&stage, false);
	client_send_message(client, bytes, sizeof(bytes));
	await(&stage, stage.dispatcher.messages == 1);
	assert_int_equal(stage.dispatcher.last.size, sizeof(bytes));
	client_send_frame(
		client, (struct sent_frame){.first = 0x02, .bytes = bytes, .size = sizeof(bytes)});
	client_send_frame(client, (struct sent_frame){.first = 0x80});
	await(&stage, stage.dispatcher.messages == 2);
	assert_int_equal(stage.dispatcher.last.size, sizeof(bytes));
	stage_close(&stage);
}

static void larger_message_is_closed_with_1009_whole_or_in_parts(void **state)
{
	static uint8_t bytes[65537];
	/* The sizes of the parts; 0 ends them. */
	static const size_t cases[][4] = {{65537}, {65536, 1}, {1, 65536}, {40000, 40000}};

	(void)state;
	open_stage();
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t *sizes = cases[i / 2];
		struct client *client = client_open_session(&stage, i % 2);

		for (int part = 0; sizes[part]; part++) {
			uint8_t first = (uint8_t)((part ? 0 : 2) | (sizes[part + 1] ? 0 : 0x80));

			client_send_frame(client, (struct sent_frame){.first = first,
			                                              .bytes = bytes,
			                                              .size = sizes[part]});
		}
		await_close(client, CLOSE_TOO_BIG, TOO_BIG);
	}
	assert_int_equal(stage.dispatcher.messages, 0);
	stage_close(&stage);
}

/* The header says it: nothing of it must be waited for. */
static void message_that_claims_to_be_huge_is_closed_at_its_first_bytes(void **state)
{
	static const uint8_t heads[][14] = {
		{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0x82, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
		{0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0},
		{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00},
	};
	static uint8_t bytes[4096];

	(void)state;
	open_stage();
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct client *client = client_open_session(&stage, false);

		client_send(client, heads[i], sizeof(heads[i]));
		client_send(client, bytes, sizeof(bytes));
		await_close(client, CLOSE_TOO_BIG, TOO_BIG);
	}
	stage_close(&stage);
}

/* docs/decisions.md: nobody is harmed by a frame that is not masked. It is a message like any other, under the
 * same limits, and the next one is not read with its mask. */
static void unmasked_frames_are_messages_like_others(void **state)
{
	static uint8_t bytes[65537];
	struct client *bare;
	struct client *other;

	(void)state;
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct seen_frame frame;

		other = client_open_session(&stage, is_tls);
		bare = client_open_session(&stage, is_tls);
		send_part(bare, 0x82, "masked");
		await_message("masked");
		client_send_frame(bare, (struct sent_frame){0x82, true, "bare", 4});
		await_message("bare");
		client_send_frame(bare, (struct sent_frame){0x02, true, "ba", 2});
		client_send_frame(bare, (struct sent_frame){0x80, false, "re", 2});
		await_message("bare");
		send_part(bare, 0x82, "masked");
		await_message("masked");
		client_send_frame(bare, (struct sent_frame){0x89, true, "ping", 4});
		await(&stage, client_take_frame(bare, &frame));
		assert_int_equal(frame.opcode, 10);
		client_send_frame(bare, (struct sent_frame){0x82, true, bytes, sizeof(bytes)});
		await_close(bare, CLOSE_TOO_BIG, TOO_BIG);
		send_part(other, 0x82, "other");
		await_message("other");
	}
	stage_close(&stage);
}

static void frames_against_the_protocol_end_the_connection(void **state)
{
	static const struct {
		const char *what;
		const uint8_t bytes[14];
		size_t size;
	} cases[] = {
		{"a reserved bit", {0xc2, 0x80}, 6},
		{"another reserved bit", {0x92, 0x80}, 6},
		{"an unknown opcode", {0x83, 0x80}, 6},
		{"an unknown control opcode", {0x8b, 0x80}, 6},
		{"a ping in parts", {0x09, 0x80}, 6},
		{"a ping of 126 bytes", {0x89, 0xfe, 0, 126}, 8},
		{"a continuation of nothing", {0x80, 0x80}, 6},
		{"a length with the first bit", {0x82, 0xff, 0x80}, 14},
		{"a message within a message", {0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80}, 12},
		{"no bytes in the long form, unmasked", {0x82, 126, 0, 0}, 14},
		{"no bytes in the longest form, unmasked", {0x82, 127}, 14},
	};

	(void)state;
	open_stage();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client *client = client_open_session(&stage, i % 2);

		client_send(client, cases[i].bytes, cases[i].size);
		/* A close frame waits for its answer, and a client like this one gives none. */
		await(&stage, client->is_ended || client_waiting(client));
		if (!client->is_ended && !client_waiting(client))
			fail_msg("%s", cases[i].what);
		client_close(client);
		await(&stage, stage_sessions(&stage) == 0);
	}
	assert_int_equal(stage.dispatcher.messages, 0);
	stage_close(&stage);
}

static void text_message_is_closed_with_4000(void **state)
{
	(void)state;
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client = client_open_session(&stage, is_tls);

		send_part(client, 0x81, "hello");
		await_close(client, CLOSE_PROTOCOL_ERROR,
		            "a text message came; send binary messages");
		/* Nothing that follows counts. */
		send_part(client, 0x82, "more");
		send_part(client, 0x88, "\x03\xe8");
		await(&stage, client->is_ended);
	}
	assert_int_equal(stage.dispatcher.messages, 0);
	stage_close(&stage);
}

static void close_of_the_client_is_answered_and_obeyed(void **state)
{
	struct seen_frame frame;

	(void)state;
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client = client_open_session(&stage, is_tls);

		send_part(client, 0x88, "\x03\xe8");
		await(&stage, client->is_ended);
		assert_true(client_take_frame(client, &frame));
		assert_int_equal(frame.opcode, 8);
		await(&stage, stage_sessions(&stage) == 0);
	}
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_are_one_message),
		cmocka_unit_test(control_frames_may_come_between_fragments),
		cmocka_unit_test(message_of_exactly_the_limit_is_taken),
		cmocka_unit_test(larger_message_is_closed_with_1009_whole_or_in_parts),
		cmocka_unit_test(message_that_claims_to_be_huge_is_closed_at_its_first_bytes),
		cmocka_unit_test(unmasked_frames_are_messages_like_others),
		cmocka_unit_test(text_message_is_closed_with_4000),
		cmocka_unit_test(frames_against_the_protocol_end_the_connection),
		cmocka_unit_test(close_of_the_client_is_answered_and_obeyed),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
