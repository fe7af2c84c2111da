/* floor - what no server can be cheaper than: one loop that writes each message to each connection, one send()
 * a connection, and knows nothing.
 *
 * It speaks just enough WebSocket (RFC 6455) that the same clients may measure it. What any of them sends, all
 * get. Martlet's figures beside these, from one run on one machine, say more than either alone.
 */
#ifndef MARTLET_BENCH_FLOOR_H
#define MARTLET_BENCH_FLOOR_H

#include <stdint.h>
#include <sys/types.h>

/* Starts it as a child process, which ends with this one. */
pid_t floor_start(uint16_t *ret_port);

#endif
