/* topics - what was committed and what is told, published for members over MQTT.
 *
 * Each event goes to its conversation's topic, each signal to the topic for signals, and what is for one user to
 * that user's: one ServerFrame a publish. The node that committed does it, at once, so the events of one node
 * come in order of number; those that two nodes commit at the same moment may cross on their way to Mosquitto.
 *
 * Nothing here is repeated: what is lost (a node dies between commit and publish, Mosquitto is away) a client finds
 * by number, at the next event or when it asks how its conversations stand, and reads it by GetHistory. A sender that
 * got no answer repeats its send, which publishes the event again.
 *
 * A signal goes to all who read the topic, so it is not published where it could go across a block: if the one whom it
 * is about is in a block relation with anybody. The store is asked, for all signals of a moment at once.
 *
 * Owns:     what waits for an answer of the store.
 * Lifetime: topics_create; topics_stop before the store is closed; topics_destroy after it.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    never.
 */
#ifndef MARTLET_FLOW_TOPICS_H
#define MARTLET_FLOW_TOPICS_H

#include "model/event.h"
#include "model/frame.h"
#include "model/id.h"
#include "model/notification.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link;
struct store;
struct topics;

/* Who knows whether anybody reads a topic. Where it is not known the answer is true, and a function that is NULL
 * always says so: publishing for nobody costs Mosquitto 8 to 24 µs. */
struct topics_needs {
	void *context;
	bool (*is_conversation_heard)(void *context, const struct uuid *conversation);
	bool (*is_user_heard)(void *context, const struct user_id *user);
};

struct topics_options {
	bool is_on; /* otherwise nothing is published */
	/* Joined users whose conversation waits to be read, who beyond it find it themselves; and signals that wait
	 * for blocks to be read. */
	uint32_t pending;
	uint32_t at_once; /* of them, asked of the store at the same time */
};

/* The rooms are borrowed for its life. */
struct topics *topics_create(const struct topics_options *options, const struct topics_needs *needs,
                             struct store *store, struct link *link);
void topics_stop(struct topics *topics);
void topics_destroy(struct topics *topics);

/* An event is in the log; `frame` is the same, encoded. Who is no member any more with it is told so. */
void topics_event(struct topics *topics, const struct event *event, struct frame *frame);

/* These users became members. */
void topics_joined(struct topics *topics, const struct uuid *conversation,
                   const struct user_id *users, size_t count);

/* A signal to a conversation's members, and news for one user. Borrow frame. */
void topics_signal(struct topics *topics, const struct uuid *conversation,
                   const struct user_id *about, struct frame *frame);
void topics_user(struct topics *topics, const struct user_id *user, struct frame *frame);

/* A user's notifications changed; `notification` is NULL if none was stored, or it is not known here. */
void topics_notification(struct topics *topics, const struct notification_change *change,
                         const struct notification *notification);

/* How many wait for an answer of the store. */
size_t topics_pending(const struct topics *topics);

#endif
