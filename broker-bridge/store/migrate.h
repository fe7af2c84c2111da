/* migrate - brings a database to the schema of this release.
 *
 * A folder holds numbered files (0001_….sql), each applied once, in order, in a transaction with the note
 * of its checksum; and the folder functions, each file made again when its file has changed. Runs that meet wait for
 * each other (an advisory lock). Blocking: for the command line, never for a worker.
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
