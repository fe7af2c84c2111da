/* supervisor - starts the workers and keeps them.
 *
 * Forks one process a worker, starts another in the place of one that dies (with backoff), and on TERM or
 * INT lets all drain and waits for them. A worker whose supervisor dies drains too. No threads, no loop:
 * it waits for signals.
 *
 * Fails:    with exit code 1 if a worker cannot even begin: an address in use, a missing key.
 */
#ifndef MARTLET_APP_SUPERVISOR_H
#define MARTLET_APP_SUPERVISOR_H

struct config;

/* Runs to the end; returns the exit code of the process. */
int supervisor_run(struct config *config);

#endif
