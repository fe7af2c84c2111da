#include "front/listener.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

/* A TLS handshake begins with 0.3 to 0.6 ms of computing: more at once would hold up the others. */
#define ACCEPTS_A_TURN 16

/* What the kernel may keep for one reader: a slow one is noticed before it fills megabytes. */
#define SEND_BUFFER_BYTES (128 * 1024)

/* Without descriptors the socket stays readable: looked at again only after this long, the loop does not spin. */
#define REST_MS 100

struct listener {
	uv_poll_t poll;
	uv_timer_t timer; /* runs while resting */
	int fd;
	int spare_fd; /* -1 if there was none to be had */
	void (*on_accepted)(void *context, int fd, const struct sockaddr *peer);
	void *context;
	int open_handles;
	bool is_paused;
};

/* Splits "host:port" and "[host]:port"; localhost and * become addresses. */
static bool split(const char *address, char ret_host[64], char ret_port[8])
{
	const char *colon = strrchr(address, ':');
	size_t size = colon ? (size_t)(colon - address) : 0;

	if (!size || size >= 64 || strlen(colon + 1) >= 8)
		return false;
	/* Cut at the wrong place, [::1:8080 would listen everywhere. */
	if (address[0] == '[' && (size < 4 || address[size - 1] != ']'))
		return false;
	snprintf(ret_port, 8, "%s", colon + 1);
	if (address[0] == '[') {
		snprintf(ret_host, 64, "%.*s", (int)size - 2, address + 1);
	} else {
		snprintf(ret_host, 64, "%.*s", (int)size, address);
	}
	if (strcmp(ret_host, "localhost") == 0)
		snprintf(ret_host, 64, "127.0.0.1");
	else if (strcmp(ret_host, "*") == 0)
		snprintf(ret_host, 64, "::");
	return true;
}

static int open_socket(const struct addrinfo *info, bool is_for_all)
{
	int on = 1;
	int off = 0;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* These cannot fail on a fresh socket; if one did, bind would say so. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_for_all ? &off : &on, sizeof(off));
	if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

int listener_socket(const char *address, struct outcome *ret_outcome)
{
	/* Only numbers are looked at: nobody is asked, so nothing blocks. */
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
	                         .ai_socktype = SOCK_STREAM};
	struct addrinfo *info;
	char host[64];
	char port[8];
	int fd;

	if (!split(address, host, port) || getaddrinfo(host, port, &hints, &info) != 0) {
		*ret_outcome =
			outcome_refuse(OUTCOME_INVALID_ARGUMENT, "%s is no address:port", address);
		return -1;
	}
	fd = open_socket(info, strcmp(host, "::") == 0 && address[0] == '*');
	if (fd < 0)
		*ret_outcome = outcome_refuse(OUTCOME_UNAVAILABLE, "cannot listen on %s: %s",
		                              address, strerror(errno));
	freeaddrinfo(info);
	return fd;
}

static void set_up(int fd)
{
	const int on = 1;
	const int bytes = SEND_BUFFER_BYTES;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor is left: the spare one makes room to take the caller and let it go. False if even that did
 * not help: the descriptors of the whole machine are used up, or the limit was lowered below the spare. */
static bool drop_one(struct listener *listener)
{
	int fd;

	log_limited(LOG_ERROR, "no descriptor left for a connection; raise LimitNOFILE");
	if (listener->spare_fd >= 0)
		close(listener->spare_fd);
	fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0) {
		counters_add(COUNTER_CONNECTION_NO_DESCRIPTOR);
		close(fd);
	}
	listener->spare_fd = open_spare();
	return fd >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int events);

/* Whether it is watched follows from its two states: paused by its owner, and resting. */
static void update(struct listener *listener)
{
	if (listener->is_paused || uv_is_active((uv_handle_t *)&listener->timer))
		uv_poll_stop(&listener->poll);
	else
		must(uv_poll_start(&listener->poll, UV_READABLE, on_readable) == 0);
}

static void on_rested(uv_timer_t *timer)
{
	update(timer->data);
}

static void rest(struct listener *listener)
{
	uv_timer_start(&listener->timer, on_rested, REST_MS, 0);
	update(listener);
}

/* One caller; false if there is none, or none can be had now. */
static bool accept_one(struct listener *listener)
{
	struct sockaddr_storage peer = {0};
	socklen_t size = sizeof(peer);
	int fd = accept4(listener->fd, (struct sockaddr *)&peer, &size,
	                 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		set_up(fd);
		listener->on_accepted(listener->context, fd, (const struct sockaddr *)&peer);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE) {
		if (!drop_one(listener))
			rest(listener);
	} else if (errno == ENOBUFS || errno == ENOMEM) {
		rest(listener);
	}
	return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;

	(void)status;
	(void)events;
	if (listener->spare_fd < 0)
		listener->spare_fd = open_spare();
	for (int i = 0; i < ACCEPTS_A_TURN && !listener->is_paused; i++) {
		if (!accept_one(listener))
			return;
	}
}

struct listener *listener_open(uv_loop_t *loop, const char *address,
                               void (*on_accepted)(void *context, int fd,
                                                   const struct sockaddr *peer),
                               void *context, struct outcome *ret_outcome)
{
	int fd = listener_socket(address, ret_outcome);
	struct listener *listener;

	if (fd < 0)
		return NULL;
	listener = memory_new(sizeof(*listener));
	listener->fd = fd;
	listener->spare_fd = open_spare();
	listener->on_accepted = on_accepted;
	listener->context = context;
	listener->poll.data = listener;
	listener->timer.data = listener;
	must(uv_timer_init(loop, &listener->timer) == 0);
	must(uv_poll_init(loop, &listener->poll, fd) == 0);
	listener->open_handles = 2;
	update(listener);
	return listener;
}

void listener_pause(struct listener *listener, bool is_paused)
{
	listener->is_paused = is_paused;
	update(listener);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;

	if (--listener->open_handles == 0)
		free(listener);
}

void listener_close(struct listener *listener)
{
	if (!listener)
		return;
	/* Paused, so that nobody watches a socket whose number may be another's soon. */
	listener_pause(listener, true);
	uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
	uv_close((uv_handle_t *)&listener->timer, on_handle_closed);
	close(listener->fd);
	if (listener->spare_fd >= 0)
		close(listener->spare_fd);
}
