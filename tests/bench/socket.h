/* socket - a WebSocket client (RFC 6455) for the load generator: one epoll loop, plain TCP, binary messages.
 *
 * Thousands in one process, so each is small: what has come and is no whole message yet, and nothing else.
 */
#ifndef MARTLET_BENCH_SOCKET_H
#define MARTLET_BENCH_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct socket {
	int fd;
	bool is_open; /* the upgrade is through */
	uint8_t *bytes;
	size_t size;
	size_t capacity;
};

/* Begins to connect to 127.0.0.1; exits on failure, as everything here does: there is nobody to tell. */
void socket_connect(struct socket *socket, uint16_t port);

/* Asks for the upgrade; to be called once it is connected. */
void socket_upgrade(struct socket *socket);

/* Sends one binary message of at most 60 KiB. */
void socket_send(struct socket *socket, const uint8_t *bytes, size_t size);

/* Reads what is there and hands out each whole message. Exits if the server closed. */
void socket_read(struct socket *socket,
                 void (*on_message)(void *context, const uint8_t *bytes, size_t size),
                 void *context);

#endif
