#include "model/rules.h"

#include <stddef.h>
#include <string.h>

#define SERVICE_PREFIX "service:"
#define PUSH_PREFIX "push:"

/* Whose a topic must be. */
enum owner { OWNER_ANY, OWNER_SELF, OWNER_DEVICE, OWNER_SERVICE, OWNER_MEMBERS };

struct rule {
	enum principal_kind principal;
	enum topic_kind topic;
	bool may_publish;
	bool may_read;      /* subscribe and receive */
	bool may_be_shared; /* $share: several instances that deal out the work */
	enum owner owner;
};

static const struct rule rules[] = {
	{PRINCIPAL_USER, TOPIC_CONVERSATION_EVENTS, .may_read = true, .owner = OWNER_MEMBERS},
	{PRINCIPAL_USER, TOPIC_CONVERSATION_SIGNALS, .may_read = true, .owner = OWNER_MEMBERS},
	{PRINCIPAL_USER, TOPIC_USER_EVENTS, .may_read = true, .owner = OWNER_SELF},
	{PRINCIPAL_USER, TOPIC_DEVICE, .may_read = true, .owner = OWNER_DEVICE},
	{PRINCIPAL_USER, TOPIC_UP, .may_publish = true, .owner = OWNER_DEVICE},
	{PRINCIPAL_SERVICE, TOPIC_NOTIFY, .may_publish = true, .owner = OWNER_SERVICE},
	{PRINCIPAL_SERVICE, TOPIC_NOTIFY_USER, .may_publish = true, .owner = OWNER_SERVICE},
	{PRINCIPAL_SERVICE, TOPIC_RESPONSE, .may_read = true, .may_be_shared = true,
         .owner = OWNER_SERVICE},
	{PRINCIPAL_PUSH, TOPIC_OFFLINE, .may_read = true, .may_be_shared = true,
         .owner = OWNER_ANY},
};

static bool read_kind(const char *user_name, const char *bridge, struct principal *ret_principal)
{
	if (strcmp(user_name, bridge) == 0) {
		ret_principal->kind = PRINCIPAL_BRIDGE;
		return true;
	}
	if (strncmp(user_name, SERVICE_PREFIX, strlen(SERVICE_PREFIX)) == 0) {
		ret_principal->kind = PRINCIPAL_SERVICE;
		return user_id_from_text(user_name + strlen(SERVICE_PREFIX), &ret_principal->name);
	}
	if (strncmp(user_name, PUSH_PREFIX, strlen(PUSH_PREFIX)) == 0) {
		ret_principal->kind = PRINCIPAL_PUSH;
		return user_id_from_text(user_name + strlen(PUSH_PREFIX), &ret_principal->name);
	}
	ret_principal->kind = PRINCIPAL_USER;
	return user_id_from_text(user_name, &ret_principal->name);
}

bool principal_from_names(const char *user_name, const char *client_id, const char *bridge,
                          struct principal *ret_principal)
{
	size_t size = user_name ? strlen(user_name) : 0;

	*ret_principal = (struct principal){.kind = PRINCIPAL_NOBODY};
	if (user_name && client_id && read_kind(user_name, bridge, ret_principal) &&
	    (ret_principal->kind == PRINCIPAL_BRIDGE ||
	     (strncmp(client_id, user_name, size) == 0 && client_id[size] == '/' &&
	      user_id_from_text(client_id + size + 1, &ret_principal->device))))
		return true;
	*ret_principal = (struct principal){.kind = PRINCIPAL_NOBODY};
	return false;
}

static bool allows(const struct rule *rule, enum action action, const struct topic_parts *parts)
{
	switch (action) {
	case ACTION_PUBLISH:
		return rule->may_publish;
	case ACTION_SUBSCRIBE:
		return rule->may_read && (!parts->is_shared || rule->may_be_shared);
	case ACTION_RECEIVE:
		return rule->may_read;
	default: /* what stays with the broker is the bridges' */
		return false;
	}
}

static bool owns(const struct principal *principal, enum owner owner,
                 const struct topic_parts *parts)
{
	switch (owner) {
	case OWNER_SELF:
		return user_id_is_equal(&principal->name, &parts->user);
	case OWNER_DEVICE:
		return user_id_is_equal(&principal->name, &parts->user) &&
		       user_id_is_equal(&principal->device, &parts->device);
	case OWNER_SERVICE:
		return user_id_is_equal(&principal->name, &parts->service);
	default:
		return true;
	}
}

static const struct rule *find_rule(const struct principal *principal,
                                    const struct topic_parts *parts)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].principal == principal->kind && rules[i].topic == parts->kind)
			return &rules[i];
	}
	return NULL;
}

enum verdict rules_judge(const struct principal *principal, enum action action, const char *topic,
                         struct topic_parts *ret_parts)
{
	const struct rule *rule;

	if (principal->kind == PRINCIPAL_BRIDGE)
		return VERDICT_ALLOWED;
	if (!(action == ACTION_SUBSCRIBE ? topic_parse_filter(topic, ret_parts)
	                                 : topic_parse(topic, ret_parts)))
		return VERDICT_DENIED;
	rule = find_rule(principal, ret_parts);
	if (!rule || !allows(rule, action, ret_parts) || !owns(principal, rule->owner, ret_parts))
		return VERDICT_DENIED;
	return rule->owner == OWNER_MEMBERS ? VERDICT_MEMBERS : VERDICT_ALLOWED;
}
