/* dispatch - a client's bytes become a command, and the command one answer.
 *
 * All doors come through here: bytes are decoded, the command's row is found in the table, checked for
 * form, run, and answered exactly once.
 *
 * Owns:     a command's memory from its bytes to its answer.
 * Lifetime: dispatcher_create to dispatcher_destroy; sessions with commands on their way outlive them by
 *           reference.
 * Threads:  the worker's one thread; no call here blocks.
 * Fails:    towards the client only: by an Error in the reply, or by closing the session where the
 *           bytes are no command at all (4000).
 */
#ifndef MARTLET_COMMANDS_DISPATCH_H
#define MARTLET_COMMANDS_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

struct dispatcher;
struct session;

/* One whole message of a session's client. The bytes are borrowed. */
void dispatch_session_bytes(struct dispatcher *dispatcher, struct session *session,
                            const uint8_t *bytes, size_t size);

#endif
