/* What the hub promises: every session has each event once, in order, whatever the wire does. */
#include "base/memory.h"
#include "hub/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EVENTS 200
#define SEEDS 200

/* A door that keeps what it was given: each frame's bytes are the event's number. */
struct client {
	struct pipe pipe;
	struct session *session;
	uint64_t seen[EVENTS + 1];
	size_t count;
	enum close_code closed;
	bool is_paused;
};

struct world {
	struct timers timers;
	struct hub *hub;
	struct session_options options;
	uint32_t holes;
	uint32_t lags;
	uint32_t lefts;
	uint64_t left_seq;
};

static const struct uuid room = {{1}};

static void on_wake(struct pipe *pipe)
{
	(void)pipe;
}

static void on_pause(struct pipe *pipe, bool is_paused)
{
	((struct client *)pipe)->is_paused = is_paused;
}

static void on_close(struct pipe *pipe, enum close_code code, const char *reason)
{
	(void)reason;
	((struct client *)pipe)->closed = code;
}

static void ignore_user(void *context, const struct user_id *user)
{
	(void)context;
	(void)user;
}

static void ignore_presence(void *context, const struct user_id *user, enum presence now,
                            bool is_gone)
{
	(void)context;
	(void)user;
	(void)now;
	(void)is_gone;
}

static void ignore_conversation(void *context, const struct uuid *conversation)
{
	(void)context;
	(void)conversation;
}

static void ignore_session(void *context, struct session *session)
{
	(void)context;
	(void)session;
}

static void on_hole(void *context, const struct uuid *conversation)
{
	(void)conversation;
	((struct world *)context)->holes++;
}

static void on_lag(void *context, struct session *session)
{
	(void)session;
	((struct world *)context)->lags++;
}

static void on_left(void *context, struct session *session, const struct uuid *conversation,
                    uint64_t seq)
{
	struct world *world = context;

	assert_true(uuid_is_equal(conversation, &room));
	assert_true(session_is_open(session));
	world->left_seq = seq;
	world->lefts++;
}

static int set_up(void **state)
{
	struct world *world = memory_new(sizeof(*world));
	const struct hub_options options = {.guests = 1,
	                                    .sessions_of_user = 2,
	                                    .tail_events = 16,
	                                    .tail_bytes = 1024,
	                                    .held_events = 32,
	                                    .resume_events = 100,
	                                    .linger_ms = 1000,
	                                    .hole_ms = 20};
	const struct hub_needs needs = {
		.context = world,
		.on_user_live = ignore_user,
		.on_user_idle = ignore_user,
		.on_conversation_live = ignore_conversation,
		.on_conversation_idle = ignore_conversation,
		.on_hole = on_hole,
		.on_lag = on_lag,
		.on_left = on_left,
		.on_departure = ignore_user,
		.on_session_gone = ignore_session,
		.on_presence = ignore_presence,
		.on_memberships = ignore_user,
	};

	world->options = (struct session_options){.outbound_bytes = 8 * EVENTS * 2,
	                                          .outbound_low_bytes = 8 * EVENTS,
	                                          .pending_commands = 4,
	                                          .hello_ms = 100};
	timers_init(&world->timers, 1);
	world->hub = hub_create(&options, &needs, &world->timers);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	hub_destroy(world->hub);
	timers_done(&world->timers);
	free(world);
	return 0;
}

static void connect_client(struct world *world, struct client *client, const char *name)
{
	struct user_id user;

	memset(client, 0, sizeof(*client));
	client->pipe = (struct pipe){on_wake, on_pause, on_close};
	client->session = session_create(world->hub, &world->options, &client->pipe);
	assert_true(user_id_from_text(name, &user));
	session_identify(client->session, &user, "device");
}

static void read_all(struct client *client)
{
	struct frame *frames[8];
	size_t count;

	while ((count = session_take(client->session, frames, 8, 64))) {
		for (size_t i = 0; i < count; i++) {
			memcpy(&client->seen[client->count++], frames[i]->bytes, sizeof(uint64_t));
			frame_unref(frames[i]);
		}
	}
}

static struct frame *make_event(uint64_t seq)
{
	struct frame *frame = frame_create(sizeof(seq));

	memcpy(frame->bytes, &seq, sizeof(seq));
	return frame;
}

static void offer(struct world *world, uint64_t seq)
{
	struct frame *frame = make_event(seq);

	hub_offer(world->hub, &room, seq, frame);
	frame_unref(frame);
}

static void assert_seen(const struct client *client, uint64_t first, uint64_t last)
{
	assert_int_equal(client->count, last - first + 1);
	for (uint64_t seq = first; seq <= last; seq++)
		assert_int_equal(client->seen[seq - first], seq);
}

static void events_in_any_order_arrive_once_and_in_order(void **state)
{
	struct world *world = *state;

	for (unsigned int seed = 1; seed <= SEEDS; seed++) {
		struct conversation *conversation = hub_get_conversation(world->hub, &room);
		unsigned int random = seed;
		uint64_t order[EVENTS];
		struct client client;

		connect_client(world, &client, "alice");
		conversation_learn_head(conversation, 0);
		assert_non_null(conversation_join(conversation, client.session, 0, 0));
		for (uint64_t i = 0; i < EVENTS; i++)
			order[i] = i + 1;
		/* Some come twice, and some so early that they are not kept: these the log gives again. */
		for (size_t i = 0; i < EVENTS; i++) {
			size_t other = i + (size_t)rand_r(&random) % 16;
			uint64_t kept = order[i];

			if (other >= EVENTS)
				continue;
			order[i] = order[other];
			order[other] = kept;
		}
		for (size_t i = 0; i < EVENTS; i++) {
			offer(world, order[i]);
			if (rand_r(&random) % 3 == 0)
				offer(world, order[(size_t)rand_r(&random) % (i + 1)]);
		}
		while (conversation_hole(conversation))
			offer(world, conversation_hole(conversation));
		read_all(&client);
		assert_seen(&client, 1, EVENTS);
		session_detach(client.session);
		timers_turn(&world->timers, world->timers.now_ms + 2000);
		assert_null(hub_find_conversation(world->hub, &room));
	}
}

static void conversation_ahead_of_expected_asks_for_the_hole_and_goes_on_when_it_is_filled(
	void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client client;

	connect_client(world, &client, "alice");
	conversation_learn_head(conversation, 3);
	conversation_join(conversation, client.session, 3, 0);
	offer(world, 6);
	offer(world, 5);
	assert_int_equal(conversation_hole(conversation), 4);
	assert_int_equal(world->holes, 0);
	timers_turn(&world->timers, 30);
	assert_int_equal(world->holes, 1);
	offer(world, 4);
	assert_int_equal(conversation_hole(conversation), 0);
	read_all(&client);
	assert_seen(&client, 4, 6);
	session_detach(client.session);
}

static void head_beyond_what_came_is_a_hole_at_once(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);

	conversation_learn_head(conversation, 3);
	conversation_learn_head(conversation, 5);
	timers_turn(&world->timers, 2);
	assert_int_equal(world->holes, 1);
	conversation_forget_hole(conversation);
	assert_int_equal(conversation_hole(conversation), 0);
}

static void seat_behind_the_tail_lags_until_it_is_fed_to_it_and_then_lives(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client client;
	struct seat *seat;

	conversation_learn_head(conversation, 0);
	for (uint64_t seq = 1; seq <= 40; seq++)
		offer(world, seq);
	connect_client(world, &client, "alice");
	seat = conversation_join(conversation, client.session, 10, 0);
	assert_true(seat_is_lagging(seat));
	assert_int_equal(seat_distance(seat), 30);
	offer(world, 41);
	for (uint64_t seq = 11; seat_is_lagging(seat); seq++) {
		struct frame *frame = make_event(seq);

		assert_in_range(seq, 11, 26);
		seat_feed(seat, seq, frame);
		frame_unref(frame);
	}
	offer(world, 42);
	read_all(&client);
	assert_seen(&client, 11, 42);
	session_detach(client.session);
}

static void seat_within_the_tail_is_served_from_memory(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client client;

	conversation_learn_head(conversation, 0);
	for (uint64_t seq = 1; seq <= 40; seq++)
		offer(world, seq);
	connect_client(world, &client, "alice");
	assert_false(seat_is_lagging(conversation_join(conversation, client.session, 30, 0)));
	read_all(&client);
	assert_seen(&client, 31, 40);
	session_detach(client.session);
}

static void jump_over_a_great_hole_makes_live_seats_lag(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client client;
	struct seat *seat;

	conversation_learn_head(conversation, 5);
	connect_client(world, &client, "alice");
	seat = conversation_join(conversation, client.session, 5, 0);
	conversation_learn_head(conversation, 500);
	assert_true(seat_is_lagging(seat));
	assert_int_equal(world->lags, 1);
	/* It leaves, and sits down again where its client pages to. */
	seat_leave(seat);
	seat = conversation_join(conversation, client.session, 500, 0);
	assert_false(seat_is_lagging(seat));
	offer(world, 501);
	read_all(&client);
	assert_seen(&client, 501, 501);
	session_detach(client.session);
}

static struct frame *removal(uint64_t seq, const char *user)
{
	struct frame *frame = frame_create(sizeof(seq));

	memcpy(frame->bytes, &seq, sizeof(seq));
	frame_set_leaver(frame, user);
	return frame;
}

static void offer_frame(struct world *world, uint64_t seq, struct frame *frame)
{
	hub_offer(world->hub, &room, seq, frame);
	frame_unref(frame);
}

static void offer_to_seat(struct seat *seat, uint64_t seq)
{
	struct frame *frame = make_event(seq);

	seat_feed(seat, seq, frame);
	frame_unref(frame);
}

static void removed_member_gets_its_removal_and_nothing_later(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client alice;
	struct client bob;
	struct client late;

	conversation_learn_head(conversation, 5);
	connect_client(world, &alice, "alice");
	connect_client(world, &bob, "bob");
	connect_client(world, &late, "bob");
	conversation_join(conversation, alice.session, 5, 0);
	conversation_join(conversation, bob.session, 5, 0);
	/* What follows comes first: it is held until the removal is there. */
	offer(world, 7);
	offer_frame(world, 6, removal(6, "bob"));
	offer(world, 8);
	assert_int_equal(world->lefts, 1);
	assert_int_equal(world->left_seq, 6);
	/* Who comes later with an older cursor meets the removal in the tail. */
	assert_null(conversation_join(conversation, late.session, 5, 0));
	assert_int_equal(world->lefts, 2);
	read_all(&alice);
	read_all(&bob);
	read_all(&late);
	assert_seen(&alice, 6, 8);
	assert_seen(&bob, 6, 6);
	assert_seen(&late, 6, 6);
	assert_int_equal(conversation_seats(conversation), 1);
	session_detach(alice.session);
	session_detach(bob.session);
	session_detach(late.session);
}

static void removed_member_that_lags_is_fed_up_to_its_removal(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client bob;
	struct seat *seat;
	struct frame *frame = removal(2, "bob");

	conversation_learn_head(conversation, 50);
	connect_client(world, &bob, "bob");
	seat = conversation_join(conversation, bob.session, 1, 0);
	assert_true(seat_is_lagging(seat));
	seat_feed(seat, 2, frame);
	frame_unref(frame);
	assert_int_equal(world->left_seq, 2);
	assert_int_equal(conversation_seats(conversation), 0);
	assert_null(session_next_lagging(bob.session, NULL));
	read_all(&bob);
	assert_seen(&bob, 2, 2);
	session_detach(bob.session);
}

/* Who was removed and is a member again may see the whole log, with its own removal in it. */
static void removal_before_the_membership_ends_no_seat(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client bob;
	struct seat *seat;
	struct frame *past = removal(2, "bob");

	conversation_learn_head(conversation, 4);
	connect_client(world, &bob, "bob");
	seat = conversation_join(conversation, bob.session, 1, 4);
	seat_feed(seat, 2, past);
	frame_unref(past);
	offer(world, 5);
	assert_int_equal(world->lefts, 0);
	assert_int_equal(seat_seq(seat), 2);
	offer_to_seat(seat, 3);
	offer_to_seat(seat, 4);
	offer_frame(world, 6, removal(6, "bob"));
	assert_int_equal(world->lefts, 1);
	assert_int_equal(world->left_seq, 6);
	read_all(&bob);
	assert_seen(&bob, 2, 6);
	session_detach(bob.session);
}

static void what_was_redacted_is_not_told_from_memory(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct frame *frame = removal(4, "");
	struct client client;
	struct seat *seat;

	conversation_learn_head(conversation, 0);
	for (uint64_t seq = 1; seq <= 3; seq++)
		offer(world, seq);
	frame->redacts_seq = 2;
	offer_frame(world, 4, frame);
	connect_client(world, &client, "alice");
	seat = conversation_join(conversation, client.session, 1, 0);
	/* The log has it, and there it is empty. */
	assert_true(seat_is_lagging(seat));
	read_all(&client);
	assert_int_equal(client.count, 0);
	seat_leave(seat);
	seat = conversation_join(conversation, client.session, 3, 0);
	assert_false(seat_is_lagging(seat));
	read_all(&client);
	assert_seen(&client, 4, 4);
	session_detach(client.session);
}

static void slow_reader_is_closed_at_its_bound_and_hurts_no_other(void **state)
{
	struct world *world = *state;
	struct conversation *conversation = hub_get_conversation(world->hub, &room);
	struct client slow;
	struct client quick;

	world->options.outbound_bytes = 80;
	connect_client(world, &slow, "slow");
	connect_client(world, &quick, "quick");
	conversation_learn_head(conversation, 0);
	conversation_join(conversation, slow.session, 0, 0);
	conversation_join(conversation, quick.session, 0, 0);
	for (uint64_t seq = 1; seq <= 20; seq++) {
		offer(world, seq);
		read_all(&quick);
		assert_true(session_queued_bytes(slow.session) <= 80);
	}
	assert_int_equal(slow.closed, CLOSE_SLOW_CONSUMER);
	assert_int_equal(quick.closed, 0);
	assert_seen(&quick, 1, 20);
	assert_int_equal(conversation_seats(conversation), 1);
	session_detach(slow.session);
	session_detach(quick.session);
}

static void session_without_hello_is_closed_in_time(void **state)
{
	struct world *world = *state;
	struct client client = {.pipe = {on_wake, on_pause, on_close}};

	client.session = session_create(world->hub, &world->options, &client.pipe);
	timers_turn(&world->timers, 90);
	assert_int_equal(client.closed, 0);
	timers_turn(&world->timers, 102);
	assert_int_equal(client.closed, CLOSE_HELLO_TIMEOUT);
	session_detach(client.session);
}

static void session_is_warned_before_its_token_ends_and_closed_at_its_end(void **state)
{
	struct world *world = *state;
	struct client client;
	struct frame *warning = make_event(7);

	connect_client(world, &client, "alice");
	session_set_expiry(client.session, 1000, 300, warning);
	frame_unref(warning);
	timers_turn(&world->timers, 690);
	assert_int_equal(session_queued_bytes(client.session), 0);
	timers_turn(&world->timers, 702);
	read_all(&client);
	assert_seen(&client, 7, 7);
	timers_turn(&world->timers, 1010);
	assert_int_equal(client.closed, CLOSE_TOKEN_EXPIRED);
	session_detach(client.session);
}

static void one_session_too_many_of_a_user_closes_the_oldest(void **state)
{
	struct world *world = *state;
	struct client clients[3];

	for (size_t i = 0; i < 3; i++)
		connect_client(world, &clients[i], "alice");
	assert_int_equal(clients[0].closed, CLOSE_REPLACED);
	assert_int_equal(clients[1].closed, 0);
	assert_int_equal(clients[2].closed, 0);
	for (size_t i = 0; i < 3; i++)
		session_detach(clients[i].session);
}

static void session_with_too_many_commands_is_not_read_from(void **state)
{
	struct world *world = *state;
	struct client client;

	connect_client(world, &client, "alice");
	for (int i = 0; i < 4; i++)
		session_command_begun(client.session);
	assert_true(client.is_paused);
	session_command_answered(client.session, NULL);
	assert_true(client.is_paused);
	session_command_answered(client.session, NULL);
	assert_false(client.is_paused);
	session_detach(client.session);
	session_command_answered(client.session, NULL);
	session_command_answered(client.session, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_in_any_order_arrive_once_and_in_order),
		TEST(conversation_ahead_of_expected_asks_for_the_hole_and_goes_on_when_it_is_filled),
		TEST(head_beyond_what_came_is_a_hole_at_once),
		TEST(seat_behind_the_tail_lags_until_it_is_fed_to_it_and_then_lives),
		TEST(seat_within_the_tail_is_served_from_memory),
		TEST(jump_over_a_great_hole_makes_live_seats_lag),
		TEST(removed_member_gets_its_removal_and_nothing_later),
		TEST(removed_member_that_lags_is_fed_up_to_its_removal),
		TEST(removal_before_the_membership_ends_no_seat),
		TEST(what_was_redacted_is_not_told_from_memory),
		TEST(slow_reader_is_closed_at_its_bound_and_hurts_no_other),
		TEST(session_without_hello_is_closed_in_time),
		TEST(session_is_warned_before_its_token_ends_and_closed_at_its_end),
		TEST(one_session_too_many_of_a_user_closes_the_oldest),
		TEST(session_with_too_many_commands_is_not_read_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
