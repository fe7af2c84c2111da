/* service - what services ask for over MQTT: to notify users.
 *
 * Either a Notify as it stands in proto/martlet/v1/notifications.proto, or, so that a service needs no library, any payload
 * for one user, with the rest beside it. Who the service is, its door has made sure.
 *
 * Owns:     a copy of the request until it is answered.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    towards the service only: by an Error in the answer.
 */
#ifndef MARTLET_COMMANDS_SERVICE_H
#define MARTLET_COMMANDS_SERVICE_H

#include "model/frame.h"
#include "model/id.h"

#include <stddef.h>
#include <stdint.h>

struct dispatcher;

/* Borrowed until dispatch_notification returns. */
struct notification_request {
	struct user_id service;
	const uint8_t *bytes;
	size_t size;
	/* NULL: the bytes are a Notify, and the rest stands in it. Otherwise they are the payload for this user. */
	const struct user_id *user;
	const char *id; /* "" makes one: then a repetition is another notification */
	const char *kind;
	const char *content_type;
	const char *collapse_key;
	uint64_t expires_after_ms; /* 0: as long as may be */
	/* Called exactly once, when it is durable or refused; the frame, a Reply, is borrowed. */
	void (*reply)(void *context, struct frame *frame);
	void *context;
};

/* The answer may come before this returns, and comes in any case, also at shutdown. */
void dispatch_notification(struct dispatcher *dispatcher,
                           const struct notification_request *request);

#endif
