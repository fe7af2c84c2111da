/* id - how users, devices, conversations and messages are named.
 *
 * A user and a device are opaque texts of 1 to 64 of `A-Z a-z 0-9 . _ ~ @ -`: none of them means
 * anything in an MQTT topic, in a log line or in an address. Conversations and client messages are
 * UUIDs (RFC 9562), 16 bytes here and 36 characters outside.
 */
#ifndef MARTLET_MODEL_ID_H
#define MARTLET_MODEL_ID_H

#include "model/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct user_id {
	char text[LIMIT_USER_BYTES + 1];
};

struct uuid {
	uint8_t bytes[16];
};

#define UUID_TEXT_BYTES 37 /* with the closing zero */

struct uuid_text {
	char text[UUID_TEXT_BYTES];
};

/* Whether `text` may name a user or a device. NULL may not. */
bool id_is_valid(const char *text);

/* False, and `ret_id` untouched, if `text` is no valid id. */
bool user_id_from_text(const char *text, struct user_id *ret_id)
	__attribute__((warn_unused_result));

bool user_id_is_equal(const struct user_id *a, const struct user_id *b);

/* Reads the form 8-4-4-4-12 in hexadecimal digits of either case, and nothing else. */
bool uuid_from_text(const char *text, struct uuid *ret_uuid) __attribute__((warn_unused_result));

/* In lower case. */
struct uuid_text uuid_to_text(const struct uuid *uuid);

bool uuid_is_equal(const struct uuid *a, const struct uuid *b);

/* All bits zero (RFC 9562, section 5.9): no identity at all. */
bool uuid_is_nil(const struct uuid *uuid);

/* A version 7 UUID (RFC 9562, section 5.7) from milliseconds since 1970 and ten random bytes. */
struct uuid uuid_v7(uint64_t time_ms, const uint8_t random[10]);

/* The bus shard of a conversation or of a user, from 0 to shards - 1; the same on every node and in every
 * release, since nodes of two releases meet on the bus (FNV-1a, 32 bits). */
uint32_t shard_of_conversation(const struct uuid *conversation, uint32_t shards);
uint32_t shard_of_user(const struct user_id *user, uint32_t shards);

#endif
