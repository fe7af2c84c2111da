#include "unit/flow/support.h"

#include "base/arena.h"
#include "base/memory.h"
#include "flow/topics.h"
#include "flow/watching.h"
#include "link/link.h"
#include "protocol/encode_notifications.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world *world;

/* Fakes. */

/* Where the test is about topics, theirs counts. */
__attribute__((weak)) void topics_notification(struct topics *topics,
                                               const struct notification_change *change,
                                               const struct notification *notification)
{
	(void)topics;
	(void)change;
	(void)notification;
}

void notifications_list(struct store *store, const struct user_id *id, uint64_t after,
                        uint32_t limit, uint32_t bytes,
                        void (*done)(void *context, const struct notifications_answer *answer),
                        void *context)
{
	(void)store;
	(void)limit;
	(void)bytes;
	world->list.user = *id;
	world->list.after = after;
	world->list.done = done;
	world->list.context = context;
	world->list.count++;
}

void notifications_store(struct store *store, const struct notification_order *order,
                         void (*done)(void *context,
                                      const struct store_notification_answer *answer),
                         void *context)
{
	(void)store;
	snprintf(world->store.users, sizeof(world->store.users), "%s", order->users);
	world->store.expires_after_ms = order->expires_after_ms;
	world->store.done = done;
	world->store.context = context;
	world->store.count++;
}

void notifications_ack(struct store *store, const struct user_id *id, const uint64_t *numbers,
                       size_t count, void (*done)(void *context, const struct ack_answer *answer),
                       void *context)
{
	(void)store;
	(void)id;
	(void)numbers;
	world->ack.numbers = count;
	world->ack.done = done;
	world->ack.context = context;
	world->ack.count++;
}

void notifications_sweep(struct store *store, uint32_t limit, uint32_t memory_s,
                         void (*done)(void *context, const struct outcome *outcome, uint32_t count),
                         void *context)
{
	(void)store;
	(void)limit;
	(void)memory_s;
	world->sweep.done = done;
	world->sweep.context = context;
	world->sweep.count++;
}

void notifications_tell_waiting(struct store *store, const struct user_id *users,
                                const bool *were_here, size_t count,
                                void (*done)(void *context, const struct waiting_answer *answer),
                                void *context)
{
	(void)store;
	assert_true(count <= 8);
	memcpy(world->waiting.users, users, count * sizeof(*users));
	memcpy(world->waiting.were_here, were_here, count * sizeof(*were_here));
	world->waiting.users_count = count;
	world->waiting.done = done;
	world->waiting.context = context;
	world->waiting.count++;
}

void link_publish_bus(struct link *link, uint32_t shard, const uint8_t *bytes, size_t size)
{
	struct arena *arena = arena_create(65536);
	const Martlet__Bus__V1__Envelope *envelope = decode_envelope(arena, bytes, size);
	const Martlet__Bus__V1__NotificationEntry *entry;
	char *at;
	size_t left = sizeof(world->published[0]);

	(void)link;
	assert_non_null(envelope);
	assert_int_equal(envelope->n_entries, 1);
	entry = envelope->entries[0]->notification;
	assert_true(world->publishes < 8);
	at = world->published[world->publishes++];
	for (size_t i = 0; i < entry->n_users; i++) {
		struct user_id id = user(entry->users[i]->user);
		int used = snprintf(at, left, "%s%s=%d", i ? " " : "", id.text,
		                    (int)entry->users[i]->number);

		assert_int_equal(shard_of_user(&id, SHARDS), shard);
		for (size_t k = 0; k < entry->users[i]->n_gone; k++)
			used += snprintf(at + used, left - (size_t)used, "-%d",
			                 (int)entry->users[i]->gone[k]);
		at += used;
		left -= (size_t)used;
	}
	if (entry->notification)
		snprintf(at, left, " %s", entry->notification->id);
	arena_destroy(arena);
}

void watching_follow(struct watching *watching, const struct user_id *id)
{
	(void)watching;
	(void)id;
	world->followed++;
}

void watching_unfollow(struct watching *watching, const struct user_id *id)
{
	(void)watching;
	(void)id;
	world->followed--;
}

enum presence watching_presence_of(const struct watching *watching, const struct user_id *id)
{
	(void)watching;
	(void)id;
	return world->presence;
}

/* The world. */

static void ignore_user(void *context, const struct user_id *id)
{
	(void)context;
	(void)id;
}

static void ignore_presence(void *context, const struct user_id *id, enum presence now,
                            bool is_gone)
{
	(void)context;
	(void)id;
	(void)now;
	(void)is_gone;
}

static void ignore_session(void *context, struct session *session)
{
	(void)context;
	(void)session;
}

static void on_waiting(void *context, const struct user_id *id, uint32_t waiting, uint64_t newest)
{
	struct world *its = context;

	snprintf(its->told, sizeof(its->told), "%.16s %u %u", id->text, waiting, (unsigned)newest);
	its->tellings++;
}

int world_set_up(void **state)
{
	const struct hub_options options = {.sessions_of_user = 4, .linger_ms = 1000, .guests = 1};
	const struct hub_needs needs = {
		.on_user_live = ignore_user,
		.on_user_idle = ignore_user,
		.on_lag = ignore_session,
		.on_session_gone = ignore_session,
		.on_presence = ignore_presence,
		.on_memberships = ignore_user,
	};

	(void)state;
	world = memory_new(sizeof(*world));
	world->presence = PRESENCE_OFFLINE;
	world->session_options = (struct session_options){.outbound_bytes = 2000,
	                                                  .outbound_low_bytes = 500,
	                                                  .pending_commands = 4,
	                                                  .hello_ms = 100000};
	timers_init(&world->timers, 1);
	world->hub = hub_create(&options, &needs, &world->timers);
	world->notify = notify_create(
		&(struct notify_options){
			.shards = SHARDS,
			.notification_bytes = 100,
			.list_notifications = 10,
			.memory_s = 60,
			.sweep_ms = SWEEP_MS,
		},
		&(struct absent_needs){world, on_waiting}, world->hub, NULL, NULL, NULL, NULL,
		&world->timers);
	return 0;
}

int world_tear_down(void **state)
{
	(void)state;
	notify_stop(world->notify);
	assert_int_equal(world->followed, 0);
	notify_destroy(world->notify);
	hub_destroy(world->hub);
	timers_done(&world->timers);
	free(world);
	return 0;
}

void world_turn(uint64_t ms)
{
	timers_turn(&world->timers, world->timers.now_ms + ms);
}

struct user_id user(const char *name)
{
	struct user_id id;

	assert_true(user_id_from_text(name, &id));
	return id;
}

/* Clients. */

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

void client_open(struct client *client, const char *name, int64_t told)
{
	struct user_id id = user(name);

	memset(client, 0, sizeof(*client));
	client->pipe = (struct pipe){on_wake, on_pause, on_close};
	client->session = session_create(world->hub, &world->session_options, &client->pipe);
	session_identify(client->session, &id, "device");
	if (told >= 0)
		session_set_notified(client->session, (uint64_t)told);
}

void client_close(struct client *client)
{
	session_detach(client->session);
}

static void write_item(struct client *client, const Martlet__V1__Item *item)
{
	size_t used = strlen(client->told);
	const Martlet__V1__NotificationBatch *batch = item->notifications;
	const bool is_batch = item->kind_case == MARTLET__V1__ITEM__KIND_NOTIFICATIONS;
	const size_t count =
		is_batch ? batch->n_notifications : item->notifications_acked->n_numbers;

	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(client->told + used, sizeof(client->told) - used, "%s%c%d",
		                         used ? " " : "", is_batch ? '+' : '-',
		                         (int)(is_batch ? batch->notifications[i]->number
		                                        : item->notifications_acked->numbers[i]));
	if (is_batch && batch->has_more)
		snprintf(client->told + used, sizeof(client->told) - used, ">");
}

const char *client_read(struct client *client)
{
	struct frame *frame;

	client->told[0] = '\0';
	while (session_take(client->session, &frame, 1, 100000)) {
		Martlet__V1__ServerFrame *message =
			martlet__v1__server_frame__unpack(NULL, frame->size, frame->bytes);

		assert_non_null(message);
		for (size_t i = 0; i < message->n_items; i++)
			write_item(client, message->items[i]);
		martlet__v1__server_frame__free_unpacked(message, NULL);
		frame_unref(frame);
	}
	return client->told;
}

void receive(const char *name, uint64_t number, const char *id, const int64_t *gone,
             size_t gone_count)
{
	const struct notification_change change = {
		.user = user(name), .number = number, .gone = gone, .gone_count = gone_count};
	const struct notification notification = {.id = id ? id : "",
	                                          .service = "shop",
	                                          .kind = "",
	                                          .content_type = "",
	                                          .collapse_key = ""};
	struct arena *arena = arena_create(65536);
	struct buffer buffer;
	const Martlet__Bus__V1__Envelope *envelope;

	buffer_init(&buffer, 65536);
	assert_true(encode_notification_entry(&buffer, id ? &notification : NULL, &change, 1));
	envelope = decode_envelope(arena, buffer.bytes, buffer.size);
	notify_on_entry(world->notify, envelope->entries[0]->notification);
	buffer_done(&buffer);
	arena_destroy(arena);
}

void answer_list(uint64_t first, uint64_t version, const int64_t *gone, size_t gone_count)
{
	struct notification notifications[16];
	struct notifications_answer answer = {
		.outcome = outcome_ok(),
		.notifications = notifications,
		.gone = gone,
		.gone_count = gone_count,
		.version = version,
	};

	for (uint64_t number = first; number <= version; number++)
		notifications[answer.count++] = (struct notification){.number = number,
		                                                      .id = "x",
		                                                      .service = "shop",
		                                                      .kind = "",
		                                                      .content_type = "",
		                                                      .collapse_key = ""};
	world->list.done(world->list.context, &answer);
}
