#include "unit/hub/support.h"

#include "base/memory.h"
#include "hub/blocked.h"

#include <stdlib.h>
#include <string.h>

static void on_wake(struct pipe *pipe)
{
	(void)pipe;
}

static void on_pause(struct pipe *pipe, bool is_paused)
{
	(void)pipe;
	(void)is_paused;
}

static void on_close(struct pipe *pipe, enum close_code code, const char *reason)
{
	(void)reason;
	((struct client *)pipe)->closed = code;
}

static void ignore_user(void *context, const struct user_id *id)
{
	(void)context;
	(void)id;
}

static void on_presence(void *context, const struct user_id *id, enum presence now, bool is_gone)
{
	struct world *world = context;

	(void)id;
	world->told++;
	world->word = now;
	world->is_gone = is_gone;
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

static void ignore_left(void *context, struct session *session, const struct uuid *conversation,
                        uint64_t seq)
{
	(void)context;
	(void)session;
	(void)conversation;
	(void)seq;
}

int world_set_up(void **state)
{
	struct world *world = memory_new(sizeof(*world));
	const struct hub_options options = {.guests = 3,
	                                    .sessions_of_user = 4,
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
		.on_hole = ignore_conversation,
		.on_lag = ignore_session,
		.on_left = ignore_left,
		.on_departure = ignore_user,
		.on_session_gone = ignore_session,
		.on_presence = on_presence,
		.on_memberships = ignore_user,
	};

	world->options = (struct session_options){.outbound_bytes = 80,
	                                          .outbound_low_bytes = 40,
	                                          .pending_commands = 4,
	                                          .hello_ms = 100};
	timers_init(&world->timers, 1);
	world->hub = hub_create(&options, &needs, &world->timers);
	*state = world;
	return 0;
}

int world_tear_down(void **state)
{
	struct world *world = *state;

	hub_destroy(world->hub);
	timers_done(&world->timers);
	free(world);
	return 0;
}

struct user_id user(const char *name)
{
	struct user_id id;

	assert_true(user_id_from_text(name, &id));
	return id;
}

void client_open_catching_up(struct world *world, struct client *client, const char *name)
{
	struct user_id id = user(name);

	memset(client, 0, sizeof(*client));
	client->pipe = (struct pipe){on_wake, on_pause, on_close};
	client->session = session_create(world->hub, &world->options, &client->pipe);
	session_identify(client->session, &id, "device");
}

void client_open(struct world *world, struct client *client, const char *name)
{
	struct user_id id = user(name);

	client_open_catching_up(world, client, name);
	session_set_live(client->session);
	hub_set_blocked(world->hub, &id, NULL, 0);
}

void client_read(struct client *client)
{
	struct frame *frames[8];
	size_t count;

	while ((count = session_take(client->session, frames, 8, 64))) {
		for (size_t i = 0; i < count; i++) {
			assert_true(client->count < SEEN_MOST);
			memcpy(&client->seen[client->count++], frames[i]->bytes, sizeof(uint64_t));
			frame_unref(frames[i]);
		}
	}
}

void client_close(struct client *client)
{
	session_detach(client->session);
}

struct seat *client_sit(struct world *world, struct client *client, const struct uuid *id,
                        uint64_t last_seq)
{
	struct conversation *conversation = hub_get_conversation(world->hub, id);

	if (!conversation_is_known(conversation))
		conversation_learn_head(conversation, last_seq);
	return conversation_join(conversation, client->session,
	                         conversation_next_seq(conversation) - 1, 0);
}

struct frame *number_frame(uint64_t number)
{
	struct frame *frame = frame_create(sizeof(number));

	memcpy(frame->bytes, &number, sizeof(number));
	return frame;
}
