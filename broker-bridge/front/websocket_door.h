/* websocket_door - WebSocket connections (RFC 6455) on libwebsockets: bytes in, bytes out.
 *
 * Owns its listeners (SO_REUSEPORT, so that every worker has the same address), accepts at a pace and within
 * bounds (front/admission.h), hands accepted sockets to libwebsockets on the worker's loop, and refuses everything
 * that is not a well-formed upgrade of `GET /v1/ws` with the subprotocol `martlet.v1` from an allowed
 * Origin (front/upgrade.h). A handshake has a time, whatever comes of it byte by byte. Each
 * connection has a session (hub/session.h) whose pipe this room is. Frames are written at the end of a
 * loop turn, directly unless a partial write is pending; what waits for a session leaves as one
 * message.
 *
 * Owns:     listeners, the libwebsockets context, one `struct connection` a socket and its timer.
 * Lifetime: create; stop_listening when draining; close calls on_closed; free at the end of the loop.
 * Threads:  the worker's one thread.
 * Fails:    at creation by the outcome (an address in use, a bad certificate); later only by closing
 *           connections.
 */
#ifndef MARTLET_FRONT_WEBSOCKET_DOOR_H
#define MARTLET_FRONT_WEBSOCKET_DOOR_H

#include "hub/session.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct hub;
struct dispatcher;
struct websocket_door;

struct websocket_door_options {
	uv_loop_t *loop;
	struct hub *hub;
	struct dispatcher *dispatcher;
	const struct session_options *session; /* for each new session; outlives the door */

	const char *const *listen; /* "address:port", "[address]:port"; NULL at the end */
	const char *const *tls_listen;
	const char *certificate_file; /* PEM; with tls_listen */
	const char *private_key_file;
	const char *const
		*origins; /* "scheme://host[:port]" or "*"; NULL at the end. A request without
	                               Origin is no browser's and is allowed. */
	uint8_t ticket_keys[80]; /* the same in all workers, so that TLS sessions resume on any */

	uint32_t frame_bytes;  /* the largest message of a client; beyond it 1009 */
	uint32_t max_sessions; /* beyond it 503 */
	uint32_t handshakes;   /* under way at once; at it nobody is accepted until one has ended */
	uint32_t handshake_ms; /* from accept to a WebSocket, TLS included */
	uint32_t connections_of_address;    /* beyond it 429; 0: any number */
	const char *const *trusted_proxies; /* see front/admission.h; NULL at the end */
	uint32_t heartbeat_ms;              /* between pings; the first comes at any time before */
	uint32_t pong_ms; /* after a ping, until a connection without a sign of life is closed */
};

/* Begins to listen. NULL with the reason in ret_outcome. The strings are borrowed during the call. */
struct websocket_door *websocket_door_create(const struct websocket_door_options *options,
                                             struct outcome *ret_outcome);

/* No new connections; those that stand go on. */
void websocket_door_stop_listening(struct websocket_door *door);

/* Drops what connections are left, and calls on_closed exactly once from the loop. */
void websocket_door_close(struct websocket_door *door, void (*on_closed)(void *context),
                          void *context);

/* Frees it, after it is closed and the loop has run out of handles: libwebsockets asks for that order. */
void websocket_door_free(struct websocket_door *door);

/* The end of a loop turn: writes what waits for each session that was woken. */
void websocket_door_flush(struct websocket_door *door);

size_t websocket_door_connections(const struct websocket_door *door);

#endif
