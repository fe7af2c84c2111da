/* topic - Martlet's MQTT topics, built and taken apart.
 *
 * The only place that knows how a topic is spelled. All are under martlet/v1, and each has one spelling:
 *
 *   bus/{shard}                        node/{node}                   svc/{service}/notify
 *   c/{conversation}/e                 node/{node}/in                svc/{service}/notify/{user}
 *   c/{conversation}/s                 up/{user}/{device}            svc/{service}/response
 *   u/{user}/e                         presence/{user}/{node}        svc/{service}/response/{name}
 *   d/{user}/{device}                  offline/{user}
 *
 * Who may read and write which stands in model/rules.h, what is in them in docs/mqtt.md.
 */
#ifndef MARTLET_MODEL_TOPIC_H
#define MARTLET_MODEL_TOPIC_H

#include "model/id.h"

#include <stdbool.h>
#include <stdint.h>

#define TOPIC_BYTES 256
#define TOPIC_NODE_BYTES 64

struct topic {
	char text[TOPIC_BYTES];
};

enum topic_kind {
	TOPIC_NONE, /* none of ours */
	TOPIC_BUS,
	TOPIC_CONVERSATION_EVENTS,
	TOPIC_CONVERSATION_SIGNALS,
	TOPIC_USER_EVENTS,
	TOPIC_DEVICE,
	TOPIC_UP,
	TOPIC_PRESENCE,
	TOPIC_NODE,
	TOPIC_NODE_IN,
	TOPIC_NOTIFY,      /* one notification for many users */
	TOPIC_NOTIFY_USER, /* for one */
	TOPIC_RESPONSE,    /* what a service asked to be told when its notification is stored */
	TOPIC_OFFLINE,
	TOPIC_KINDS
};

/* A topic taken apart. Beside `kind`, what its topic has in braces; the rest is zeroed. */
struct topic_parts {
	enum topic_kind kind;
	uint32_t shard;
	struct uuid conversation;
	struct user_id user;
	struct user_id device;  /* named as users are */
	struct user_id service; /* likewise */
	char node[TOPIC_NODE_BYTES + 1];

	/* Of a filter only. */
	bool is_shared; /* $share/{group}/… */
	bool is_wide; /* ends in a wildcard that leaves its last levels open, see topic_parse_filter */
};

/* Takes a topic apart that someone publishes to. False if it is none of ours, in its one spelling. */
bool topic_parse(const char *text, struct topic_parts *ret_parts)
	__attribute__((warn_unused_result));

/* Takes the filter of a subscription apart: a topic of ours, or one of these that reach no further than one
 * owner, with the kind of a topic that it reaches and `is_wide`; each may begin with $share/{group}/.
 *
 *   c/{conversation}/#  u/{user}/#  d/{user}/#  d/{user}/+  svc/{service}/#  svc/{service}/response/#
 *   c/{conversation}/+  u/{user}/+  offline/+  offline/#    svc/{service}/response/+
 *
 * The kinds are the first of the owner's: TOPIC_CONVERSATION_EVENTS, TOPIC_USER_EVENTS, TOPIC_DEVICE (without
 * a device), TOPIC_NOTIFY for all of a service, TOPIC_RESPONSE, TOPIC_OFFLINE (without a user). False for all
 * other filters, also those that reach ours: who may read all needs no look at what. */
bool topic_parse_filter(const char *text, struct topic_parts *ret_parts)
	__attribute__((warn_unused_result));

/* Everything of one shard, between bridges. */
struct topic topic_bus(uint32_t shard);

/* False if `text` is no topic of the bus. */
bool topic_is_bus(const char *text, uint32_t *ret_shard) __attribute__((warn_unused_result));

/* A conversation's durable events, and its signals, for members over MQTT. */
struct topic topic_conversation_events(const struct uuid *conversation);
struct topic topic_conversation_signals(const struct uuid *conversation);

/* What is for a user on all its devices over MQTT. */
struct topic topic_user_events(const struct user_id *user);

/* Replies to one device, and its commands; a filter for the commands of all, dealt out among bridges. */
struct topic topic_device(const struct user_id *user, const struct user_id *device);
struct topic topic_up(const struct user_id *user, const struct user_id *device);
struct topic topic_all_up(void);

/* This user has sessions at this node. */
struct topic topic_presence(const struct user_id *user, const char *node);

/* A node is alive, or (by its will) gone. */
struct topic topic_node(const char *node);

/* A command for a session that lives at this node. */
struct topic topic_node_in(const char *node);

/* A filter for topic_node of all nodes. */
struct topic topic_all_nodes(void);

/* NULL if `text` is no node's topic; otherwise the node's name, which is the end of `text`. */
const char *topic_find_node(const char *text) __attribute__((warn_unused_result));

/* A service's notifications: for many users, for one; filters for those of all services, dealt out among
 * bridges. */
struct topic topic_notify(const struct user_id *service);
struct topic topic_notify_user(const struct user_id *service, const struct user_id *user);
struct topic topic_all_notify(void);
struct topic topic_all_notify_user(void);

/* Where a service may ask to be told that a notification is stored. */
struct topic topic_response(const struct user_id *service);

/* This user has something waiting and no session anywhere, for push gateways. */
struct topic topic_offline(const struct user_id *user);

#endif
