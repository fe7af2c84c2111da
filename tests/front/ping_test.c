/* Pings: who answers stays, who does not is dropped, and those who came together are not pinged together. */
#include "front/support.h"

#include "base/counters.h"

#include <string.h>

/* A machine that stands still for longer than PONG_MS fails these tests. */
#define HEARTBEAT_MS 900
#define PONG_MS 700
#define CROWD 64

static struct stage stage;

static void open_stage(uint32_t heartbeat_ms, uint32_t pong_ms)
{
	stage_begin(&stage);
	stage.options.heartbeat_ms = heartbeat_ms;
	stage.options.pong_ms = pong_ms;
	stage_open(&stage);
}

static void one_that_answers_pings_stays(void **state)
{
	struct client *clients[2];

	(void)state;
	open_stage(HEARTBEAT_MS, PONG_MS);
	for (int i = 0; i < 2; i++)
		clients[i] = client_open_session(&stage, i);
	for (int i = 0; i < 2; i++)
		await(&stage, clients[i]->pings >= 4);
	assert_int_equal(stage_sessions(&stage), 2);
	stage_close(&stage);
}

static void one_that_does_not_is_dropped_without_a_word(void **state)
{
	uint64_t before = counters_get(COUNTER_CLOSE_SILENT);

	(void)state;
	open_stage(HEARTBEAT_MS, PONG_MS);
	for (int i = 0; i < 2; i++) {
		struct client *client = client_open_session(&stage, i);

		client->answers_pings = false;
		await(&stage, client->is_ended);
		assert_int_equal(client->pings, 1);
		assert_int_equal(client_waiting(client), 0);
	}
	await(&stage, stage_sessions(&stage) == 0);
	assert_int_equal(counters_get(COUNTER_CLOSE_SILENT) - before, 2);
	stage_close(&stage);
}

static void any_message_is_a_sign_of_life(void **state)
{
	struct client *client;

	(void)state;
	open_stage(HEARTBEAT_MS, PONG_MS);
	client = client_open_session(&stage, false);
	client->answers_pings = false;
	for (int seen = 1; seen <= 3; seen++) {
		await(&stage, client->pings == seen);
		client_send_message(client, "x", 1);
	}
	assert_false(client->is_ended);
	await(&stage, client->is_ended);
	assert_int_equal(client->pings, 4);
	stage_close(&stage);
}

/* One that reads nothing, and whose queue is not empty, gets no ping and is found out all the same. */
static void one_that_reads_nothing_is_dropped(void **state)
{
	struct client *client;
	struct frame *frame = frame_create(1024 * 1024);

	(void)state;
	memset(frame->bytes, 0, frame->size);
	open_stage(HEARTBEAT_MS, PONG_MS);
	client = client_create(&stage);
	client_set_small_buffer(client);
	client_connect(&stage, client, false);
	client_send_upgrade(client, "");
	await(&stage, client_has_text(client, "\r\n\r\n"));
	client->is_deaf = true;
	session_push(stage_session(&stage), frame);
	session_push(stage_session(&stage), frame);
	frame_unref(frame);
	await(&stage, stage_sessions(&stage) == 0);
	stage_close(&stage);
}

/* What a crash or a deploy does: all come back at once. */
static void first_pings_of_a_crowd_are_spread_over_the_interval(void **state)
{
	enum { INTERVAL_MS = 2000, PARTS = 5 };
	struct client *clients[CROWD];
	bool is_seen[CROWD] = {false};
	int parts[PARTS] = {0};
	int seen = 0;
	uint64_t begin;

	(void)state;
	open_stage(INTERVAL_MS, INTERVAL_MS / 2);
	for (int i = 0; i < CROWD; i++)
		clients[i] = client_open(&stage, false);
	for (int i = 0; i < CROWD; i++)
		client_send_upgrade(clients[i], "");
	for (int i = 0; i < CROWD; i++)
		await(&stage, client_has_text(clients[i], "\r\n\r\n"));
	for (int i = 0; i < CROWD; i++)
		client_forget(clients[i]);
	begin = clock_ms();
	while (seen < CROWD) {
		stage_turn(&stage);
		for (int i = 0; i < CROWD; i++) {
			uint64_t part = (clock_ms() - begin) * PARTS / INTERVAL_MS;

			if (is_seen[i] || !clients[i]->pings)
				continue;
			is_seen[i] = true;
			seen++;
			parts[part < PARTS ? part : PARTS - 1]++;
		}
		assert_true(clock_ms() - begin < AWAIT_MS);
	}
	/* 64 drawn from five parts: that one has 40 or more, or that three together have none, is less likely
	 * than a broken machine. */
	for (int i = 0; i < PARTS; i++)
		assert_true(parts[i] < 40);
	assert_true((parts[0] > 0) + (parts[1] > 0) + (parts[2] > 0) + (parts[3] > 0) +
	                    (parts[4] > 0) >
	            2);
	assert_int_equal(stage_sessions(&stage), CROWD);
	stage_close(&stage);
}

/* And stay so. */
static void pings_of_one_client_come_once_an_interval(void **state)
{
	struct client *client;
	uint64_t begin;

	(void)state;
	open_stage(HEARTBEAT_MS, PONG_MS);
	client = client_open_session(&stage, false);
	await(&stage, client->pings == 1);
	begin = clock_ms();
	await(&stage, client->pings == 4);
	/* Three intervals, each up to a tick or two longer, and more on a slow machine. */
	assert_true(clock_ms() - begin >= 3 * HEARTBEAT_MS - 100);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_answers_pings_stays),
		cmocka_unit_test(one_that_does_not_is_dropped_without_a_word),
		cmocka_unit_test(any_message_is_a_sign_of_life),
		cmocka_unit_test(one_that_reads_nothing_is_dropped),
		cmocka_unit_test(first_pings_of_a_crowd_are_spread_over_the_interval),
		cmocka_unit_test(pings_of_one_client_come_once_an_interval),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
