/* Publishing beside the bus: at once, on any topic, and never at the bus's cost. */
#include "link/support.h"

#include <string.h>

static struct stage stage;

static const uint8_t *bytes_of(const char *text)
{
	return (const uint8_t *)text;
}

static void publish_reaches_who_hears_the_topic(void **state)
{
	static const char *const topic = "martlet/v1/bus/7";
	struct node *from;
	struct node *to;

	(void)state;
	stage_open(&stage);
	from = node_open_up(&stage);
	to = node_open_up(&stage);
	node_hear(to, 7);
	for (int qos = 0; qos <= 1; qos++) {
		uint64_t confirmed = link_counts(from->link).confirmed;

		to->envelopes = 0;
		assert_true(link_publish(from->link, topic, bytes_of("hello"), 5, qos));
		await(&stage, node_has(to, 7, "hello"));
		/* Each is counted and confirmed once, whatever its QoS. */
		await(&stage, link_counts(from->link).confirmed == confirmed + 1);
	}
	stage_close(&stage);
}

static void publish_while_the_connection_is_away_is_dropped(void **state)
{
	struct node *node;

	(void)state;
	stage_open(&stage);
	node = node_open_up(&stage);
	broker_kill();
	await(&stage, node->downs == 1);
	assert_false(link_publish(node->link, "x", bytes_of("x"), 1, 1));
	assert_int_equal(link_counts(node->link).dropped, 1);
	stage_close(&stage);
}

static void unconfirmed_publishes_leave_room_for_the_bus(void **state)
{
	struct link_options options;
	struct node *node;
	int published = 0;

	(void)state;
	stage_open(&stage);
	options = node_options(&stage);
	options.publish_pending = 10;
	node = node_open(&stage, &options);
	await(&stage, link_is_up(node->link) && link_counts(node->link).confirmed == 1);
	broker_pause();
	while (link_publish(node->link, "x", bytes_of("x"), 1, 1))
		published++;
	assert_int_equal(published, 5);
	assert_int_equal(link_counts(node->link).dropped, 1);
	node_publish(node, 1, "the bus");
	link_flush(node->link);
	assert_int_equal(link_counts(node->link).dropped, 1);
	broker_resume();
	await(&stage, link_counts(node->link).confirmed == 7);
	assert_true(link_publish(node->link, "x", bytes_of("x"), 1, 1));
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_broker(publish_reaches_who_hears_the_topic),
		with_broker(publish_while_the_connection_is_away_is_dropped),
		with_broker(unconfirmed_publishes_leave_room_for_the_bus),
	};

	return cmocka_run_group_tests(tests, broker_setup, broker_teardown);
}
