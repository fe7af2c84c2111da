/* clients - who is connected, and until when its token is good.
 *
 * Known by Mosquitto's pointer, never by the client id: when a connection takes a session over, the new one has come
 * before the old one is told to have gone.
 *
 * Owns:     one entry a connection that has been let in.
 * Lifetime: clients_create to clients_destroy.
 * Threads:  the broker's one thread; no call here blocks.
 * Fails:    only where base/must fails.
 */
#ifndef MARTLET_PLUGIN_CLIENTS_H
#define MARTLET_PLUGIN_CLIENTS_H

#include "base/timer.h"
#include "model/rules.h"
#include "plugin/online.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clients;

struct clients_needs {
	void *context;
	/* This one's token has expired. May call clients_go. */
	void (*kick)(void *context, const char *client_id);
};

/* The timers and who is online are borrowed for its life. */
struct clients *clients_create(const struct clients_needs *needs, struct timers *timers,
                               struct online *online);

/* NULL is allowed. */
void clients_destroy(struct clients *clients);

/* Let in, for so long; UINT64_MAX for ever. The same key again takes the place of the first. */
void clients_come(struct clients *clients, const void *key, const char *client_id,
                  const struct principal *principal, uint64_t good_for_ms);

/* Gone. No effect if it was never let in. */
void clients_go(struct clients *clients, const void *key);

/* Whether it was let in, and has not gone. */
bool clients_has(const struct clients *clients, const void *key);

size_t clients_count(const struct clients *clients);

#endif
