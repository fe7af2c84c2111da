/* notification - the words for what services tell users, as the store keeps it and the protocol encodes it. Plain
 * data; strings and bytes are borrowed from whoever made the struct.
 */
#ifndef MARTLET_MODEL_NOTIFICATION_H
#define MARTLET_MODEL_NOTIFICATION_H

#include "model/id.h"

#include <stddef.h>
#include <stdint.h>

/* One notification, as the user has it (Notification on the wire). */
struct notification {
	uint64_t
		number; /* the change of the user's notifications that stored it; 0 before it is stored */
	const char *id;
	const char *service;
	const char *kind;
	const char *content_type;
	const uint8_t *payload;
	size_t payload_size;
	int64_t created_ms;
	int64_t expires_ms;
	const char *collapse_key; /* "" if none */
};

/* One change of a user's notifications: one is stored, or some are pending no more, or both. */
struct notification_change {
	struct user_id user;
	uint64_t number;
	const int64_t *gone;
	size_t gone_count;
};

#endif
