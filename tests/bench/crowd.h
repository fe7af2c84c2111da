/* crowd - thousands of clients of one server, each signed in, that count what reaches them.
 *
 * A message carries the time when it was to be sent. Whatever holds up the sender, the server or the receiver
 * is in the latency, which is counted from then, at every receiver.
 */
#ifndef MARTLET_BENCH_CROWD_H
#define MARTLET_BENCH_CROWD_H

#include "bench/latency.h"
#include "bench/socket.h"

#include <martlet/v1/frame.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODES_MOST 8
#define ITEM_KINDS 32
#define ASKED_MOST 65536 /* commands on their way */

struct client {
	struct socket socket; /* first: epoll's events point to it */
	struct crowd *crowd;
	bool has_greeted;
	bool is_ready;
	char conversation[37];
	char user[65];
	char *token;
	size_t node;        /* the worker that serves it, in crowd.nodes */
	uint64_t seq;       /* the newest event of its conversation that it has */
	bool has_cursor;    /* and says so in Hello */
	uint64_t presences; /* changes it was told of */
};

/* Messages that were to be sent within [from, to), and what became of them. */
struct window {
	uint64_t from_ns;
	uint64_t to_ns;
	uint64_t deliveries;
	uint64_t last_ns; /* when the last one came */
	struct latency latency;
};

struct crowd {
	struct client *clients;
	size_t count;
	size_t opened;
	size_t ready;
	uint16_t port;
	bool is_raw; /* the server is bench/floor: it greets nobody and gives back what it gets */
	SSL_CTX *tls;
	int loop;
	size_t connecting_most; /* at once */
	uint64_t refused;
	struct window window;
	uint64_t items[ITEM_KINDS]; /* by Item's kind_case: what came */

	uint32_t asked; /* commands whose answer is timed: the last one's request_id */
	uint64_t asked_ns[ASKED_MOST];
	struct latency answers;

	/* A message came, in the middle of a turn; NULL: nobody minds. */
	void (*on_message)(struct client *client, uint64_t seq);
	char nodes[NODES_MOST][32];
	size_t node_clients[NODES_MOST];
};

uint64_t now_ns(void);

/* Reads users and tokens, "user token" a line, from line `first`, counted from 0; connects nobody. */
void crowd_init(struct crowd *crowd, const char *tokens, size_t first, size_t count, uint16_t port);
void crowd_done(struct crowd *crowd);

/* Connects until `upto` clients are ready. */
void crowd_connect(struct crowd *crowd, size_t upto);

/* One client comes, or goes without a word. */
void crowd_open(struct crowd *crowd, size_t client);
void crowd_close(struct crowd *crowd, size_t client);

/* One command, whose answer is timed from when it was due. */
void crowd_ask(struct crowd *crowd, size_t client, Martlet__V1__ClientFrame *frame,
               uint64_t due_ns);

void crowd_make_uuid(char ret_text[37]);

/* One group of all; or a direct conversation of each two neighbours. Returns when all are in. */
void crowd_create_group(struct crowd *crowd);
void crowd_open_pairs(struct crowd *crowd);

/* One message of this client to its conversation. */
void crowd_send(struct crowd *crowd, size_t client, uint64_t due_ns);

/* Reads what is there; waits for it at most so long. */
void crowd_turn(struct crowd *crowd, uint64_t wait_ns);

#endif
