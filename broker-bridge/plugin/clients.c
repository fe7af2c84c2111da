#include "plugin/clients.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define uthash_malloc(size) memory_new(size)
#include <uthash.h>

struct client {
	const void *key;
	UT_hash_handle hh;
	struct clients *clients;

	struct user_id user; /* "" if it is no user's */
	struct timer expiry;
	char id[];
};

struct clients {
	struct clients_needs needs;
	struct timers *timers;
	struct online *online;
	struct client *connected;
};

struct clients *clients_create(const struct clients_needs *needs, struct timers *timers,
                               struct online *online)
{
	struct clients *clients = memory_new(sizeof(*clients));

	*clients = (struct clients){.needs = *needs, .timers = timers, .online = online};
	return clients;
}

static struct client *find(const struct clients *clients, const void *key)
{
	struct client *client;

	HASH_FIND_PTR(clients->connected, &key, client);
	return client;
}

static void forget(struct client *client)
{
	timer_stop(client->clients->timers, &client->expiry);
	HASH_DEL(client->clients->connected, client);
	free(client);
}

void clients_destroy(struct clients *clients)
{
	struct client *client;
	struct client *next;

	if (!clients)
		return;
	HASH_ITER(hh, clients->connected, client, next)
		forget(client);
	free(clients);
}

void clients_go(struct clients *clients, const void *key)
{
	struct client *client = find(clients, key);
	struct user_id user;

	if (!client)
		return;
	user = client->user;
	forget(client);
	if (user.text[0])
		online_go(clients->online, &user);
}

static void on_expired(struct timer *timer)
{
	struct client *client = (struct client *)((char *)timer - offsetof(struct client, expiry));
	struct clients *clients = client->clients;
	const void *key = client->key;
	char *id = memory_copy_text(client->id);

	clients->needs.kick(clients->needs.context, id);
	/* Whether or not Mosquitto knew it still. */
	clients_go(clients, key);
	free(id);
}

void clients_come(struct clients *clients, const void *key, const char *client_id,
                  const struct principal *principal, uint64_t good_for_ms)
{
	size_t size = strlen(client_id) + 1;
	struct client *client = memory_new(sizeof(*client) + size);

	client->key = key;
	client->clients = clients;
	client->expiry.on_due = on_expired;
	memcpy(client->id, client_id, size);
	if (principal->kind == PRINCIPAL_USER)
		client->user = principal->name;
	/* Before the one that it may replace is gone, so that the user does not leave in between. */
	if (client->user.text[0])
		online_come(clients->online, &client->user);
	clients_go(clients, key);
	HASH_ADD_PTR(clients->connected, key, client);
	if (good_for_ms != UINT64_MAX)
		timer_start(clients->timers, &client->expiry, good_for_ms);
}

bool clients_has(const struct clients *clients, const void *key)
{
	return find(clients, key) != NULL;
}

size_t clients_count(const struct clients *clients)
{
	return HASH_COUNT(clients->connected);
}
