#include "base/random.h"

#include "base/must.h"

#include <sys/random.h>

void random_bytes(void *ret_bytes, size_t size)
{
	/* Up to 256 bytes getrandom neither is interrupted nor answers short (getrandom(2)). */
	must(size <= 256);
	must(getrandom(ret_bytes, size, 0) == (ssize_t)size);
}

uint32_t random_number(void)
{
	uint32_t number;

	random_bytes(&number, sizeof(number));
	return number;
}
