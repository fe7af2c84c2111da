/* support - a hub on a clock turned by hand, clients that keep what they were told of notifications, and fakes of
 * the store, the link and watching that keep what they were asked.
 *
 * Tests run one after another in one thread; there is one world at a time.
 */
#ifndef MARTLET_TESTS_UNIT_FLOW_SUPPORT_H
#define MARTLET_TESTS_UNIT_FLOW_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/notify.h"
#include "hub/hub.h"
#include "model/notification.h"
#include "model/presence.h"
#include "store/notifications.h"

#define SHARDS 4
#define SWEEP_MS 5000
#define TOLD_BYTES 256

/* A question that was asked and not answered; the test answers it. */
struct asked_list {
	struct user_id user;
	uint64_t after;
	void (*done)(void *context, const struct notifications_answer *answer);
	void *context;
	int count; /* how often one was asked; the newest is kept */
};

struct asked_store {
	char users[256];
	uint64_t expires_after_ms;
	void (*done)(void *context, const struct store_notification_answer *answer);
	void *context;
	int count;
};

struct asked_ack {
	size_t numbers;
	void (*done)(void *context, const struct ack_answer *answer);
	void *context;
	int count;
};

struct asked_sweep {
	void (*done)(void *context, const struct outcome *outcome, uint32_t count);
	void *context;
	int count;
};

struct asked_waiting {
	struct user_id users[8];
	bool were_here[8];
	size_t users_count;
	void (*done)(void *context, const struct waiting_answer *answer);
	void *context;
	int count;
};

struct world {
	struct timers timers;
	struct hub *hub;
	struct session_options session_options;
	struct notify *notify;

	struct asked_list list;
	struct asked_store store;
	struct asked_ack ack;
	struct asked_sweep sweep;
	struct asked_waiting waiting;

	/* Published, one text a publish: "shard: [id] user=number-gone user=number". */
	char published[8][128];
	int publishes;

	enum presence presence; /* of whoever is followed */
	int followed;

	/* Whom push gateways were told of: "user waiting newest". */
	char told[64];
	int tellings;
};

extern struct world *world; /* the present one */

/* For cmocka_unit_test_setup_teardown. */
int world_set_up(void **state);
int world_tear_down(void **state);
void world_turn(uint64_t ms);

struct user_id user(const char *name);

/* A door that reads all that waits: "+1 +2 -1", with > where there is more. */
struct client {
	struct pipe pipe;
	struct session *session;
	enum close_code closed;
	char told[TOLD_BYTES];
};

/* A session of this user that was told of notifications up to `told`, or nothing yet if it is negative. */
void client_open(struct client *client, const char *name, int64_t told);
void client_close(struct client *client);
/* What it was told since the last call. */
const char *client_read(struct client *client);

/* An entry as it comes over the bus. The notification is NULL for a hint or an acknowledgement. */
void receive(const char *name, uint64_t number, const char *id, const int64_t *gone,
             size_t gone_count);

/* Answers the question that is open with pending notifications `first` to `version`. */
void answer_list(uint64_t first, uint64_t version, const int64_t *gone, size_t gone_count);

#endif
