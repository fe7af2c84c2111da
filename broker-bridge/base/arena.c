#include "base/arena.h"

#include "base/memory.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

/* One block holds a decoded command of usual size; larger requests get a block of their own. */
#define BLOCK_BYTES 2048

struct block {
	struct block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) unsigned char bytes[];
};

struct arena {
	struct block *blocks;
	size_t max_bytes;
	size_t given_bytes;
};

static struct block *block_create(size_t size)
{
	struct block *block = memory_new(sizeof(*block) + size);

	block->size = size;
	return block;
}

struct arena *arena_create(size_t max_bytes)
{
	struct block *first = block_create(BLOCK_BYTES);
	struct arena *arena = (struct arena *)first->bytes;

	first->used = (sizeof(*arena) + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	*arena = (struct arena){.blocks = first, .max_bytes = max_bytes};
	return arena;
}

void arena_destroy(struct arena *arena)
{
	struct block *block = arena ? arena->blocks : NULL;

	/* The arena itself lies in the last block of the list. */
	while (block) {
		struct block *next = block->next;

		free(block);
		block = next;
	}
}

void *arena_get(struct arena *arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct block *block = arena->blocks;

	/* What counts is what it costs: one byte takes sixteen, and a stranger may ask for many of one. */
	if (size > arena->max_bytes)
		return NULL;
	size = (size + align - 1) & ~(align - 1);
	if (size > arena->max_bytes - arena->given_bytes)
		return NULL;
	arena->given_bytes += size;
	if (size > block->size - block->used) {
		block = block_create(size > BLOCK_BYTES ? size : BLOCK_BYTES);
		block->next = arena->blocks;
		arena->blocks = block;
	}
	block->used += size;
	return block->bytes + block->used - size;
}
