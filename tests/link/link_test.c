#include "link/support.h"

#include "model/topic.h"

#include <arpa/inet.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PENDING 20
#define FILLERS 150 /* more than Mosquitto's backlog of 100 */
#define CONNECT_MS 5000

static struct stage stage;

/* Carrying. */

static void entries_of_one_turn_arrive_as_one_envelope_laid_end_to_end(void **state)
{
	struct node *from;
	struct node *to;

	(void)state;
	stage_open(&stage);
	from = node_open_up(&stage);
	to = node_open_up(&stage);
	node_hear(to, 3);
	for (int i = 0; i < 10; i++) {
		char entry[16];

		snprintf(entry, sizeof(entry), "[%d]", i);
		node_publish(from, 3, entry);
	}
	await(&stage, to->envelopes);
	assert_true(node_has(to, 3, "[0][1][2][3][4][5][6][7][8][9]"));
	node_publish(from, 3, "next");
	await(&stage, to->envelopes > 1);
	assert_true(node_has(to, 3, "next"));
	assert_int_equal(to->envelopes, 2);
	stage_close(&stage);
}

static void shards_of_one_turn_leave_as_an_envelope_each(void **state)
{
	struct node *from;
	struct node *to;

	(void)state;
	stage_open(&stage);
	from = node_open_up(&stage);
	to = node_open_up(&stage);
	for (uint32_t shard = 0; shard < 8; shard++)
		node_hear(to, shard);
	for (uint32_t i = 0; i < 32; i++)
		node_publish(from, i % 8, "x");
	await(&stage, to->envelopes == 8);
	for (uint32_t shard = 0; shard < 8; shard++)
		assert_int_equal(to->heard[shard], 1);
	assert_true(node_has(to, 7, "xxxx"));
	stage_close(&stage);
}

static void fuller_shard_than_an_envelope_leaves_in_parts_and_in_order(void **state)
{
	struct link_options options;
	struct node *from;
	struct node *to;

	(void)state;
	stage_open(&stage);
	options = node_options(&stage);
	options.publish_bytes = 8;
	from = node_open(&stage, &options);
	to = node_open_up(&stage);
	await(&stage, link_is_up(from->link));
	node_hear(to, 1);
	node_publish(from, 1, "aaaa");
	node_publish(from, 1, "bbbb");
	node_publish(from, 1, "cccc");
	await(&stage, to->envelopes == 1);
	assert_true(node_has(to, 1, "aaaabbbb"));
	await(&stage, to->envelopes == 2);
	assert_true(node_has(to, 1, "cccc"));
	/* What fits no envelope at all is left out, and only that. */
	node_publish(from, 1, "123456789");
	node_publish(from, 1, "dddd");
	await(&stage, to->envelopes == 3);
	assert_true(node_has(to, 1, "dddd"));
	assert_int_equal(link_counts(from->link).dropped, 1);
	stage_close(&stage);
}

static void what_is_published_is_confirmed_and_counted(void **state)
{
	struct node *from;
	struct link_counts counts;

	(void)state;
	stage_open(&stage);
	from = node_open_up(&stage);
	for (int i = 0; i < 100; i++) {
		node_publish(from, 5, "x");
		stage_turn(&stage);
		counts = link_counts(from->link);
		assert_true(counts.confirmed <= counts.published);
	}
	/* A hundred, and that the node is alive. */
	assert_int_equal(link_counts(from->link).published, 101);
	await(&stage, link_counts(from->link).confirmed == 101);
	assert_int_equal(link_counts(from->link).dropped, 0);
	stage_close(&stage);
}

static void message_that_no_bridge_makes_is_refused(void **state)
{
	const int size = 1048577;
	char *large = calloc(1, (size_t)size);
	struct node *node;

	(void)state;
	stage_open(&stage);
	node = node_open_up(&stage);
	node_hear(node, 2);
	log_capture();
	mqtt_publish(topic_bus(2).text, NULL, 0);
	mqtt_publish(topic_bus(2).text, large, size);
	mqtt_publish(topic_bus(2).text, large, size - 1);
	await(&stage, node->envelopes);
	assert_int_equal(node->envelopes, 1);
	assert_int_equal(node->size, size - 1);
	assert_int_equal(log_count("impossible size"), 2);
	log_release();
	free(large);
	stage_close(&stage);
}

/* Being there. */

static void node_says_that_it_is_alive_and_when_it_goes(void **state)
{
	struct node *node;
	struct topic topic;

	(void)state;
	stage_open(&stage);
	node = node_open_up(&stage);
	topic = topic_node(node->name);
	await(&stage, link_counts(node->link).confirmed == 1);
	mqtt_await(topic.text, "1");
	node_close(node);
	mqtt_await(topic.text, "0");
	stage_close(&stage);
}

/* In a process of its own. */
static _Noreturn void live_and_die(void)
{
	struct node *node;

	stage_open(&stage);
	node = node_open_up(&stage);
	await(&stage, link_counts(node->link).confirmed == 1);
	raise(SIGKILL);
	abort();
}

static void node_that_dies_is_gone_by_its_will(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		live_and_die();
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	mqtt_await(topic_node("node.1").text, "0");
}

/* Losing the broker. */

static void node_hears_of_all_that_live_and_of_each_that_goes(void **state)
{
	struct node *early;
	struct node *late;

	(void)state;
	stage_open(&stage);
	mqtt_publish(topic_node("other").text, "?", 1);
	early = node_open_up(&stage);
	await(&stage, early->states[1] == '1');
	late = node_open_up(&stage);
	await(&stage, late->states[1] == '1');
	await(&stage, early->states[2] == '1');
	node_close(early);
	await(&stage, late->states[1] == '0');
	/* A topic that somebody empties is of a node that is gone. */
	mqtt_publish(topic_node("node.4").text, "1", 1);
	await(&stage, late->states[4] == '1');
	mqtt_publish(topic_node("node.4").text, NULL, 0);
	await(&stage, late->states[4] == '0');
	assert_int_equal(late->envelopes, 0);
	stage_close(&stage);
}

static void broker_that_comes_back_finds_everything_again(void **state)
{
	struct node *from;
	struct node *to;

	(void)state;
	stage_open(&stage);
	from = node_open_up(&stage);
	to = node_open_up(&stage);
	for (uint32_t shard = 0; shard < SHARDS; shard++)
		interest_acquire(link_interest(to->link), shard);
	for (int round = 1; round <= 3; round++) {
		broker_kill();
		await(&stage, from->downs == round && to->downs == round);
		assert_false(link_is_up(from->link));
		broker_start();
		await(&stage, link_is_up(from->link) && link_is_up(to->link));
		assert_int_equal(to->ups, round + 1);
		/* Up means that it hears: no wait here. */
		to->envelopes = 0;
		for (uint32_t shard = 0; shard < SHARDS; shard++)
			node_publish(from, shard, "again");
		await(&stage, to->envelopes == SHARDS);
	}
	mqtt_await(topic_node(to->name).text, "1");
	stage_close(&stage);
}

static int takers[NODES_MOST * 4][2];
static uv_poll_t polls[NODES_MOST * 4];
static size_t taken;

static void on_taken_ready(uv_poll_t *poll, int status, int events)
{
	(void)poll;
	(void)status;
	(void)events;
}

/* Others open sockets at any time, and get the numbers that are free. */
static void take_numbers(struct node *node)
{
	for (int i = 0; i < 2; i++, taken++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, takers[taken]), 0);
		assert_int_equal(uv_poll_init(&node->stage->loop, &polls[taken], takers[taken][0]),
		                 0);
		uv_poll_start(&polls[taken], UV_READABLE, on_taken_ready);
	}
}

static void number_of_a_lost_socket_may_be_another_s_at_once(void **state)
{
	struct node *nodes[2];

	(void)state;
	taken = 0;
	stage_open(&stage);
	for (int i = 0; i < 2; i++) {
		nodes[i] = node_open_up(&stage);
		nodes[i]->on_down = take_numbers;
	}
	for (int round = 1; round <= 2; round++) {
		broker_kill();
		await(&stage, nodes[0]->downs == round && nodes[1]->downs == round);
		broker_start();
		await(&stage, link_is_up(nodes[0]->link) && link_is_up(nodes[1]->link));
	}
	node_hear(nodes[0], 1);
	node_publish(nodes[1], 1, "still");
	await(&stage, node_has(nodes[0], 1, "still"));
	for (size_t i = 0; i < taken; i++) {
		uv_close((uv_handle_t *)&polls[i], NULL);
		stage_turn(&stage);
		close(takers[i][0]);
		close(takers[i][1]);
	}
	stage_close(&stage);
}

static void publishes_while_it_is_away_are_dropped_and_never_sent_later(void **state)
{
	struct node *from;
	struct node *to;

	(void)state;
	stage_open(&stage);
	from = node_open_up(&stage);
	to = node_open_up(&stage);
	node_hear(to, 1);
	broker_kill();
	await(&stage, from->downs && to->downs);
	node_publish(from, 1, "lost");
	stage_turn(&stage);
	assert_int_equal(link_counts(from->link).dropped, 1);
	broker_start();
	await(&stage, link_is_up(from->link) && link_is_up(to->link));
	node_publish(from, 1, "after");
	await(&stage, to->envelopes);
	assert_true(node_has(to, 1, "after"));
	stage_close(&stage);
}

static struct node *open_with_few_pending(void)
{
	struct link_options options = node_options(&stage);
	struct node *node;

	options.publish_pending = PENDING;
	node = node_open(&stage, &options);
	await(&stage, link_is_up(node->link) && link_counts(node->link).confirmed == 1);
	return node;
}

static void publish_turns(struct node *node, int turns)
{
	for (int i = 0; i < turns; i++) {
		node_publish(node, 1, "x");
		stage_turn(&stage);
	}
}

static void broker_that_stops_leaves_a_bounded_number_pending(void **state)
{
	struct node *from;
	struct node *to;
	struct link_counts counts;

	(void)state;
	stage_open(&stage);
	from = open_with_few_pending();
	to = node_open_up(&stage);
	node_hear(to, 1);
	broker_pause();
	publish_turns(from, PENDING * 4);
	counts = link_counts(from->link);
	assert_int_equal(counts.published, 1 + PENDING);
	assert_int_equal(counts.dropped, PENDING * 3);
	broker_resume();
	await(&stage, link_counts(from->link).confirmed == counts.published);
	await(&stage, to->envelopes == PENDING);
	publish_turns(from, 5);
	await(&stage, to->envelopes == PENDING + 5);
	assert_int_equal(link_counts(from->link).dropped, PENDING * 3);
	assert_int_equal(from->downs, 0);
	stage_close(&stage);
}

static void unconfirmed_at_a_loss_are_forgotten_with_their_connection(void **state)
{
	struct node *from;
	struct node *to;
	struct link_counts before;

	(void)state;
	stage_open(&stage);
	from = open_with_few_pending();
	to = node_open_up(&stage);
	node_hear(to, 1);
	broker_pause();
	publish_turns(from, PENDING);
	broker_kill();
	await(&stage, from->downs && to->downs);
	broker_start();
	await(&stage, link_is_up(from->link) && link_is_up(to->link));
	/* Answered after the word that it is alive, which counts too. */
	node_hear(from, 2);
	before = link_counts(from->link);
	broker_pause();
	publish_turns(from, PENDING + 1);
	/* All of the bound was there again. */
	assert_int_equal(link_counts(from->link).published, before.published + PENDING);
	assert_int_equal(link_counts(from->link).dropped, before.dropped + 1);
	broker_resume();
	await(&stage, link_counts(from->link).confirmed == before.confirmed + PENDING);
	/* And what waited then was not sent again. */
	node_publish(from, 1, "last");
	await(&stage, node_has(to, 1, "last"));
	assert_int_equal(to->envelopes, PENDING + 1);
	stage_close(&stage);
}

static void wrong_password_is_tried_again_and_told_a_few_times(void **state)
{
	struct link_options options;
	struct node *node;

	(void)state;
	stage_open(&stage);
	options = node_options(&stage);
	options.password = "wrong";
	log_capture();
	node = node_open(&stage, &options);
	await(&stage, log_count("refused the connection") >= 3);
	assert_int_equal(node->ups + node->downs, 0);
	assert_true(log_count("not authorised") > 0);
	assert_true(stage.turns < 10000);
	broker_set_password("wrong");
	await(&stage, link_is_up(node->link));
	assert_true(log_count("refused the connection") <= 11);
	broker_set_password(PASSWORD);
	log_release();
	stage_close(&stage);
}

static void broker_that_does_not_answer_is_asked_again(void **state)
{
	struct link_options options;
	struct node *node;
	uint64_t begin = clock_ms();

	(void)state;
	stage_open(&stage);
	options = node_options(&stage);
	log_capture();
	broker_pause();
	node = node_open(&stage, &options);
	await(&stage, log_count("no answer in time"));
	assert_in_range(clock_ms() - begin, CONNECT_MS, 2 * CONNECT_MS);
	broker_resume();
	await(&stage, link_is_up(node->link));
	assert_int_equal(node->downs, 0);
	log_release();
	stage_close(&stage);
}

/* Connections that a stopped broker does not take, until the next one is not even answered. */
static void fill_backlog(int fds[FILLERS])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons(broker.port),
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (int i = 0; i < FILLERS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(fds[i] >= 0);
		connect(fds[i], (struct sockaddr *)&address, sizeof(address));
	}
}

static void connection_that_takes_long_is_waited_for_without_spinning(void **state)
{
	int fds[FILLERS];
	struct link_options options;
	struct node *node;
	uint64_t begin;

	(void)state;
	stage_open(&stage);
	options = node_options(&stage);
	broker_pause();
	fill_backlog(fds);
	node = node_open(&stage, &options);
	begin = clock_ms();
	await(&stage, clock_ms() - begin > 500);
	/* A turn each tick of 5 ms, hardly more. */
	assert_in_range(stage.turns, 1, 200);
	broker_resume();
	await(&stage, link_is_up(node->link));
	for (int i = 0; i < FILLERS; i++)
		close(fds[i]);
	stage_close(&stage);
}

/* Closing; stage_close sees to it that on_closed comes once and that the loop is empty. */

static void close_before_the_first_turn(void **state)
{
	struct link_options options;

	(void)state;
	stage_open(&stage);
	options = node_options(&stage);
	node_open(&stage, &options);
	stage_close(&stage);
}

static void close_while_it_connects(void **state)
{
	struct link_options options;

	(void)state;
	stage_open(&stage);
	options = node_options(&stage);
	broker_pause();
	node_open(&stage, &options);
	for (int i = 0; i < 20; i++)
		stage_turn(&stage);
	assert_int_equal(stage.nodes[0].ups, 0);
	stage_close(&stage);
	broker_resume();
}

static void close_while_the_broker_is_away(void **state)
{
	struct node *node;

	(void)state;
	stage_open(&stage);
	node = node_open_up(&stage);
	broker_kill();
	await(&stage, node->downs);
	node_publish(node, 1, "never");
	node_close(node);
	assert_int_equal(node->downs, 1);
	stage_close(&stage);
}

static void close_while_the_broker_is_stopped_and_much_is_pending(void **state)
{
	static uint8_t entry[60000];
	struct node *node;

	(void)state;
	stage_open(&stage);
	node = node_open_up(&stage);
	broker_pause();
	/* More than the socket takes, so that some waits in libmosquitto. */
	for (int i = 0; i < 200; i++) {
		link_publish_bus(node->link, 1, entry, sizeof(entry));
		stage_turn(&stage);
	}
	/* And some that no turn has taken. */
	link_publish_bus(node->link, 2, entry, sizeof(entry));
	stage_close(&stage);
	broker_resume();
}

static void close_of_one_leaves_the_other(void **state)
{
	struct node *one;
	struct node *other;

	(void)state;
	stage_open(&stage);
	one = node_open_up(&stage);
	other = node_open_up(&stage);
	node_hear(other, 1);
	node_close(one);
	one = node_open_up(&stage);
	node_publish(one, 1, "here");
	await(&stage, node_has(other, 1, "here"));
	assert_int_equal(other->downs, 0);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_broker(entries_of_one_turn_arrive_as_one_envelope_laid_end_to_end),
		with_broker(shards_of_one_turn_leave_as_an_envelope_each),
		with_broker(fuller_shard_than_an_envelope_leaves_in_parts_and_in_order),
		with_broker(what_is_published_is_confirmed_and_counted),
		with_broker(message_that_no_bridge_makes_is_refused),
		with_broker(node_says_that_it_is_alive_and_when_it_goes),
		with_broker(node_that_dies_is_gone_by_its_will),
		with_broker(node_hears_of_all_that_live_and_of_each_that_goes),
		with_broker(broker_that_comes_back_finds_everything_again),
		with_broker(number_of_a_lost_socket_may_be_another_s_at_once),
		with_broker(publishes_while_it_is_away_are_dropped_and_never_sent_later),
		with_broker(broker_that_stops_leaves_a_bounded_number_pending),
		with_broker(unconfirmed_at_a_loss_are_forgotten_with_their_connection),
		with_broker(wrong_password_is_tried_again_and_told_a_few_times),
		with_broker(broker_that_does_not_answer_is_asked_again),
		with_broker(connection_that_takes_long_is_waited_for_without_spinning),
		with_broker(close_before_the_first_turn),
		with_broker(close_while_it_connects),
		with_broker(close_while_the_broker_is_away),
		with_broker(close_while_the_broker_is_stopped_and_much_is_pending),
		with_broker(close_of_one_leaves_the_other),
	};

	return cmocka_run_group_tests(tests, broker_setup, broker_teardown);
}
