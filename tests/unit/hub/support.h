/* support - a hub on a clock turned by hand, and clients that keep what they were given. */
#ifndef MARTLET_TESTS_UNIT_HUB_SUPPORT_H
#define MARTLET_TESTS_UNIT_HUB_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/hub.h"

#define SEEN_MOST 64

/* A door whose frames are single numbers. */
struct client {
	struct pipe pipe;
	struct session *session;
	uint64_t seen[SEEN_MOST];
	size_t count;
	enum close_code closed;
};

struct world {
	struct timers timers;
	struct hub *hub;
	struct session_options options;
	/* What the sessions of the last user come to, and how often that was told of any. */
	enum presence word;
	bool is_gone;
	int told;
};

/* For cmocka_unit_test_setup_teardown: the state is a world. */
int world_set_up(void **state);
int world_tear_down(void **state);

struct user_id user(const char *name);

/* A session that is live, of a user without blocks; or one still catching up, of one whose are not known. */
void client_open(struct world *world, struct client *client, const char *name);
void client_open_catching_up(struct world *world, struct client *client, const char *name);
/* Reads all that waits. */
void client_read(struct client *client);
void client_close(struct client *client);

/* A seat at the conversation's newest number, which is learned as `last_seq` if it is not known. */
struct seat *client_sit(struct world *world, struct client *client, const struct uuid *conversation,
                        uint64_t last_seq);

struct frame *number_frame(uint64_t number);

#endif
