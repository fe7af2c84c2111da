#include "model/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT "martlet/v1/"
#define BUS ROOT "bus/"
#define NODE ROOT "node/"

struct topic topic_bus(uint32_t shard)
{
	struct topic topic;

	snprintf(topic.text, sizeof(topic.text), BUS "%" PRIu32, shard);
	return topic;
}

bool topic_is_bus(const char *text, uint32_t *ret_shard)
{
	const size_t prefix = strlen(BUS);
	unsigned long shard;
	char *end;

	if (strncmp(text, BUS, prefix) != 0 || text[prefix] < '0' || text[prefix] > '9')
		return false;
	shard = strtoul(text + prefix, &end, 10);
	if (*end != '\0' || shard > UINT32_MAX)
		return false;
	*ret_shard = (uint32_t)shard;
	return true;
}

struct topic topic_node(const char *node)
{
	struct topic topic;

	snprintf(topic.text, sizeof(topic.text), NODE "%s", node);
	return topic;
}

struct topic topic_all_nodes(void)
{
	return (struct topic){NODE "+"};
}

const char *topic_find_node(const char *text)
{
	const char *node = text + strlen(NODE);

	if (strncmp(text, NODE, strlen(NODE)) != 0 || !*node || strchr(node, '/'))
		return NULL;
	return node;
}
