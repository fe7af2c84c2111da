/* admission - who may come in: how many handshakes are under way, and how many connections an address has.
 *
 * An unfinished handshake costs as much as a connection and nobody has said who it is. There are never more of them
 * than a bound: at it the owner stops accepting (`on_full`), and goes on when one has ended; whoever comes
 * meanwhile waits in the kernel. One address is told by 429 that it has too many, and since a socket must be read
 * from for that, far too many are dropped at once: an address can take handshakes from others only up to
 * twice its bound.
 *
 *              enter                   ask                    settle
 *  (accepted) ------> [ UNDER WAY ] ---------> [ UNDER WAY ] --------> [ SETTLED ]
 *                          |          refused        |                      |
 *                          '-------------------------+-----> leave <--------'
 *
 * Owns:     the counts; the list of trusted proxies. A visitor lies in its connection.
 * Lifetime: admission_create to admission_destroy, when all have left.
 * Threads:  one.
 * Fails:    at creation by the outcome, if a proxy is no address.
 */
#ifndef MARTLET_FRONT_ADMISSION_H
#define MARTLET_FRONT_ADMISSION_H

#include "front/addresses.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct admission;

struct admission_options {
	uint32_t handshakes;             /* under way at once */
	uint32_t connections_of_address; /* 0: any number */
	/* Whose X-Forwarded-For is believed: addresses and ranges; NULL at the end. Their own are not counted. */
	const char *const *trusted_proxies;
	/* Handshakes have come to the bound (true), or there is room again. It may not call back. */
	void *context;
	void (*on_full)(void *context, bool is_full);
};

enum admission_answer {
	ADMISSION_GOOD,
	ADMISSION_TOO_MANY,   /* connections of this address */
	ADMISSION_NO_ADDRESS, /* a trusted proxy's X-Forwarded-For ends in none */
};

/* One connection; zeroed before it enters. */
struct visitor {
	struct address address;
	bool is_proxied;   /* its own address is what a trusted proxy says */
	bool is_counted;   /* in the table of addresses */
	bool is_too_many;  /* for its address, when it came */
	bool is_under_way; /* its handshake */
};

struct admission *admission_create(const struct admission_options *options,
                                   struct outcome *ret_outcome);
void admission_destroy(struct admission *admission);

/* A socket was accepted. False if it is to be dropped at once; then it has not entered. */
bool admission_enter(struct admission *admission, struct visitor *visitor,
                     const struct sockaddr *peer) __attribute__((warn_unused_result));

/* It asks to come in. `forwarded` is its request's X-Forwarded-For, or NULL. */
enum admission_answer admission_ask(struct admission *admission, struct visitor *visitor,
                                    const char *forwarded) __attribute__((warn_unused_result));

/* Its handshake is over, and it stays. */
void admission_settle(struct admission *admission, struct visitor *visitor);

/* It is gone. */
void admission_leave(struct admission *admission, struct visitor *visitor);

size_t admission_under_way(const struct admission *admission);

#endif
