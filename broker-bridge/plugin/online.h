/* online - which users have clients of MQTT here, and this broker's word about each.
 *
 * One word a user, in the manner of hub/presence: said at once when the first client comes, taken back a grace after
 * the last has gone, and said again to whoever asks.
 *
 * Owns:     one entry a user with clients here, or whose word has not been taken back yet.
 * Lifetime: online_create to online_destroy.
 * Threads:  the broker's one thread; no call here blocks.
 * Fails:    only where base/must fails.
 */
#ifndef MARTLET_PLUGIN_ONLINE_H
#define MARTLET_PLUGIN_ONLINE_H

#include "base/timer.h"
#include "model/id.h"
#include "model/presence.h"

struct online;

struct online_needs {
	void *context;
	/* Tell all nodes. May not call back. */
	void (*say)(void *context, const struct user_id *user, enum presence word);
};

/* The timers are borrowed for its life. */
struct online *online_create(const struct online_needs *needs, struct timers *timers,
                             uint32_t grace_ms);

/* NULL is allowed. Says nothing. */
void online_destroy(struct online *online);

/* A client of this user has come; one that came has gone. */
void online_come(struct online *online, const struct user_id *user);
void online_go(struct online *online, const struct user_id *user);

/* A node wants to know. Who is not here is not talked of. */
void online_on_question(struct online *online, const struct user_id *user);

#endif
