#include "base/memory.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

void *memory_new(size_t size)
{
	return memory_new_array(1, size);
}

void *memory_new_array(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	must(memory != NULL);
	return memory;
}

void *memory_resize(void *memory, size_t size)
{
	void *resized = realloc(memory, size);

	must(resized != NULL);
	return resized;
}

char *memory_copy_text(const char *text)
{
	char *copy = strdup(text);

	must(copy != NULL);
	return copy;
}
