/* private - what link.c and interest.c show each other and nobody else. */
#ifndef MARTLET_LINK_PRIVATE_H
#define MARTLET_LINK_PRIVATE_H

#include "link/interest.h"
#include "link/link.h"

struct interest *interest_create(struct link *link, uv_loop_t *loop, uint32_t shards,
                                 uint32_t linger_ms);

/* The memory goes when libuv has let go of the timer; then on_closed is called. */
void interest_close(struct interest *interest, void (*on_closed)(void *context), void *context);

/* Connected: subscribes to everything held. Lost: every wait is over. */
void interest_on_connected(struct interest *interest);
void interest_on_lost(struct interest *interest);

/* A SUBACK came. */
void interest_on_subscribed(struct interest *interest, int message_id);

/* link.c: asks Mosquitto for these shards in one packet; returns its message id, 0 if it could not. */
int link_subscribe(struct link *link, const uint32_t *shards, size_t count);
void link_unsubscribe(struct link *link, uint32_t shard);

/* link.c: everything held is heard, for the first time on this connection. */
void link_on_all_heard(struct link *link);

#endif
