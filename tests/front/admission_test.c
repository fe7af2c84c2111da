/* Bounds at the door, with real handshakes: how many are under way, how long each may take, and how many connections
 * an address has; and that each refusal is counted by its cause. */
#include "front/support.h"

#include "base/counters.h"

#include <string.h>

#define HANDSHAKE_MS 1000

static struct stage stage;
static uint64_t counted[COUNTERS];

static void begin(void)
{
	for (size_t i = 0; i < COUNTERS; i++)
		counted[i] = counters_get((enum counter)i);
	stage_begin(&stage);
}

static uint64_t counts(enum counter counter)
{
	return counters_get(counter) - counted[counter];
}

static size_t count_ended(struct client *const *clients, size_t count)
{
	size_t ended = 0;

	for (size_t i = 0; i < count; i++)
		ended += clients[i]->is_ended;
	return ended;
}

static void handshakes_that_do_not_come_to_an_end_are_ended(void **state)
{
	enum { CLIENTS = 5 };
	static const uint8_t half_hello[] = {0x16, 0x03, 0x01, 0x02, 0x00,
	                                     0x01, 0x00, 0x01, 0xfc, 0x03};
	struct client *clients[CLIENTS];
	struct client *session;
	uint64_t last_ms;

	(void)state;
	begin();
	stage.options.handshake_ms = HANDSHAKE_MS;
	stage_open(&stage);
	session = client_open_session(&stage, true);
	/* On the plain port one byte and no more, nothing at all, and a header without end. */
	for (int i = 0; i < 3; i++)
		clients[i] = client_open(&stage, false);
	client_send_text(clients[0], "G");
	client_send_text(clients[2], "GET /v1/ws HTTP/1.1\r\nX-Slow: ");
	/* On the TLS port nothing, and half a greeting. */
	for (int i = 3; i < CLIENTS; i++) {
		clients[i] = client_open(&stage, true);
		SSL_free(clients[i]->tls);
		clients[i]->tls = NULL;
		clients[i]->is_connected = true;
	}
	client_send(clients[4], half_hello, sizeof(half_hello));
	last_ms = clock_ms();
	while (count_ended(clients, CLIENTS) < CLIENTS) {
		stage_turn(&stage);
		/* Slowly, but always a little: each byte must not begin the time anew. */
		if (clock_ms() - last_ms > 100 && !clients[2]->is_ended) {
			client_send_text(clients[2], "x");
			last_ms = clock_ms();
		}
		assert_true(clock_ms() - last_ms < AWAIT_MS);
	}
	await(&stage, counts(COUNTER_CONNECTION_TIMEOUT) == CLIENTS);
	assert_int_equal(counts(COUNTER_CONNECTION_UNFINISHED), 0);
	/* A session has no such end. */
	pass(&stage, 2 * HANDSHAKE_MS);
	client_send_message(session, "hello", 5);
	await(&stage, stage.dispatcher.messages == 1);
	stage_close(&stage);
}

static void beyond_the_bound_of_handshakes_others_wait_and_then_come_in(void **state)
{
	enum { IDLE = 4, WAITING = 6 };
	struct client *idle[IDLE];
	struct client *waiting[WAITING];

	(void)state;
	begin();
	stage.options.handshakes = IDLE;
	stage_open(&stage);
	for (int i = 0; i < IDLE; i++)
		idle[i] = client_open(&stage, i % 2);
	client_send_text(idle[0], "G");
	pass(&stage, 50);
	for (int i = 0; i < WAITING; i++) {
		waiting[i] = client_open(&stage, i % 2);
		client_send_upgrade(waiting[i], "");
	}
	pass(&stage, 100);
	assert_int_equal(stage_sessions(&stage), 0);
	/* They were not refused: as soon as there is room, all of them come in, through the one place. */
	assert_int_equal(count_ended(waiting, WAITING), 0);
	client_close(idle[0]);
	await(&stage, stage_sessions(&stage) == WAITING);
	for (int i = 1; i < IDLE; i++)
		client_close(idle[i]);
	await(&stage, counts(COUNTER_CONNECTION_UNFINISHED) == IDLE);
	stage_close(&stage);
}

static void bound_of_handshakes_is_free_again_after_each_kind_of_end(void **state)
{
	(void)state;
	begin();
	stage.options.handshakes = 1;
	stage.options.handshake_ms = HANDSHAKE_MS;
	stage_open(&stage);
	for (int i = 0; i < 3; i++) {
		struct client *client;

		/* Refused, malformed, timed out, gone, and good. */
		client = client_open(&stage, i % 2);
		client_send_text(client, "GET / HTTP/1.1\r\n\r\n");
		await(&stage, client->is_ended);
		client = client_open(&stage, i % 2);
		client_send_text(client, "\x01\x02\x03\x04\r\n\r\n");
		await(&stage, client->is_ended);
		client = client_open(&stage, i % 2);
		await(&stage, client->is_ended);
		client = client_open(&stage, i % 2);
		client_close(client);
		client_open_session(&stage, i % 2);
	}
	assert_int_equal(stage_sessions(&stage), 3);
	stage_close(&stage);
}

static int answer_of(bool is_tls, const char *more)
{
	struct client *client = client_open(&stage, is_tls);
	int status = 0;

	client_send_upgrade(client, more);
	await(&stage, client_has_text(client, "\r\n\r\n") || client->is_ended);
	if (client_has_text(client, " 101 "))
		return 101;
	await(&stage, client->is_ended);
	if (client_waiting(client) > 12)
		status = (client->in.bytes[9] - '0') * 100 + (client->in.bytes[10] - '0') * 10 +
		         client->in.bytes[11] - '0';
	return status;
}

static void address_with_too_many_connections_is_told_429(void **state)
{
	struct client *first;

	(void)state;
	begin();
	stage.options.connections_of_address = 3;
	stage_open(&stage);
	first = client_open_session(&stage, false);
	client_open_session(&stage, true);
	assert_int_equal(answer_of(false, ""), 101);
	for (int i = 0; i < 4; i++)
		assert_int_equal(answer_of(i % 2, ""), 429);
	assert_int_equal(counts(COUNTER_UPGRADE_ADDRESS), 4);
	/* What it says of itself is not believed. */
	assert_int_equal(answer_of(false, "X-Forwarded-For: 192.0.2.1\r\n"), 429);
	client_close(first);
	await(&stage, stage_sessions(&stage) == 2);
	assert_int_equal(answer_of(false, ""), 101);
	stage_close(&stage);
}

static void address_with_far_too_many_connections_is_dropped_at_once(void **state)
{
	struct client *clients[4];

	(void)state;
	begin();
	stage.options.connections_of_address = 1;
	stage_open(&stage);
	for (int i = 0; i < 4; i++)
		clients[i] = client_open(&stage, i % 2);
	await(&stage, count_ended(clients, 4) == 2);
	assert_int_equal(counts(COUNTER_CONNECTION_CROWDED), 2);
	stage_close(&stage);
}

static void behind_a_trusted_proxy_each_client_has_its_own_bound(void **state)
{
	static const char *const proxies[] = {"127.0.0.0/8", NULL};
	static const struct {
		const char *more;
		int status;
	} cases[] = {
		{"X-Forwarded-For: 192.0.2.1\r\n", 101},
		{"X-Forwarded-For: 192.0.2.2\r\n", 101},
		{"X-Forwarded-For: 192.0.2.1\r\n", 429},
		{"X-Forwarded-For: 203.0.113.1, 192.0.2.2\r\n", 429},
		{"X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 192.0.2.2\r\n", 429},
		{"x-forwarded-for: [2001:db8::1]:80\r\n", 101},
		{"X-Forwarded-For: 2001:db8::2\r\n", 429},
		{"X-Forwarded-For: unknown\r\n", 400},
		{"X-Forwarded-For: 192.0.2.3,\r\n", 400},
		/* The proxy itself. */
		{"", 101},
		{"", 101},
	};

	(void)state;
	begin();
	stage.options.connections_of_address = 1;
	stage.options.trusted_proxies = proxies;
	stage_open(&stage);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = answer_of(i % 2, cases[i].more);

		if (status != cases[i].status)
			fail_msg("%s: %d", cases[i].more, status);
	}
	assert_int_equal(counts(COUNTER_UPGRADE_FORWARDED), 2);
	stage_close(&stage);
}

static void refusals_are_counted_by_cause(void **state)
{
	static const char *const origins[] = {"https://good.example", NULL};
	static const struct {
		const char *request;
		enum counter counter;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", COUNTER_UPGRADE_NOT_ASKED},
		{"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n", COUNTER_UPGRADE_KIND},
		{"GET /v2/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
	         COUNTER_UPGRADE_PATH},
		{"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
	         "Sec-WebSocket-Version: 8\r\n\r\n",
	         COUNTER_UPGRADE_VERSION},
		{"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
	         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
	         COUNTER_UPGRADE_SUBPROTOCOL},
		{"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
	         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: martlet.v1\r\n"
	         "Origin: https://evil.example\r\n\r\n",
	         COUNTER_UPGRADE_ORIGIN},
	};

	(void)state;
	begin();
	stage.options.origins = origins;
	stage.options.max_sessions = 1;
	stage_open(&stage);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client *client = client_open(&stage, i % 2);

		client_send_text(client, cases[i].request);
		await(&stage, client->is_ended);
		if (counts(cases[i].counter) != 1)
			fail_msg("case %zu", i);
	}
	assert_int_equal(answer_of(false, "Origin: https://good.example\r\n"), 101);
	assert_int_equal(answer_of(true, ""), 503);
	assert_int_equal(counts(COUNTER_UPGRADE_FULL), 1);
	/* Each has one cause. */
	assert_int_equal(counts(COUNTER_CONNECTION_UNFINISHED), 0);
	session_close(stage_session(&stage), CLOSE_REPLACED, "the reason");
	assert_int_equal(counts(COUNTER_CLOSE_4005), 1);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_are_counted_by_cause),
		cmocka_unit_test(handshakes_that_do_not_come_to_an_end_are_ended),
		cmocka_unit_test(beyond_the_bound_of_handshakes_others_wait_and_then_come_in),
		cmocka_unit_test(bound_of_handshakes_is_free_again_after_each_kind_of_end),
		cmocka_unit_test(address_with_too_many_connections_is_told_429),
		cmocka_unit_test(address_with_far_too_many_connections_is_dropped_at_once),
		cmocka_unit_test(behind_a_trusted_proxy_each_client_has_its_own_bound),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
