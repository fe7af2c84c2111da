/* listener - a listening socket on the loop, accepting at a pace.
 *
 * Opened with SO_REUSEPORT, so that every worker listens on the same address and the kernel deals
 * connections out. When descriptors run out, a spare one is given up for a moment to accept and drop
 * the caller, so that the loop does not spin on a connection that it cannot take; where that does not
 * help it rests a little before it looks again. Each listener has a spare of its own, and gives it up only
 * within one call, so that several do not take it from each other.
 *
 *                    pause                         no descriptor, no memory
 *  [ PAUSED ] <----------------> [ ACCEPTING ] -----------------------------> [ RESTING ]
 *                    go on             ^                                            |
 *                                      '------------------ 100 ms ------------------'
 *
 * Owns:     the socket, its watcher and timer, the spare descriptor.
 * Lifetime: listener_open; listener_close, after which on_accepted is not called again and the memory goes
 *           by itself.
 * Threads:  one.
 * Fails:    opening by the outcome.
 */
#ifndef MARTLET_FRONT_LISTENER_H
#define MARTLET_FRONT_LISTENER_H

#include "model/outcome.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

struct listener;

/* A listening, non-blocking socket for "address:port" (an IPv4 address, [IPv6], localhost or *); -1 with
 * the reason. */
int listener_socket(const char *address, struct outcome *ret_outcome);

/* The same on the loop; `on_accepted` is given each new socket (non-blocking), which it owns, and whose it is. It
 * may pause and close the listener. */
struct listener *listener_open(uv_loop_t *loop, const char *address,
                               void (*on_accepted)(void *context, int fd,
                                                   const struct sockaddr *peer),
                               void *context, struct outcome *ret_outcome);

/* Who comes while it is paused waits in the kernel's queue. */
void listener_pause(struct listener *listener, bool is_paused);

/* NULL is allowed. */
void listener_close(struct listener *listener);

#endif
