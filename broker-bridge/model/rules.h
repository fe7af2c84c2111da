/* rules - who may publish to, subscribe to and receive which topic, over MQTT.
 *
 * The table is in rules.c, a row for what a kind of principal may do with a kind of topic; what has no row is
 * denied. Who somebody is follows from the user name and the client id alone, since the login (plugin/login.h)
 * lets nobody in whose names are not proven: so it is known of a sleeping session too.
 *
 *   principal     user name        client id
 *   user          {user}           {user}/{device}
 *   service       service:{name}   service:{name}/{instance}
 *   push gateway  push:{name}      push:{name}/{instance}
 *   bridge        as configured    any
 *
 * A colon is in no user's id, so none of these can be another. The client id must begin with the user name since
 * Mosquitto gives a session, and what waits in it, to whoever has its client id.
 */
#ifndef MARTLET_MODEL_RULES_H
#define MARTLET_MODEL_RULES_H

#include "model/id.h"
#include "model/topic.h"

#include <stdbool.h>

enum principal_kind {
	PRINCIPAL_NOBODY,
	PRINCIPAL_USER,
	PRINCIPAL_SERVICE,
	PRINCIPAL_PUSH,
	PRINCIPAL_BRIDGE,
};

struct principal {
	enum principal_kind kind;
	struct user_id name;   /* of the user, service or gateway; empty for a bridge */
	struct user_id device; /* of a user; of others the instance */
};

/* Who has these names; `bridge` is the bridges' user name. False, and nobody, if they belong to nobody or do not
 * belong together. NULL has no name. */
bool principal_from_names(const char *user_name, const char *client_id, const char *bridge,
                          struct principal *ret_principal) __attribute__((warn_unused_result));

enum action { ACTION_PUBLISH, ACTION_RETAIN, ACTION_SUBSCRIBE, ACTION_RECEIVE };

enum verdict {
	VERDICT_DENIED,
	VERDICT_ALLOWED,
	VERDICT_MEMBERS, /* if the user is a member of the topic's conversation */
};

/* `topic` is a filter for ACTION_SUBSCRIBE. Fills in ret_parts unless it is DENIED or a bridge's. ACTION_RETAIN is
 * to publish and to leave it there. */
enum verdict rules_judge(const struct principal *principal, enum action action, const char *topic,
                         struct topic_parts *ret_parts) __attribute__((warn_unused_result));

#endif
