/* memory - the heap, for callers that have nothing to do when it is empty.
 *
 * Sizes that strangers choose are refused by limits before anything is allocated, so an empty heap is
 * the machine's fault, and the process aborts (see must.h). What is returned is freed with free().
 */
#ifndef MARTLET_BASE_MEMORY_H
#define MARTLET_BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory for one object of `size` bytes. Never NULL. */
void *memory_new(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));

/* Zeroed memory for `count` objects of `size` bytes each; aborts if the product overflows. */
void *memory_new_array(size_t count, size_t size)
	__attribute__((malloc, returns_nonnull, warn_unused_result));

/* realloc() that aborts instead of failing. `size` is not 0. */
void *memory_resize(void *memory, size_t size) __attribute__((returns_nonnull, warn_unused_result));

/* A copy of a string. */
char *memory_copy_text(const char *text)
	__attribute__((malloc, returns_nonnull, warn_unused_result));

#endif
