#include "model/topic.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT "martlet/v1/"
#define SHARE "$share/"
#define BRIDGES SHARE "bridges/"

/* A letter in braces stands for a level: s a shard, c a conversation, u a user, d a device, v a service,
 * n a node, x any name. */
struct shape {
	enum topic_kind kind;
	const char *pattern;
};

static const struct shape topics[] = {
	{TOPIC_BUS, "bus/{s}"},
	{TOPIC_CONVERSATION_EVENTS, "c/{c}/e"},
	{TOPIC_CONVERSATION_SIGNALS, "c/{c}/s"},
	{TOPIC_USER_EVENTS, "u/{u}/e"},
	{TOPIC_DEVICE, "d/{u}/{d}"},
	{TOPIC_UP, "up/{u}/{d}"},
	{TOPIC_PRESENCE, "presence/{u}/{n}"},
	{TOPIC_NODE, "node/{n}"},
	{TOPIC_NODE_IN, "node/{n}/in"},
	{TOPIC_NOTIFY, "svc/{v}/notify"},
	{TOPIC_NOTIFY_USER, "svc/{v}/notify/{u}"},
	{TOPIC_RESPONSE, "svc/{v}/response"},
	{TOPIC_RESPONSE, "svc/{v}/response/{x}"},
	{TOPIC_OFFLINE, "offline/{u}"},
};

static const struct shape wide_filters[] = {
	{TOPIC_CONVERSATION_EVENTS, "c/{c}/#"},
	{TOPIC_CONVERSATION_EVENTS, "c/{c}/+"},
	{TOPIC_USER_EVENTS, "u/{u}/#"},
	{TOPIC_USER_EVENTS, "u/{u}/+"},
	{TOPIC_DEVICE, "d/{u}/#"},
	{TOPIC_DEVICE, "d/{u}/+"},
	{TOPIC_NOTIFY, "svc/{v}/#"},
	{TOPIC_RESPONSE, "svc/{v}/response/#"},
	{TOPIC_RESPONSE, "svc/{v}/response/+"},
	{TOPIC_OFFLINE, "offline/+"},
	{TOPIC_OFFLINE, "offline/#"},
};

/* Decimal digits without a leading zero. */
static bool read_shard(const char *text, uint32_t *ret_shard)
{
	unsigned long long shard = 0;
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 10 || text[digits] || (text[0] == '0' && digits > 1))
		return false;
	shard = strtoull(text, NULL, 10);
	*ret_shard = (uint32_t)shard;
	return shard <= UINT32_MAX;
}

/* In lower case only: what is compared as text elsewhere has one spelling. */
static bool read_conversation(const char *text, struct uuid *ret_uuid)
{
	return !strpbrk(text, "ABCDEF") && uuid_from_text(text, ret_uuid);
}

static bool read_node(const char *text, char *ret_node)
{
	struct user_id name;

	if (!user_id_from_text(text, &name))
		return false;
	memcpy(ret_node, name.text, sizeof(name.text));
	return true;
}

static bool read_level(char letter, const char *text, struct topic_parts *ret_parts)
{
	struct user_id any;

	switch (letter) {
	case 's':
		return read_shard(text, &ret_parts->shard);
	case 'c':
		return read_conversation(text, &ret_parts->conversation);
	case 'u':
		return user_id_from_text(text, &ret_parts->user);
	case 'd':
		return user_id_from_text(text, &ret_parts->device);
	case 'v':
		return user_id_from_text(text, &ret_parts->service);
	case 'n':
		return read_node(text, ret_parts->node);
	default:
		return user_id_from_text(text, &any);
	}
}

/* Copies the level that begins at *text, and moves on to its end. False if it is longer than any of ours. */
static bool take_level(const char **text, char level[TOPIC_NODE_BYTES + 1])
{
	size_t size = strcspn(*text, "/");

	if (size > TOPIC_NODE_BYTES)
		return false;
	memcpy(level, *text, size);
	level[size] = '\0';
	*text += size;
	return true;
}

static bool matches(const char *pattern, const char *text, struct topic_parts *ret_parts)
{
	char level[TOPIC_NODE_BYTES + 1];

	while (*pattern) {
		if (*pattern != '{') {
			if (*pattern++ != *text++)
				return false;
			continue;
		}
		if (!take_level(&text, level) || !read_level(pattern[1], level, ret_parts))
			return false;
		pattern += strlen("{u}");
	}
	return *text == '\0';
}

static bool find(const struct shape *shapes, size_t count, const char *text,
                 struct topic_parts *ret_parts)
{
	if (strncmp(text, ROOT, strlen(ROOT)) != 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		/* Most shapes end at the first letter. */
		if (shapes[i].pattern[0] != text[strlen(ROOT)])
			continue;
		*ret_parts = (struct topic_parts){.kind = shapes[i].kind};
		if (matches(shapes[i].pattern, text + strlen(ROOT), ret_parts))
			return true;
	}
	return false;
}

bool topic_parse(const char *text, struct topic_parts *ret_parts)
{
	if (find(topics, sizeof(topics) / sizeof(topics[0]), text, ret_parts))
		return true;
	*ret_parts = (struct topic_parts){.kind = TOPIC_NONE};
	return false;
}

/* What follows $share/{group}/; NULL if there is no group or nothing follows. */
static const char *skip_share(const char *text)
{
	size_t group = strcspn(text + strlen(SHARE), "/");
	const char *rest = text + strlen(SHARE) + group;

	return group && *rest ? rest + 1 : NULL;
}

bool topic_parse_filter(const char *text, struct topic_parts *ret_parts)
{
	bool is_shared = strncmp(text, SHARE, strlen(SHARE)) == 0;
	bool is_wide = false;

	*ret_parts = (struct topic_parts){.kind = TOPIC_NONE};
	if (is_shared)
		text = skip_share(text);
	if (!text)
		return false;
	if (!topic_parse(text, ret_parts)) {
		is_wide = find(wide_filters, sizeof(wide_filters) / sizeof(wide_filters[0]), text,
		               ret_parts);
		if (!is_wide) {
			*ret_parts = (struct topic_parts){.kind = TOPIC_NONE};
			return false;
		}
	}
	ret_parts->is_shared = is_shared;
	ret_parts->is_wide = is_wide;
	return true;
}

/* A name that is too long is cut: names are bounded where they are made. */
static struct topic build(const char *format, ...) __attribute__((format(printf, 1, 2)));

static struct topic build(const char *format, ...)
{
	struct topic topic;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(topic.text, sizeof(topic.text), format, arguments);
	va_end(arguments);
	return topic;
}

struct topic topic_bus(uint32_t shard)
{
	return build(ROOT "bus/%" PRIu32, shard);
}

bool topic_is_bus(const char *text, uint32_t *ret_shard)
{
	const size_t prefix = strlen(ROOT "bus/");
	uint32_t shard;

	if (strncmp(text, ROOT "bus/", prefix) != 0 || !read_shard(text + prefix, &shard))
		return false;
	*ret_shard = shard;
	return true;
}

struct topic topic_conversation_events(const struct uuid *conversation)
{
	return build(ROOT "c/%s/e", uuid_to_text(conversation).text);
}

struct topic topic_conversation_signals(const struct uuid *conversation)
{
	return build(ROOT "c/%s/s", uuid_to_text(conversation).text);
}

struct topic topic_user_events(const struct user_id *user)
{
	return build(ROOT "u/%s/e", user->text);
}

struct topic topic_device(const struct user_id *user, const struct user_id *device)
{
	return build(ROOT "d/%s/%s", user->text, device->text);
}

struct topic topic_up(const struct user_id *user, const struct user_id *device)
{
	return build(ROOT "up/%s/%s", user->text, device->text);
}

struct topic topic_all_up(void)
{
	return build(BRIDGES ROOT "up/+/+");
}

struct topic topic_presence(const struct user_id *user, const char *node)
{
	return build(ROOT "presence/%s/%s", user->text, node);
}

struct topic topic_node(const char *node)
{
	return build(ROOT "node/%s", node);
}

struct topic topic_node_in(const char *node)
{
	return build(ROOT "node/%s/in", node);
}

struct topic topic_all_nodes(void)
{
	return build(ROOT "node/+");
}

const char *topic_find_node(const char *text)
{
	const char *node = text + strlen(ROOT "node/");

	if (strncmp(text, ROOT "node/", strlen(ROOT "node/")) != 0 || !*node || strchr(node, '/'))
		return NULL;
	return node;
}

struct topic topic_notify(const struct user_id *service)
{
	return build(ROOT "svc/%s/notify", service->text);
}

struct topic topic_notify_user(const struct user_id *service, const struct user_id *user)
{
	return build(ROOT "svc/%s/notify/%s", service->text, user->text);
}

struct topic topic_all_notify(void)
{
	return build(BRIDGES ROOT "svc/+/notify");
}

struct topic topic_all_notify_user(void)
{
	return build(BRIDGES ROOT "svc/+/notify/+");
}

struct topic topic_response(const struct user_id *service)
{
	return build(ROOT "svc/%s/response", service->text);
}

struct topic topic_offline(const struct user_id *user)
{
	return build(ROOT "offline/%s", user->text);
}
