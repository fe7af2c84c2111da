/* link - this node's connection to Mosquitto, on the worker's loop.
 *
 * Carries bytes on topics and knows nothing of what is in them. Everything given to link_publish_bus in one
 * turn of the loop for one shard leaves as one publish at link_flush. Published with QoS 1, received with
 * QoS 0: what is lost is found by number (see flow/sweep.h).
 *
 * The connection comes back by itself with backoff; then all subscriptions are made again, and
 * `on_up` is called when they stand. While it is away, publishes are dropped and counted.
 *
 * mosquitto_lib_init is the program's to call, before the first link.
 *
 * Owns:     the connection, its socket's watcher and timers, the envelopes of this turn.
 * Lifetime: link_create; link_close disconnects cleanly, calls on_closed and frees.
 * Threads:  the worker's one thread; no call here blocks (give an address, not a host name: libmosquitto
 *           looks names up blocking).
 * Fails:    never by return; link_is_up tells.
 */
#ifndef MARTLET_LINK_LINK_H
#define MARTLET_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct link;
struct interest;

struct link_options {
	uv_loop_t *loop;
	const char *host;
	uint16_t port;
	const char *user;     /* NULL: none */
	const char *password; /* NULL: none */
	const char *node;     /* this node's name; its client id and its node topic */
	uint32_t shards;
	uint32_t publish_bytes; /* the largest envelope; a fuller shard is published in parts */
	uint32_t linger_ms;     /* a shard without holds stays subscribed */
	/* Publishes without their PUBACK; beyond it they are dropped and counted. */
	uint32_t publish_pending;
};

/* What link tells its owner. */
struct link_needs {
	void *context;
	/* An envelope of a shard that is of interest; borrowed until the call returns. */
	void (*on_bus)(void *context, uint32_t shard, const uint8_t *bytes, size_t size);
	/* Connected, and every shard of interest is subscribed. */
	void (*on_up)(void *context);
	/* The connection is lost. */
	void (*on_down)(void *context);
	/* A node, perhaps this one, connected or is gone; at each connection once for every node that ever was.
	 * Comes before the answers to what this node asks on the bus, and before what that node says next. */
	void (*on_node)(void *context, const char *node, bool is_alive);
};

/* Begins to connect. The options are copied. */
struct link *link_create(const struct link_options *options, const struct link_needs *needs);

/* Calls on_closed exactly once, from the loop; waits that have not ended are called first. Not from within
 * on_bus, on_up or on_down: libmosquitto stands below them. */
void link_close(struct link *link, void (*on_closed)(void *context), void *context);

bool link_is_up(const struct link *link);

/* The shards that this node hears; lives as long as the link. */
struct interest *link_interest(struct link *link);

/* Adds one encoded martlet.bus.v1.Envelope (usually of one entry) to what leaves for the shard at the end
 * of this turn; the bytes are copied. Envelopes are joined by laying them end to end. */
void link_publish_bus(struct link *link, uint32_t shard, const uint8_t *bytes, size_t size);

/* Publishes on any topic with QoS 0 or 1, at once; the bytes are copied. False, and counted, if it was dropped: the
 * connection is away, or half of what may be unconfirmed is. Not from within on_bus, on_up, on_down or on_node. */
bool link_publish(struct link *link, const char *topic, const uint8_t *bytes, size_t size, int qos);

/* The end of a loop turn: publishes what was collected, one publish a shard. */
void link_flush(struct link *link);

/* For metrics and readiness. */
struct link_counts {
	uint64_t published;
	uint64_t confirmed;
	uint64_t dropped; /* because the connection was away or too much was unconfirmed */
	uint64_t received;
};

struct link_counts link_counts(const struct link *link);

#endif
