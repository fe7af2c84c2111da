#include "bench/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

void socket_connect(struct socket *socket_, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons(port),
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1;

	*socket_ = (struct socket){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	if (socket_->fd < 0)
		die("socket");
	setsockopt(socket_->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(socket_->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("connect");
}

static void write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t written = write(fd, bytes, size);

		if (written <= 0)
			die("write");
		bytes += written;
		size -= (size_t)written;
	}
}

void socket_upgrade(struct socket *socket_)
{
	static const char request[] =
		"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Protocol: martlet.v1\r\n\r\n";

	write_all(socket_->fd, (const uint8_t *)request, sizeof(request) - 1);
}

void socket_send(struct socket *socket_, const uint8_t *bytes, size_t size)
{
	uint8_t message[8 + 61440] = {0x82};
	size_t head = size > 125 ? 8 : 6;

	if (size > 61440)
		die("message too large");
	/* Masked with zeros, which changes nothing. */
	message[1] = (uint8_t)(0x80 | (size > 125 ? 126 : size));
	if (size > 125) {
		message[2] = (uint8_t)(size >> 8);
		message[3] = (uint8_t)size;
	}
	memcpy(message + head, bytes, size);
	write_all(socket_->fd, message, head + size);
}

static void keep(struct socket *socket_, const uint8_t *bytes, size_t size)
{
	if (socket_->size + size > socket_->capacity) {
		socket_->capacity = (socket_->size + size) * 2;
		socket_->bytes = realloc(socket_->bytes, socket_->capacity);
		if (!socket_->bytes)
			die("realloc");
	}
	memcpy(socket_->bytes + socket_->size, bytes, size);
	socket_->size += size;
}

/* The size of the first message with its head, and of the head; 0 if it is not all there. */
static size_t whole(const struct socket *socket_, size_t *ret_head)
{
	const uint8_t *at = socket_->bytes;
	size_t length = socket_->size > 1 ? at[1] & 0x7f : 0;
	size_t head = length == 127 ? 10 : (length == 126 ? 4 : 2);

	if (socket_->size < head)
		return 0;
	if (length == 126)
		length = (size_t)at[2] << 8 | at[3];
	else if (length == 127)
		length = (size_t)at[6] << 24 | (size_t)at[7] << 16 | (size_t)at[8] << 8 | at[9];
	*ret_head = head;
	return socket_->size >= head + length ? head + length : 0;
}

static void take_upgrade(struct socket *socket_)
{
	const uint8_t *end = memmem(socket_->bytes, socket_->size, "\r\n\r\n", 4);
	size_t size;

	if (!end)
		return;
	if (memcmp(socket_->bytes, "HTTP/1.1 101", 12) != 0) {
		fprintf(stderr, "the upgrade was refused\n");
		exit(1);
	}
	size = (size_t)(end + 4 - socket_->bytes);
	socket_->is_open = true;
	socket_->size -= size;
	memmove(socket_->bytes, socket_->bytes + size, socket_->size);
}

void socket_read(struct socket *socket_,
                 void (*on_message)(void *context, const uint8_t *bytes, size_t size),
                 void *context)
{
	static uint8_t room[READ_BYTES];
	ssize_t count = recv(socket_->fd, room, sizeof(room), MSG_DONTWAIT);
	size_t done = 0;
	size_t head = 0;
	size_t size;

	if (count < 0 && errno == EAGAIN)
		return;
	if (count <= 0)
		die("the server closed a connection");
	keep(socket_, room, (size_t)count);
	if (!socket_->is_open)
		take_upgrade(socket_);
	while (socket_->is_open && socket_->size > done) {
		struct socket rest = {.bytes = socket_->bytes + done, .size = socket_->size - done};

		size = whole(&rest, &head);
		if (!size)
			break;
		if ((rest.bytes[0] & 0x0f) == 2)
			on_message(context, rest.bytes + head, size - head);
		done += size;
	}
	socket_->size -= done;
	memmove(socket_->bytes, socket_->bytes + done, socket_->size);
	/* An idle client keeps nothing. */
	if (!socket_->size) {
		free(socket_->bytes);
		socket_->bytes = NULL;
		socket_->capacity = 0;
	}
}
