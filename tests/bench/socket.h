/* socket - a WebSocket client (RFC 6455) for the load generator: one epoll loop, TCP or TLS, binary messages.
 *
 * Thousands in one process, so each is small: what has come and is no whole message yet, what waits to be
 * written, and nothing else. No call blocks: a server that does not read must not hold up the clock by
 * which others send. Whatever fails ends the program: there is nobody to tell.
 */
#ifndef MARTLET_BENCH_SOCKET_H
#define MARTLET_BENCH_SOCKET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	uint8_t *at;
	size_t size;
	size_t capacity;
};

struct socket {
	int fd;
	int loop;     /* epoll's */
	SSL *tls;     /* NULL: plain */
	bool is_open; /* the upgrade is through */
	bool waits_to_write;
	struct bytes in;
	struct bytes out;
	uint64_t received; /* bytes, also of those before it in this place */
};

/* Connects to 127.0.0.1, asks for the upgrade, and joins the loop; its events point to the socket. */
void socket_open(struct socket *socket, uint16_t port, SSL_CTX *tls, int loop);

/* Goes away without a word, as a client does whose network is gone. */
void socket_close(struct socket *socket);

/* Queues one binary message of at most 64 KiB and writes what can be written. */
void socket_send(struct socket *socket, const uint8_t *bytes, size_t size);

/* For each of its events: writes what waits, reads what is there, answers pings, and hands out each whole
 * message. */
void socket_turn(struct socket *socket,
                 void (*on_message)(void *context, const uint8_t *bytes, size_t size),
                 void *context);

#endif
