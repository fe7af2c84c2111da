/* What comes before a WebSocket stands: requests that are none of ours, and those that never become one. */
#include "front/support.h"

#include <stdio.h>
#include <string.h>

static struct stage stage;

static void open_stage(void)
{
	stage_begin(&stage);
	stage_open(&stage);
}

/* Sends, waits until the server has let go, and counts its answers. */
static int answers_to(bool is_tls, const char *text)
{
	struct client *client = client_open(&stage, is_tls);

	client_send_text(client, text);
	await(&stage, client->is_ended);
	return client_count_text(client, "HTTP/1.");
}

#define LAST_ANSWER (stage.clients[stage.count - 1])

#define PLAIN_REQUEST "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define POST_REQUEST "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
#define UPGRADE_TO(what)                                                                           \
	"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: " what                                 \
	"\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"               \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: martlet.v1\r\n\r\n"

static void requests_in_one_segment_get_one_answer(void **state)
{
	static const char *const cases[] = {
		PLAIN_REQUEST PLAIN_REQUEST,
		PLAIN_REQUEST POST_REQUEST,
		POST_REQUEST PLAIN_REQUEST,
		POST_REQUEST POST_REQUEST POST_REQUEST,
		PLAIN_REQUEST UPGRADE_TO("websocket"),
		UPGRADE_TO("foo") UPGRADE_TO("websocket"),
		UPGRADE_TO("h2c") PLAIN_REQUEST,
	};

	(void)state;
	open_stage();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int is_tls = 0; is_tls < 2; is_tls++) {
			if (answers_to(is_tls, cases[i]) != 1)
				fail_msg("case %zu, TLS %d: not one answer", i, is_tls);
			assert_false(client_has_text(LAST_ANSWER, " 101 "));
		}
	}
	assert_int_equal(stage_sessions(&stage), 0);
	stage_close(&stage);
}

static void second_request_after_an_answer_is_not_answered(void **state)
{
	static const char *const seconds[] = {UPGRADE_TO("foo"), UPGRADE_TO("websocket"),
	                                      PLAIN_REQUEST, POST_REQUEST};

	(void)state;
	open_stage();
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		struct client *client = client_open(&stage, false);

		client_send_text(client, PLAIN_REQUEST);
		await(&stage, client_has_text(client, "\r\n\r\n"));
		client_send_text(client, seconds[i]);
		await(&stage, client->is_ended);
		assert_int_equal(client_count_text(client, "HTTP/1."), 1);
	}
	stage_close(&stage);
}

static void upgrade_to_something_else_is_refused(void **state)
{
	(void)state;
	open_stage();
	assert_int_equal(answers_to(false, UPGRADE_TO("h2c")), 1);
	assert_true(client_has_text(LAST_ANSWER, " 400 "));
	/* This one libwebsockets refuses by itself. */
	assert_int_equal(answers_to(false, UPGRADE_TO("foo")), 1);
	assert_true(client_has_text(LAST_ANSWER, " 403 "));
	/* HTTP/2 with prior knowledge. */
	answers_to(false, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	assert_false(client_has_text(LAST_ANSWER, " 101 "));
	assert_int_equal(stage_sessions(&stage), 0);
	stage_close(&stage);
}

/* libwebsockets takes it for the beginning of something else than HTTP, and waits for its bytes for ever. */
static void connect_request_ends_the_connection(void **state)
{
	(void)state;
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++)
		assert_int_equal(answers_to(is_tls, "CONNECT localhost:22 HTTP/1.1\r\n"
		                                    "Host: localhost\r\n\r\nhello"),
		                 0);
	stage_close(&stage);
}

static void headers_larger_than_there_is_room_for_end_the_connection(void **state)
{
	char text[20000];
	int size = snprintf(text, sizeof(text), "GET /v1/ws HTTP/1.1\r\nX-Large: ");

	(void)state;
	memset(text + size, 'x', sizeof(text) - (size_t)size - 1);
	text[sizeof(text) - 1] = '\0';
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++)
		answers_to(is_tls, text);
	assert_int_equal(stage_sessions(&stage), 0);
	stage_close(&stage);
}

static void good_upgrade_becomes_a_session(void **state)
{
	(void)state;
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client = client_open_session(&stage, is_tls);

		client_send_message(client, "hello", 5);
		await(&stage, stage.dispatcher.messages == is_tls + 1);
		assert_memory_equal(stage.dispatcher.last.bytes, "hello", 5);
	}
	assert_int_equal(websocket_door_connections(stage.door), 2);
	stage_close(&stage);
}

/* Frames that came with the request must not be lost, nor be read twice. */
static void frames_behind_the_upgrade_in_its_segment_are_read(void **state)
{
	(void)state;
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client = client_open(&stage, is_tls);
		int before = stage.dispatcher.messages;

		client->is_connected = false;
		client_send_upgrade(client, "");
		client_send_message(client, "one", 3);
		client_send_message(client, "two", 3);
		client->is_connected = !is_tls;
		await(&stage, stage.dispatcher.messages == before + 2);
		assert_memory_equal(stage.dispatcher.last.bytes, "two", 3);
		pass(&stage, 50);
		assert_int_equal(stage.dispatcher.messages, before + 2);
	}
	stage_close(&stage);
}

/* Each burst is larger than TLS' record, so that decrypted bytes wait inside OpenSSL with none in the socket. */
static void bursts_over_many_tls_connections_arrive_whole(void **state)
{
	enum { CLIENTS = 40, BURSTS = 4, BYTES = 60000 };
	static uint8_t bytes[BYTES];
	struct client *clients[CLIENTS];

	(void)state;
	open_stage();
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = client_open(&stage, true);
	for (int i = 0; i < CLIENTS; i++)
		client_send_upgrade(clients[i], "");
	await(&stage, stage_sessions(&stage) == CLIENTS);
	for (int burst = 0; burst < BURSTS; burst++) {
		for (int i = 0; i < CLIENTS; i++)
			client_send_message(clients[i], bytes, (size_t)(BYTES - 997 * i - burst));
		await(&stage, stage.dispatcher.messages == CLIENTS * (burst + 1));
	}
	stage_close(&stage);
}

static void door_with_connections_in_every_state_closes_without_a_leak(void **state)
{
	(void)state;
	open_stage();
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *stalled = client_create(&stage);
		struct frame *frame = frame_create(400000);

		memset(frame->bytes, 0, frame->size);
		client_set_small_buffer(stalled);
		client_connect(&stage, stalled, is_tls);
		client_send_upgrade(stalled, "");
		await(&stage, client_has_text(stalled, "\r\n\r\n"));
		stalled->is_deaf = true;
		for (int i = 0; i < 4; i++)
			session_push(stage_session(&stage), frame);
		frame_unref(frame);
		/* One that is closing and one that is not. */
		if (is_tls)
			session_close(stage_session(&stage), CLOSE_DONE, "done");
		client_open_session(&stage, is_tls);
		client_send_text(client_open(&stage, is_tls), "G");
		client_open(&stage, is_tls);
		/* A message of which a part has come. */
		client_send_frame(client_open_session(&stage, is_tls),
		                  (struct sent_frame){.first = 0x02, .bytes = "ab", .size = 2});
	}
	pass(&stage, 50);
	assert_int_equal(stage_sessions(&stage), 6);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_upgrade_becomes_a_session),
		cmocka_unit_test(frames_behind_the_upgrade_in_its_segment_are_read),
		cmocka_unit_test(requests_in_one_segment_get_one_answer),
		cmocka_unit_test(second_request_after_an_answer_is_not_answered),
		cmocka_unit_test(upgrade_to_something_else_is_refused),
		cmocka_unit_test(connect_request_ends_the_connection),
		cmocka_unit_test(headers_larger_than_there_is_room_for_end_the_connection),
		cmocka_unit_test(bursts_over_many_tls_connections_arrive_whole),
		cmocka_unit_test(door_with_connections_in_every_state_closes_without_a_leak),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
