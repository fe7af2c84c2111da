/* support - a WebSocket door on a loop of the test's own, and clients of it that know no manners.
 *
 * Server and clients run in one process and one thread: stage_turn turns the loop once, ends the turn as a
 * worker does, and lets each client write and read what it can. Below the door is the real hub; above it,
 * instead of commands/dispatch, a dispatcher that keeps what it was given.
 */
#ifndef MARTLET_TESTS_FRONT_SUPPORT_H
#define MARTLET_TESTS_FRONT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "front/websocket_door.h"
#include "hub/hub.h"

#include <openssl/ssl.h>
#include <stdbool.h>

#define AWAIT_MS 20000
#define CLIENTS_MOST 512
#define HEARD_BYTES (16u * 1024 * 1024)

/* The dispatcher of these tests. */
struct dispatcher {
	int messages;
	struct buffer last; /* the last message */
	/* Of the test; may be NULL. */
	void (*on_message)(struct session *session, const uint8_t *bytes, size_t size);
};

/* A client: a socket, and what came from it and is not taken yet. */
struct client {
	int fd; /* -1 once it is closed by us */
	SSL *tls;
	struct buffer out;
	size_t sent;
	struct buffer in;
	size_t taken;
	bool is_connected;  /* TLS included */
	bool is_ended;      /* the server is gone, or we have closed */
	bool is_deaf;       /* reads nothing */
	bool answers_pings; /* as browsers do */
	int pings;
};

struct stage {
	uv_loop_t loop;
	uv_timer_t tick;
	struct timers timers;
	struct hub *hub;
	struct dispatcher dispatcher;
	struct session_options session;
	struct websocket_door_options options;
	struct websocket_door *door;
	bool is_door_closed;
	uint16_t ports[2]; /* plain, TLS */
	struct client *clients[CLIENTS_MOST];
	size_t count;
	uint64_t turns;
};

/* For cmocka_run_group_tests: a certificate in a folder of the test's own. */
int stage_setup(void **state);
int stage_teardown(void **state);

/* The stage without its door: `options` and `session` are made and may be changed. */
void stage_begin(struct stage *stage);
/* The door. */
void stage_open(struct stage *stage);
void stage_turn(struct stage *stage);
/* Closes what is open as a worker does, and fails the test if anything is left on the loop. */
void stage_close(struct stage *stage);

uint64_t clock_ms(void);
uint16_t free_port(void);

/* How many sessions the hub has, and the newest of them. */
size_t stage_sessions(struct stage *stage);
struct session *stage_session(struct stage *stage);

/* A client that has begun to connect. */
struct client *client_open(struct stage *stage, bool is_tls);
/* The same in two steps, for tests that run out of descriptors: the socket alone, and its way. */
struct client *client_create(struct stage *stage);
void client_connect(struct stage *stage, struct client *client, bool is_tls);
/* The server's buffer fills soon. To be called between create and connect. */
void client_set_small_buffer(struct client *client);
/* Begun, upgraded, and taken: the server has a session for it. */
struct client *client_open_session(struct stage *stage, bool is_tls);
void client_close(struct client *client);

void client_send(struct client *client, const void *bytes, size_t size);
void client_send_text(struct client *client, const char *text);
/* A good request, with other lines in the place of some. */
void client_send_upgrade(struct client *client, const char *more);

/* One frame as the client wishes. */
struct sent_frame {
	uint8_t first; /* FIN, RSV and the opcode: 0x82 is a whole binary message */
	bool is_bare;  /* not masked */
	const void *bytes;
	size_t size;
};
void client_send_frame(struct client *client, struct sent_frame frame);
/* A whole binary message. */
void client_send_message(struct client *client, const void *bytes, size_t size);

/* What waits in the client. */
size_t client_waiting(const struct client *client);
bool client_has_text(const struct client *client, const char *text);
/* How often. */
int client_count_text(const struct client *client, const char *text);
void client_forget(struct client *client);

/* The next frame, if it is there whole. The payload lies in the client until the next turn. */
struct seen_frame {
	uint8_t opcode;
	bool is_final;
	const uint8_t *bytes;
	size_t size;
};
bool client_take_frame(struct client *client, struct seen_frame *ret_frame);

/* The frame is a close frame with this. */
bool is_close(const struct seen_frame *frame, int code, const char *reason);

/* Lines with `text` that were logged since the last call of log_capture. */
void log_capture(void);
int log_count(const char *text);
void log_release(void);

/* Turns the loop until the condition holds. */
#define await(stage, condition)                                                                    \
	do {                                                                                       \
		uint64_t deadline_ = clock_ms() + AWAIT_MS;                                        \
		while (!(condition)) {                                                             \
			if (clock_ms() > deadline_)                                                \
				fail_msg("waited in vain for %s", #condition);                     \
			stage_turn(stage);                                                         \
		}                                                                                  \
	} while (0)

/* Turns the loop for a time, in which nothing of interest must happen. */
#define pass(stage, ms)                                                                            \
	do {                                                                                       \
		uint64_t end_ = clock_ms() + (ms);                                                 \
		while (clock_ms() < end_)                                                          \
			stage_turn(stage);                                                         \
	} while (0)

#endif
