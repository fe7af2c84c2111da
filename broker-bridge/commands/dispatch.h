/* dispatch - a client's bytes become a command, and the command one answer.
 *
 * All doors come through here: bytes are decoded, the command's row is found in the table, checked for
 * form, run, and answered exactly once.
 *
 * Owns:     a command's memory from its bytes to its answer.
 * Lifetime: dispatcher_create; dispatcher_destroy after the store is closed, which has then answered
 *           everything. A session with commands on their way stays by its reference.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    towards the client only: by an Error in the reply, or by closing the session where the
 *           bytes are no command at all (4000).
 */
#ifndef MARTLET_COMMANDS_DISPATCH_H
#define MARTLET_COMMANDS_DISPATCH_H

#include "protocol/encode.h"

#include <stddef.h>
#include <stdint.h>

struct announce;
struct blocks;
struct dispatcher;
struct notify;
struct resume;
struct session;
struct signals;
struct store;
struct token_keys;
struct watching;

struct dispatcher_options {
	const char *server; /* name and version, for Welcome */
	const char *node;
	struct protocol_limits limits;
	uint32_t history_bytes; /* of one page */
	uint32_t heartbeat_ms;
	uint32_t token_warning_ms;
	int64_t (*clock_ms)(void);   /* since 1970 */
	uint64_t (*uptime_ms)(void); /* never jumps */
};

/* What commands are done with. */
struct dispatcher_rooms {
	const struct token_keys *keys;
	struct store *store;
	struct announce *announce;
	struct resume *resume;
	struct signals *signals;
	struct blocks *blocks;
	struct watching *watching;
	struct notify *notify;
};

/* Everything is borrowed for its life. */
struct dispatcher *dispatcher_create(const struct dispatcher_options *options,
                                     const struct dispatcher_rooms *rooms);
void dispatcher_destroy(struct dispatcher *dispatcher);

/* From now on these are in force. The keys before are not used any more. */
void dispatcher_set_limits(struct dispatcher *dispatcher, const struct protocol_limits *limits);
void dispatcher_set_keys(struct dispatcher *dispatcher, const struct token_keys *keys);

/* One whole message of a session's client. The bytes are borrowed. */
void dispatch_session_bytes(struct dispatcher *dispatcher, struct session *session,
                            const uint8_t *bytes, size_t size);

#endif
