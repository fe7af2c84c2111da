/* arena - memory that lives exactly as long as one command.
 *
 * A command's decoded frame, its strings and the rows read for it are allocated here one after
 * another and freed together. The first block is part of the arena, so that a small command costs
 * one allocation in all.
 *
 * Owns:     everything allocated from it.
 * Lifetime: arena_create to arena_destroy, by the same owner.
 * Threads:  none of its own; one user at a time.
 * Fails:    never; what goes beyond `max_bytes` returns NULL, an empty heap aborts.
 */
#ifndef MARTLET_BASE_ARENA_H
#define MARTLET_BASE_ARENA_H

#include <stddef.h>

struct arena;

/* An arena that gives at most `max_bytes` in all, each piece counted with what aligns it. */
struct arena *arena_create(size_t max_bytes);

/* Frees the arena and all that was allocated from it. NULL is allowed. */
void arena_destroy(struct arena *arena);

/* `size` bytes aligned for any type, not zeroed; NULL if the arena's maximum would be passed. */
void *arena_get(struct arena *arena, size_t size) __attribute__((warn_unused_result));

#endif
