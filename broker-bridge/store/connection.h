/* connection - one non-blocking, pipelined connection to PostgreSQL.
 *
 * Each request is one prepared statement and a sync of its own, so that one's error does not touch
 * another, and so that an answer means that its transaction is committed: it is given when the sync has
 * come back, never with the statement's own result.
 *
 *            PQconnectStart         connected            prepared
 *  [ AWAY ] ---------------> [ CONNECTING ] --> [ PREPARING ] --> [ READY ]
 *     ^        after backoff        |                 |               |
 *     '-----------------------------'-----------------'---------------'
 *                     lost, refused, or silent for too long
 *
 * A request that was sent when the connection was lost is sent again: every statement here is
 * harmless to repeat. One that waits longer than `wait_ms` is answered UNAVAILABLE, sent or not.
 *
 * Owns:     the libpq connection, its watcher and timer, the requests.
 * Lifetime: connection_create; connection_close answers what waits with UNAVAILABLE, calls on_closed and
 *           frees.
 * Threads:  the worker's one thread.
 * Fails:    by the outcome of each request.
 */
#ifndef MARTLET_STORE_CONNECTION_H
#define MARTLET_STORE_CONNECTION_H

#include "model/outcome.h"
#include "store/parameters.h"

#include <libpq-fe.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct connection;

/* A statement that is prepared on every connection; `types` are OIDs of its parameters. */
struct statement {
	const char *name;
	const char *sql;
	int count;
	Oid types[PARAMETERS_MOST];
};

struct connection_options {
	uv_loop_t *loop;
	const char *connection; /* libpq's connection string */
	const char *purpose;    /* names it in logs and in pg_stat_activity */
	const struct statement *statements;
	size_t statements_count;
	uint32_t wait_ms;
	uint32_t pending; /* requests that may wait */
};

/* Called exactly once. The result is NULL if the outcome is not ok, and valid during the call. */
typedef void (*request_done)(void *context, const PGresult *result, const struct outcome *outcome);

struct connection *connection_create(const struct connection_options *options);
void connection_close(struct connection *connection, void (*on_closed)(void *context),
                      void *context);

/* It stands, and the database answers. */
bool connection_is_ready(const struct connection *connection);

/* Asks the statement of this index; `parameters` are taken (and left empty). The answer comes from the
 * loop, never before this returns: RESOURCE_EXHAUSTED if too many wait, UNAVAILABLE, or INTERNAL if the
 * statement itself failed. */
void connection_ask(struct connection *connection, size_t statement, struct parameters *parameters,
                    request_done done, void *context);

#endif
