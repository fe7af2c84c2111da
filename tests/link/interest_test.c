#include "link/support.h"

#include <stdio.h>
#include <string.h>

#define LINGER_MS 100
#define FRESH_SHARDS 200

static struct stage stage;
static struct node *from;
static struct node *to;
static struct interest *interest; /* of `to` */

/* Two nodes: one publishes, the other's interest is looked at. */
static void open_two(uint32_t linger_ms)
{
	struct link_options options;

	stage_open(&stage);
	options = node_options(&stage);
	options.linger_ms = linger_ms;
	from = node_open_up(&stage);
	to = node_open(&stage, &options);
	await(&stage, link_is_up(to->link));
	interest = link_interest(to->link);
}

/* Publishes to the shard and then to another that is surely heard, and tells whether the first came too:
 * one publisher's order is kept. */
static bool hears(uint32_t shard, uint32_t heard_shard)
{
	int before = to->heard[shard];
	int marks = to->heard[heard_shard];

	node_publish(from, shard, "?");
	stage_turn(&stage);
	node_publish(from, heard_shard, "mark");
	await(&stage, to->heard[heard_shard] > marks);
	return to->heard[shard] > before;
}

static void shard_that_nobody_holds_is_not_heard(void **state)
{
	(void)state;
	open_two(30000);
	node_hear(to, 1);
	assert_false(hears(2, 1));
	node_hear(to, 2);
	assert_true(hears(2, 1));
	stage_close(&stage);
}

static void own_publishes_are_heard_as_those_of_others(void **state)
{
	(void)state;
	open_two(30000);
	node_hear(to, 1);
	node_publish(to, 1, "mine");
	await(&stage, node_has(to, 1, "mine"));
	stage_close(&stage);
}

struct waiting {
	struct interest_wait wait;
	struct interest_wait *cancels; /* when it is called */
	int calls;
	uint32_t shard;
};

static void on_heard(struct interest_wait *wait)
{
	struct waiting *waiting = (struct waiting *)wait;

	waiting->calls++;
	if (waiting->cancels)
		interest_cancel(interest, waiting->cancels);
}

static void publish_at_once(struct interest_wait *wait)
{
	struct waiting *waiting = (struct waiting *)wait;

	waiting->calls++;
	node_publish(from, waiting->shard, "at once");
	link_flush(from->link);
}

static void what_is_published_right_after_the_wait_arrives(void **state)
{
	(void)state;
	open_two(30000);
	for (uint32_t shard = 0; shard < FRESH_SHARDS; shard++) {
		struct waiting waiting = {.wait.on_heard = publish_at_once, .shard = shard};

		interest_acquire(interest, shard);
		assert_false(interest_is_heard(interest));
		interest_await(interest, &waiting.wait);
		assert_int_equal(waiting.calls, 0);
		await(&stage, to->heard[shard]);
		assert_int_equal(waiting.calls, 1);
		assert_true(interest_is_heard(interest));
	}
	stage_close(&stage);
}

static void wait_without_reason_ends_before_the_call_returns(void **state)
{
	struct waiting waiting = {.wait.on_heard = on_heard};

	(void)state;
	open_two(30000);
	interest_await(interest, &waiting.wait);
	assert_int_equal(waiting.calls, 1);
	node_hear(to, 1);
	/* A second hold of a shard that is heard asks for nothing. */
	interest_acquire(interest, 1);
	interest_await(interest, &waiting.wait);
	assert_int_equal(waiting.calls, 2);
	stage_close(&stage);
}

static void wait_is_for_what_was_held_when_it_began(void **state)
{
	struct waiting first = {.wait.on_heard = on_heard};
	struct waiting second = {.wait.on_heard = on_heard};

	(void)state;
	open_two(30000);
	broker_pause();
	interest_acquire(interest, 1);
	interest_await(interest, &first.wait);
	interest_acquire(interest, 2);
	interest_await(interest, &second.wait);
	for (int i = 0; i < 10; i++)
		stage_turn(&stage);
	assert_int_equal(first.calls + second.calls, 0);
	broker_resume();
	while (!second.calls) {
		stage_turn(&stage);
		assert_true(first.calls >= second.calls);
	}
	assert_int_equal(first.calls, 1);
	assert_int_equal(second.calls, 1);
	stage_close(&stage);
}

static void wait_that_is_cancelled_is_not_called(void **state)
{
	struct waiting waits[4] = {0};

	(void)state;
	open_two(30000);
	broker_pause();
	interest_acquire(interest, 1);
	for (int i = 0; i < 4; i++) {
		waits[i].wait.on_heard = on_heard;
		interest_await(interest, &waits[i].wait);
	}
	interest_cancel(interest, &waits[0].wait);
	/* The next in the list, by the one that is called before it. */
	waits[1].cancels = &waits[2].wait;
	broker_resume();
	await(&stage, waits[3].calls);
	assert_int_equal(waits[0].calls, 0);
	assert_int_equal(waits[1].calls, 1);
	assert_int_equal(waits[2].calls, 0);
	assert_int_equal(waits[3].calls, 1);
	interest_cancel(interest, &waits[3].wait);
	stage_close(&stage);
}

static void waits_end_when_the_connection_is_lost(void **state)
{
	struct waiting waiting = {.wait.on_heard = on_heard};
	struct waiting away = {.wait.on_heard = on_heard};

	(void)state;
	open_two(30000);
	broker_pause();
	interest_acquire(interest, 1);
	interest_await(interest, &waiting.wait);
	broker_kill();
	await(&stage, to->downs);
	assert_int_equal(waiting.calls, 1);
	assert_true(interest_is_heard(interest));
	interest_acquire(interest, 2);
	interest_await(interest, &away.wait);
	assert_int_equal(away.calls, 1);
	broker_start();
	await(&stage, link_is_up(to->link) && link_is_up(from->link));
	assert_true(hears(1, 2));
	assert_int_equal(waiting.calls, 1);
	stage_close(&stage);
}

static void waits_end_when_the_link_is_closed(void **state)
{
	struct waiting waiting = {.wait.on_heard = on_heard};

	(void)state;
	open_two(30000);
	broker_pause();
	interest_acquire(interest, 1);
	interest_await(interest, &waiting.wait);
	node_close(to);
	assert_int_equal(waiting.calls, 1);
	stage_close(&stage);
	broker_resume();
}

static void shards_held_before_the_connection_are_heard_when_it_is_up(void **state)
{
	struct link_options options;

	(void)state;
	stage_open(&stage);
	options = node_options(&stage);
	from = node_open_up(&stage);
	to = node_open(&stage, &options);
	for (uint32_t shard = 0; shard < SHARDS; shard++)
		interest_acquire(link_interest(to->link), shard);
	assert_true(interest_is_heard(link_interest(to->link)));
	await(&stage, to->ups);
	for (uint32_t shard = 0; shard < SHARDS; shard++)
		node_publish(from, shard, "x");
	await(&stage, to->envelopes == SHARDS);
	stage_close(&stage);
}

static void shard_let_go_is_heard_a_while_longer_and_then_not(void **state)
{
	(void)state;
	open_two(LINGER_MS);
	node_hear(to, 1);
	node_hear(to, 2);
	interest_release(interest, 2);
	assert_true(hears(2, 1));
	await(&stage, !hears(2, 1));
	/* And again when it is wanted again. */
	node_hear(to, 2);
	assert_true(hears(2, 1));
	stage_close(&stage);
}

static void shard_held_twice_or_again_in_time_stays(void **state)
{
	(void)state;
	open_two(LINGER_MS);
	for (uint32_t shard = 1; shard <= 4; shard++)
		node_hear(to, shard);
	interest_acquire(interest, 2);
	interest_release(interest, 2);
	interest_release(interest, 3);
	interest_acquire(interest, 3);
	assert_true(interest_is_heard(interest));
	/* The one that is let go is the clock for the others. */
	interest_release(interest, 4);
	await(&stage, !hears(4, 1));
	assert_true(hears(2, 1));
	assert_true(hears(3, 1));
	stage_close(&stage);
}

static void shard_let_go_while_away_is_not_asked_for_again(void **state)
{
	(void)state;
	open_two(LINGER_MS);
	node_hear(to, 1);
	node_hear(to, 2);
	broker_kill();
	await(&stage, to->downs && from->downs);
	interest_release(interest, 2);
	broker_start();
	await(&stage, link_is_up(to->link) && link_is_up(from->link));
	assert_false(hears(2, 1));
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_broker(shard_that_nobody_holds_is_not_heard),
		with_broker(own_publishes_are_heard_as_those_of_others),
		with_broker(what_is_published_right_after_the_wait_arrives),
		with_broker(wait_without_reason_ends_before_the_call_returns),
		with_broker(wait_is_for_what_was_held_when_it_began),
		with_broker(wait_that_is_cancelled_is_not_called),
		with_broker(waits_end_when_the_connection_is_lost),
		with_broker(waits_end_when_the_link_is_closed),
		with_broker(shards_held_before_the_connection_are_heard_when_it_is_up),
		with_broker(shard_let_go_is_heard_a_while_longer_and_then_not),
		with_broker(shard_held_twice_or_again_in_time_stays),
		with_broker(shard_let_go_while_away_is_not_asked_for_again),
	};

	return cmocka_run_group_tests(tests, broker_setup, broker_teardown);
}
