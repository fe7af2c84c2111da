/* session - one device's live connection: its state, what waits for it, and the pipe to its door.
 *
 *                     identified                caught up
 *  [ AWAITING HELLO ] ----------> [ CATCHING UP ] -------> [ LIVE ]
 *       |                               |                     |
 *       | 4000 4001 4002 4003           | any                 | any
 *       v                               v                     v
 *       '------------------------> [ CLOSING ] <--------------'     what waits is offered once more
 *                                       |
 *                                       | session_detach
 *                                       v
 *                                  [ CLOSED ]                       memory goes with the last reference
 *
 * A session never writes. It queues references to frames and wakes its pipe; the door takes what
 * waits when it can write. What would go beyond `outbound_bytes` closes the session with 4008 instead:
 * a slow reader hurts only itself, and resumes without loss.
 *
 * Owns:     a reference on every frame that waits.
 * Lifetime: created by a door, which holds one reference until session_detach; whoever keeps a session
 *           beyond a call holds another (session_ref).
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    only by closing.
 */
#ifndef MARTLET_HUB_SESSION_H
#define MARTLET_HUB_SESSION_H

#include "base/timer.h"
#include "model/frame.h"
#include "model/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub;
struct seat;
struct session;

enum session_state {
	SESSION_AWAITING_HELLO, /* nobody yet */
	SESSION_CATCHING_UP,    /* identified; what it missed is on its way */
	SESSION_LIVE,           /* everything reaches it as it happens */
	SESSION_CLOSING,        /* takes nothing more; its door is told to close */
	SESSION_CLOSED,         /* the door is gone */
};

/* The close codes of docs/protocol.md. */
enum close_code {
	CLOSE_DONE = 1000,
	CLOSE_TOO_BIG = 1009,
	CLOSE_DRAINING = 1012,
	CLOSE_PROTOCOL_ERROR = 4000,
	CLOSE_HELLO_TIMEOUT = 4001,
	CLOSE_BAD_TOKEN = 4002,
	CLOSE_TOKEN_EXPIRED = 4003,
	CLOSE_REVOKED = 4004,
	CLOSE_REPLACED = 4005,
	CLOSE_NOT_ALLOWED = 4006,
	CLOSE_SLOW_CONSUMER = 4008,
	CLOSE_RATE_LIMIT = 4009,
	CLOSE_OVERLOADED = 4010,
};

/* What a door gives its session. No call comes back into the session from inside these. */
struct pipe {
	/* Something waits: take it at the end of this turn. Called when the queue stops being empty. */
	void (*wake)(struct pipe *pipe);
	/* Stop reading (true) or read again (false). */
	void (*pause)(struct pipe *pipe, bool is_paused);
	/* Write what waits, within a bound, then close with this code; with SLOW_CONSUMER close at once. The
	 * reason is at most 120 bytes, and borrowed. Then, exactly once, session_detach. */
	void (*close)(struct pipe *pipe, enum close_code code, const char *reason);
};

struct session_options {
	uint32_t outbound_bytes;
	uint32_t outbound_low_bytes; /* there is room again for catching up below this */
	uint32_t pending_commands;
	uint32_t hello_ms;
};

/* A new connection, awaiting its Hello. Closes itself with 4001 after hello_ms without one. The pipe and
 * the options stay valid until session_detach. */
struct session *session_create(struct hub *hub, const struct session_options *options,
                               struct pipe *pipe);

/* The door's connection is gone, or was closed as asked; the pipe is not called again. */
void session_detach(struct session *session);

struct session *session_ref(struct session *session);
void session_unref(struct session *session);

/* The Hello was good: the session is this user's from now on, and the hub knows it (see hub.h). */
void session_identify(struct session *session, const struct user_id *user, const char *device);

/* Everything missed has been queued. */
void session_set_live(struct session *session);

/* The client says whether its user is away; a session begins as there. */
void session_set_away(struct session *session, bool is_away);

/* How far it was told of its user's notifications, as a number of their changes; false until it was set. */
void session_set_notified(struct session *session, uint64_t number);
bool session_is_notified(const struct session *session, uint64_t *ret_number);

/* Queues the frame (the session takes its own reference); nothing once it is closing. */
void session_push(struct session *session, struct frame *frame);

/* The same for what is told once and kept nowhere: left out, and false, if the client does not read fast enough for
 * what it has. Never closes a session. */
bool session_push_signal(struct session *session, struct frame *frame);

/* Moves up to `max_frames` waiting frames of together at most `max_bytes` to the door, which then owns
 * these references; a first frame larger than that is given alone. Returns their number. */
size_t session_take(struct session *session, struct frame **ret_frames, size_t max_frames,
                    size_t max_bytes) __attribute__((warn_unused_result));

/* How many bytes wait. */
size_t session_queued_bytes(const struct session *session);

/* There is room for more of what was missed. */
bool session_has_room(const struct session *session);

/* Ends the session with this code; the first call counts. */
void session_close(struct session *session, enum close_code code, const char *reason)
	__attribute__((nonnull));

/* Commands on their way. A session with too many is not read from until some are answered. */
void session_command_begun(struct session *session);
void session_command_answered(struct session *session, struct frame *reply_or_null);

/* The token's end: queues `warning` `warning_ms` before it (or at once) and closes with 4003 at it. May
 * be called again with a later end. Takes its own reference on the frame. */
void session_set_expiry(struct session *session, uint64_t expires_in_ms, uint32_t warning_ms,
                        struct frame *warning);

/* What is known of it. */
enum session_state session_state(const struct session *session);
bool session_is_open(const struct session *session);               /* neither closing nor closed */
uint64_t session_id(const struct session *session);                /* unique in this process */
const struct user_id *session_user(const struct session *session); /* valid once identified */
const char *session_device(const struct session *session);

#endif
