/* ingest - commands of clients and services that speak MQTT, taken from Mosquitto so that none is lost on the way to
 * its answer.
 *
 * A connection of its own that does nothing but hear their topics, shared by all nodes. What it reads is
 * acknowledged to Mosquitto only when everything that was read has been answered: libmosquitto acknowledges before
 * it hands a message over, but what it is told is written by somebody else (mosquitto_threaded_set) it only
 * queues. Its session outlives the connection for a while, so a node that dies gets again what it had not
 * acknowledged; whoever executes a command must therefore bear its repetition.
 *
 *                 CONNACK                          `batch` read, or ingest_stop
 *  [ CONNECTING ] -------> [ READING ] ---------------------------------------------> [ FULL ]
 *       ^                      | ^  '- all answered: PUBACKs leave -.                     |
 *       | backoff              | '----------------------------------'                     |
 *       '--[ LOST ]<-----------'----------------------------------------------------------'
 *                                                   all answered: PUBACKs leave, reading goes on
 *
 * Stopping takes this node out of the deal, answers what it was dealt, and ends the session: UNSUBSCRIBE until one
 * is confirmed that no message came before.
 *
 * MQTT 5, for the session's end and for response topics; 3.1.1 with a broker that knows no other, whose
 * sessions end as it is configured.
 *
 * Owns:     the connection, its socket's watcher and timer.
 * Lifetime: ingest_create; ingest_close calls on_closed and frees.
 * Threads:  the worker's one thread; no call here blocks (give an address, not a host name).
 * Fails:    never by return; it connects again with backoff.
 */
#ifndef MARTLET_LINK_INGEST_H
#define MARTLET_LINK_INGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct ingest;

#define INGEST_FILTERS_MOST 4

struct ingest_options {
	uv_loop_t *loop;
	const char *host;
	uint16_t port;
	const char *user;     /* NULL: none */
	const char *password; /* NULL: none */
	const char *
		node; /* this node's name, from which its client id is made: the same after a restart */
	uint32_t batch;    /* messages read and not yet acknowledged, at most */
	uint32_t expiry_s; /* of the session, once the connection is gone */
	/* What to hear, each a shared subscription; at most INGEST_FILTERS_MOST. */
	const char *const *filters;
	size_t filters_count;
};

/* Borrowed until on_message returns. */
struct ingest_message {
	const char *topic;
	const uint8_t *bytes;
	size_t size;
	const char *response_topic; /* NULL: none */
	const uint8_t *correlation; /* NULL: none */
	size_t correlation_size;

	/* Properties of MQTT 5; "" or 0 if there are none. The last three are user properties of these names. */
	const char *content_type;
	uint32_t expiry_s;
	const char *id;
	const char *kind;
	const char *collapse;
};

struct ingest_needs {
	void *context;
	/* A command; ingest_answered is to be called once for it, now or later. */
	void (*on_message)(void *context, const struct ingest_message *message);
	/* It stopped, as ingest_stop asked: nothing is left to be answered. */
	void (*on_stopped)(void *context);
};

/* Begins to connect. The options are copied. */
struct ingest *ingest_create(const struct ingest_options *options,
                             const struct ingest_needs *needs);

/* One message is answered. If it was the last, Mosquitto is told of all. */
void ingest_answered(struct ingest *ingest);

/* Publishes an answer where the question asked for it, with its correlation data, if any; over this connection, as
 * these are MQTT 5's. It leaves with the acknowledgements. Dropped if the connection is away. The bytes are
 * copied. */
void ingest_publish(struct ingest *ingest, const char *topic, const uint8_t *correlation,
                    size_t correlation_size, const uint8_t *bytes, size_t size);

/* Ends the taking as above; on_stopped comes once, from the loop, soon if the connection is away. */
void ingest_stop(struct ingest *ingest);

/* Ends the connection at once; what is unanswered Mosquitto keeps for this node's next life. Not from within
 * on_message. ingest_answered is not to be called any more. */
void ingest_close(struct ingest *ingest, void (*on_closed)(void *context), void *context);

/* Connected, and what is published is dealt to this node too. */
bool ingest_is_up(const struct ingest *ingest);

struct ingest_counts {
	uint64_t received;
	uint64_t acknowledged;
	uint64_t again; /* of those received, marked by Mosquitto as sent before */
};

struct ingest_counts ingest_counts(const struct ingest *ingest);

#endif
