/* support - a real Mosquitto of the test's own, and a loop with nodes on it.
 *
 * The broker has the shipped configuration (etc/mosquitto.conf), listens on a free port of loopback, lives in
 * a temporary folder, and dies with the test. Tests run in the project's folder.
 */
#ifndef MARTLET_TESTS_LINK_SUPPORT_H
#define MARTLET_TESTS_LINK_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link/interest.h"
#include "link/link.h"

#include <stdbool.h>
#include <sys/types.h>

#define AWAIT_MS 20000
#define SHARDS 512
#define NODES_MOST 4
#define HEARD_BYTES 4096
#define PASSWORD "correct"

struct broker {
	pid_t pid; /* 0 while it does not run */
	uint16_t port;
	char folder[64];
};

/* For cmocka_run_group_tests: the program's one broker is `broker`. */
int broker_setup(void **state);
int broker_teardown(void **state);
extern struct broker broker;

/* A test that begins with the broker running and its password right, whatever the one before left. */
#define with_broker(test) cmocka_unit_test_setup_teardown(test, broker_ensure, broker_release)
int broker_ensure(void **state);
int broker_release(void **state);

/* Takes the port again; returns when the broker listens. */
void broker_start(void);
void broker_kill(void);
/* STOP and CONT: it is there and does nothing. */
void broker_pause(void);
void broker_resume(void);

/* Who may come in, from now on: the user "bridge" with this password. */
void broker_set_password(const char *password);

/* A client of MQTT beside the nodes, that waits for what it does. */
void mqtt_publish(const char *topic, const void *payload, int size);
/* Until what is retained or published on the topic is this. */
void mqtt_await(const char *topic, const char *payload);

struct stage;

/* A node's link and what it told. */
struct node {
	struct stage *stage;
	struct link *link; /* NULL once it is closed */
	char name[32];

	int ups;
	int downs;
	int closed;
	int envelopes;
	uint32_t shard; /* of the last envelope */
	size_t size;
	uint8_t bytes[HEARD_BYTES]; /* the beginning of the last envelope */
	int heard[SHARDS];
	char states[NODES_MOST + 1]; /* '1' or '0', as last heard, of node.1 and so on */

	void (*on_down)(struct node *node); /* of the test; may be NULL */
};

/* A loop whose turns end as a worker's do: with link_flush. */
struct stage {
	uv_loop_t loop;
	uv_timer_t tick;
	struct node nodes[NODES_MOST];
	size_t count;
	int turns;
};

void stage_open(struct stage *stage);
/* Closes what is open, and fails the test if anything is left on the loop. */
void stage_close(struct stage *stage);
/* One turn of the loop; at most some milliseconds long. */
void stage_turn(struct stage *stage);
uint64_t clock_ms(void);

/* The options of most tests, to be changed. */
struct link_options node_options(struct stage *stage);
/* Adds a node; it has begun to connect. */
struct node *node_open(struct stage *stage, const struct link_options *options);
/* The same with node_options, and it is up. */
struct node *node_open_up(struct stage *stage);
/* Closes the link and turns the loop until it is gone. */
void node_close(struct node *node);

void node_publish(struct node *node, uint32_t shard, const char *text);
/* Holds the shard and waits until it is heard. */
void node_hear(struct node *node, uint32_t shard);
/* The last envelope is exactly this. */
bool node_has(const struct node *node, uint32_t shard, const char *text);

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

#endif
