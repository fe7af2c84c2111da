/* Commands over MQTT are acknowledged when they are answered, not before, and come again where they were not. */
#include "link/support.h"

#include "link/ingest.h"
#include "model/topic.h"

#include <arpa/inet.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 4
#define TEXTS 64

static struct stage stage;

/* Somebody who takes commands, and answers them when told to. */
struct taker {
	struct ingest *ingest;
	char texts[TEXTS][16];
	int received;
	int answered;
	int stopped;
	int closed;
	bool is_quick; /* answers at once */
	char response[64];
	char correlation[16];
};

static void on_message(void *context, const struct ingest_message *message)
{
	struct taker *taker = context;
	char *text = taker->texts[taker->received++ % TEXTS];

	snprintf(text, sizeof(taker->texts[0]), "%.*s", (int)message->size,
	         (const char *)message->bytes);
	snprintf(taker->response, sizeof(taker->response), "%s",
	         message->response_topic ? message->response_topic : "");
	snprintf(taker->correlation, sizeof(taker->correlation), "%.*s",
	         (int)message->correlation_size,
	         message->correlation ? (const char *)message->correlation : "");
	if (!taker->is_quick)
		return;
	taker->answered++;
	ingest_answered(taker->ingest);
}

static void on_stopped(void *context)
{
	((struct taker *)context)->stopped++;
}

static void on_closed(void *context)
{
	((struct taker *)context)->closed++;
}

static void taker_open_at(struct taker *taker, const char *node, uint16_t port)
{
	const struct topic topic = topic_all_up();
	const char *all_up = topic.text;

	taker->ingest = ingest_create(
		&(struct ingest_options){
			.loop = &stage.loop,
			.host = "127.0.0.1",
			.port = port,
			.user = "bridge",
			.password = PASSWORD,
			.node = node,
			.batch = BATCH,
			.expiry_s = 60,
			.filters = &all_up,
			.filters_count = 1,
		},
		&(struct ingest_needs){taker, on_message, on_stopped});
}

static void taker_open(struct taker *taker, const char *node)
{
	taker_open_at(taker, node, broker.port);
	await(&stage, ingest_is_up(taker->ingest));
}

static void taker_answer(struct taker *taker)
{
	while (taker->answered < taker->received) {
		taker->answered++;
		ingest_answered(taker->ingest);
	}
}

static void taker_close(struct taker *taker)
{
	ingest_close(taker->ingest, on_closed, taker);
	assert_int_equal(taker->closed, 0);
	await(&stage, taker->closed);
}

/* Ends its session too, so that the next test has nothing of it. */
static void taker_leave(struct taker *taker)
{
	taker_answer(taker);
	taker->is_quick = true;
	ingest_stop(taker->ingest);
	await(&stage, taker->stopped);
	assert_int_equal(taker->stopped, 1);
	taker_close(taker);
}

static void command(const char *text)
{
	mqtt_publish("martlet/v1/up/alice/phone", text, (int)strlen(text));
}

static void commands(int from, int to)
{
	char text[16];

	for (int i = from; i <= to; i++) {
		snprintf(text, sizeof(text), "%d", i);
		command(text);
	}
}

/* Whether it has had 1, 2, 3 and so on, and nothing else. */
static void assert_counted(const struct taker *taker, int count)
{
	char text[16];

	assert_int_equal(taker->received, count);
	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%d", i + 1);
		assert_string_equal(taker->texts[i], text);
	}
}

/* Takes three commands in a process of its own, that is killed when it has read them, or has answered them. */
static _Noreturn void take_and_die(int ready, bool is_answering)
{
	static struct taker taker;

	stage_open(&stage);
	taker_open(&taker, "node.1");
	if (write(ready, "r", 1) != 1)
		abort();
	await(&stage, taker.received == 3);
	/* What it says after the acknowledgements, and hears, shows that the broker has them. */
	if (is_answering) {
		ingest_publish(taker.ingest, "martlet/v1/up/alice/phone", NULL, 0,
		               (const uint8_t *)"1", 1);
		taker_answer(&taker);
		await(&stage, taker.received == 4);
	}
	raise(SIGKILL);
	abort();
}

static void after_a_death(bool is_answering, int expected)
{
	struct taker taker = {.is_quick = true};
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		take_and_die(ready[1], is_answering);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	commands(1, 3);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	stage_open(&stage);
	taker_open(&taker, "node.1");
	/* What comes after them shows that all of them have come. */
	command("last");
	await(&stage, taker.received && strcmp(taker.texts[taker.received - 1], "last") == 0);
	taker.received--;
	assert_counted(&taker, expected);
	taker.received++;
	taker_leave(&taker);
	stage_close(&stage);
	close(ready[0]);
	close(ready[1]);
}

static void commands_that_a_killed_node_had_read_come_again(void **state)
{
	(void)state;
	after_a_death(false, 3);
}

static void commands_that_a_killed_node_had_answered_do_not(void **state)
{
	(void)state;
	after_a_death(true, 1);
}

static void reading_stops_at_the_batch_and_goes_on_when_all_is_answered(void **state)
{
	struct taker taker = {0};
	struct node *node;

	(void)state;
	stage_open(&stage);
	node = node_open_up(&stage);
	node_hear(node, 1);
	taker_open(&taker, "node.1");
	commands(1, 10);
	await(&stage, taker.received == BATCH);
	/* A round on the same loop: there was time to read more. */
	node_publish(node, 1, "round");
	await(&stage, node->envelopes == 1);
	assert_counted(&taker, BATCH);
	for (int i = 0; i < BATCH - 1; i++, taker.answered++)
		ingest_answered(taker.ingest);
	node_publish(node, 1, "round");
	await(&stage, node->envelopes == 2);
	assert_int_equal(ingest_counts(taker.ingest).acknowledged, 0);
	taker_answer(&taker);
	await(&stage, taker.received == 2 * BATCH);
	assert_int_equal(ingest_counts(taker.ingest).acknowledged, BATCH);
	taker_answer(&taker);
	await(&stage, taker.received == 10);
	assert_counted(&taker, 10);
	taker_leave(&taker);
	stage_close(&stage);
}

static void commands_are_dealt_among_nodes_and_each_is_taken_once(void **state)
{
	struct taker takers[2] = {{.is_quick = true}, {.is_quick = true}};

	(void)state;
	stage_open(&stage);
	taker_open(&takers[0], "node.1");
	taker_open(&takers[1], "node.2");
	commands(1, 20);
	await(&stage, takers[0].received + takers[1].received == 20);
	assert_int_equal(takers[0].received, 10);
	taker_leave(&takers[0]);
	/* Who has left is dealt nothing any more. */
	commands(21, 30);
	await(&stage, takers[1].received == 20);
	assert_int_equal(takers[0].received, 10);
	taker_leave(&takers[1]);
	stage_close(&stage);
}

static void who_stops_is_answered_what_it_was_dealt(void **state)
{
	struct taker taker = {0};

	(void)state;
	stage_open(&stage);
	taker_open(&taker, "node.1");
	commands(1, 10);
	await(&stage, taker.received == BATCH);
	ingest_stop(taker.ingest);
	while (!taker.stopped) {
		taker_answer(&taker);
		stage_turn(&stage);
	}
	assert_counted(&taker, 10);
	taker_close(&taker);
	/* And nothing is left for its next life. */
	taker = (struct taker){.is_quick = true};
	taker_open(&taker, "node.1");
	command("1");
	await(&stage, taker.received == 1);
	assert_counted(&taker, 1);
	taker_leave(&taker);
	stage_close(&stage);
}

static void broker_that_lost_everything_is_subscribed_to_again(void **state)
{
	struct taker taker = {.is_quick = true};

	(void)state;
	stage_open(&stage);
	taker_open(&taker, "node.1");
	for (int round = 1; round <= 3; round++) {
		broker_kill();
		await(&stage, !ingest_is_up(taker.ingest));
		broker_start();
		await(&stage, ingest_is_up(taker.ingest));
		command("again");
		await(&stage, taker.received == round);
	}
	taker_leave(&taker);
	stage_close(&stage);
}

/* The answer of what was read before may come after the connection is another. */
static void answers_late_for_a_lost_connection_count_once(void **state)
{
	struct taker taker = {0};

	(void)state;
	stage_open(&stage);
	taker_open(&taker, "node.1");
	commands(1, 2);
	await(&stage, taker.received == 2);
	broker_kill();
	await(&stage, !ingest_is_up(taker.ingest));
	broker_start();
	await(&stage, ingest_is_up(taker.ingest));
	commands(3, 4);
	await(&stage, taker.received == 4);
	assert_int_equal(ingest_counts(taker.ingest).acknowledged, 0);
	taker_answer(&taker);
	await(&stage, ingest_counts(taker.ingest).acknowledged == 2);
	taker_leave(&taker);
	stage_close(&stage);
}

static void closing_with_commands_unanswered_leaves_them_for_the_next_life(void **state)
{
	struct taker taker = {0};

	(void)state;
	stage_open(&stage);
	taker_open(&taker, "node.1");
	commands(1, 3);
	await(&stage, taker.received == 3);
	taker_close(&taker);
	taker = (struct taker){.is_quick = true};
	taker_open(&taker, "node.1");
	await(&stage, taker.received == 3);
	assert_counted(&taker, 3);
	taker_leave(&taker);
	stage_close(&stage);
}

/* A client of MQTT 5 that asks and hears its answer. */
struct asker {
	struct mosquitto *client;
	bool is_subscribed;
	char answer[16];
	char correlation[16];
};

static void on_asker_subscribed(struct mosquitto *client, void *context, int id, int count,
                                const int *granted)
{
	(void)client;
	(void)id;
	(void)count;
	(void)granted;
	((struct asker *)context)->is_subscribed = true;
}

static void on_asker_message(struct mosquitto *client, void *context,
                             const struct mosquitto_message *message,
                             const mosquitto_property *properties)
{
	struct asker *asker = context;
	void *correlation = NULL;
	uint16_t size = 0;

	(void)client;
	mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &correlation, &size,
	                               false);
	snprintf(asker->answer, sizeof(asker->answer), "%.*s", message->payloadlen,
	         (const char *)message->payload);
	snprintf(asker->correlation, sizeof(asker->correlation), "%.*s", (int)size,
	         correlation ? (const char *)correlation : "");
	free(correlation);
}

static void response_topic_and_correlation_data_come_and_go(void **state)
{
	struct taker taker = {0};
	struct asker asker = {0};
	mosquitto_property *properties = NULL;

	(void)state;
	stage_open(&stage);
	taker_open(&taker, "node.1");
	asker.client = mosquitto_new(NULL, true, &asker);
	mosquitto_int_option(asker.client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	mosquitto_username_pw_set(asker.client, "bridge", PASSWORD);
	mosquitto_subscribe_callback_set(asker.client, on_asker_subscribed);
	mosquitto_message_v5_callback_set(asker.client, on_asker_message);
	assert_int_equal(mosquitto_connect(asker.client, "127.0.0.1", broker.port, 60), 0);
	mosquitto_subscribe(asker.client, NULL, "here", 1);
	while (!asker.is_subscribed)
		assert_int_equal(mosquitto_loop(asker.client, 5, 1), 0);
	mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC, "here");
	mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, "seven", 5);
	assert_int_equal(mosquitto_publish_v5(asker.client, NULL, "martlet/v1/up/alice/phone", 1,
	                                      "?", 1, false, properties),
	                 0);
	mosquitto_property_free_all(&properties);
	while (!taker.received) {
		assert_int_equal(mosquitto_loop(asker.client, 1, 1), 0);
		stage_turn(&stage);
	}
	assert_string_equal(taker.response, "here");
	assert_string_equal(taker.correlation, "seven");
	ingest_publish(taker.ingest, "here", (const uint8_t *)taker.correlation, 5,
	               (const uint8_t *)"!", 1);
	taker_answer(&taker);
	while (!asker.answer[0]) {
		assert_int_equal(mosquitto_loop(asker.client, 1, 1), 0);
		stage_turn(&stage);
	}
	assert_string_equal(asker.answer, "!");
	assert_string_equal(asker.correlation, "seven");
	mosquitto_disconnect(asker.client);
	mosquitto_destroy(asker.client);
	taker_leave(&taker);
	stage_close(&stage);
}

/* A broker of old, as far as CONNECT and CONNACK: it refuses version 5 and takes version 4. */

static void read_packet(int fd, uint8_t *packet)
{
	assert_int_equal(recv(fd, packet, 2, MSG_WAITALL), 2);
	assert_true(packet[1] < 128);
	assert_int_equal(recv(fd, packet + 2, packet[1], MSG_WAITALL), packet[1]);
}

static _Noreturn void be_an_old_broker(int listener)
{
	static const uint8_t refusal[] = {0x20, 2, 0, 1};
	static const uint8_t welcome[] = {0x20, 2, 0, 0};
	uint8_t packet[256];
	int fd;

	for (;;) {
		fd = accept(listener, NULL, NULL);
		read_packet(fd, packet);
		/* 10 04 M Q T T, then the version and the flags: 3.1.1, and the session is to stay. */
		if (packet[8] == 4)
			break;
		if (write(fd, refusal, sizeof(refusal)) != sizeof(refusal))
			_exit(1);
		close(fd);
	}
	if ((packet[9] & 2) || write(fd, welcome, sizeof(welcome)) != sizeof(welcome))
		_exit(1);
	read_packet(fd, packet);
	if (write(fd, (uint8_t[]){0x90, 3, packet[2], packet[3], 1}, 5) != 5)
		_exit(1);
	while (read(fd, packet, sizeof(packet)) > 0)
		;
	_exit(0);
}

static void broker_that_knows_only_3_1_1_is_spoken_to_in_that(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct taker taker = {0};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	pid = fork();
	if (pid == 0)
		be_an_old_broker(listener);
	stage_open(&stage);
	taker_open_at(&taker, "node.1", ntohs(address.sin_port));
	await(&stage, ingest_is_up(taker.ingest));
	taker_close(&taker);
	stage_close(&stage);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(listener);
}

/* What somebody left there for ever is no command: it would be given at each connection. */
static void retained_command_is_not_taken(void **state)
{
	struct taker taker = {.is_quick = true};
	struct mosquitto *client = mosquitto_new(NULL, true, NULL);

	(void)state;
	mosquitto_username_pw_set(client, "bridge", PASSWORD);
	assert_int_equal(mosquitto_connect(client, "127.0.0.1", broker.port, 60), 0);
	mosquitto_publish(client, NULL, "martlet/v1/up/alice/phone", 1, "!", 1, true);
	while (mosquitto_want_write(client))
		mosquitto_loop(client, 5, 1);
	mqtt_await("martlet/v1/up/alice/phone", "!");
	stage_open(&stage);
	taker_open(&taker, "node.1");
	command("1");
	await(&stage, taker.received);
	assert_counted(&taker, 1);
	mosquitto_publish(client, NULL, "martlet/v1/up/alice/phone", 0, NULL, 1, true);
	await(&stage, taker.received == 2);
	mosquitto_destroy(client);
	taker_leave(&taker);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_broker(commands_that_a_killed_node_had_read_come_again),
		with_broker(commands_that_a_killed_node_had_answered_do_not),
		with_broker(reading_stops_at_the_batch_and_goes_on_when_all_is_answered),
		with_broker(commands_are_dealt_among_nodes_and_each_is_taken_once),
		with_broker(who_stops_is_answered_what_it_was_dealt),
		with_broker(broker_that_lost_everything_is_subscribed_to_again),
		with_broker(answers_late_for_a_lost_connection_count_once),
		with_broker(closing_with_commands_unanswered_leaves_them_for_the_next_life),
		with_broker(response_topic_and_correlation_data_come_and_go),
		with_broker(broker_that_knows_only_3_1_1_is_spoken_to_in_that),
		with_broker(retained_command_is_not_taken),
	};

	return cmocka_run_group_tests(tests, broker_setup, broker_teardown);
}
