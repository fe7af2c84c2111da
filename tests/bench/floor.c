#include "bench/floor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MOST 20000
#define BACKLOG 4096
#define MESSAGE_BYTES 8192 /* all that one client sends at once */
#define MASKED_HEAD 8      /* of a message of 126 bytes to 64 KiB */
#define HEAD 4

static int connections[CONNECTIONS_MOST];
static size_t count;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_all(int fd, const uint8_t *bytes, size_t size)
{
	/* Blocking, so that it is one call; a client here always reads. */
	if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("floor: send");
}

static void upgrade(int fd)
{
	/* The answer to the one key that bench/socket sends. */
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				     "Connection: Upgrade\r\n"
				     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

	send_all(fd, (const uint8_t *)answer, sizeof(answer) - 1);
}

/* The mask is zeros: without it the message is as a server sends it. */
static void broadcast(uint8_t *message, size_t size)
{
	message[1] &= 0x7f;
	memmove(message + HEAD, message + MASKED_HEAD, size - MASKED_HEAD);
	for (size_t i = 0; i < count; i++)
		send_all(connections[i], message, size - MASKED_HEAD + HEAD);
}

/* False if the client has gone. */
static bool take(int fd)
{
	uint8_t bytes[MESSAGE_BYTES];
	ssize_t size = recv(fd, bytes, sizeof(bytes), 0);

	if (size <= 0)
		return false;
	if (bytes[0] == 'G') {
		upgrade(fd);
		return true;
	}
	for (size_t at = 0; at + MASKED_HEAD <= (size_t)size;) {
		size_t length = MASKED_HEAD + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);

		if ((bytes[at + 1] & 0x7f) != 126 || at + length > (size_t)size)
			die("floor: a message that is not whole");
		broadcast(bytes + at, length);
		at += length;
	}
	return true;
}

static void accept_one(int listener, int loop)
{
	struct epoll_event event = {.events = EPOLLIN};
	int on = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || count == CONNECTIONS_MOST)
		die("floor: accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	event.data.fd = fd;
	epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
	connections[count++] = fd;
}

static _Noreturn void serve(int listener)
{
	struct epoll_event events[64];
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
	int loop = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int found = epoll_wait(loop, events, 64, -1);

		for (int i = 0; i < found; i++) {
			if (events[i].data.fd == listener)
				accept_one(listener, loop);
			else if (!take(events[i].data.fd))
				_exit(0);
		}
	}
}

pid_t floor_start(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
	    listen(listener, BACKLOG) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) != 0)
		die("floor: listen");
	*ret_port = ntohs(address.sin_port);
	/* Or what waits in a buffer would be told twice. */
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("floor: fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listener);
	}
	close(listener);
	return pid;
}
