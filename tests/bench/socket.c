#include "bench/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536
#define BINARY 2
#define CLOSE 8
#define PING 9
#define PONG 10

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "%s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
	exit(1);
}

/* Room for this much more. */
static uint8_t *grow(struct bytes *bytes, size_t more)
{
	if (bytes->size + more > bytes->capacity) {
		bytes->capacity = (bytes->size + more) * 2;
		bytes->at = realloc(bytes->at, bytes->capacity);
		if (!bytes->at)
			die("realloc");
	}
	return bytes->at + bytes->size;
}

/* Takes the beginning away. An idle client keeps nothing. */
static void drop(struct bytes *bytes, size_t size)
{
	bytes->size -= size;
	if (bytes->size) {
		memmove(bytes->at, bytes->at + size, bytes->size);
		return;
	}
	free(bytes->at);
	*bytes = (struct bytes){0};
}

/* The bytes that went through; 0 if none can now. */
static size_t tls_result(struct socket *socket_, int result)
{
	int error;

	if (result > 0)
		return (size_t)result;
	error = SSL_get_error(socket_->tls, result);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		die("the server closed a TLS connection");
	return 0;
}

static size_t plain_result(ssize_t result)
{
	if (result > 0)
		return (size_t)result;
	if (result < 0 && errno == EAGAIN)
		return 0;
	if (result == 0)
		errno = 0;
	die("the server closed a connection");
}

static size_t write_some(struct socket *socket_)
{
	if (socket_->tls)
		return tls_result(socket_,
		                  SSL_write(socket_->tls, socket_->out.at, (int)socket_->out.size));
	return plain_result(
		send(socket_->fd, socket_->out.at, socket_->out.size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static size_t read_some(struct socket *socket_, uint8_t *room)
{
	if (socket_->tls)
		return tls_result(socket_, SSL_read(socket_->tls, room, READ_BYTES));
	return plain_result(recv(socket_->fd, room, READ_BYTES, MSG_DONTWAIT));
}

static void flush(struct socket *socket_)
{
	bool waits;

	while (socket_->out.size) {
		size_t size = write_some(socket_);

		if (!size)
			break;
		drop(&socket_->out, size);
	}
	/* While TLS greets, it waits to read, and a socket that may be written would only spin. */
	waits = socket_->out.size && (!socket_->tls || SSL_want_write(socket_->tls));
	if (waits != socket_->waits_to_write) {
		struct epoll_event event = {.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN,
		                            .data.ptr = socket_};

		epoll_ctl(socket_->loop, EPOLL_CTL_MOD, socket_->fd, &event);
		socket_->waits_to_write = waits;
	}
}

void socket_open(struct socket *socket_, uint16_t port, SSL_CTX *tls, int loop)
{
	static const char request[] =
		"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Protocol: martlet.v1\r\n\r\n";
	const struct sockaddr_in address = {.sin_family = AF_INET,
	                                    .sin_port = htons(port),
	                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = socket_};
	int on = 1;

	*socket_ = (struct socket){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	                           .loop = loop,
	                           .received = socket_->received};
	if (socket_->fd < 0)
		die("socket");
	setsockopt(socket_->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(socket_->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		die("connect");
	if (tls) {
		BIO *bio = BIO_new_socket(socket_->fd, BIO_NOCLOSE);

		BIO_socket_nbio(socket_->fd, 1);
		socket_->tls = SSL_new(tls);
		SSL_set_bio(socket_->tls, bio, bio);
		SSL_set_connect_state(socket_->tls);
	}
	epoll_ctl(loop, EPOLL_CTL_ADD, socket_->fd, &event);
	memcpy(grow(&socket_->out, sizeof(request) - 1), request, sizeof(request) - 1);
	socket_->out.size += sizeof(request) - 1;
	flush(socket_);
}

void socket_close(struct socket *socket_)
{
	SSL_free(socket_->tls);
	close(socket_->fd);
	free(socket_->in.at);
	free(socket_->out.at);
	*socket_ = (struct socket){.fd = -1, .received = socket_->received};
}

static void queue(struct socket *socket_, uint8_t kind, const uint8_t *bytes, size_t size)
{
	size_t head = size > 125 ? 8 : 6;
	uint8_t *at = grow(&socket_->out, head + size);

	if (size > 65535)
		die("the message is too large");
	/* Masked with zeros, which changes nothing. */
	memset(at, 0, head);
	at[0] = (uint8_t)(0x80 | kind);
	at[1] = (uint8_t)(0x80 | (size > 125 ? 126 : size));
	if (size > 125) {
		at[2] = (uint8_t)(size >> 8);
		at[3] = (uint8_t)size;
	}
	memcpy(at + head, bytes, size);
	socket_->out.size += head + size;
}

void socket_send(struct socket *socket_, const uint8_t *bytes, size_t size)
{
	queue(socket_, BINARY, bytes, size);
	/* What waits already has its turn when the socket may be written. */
	if (!socket_->waits_to_write)
		flush(socket_);
}

/* The size of the first message with its head, and of the head; 0 if it is not all there. */
static size_t whole(const uint8_t *at, size_t size, size_t *ret_head)
{
	size_t length = size > 1 ? at[1] & 0x7f : 0;
	size_t head = length == 127 ? 10 : (length == 126 ? 4 : 2);

	if (size < head)
		return 0;
	if (length == 126)
		length = (size_t)at[2] << 8 | at[3];
	else if (length == 127)
		length = (size_t)at[6] << 24 | (size_t)at[7] << 16 | (size_t)at[8] << 8 | at[9];
	*ret_head = head;
	return size >= head + length ? head + length : 0;
}

static void take_upgrade(struct socket *socket_)
{
	const uint8_t *end = memmem(socket_->in.at, socket_->in.size, "\r\n\r\n", 4);

	if (!end)
		return;
	errno = 0;
	if (memcmp(socket_->in.at, "HTTP/1.1 101", 12) != 0)
		die("the upgrade was refused");
	socket_->is_open = true;
	drop(&socket_->in, (size_t)(end + 4 - socket_->in.at));
}

static void take_messages(struct socket *socket_,
                          void (*on_message)(void *context, const uint8_t *bytes, size_t size),
                          void *context)
{
	size_t done = 0;
	size_t head;
	size_t size;

	while ((size = whole(socket_->in.at + done, socket_->in.size - done, &head)) > 0) {
		const uint8_t *at = socket_->in.at + done;

		errno = 0;
		if ((at[0] & 0x0f) == CLOSE)
			die("the server closed a WebSocket");
		if ((at[0] & 0x0f) == PING)
			queue(socket_, PONG, at + head, size - head);
		else if ((at[0] & 0x0f) == BINARY)
			on_message(context, at + head, size - head);
		done += size;
	}
	if (done)
		drop(&socket_->in, done);
}

void socket_turn(struct socket *socket_,
                 void (*on_message)(void *context, const uint8_t *bytes, size_t size),
                 void *context)
{
	static uint8_t room[READ_BYTES];
	size_t size;

	do {
		size = read_some(socket_, room);
		memcpy(grow(&socket_->in, size), room, size);
		socket_->in.size += size;
		socket_->received += size;
	} while (socket_->tls && size);
	if (!socket_->is_open && socket_->in.size)
		take_upgrade(socket_);
	if (socket_->is_open && socket_->in.size)
		take_messages(socket_, on_message, context);
	if (socket_->out.size)
		flush(socket_);
}
