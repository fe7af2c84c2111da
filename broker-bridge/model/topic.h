/* topic - Martlet's MQTT topics, built and taken apart.
 *
 * The only place that knows how a topic is spelled (docs/protocol.md, MQTT). All are under martlet/v1.
 */
#ifndef MARTLET_MODEL_TOPIC_H
#define MARTLET_MODEL_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#define TOPIC_BYTES 256

struct topic {
	char text[TOPIC_BYTES];
};

/* martlet/v1/bus/{shard}: everything of one shard, between bridges. */
struct topic topic_bus(uint32_t shard);

/* False if `text` is no topic of the bus. */
bool topic_is_bus(const char *text, uint32_t *ret_shard) __attribute__((warn_unused_result));

/* martlet/v1/node/{node}: a node is alive, or (by its will) gone. */
struct topic topic_node(const char *node);

/* A filter for these topics of all nodes. */
struct topic topic_all_nodes(void);

/* NULL if `text` is no node's topic; otherwise the node's name, which is the end of `text`. */
const char *topic_find_node(const char *text) __attribute__((warn_unused_result));

#endif
