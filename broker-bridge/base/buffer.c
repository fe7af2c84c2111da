#include "base/buffer.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 512

void buffer_init(struct buffer *buffer, size_t max_bytes)
{
	*buffer = (struct buffer){.max_bytes = max_bytes};
}

void buffer_done(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){.max_bytes = buffer->max_bytes};
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
}

static void grow(struct buffer *buffer, size_t needed)
{
	size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;

	while (capacity < needed)
		capacity *= 2;
	if (capacity > buffer->max_bytes)
		capacity = buffer->max_bytes;
	buffer->bytes = memory_resize(buffer->bytes, capacity);
	buffer->capacity = capacity;
}

uint8_t *buffer_extend(struct buffer *buffer, size_t size)
{
	if (size > buffer->max_bytes - buffer->size)
		return NULL;
	if (!buffer->bytes || size > buffer->capacity - buffer->size)
		grow(buffer, buffer->size + size);
	buffer->size += size;
	return buffer->bytes + buffer->size - size;
}

bool buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
	uint8_t *end = buffer_extend(buffer, size);

	if (!end)
		return false;
	if (size)
		memcpy(end, bytes, size);
	return true;
}
