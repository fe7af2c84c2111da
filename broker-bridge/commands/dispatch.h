/* dispatch - a client's bytes become a command, and the command one answer.
 *
 * All doors come through here: bytes are decoded, the command's row is found in the table, checked for
 * form, run, and answered exactly once. A door says who is calling and how to answer; commands do not know which
 * door it was. A caller may have no session: then nothing is told to it but answers, and commands that are about a
 * session are refused.
 *
 * Owns:     a command's memory from its bytes to its answer.
 * Lifetime: dispatcher_create; dispatcher_destroy after the store is closed, which has then answered
 *           everything. A session with commands on their way stays by its reference.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    towards the client only: by an Error in the reply, or, where the bytes are no command at all, by
 *           closing the session (4000).
 */
#ifndef MARTLET_COMMANDS_DISPATCH_H
#define MARTLET_COMMANDS_DISPATCH_H

#include "protocol/encode.h"

#include <stddef.h>
#include <stdint.h>

struct announce;
struct blocks;
struct dispatcher;
struct hub;
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
	struct hub *hub;
	struct announce *announce;
	struct resume *resume;
	struct signals *signals;
	struct blocks *blocks;
	struct watching *watching;
	struct notify *notify;
};

/* Who gives a command, as its door has made sure, and how it is answered. */
struct caller {
	struct user_id user;     /* empty while its session awaits Hello */
	struct session *session; /* NULL: it has none */
	/* Called exactly once: with the answer, which is borrowed, or with NULL if there is to be none. */
	void (*reply)(void *context, struct frame *frame_or_null);
	void *context;
};

/* Everything is borrowed for its life. */
struct dispatcher *dispatcher_create(const struct dispatcher_options *options,
                                     const struct dispatcher_rooms *rooms);
void dispatcher_destroy(struct dispatcher *dispatcher);

/* From now on these are in force. The keys before are not used any more. */
void dispatcher_set_limits(struct dispatcher *dispatcher, const struct protocol_limits *limits);
void dispatcher_set_keys(struct dispatcher *dispatcher, const struct token_keys *keys);

/* One whole command of a caller, who is copied; the bytes are borrowed. A session's must be open. The answer may
 * come before this returns, and comes in any case, also at shutdown. */
void dispatch_bytes(struct dispatcher *dispatcher, const struct caller *caller,
                    const uint8_t *bytes, size_t size);

/* One whole message of a session's client. The bytes are borrowed. */
void dispatch_session_bytes(struct dispatcher *dispatcher, struct session *session,
                            const uint8_t *bytes, size_t size);

#endif
