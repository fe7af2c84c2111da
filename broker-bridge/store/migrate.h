/* migrate - brings a database to the schema of this release.
 *
 * A folder holds numbered files (0001_….sql), each applied once, in order, in a transaction with the
 * note of its checksum; and the folder `functions`, each file of which is made again when it has changed.
 * A file whose first line is `-- martlet: no transaction` runs by itself (`create index concurrently`).
 * Runs that meet wait for each other. Blocking: for the command line, never for a worker.
 *
 * Fails:    by the outcome, which names the file; what was applied before stays.
 */
#ifndef MARTLET_STORE_MIGRATE_H
#define MARTLET_STORE_MIGRATE_H

#include "model/outcome.h"

/* Tells of each file that it applied through `on_applied`, with its name. */
struct outcome migrate_run(const char *connection, const char *folder,
                           void (*on_applied)(const char *file));

#endif
