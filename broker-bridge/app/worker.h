/* worker - one process with one event loop: makes the rooms, gives them to each other, runs, drains.
 *
 * The only place that knows all rooms. On TERM or INT it stops listening, tells every session to come back
 * elsewhere, writes out what waits, and ends within [node] drain_ms.
 */
#ifndef MARTLET_APP_WORKER_H
#define MARTLET_APP_WORKER_H

#include <stdint.h>

struct config;

/* A worker that cannot even begin ends with this: trying again would not help. */
#define WORKER_CANNOT_BEGIN 3

/* Runs to the end; returns the exit code of the process. `index` counts workers from 1; the ticket keys are the
 * same in all of them. */
int worker_run(struct config *config, uint32_t index, const uint8_t ticket_keys[80]);

#endif
