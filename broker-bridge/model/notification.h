/* notification - the words for what services tell users, as the store keeps it and the protocol encodes it. Plain
 * data; strings and bytes are borrowed from whoever made the struct.
 */
#ifndef MARTLET_MODEL_NOTIFICATION_H
#define MARTLET_MODEL_NOTIFICATION_H

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

#endif
