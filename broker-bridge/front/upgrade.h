/* upgrade - whether a request may become a WebSocket: RFC 6455, section 4.2.1, and our own rules.
 *
 * libwebsockets 4.1 lets more through than the RFC allows (other upgrades, other versions, other methods,
 * any of the vhost's protocols); this is the one place that decides.
 */
#ifndef MARTLET_FRONT_UPGRADE_H
#define MARTLET_FRONT_UPGRADE_H

#include "base/counters.h"

#include <libwebsockets.h>

/* The path and the subprotocol of version 1. */
#define UPGRADE_PATH "/v1/ws"
#define UPGRADE_PROTOCOL "martlet.v1"

struct refusal {
	unsigned int status; /* of HTTP; 0 if the request is good */
	enum counter cause;  /* where it is counted */
	const char *reason;  /* for the caller and the log */
};

/* Judges the request whose headers libwebsockets holds. `origins` as in websocket_door_options. */
struct refusal upgrade_judge(struct lws *wsi, const char *const *origins);

#endif
