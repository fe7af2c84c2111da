/* http_door - HTTP/1.1 on GNU libmicrohttpd: the demo page, the development sign-in, and the
 * administrator's address.
 *
 * Files of the page are read into memory once, at creation, and served under a strict Content Security
 * Policy with an ETag each; every other answer has one that allows nothing. A request has a time for itself and its
 * answer, whatever comes or goes byte by byte, and a body has a bound. The administrator's address has its own listener and answers /healthz
 * (the process runs) and /readyz (it can serve).
 *
 * Owns:     its listeners (SO_REUSEPORT), libmicrohttpd's daemons, the files.
 * Lifetime: create; stop_listening when draining; close calls on_closed and frees.
 * Threads:  the worker's one thread; libmicrohttpd runs on the worker's loop by its epoll descriptor.
 * Fails:    at creation by the outcome; later only towards the client.
 */
#ifndef MARTLET_FRONT_HTTP_DOOR_H
#define MARTLET_FRONT_HTTP_DOOR_H

#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_door;

/* What the door asks its owner. */
struct http_door_needs {
	void *context;
	/* Whether this worker can serve; if not, the reason, at most `size` bytes with the zero. */
	bool (*is_ready)(void *context, char *ret_reason, size_t size);
	/* Makes a token for the development sign-in; NULL where it is off. The token is to be freed by the
	 * caller; NULL with the outcome if `user` is no valid id. */
	char *(*sign_in)(void *context, const char *user, int64_t *ret_expires_ms,
	                 struct outcome *ret_outcome);
};

struct http_door_options {
	uv_loop_t *loop;
	const char *const *listen; /* the page; "address:port"; NULL at the end */
	const char *const *tls_listen;
	const char *const *admin_listen;
	const char *certificate_file; /* PEM; with tls_listen */
	const char *private_key_file;
	const char
		*web_root; /* the page's files; NULL or "": none, /martlet.json and sign-in only */

	/* What /martlet.json names as the WebSocket's address, for a page loaded by http and by https. If NULL
	 * or "", it is made of the request's Host and this port (0: none). */
	const char *websocket_url;
	const char *websocket_tls_url;
	uint16_t websocket_port;
	uint16_t websocket_tls_port;

	uint32_t
		request_ms; /* from a connection's begin, or its last answer, to the next one's end */
};

/* Begins to listen. NULL with the reason in ret_outcome. Strings are copied where they are needed. */
struct http_door *http_door_create(const struct http_door_options *options,
                                   const struct http_door_needs *needs,
                                   struct outcome *ret_outcome);

/* No new connections on the page's addresses; the administrator's goes on. */
void http_door_stop_listening(struct http_door *door);

/* Calls on_closed exactly once, from the loop, and frees. */
void http_door_close(struct http_door *door, void (*on_closed)(void *context), void *context);

#endif
