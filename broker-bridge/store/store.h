/* store - the two connections to PostgreSQL, and whether they stand.
 *
 * One connection writes (append.h and what begins conversations), one reads (query.h), so that a page of
 * history never waits behind a batch of writes. Both are non-blocking and pipelined, come back by
 * themselves with backoff, and answer what is asked of them in order. What is asked while a connection
 * is away waits, bounded in number and in time, and is then answered UNAVAILABLE.
 *
 * Owns:     both connections and all that waits for them.
 * Lifetime: store_create; store_close answers what still waits with UNAVAILABLE, and calls
 *           on_closed when the memory may go, which it then frees itself.
 * Threads:  the worker's one thread; no call here blocks (a host name in the connection string is looked
 *           up by libpq, which does block: give addresses, or accept it at reconnect).
 * Fails:    never by return; every answer carries its outcome.
 */
#ifndef MARTLET_STORE_STORE_H
#define MARTLET_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct store;

struct store_options {
	uv_loop_t *loop;
	const char *connection; /* a libpq connection string or URI; several hosts are allowed */
	uint32_t wait_ms;       /* an answer later than this is UNAVAILABLE */
	uint32_t append_batch;  /* sends in one commit */
	uint32_t append_pending;
	uint32_t receipt_members; /* of a conversation in which others' receipts are told */
	uint32_t query_pending;
	uint32_t user_notifications;    /* that wait for one user */
	uint32_t service_notifications; /* of them, of one service */
};

/* Begins to connect. */
struct store *store_create(const struct store_options *options);

/* Calls on_closed exactly once, from the loop. */
void store_close(struct store *store, void (*on_closed)(void *context), void *context);

/* Both connections stand, and the database answers. */
bool store_is_ready(const struct store *store);

/* To be called at the end of each loop turn: sends the sends that were collected, if no batch is on its
 * way, and answers those that waited too long. */
void store_flush(struct store *store);

#endif
