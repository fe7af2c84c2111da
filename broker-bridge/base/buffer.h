/* buffer - bytes that grow up to a maximum given at birth.
 *
 * Owns:     its bytes.
 * Lifetime: buffer_init to buffer_done, in the caller's memory.
 * Threads:  one user at a time.
 * Fails:    appending beyond the maximum changes nothing and says so.
 */
#ifndef MARTLET_BASE_BUFFER_H
#define MARTLET_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *bytes;
	size_t size;

	size_t capacity;
	size_t max_bytes;
};

/* An empty buffer that will hold at most `max_bytes`. */
void buffer_init(struct buffer *buffer, size_t max_bytes);

/* Frees the bytes. */
void buffer_done(struct buffer *buffer);

/* Forgets the content and keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* Copies `size` bytes to the end; false, and nothing done, if the maximum would be passed. */
bool buffer_append(struct buffer *buffer, const void *bytes, size_t size)
	__attribute__((warn_unused_result));

/* Room for `size` more bytes at the end, which count as content from now on and are to be written by the
 * caller; NULL if the maximum would be passed. Valid until the next call. */
uint8_t *buffer_extend(struct buffer *buffer, size_t size) __attribute__((warn_unused_result));

#endif
