/* random - unpredictable bytes from the kernel. */
#ifndef MARTLET_BASE_RANDOM_H
#define MARTLET_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* At most 256 bytes. Never fails once the machine has started. */
void random_bytes(void *ret_bytes, size_t size);

uint32_t random_number(void);

#endif
