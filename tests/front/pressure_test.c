/* Clients that do not read, or not yet: what was queued arrives whole and in order, and a close is told behind it. */
#include "front/support.h"

#include "base/counters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUED_BYTES (2u * 1024 * 1024)
#define CLOSE_MS 3000 /* the door's: from a close to the end, answered or not */

static struct stage stage;

/* What all frames of a test are cut from: no two places look alike, so a lost, doubled or moved byte shows. */
static uint8_t pattern_at(size_t place)
{
	return (uint8_t)(place ^ place >> 8 ^ place >> 16);
}

static struct frame *create_frame(size_t place, size_t size)
{
	struct frame *frame = frame_create(size);

	for (size_t i = 0; i < size; i++)
		frame->bytes[i] = pattern_at(place + i);
	return frame;
}

/* A session of a client that reads nothing from now on. */
static struct client *open_stalled(bool is_tls)
{
	struct client *client = client_create(&stage);
	size_t before = stage_sessions(&stage);

	client_set_small_buffer(client);
	client_connect(&stage, client, is_tls);
	client_send_upgrade(client, "");
	await(&stage, client_has_text(client, "\r\n\r\n") && stage_sessions(&stage) > before);
	client_forget(client);
	client->is_deaf = true;
	return client;
}

/* Pushes frames of changing sizes, together QUEUED_BYTES, with turns in between as if they came over time. */
static void flood(struct session *session)
{
	static const size_t sizes[] = {200, 15000, 61440, 1, 100000, 4096, 65536, 333};
	size_t place = 0;

	for (int i = 0; place < QUEUED_BYTES; i++) {
		size_t size = sizes[(size_t)i % (sizeof(sizes) / sizeof(sizes[0]))];
		struct frame *frame;

		if (size > QUEUED_BYTES - place)
			size = QUEUED_BYTES - place;
		frame = create_frame(place, size);
		session_push(session, frame);
		frame_unref(frame);
		place += size;
		if (i % 5 == 0)
			stage_turn(&stage);
	}
	/* The socket is full: what else there is has to wait. */
	await(&stage, session_queued_bytes(session) > 0);
	pass(&stage, 20);
	assert_true(session_queued_bytes(session) > 0);
}

/* Reads binary messages until a close frame, and checks every byte; returns how many there were. */
static size_t read_pattern(struct client *client, struct seen_frame *ret_close)
{
	size_t place = 0;

	client->is_deaf = false;
	for (;;) {
		await(&stage, client_take_frame(client, ret_close));
		if (ret_close->opcode == 8)
			return place;
		assert_int_equal(ret_close->opcode, 2);
		assert_true(ret_close->is_final);
		for (size_t i = 0; i < ret_close->size; i++) {
			if (ret_close->bytes[i] != pattern_at(place + i))
				fail_msg("byte %zu is wrong", place + i);
		}
		place += ret_close->size;
		if (place == QUEUED_BYTES)
			return place;
	}
}

static void flood_arrives_byte_by_byte_after_a_stall(void **state)
{
	struct seen_frame frame;

	(void)state;
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client;

		stage_begin(&stage);
		stage_open(&stage);
		client = open_stalled(is_tls);
		flood(stage_session(&stage));
		assert_int_equal(read_pattern(client, &frame), QUEUED_BYTES);
		/* And the stream goes on. */
		client_send_message(client, "still here", 10);
		await(&stage, stage.dispatcher.messages == 1);
		stage_close(&stage);
	}
}

/* Pings go between messages, and not into one. */
static void flood_with_pings_arrives_byte_by_byte(void **state)
{
	struct seen_frame frame;

	(void)state;
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client;

		stage_begin(&stage);
		stage.options.heartbeat_ms = 100;
		stage.options.pong_ms = 5000;
		stage_open(&stage);
		client = open_stalled(is_tls);
		flood(stage_session(&stage));
		pass(&stage, 300);
		assert_int_equal(read_pattern(client, &frame), QUEUED_BYTES);
		stage_close(&stage);
	}
}

static const enum close_code codes[] = {
	CLOSE_DONE,          CLOSE_TOO_BIG,     CLOSE_DRAINING,      CLOSE_PROTOCOL_ERROR,
	CLOSE_HELLO_TIMEOUT, CLOSE_BAD_TOKEN,   CLOSE_TOKEN_EXPIRED, CLOSE_REVOKED,
	CLOSE_REPLACED,      CLOSE_NOT_ALLOWED, CLOSE_RATE_LIMIT,    CLOSE_OVERLOADED,
};

#define CODES (sizeof(codes) / sizeof(codes[0]))

static void answer_close(struct client *client, const struct seen_frame *close)
{
	client_send_frame(
		client,
		(struct sent_frame){.first = 0x88, .bytes = close->bytes, .size = close->size});
	await(&stage, client->is_ended);
}

/* How often a session was closed with this code. */
static uint64_t count_of(enum close_code code)
{
	char cause[16];

	snprintf(cause, sizeof(cause), "%d", code);
	for (size_t i = 0; i < COUNTERS; i++) {
		const struct counter_name *name = counters_name((enum counter)i);

		if (strcmp(name->family, "close") == 0 && strcmp(name->cause, cause) == 0)
			return counters_get((enum counter)i);
	}
	fail_msg("%d is not counted", code);
	return 0;
}

static void every_close_code_is_told_to_an_idle_client(void **state)
{
	struct seen_frame frame;

	(void)state;
	stage_begin(&stage);
	stage_open(&stage);
	for (size_t i = 0; i <= 2 * CODES + 1; i++) {
		struct client *client = client_open_session(&stage, i % 2);
		enum close_code code = i / 2 < CODES ? codes[i / 2] : CLOSE_SLOW_CONSUMER;
		uint64_t before = count_of(code);

		session_close(stage_session(&stage), code, "the reason");
		await(&stage, client_take_frame(client, &frame));
		assert_true(is_close(&frame, (int)code, "the reason"));
		assert_int_equal(count_of(code), before + 1);
		answer_close(client, &frame);
		await(&stage, stage_sessions(&stage) == 0);
	}
	stage_close(&stage);
}

static void every_close_code_is_told_behind_what_was_queued(void **state)
{
	struct seen_frame frame;

	(void)state;
	stage_begin(&stage);
	stage_open(&stage);
	for (size_t i = 0; i < 2 * CODES; i++) {
		struct client *client = open_stalled(i % 2);
		struct session *session = stage_session(&stage);
		struct frame *late = create_frame(0, 10);

		flood(session);
		session_close(session, codes[i / 2], "the reason");
		/* What comes after is not sent. */
		session_push(session, late);
		frame_unref(late);
		pass(&stage, 20);
		assert_int_equal(read_pattern(client, &frame), QUEUED_BYTES);
		await(&stage, client_take_frame(client, &frame));
		if (!is_close(&frame, (int)codes[i / 2], "the reason"))
			fail_msg("opcode %d instead of close %d", frame.opcode, codes[i / 2]);
		answer_close(client, &frame);
		assert_int_equal(client_waiting(client), 0);
		await(&stage, stage_sessions(&stage) == 0);
	}
	stage_close(&stage);
}

static void slow_consumer_is_told_at_once_and_gets_no_more(void **state)
{
	struct seen_frame frame;

	(void)state;
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client;
		size_t got;

		stage_begin(&stage);
		/* The bound itself does it. */
		stage.session.outbound_bytes = QUEUED_BYTES / 4;
		stage_open(&stage);
		client = open_stalled(is_tls);
		while (session_is_open(stage_session(&stage))) {
			/* As many bytes before it does not matter: each frame begins anew. */
			struct frame *big = create_frame(0, 65536);

			session_push(stage_session(&stage), big);
			frame_unref(big);
			stage_turn(&stage);
		}
		client->is_deaf = false;
		got = 0;
		do {
			await(&stage, client_take_frame(client, &frame));
			for (size_t i = 0; frame.opcode == 2 && i < frame.size; i++)
				assert_int_equal(frame.bytes[i], pattern_at(i));
			got += frame.size;
		} while (frame.opcode == 2);
		assert_true(
			is_close(&frame, CLOSE_SLOW_CONSUMER, "too much waits for this client"));
		/* What had waited is left out. */
		assert_true(got < QUEUED_BYTES);
		assert_true(hub_counts(stage.hub)->slow == 1);
		answer_close(client, &frame);
		stage_close(&stage);
	}
}

static uint64_t cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void one_that_never_answers_a_close_is_let_go_in_time(void **state)
{
	struct client *clients[4];
	uint64_t begin;
	uint64_t begin_cpu;

	(void)state;
	stage_begin(&stage);
	stage_open(&stage);
	/* Two that have read it and say nothing, two that read nothing. */
	for (int i = 0; i < 4; i++) {
		clients[i] = i < 2 ? client_open_session(&stage, i % 2) : open_stalled(i % 2);
		if (i >= 2)
			flood(stage_session(&stage));
		session_close(stage_session(&stage), i == 3 ? CLOSE_SLOW_CONSUMER : CLOSE_REVOKED,
		              "the reason");
	}
	begin = clock_ms();
	begin_cpu = cpu_ms();
	await(&stage, stage_sessions(&stage) == 0);
	assert_in_range(clock_ms() - begin, CLOSE_MS - 1000, CLOSE_MS + 3000);
	/* It waited for it, and did not spin: a spin takes all of the time. */
	assert_true((cpu_ms() - begin_cpu) * 2 < clock_ms() - begin);
	for (int i = 0; i < 2; i++)
		await(&stage, clients[i]->is_ended);
	assert_int_equal(websocket_door_connections(stage.door), 0);
	stage_close(&stage);
}

/* Reading stops, and what came meanwhile is not lost. */
static void paused_client_is_read_again_later(void **state)
{
	static uint8_t bytes[60000];
	struct client *client;
	struct session *session;

	(void)state;
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		stage_begin(&stage);
		stage.session.pending_commands = 2;
		stage_open(&stage);
		client = client_open_session(&stage, is_tls);
		session = stage_session(&stage);
		session_command_begun(session);
		session_command_begun(session);
		for (int i = 0; i < 40; i++)
			client_send_message(client, bytes, sizeof(bytes) - (size_t)i);
		pass(&stage, 100);
		assert_in_range(stage.dispatcher.messages, 0, 1);
		session_command_answered(session, NULL);
		session_command_answered(session, NULL);
		await(&stage, stage.dispatcher.messages == 40);
		assert_int_equal(stage.dispatcher.last.size, sizeof(bytes) - 39);
		stage_close(&stage);
	}
}

/* A close while reading is paused: the peer's answer must be read all the same. */
static void paused_client_can_be_closed(void **state)
{
	struct seen_frame frame;

	(void)state;
	stage_begin(&stage);
	stage.session.pending_commands = 1;
	stage_open(&stage);
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client = client_open_session(&stage, is_tls);
		struct session *session = stage_session(&stage);

		session_command_begun(session);
		client_send_message(client, "ignored", 7);
		stage_turn(&stage);
		session_close(session, CLOSE_REVOKED, "the reason");
		await(&stage, client_take_frame(client, &frame));
		assert_true(is_close(&frame, CLOSE_REVOKED, "the reason"));
		answer_close(client, &frame);
		await(&stage, stage_sessions(&stage) == 0);
		session_command_answered(session, NULL);
	}
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flood_arrives_byte_by_byte_after_a_stall),
		cmocka_unit_test(flood_with_pings_arrives_byte_by_byte),
		cmocka_unit_test(every_close_code_is_told_to_an_idle_client),
		cmocka_unit_test(every_close_code_is_told_behind_what_was_queued),
		cmocka_unit_test(slow_consumer_is_told_at_once_and_gets_no_more),
		cmocka_unit_test(one_that_never_answers_a_close_is_let_go_in_time),
		cmocka_unit_test(paused_client_is_read_again_later),
		cmocka_unit_test(paused_client_can_be_closed),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
